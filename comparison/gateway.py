"""The emulator's native API over gRPC, for the peers that speak nothing else.

The service's own REST is its gRPC by the same names: each call here becomes the request whose body
is its message as JSON. A refusal becomes the status that its body names, an answer that breaks off
UNAVAILABLE, as gRPC tells of a broken connection.
"""

import datetime
import ipaddress
import json
from collections.abc import Iterator
from concurrent import futures
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf import json_format
from yandex.cloud.ai.foundation_models.v1.embedding import (
    embedding_service_pb2 as embedding,
)
from yandex.cloud.ai.foundation_models.v1.embedding import (
    embedding_service_pb2_grpc as embedding_grpc,
)
from yandex.cloud.ai.foundation_models.v1.text_generation import (
    text_generation_service_pb2 as generation,
)
from yandex.cloud.ai.foundation_models.v1.text_generation import (
    text_generation_service_pb2_grpc as generation_grpc,
)
from yandex.cloud.iam.v1 import iam_token_service_pb2 as iam
from yandex.cloud.iam.v1 import iam_token_service_pb2_grpc as iam_grpc
from yandex.cloud.operation import operation_pb2 as operation

_NATIVE = "foundationModels/v1"
_AT_ONCE = 64  # more than any row asks at once
_HEADERS = ("authorization", "x-folder-id", "x-client-request-id", "x-data-logging-enabled")
_IDS = ("x-request-id", "x-server-trace-id", "x-client-request-id")
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class _Emulator:
    """Asks the emulator what a call asks for."""

    def __init__(self, root: str, client: httpx.Client) -> None:
        self._root = root
        self._client = client

    def answers(self, path: str, request: Any, context: Any) -> Iterator[Any]:
        """The answers of a native completion, streamed or not."""
        asked = self._client.build_request(
            "POST", f"{self._root}/{path}", json=_json(request), headers=_headers(context)
        )
        try:
            with closing(self._client.send(asked, stream=True)) as answer:
                _tell_ids(answer, context)
                if answer.status_code != 200:
                    answer.read()
                    _refuse(answer, context)
                for line in answer.iter_lines():
                    body = json.loads(line)
                    if "error" in body:
                        _abort(body["error"], context)
                    yield _parsed(body["result"], generation.CompletionResponse())
        except (httpx.TransportError, ValueError) as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, f"the connection broke: {error}")

    def answer(self, path: str, request: Any, context: Any, message: Any) -> Any:
        """A whole answer, read into a message."""
        return _parsed(self.body(path, request, context), message)

    def body(self, path: str, request: Any, context: Any) -> dict[str, Any]:
        """A whole answer as JSON."""
        try:
            answer = self._client.post(
                f"{self._root}/{path}", json=_json(request), headers=_headers(context)
            )
        except httpx.TransportError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, f"the connection broke: {error}")
        _tell_ids(answer, context)
        if answer.status_code != 200:
            _refuse(answer, context)
        body = answer.json()
        return dict(body.get("result", body))

    def operation(self, id_: str, context: Any) -> dict[str, Any]:
        """How an operation stands."""
        url = f"{self._root}/operations/{id_}"
        return dict(self._client.get(url, headers=_headers(context)).json())


class _Generation(generation_grpc.TextGenerationServiceServicer):
    def __init__(self, emulator: _Emulator) -> None:
        self._emulator = emulator

    def Completion(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802 -- its name
        return self._emulator.answers(f"{_NATIVE}/completion", request, context)


class _Deferred(generation_grpc.TextGenerationAsyncServiceServicer):
    def __init__(self, emulator: _Emulator) -> None:
        self._emulator = emulator

    def Completion(self, request: Any, context: Any) -> Any:  # noqa: N802 -- its name
        """Begin an operation and give it back once it is done.

        Where operations are looked for is fixed in a peer's source, and is not on this machine.
        """
        begun = self._emulator.body(f"{_NATIVE}/completionAsync", request, context)
        while not begun["done"]:
            begun = self._emulator.operation(begun["id"], context)
        begun.pop("metadata", None)
        return _parsed(begun, operation.Operation())


class _Tokenizer(generation_grpc.TokenizerServiceServicer):
    def __init__(self, emulator: _Emulator) -> None:
        self._emulator = emulator

    def TokenizeCompletion(self, request: Any, context: Any) -> Any:  # noqa: N802 -- its name
        path = f"{_NATIVE}/tokenizeCompletion"
        return self._emulator.answer(path, request, context, generation.TokenizeResponse())


class _Embeddings(embedding_grpc.EmbeddingsServiceServicer):
    def __init__(self, emulator: _Emulator) -> None:
        self._emulator = emulator

    def TextEmbedding(self, request: Any, context: Any) -> Any:  # noqa: N802 -- its name
        path = f"{_NATIVE}/textEmbedding"
        return self._emulator.answer(path, request, context, embedding.TextEmbeddingResponse())


class _Tokens(iam_grpc.IamTokenServiceServicer):
    def __init__(self, emulator: _Emulator) -> None:
        self._emulator = emulator

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802 -- its name
        return self._emulator.answer(
            "iam/v1/tokens", request, context, iam.CreateIamTokenResponse()
        )


def _parsed(body: dict[str, Any], message: Any) -> Any:
    return json_format.ParseDict(body, message, ignore_unknown_fields=True)


def _json(request: Any) -> dict[str, Any]:
    return dict(json_format.MessageToDict(request))


def _headers(context: Any) -> dict[str, str]:
    return {name: value for name, value in context.invocation_metadata() if name in _HEADERS}


def _tell_ids(answer: httpx.Response, context: Any) -> None:
    found = [(name, answer.headers[name]) for name in _IDS if name in answer.headers]
    context.send_initial_metadata(found)


def _refuse(answer: httpx.Response, context: Any) -> None:
    try:
        body = answer.json()
    except ValueError:
        context.abort(grpc.StatusCode.UNAVAILABLE, f"HTTP status {answer.status_code}")
    _abort(body.get("error", body), context)


def _abort(error: dict[str, Any], context: Any) -> None:
    code = _CODES[error.get("grpcCode", error.get("code"))]
    context.abort(code, error["message"])


@contextmanager
def gateway(root: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """An address "localhost:port" and its certificate, which is written into the folder."""
    key, certificate = _certificate()
    path = folder / "gateway.pem"
    path.write_bytes(certificate)
    limits = httpx.Limits(max_connections=_AT_ONCE * 2)
    with httpx.Client(trust_env=False, timeout=60, limits=limits) as client:
        server = grpc.server(futures.ThreadPoolExecutor(_AT_ONCE))
        emulator = _Emulator(root, client)
        generation_grpc.add_TextGenerationServiceServicer_to_server(_Generation(emulator), server)
        generation_grpc.add_TextGenerationAsyncServiceServicer_to_server(
            _Deferred(emulator), server
        )
        generation_grpc.add_TokenizerServiceServicer_to_server(_Tokenizer(emulator), server)
        embedding_grpc.add_EmbeddingsServiceServicer_to_server(_Embeddings(emulator), server)
        iam_grpc.add_IamTokenServiceServicer_to_server(_Tokens(emulator), server)
        credentials = grpc.ssl_server_credentials([(key, certificate)])
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        try:
            yield f"localhost:{port}", path
        finally:
            server.stop(grace=None).wait()


def _certificate() -> tuple[bytes, bytes]:
    """A key and a certificate of its own for this machine, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret, certificate.public_bytes(Encoding.PEM)
