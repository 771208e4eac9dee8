"""The client over real sockets: pairs, headers, streams as they come, copies and forks."""

import asyncio
import copy
import gzip
import json
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from yandex_compat import (
    Accumulator,
    APIError,
    AuthenticationError,
    Completion,
    ConfigurationError,
    ConnectionFailed,
    ContextOverflowError,
    CustomTool,
    Delta,
    ImagePart,
    InvalidRequestError,
    MalformedAnswer,
    Message,
    RateLimitError,
    RequestTimedOut,
    ServerError,
    StreamEnd,
    StreamInterrupted,
    Tool,
    ToolCall,
    ToolChoice,
    ToolChoiceIgnored,
    UnsupportedError,
    YandexClient,
    YandexError,
    __version__,
    framing,
)
from yandex_compat import client as client_module
from yandex_compat.jsontext import decode

FIRST = 'data: {"choices":[{"delta":{"content":"one"}}]}\n\n'
SECOND = 'data: {"choices":[{"delta":{"content":" two"},"finish_reason":"stop"}]}\n\n'
DONE = "data: [DONE]\n\n"
WHOLE = (
    '{"id":"c1","model":"m","choices":[{"message":{"content":"one two"},"finish_reason":"stop"}]}'
)
MODELS = ["yandexgpt", "qwen3-235b-a22b-fp8"]


def native_line(text: str, status: str) -> str:
    message = {"role": "assistant", "text": text}
    alternative = {"message": message, "status": f"ALTERNATIVE_STATUS_{status}"}
    return json.dumps({"result": {"alternatives": [alternative]}}, ensure_ascii=False) + "\n"


def without_request_id(deltas: list[Delta]) -> list[Delta]:
    *begun, last = deltas
    assert last.final.request_id
    return [*begun, replace(last, final=replace(last.final, request_id=None))]


# Pairs.


@pytest.mark.parametrize("model", MODELS)
async def test_whole_answers_are_the_same_in_both_ways(emulator, client, request_of, model):
    calls = [{"name": "weather", "arguments": {"city": "Omsk"}, "id": "call_1"}]
    script = {"text": "hm", "reasoning": "why", "tool_calls": calls}
    emulator.script(script, script)
    asked = request_of(model=model, tools=(Tool("weather"),))
    one, other = client.complete(asked), await client.acomplete(asked)
    assert one.request_id != other.request_id
    assert (one.text, one.reasoning) == ("hm", "why")
    assert one.tool_calls == (ToolCall("call_1", "weather", '{"city":"Omsk"}'),)
    assert replace(one, request_id=None, id=None) == replace(other, request_id=None, id=None)
    assert emulator.requests[0]["body"] == emulator.requests[1]["body"]


async def test_streamed_answers_are_the_same_in_both_ways(emulator, client, request_of):
    emulator.script(*[{"chunks": [FIRST, SECOND, DONE]}] * 2)
    asked = request_of()
    one = without_request_id(list(client.stream(asked)))
    other = without_request_id([delta async for delta in client.astream(asked)])
    assert one == other == [Delta("one"), Delta(" two"), Delta(final=StreamEnd("stop"))]
    assert [seen["body"]["stream"] for seen in emulator.requests] == [True, True]


async def test_vectors_are_the_same_in_both_ways(emulator, client):
    one = client.embed("снег", model="text-search-doc")
    other = await client.aembed("снег", model="text-search-doc")
    assert one == other
    assert (len(one.vector), one.tokens) == (256, 1)
    bodies = [seen["body"] for seen in emulator.requests]
    assert bodies[0] == bodies[1]
    assert bodies[0]["model"] == "emb://test-folder/text-search-doc/latest"


@pytest.mark.parametrize("model", MODELS)
async def test_errors_are_the_same_in_both_ways(client, request_of, model):
    asked = request_of(model=f"gpt://other-folder/{model}")
    told = []
    with pytest.raises(InvalidRequestError) as caught:
        client.complete(asked)
    told.append(caught.value)
    with pytest.raises(InvalidRequestError) as caught:
        await client.acomplete(asked)
    told.append(caught.value)
    with pytest.raises(InvalidRequestError) as caught:
        list(client.stream(asked))
    told.append(caught.value)
    with pytest.raises(InvalidRequestError) as caught:
        [delta async for delta in client.astream(asked)]
    told.append(caught.value)
    assert len({error.request_id for error in told}) == 4
    assert len({str(error).replace(error.client_request_id, "") for error in told}) == 1
    assert "Set the folder in model's URI to test-folder" in str(told[0])


@pytest.mark.parametrize("model", MODELS)
async def test_an_ignored_tool_choice_is_raised_in_every_way(emulator, client, request_of, model):
    emulator.script(*[{"text": "no tool for me"}] * 4)
    asked = request_of(model=model, tools=(Tool("f"),), tool_choice=ToolChoice("required"))
    with pytest.raises(ToolChoiceIgnored):
        client.complete(asked)
    with pytest.raises(ToolChoiceIgnored):
        await client.acomplete(asked)
    with pytest.raises(ToolChoiceIgnored):
        list(client.stream(asked))
    with pytest.raises(ToolChoiceIgnored):
        [delta async for delta in client.astream(asked)]
    assert len(emulator.requests) == 4  # D8: asked once each, never again


# Headers.


def sent_by(client: YandexClient, request, emulator) -> dict:
    client.complete(request)
    client.close()
    return emulator.requests[-1]["headers"]


@pytest.mark.parametrize(
    ("words", "scheme"),
    [({"api_key": "test-key"}, "Api-Key ***"), ({"iam_token": "t1.test-token"}, "Bearer ***")],
)
def test_each_credential_has_its_scheme(emulator, request_of, words, scheme):  # WIRE Headers
    client = YandexClient(folder_id="test-folder", base_url=emulator.chat_url, **words)
    assert sent_by(client, request_of(), emulator)["authorization"] == scheme


def test_an_auth_of_ones_own_is_used(emulator, request_of):
    class Own(httpx.Auth):
        def auth_flow(self, request):
            request.headers["Authorization"] = "Bearer test-key"
            yield request

    client = YandexClient(auth=Own(), folder_id="test-folder", base_url=emulator.chat_url)
    assert sent_by(client, request_of(), emulator)["authorization"] == "Bearer ***"


