"""A small OpenAI-compatible server of the tests' own, which says what it is told and notes all."""

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


def chunk(reason: str | None = None, **delta: Any) -> bytes:
    """An event of a stream."""
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def event(payload: object) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def usage_chunk() -> bytes:
    return event({"choices": [], "usage": USAGE})


DONE = b"data: [DONE]\n\n"


def whole(reason: str = "stop", **message: Any) -> dict[str, Any]:
    """The body of a whole answer."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    return {"choices": [choice], "usage": USAGE}


class UpstreamServer:
    """Answers are taken in order: ``(status, body)``, or pieces of a stream, gates among them.

    A gate is an Event that is waited at; None breaks the connection off. ``asked`` notes
    ``(path, body, authorization)``; ``hung_up`` is set once a client left a stream.
    """

    def __init__(self) -> None:
        self.answers: deque[tuple[int, object] | list[bytes | threading.Event | None]] = deque()
        self.asked: list[tuple[str, Any, str | None]] = []
        self.hung_up = threading.Event()
        self.models = ["the-model"]
        handler = type("Handler", (_Handler,), {"ours": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def bodies(self) -> list[Any]:
        return [body for path, body, _ in self.asked if path.endswith("/chat/completions")]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    ours: UpstreamServer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._note(None)
        self._json(200, {"data": [{"id": name} for name in self.ours.models]})

    def do_POST(self) -> None:
        self._note(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        answer = self.ours.answers.popleft()
        if isinstance(answer, tuple):
            self._json(*answer)
        else:
            self._stream(answer)

    def _note(self, body: object) -> None:
        self.ours.asked.append((self.path, body, self.headers["authorization"]))

    def _json(self, status: int, body: object) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _stream(self, pieces: list[bytes | threading.Event | None]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for piece in pieces:
            if piece is None:
                break
            if isinstance(piece, threading.Event):
                self._wait(piece)
            else:
                self.wfile.write(piece)
        self.close_connection = True

    def _wait(self, gate: threading.Event) -> None:
        """Wait for the gate, unless the client hangs up first."""
        self.connection.settimeout(0.01)
        while not gate.is_set():
            try:
                if not self.connection.recv(1):
                    self.ours.hung_up.set()
                    return
            except TimeoutError:
                continue
        self.connection.settimeout(None)
