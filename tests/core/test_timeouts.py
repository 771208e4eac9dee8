"""Timeouts: connecting, the first byte, between bytes, the whole; each named by its word."""

import socket
import threading
import time
from dataclasses import replace

import httpx
import pytest

from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexLLM
from yandex_compat import (
    ConfigurationError,
    ConnectionFailed,
    RateLimitError,
    RequestTimedOut,
    StreamInterrupted,
    YandexClient,
    hangups,
)

HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
WHOLE = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'
FIRST = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
LAST = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
LONG = 30.0
WAYS = ["complete", "acomplete", "stream", "astream"]
every_way = pytest.mark.parametrize("way", WAYS)


async def ask(client: YandexClient, way: str, request) -> str:
    if way == "complete":
        return client.complete(request).text
    if way == "acomplete":
        return (await client.acomplete(request)).text
    if way == "stream":
        return "".join(delta.text for delta in client.stream(request))
    return "".join([delta.text async for delta in client.astream(request)])


@pytest.fixture
def at():
    """Makes a client of a server, that tries once and is patient but for what a test says."""

    def made(server, **words: object) -> YandexClient:
        known = {"timeout": LONG, "max_retries": 0, **words}
        return YandexClient(api_key="k", folder_id="f", base_url=server.url, **known)

    return made


@every_way
async def test_a_server_that_says_nothing(raw_server, at, request_of, way):
    client = at(raw_server(threading.Event()), first_byte_timeout=0.1)
    with pytest.raises(RequestTimedOut, match=r"first_byte_timeout=0\.1 s"):
        await ask(client, way, request_of())


@every_way
async def test_silence_before_the_first_byte_is_tried_again(raw_server, at, request_of, waits, way):
    server = raw_server(threading.Event())
    with pytest.raises(RequestTimedOut):
        await ask(at(server, first_byte_timeout=0.05, max_retries=2), way, request_of())
    assert (server.connections, len(waits)) == (3, 2)


@every_way
async def test_the_first_byte_may_take_longer_than_the_next(raw_server, at, request_of, way):
    body = FIRST + LAST if "stream" in way else WHOLE
    client = at(raw_server(0.4, HEAD + body), timeout=0.15, first_byte_timeout=LONG)
    assert await ask(client, way, request_of()) == "hi"


@pytest.mark.parametrize("way", ["complete", "acomplete"])
async def test_a_whole_answer_that_stalls(raw_server, at, request_of, way):
    client = at(
        raw_server(HEAD + WHOLE[:20], threading.Event()), timeout=0.1, first_byte_timeout=LONG
    )
    with pytest.raises(RequestTimedOut, match=r"[^_]timeout=0\.1 s"):
        await ask(client, way, request_of())


@pytest.mark.parametrize("way", ["stream", "astream"])
async def test_a_stream_that_stalls_ends_with_what_arrived(raw_server, at, request_of, way):
    client = at(raw_server(HEAD + FIRST, threading.Event()), timeout=0.1, first_byte_timeout=LONG)
    with pytest.raises(StreamInterrupted) as raised:
        await ask(client, way, request_of())
    assert raised.value.partial.text == "hi"


@pytest.mark.parametrize("way", ["stream", "astream"])
async def test_a_stream_that_stalls_before_its_first_byte_is_tried_again(
    raw_server, at, request_of, waits, way
):
    server = raw_server(HEAD, threading.Event())
    with pytest.raises(RequestTimedOut, match=r"[^_]timeout=0\.05 s"):
        await ask(
            at(server, timeout=0.05, first_byte_timeout=LONG, max_retries=2), way, request_of()
        )
    assert (server.connections, len(waits)) == (3, 2)


@every_way
async def test_a_connection_that_breaks_after_the_head_alone_is_tried_again(
    raw_server, at, request_of, waits, way
):
    server = raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
    with pytest.raises(Exception, match="No answer from"):
        await ask(at(server, max_retries=2), way, request_of())
    assert (server.connections, len(waits)) == (3, 2)


def trickle(piece: bytes) -> list[object]:
    """Bytes that come often enough for any timeout between them, and never end in time."""
    return [step for _ in range(300) for step in (piece, 0.02)]


