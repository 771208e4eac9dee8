"""The canned server: the shapes of WIRE A and B from bytes built beforehand, as a process.

An address says what is sent, in pairs before the API's own path, such as
`/chunks/1000/delay/5/v1/chat/completions`:

- `chunks`: how many pieces an answer's text or arguments have; 20 where it is not said.
- `delay`: milliseconds before each piece after the first; 0, the default, sends all at once.
- `gate`: a name; the server sends the first piece and waits for `POST /gates/NAME`, whose answer is
  how many pieces had been sent by then: 1, unless nobody opened it in time.
- `patience`: milliseconds that a gate keeps a stream waiting; 5,000 where it is not said.

Requests are not checked, and looked at only for `stream`, `tools`, `encoding_format` and the number
of `input`: it is the clients that are measured.
"""

import asyncio
import base64
import json
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from benchmarks.machine import allow_many_files

CHAT, NATIVE = "/v1/chat/completions", "/foundationModels/v1/completion"
EMBEDDINGS = "/v1/embeddings"
ROOT = Path(__file__).parents[1]
CHUNKS = 20
TOOL = "lookup"
NUMBERS = 256
"""Numbers of a vector (WIRE Endpoints)."""

_MODEL = "gpt://bench/yandexgpt/latest"
_BLOCK = 64 * 1024
_USAGE = {"prompt_tokens": 9, "total_tokens": 21, "completion_tokens": 12}
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE)
_STREAMED = re.compile(rb'"stream"\s*:\s*true')
_WITH_TOOLS = re.compile(rb'"tools"\s*:\s*\[')
_BASE64 = re.compile(rb'"encoding_format"\s*:\s*"base64"')


def words(chunks: int) -> list[str]:
    """The pieces of an answer's text."""
    return [f"word{number % 10} " for number in range(chunks)]


def arguments(chunks: int) -> list[str]:
    """The pieces of a tool call's arguments, which together are a JSON object."""
    return ['{"text": "', *words(max(1, chunks - 2)), '"}']


def chat_answer(chunks: int, *, tools: bool) -> bytes:
    """A whole chat answer (WIRE A1, A2)."""
    message: dict[str, object] = {"role": "assistant", "content": "".join(words(chunks))}
    if tools:
        function = {"name": TOOL, "arguments": "".join(arguments(chunks))}
        call = {"index": 0, "id": TOOL, "type": "function", "function": function}
        message = {"role": "assistant", "content": "", "tool_calls": [call]}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "tool_calls" if tools else "stop",
    }
    return _bytes({**_about("chat.completion"), "choices": [choice], "usage": _USAGE})


