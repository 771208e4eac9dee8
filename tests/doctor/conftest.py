"""The doctor, the emulator's account, and servers that answer what a test has them answer."""

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from yandex_compat import plain_http
from yandex_compat.pools import POOLS


@pytest.fixture(autouse=True)
def account(monkeypatch):
    """The emulator's account in the environment, no host that was warned of, nothing connected."""
    monkeypatch.setenv("YC_API_KEY", "test-key")
    monkeypatch.setenv("YC_FOLDER_ID", "test-folder")
    monkeypatch.setattr(plain_http, "_warned_of", set())
    POOLS.close()  # a connection that lies idle goes past the proxy of a test


@pytest.fixture
def checks():
    """The names of all that the doctor looks at, in its order."""
    return [
        "python", "versions", "extras", "variables", "address", "proxies", "credentials",
        "chat API", "native API", "access", "folder", "model", "chat generation",
        "native generation", "quota",
    ]  # fmt: skip


@pytest.fixture
def examined(shown_by, emulator):
    """The doctor on the emulator, or on the address given."""

    def examine(*options, base_url=None):
        return shown_by("doctor", "--base-url", base_url or emulator.chat_url, *options)

    return examine


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return bound.getsockname()[1]


@pytest.fixture
def key_file(tmp_path, emulator, monkeypatch):
    """The path of an authorized key, named by the environment instead of the API key."""
    path = tmp_path / "key.json"
    path.write_text(json.dumps(emulator.authorized_key()), encoding="utf-8")
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_SERVICE_ACCOUNT_KEY_FILE", str(path))
    return path


@pytest.fixture
def generation():
    """The body of a chat answer."""
    return (
        b'{"choices":[{"index":0,"message":{"role":"assistant","content":"one"},'
        b'"finish_reason":"stop"}]}'
    )


@pytest.fixture
def serving():
    """Starts servers, for each of which a function of handler and body gives status and body."""
    return _serving


@contextmanager
def _serving(answer, context=None):
    class Handler(BaseHTTPRequestHandler):
        def _answer(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, told, *headers = answer(self, body)
            self.send_response(status)
            self.send_header("content-length", str(len(told)))
            for header in headers:
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST = _answer  # noqa: N815 -- names of http.server's

        def log_message(self, *told):
            pass

    class Quiet(HTTPServer):
        def handle_error(self, request, client_address):
            pass  # a handshake that the client gave up is what is tested

    server = Quiet(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