@pytest.mark.parametrize("asynchronous", [False, True], ids=["blocking", "async"])
def test_an_auth_of_ones_own_may_sign_the_body(emulator, request_of, asynchronous):
    class Own(httpx.Auth):
        def auth_flow(self, request):
            signed.append(decode(request.content)["model"])
            request.headers["Authorization"] = "Bearer test-key"
            yield request

    signed = []
    client = YandexClient(auth=Own(), folder_id="test-folder", base_url=emulator.chat_url)
    if asynchronous:
        asyncio.run(client.acomplete(request_of()))
    else:
        client.complete(request_of())
    assert signed == ["gpt://test-folder/yandexgpt/latest"]


def emulated(emulator, **words: object) -> YandexClient:
    known = {"api_key": "test-key", "folder_id": "test-folder", "base_url": emulator.chat_url}
    return YandexClient(**known | words)


def test_the_usual_headers(emulator, request_of):
    sent = sent_by(emulated(emulator), request_of(), emulator)
    assert sent["openai-project"] == "test-folder"
    assert sent["content-type"] == "application/json"
    assert sent["user-agent"] == f"yandex-compat/{__version__}"
    assert "x-data-logging-enabled" not in sent


def test_the_project_is_the_folder_of_the_models_uri(emulator, request_of):
    client = emulated(emulator, folder_id="another")
    sent = sent_by(client, request_of(model="gpt://test-folder/yandexgpt"), emulator)
    assert sent["openai-project"] == "test-folder"


def test_logging_of_data_can_be_switched_off(emulator, request_of):  # WIRE Headers
    sent = sent_by(emulated(emulator, data_logging=False), request_of(), emulator)
    assert sent["x-data-logging-enabled"] == "false"


@pytest.mark.parametrize("switched", [True, False])
@pytest.mark.parametrize("api", ["chat", "completion"])
def test_logging_of_data_is_switched_off_on_every_endpoint(client_over, request_of, api, switched):
    sent: dict[str, str | None] = {}

    def service(request: httpx.Request) -> httpx.Response:
        path = f"{request.method} {request.url.path}"
        sent[path] = request.headers.get("x-data-logging-enabled")
        return httpx.Response(400)

    words = {"api": api, "base_url": "https://h.test/v1", "data_logging": not switched}
    client = client_over(service, **words)
    talk, model = request_of(), "text-search-doc"
    asks = [
        lambda: client.complete(talk),
        lambda: list(client.stream(talk)),
        lambda: client.defer(talk),
        lambda: client.operation("operation"),
        lambda: client.embed("text", model=model),
        lambda: client.tokenize("text", model="yandexgpt"),
        lambda: client.tokenize_completion(talk),
        client.models,
        lambda: client.stored.page(),
        lambda: client.stored.retrieve("id"),
        lambda: client.stored.update("id", {}),
        lambda: client.stored.delete("id"),
        lambda: client.stored.messages("id"),
    ]
    for ask in asks:
        with pytest.raises(YandexError):
            ask()
    assert len(sent) == len(asks) - 1  # a stream is asked for at the same place
    assert set(sent.values()) == {"false" if switched else None}


async def test_a_shared_client_sends_what_one_passed_in_does(emulator, request_of):
    own = {"x-mine": "1", "User-Agent": "mine"}
    seen = []
    async with httpx.AsyncClient() as http_async_client:
        with httpx.Client() as http_client:
            passed = {"http_client": http_client, "http_async_client": http_async_client}
            for words in ({}, passed):
                emulator.clear()
                async with emulated(emulator, default_headers=own, **words) as client:
                    client.complete(request_of())
                    await client.acomplete(request_of())
                    list(client.stream(request_of()))
                    client.models()
                seen.append(emulator.requests)
    for asked in (asked for log in seen for asked in log):
        assert asked["headers"].pop("x-client-request-id")
    assert seen[0] == seen[1]
    assert len(seen[0]) == 4


@pytest.mark.parametrize("way", ["complete", "acomplete", "stream", "astream"])
async def test_what_a_client_passed_in_sends_by_itself_is_sent(request_of, way):
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, text=WHOLE if "complete" in way else FIRST + SECOND + DONE)

    own = {"headers": {"x-own": "1"}, "params": {"own": "2"}, "cookies": {"own": "3"}}
    own["transport"] = httpx.MockTransport(answer)
    clients = {"http_client": httpx.Client(**own), "http_async_client": httpx.AsyncClient(**own)}
    await asked(YandexClient(api_key="k", folder_id="f", **clients), way, request_of())
    (request,) = sent
    assert (request.headers["x-own"], request.headers["cookie"]) == ("1", "own=3")
    assert dict(request.url.params) == {"own": "2"}


def test_streams_are_not_to_be_compressed(emulator, client, request_of):
    list(client.stream(request_of()))
    client.complete(request_of())
    streamed, whole = (seen["headers"]["accept-encoding"] for seen in emulator.requests)
    assert streamed == "identity"
    assert "gzip" in whole


@pytest.mark.parametrize("name", ["User-Agent", "user-agent", "X-Client-Request-Id", "X-New"])
def test_default_headers_replace_ours_whatever_their_case(client_over, request_of, name):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, text=WHOLE)

    client_over(answer, default_headers={name: "mine"}).complete(request_of())
    assert asked[0].headers.get_list(name) == ["mine"]


def test_timeouts_travel_with_the_request(client_over, request_of):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.extensions["timeout"])
        return httpx.Response(200, text=WHOLE)

    client_over(answer, timeout=30).complete(request_of())
    client_over(answer, timeout=3).complete(request_of())
    assert asked == [
        {"connect": 10.0, "read": 30, "write": 30, "pool": 30},
        {"connect": 3, "read": 3, "write": 3, "pool": 3},
    ]


# Refused unsent.


