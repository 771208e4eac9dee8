"""Deferred generation: begun, looked after, fetched; failed, late, cancelled (WIRE Endpoints)."""

import asyncio
import itertools
import threading
from types import SimpleNamespace

import httpx
import pytest
from langchain_core.runnables import RunnableLambda
from llama_index.core.llms import ChatMessage

from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexLLM
from yandex_compat import (
    ConfigurationError,
    ConnectionFailed,
    InvalidRequestError,
    MalformedAnswer,
    Message,
    NotFoundError,
    Operation,
    RateLimitError,
    RequestTimedOut,
    ServerError,
    Tool,
    UnsupportedError,
    YandexClient,
    client,
    operations,
)
from yandex_compat.emulator import Emulator
from yandex_compat.operations import Polling, read_operation

BEGUN = "/foundationModels/v1/completionAsync"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
every_way = pytest.mark.parametrize("asynchronous", [False, True])


@pytest.fixture
def words(emulator):
    return {
        "api": "completion",
        "api_key": "test-key",
        "folder_id": "test-folder",
        "base_url": emulator.native_url,
    }


DONE = {
    "response": {
        "@type": "type.googleapis.com/yandex.cloud.ai.foundation_models.v1.CompletionResponse",
        "alternatives": [
            {
                "message": {"role": "assistant", "text": "At last"},
                "status": "ALTERNATIVE_STATUS_FINAL",
            }
        ],
    }
}


