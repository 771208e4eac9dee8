"""What a chunk and a request cost, in calls of our code and by it: the same on every machine.

Time is what `make bench` measures; this keeps it from growing unseen. A number that is a fifth off
fails in both directions: where a path has become shorter, its new number belongs here.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

import httpx
import pytest
from langchain_core.messages import HumanMessage
from llama_index.core.llms import ChatMessage

from benchmarks import server
from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexLLM
from yandex_compat import CompletionRequest, Delta, Message, YandexClient, pools
from yandex_compat.wires.apis import APIS
from yandex_compat.wires.chat.stream import StreamDecoder

ROOT = Path(__file__).parents[1]
OURS = tuple(
    str(ROOT / package)
    for package in ("yandex_compat", "langchain_yandex_compat", "llamaindex_yandex_compat")
)
FEW, MANY = 20, 120
ASKED = "hi"
REQUEST = CompletionRequest("yandexgpt", (Message("user", ASKED),))


def is_ours(frame: FrameType | None) -> bool:
    """Whether a frame runs our code."""
    return frame is not None and frame.f_code.co_filename.startswith(OURS)


def is_call_of_ours(frame: FrameType, event: str, _: object) -> bool:
    """Whether our code is called, or calls a function of Python's or C's."""
    if event == "call":
        return is_ours(frame) or is_ours(frame.f_back)
    return event == "c_call" and is_ours(frame)


def is_validation(_: FrameType, event: str, called: object) -> bool:
    """Whether pydantic validates values, for whomever."""
    return event == "c_call" and getattr(called, "__name__", "") == "validate_python"


def calls_in(
    act: Callable[[], object],
    counts: Callable[[FrameType, str, object], bool] = is_call_of_ours,
) -> int:
    """The calls that count."""
    made = 0

    def count(frame: FrameType, event: str, called: object) -> None:
        nonlocal made
        made += counts(frame, event, called)

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(before)
    return made


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in these pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


WIRES: dict[str, Callable[[int], list[bytes]]] = {
    "chat": lambda chunks: server.chat_events(chunks, tools=False),
    "tool call": lambda chunks: server.chat_events(chunks, tools=True),
    "completion": server.native_lines,
}


def answers(wire: str, chunks: int) -> httpx.MockTransport:
    """A server that answers in that many chunks; 0 for a whole answer."""

    def answer(request: httpx.Request) -> httpx.Response:
        if chunks:
            return httpx.Response(200, stream=Pieces(WIRES[wire](chunks)))
        whole = server.native_answer(3) if wire == "completion" else None
        return httpx.Response(200, content=whole or server.chat_answer(3, tools=False))

    return httpx.MockTransport(answer)


def words(wire: str, chunks: int) -> dict[str, Any]:
    """The constructor words of whoever is to be answered in that many chunks; 0 for a whole one."""
    transport = answers(wire, chunks)
    return {
        "api": "completion" if wire == "completion" else "chat",
        "api_key": "key",
        "folder_id": "folder",
        "http_client": httpx.Client(transport=transport),
        "http_async_client": httpx.AsyncClient(transport=transport),
    }


def exhaust(chunks: Any) -> None:
    """Read a stream to its end, whichever kind it is."""

    async def read() -> None:
        async for _ in chunks if hasattr(chunks, "__aiter__") else await chunks:
            pass

    if hasattr(chunks, "__iter__"):
        for _ in chunks:
            pass
    else:
        asyncio.run(read())


HOOKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "core": lambda words: YandexClient(**words).stream(REQUEST),
    "core, async": lambda words: YandexClient(**words).astream(REQUEST),
    "LangChain": lambda words: ChatYandex(**words)._stream([HumanMessage(ASKED)]),
    "LangChain, async": lambda words: ChatYandex(**words)._astream([HumanMessage(ASKED)]),
    "LlamaIndex": lambda words: YandexLLM(**words).stream_chat([ChatMessage(ASKED)]),
    "LlamaIndex, async": lambda words: YandexLLM(**words).astream_chat([ChatMessage(ASKED)]),
}
CALLS_OF_A_CHUNK = {
    ("core", "chat"): 39,
    ("core", "tool call"): 80,
    ("core", "completion"): 70,
    ("core, async", "chat"): 40,
    ("core, async", "tool call"): 81,
    ("core, async", "completion"): 71,
    ("LangChain", "chat"): 53,
    ("LangChain", "tool call"): 101,
    ("LangChain", "completion"): 84,
    ("LangChain, async", "chat"): 54,
    ("LangChain, async", "tool call"): 102,
    ("LangChain, async", "completion"): 85,
    ("LlamaIndex", "chat"): 51,
    ("LlamaIndex", "tool call"): 119,
    ("LlamaIndex", "completion"): 82,
    ("LlamaIndex, async", "chat"): 52,
    ("LlamaIndex, async", "tool call"): 120,
    ("LlamaIndex, async", "completion"): 83,
}

ASKED_BY: dict[str, Callable[[dict[str, Any]], Callable[[], object]]] = {
    "core": lambda words: partial(YandexClient(**words).complete, REQUEST),
    "LangChain": lambda words: partial(ChatYandex(**words)._generate, [HumanMessage(ASKED)]),
    "LlamaIndex": lambda words: partial(YandexLLM(**words)._chat, [ChatMessage(ASKED)], {}),
}
CALLS_OF_A_REQUEST = {
    ("core", "chat"): 257,
    ("core", "completion"): 257,
    ("LangChain", "chat"): 337,
    ("LangChain", "completion"): 337,
    ("LlamaIndex", "chat"): 331,
    ("LlamaIndex", "completion"): 331,
}
CALLS_OVER_A_SHARED_CLIENT = 255


def calls_of_a_chunk(hook: str, wire: str) -> float:
    """Those of a long stream that a short one does without, for each chunk of the difference."""
    few, many = (
        calls_in(partial(exhaust, HOOKS[hook](words(wire, chunks)))) for chunks in (FEW, MANY)
    )
    return (many - few) / (MANY - FEW)


@pytest.mark.parametrize(
    ("hook", "validations"),
    [
        (lambda words: ChatYandex(**words)._stream([HumanMessage(ASKED)]), 0),
        # The text itself, whose class LlamaIndex may fill in.
        (lambda words: YandexLLM(**words)._stream_chat([ChatMessage(ASKED)], {}), 1),
    ],
    ids=["LangChain", "LlamaIndex"],
)
def test_what_of_a_chunk_is_validated(hook, validations):
    few, many = (
        calls_in(partial(exhaust, hook(words("chat", chunks))), is_validation)
        for chunks in (FEW, MANY)
    )
    assert many - few == validations * (MANY - FEW)


def is_a_fifth_off(found: float, known: int) -> bool:
    """Whether a number is no more what it was."""
    return not known / 1.2 < found < known * 1.2


@pytest.mark.parametrize(("hook", "wire"), CALLS_OF_A_CHUNK, ids=" over ".join)
def test_what_a_chunk_costs(hook, wire):
    found = calls_of_a_chunk(hook, wire)
    assert not is_a_fifth_off(found, CALLS_OF_A_CHUNK[hook, wire]), found


@pytest.mark.parametrize(("asked_by", "wire"), CALLS_OF_A_REQUEST, ids=" over ".join)
def test_what_a_request_costs(asked_by, wire):
    ask = ASKED_BY[asked_by](words(wire, 0))
    ask()  # what is found out once is found out here
    found = calls_in(ask)
    assert not is_a_fifth_off(found, CALLS_OF_A_REQUEST[asked_by, wire]), found


def test_what_a_request_over_a_shared_client_costs(monkeypatch):
    transport = answers("chat", 0)
    monkeypatch.setattr(pools, "new_client", lambda kind: kind(transport=transport))
    own = {"api_key": "key", "folder_id": "folder", "base_url": "https://hot-path.test/v1"}
    with YandexClient(**own) as client:
        client.complete(REQUEST)
        found = calls_in(partial(client.complete, REQUEST))
    assert not is_a_fifth_off(found, CALLS_OVER_A_SHARED_CLIENT), found


def test_every_hook_and_wire_is_counted():
    assert set(CALLS_OF_A_CHUNK) == set(product(HOOKS, WIRES))
    assert set(CALLS_OF_A_REQUEST) == set(product(ASKED_BY, APIS))
    assert set(APIS) <= set(WIRES)


@pytest.mark.parametrize("more", [True, False], ids=["more", "less"])
def test_a_fifth_more_or_less_is_seen(monkeypatch, more):
    decode, known = StreamDecoder._payload, CALLS_OF_A_CHUNK["core", "chat"]

    def changed(self: StreamDecoder, payload: bytes) -> list[Delta]:
        if more:
            for _ in range(known // 4):
                len(payload)
            return decode(self, payload)
        return [Delta("text")] if payload.startswith(b"{") else decode(self, payload)

    # Counted as ours, wherever it stands.
    code = changed.__code__.replace(co_filename=decode.__code__.co_filename)
    monkeypatch.setattr(
        StreamDecoder, "_payload", FunctionType(code, globals(), None, None, changed.__closure__)
    )
    assert is_a_fifth_off(calls_of_a_chunk("core", "chat"), known)