def test_check_raises_what_complete_would_and_sends_nothing(emulator, client, request_of):
    client.check(request_of())
    with pytest.raises(ConfigurationError, match="temperature"):
        client.check(request_of(temperature=9))
    with pytest.raises(ConfigurationError, match="neither a name nor"):
        client.check(request_of(model="a b"))
    with pytest.raises(UnsupportedError, match="no images"):
        client.check(request_of(messages=(Message("user", (ImagePart("data:,"),)),)))
    client.check_embedding_model("text-search-doc")
    with pytest.raises(ConfigurationError, match="embedding model"):
        client.check_embedding_model("gpt://f/yandexgpt")
    assert emulator.requests == []


@pytest.mark.parametrize("value", [object(), {"a": {1, object()}}])
def test_a_body_without_a_json_form_is_refused_unsent(emulator, client, request_of, value):
    with pytest.raises(ConfigurationError, match="extra_body"):
        client.complete(request_of(extra_body={"x": value}))
    assert emulator.requests == []


# Streams as they come.


def test_the_first_delta_is_given_out_before_the_second_is_sent(emulator, client, request_of):
    emulator.script({"chunks": [FIRST, SECOND, DONE], "gate": True})
    deltas = client.stream(request_of())
    assert next(deltas).text == "one"
    emulator.release()
    assert [delta.text for delta in deltas] == [" two", ""]


async def test_the_first_delta_is_given_out_before_the_second_is_sent_async(
    emulator, client, request_of
):
    emulator.script({"chunks": [FIRST, SECOND, DONE], "gate": True})
    deltas = client.astream(request_of())
    assert (await anext(deltas)).text == "one"
    emulator.release()
    assert [delta.text async for delta in deltas] == [" two", ""]


def test_closing_a_stream_closes_its_connection(emulator, client, request_of):
    emulator.script({"chunks": [FIRST, SECOND, DONE], "gate": True})
    deltas = client.stream(request_of())
    next(deltas)
    deltas.close()
    emulator.settle()
    assert [seen["closed_early"] for seen in emulator.requests] == [True]


async def test_closing_a_stream_closes_its_connection_async(emulator, client, request_of):
    emulator.script({"chunks": [FIRST, SECOND, DONE], "gate": True})
    deltas = client.astream(request_of())
    await anext(deltas)
    await deltas.aclose()
    emulator.settle()
    assert [seen["closed_early"] for seen in emulator.requests] == [True]


async def test_cancelling_a_reader_closes_the_connection(emulator, client, request_of):
    emulator.script({"chunks": [FIRST, SECOND, DONE], "gate": True})
    begun = asyncio.Event()

    async def reader() -> None:
        async for _ in client.astream(request_of()):
            begun.set()

    task = asyncio.create_task(reader())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    emulator.settle()
    assert [seen["closed_early"] for seen in emulator.requests] == [True]


def test_two_streams_of_one_client_do_not_mix(emulator, client, request_of):
    texts = ["a b c d e", "1 2 3 4 5"]
    emulator.script(*({"text": text} for text in texts))
    asked = request_of(model="qwen3-235b-a22b-fp8")
    one = [next(stream := client.stream(asked)).text]
    other = []
    for left, right in zip(stream, client.stream(asked), strict=False):
        one.append(left.text)
        other.append(right.text)
    assert "".join(one) == texts[0]
    assert texts[1].startswith("".join(other))
    assert len(other) >= 4


@pytest.mark.parametrize("close", ["clean", "reset"])
async def test_a_stream_without_its_end_is_interrupted(emulator, client, request_of, close):  # D10
    emulator.script(*[{"chunks": [FIRST], "close": close}] * 2)
    with pytest.raises(StreamInterrupted) as caught:
        list(client.stream(request_of()))
    assert caught.value.partial.text == "one"
    assert caught.value.partial.request_id is None
    with pytest.raises(StreamInterrupted) as caught:
        [delta async for delta in client.astream(request_of())]
    assert caught.value.partial.text == "one"


@pytest.mark.parametrize("close", ["clean", "reset"])
async def test_how_a_connection_closes_after_the_end_means_nothing(
    emulator, client, request_of, close
):
    emulator.script(*[{"chunks": [FIRST, SECOND, DONE], "close": close}] * 2)
    assert list(client.stream(request_of()))[-1].final.finish_reason == "stop"
    given = [delta async for delta in client.astream(request_of())]
    assert given[-1].final.finish_reason == "stop"


async def test_a_finish_reason_without_done_is_an_end(emulator, client, request_of):  # D10
    emulator.script(*[{"chunks": [FIRST, SECOND]}] * 2)
    assert list(client.stream(request_of()))[-1].final.finish_reason == "stop"
    given = [delta async for delta in client.astream(request_of())]
    assert given[-1].final.finish_reason == "stop"


@pytest.mark.parametrize("chunks", [[FIRST, SECOND], [FIRST, SECOND + DONE]])
async def test_silence_after_the_end_means_nothing(client_over, request_of, chunks):  # D10
    class Silent(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self):
            yield from (chunk.encode() for chunk in chunks)
            raise httpx.ReadTimeout("slow")

        async def __aiter__(self):
            for chunk in chunks:
                yield chunk.encode()
            raise httpx.ReadTimeout("slow")

    client = client_over(lambda _: httpx.Response(200, stream=Silent()))
    whole = list(client.stream(request_of()))
    assert [delta.text for delta in whole] == ["one", " two", ""]
    assert [delta async for delta in client.astream(request_of())] == whole


def test_a_stream_that_falls_silent_is_interrupted(client_over, request_of):
    class Silent(httpx.SyncByteStream):
        def __iter__(self):
            yield FIRST.encode()
            raise httpx.ReadTimeout("slow")

    client = client_over(lambda _: httpx.Response(200, stream=Silent()))
    with pytest.raises(StreamInterrupted, match="ReadTimeout: slow") as caught:
        list(client.stream(request_of()))
    assert caught.value.partial.text == "one"


def test_the_rest_of_a_stream_is_left_where_its_reader_fails(client_over, request_of):
    closed = []

    class Endless(httpx.SyncByteStream):
        def __iter__(self):
            while True:
                yield FIRST.encode()

        def close(self):
            closed.append(True)

    client = client_over(lambda _: httpx.Response(200, stream=Endless()))
    deltas = client.stream(request_of())
    next(deltas)
    with pytest.raises(KeyError):
        deltas.throw(KeyError("reader"))
    assert closed == [True]