@pytest.fixture
def naps(monkeypatch, emulator):
    """The waits between looks, none of which is spent; after the third, the answer is ready."""
    waited: list[float] = []

    def nap(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            emulator.release()

    async def anap(seconds: float) -> None:
        # In a thread: the emulator answers in a loop of its own.
        await asyncio.to_thread(nap, seconds)

    monkeypatch.setattr(client, "time", SimpleNamespace(sleep=nap))
    monkeypatch.setattr(client, "asyncio", SimpleNamespace(sleep=anap))
    return waited


def completed(words, request, asynchronous):
    return completed_by(YandexClient(**words, mode="deferred"), request, asynchronous)


def completed_by(made, request, asynchronous):
    return asyncio.run(made.acomplete(request)) if asynchronous else made.complete(request)


def looks(emulator):
    return [r["path"] for r in emulator.requests if r["path"].startswith("/operations/")]


@every_way
def test_an_answer_is_begun_and_looked_for_until_it_is_there(
    words, emulator, request_of, naps, asynchronous
):
    emulator.script({"path": BEGUN, "text": "At last", "gate": True})
    told = completed(words, request_of(), asynchronous)
    assert told.text == "At last"
    assert told.finish_reason == "stop"
    assert told.usage.total_tokens > 0
    first, *rest = emulator.requests
    assert first["path"] == BEGUN
    assert first["body"]["completionOptions"]["stream"] is False
    assert [one["path"] for one in rest] == [f"/operations/{told.operation_id}"] * 4
    assert naps == [1.0, 1.5, 2.25]


def test_waits_grow_up_to_ten_seconds_and_stop_at_the_deadline():
    now = itertools.accumulate(itertools.repeat(0.0))
    polling = Polling("op", 1_000, lambda: next(now))
    waits = [polling.wait() for _ in range(12)]
    assert waits[:3] == [1.0, 1.5, 2.25]
    assert waits == sorted(waits)
    assert waits[-1] == 10.0
    times = iter([0.0, 4.0, 5.0])
    late = Polling("op", 5, lambda: next(times))
    assert late.wait() == 1.0
    with pytest.raises(RequestTimedOut, match=r"deferred_timeout.*result\('op'\)"):
        late.wait()


@pytest.mark.parametrize(("now", "forgiven"), [(4.9, True), (5.0, False), (6.0, False)])
def test_a_failure_at_the_deadline_is_the_one_that_is_raised(now, forgiven):
    times = itertools.chain([0.0], itertools.repeat(now))
    failure = ConnectionFailed("No answer.")

    def look() -> None:
        with Polling("op", 5, lambda: next(times)).look() as deadline:
            assert 1 < deadline.left <= 5  # the last look gets some seconds of its own
            raise failure

    if forgiven:
        look()
        return
    with pytest.raises(ConnectionFailed, match=r"No answer.*result\('op'\)") as raised:
        look()
    assert raised.value is failure


@every_way
def test_the_last_look_ends_too(raw_server, monkeypatch, asynchronous):
    monkeypatch.setattr(operations, "_LAST_LOOK", 0.2)
    url = raw_server(threading.Event()).url
    client = YandexClient(api="completion", api_key="k", folder_id="f", base_url=url, timeout=20)
    with pytest.raises(RequestTimedOut, match=r"deferred_timeout=0\.2 s"):
        asyncio.run(client.aresult("op", timeout=0.1)) if asynchronous else client.result(
            "op", timeout=0.1
        )


@every_way
@pytest.mark.parametrize("failing", [5, 6])
def test_a_few_looks_in_a_row_may_fail(client_over, request_of, naps, asynchronous, failing):
    """Who gave up at the first would begin another generation, and pay for both."""
    looks = []

    def service(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(200, json={"id": "op"})
        looks.append(request.url.path)
        place = len(looks) % (failing + 1)
        if place:
            return httpx.Response(503, text="busy")
        return httpx.Response(200, json={"id": "op", "done": len(looks) > 2 * failing, **DONE})

    made = client_over(service, api="completion", mode="deferred", max_retries=0)
    if failing == 5:
        assert completed_by(made, request_of(), asynchronous).text == "At last"
        assert len(looks) == 12
        return
    with pytest.raises(ServerError) as raised:
        completed_by(made, request_of(), asynchronous)
    assert raised.value.operation_id == "op"
    assert len(looks) == 6


@every_way
def test_a_look_that_is_refused_ends_the_wait(client_over, request_of, naps, asynchronous):
    def service(request: httpx.Request) -> httpx.Response:
        begun = request.method == "POST"
        return httpx.Response(200, json={"id": "op"}) if begun else httpx.Response(404)

    made = client_over(service, api="completion", mode="deferred")
    with pytest.raises(NotFoundError):
        completed_by(made, request_of(), asynchronous)
    assert naps == []


@every_way
def test_an_operation_that_failed_is_not_asked_again(client_over, request_of, naps, asynchronous):
    looks = []

    def service(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(200, json={"id": "op"})
        looks.append(1)
        error = {"code": 14, "message": "Unavailable", "details": []}
        return httpx.Response(200, json={"id": "op", "done": True, "error": error})

    made = client_over(service, api="completion", mode="deferred")
    with pytest.raises(ServerError) as raised:
        completed_by(made, request_of(), asynchronous)
    assert raised.value.operation_id == "op"
    assert len(looks) == 1


@every_way
def test_an_answer_that_is_late_can_be_fetched_by_its_id(words, emulator, request_of, asynchronous):
    """Also by another process, which knows the id alone."""
    emulator.script({"path": BEGUN, "text": "At last", "gate": True})
    impatient = YandexClient(**words, mode="deferred", deferred_timeout=0.01)
    with pytest.raises(RequestTimedOut) as raised:
        completed_by(impatient, request_of(), asynchronous)
    emulator.release()
    other = YandexClient(**words)
    operation = raised.value.operation_id
    told = asyncio.run(other.aresult(operation)) if asynchronous else other.result(operation)
    assert (told.text, told.operation_id) == ("At last", operation)


@every_way
def test_how_an_operation_stands(words, emulator, request_of, asynchronous):
    emulator.script({"path": BEGUN, "text": "At last", "gate": True})
    made = YandexClient(**words)

    def stands(operation_id):
        if asynchronous:
            return asyncio.run(made.aoperation(operation_id))
        return made.operation(operation_id)

    begun = asyncio.run(made.adefer(request_of())) if asynchronous else made.defer(request_of())
    assert begun == Operation(begun.id)
    assert stands(begun.id) == begun
    emulator.release()
    done = stands(begun.id)
    assert done.done
    assert done.completion.text == "At last"


@every_way
@pytest.mark.parametrize(
    ("code", "kind"), [(13, ServerError), (8, RateLimitError), (3, InvalidRequestError)]
)
def test_a_failed_operation_is_a_typed_error(words, emulator, request_of, asynchronous, code, kind):
    error = {"grpcCode": code, "message": "no luck", "details": []}
    emulator.script({"path": BEGUN, "error_after": 0, "error": error})
    with pytest.raises(kind, match="no luck") as raised:
        completed(words, request_of(), asynchronous)
    assert looks(emulator) == [f"/operations/{raised.value.operation_id}"]


def test_a_look_is_tried_again(words, emulator, request_of, waits):
    emulator.script({"path": "/operations", "status": 503, "body": "later"})
    assert completed(words, request_of(), asynchronous=False).text == "You said: Hi"
    assert len(looks(emulator)) == 2
    assert len(waits) == 1


def test_looks_that_fail_tell_which_operation(words, emulator, request_of, naps):
    failing = {"path": "/operations", "status": 503, "body": "later"}
    emulator.script(*[failing] * 6)
    with pytest.raises(ServerError) as raised:
        completed({**words, "max_retries": 0}, request_of(), asynchronous=False)
    assert raised.value.operation_id
    assert YandexClient(**words).result(raised.value.operation_id).text == "You said: Hi"


def test_a_cancelled_wait_looks_no_more(words, emulator, request_of):
    emulator.script({"path": BEGUN, "text": "Late", "gate": True})

    async def scenario() -> None:
        made = YandexClient(**words, mode="deferred")
        task = asyncio.create_task(made.acomplete(request_of()))
        while not looks(emulator):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(1.2)  # longer than the wait before a second look

    asyncio.run(scenario())
    assert len(looks(emulator)) == 1


def test_calls_are_read_as_those_of_any_answer(words, emulator, request_of):
    asked = request_of(tools=(Tool("f\u00fcr", "", SCHEMA),))
    emulator.script({"path": BEGUN, "tool_calls": [{"name": "fur", "arguments": {"n": 5}}]})
    [call] = completed(words, asked, asynchronous=False).tool_calls
    assert (call.name, call.arguments) == ("f\u00fcr", '{"n":5}')


def test_a_stream_is_refused_by_name(words, emulator, request_of):
    made = YandexClient(**words, mode="deferred")
    with pytest.raises(UnsupportedError, match="deferred"):
        next(made.stream(request_of()))
    assert emulator.requests == []


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"mode": "later"}, "mode"),
        ({"mode": "deferred", "api": "chat"}, "api"),
        ({"deferred_timeout": 0}, "deferred_timeout"),
        ({"deferred_timeout": True}, "deferred_timeout"),
    ],
)
def test_wrong_words_are_refused(words, given, named):
    with pytest.raises(ConfigurationError, match=named):
        YandexClient(**{**words, **given})


