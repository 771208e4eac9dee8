"""Streams that nobody reads to the end: closed once, and no lock is waited for for ever."""

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest

from yandex_compat import bodies
from yandex_compat.bodies import OpenBody

# httpcore runs this under its lock, as it sends a request: here the collector always runs there.
FORGOTTEN = """
import faulthandler, gc, sys
import httpcore

url, way = sys.argv[1:]
words = {"base_url": url, "api_key": "test-key", "folder_id": "test-folder"}
if way == "client":
    from yandex_compat import CompletionRequest, Message, YandexClient
    client = YandexClient(**words)
    request = CompletionRequest("yandexgpt", (Message("user", "one two three"),))
    stream, ask = lambda: client.stream(request), lambda: client.complete(request)
elif way == "langchain":
    from langchain_yandex_compat import ChatYandex
    model = ChatYandex(**words)
    stream, ask = lambda: model.stream("one two three"), lambda: model.invoke("Hi")
else:
    from llama_index.core.llms import ChatMessage
    from llamaindex_yandex_compat import YandexLLM
    llm, asked = YandexLLM(**words), [ChatMessage("one two three")]
    stream, ask = lambda: llm.stream_chat(asked), lambda: llm.chat(asked)

faulthandler.dump_traceback_later(20, exit=True)  # the imports above may take their time
collected = []
assign = httpcore.ConnectionPool._assign_requests_to_connections

def collecting(pool):
    collected.append(gc.collect())
    return assign(pool)

gc.disable()
forgotten = stream()
next(forgotten)
knot = [forgotten]
knot.append(knot)
del forgotten, knot
httpcore.ConnectionPool._assign_requests_to_connections = collecting
ask()
ask()
assert collected and any(collected), collected
"""


@pytest.mark.parametrize("way", ["client", "langchain", "llamaindex"])
def test_a_forgotten_stream_that_is_collected_while_another_request_is_sent(emulator, way):
    emulator.script({"text": "one two three", "gate": True})
    script = [sys.executable, "-W", "error", "-c", FORGOTTEN, emulator.chat_url, way]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    emulator.settle()
    assert [seen["closed_early"] for seen in emulator.requests] == [True, False, False]


class Response:
    """A response that says what becomes of it; its closing can be made to wait."""

    headers: Mapping[str, str] = {}
    is_stream_consumed = False
    http_version = "HTTP/1.1"

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.may_close, self.closed = threading.Event(), threading.Event()

    def iter_raw(self) -> Iterator[bytes]:
        try:
            yield b"one"
            yield b"two"
        finally:
            self.seen.append("pieces dropped")

    def close(self) -> None:
        assert self.may_close.wait(10)
        self.seen.append("closed")
        self.closed.set()


def reader(response: Response) -> Iterator[str]:
    body = OpenBody(response)
    with ExitStack() as held:
        held.callback(response.close)
        body.begin(held)
    with body as pieces:
        for piece in pieces:
            yield piece.decode()


def test_what_httpcore_holds_is_not_collected_before_it_is_closed():
    response = Response()
    forgotten = reader(response)
    assert next(forgotten) == "one"
    knot = [forgotten]
    knot.append(knot)
    del forgotten, knot
    gc.collect()  # it does not wait for the closing, which may need a lock that is held here
    assert response.seen == []
    response.may_close.set()
    assert response.closed.wait(10)
    assert response.seen[0] == "closed"


def test_a_stream_that_is_closed_is_closed_at_once_and_forgotten(monkeypatch):
    monkeypatch.setattr(bodies, "_CLOSED_SOON", 10)
    response = Response()
    read = reader(response)
    next(read)
    assert id(response) in bodies._REACHABLE
    threading.Timer(0.05, response.may_close.set).start()
    read.close()
    assert "closed" in response.seen
    assert id(response) not in bodies._REACHABLE


@pytest.mark.parametrize("error", [None, KeyError("reader")])
def test_a_stream_that_ends_or_fails_is_closed_where_it_is(error):
    response = Response()
    response.may_close.set()
    read = reader(response)
    next(read)
    if error:
        with pytest.raises(KeyError):
            read.throw(error)
    else:
        assert list(read) == ["two"]
    assert "closed" in response.seen
    assert id(response) not in bodies._REACHABLE


def test_a_stream_is_closed_where_no_thread_is_left(monkeypatch):
    def none_left(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(bodies, "start_new_thread", none_left)
    response = Response()
    response.may_close.set()
    read = reader(response)
    next(read)
    read.close()
    assert "closed" in response.seen
    assert id(response) not in bodies._REACHABLE