async def test_an_error_in_a_stream_carries_the_heads_ids(emulator, client, request_of):  # D11
    emulator.script(*[{"text": "one two", "error_after": 1}] * 2)
    with pytest.raises(APIError) as caught:
        list(client.stream(request_of()))
    assert caught.value.request_id
    assert caught.value.trace_id
    sent = emulator.requests[-1]["headers"]["x-client-request-id"]
    assert caught.value.client_request_id == sent
    assert sent in str(caught.value)
    with pytest.raises(APIError) as caught:
        [delta async for delta in client.astream(request_of())]
    assert caught.value.trace_id


def test_an_error_in_a_whole_answer_carries_the_heads_ids(emulator, client, request_of):
    emulator.script({"status": 200, "body": {"error": {"message": "broke", "grpcCode": 3}}})
    with pytest.raises(InvalidRequestError, match="broke") as caught:
        client.complete(request_of())
    assert caught.value.request_id
    assert caught.value.code == 3


def test_an_event_without_an_end_is_malformed(monkeypatch, emulator, client, request_of):
    monkeypatch.setattr(framing, "MAX_EVENT_BYTES", 1000)
    emulator.script({"chunks": ["data: " + "x" * 2000]})
    with pytest.raises(MalformedAnswer, match="larger than 1000 bytes"):
        list(client.stream(request_of()))


def test_a_stream_asks_for_nothing_until_it_is_read(emulator, client, request_of):
    client.stream(request_of())
    assert emulator.requests == []


def test_request_ids_are_the_answers(emulator, client, request_of):
    emulator.script({"status": 200, "body": decode(WHOLE), "headers": {"x-request-id": "r-7"}})
    assert client.complete(request_of()).request_id == "r-7"


# Threads, loops, copies, forks.


def test_threads_share_a_client(client, request_of):
    gate = threading.Barrier(8)

    def ask(number: int) -> str:
        gate.wait(10)
        return client.complete(request_of(messages=(Message("user", f"word{number}"),))).text

    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(ask, range(8)))
    assert all(f"word{number}" in text for number, text in enumerate(told))


@pytest.mark.parametrize(
    "twin", [copy.deepcopy, copy.copy, lambda one: pickle.loads(pickle.dumps(one))]
)
async def test_copies_of_a_client_work(client, request_of, twin):
    client.complete(request_of())
    await client.acomplete(request_of())
    other = twin(client)
    assert repr(other) == repr(client)
    assert other.complete(request_of()).text
    assert (await other.acomplete(request_of())).text
    await other.aclose()
    assert client.complete(request_of()).text


def test_a_closed_client_opens_anew(client, request_of):
    client.complete(request_of())
    client.close()
    assert client.complete(request_of()).text


