"""Certificates are verified: by the shared clients, and wherever an IAM token is had."""

import asyncio
import datetime
import ipaddress
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from yandex_compat import ConnectionFailed, OAuthAuth, YandexClient, pools, transport

ANSWER = (
    b'{"choices":[{"index":0,"message":{"role":"assistant","content":"one"},'
    b'"finish_reason":"stop"}]}'
)


class Answering(BaseHTTPRequestHandler):
    """Answers each request, and counts those that were made."""

    asked = 0

    def do_POST(self):
        Answering.asked += 1
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *told):
        pass


class Quiet(HTTPServer):
    def handle_error(self, request, client_address):
        """A handshake that the client gave up is what is tested."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The file of a certificate that vouches for itself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(host, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture(scope="module")
def server(certificate):
    listening = Quiet(("127.0.0.1", 0), Answering)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{listening.server_port}/v1"
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture(autouse=True)
def own_pools(monkeypatch):
    """Pools of the test's own, which read the environment anew."""
    own = pools.Pools()
    monkeypatch.setattr(transport, "POOLS", own)
    pools._ssl_context.cache_clear()
    Answering.asked = 0
    yield
    own.close()
    pools._ssl_context.cache_clear()


def asked(request, asynchronous, **words):
    async def aasked():
        async with YandexClient(**known) as client:
            return await client.acomplete(request)

    known = {"api_key": "key", "folder_id": "f", "max_retries": 0, **words}
    if asynchronous:
        return asyncio.run(aasked())
    with YandexClient(**known) as client:
        return client.complete(request)


every_way = pytest.mark.parametrize("asynchronous", [False, True])


@every_way
def test_a_certificate_that_nobody_vouches_for_is_refused(server, request_of, asynchronous):
    with pytest.raises(ConnectionFailed, match=r"certificate verify failed.*base_url"):
        asked(request_of(), asynchronous, base_url=server)
    assert Answering.asked == 0


@every_way
def test_a_certificate_of_ssl_cert_file_is_trusted(
    server, certificate, request_of, asynchronous, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert asked(request_of(), asynchronous, base_url=server).text == "one"


@every_way
def test_a_trusted_certificate_of_another_host_is_refused(
    server, certificate, request_of, asynchronous, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(ConnectionFailed, match=r"certificate verify failed.*mismatch"):
        asked(request_of(), asynchronous, base_url=server.replace("127.0.0.1", "localhost"))
    assert Answering.asked == 0


@every_way
def test_a_client_of_one_s_own_verifies_as_it_was_made_to(server, request_of, asynchronous):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    kind = httpx.AsyncClient if asynchronous else httpx.Client
    client = kind(verify=context)
    word = "http_async_client" if asynchronous else "http_client"
    assert asked(request_of(), asynchronous, base_url=server, **{word: client}).text == "one"
    if not asynchronous:
        client.close()


def test_no_secret_is_exchanged_with_a_host_that_nobody_vouches_for(server):
    with pytest.raises(ConnectionFailed, match="No IAM token"):
        OAuthAuth("y0_token-of-this-test", url=server)._keeper.token()
    assert Answering.asked == 0