def chat_events(chunks: int, *, tools: bool) -> list[bytes]:
    """The events of a streamed chat answer (WIRE A3-A5): a piece each, then how it ended."""
    deltas: list[dict[str, object]] = [{"content": word} for word in words(chunks)]
    if tools:
        deltas = _call_deltas(chunks)
    deltas[0] = {"role": "assistant", **deltas[0]}
    reason = "tool_calls" if tools else "stop"
    events = [_event([{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
    events.append(_event([{"index": 0, "delta": {}, "finish_reason": reason}]))
    events.append(_event([], usage=_USAGE))
    return [*(b"data: " + event + b"\n\n" for event in events), b"data: [DONE]\n\n"]


def native_answer(chunks: int) -> bytes:
    """A whole native answer (WIRE B5)."""
    return _native("".join(words(chunks)), "FINAL", chunks) + b"\n"


def native_lines(chunks: int) -> list[bytes]:
    """The lines of a streamed native answer, each with the whole text so far (WIRE B6)."""
    pieces, text, lines = words(chunks), "", []
    for number, piece in enumerate(pieces, start=1):
        text += piece
        status = "FINAL" if number == chunks else "PARTIAL"
        lines.append(_native(text, status, number) + b"\n")
    return lines


def embeddings_answer(count: int, *, as_base64: bool) -> bytes:
    """The vectors of so many texts (WIRE Endpoints), as OpenAI's clients ask for them, too."""
    numbers = [number / NUMBERS for number in range(NUMBERS)]
    vector: object = numbers
    if as_base64:
        vector = base64.b64encode(struct.pack(f"<{NUMBERS}f", *numbers)).decode()
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(count)]
    usage = {"prompt_tokens": 3 * count, "total_tokens": 3 * count}
    return _bytes({"object": "list", "data": data, "model": "emb://bench/doc", "usage": usage})


def _bytes(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _about(kind: str) -> dict[str, object]:
    return {"id": "chatcmpl-bench", "object": kind, "created": 1_762_000_000, "model": _MODEL}


def _event(choices: list[dict[str, object]], **more: object) -> bytes:
    return _bytes({**_about("chat.completion.chunk"), "choices": choices, **more})


def _call_deltas(chunks: int) -> list[dict[str, object]]:
    first = {"id": "chatcmpl-tool-bench", "type": "function"}
    rest = {"id": "", "type": ""}
    return [
        {
            "tool_calls": [
                {
                    "index": 0,
                    **(rest if number else first),
                    "function": {"name": "" if number else TOOL, "arguments": piece},
                }
            ]
        }
        for number, piece in enumerate(arguments(chunks))
    ]


def _native(text: str, status: str, tokens: int) -> bytes:
    usage = {
        "inputTextTokens": "9",
        "completionTokens": str(tokens),
        "totalTokens": str(tokens + 9),
        "completionTokensDetails": {"reasoningTokens": "0"},
    }
    message = {"role": "assistant", "text": text}
    alternative = {"message": message, "status": f"ALTERNATIVE_STATUS_{status}"}
    return _bytes(
        {"result": {"alternatives": [alternative], "usage": usage, "modelVersion": "bench"}}
    )


@dataclass(frozen=True)
class Answer:
    """The bytes of one response: its head and first piece, each piece between, and all in blocks.

    A whole answer is one piece.
    """

    pieces: tuple[bytes, ...]
    blocks: tuple[bytes, ...]

    @classmethod
    def whole(cls, body: bytes) -> "Answer":
        """A response with the length of its body."""
        sent = _head(200, b"application/json", b"content-length: %d" % len(body)) + body
        return cls((sent,), _blocks([sent]))

    @classmethod
    def streamed(cls, kind: bytes, parts: list[bytes]) -> "Answer":
        """A response with a chunk of the transfer for each part."""
        framed = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
        framed[0] = _head(200, kind, b"transfer-encoding: chunked") + framed[0]
        framed[-1] += b"0\r\n\r\n"
        return cls(tuple(framed), _blocks(framed))


def _head(status: int, kind: bytes, length: bytes) -> bytes:
    return b"HTTP/1.1 %d OK\r\ncontent-type: %b\r\n%b\r\n\r\n" % (status, kind, length)


def _blocks(pieces: list[bytes]) -> tuple[bytes, ...]:
    body = b"".join(pieces)
    return tuple(body[start : start + _BLOCK] for start in range(0, len(body), _BLOCK))


@lru_cache(maxsize=64)
def answer_of(
    api: str, chunks: int, *, streamed: bool = False, tools: bool = False, as_base64: bool = False
) -> Answer:
    """The response to one kind of request; for embeddings, `chunks` is the number of texts."""
    if api == NATIVE and streamed:
        return Answer.streamed(b"application/x-ndjson", native_lines(chunks))
    if api == NATIVE:
        return Answer.whole(native_answer(chunks))
    if api == EMBEDDINGS:
        return Answer.whole(embeddings_answer(chunks, as_base64=as_base64))
    if streamed:
        return Answer.streamed(b"text/event-stream", chat_events(chunks, tools=tools))
    return Answer.whole(chat_answer(chunks, tools=tools))


@dataclass
class Gate:
    """Where a stream waits after its first piece."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0


class Gates:
    """The gates of a server, by name."""

    def __init__(self) -> None:
        self._gates: dict[str, Gate] = {}

    def of(self, name: str) -> Gate:
        """The gate of a name, shut until it is opened."""
        return self._gates.setdefault(name, Gate())

    def open(self, name: str) -> int:
        """Open a gate: how many pieces had been sent by then."""
        gate = self.of(name)
        gate.opened.set()
        return gate.sent


class Connection(asyncio.Protocol):
    """Answers the requests of one connection, one after the other."""

    def __init__(self, gates: Gates) -> None:
        self._gates = gates
        self._received = b""
        self._writable = asyncio.Event()
        self._writable.set()
        self._sending: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop sending: nobody reads."""
        if self._sending:
            self._sending.cancel()

    def pause_writing(self) -> None:
        """Wait, since the client reads slower than is sent."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Answer once a request is whole."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = _LENGTH.search(head)
        needed = int(length[1]) if length else 0
        if len(body) < needed:
            return
        self._received = body[needed:]
        path = head.split(b" ", 2)[1].decode()
        self._answer(path, body[:needed])

    def _answer(self, path: str, body: bytes) -> None:
        if path.startswith("/gates/"):
            sent = self._gates.open(path.removeprefix("/gates/"))
            self._transport.write(Answer.whole(str(sent).encode()).pieces[0])
            return
        wanted = _wanted(path)
        answer = None if wanted is None else _answer_to(wanted, body)
        if wanted is None or answer is None:
            self._transport.write(_head(404, b"text/plain", b"content-length: 0"))
            return
        pauses = wanted.gate is not None or wanted.delay > 0
        if len(answer.blocks) == 1 and not pauses:
            self._transport.write(answer.blocks[0])
            return
        sending = self._send_slowly(answer, wanted) if pauses else self._send(answer)
        self._sending = asyncio.get_running_loop().create_task(sending)

    async def _send(self, answer: Answer) -> None:
        for block in answer.blocks:
            await self._writable.wait()
            self._transport.write(block)

    async def _send_slowly(self, answer: Answer, wanted: "Wanted") -> None:
        gate = None if wanted.gate is None else self._gates.of(wanted.gate)
        for number, piece in enumerate(answer.pieces):
            if number == 1 and gate:
                with suppress(TimeoutError):  # the count tells of it
                    await asyncio.wait_for(gate.opened.wait(), wanted.patience)
            if number:
                await asyncio.sleep(wanted.delay)
            await self._writable.wait()
            self._transport.write(piece)
            if gate:
                gate.sent = number + 1


@dataclass(frozen=True)
class Wanted:
    """What an address asks for; `delay` and `patience` in seconds."""

    api: str
    chunks: int = CHUNKS
    delay: float = 0.0
    gate: str | None = None
    patience: float = 5.0


@lru_cache(maxsize=1024)
def _wanted(path: str) -> Wanted | None:
    for api in (CHAT, NATIVE, EMBEDDINGS):
        if path.endswith(api):
            parts = path.removesuffix(api).strip("/").split("/")
            said = dict(zip(parts[::2], parts[1::2], strict=False))
            return Wanted(
                api,
                int(said.get("chunks", CHUNKS)),
                float(said.get("delay", 0)) / 1000,
                said.get("gate"),
                float(said.get("patience", 5_000)) / 1000,
            )
    return None


def _answer_to(wanted: Wanted, body: bytes) -> Answer:
    if wanted.api == EMBEDDINGS:
        texts = json.loads(body)["input"]
        count = len(texts) if isinstance(texts, list) else 1
        return answer_of(EMBEDDINGS, count, as_base64=_BASE64.search(body) is not None)
    streamed = _STREAMED.search(body) is not None
    # Calls of the native format are whole in any line, so that nothing is to be measured there.
    tools = wanted.api == CHAT and _WITH_TOOLS.search(body) is not None
    return answer_of(wanted.api, wanted.chunks, streamed=streamed, tools=tools)


async def serve(told: Callable[[str], None], ended: asyncio.Event) -> None:
    """Serve on a free port of loopback until `ended`; `told` is called with the origin."""
    gates = Gates()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(gates), "127.0.0.1", 0, backlog=2048)
    told(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await ended.wait()
    server.close()


@contextmanager
def canned_server() -> Iterator[str]:
    """The server as a process of its own; gives its origin."""
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            origin = process.stdout.readline().strip()
            if not origin:
                raise RuntimeError("The canned server did not start; what it said stands above.")
            yield origin
        finally:
            process.stdin.close()
            process.wait(30)


async def _serve_until_input_ends() -> None:
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    waiting = loop.run_in_executor(None, sys.stdin.read)
    waiting.add_done_callback(lambda _: ended.set())
    await serve(lambda origin: print(origin, flush=True), ended)


if __name__ == "__main__":
    allow_many_files()
    asyncio.run(_serve_until_input_ends())