FORK = """
import os, sys
from yandex_compat import CompletionRequest, Message, YandexClient
from yandex_compat.pools import POOLS

client = YandexClient(api_key="test-key", folder_id="test-folder", base_url=sys.argv[1])
asked = CompletionRequest("yandexgpt", (Message("user", "Hi"),))

def shared():
    return POOLS._blocking.take(sys.argv[1].removesuffix("/v1"))

client.complete(asked)
before = shared()
POOLS.take_back(sys.argv[1].removesuffix("/v1"), before)
child = os.fork()
if child == 0:
    client.complete(asked)
    fresh = shared() is not before and not before.is_closed
    client.close()
    os._exit(0 if fresh else 3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert shared() is before
before.close()
client.complete(asked)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_has_connections_of_its_own(emulator):
    script = [sys.executable, "-W", "error", "-c", FORK, emulator.chat_url]
    done = subprocess.run(script, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [seen["status"] for seen in emulator.requests] == [200, 200, 200]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_stop_before_a_required_call_is_no_ignored_choice(emulator, client, request_of, streamed):
    emulator.script({"text": "no END call"})
    tool, choice = Tool("look"), ToolChoice("required")
    request = request_of(stop=("END",), tools=(tool,), tool_choice=choice)
    if streamed:
        text = "".join(delta.text for delta in client.stream(request))
    else:
        text = client.complete(request).text
    assert text == "no "


def test_of_several_answers_the_first_is_streamed(emulator, client, request_of):
    emulator.script({"text": "one two three"})
    request = request_of(model="qwen3-235b-a22b-fp8", extra_body={"n": 2})
    assert "".join(delta.text for delta in client.stream(request)) == "one two three"


def test_an_overflow_inside_a_200_is_recognised(client_over, request_of):
    error = {"message": "maximum context length is 8192", "type": "invalid_request_error"}
    client = client_over(lambda _: httpx.Response(200, json={"error": error}))
    with pytest.raises(ContextOverflowError):
        client.complete(request_of())


@pytest.mark.parametrize("ask", ["complete", "stream", "embed"])
def test_an_error_without_its_wrapping_inside_a_200(client_over, request_of, ask):  # WIRE C
    body = b'{"code":14,"message":"try later","details":[]}'
    data = b"data: " + body + b"\n\n" if ask == "stream" else body
    client = client_over(lambda _: httpx.Response(200, content=data))
    asked = {
        "complete": lambda: client.complete(request_of()),
        "stream": lambda: list(client.stream(request_of())),
        "embed": lambda: client.embed("text", model="text-search-doc"),
    }
    with pytest.raises(ServerError, match="try later") as caught:
        asked[ask]()
    assert caught.value.status_code == 503


def test_a_copy_keeps_clients_passed_in_and_a_pickle_leaves_them(client_over, request_of):
    client = client_over(
        lambda _: httpx.Response(500), max_retries=0, base_url="http://127.0.0.1:9"
    )
    with pytest.raises(ServerError):
        copy.deepcopy(client).complete(request_of())
    with pytest.raises(ConnectionFailed):
        pickle.loads(pickle.dumps(client)).complete(request_of())


# Servers that end their answers badly.

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
NO_MORE = b"0\r\n\r\n"
BYE = b"7\r\n: bye\n\n\r\n" + NO_MORE


def chunked(text: str) -> bytes:
    return b"%x\r\n%s\r\n" % (len(text.encode()), text.encode())


def client_of(server, **words: object) -> YandexClient:
    known = {"api_key": "test-key", "folder_id": "test-folder", "base_url": server.url}
    # Longer than the server holds: what ends a wait is then never the client's timeout.
    return YandexClient(**{**known, "timeout": 60, "max_retries": 0, **words})


async def deltas_of(client: YandexClient, way: str, request) -> list[Delta]:
    async with client:
        given: list[Delta] = []
        await collect(given, client, way, request)
        return given


async def collect(given: list[Delta], client: YandexClient, way: str, request) -> None:
    if way == "stream":
        for delta in client.stream(request):
            given.append(delta)
    else:
        async for delta in client.astream(request):
            given.append(delta)


both_ways = pytest.mark.parametrize("way", ["stream", "astream"])


@both_ways
async def test_a_server_that_holds_its_connection_is_not_waited_for(
    monkeypatch, raw_server, request_of, way
):  # D10
    monkeypatch.setattr(client_module, "_PATIENCE", 0.05)
    server = raw_server(HEAD + chunked(FIRST + SECOND + DONE), threading.Event())
    deltas = await deltas_of(client_of(server), way, request_of())
    assert [delta.text for delta in deltas] == ["one", " two", ""]
    assert deltas[-1].final.finish_reason == "stop"
    assert not server.waited_in_vain


def test_a_connection_whose_end_comes_late_is_used_again(monkeypatch, raw_server, request_of):  # D2
    monkeypatch.setattr(client_module, "_PATIENCE", 20)
    ends = threading.Event()
    server = raw_server(HEAD + chunked(FIRST + SECOND + DONE), ends, BYE, keeps=True)
    with client_of(server) as client:
        for _ in range(3):
            ends.clear()
            for delta in client.stream(request_of()):
                if delta.final:
                    ends.set()
    assert server.connections == 1


async def test_a_connection_whose_end_comes_late_is_used_again_async(
    monkeypatch, raw_server, request_of
):  # D2
    monkeypatch.setattr(client_module, "_PATIENCE", 20)
    ends = threading.Event()
    server = raw_server(HEAD + chunked(FIRST + SECOND + DONE), ends, BYE, keeps=True)
    async with client_of(server) as client:
        for _ in range(3):
            ends.clear()
            async for delta in client.astream(request_of()):
                if delta.final:
                    ends.set()
    assert server.connections == 1


@both_ways
@pytest.mark.parametrize("tail", ["", 'data: {"choices":[],"usage":{"prom', "data: [DO"])
async def test_a_dirty_close_after_the_finish_reason_is_an_end(raw_server, request_of, way, tail):
    server = raw_server(HEAD + chunked(FIRST + SECOND + tail))  # D10
    deltas = await deltas_of(client_of(server), way, request_of())
    assert [delta.text for delta in deltas] == ["one", " two", ""]
    assert deltas[-1].final.finish_reason == "stop"


@both_ways
async def test_a_dirty_close_before_the_finish_reason_is_an_interruption(
    raw_server, request_of, way
):  # D10
    with pytest.raises(StreamInterrupted) as caught:
        await deltas_of(client_of(raw_server(HEAD + chunked(FIRST))), way, request_of())
    assert caught.value.partial.text == "one"


@both_ways
async def test_text_before_an_error_in_one_packet_is_given_out_first(raw_server, request_of, way):
    error = 'data: {"error":{"message":"boom","httpCode":503}}\n\n'
    server = raw_server(HEAD + chunked(FIRST + error) + NO_MORE)
    given = []
    async with client_of(server) as client:
        with pytest.raises(ServerError, match="boom"):
            await collect(given, client, way, request_of())
    assert given == [Delta("one")]


@both_ways
@pytest.mark.parametrize(
    "data",
    [
        '{"error":{"message":"quota","grpcCode":8}}',
        '{"error":{"message":"quota","grpcCode":8}}\n',
        'event: error\ndata: {"message":"quota","code":8}\n\n' + DONE,
    ],
)
async def test_an_error_in_place_of_a_stream_has_its_kind(client_over, request_of, way, data):
    client = client_over(lambda _: httpx.Response(200, text=data))  # WIRE C
    with pytest.raises(RateLimitError, match="quota"):
        await deltas_of(client, way, request_of())


@pytest.mark.parametrize("way", ["complete", "stream", "acomplete", "astream"])
async def test_a_refusal_that_a_hook_raises_has_its_kind(raw_server, request_of, way):
    def hook(response: httpx.Response) -> None:
        response.raise_for_status()

    async def ahook(response: httpx.Response) -> None:
        response.raise_for_status()

    server = raw_server(b"HTTP/1.1 401 No\r\nx-request-id: r-1\r\ncontent-length: 2\r\n\r\n{}")
    with httpx.Client(event_hooks={"response": [hook]}) as mine:
        async with httpx.AsyncClient(event_hooks={"response": [ahook]}) as amine:
            client = client_of(server, http_client=mine, http_async_client=amine)
            with pytest.raises(AuthenticationError) as caught:
                await asked(client, way, request_of())
    assert caught.value.request_id == "r-1"


async def asked(client: YandexClient, way: str, request) -> Completion:
    if way == "complete":
        return client.complete(request)
    if way == "acomplete":
        return await client.acomplete(request)
    given: list[Delta] = []
    await collect(given, client, way, request)
    return folded(given)


def folded(deltas: list[Delta]) -> Completion:
    accumulator = Accumulator()
    for delta in deltas:
        accumulator.add(delta)
    return accumulator.completion()


# Refused unsent, though the types allow it.


def nested(depth: int) -> dict:
    made: dict = {}
    for _ in range(depth):
        made = {"a": made}
    return made


@pytest.mark.parametrize(
    "words", [{"tools": (Tool("f", parameters=nested(100_000)),)}, {"extra_body": nested(100_000)}]
)
def test_a_body_nested_too_deeply_is_refused_unsent(emulator, client, request_of, words):
    with pytest.raises(ConfigurationError, match="JSON form"):
        client.complete(request_of(**words))
    assert emulator.requests == []


async def test_a_text_to_embed_that_is_none_is_refused_unsent(emulator, client):
    with pytest.raises(ConfigurationError, match="NoneType"):
        client.embed(None, model="text-search-doc")
    with pytest.raises(ConfigurationError, match="NoneType"):
        await client.aembed(None, model="text-search-doc")
    assert emulator.requests == []


# Calls one at a time.

CALLS = ({"name": "f", "arguments": {"n": 1}}, {"name": "g", "arguments": {"n": 2}})


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("way", ["complete", "stream", "acomplete", "astream"])
async def test_calls_beside_the_first_are_trimmed_where_one_was_asked(
    emulator, client, request_of, model, way
):  # D8, WIRE A9
    emulator.script({"tool_calls": list(CALLS), "text": ""})
    tools = (Tool("f"), Tool("g"))
    given = await asked(
        client, way, request_of(model=model, tools=tools, parallel_tool_calls=False)
    )
    assert [(call.name, call.arguments) for call in given.tool_calls] == [("f", '{"n":1}')]
    assert [(call.name, call.arguments) for call in given.trimmed_tool_calls] == [("g", '{"n":2}')]


@pytest.mark.parametrize("parallel", [True, None])
def test_calls_are_left_together_where_many_may_come(emulator, client, request_of, parallel):
    emulator.script(*[{"tool_calls": list(CALLS)}] * 2)
    request = request_of(tools=(Tool("f"), Tool("g")), parallel_tool_calls=parallel)
    for given in (client.complete(request), folded(list(client.stream(request)))):
        assert [call.name for call in given.tool_calls] == ["f", "g"]
        assert given.trimmed_tool_calls == ()


def test_text_beside_a_trimmed_call_is_kept(client_over, request_of):
    call = '{"index":1,"id":"2","function":{"name":"g","arguments":"{}"}}'
    event = f'data: {{"choices":[{{"delta":{{"content":"hm","tool_calls":[{call}]}}}}]}}\n\n'
    first = event.replace('"index":1,"id":"2"', '"index":0,"id":"1"')
    bare = event.replace('"content":"hm",', "")
    client = client_over(lambda _: httpx.Response(200, text=first + bare + event + DONE))
    deltas = list(client.stream(request_of(parallel_tool_calls=False)))
    assert [delta.text for delta in deltas] == ["hm", "hm", ""]
    assert [call.name for call in folded(deltas).trimmed_tool_calls] == ["g", "g"]


@pytest.mark.parametrize(
    ("lacking", "error"),
    [
        ("socket.dup", OSError(24, "Too many open files")),
        ("HANG_UPS._add", RuntimeError("can't start new thread")),
    ],
)
def test_a_finished_stream_needs_no_descriptor_or_thread_to_end(
    monkeypatch, emulator, client, request_of, lacking, error
):
    def none_left(*_: object) -> int:
        raise error

    monkeypatch.setattr(f"yandex_compat.hangups.{lacking}", none_left)
    emulator.script({"text": "one two"})
    assert "".join(delta.text for delta in client.stream(request_of())) == "one two"


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", "socks://127.0.0.1:1080"), ("SSL_CERT_FILE", "/nowhere.pem")],
)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_environment_that_allows_no_client_is_told(name, value, asynchronous):
    ask = "asyncio.run(client.acomplete(request))" if asynchronous else "client.complete(request)"
    script = (
        "import asyncio\n"
        "from yandex_compat import *\n"
        "client = YandexClient(api_key='k', folder_id='f', max_retries=0)\n"
        "request = CompletionRequest('yandexgpt', (Message('user', 'Hi'),))\n"
        f"try:\n    {ask}\n"
        "except YandexError as error:\n    print(error)\n"
    )
    # With a proxy or an exception of the machine's own, the request might really leave it.
    kept = {word: os.environ[word] for word in os.environ if "proxy" not in word.lower()}
    environment = {**kept, name: value}
    shown = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert name in shown.stdout
    assert "No HTTP client can be made" in shown.stdout


async def test_a_closed_client_that_was_passed_in_is_told(request_of):
    blocking, waiting = httpx.Client(), httpx.AsyncClient()
    blocking.close()
    await waiting.aclose()
    client = YandexClient(
        api_key="k", folder_id="f", http_client=blocking, http_async_client=waiting
    )
    with pytest.raises(ConfigurationError, match="closed"):
        client.complete(request_of())
    with pytest.raises(ConfigurationError, match="closed"):
        await client.acomplete(request_of())


@pytest.mark.parametrize("streamed", [False, True])
def test_an_error_on_several_lines_inside_a_200(client_over, request_of, streamed):  # WIRE C
    body = '{\n  "error": {\n    "message": "Quota exceeded",\n    "httpCode": 429\n  }\n}\n'
    client = client_over(lambda _: httpx.Response(200, text=body), max_retries=0)
    with pytest.raises(RateLimitError, match="Quota exceeded"):
        list(client.stream(request_of())) if streamed else client.complete(request_of())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("way", ["complete", "acomplete", "stream", "astream"])
async def test_a_custom_tool_there_and_back(emulator, client, request_of, way, model):  # A11
    emulator.script({"tool_calls": [{"name": "sql", "arguments": "select 1", "custom": True}]})
    asking = request_of(model=model, tools=(CustomTool("sql"),))
    completion = await asked(client, way, asking)
    (call,) = completion.tool_calls
    assert (call.name, call.arguments, call.custom) == ("sql", "select 1", True)

    history = (
        *asking.messages,
        Message("assistant", tool_calls=completion.tool_calls),
        Message("tool", "1", tool_call_id=call.id),
    )
    await asked(client, way, replace(asking, messages=history))
    _, said, result = emulator.requests[-1]["body"]["messages"]
    (sent,) = said["tool_calls"]
    assert sent["custom"] == {"name": "sql", "input": "select 1"}
    assert (sent["type"], result["tool_call_id"]) == ("custom", sent["id"])


@pytest.mark.parametrize("words", [{"reasoning_effort": {"effort": "low"}}, {"stop": None}])
def test_words_of_the_wrong_kind_are_refused_unsent(emulator, client, request_of, words):
    with pytest.raises(ConfigurationError, match=next(iter(words))):
        client.complete(request_of(**words))
    assert emulator.requests == []


@pytest.mark.parametrize("way", ["complete", "acomplete", "stream", "astream"])
async def test_a_request_without_an_answer_has_the_id_that_support_asks_for(
    client_over, request_of, way
):  # WIRE Headers
    sent = []

    def silent(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["x-client-request-id"])
        raise httpx.ReadTimeout("slow")

    client = client_over(silent, max_retries=0)
    with pytest.raises(RequestTimedOut) as caught:
        await asked(client, way, request_of())
    assert [caught.value.client_request_id] == sent


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("end", [NO_MORE, b""], ids=["polite", "broken"])
async def test_an_interrupted_stream_has_it_too(raw_server, request_of, way, end):
    client = client_of(raw_server(HEAD + chunked(FIRST) + end))
    with pytest.raises(StreamInterrupted) as caught:
        await asked(client, way, request_of())
    assert caught.value.client_request_id


@pytest.mark.parametrize("way", ["complete", "acomplete", "stream", "astream"])
async def test_an_ignored_choice_has_it_too(emulator, client, request_of, way):
    emulator.script({"text": "No."})
    request = request_of(tools=(Tool("f"),), tool_choice=ToolChoice("required"))
    with pytest.raises(ToolChoiceIgnored) as caught:
        await asked(client, way, request)
    sent = emulator.requests[-1]["headers"]["x-client-request-id"]
    assert caught.value.client_request_id == sent


@pytest.mark.parametrize("way", ["complete", "stream"])
async def test_several_answers_come_in_a_whole_one_only(emulator, client, request_of, way):
    asking = request_of(n=3)
    if way == "stream":
        with pytest.raises(UnsupportedError, match=r"n=3.*Ask without streaming"):
            await asked(client, way, asking)
        assert emulator.requests == []
        return
    completion = await asked(client, way, asking)
    assert emulator.requests[-1]["body"]["n"] == 3
    assert completion.usage
    assert len(completion.alternatives) == 2
    for other in completion.alternatives:
        assert (other.text, other.request_id) == (completion.text, completion.request_id)
        assert other.usage is None


@pytest.mark.parametrize("way", ["complete", "acomplete", "stream", "astream"])
async def test_headers_of_the_answer_are_told_but_for_cookies_and_keys(
    client_over, request_of, way
):
    text = WHOLE if "complete" in way else FIRST + SECOND + DONE
    secret = {"Set-Cookie": "session=s", "Authorization": "Api-Key repeated"}

    def answer(request: httpx.Request) -> httpx.Response:
        seen = f"as {request.headers['authorization']}, yes"
        headers = {"x-server-trace-id": "t1", **secret, "x-seen": seen, "x-request-id": seen}
        return httpx.Response(200, text=text, headers=headers)

    client = client_over(answer, api_key="AQVN-a-key-of-some-length")
    completion = await asked(client, way, request_of())
    told = completion.headers
    assert told["x-server-trace-id"] == "t1"
    assert "session=s" not in str(told)
    assert "AQVN" not in str(told)
    assert "repeated" not in str(told)
    assert completion.request_id is None


class Unsigned(httpx.Auth):
    """The credential of whoever needs none."""


@pytest.mark.parametrize("way", ["complete", "stream"])
@pytest.mark.parametrize(
    "words", [{"api_key": "t1"}, {"api_key": None, "auth": Unsigned()}], ids=["short", "none"]
)
async def test_headers_are_told_where_no_credential_can_be_told_from_them(
    client_over, request_of, way, words
):
    text = WHOLE if way == "complete" else FIRST + SECOND + DONE
    headers = {"x-server-trace-id": "t1", "x-request-id": "r1"}
    client = client_over(lambda _: httpx.Response(200, text=text, headers=headers), **words)
    completion = await asked(client, way, request_of())
    assert completion.headers["x-server-trace-id"] == "t1"
    assert completion.request_id == "r1"


def test_each_answer_of_several_is_treated_as_the_first(client_over, request_of):
    choices = [
        {"index": index, "message": {"content": f"{index} END more"}, "finish_reason": "length"}
        for index in range(3)
    ]
    headers = {"x-request-id": "r1"}
    client = client_over(lambda _: httpx.Response(200, json={"choices": choices}, headers=headers))
    first = client.complete(request_of(n=3, stop=("END",)))
    for index, one in enumerate((first, *first.alternatives)):
        assert (one.text, one.finish_reason) == (f"{index} ", "stop")
        assert (one.request_id, one.headers["x-request-id"]) == ("r1", "r1")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"messages": (Message("system", ("be brief",)),)}, "str"),
        ({"messages": (Message("user", ("hi", "there")),)}, "str"),
        ({"messages": (Message("assistant", ({"type": "text", "text": "x"},)),)}, "dict"),
        ({"messages": (Message("user", None),)}, "NoneType"),
        ({"messages": ("Hi",)}, "str"),
        ({"tools": ({"name": "f"},)}, "dict"),
    ],
)
def test_what_is_no_part_message_or_tool_is_refused_unsent(
    emulator, client, request_of, words, named
):  # D8
    with pytest.raises((ConfigurationError, UnsupportedError), match=named):
        client.complete(request_of(**words))
    assert emulator.requests == []


@pytest.mark.parametrize("way", ["stream", "astream"])
async def test_a_stream_over_http_2_is_left_where_its_answer_ends(client_over, request_of, way):
    """Its connection is used again as it is, and by others meanwhile: nothing more is read."""
    read = []

    class Endless(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self):
            for number in range(100):
                read.append(number)
                yield (FIRST + SECOND + DONE).encode() if not number else b": still here\n\n"

        async def __aiter__(self):
            for data in self:
                yield data

    extensions = {"http_version": b"HTTP/2"}
    client = client_over(lambda _: httpx.Response(200, stream=Endless(), extensions=extensions))
    assert (await asked(client, way, request_of())).text == "one two"
    assert read == [0]


# Bodies of a 200 that are no answer, through the real client, in each API and way.

NATIVE_BEGUN = native_line("one", "PARTIAL")
BEGUN = {"chat": FIRST, "completion": NATIVE_BEGUN}
ENDED = {
    "chat": FIRST + SECOND + DONE,
    "completion": NATIVE_BEGUN + native_line("one two", "FINAL"),
}
NOISY = {
    "chat": "\ufeff: hi\r\n\r\n"
    'data: {"choices":\r\ndata:  [{"delta":{"content":"one\u2028"}}]}\r\n\r\n:\r\ndata:\r\n\r\n'
    'event: x\nid: 1\n'
    'data:{"choices":[{"delta":{"content":" two\x85"},"finish_reason":"stop"}]}\n\n'
    "data: [DONE]\r\r",
    "completion": "\ufeff\r\n" + native_line("one\u2028", "PARTIAL").replace("\n", "\r\n") + "\n \n"
    + native_line("one\u2028 two\x85", "FINAL").rstrip(),
}  # fmt: skip
PAGES = [
    "<html>\n<title>502</title>\n</html>\n",
    "<html><title>502</title></html>",
    "no upstream\n",
]
ERROR = '{"error":{"message":"broke","httpCode":503}}'

both_apis = pytest.mark.parametrize("api", ["chat", "completion"])


def answering(client_over, api: str, body: str | bytes, **headers: str) -> YandexClient:
    """A client that gets a body as it is, undecoded as from a socket, and asks once."""
    data = body if isinstance(body, bytes) else body.encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(data), headers=named)

    return client_over(handler, api=api, max_retries=0)


async def failed(client: YandexClient, way: str, request) -> tuple[str, YandexError]:
    """The text that is given out of a stream, and the error that ends it."""
    given: list[Delta] = []
    with pytest.raises(YandexError) as caught:
        await collect(given, client, way, request)
    return folded(given).text, caught.value


@both_apis
@both_ways
async def test_a_stream_in_every_dress_is_read(client_over, request_of, api, way):
    deltas = await deltas_of(answering(client_over, api, NOISY[api]), way, request_of())
    assert folded(deltas).text == "one\u2028 two\x85"
    assert deltas[-1].final.finish_reason == "stop"


@both_apis
@both_ways
@pytest.mark.parametrize("page", PAGES)
async def test_a_page_in_place_of_a_stream_is_malformed(client_over, request_of, api, way, page):
    text, error = await failed(answering(client_over, api, page), way, request_of())
    assert (text, type(error)) == ("", MalformedAnswer)
    assert page[:6] in str(error)


@both_apis
@both_ways
@pytest.mark.parametrize("size", [0, 20])
async def test_a_finish_that_never_comes_is_an_interruption(
    client_over, request_of, api, way, size
):
    begun = len(BEGUN[api].encode())
    for data, said in ((ENDED[api].encode()[: begun + size], "one"), (b"\n", "")):
        text, error = await failed(answering(client_over, api, data), way, request_of())
        assert (text, type(error), error.partial.text) == (said, StreamInterrupted, said)


@both_apis
@both_ways
@pytest.mark.parametrize(
    ("broken", "kind"), [('{"a', MalformedAnswer), ("[]", MalformedAnswer), (ERROR, ServerError)]
)
async def test_what_breaks_a_stream_comes_after_its_text(
    client_over, request_of, api, way, broken, kind
):
    frame = f"data: {broken}\n\n" if api == "chat" else f"{broken}\n"
    client = answering(client_over, api, BEGUN[api] + frame + ENDED[api])
    text, error = await failed(client, way, request_of())
    assert (text, type(error)) == ("one", kind)


@both_apis
@both_ways
async def test_an_event_larger_than_any_answer_is_malformed(client_over, request_of, api, way):
    large = ("data: " if api == "chat" else "") + "x" * framing.MAX_EVENT_BYTES + "x\n\n"
    client = answering(client_over, api, BEGUN[api] + large + ENDED[api])
    text, error = await failed(client, way, request_of())
    assert (text, type(error)) == ("one", MalformedAnswer)
    assert "larger than 10485760 bytes" in str(error)


@both_apis
@both_ways
async def test_gzip_cut_short_is_an_interruption(client_over, request_of, api, way):
    packed = gzip.compress(BEGUN[api].encode())
    for body in (packed[:-9], packed):
        client = answering(client_over, api, body, content_encoding="gzip")
        text, error = await failed(client, way, request_of())
        assert type(error) is StreamInterrupted
        assert error.partial.text == text
    for body in (packed[:10] + b"\xff" * 9, b"no gzip"):  # wrong from its first byte on
        client = answering(client_over, api, body, content_encoding="gzip")
        text, error = await failed(client, way, request_of())
        assert (text, type(error)) == ("", MalformedAnswer)
    assert (
        folded(
            await deltas_of(
                answering(
                    client_over,
                    api,
                    gzip.compress(ENDED[api].encode())[:-4],
                    content_encoding="gzip",
                ),
                way,
                request_of(),
            )
        ).text
        == "one two"
    )


WHOLES = {
    "chat": WHOLE,
    "completion": native_line("one two", "FINAL"),
}


@both_apis
@pytest.mark.parametrize("way", ["complete", "acomplete"])
async def test_a_body_that_is_no_whole_answer_is_malformed(client_over, request_of, api, way):
    whole = WHOLES[api]
    packed = gzip.compress(whole.encode())
    assert (await asked(answering(client_over, api, whole), way, request_of())).text == "one two"
    bodies: list[tuple[str | bytes, dict]] = [(body, {}) for body in (*PAGES, "", whole[:-5], "[]")]
    bodies += [(body, {"content_encoding": "gzip"}) for body in (packed[:-20], b"no gzip", b"")]
    for body, headers in bodies:
        with pytest.raises(MalformedAnswer):
            await asked(answering(client_over, api, body, **headers), way, request_of())


@both_apis
@pytest.mark.parametrize("way", ["complete", "acomplete"])
async def test_an_error_in_place_of_a_whole_answer_has_its_kind(client_over, request_of, api, way):
    with pytest.raises(ServerError, match="broke"):
        await asked(answering(client_over, api, ERROR), way, request_of())