@pytest.mark.parametrize("way", ["stream", "astream"])
async def test_a_stream_that_goes_on_too_long(raw_server, at, request_of, way):
    server = raw_server(HEAD, *trickle(FIRST))
    with pytest.raises(StreamInterrupted, match=r"total_timeout=0\.3 s") as raised:
        await ask(at(server, total_timeout=0.3), way, request_of())
    assert server.finished == 0
    text = raised.value.partial.text
    assert text == "hi" * (len(text) // 2) != ""


@pytest.mark.parametrize("way", ["stream", "astream"])
async def test_a_deadline_that_passes_after_the_answer_has_ended_means_nothing(
    raw_server, at, request_of, way
):
    server = raw_server(HEAD + FIRST + LAST, threading.Event())
    assert await ask(at(server, total_timeout=0.2), way, request_of()) == "hi"


@pytest.mark.parametrize("way", ["complete", "acomplete"])
async def test_a_whole_answer_that_goes_on_too_long(raw_server, at, request_of, way):
    server = raw_server(HEAD, *trickle(b" "))
    with pytest.raises(RequestTimedOut, match=r"total_timeout=0\.3 s"):
        await ask(at(server, total_timeout=0.3), way, request_of())
    assert server.finished == 0


@pytest.mark.parametrize("way", ["complete", "stream"])
@pytest.mark.parametrize("lacking", ["dup", "start"])
def test_a_deadline_that_nothing_is_left_to_keep_is_told(
    raw_server, at, request_of, monkeypatch, way, lacking
):
    def none_left(*_: object) -> None:
        raise OSError(24, "many files") if lacking == "dup" else RuntimeError("no new thread")

    server = raw_server(HEAD + (FIRST + LAST if way == "stream" else WHOLE))
    if lacking == "dup":
        monkeypatch.setattr(socket, "dup", none_left)
    else:
        monkeypatch.setattr(hangups.HANG_UPS, "_add", none_left)
    client = at(server, total_timeout=LONG)
    with pytest.raises(ConnectionFailed, match="thread or file descriptor"):
        list(client.stream(request_of())) if way == "stream" else client.complete(request_of())


@every_way
async def test_a_body_that_comes_without_its_first_byte(raw_server, at, request_of, way):
    """A chunk's size may be written with any number of zeros before it."""
    server = raw_server(HEAD[:-2] + b"transfer-encoding: chunked\r\n\r\n", *trickle(b"0"))
    with pytest.raises(RequestTimedOut, match=r"total_timeout=0\.3 s"):
        await ask(at(server, total_timeout=0.3), way, request_of())
    assert server.finished == 0


@every_way
async def test_an_answer_in_time_is_not_held_until_the_deadline(raw_server, at, request_of, way):
    body = FIRST + LAST if "stream" in way else WHOLE
    client = at(raw_server(HEAD + body), total_timeout=3_600)
    assert await ask(client, way, request_of()) == "hi"
    assert not [one for one in threading.enumerate() if isinstance(one, threading.Timer)]


@every_way
async def test_silence_is_no_longer_than_the_whole_may_take(raw_server, at, request_of, way):
    server = raw_server(threading.Event())
    with pytest.raises(RequestTimedOut, match=r"total_timeout=0\.1 s"):
        await ask(at(server, total_timeout=0.1, timeout=3_600, max_retries=5), way, request_of())
    assert (server.connections, server.waited_in_vain) == (1, False)


@every_way
async def test_no_wait_is_begun_that_the_deadline_would_end(client_over, request_of, waits, way):
    asked = []

    def service(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(429, headers={"retry-after": "5"}, text="no")

    client = client_over(service, total_timeout=4, max_retries=5)
    with pytest.raises(RateLimitError):
        await ask(client, way, request_of())
    assert (len(asked), waits) == (1, [])


@every_way
async def test_a_later_wait_is_held_to_the_deadline_too(client_over, request_of, waits, way):
    asked = []

    def service(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(429, headers={"retry-after": str(49 * len(asked) - 48)}, text="no")

    client = client_over(service, total_timeout=40, max_retries=5)
    with pytest.raises(RateLimitError):
        await ask(client, way, request_of())
    assert (len(asked), len(waits)) == (2, 1)


@every_way
async def test_a_wait_that_fits_is_spent_as_it_was_drawn(client_over, request_of, waits, way):
    """Drawn anew, it might be one that the deadline would end, and none at all be spent."""
    asked = []

    def service(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(429, headers={"retry-after": "5"}, text="no")

    client = client_over(service, total_timeout=8, max_retries=1)
    drawn = iter([0.0, 0.1, 7.0])
    policy = replace(client._transport._policy, draw=lambda low, high: next(drawn))
    client._transport._policy = policy
    with pytest.raises(RateLimitError):
        await ask(client, way, request_of())
    assert (len(asked), waits) == (2, [5.1])


@pytest.mark.parametrize("way", ["acomplete", "astream"])
async def test_a_head_that_comes_byte_by_byte_ends_in_an_event_loop(
    raw_server, at, request_of, way
):
    server = raw_server(*trickle(b"H"))
    with pytest.raises(RequestTimedOut, match=r"total_timeout=0\.3 s"):
        await ask(at(server, total_timeout=0.3), way, request_of())
    assert server.finished == 0


@every_way
async def test_waits_within_the_deadline_are_spent(client_over, request_of, waits, way):
    asked = []

    def service(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(429, headers={"retry-after": "5"}, text="no")

    client = client_over(service, total_timeout=40, max_retries=2)
    with pytest.raises(RateLimitError):
        await ask(client, way, request_of())
    assert (len(asked), len(waits)) == (3, 2)


@pytest.mark.parametrize("way", ["complete", "stream"])
def test_a_connection_that_others_share_is_not_shut_down(client_over, request_of, way):
    """Over HTTP/2, which a user's own client may speak, it carries their answers too."""

    class Endless(httpx.SyncByteStream):
        def __iter__(self):
            yield FIRST
            for _ in range(1_000 if way == "stream" else 20):
                time.sleep(0.02)
                yield b": still here\n\n"

    class Stream:
        def get_extra_info(self, _: str) -> socket.socket:
            return own

    own, other = socket.socketpair()
    with own, other:
        extensions = {"http_version": b"HTTP/2", "network_stream": Stream()}
        client = client_over(
            lambda _: httpx.Response(200, stream=Endless(), extensions=extensions),
            total_timeout=0.2,
            max_retries=0,
        )
        with pytest.raises(ConnectionFailed, match=r"total_timeout=0\.2 s"):
            list(client.stream(request_of())) if way == "stream" else client.complete(request_of())
        own.sendall(b"still open")
        assert other.recv(100) == b"still open"


def test_what_httpx_is_told(client_over, request_of):
    told = []

    def service(request: httpx.Request) -> httpx.Response:
        told.append(dict(request.extensions["timeout"]))
        return httpx.Response(200, content=WHOLE)

    words = {"timeout": 3, "first_byte_timeout": 60, "connect_timeout": 2}
    client_over(service, **words).complete(request_of())
    client_over(service, timeout=3).complete(request_of())
    client_over(service).complete(request_of())
    client_over(service, connect_timeout=50).complete(request_of())
    assert told == [
        {"connect": 2, "read": 60, "write": 3, "pool": 3},
        {"connect": 3, "read": 3, "write": 3, "pool": 3},
        {"connect": 10, "read": 120, "write": 120, "pool": 120},
        {"connect": 50, "read": 120, "write": 120, "pool": 120},
    ]


def test_httpx_is_told_of_no_more_than_is_left(client_over, request_of):
    told = []

    def service(request: httpx.Request) -> httpx.Response:
        told.append(dict(request.extensions["timeout"]))
        return httpx.Response(200, content=WHOLE)

    client_over(service, total_timeout=5).complete(request_of())
    client_over(service, total_timeout=60, connect_timeout=1).complete(request_of())
    sooner, later = told
    assert all(0 < sooner[word] <= 5 for word in ("connect", "read", "write", "pool"))
    assert later.pop("connect") == 1
    assert all(0 < later[word] <= 60 for word in ("read", "write", "pool"))


def test_a_connection_that_is_not_made_in_time_names_its_word(client_over, request_of):
    def service(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("")

    with pytest.raises(RequestTimedOut, match="connect_timeout=2 s"):
        client_over(service, connect_timeout=2, max_retries=0).complete(request_of())


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_embeddings_wait_no_longer_for_their_turn(client_over, asynchronous):
    def service(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": [{"index": 0, "embedding": [1.0]}]})

    # A folder of its own has a pace of its own.
    of_its_own = {"folder_id": f"folder-{asynchronous}", "requests_per_second": 0.01}
    client = client_over(service, **of_its_own, total_timeout=0.1)
    words = {"model": "text-search-doc"}
    client.embed("a", **words)
    with pytest.raises(RequestTimedOut, match=r"total_timeout=0\.1 s.*requests_per_second"):
        await client.aembed("a", **words) if asynchronous else client.embed("a", **words)


@pytest.mark.parametrize("kind", [YandexClient, ChatYandex, YandexLLM])
@pytest.mark.parametrize("word", ["connect_timeout", "first_byte_timeout", "total_timeout"])
@pytest.mark.parametrize("wrong", [0, -1, 100_000, "AQVN-secret"])
def test_wrong_seconds_are_refused_by_word(kind, word, wrong):
    with pytest.raises((ConfigurationError, ValueError), match=word) as raised:
        kind(api_key="k", folder_id="f", **{word: wrong})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("kind", [ChatYandex, YandexLLM])
def test_the_classes_take_the_words(kind):
    words = {"connect_timeout": 1.5, "first_byte_timeout": 2.5, "total_timeout": 3.5}
    settings = kind(api_key="k", folder_id="f", **words)._client.settings
    assert {word: getattr(settings, word) for word in words} == words
