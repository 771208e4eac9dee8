"""The routes: both APIs of generation, models, embeddings, operations, and the emulator's own."""

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .answers import as_json
from .chat_endpoint import ChatEndpoint
from .embeddings_endpoint import EmbeddingsEndpoint
from .fault_injection import FaultInjector
from .faults import FaultPlan
from .iam_endpoint import IamEndpoint
from .model_uris import models_of
from .native_endpoint import NativeEndpoint
from .recorder import Recorder
from .refusals import Refused
from .scripted import body_or_script
from .scripts import METADATA_PATH, parse_posted
from .service import Service
from .stored_completions import StoredEndpoint
from .tokenizer_endpoint import TokenizerEndpoint

_NATIVE = "/foundationModels/v1"


def create_app(service: Service) -> Starlette:
    """Return the ASGI application that serves one emulated account."""
    admin = _Admin(service)
    embeddings, native = EmbeddingsEndpoint(service), NativeEndpoint(service)
    tokenizer, tokens = TokenizerEndpoint(service), IamEndpoint(service)
    stored = StoredEndpoint(service.stored, service.access, has_none=service.refuse_unsupported)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", ChatEndpoint(service).create, methods=["POST"]),
            Route("/v1/chat/completions", stored.list, methods=["GET"]),
            Route("/v1/chat/completions/{id}", stored.retrieve, methods=["GET"]),
            Route("/v1/chat/completions/{id}", stored.update, methods=["POST"]),
            Route("/v1/chat/completions/{id}", stored.delete, methods=["DELETE"]),
            Route("/v1/chat/completions/{id}/messages", stored.messages, methods=["GET"]),
            Route("/v1/embeddings", embeddings.create, methods=["POST"]),
            Route("/v1/models", _Models(service).list, methods=["GET"]),
            Route(f"{_NATIVE}/completion", native.create, methods=["POST"]),
            Route(f"{_NATIVE}/completionAsync", native.defer, methods=["POST"]),
            Route(f"{_NATIVE}/textEmbedding", embeddings.create_native, methods=["POST"]),
            Route(f"{_NATIVE}/tokenize", tokenizer.tokenize, methods=["POST"]),
            Route(f"{_NATIVE}/tokenizeCompletion", tokenizer.tokenize_completion, methods=["POST"]),
            Route("/operations/{id}", native.operation, methods=["GET"]),
            Route("/iam/v1/tokens", tokens.create, methods=["POST"]),
            Route(METADATA_PATH, tokens.of_machine, methods=["GET"]),
            Route("/_tokens", tokens.set_lifetime, methods=["POST"]),
            Route("/_tokens", tokens.expire, methods=["DELETE"]),
            Route("/_authorized_key", tokens.authorized_key, methods=["GET"]),
            Route("/_script", admin.script, methods=["POST"]),
            Route("/_script", admin.clear_script, methods=["DELETE"]),
            Route("/_release", admin.release, methods=["POST"]),
            Route("/_requests", admin.requests, methods=["GET"]),
            Route("/_requests", admin.clear_requests, methods=["DELETE"]),
            Route("/_faults", admin.set_faults, methods=["POST"]),
            Route("/_faults", admin.faults, methods=["GET"]),
            Route("/_faults", admin.clear_faults, methods=["DELETE"]),
            Route("/_ledger", admin.ledger, methods=["GET"]),
            Route("/_ledger", admin.clear_ledger, methods=["DELETE"]),
        ],
        middleware=[
            Middleware(Recorder, service=service),
            Middleware(FaultInjector, service=service),
        ],
        exception_handlers={Refused: _refuse},
    )


def json_response(body: object, status: int = 200) -> Response:
    """Answer compact JSON."""
    return Response(as_json(body), status, media_type="application/json")


async def _refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    return json_response(error.body, error.status)


class _Models:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def list(self, request: Request) -> Response:
        access = self._service.access
        access.check(request.headers)
        folder = request.headers.get("openai-project") or access.folders[0]
        row = {"object": "model", "owned_by": "Yandex", "created": 0}
        data = [{"id": str(uri)} | row for uri in models_of(folder)]
        body = {"object": "list", "data": data}
        return body_or_script(body, self._service.scripts, request.url.path)


class _Admin:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def script(self, request: Request) -> Response:
        try:
            self._service.scripts.add(*parse_posted(await request.body()))
        except ValidationError as error:
            return json_response({"error": str(error)}, 400)
        return json_response({})

    async def clear_script(self, request: Request) -> Response:
        self._service.scripts.clear()
        return json_response({})

    async def release(self, request: Request) -> Response:
        self._service.scripts.release()
        return json_response({})

    async def requests(self, request: Request) -> Response:
        return json_response(list(self._service.requests))

    async def clear_requests(self, request: Request) -> Response:
        self._service.requests.clear()
        return json_response({})

    async def set_faults(self, request: Request) -> Response:
        try:
            plan = FaultPlan.model_validate_json(await request.body())
        except ValidationError as error:
            return json_response({"error": str(error)}, 400)
        self._service.faults.follow(plan)
        return json_response({})

    async def faults(self, request: Request) -> Response:
        return json_response(self._service.faults.told())

    async def clear_faults(self, request: Request) -> Response:
        self._service.faults.clear()
        return json_response({})

    async def ledger(self, request: Request) -> Response:
        return json_response(self._service.peaks() | {"rows": self._service.ledger.told()})

    async def clear_ledger(self, request: Request) -> Response:
        self._service.clear_ledger()
        return json_response({})