@pytest.mark.parametrize("operation_id", ["", "a/b", "..%2f", None, 5, "a b"])
def test_an_id_that_is_none_is_refused(words, emulator, operation_id):
    with pytest.raises(ConfigurationError, match="operation_id"):
        YandexClient(**words).operation(operation_id)
    assert emulator.requests == []


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"id": 5}', b'{"id": "../x"}', b'{"id": "x/../y"}', b"<html>"],
)
def test_what_is_no_operation_is_malformed(data):
    with pytest.raises(MalformedAnswer):
        read_operation(data)


def test_no_secret_of_an_operation_is_shown(client_over, request_of):
    def service(request: httpx.Request) -> httpx.Response:
        key = request.headers["authorization"].split()[1]
        if request.method == "POST":
            return httpx.Response(200, json={"id": "op", "done": False})
        error = {"code": 13, "message": f"key {key} broke", "details": []}
        return httpx.Response(200, json={"id": "op", "done": True, "error": error})

    made = client_over(service, api="completion", mode="deferred")
    with pytest.raises(ServerError, match="broke") as raised:
        made.complete(request_of())
    assert "AQVN" not in str(raised.value)


# Both adapters


def test_langchain_waits_for_deferred_answers(words, emulator, naps):
    model = ChatYandex(**words, mode="deferred")
    message = model.invoke("Hi")
    assert message.text == "You said: Hi"
    assert message.response_metadata["operation_id"].startswith("fbv")
    texts = [one.text for one in model.batch(["a", "b"])]
    assert texts == ["You said: a", "You said: b"]
    assert asyncio.run(model.ainvoke("c")).text == "You said: c"
    with pytest.raises(UnsupportedError, match="deferred"):
        list(model.stream("Hi"))


def test_llamaindex_waits_for_deferred_answers(words, emulator, naps):
    llm = YandexLLM(**words, mode="deferred")
    response = llm.complete("Hi")
    assert response.text == "You said: Hi"
    assert response.raw["operation_id"].startswith("fbv")
    assert asyncio.run(llm.acomplete("c")).text == "You said: c"
    with pytest.raises(UnsupportedError, match="deferred"):
        list(llm.stream_complete("Hi"))


def test_the_request_is_that_of_any_answer(words, emulator, request_of, naps):
    asked = request_of(messages=(Message("system", "Be brief"), Message("user", "Hi")))
    completed(words, asked, asynchronous=False)
    YandexClient(**words).complete(asked)
    first, *_, last = emulator.requests
    assert first["body"] == last["body"]


@every_way
def test_an_error_in_the_place_of_an_operation_is_typed(
    words, emulator, request_of, asynchronous
):  # WIRE C
    error = {"grpcCode": 8, "httpCode": 429, "message": "quota limit exceed"}
    emulator.script({"path": BEGUN, "status": 200, "body": {"error": error}})
    with pytest.raises(RateLimitError, match="quota"):
        completed({**words, "max_retries": 0}, request_of(), asynchronous)


async def test_langchain_gives_it_whole_to_those_who_watch(words):
    """Who never asked for a stream, but is inside of something that is watched."""
    model = ChatYandex(**words, mode="deferred")
    node = RunnableLambda(model.ainvoke)
    events = [event async for event in node.astream_events("Hi", version="v2")]
    assert events[-1]["data"]["output"].text == "You said: Hi"


def test_a_deadline_is_no_reason_to_begin_another(words, emulator, request_of):
    emulator.script({"path": BEGUN, "text": "Late", "gate": True})
    made = YandexClient(**words)
    begun = made.defer(request_of())
    with pytest.raises(RequestTimedOut) as raised:
        made.result(begun.id, timeout=0.01)
    assert not raised.value.retryable
    for wrong in ("5", 0, float("nan"), True):
        with pytest.raises(ConfigurationError, match=r"^timeout"):
            made.result(begun.id, timeout=wrong)


@every_way
def test_an_operation_that_is_done_at_once_is_not_looked_for(
    client_over, request_of, naps, asynchronous
):
    def service(request: httpx.Request) -> httpx.Response:
        assert request.method == "POST"
        return httpx.Response(200, json={"id": "op", "done": True, **DONE})

    made = client_over(service, api="completion", mode="deferred")
    told = completed_by(made, request_of(), asynchronous)
    assert (told.text, told.operation_id) == ("At last", "op")


def test_a_generation_that_failed_at_once_is_told(client_over, request_of):
    error = {"code": 3, "message": "Bad words", "details": []}
    body = {"id": "op", "done": True, "error": error}
    made = client_over(lambda _: httpx.Response(200, json=body), api="completion")
    with pytest.raises(InvalidRequestError, match="Bad words"):
        made.defer(request_of())


@every_way
def test_names_and_integers_are_those_of_the_request(words, emulator, request_of, asynchronous):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    asked = request_of(tools=(Tool("Погода", "", schema),))
    emulator.script({"tool_calls": [{"name": "Pogoda", "arguments": {"n": 5}}]})
    [call] = completed(words, asked, asynchronous).tool_calls
    assert (call.name, call.arguments) == ("Погода", '{"n":5}')


def test_the_operation_is_logged_for_those_who_are_interrupted(words, emulator, request_of, caplog):
    emulator.script({"path": BEGUN, "text": "Late", "gate": True})
    made = YandexClient(**words, mode="deferred")

    async def scenario() -> None:
        await asyncio.wait_for(made.acomplete(request_of()), 0.2)

    with caplog.at_level("INFO", logger="yandex_compat"), pytest.raises(TimeoutError):
        asyncio.run(scenario())
    record, left = caplog.records
    assert (record.event, left.event) == ("deferred", "closed")
    emulator.release()
    assert YandexClient(**words).result(record.operation_id).text == "Late"


def test_an_interrupt_tells_which_operation_goes_on(words, emulator, request_of, monkeypatch):
    emulator.script({"path": BEGUN, "text": "Late", "gate": True})

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "time", SimpleNamespace(sleep=interrupted))
    with pytest.raises(KeyboardInterrupt) as raised:
        completed(words, request_of(), asynchronous=False)
    [note] = raised.value.__notes__
    assert "goes on as operation fbv" in note


def test_who_retries_a_failed_look_begins_no_other_generation(client_over, request_of, naps):
    def service(request: httpx.Request) -> httpx.Response:
        begun = request.method == "POST"
        return httpx.Response(200, json={"id": "op"}) if begun else httpx.Response(503)

    made = client_over(service, api="completion", mode="deferred", max_retries=0)
    with pytest.raises(ServerError, match=r"result\('op'\)") as raised:
        made.complete(request_of())
    assert not raised.value.retryable


def test_operations_take_their_time(request_of):
    with Emulator(operation_delay=0.3) as slow:
        made = YandexClient(
            api_key="test-key", folder_id="test-folder", api="completion", base_url=slow.native_url
        )
        begun = made.defer(request_of())
        assert not made.operation(begun.id).done
        assert made.result(begun.id).text == "You said: Hi"


@every_way
@pytest.mark.parametrize("kind", ["langchain", "llamaindex"])
def test_both_adapters_wait_until_it_is_there(words, emulator, naps, asynchronous, kind):
    emulator.script({"path": BEGUN, "text": "At last", "gate": True})
    if kind == "langchain":
        model = ChatYandex(**words, mode="deferred")
        told = asyncio.run(model.ainvoke("Hi")) if asynchronous else model.invoke("Hi")
        text = told.text
    else:
        llm, talk = YandexLLM(**words, mode="deferred"), [ChatMessage(content="Hi")]
        told = asyncio.run(llm.achat(talk)) if asynchronous else llm.chat(talk)
        text = told.message.content
    assert text == "At last"
    assert naps == [1.0, 1.5, 2.25]


def test_the_last_wait_ends_at_the_deadline():
    times = iter([0.0, 0.0, 4.5])
    polling = Polling("op", 5, lambda: next(times))
    assert [polling.wait(), polling.wait()] == [1.0, 0.5]
