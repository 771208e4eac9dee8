"""What the logger `yandex_compat` tells of requests: lines, fields, and what is in none."""

import asyncio
import json
import logging
from contextlib import aclosing, closing

import httpx
import pytest

from yandex_compat import (
    ConnectionFailed,
    InvalidRequestError,
    MalformedAnswer,
    Message,
    RateLimitError,
    RequestTimedOut,
    StreamInterrupted,
    YandexClient,
    transport,
)
from yandex_compat.logs import FIELDS

PROMPT, ANSWER = "the-prompt-itself", "the-answer-itself"
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
WAYS = ("complete", "acomplete", "stream", "astream")


@pytest.fixture
def logged(caplog):
    """The records of the logger at a level, as they come."""

    def at(level):
        caplog.set_level(level, logger="yandex_compat")
        return caplog.records

    yield at
    for record in caplog.records:
        if record.name == "yandex_compat":
            told = vars(record)
            assert set(FIELDS) <= set(told)
            shown = f"{told} {record.getMessage()}"
            assert PROMPT not in shown
            assert ANSWER not in shown
            assert "test-key" not in shown


async def ask(made, way, asked):
    if way == "complete":
        made.complete(asked)
    elif way == "acomplete":
        await made.acomplete(asked)
    elif way == "stream":
        list(made.stream(asked))
    else:
        async for _ in made.astream(asked):
            pass


def events(records):
    return [record.event for record in records if record.name == "yandex_compat"]


@pytest.fixture
def asked(request_of):
    return request_of(model="qwen3-235b-a22b-fp8", messages=(Message("user", PROMPT),))


@pytest.mark.parametrize("way", WAYS)
async def test_a_request_and_its_end(emulator, client, asked, logged, way):
    emulator.script({"text": ANSWER, "usage": USAGE})
    records = logged("DEBUG")
    await ask(client, way, asked)
    sent, answered, completed = (one for one in records if one.name == "yandex_compat")
    assert [one.event for one in (sent, answered, completed)] == ["sent", "answered", "completed"]
    assert [one.levelname for one in (sent, answered, completed)] == ["DEBUG", "DEBUG", "INFO"]
    headers = emulator.requests[0]["headers"]
    for one in (sent, answered, completed):
        assert (one.method, one.path) == ("POST", "/v1/chat/completions")
        assert (one.model, one.api, one.attempt) == ("qwen3-235b-a22b-fp8", "chat", 1)
        assert one.client_request_id == headers["x-client-request-id"]
    assert (sent.status_code, sent.request_id, sent.seconds) == (None, None, None)
    for one in (answered, completed):
        assert one.status_code == 200
        assert one.request_id
        assert one.server_trace_id
        assert one.seconds > 0
        assert one.request_id in one.getMessage()
    assert (completed.finish_reason, completed.input_tokens, completed.output_tokens) == (
        "stop", 7, 3,
    )  # fmt: skip
    assert "completed, stop, 7 tokens in, 3 out" in completed.getMessage()


@pytest.mark.parametrize("way", WAYS)
async def test_at_info_one_line_tells_how_it_ended(emulator, client, asked, logged, way):
    records = logged("INFO")
    await ask(client, way, asked)
    assert events(records) == ["completed"]


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_is_logged_where_nobody_listens(client, asked, logged, way, monkeypatch):
    made = []
    monkeypatch.setattr(transport, "RequestLog", lambda *given: made.append(given))
    records = logged("WARNING")
    await ask(client, way, asked)
    assert events(records) == made == []


@pytest.mark.parametrize("way", WAYS)
async def test_each_retry_with_its_reason_and_wait(client_over, asked, logged, waits, way):
    seen = []
    stream = (
        f'data: {{"choices":[{{"delta":{{"content":"{ANSWER}"}},"finish_reason":"stop"}}]}}\n\n'
        "data: [DONE]\n\n"
    )
    whole = json.dumps({"choices": [{"message": {"content": ANSWER}, "finish_reason": "stop"}]})

    def answer(request):
        seen.append(request.headers["x-client-request-id"])
        if len(seen) == 1:
            return httpx.Response(429, headers={"x-request-id": "r1"}, json={"error": PROMPT})
        if len(seen) == 2:
            raise httpx.ConnectError(PROMPT)
        return httpx.Response(200, content=stream if "stream" in way else whole)

    records = logged("DEBUG")
    await ask(client_over(answer), way, asked)
    assert events(records) == [
        "sent", "answered", "retrying", "sent", "unanswered", "retrying", "sent", "answered",
        "completed",
    ]  # fmt: skip
    of = {event: [one for one in records if one.event == event] for event in events(records)}
    assert [one.attempt for one in of["sent"]] == [1, 2, 3]
    assert [one.client_request_id for one in of["sent"]] == seen
    assert [one.error for one in of["retrying"]] == ["RateLimitError", "ConnectionFailed"]
    assert [one.status_code for one in of["retrying"]] == [429, None]
    assert [one.request_id for one in of["retrying"]] == ["r1", None]
    assert [one.wait for one in of["retrying"]] == waits
    assert "after RateLimitError (429) in attempt 1" in of["retrying"][0].getMessage()
    assert [one.attempt for one in of["completed"]] == [3]


@pytest.mark.parametrize("way", WAYS)
async def test_a_failure_in_the_end(client_over, asked, logged, waits, way):
    records = logged("INFO")
    made = client_over(lambda _: httpx.Response(429, json={"error": PROMPT}))
    with pytest.raises(RateLimitError):
        await ask(made, way, asked)
    assert events(records) == ["retrying", "retrying", "failed"]
    assert (records[-1].error, records[-1].status_code, records[-1].attempt) == (
        "RateLimitError", 429, 3,
    )  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_not_tried_again(client_over, asked, logged, way):
    records = logged("INFO")
    made = client_over(lambda _: httpx.Response(400, json={"error": PROMPT}))
    with pytest.raises(InvalidRequestError):
        await ask(made, way, asked)
    [failed] = records
    assert (failed.event, failed.error, failed.status_code) == (
        "failed",
        "InvalidRequestError",
        400,
    )


async def test_an_answer_that_cannot_be_read(client_over, asked, logged):
    records = logged("INFO")
    made = client_over(lambda _: httpx.Response(200, content=ANSWER))
    for way in ("complete", "acomplete"):
        with pytest.raises(MalformedAnswer):
            await ask(made, way, asked)
    with pytest.raises(MalformedAnswer):
        made.embed(PROMPT, model="text-search-doc")
    assert events(records) == ["failed"] * 3
    assert [one.error for one in records] == ["MalformedAnswer"] * 3


@pytest.mark.parametrize("way", ["stream", "astream"])
async def test_a_stream_that_is_cut(emulator, client, asked, logged, way):
    emulator.script({"text": f"{ANSWER} and more of it", "cut_after": 2})
    records = logged("INFO")
    with pytest.raises(StreamInterrupted) as caught:
        await ask(client, way, asked)
    [cut] = records
    assert (cut.event, cut.error, cut.status_code) == ("interrupted", "StreamInterrupted", 200)
    assert cut.client_request_id == caught.value.client_request_id


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize(("last", "event"), [(False, "closed"), (True, "completed")])
async def test_a_stream_whose_reader_leaves(emulator, client, asked, logged, way, last, event):
    emulator.script({"text": f"{ANSWER} and more of it"})
    records = logged("INFO")
    if way == "stream":
        with closing(client.stream(asked)) as deltas:
            next(delta for delta in deltas if bool(delta.final) is last)
    else:
        async with aclosing(client.astream(asked)) as deltas:
            async for delta in deltas:
                if bool(delta.final) is last:
                    break
    assert events(records) == [event]


@pytest.mark.parametrize("way", ["stream", "astream"])
async def test_a_stream_that_stop_ends(emulator, client, request_of, logged, way):
    emulator.script({"text": "one two three"})
    records = logged("INFO")
    await ask(client, way, request_of(stop=("two",)))
    assert [(one.event, one.finish_reason) for one in records] == [("completed", "stop")]


async def test_what_is_no_generation_is_told_at_debug(client, logged):
    records = logged("DEBUG")
    client.embed(PROMPT, model="text-search-doc")
    await client.aembed(PROMPT, model="text-search-doc")
    client.models()
    assert events(records) == ["sent", "answered"] * 3
    told = [(one.method, one.path, one.model) for one in records if one.event == "sent"]
    embedded = ("POST", "/v1/embeddings", "text-search-doc")
    assert told == [embedded, embedded, ("GET", "/v1/models", None)]


@pytest.mark.parametrize("way", ["complete", "acomplete"])
async def test_a_deferred_generation(emulator, request_of, logged, way):
    words = {"api_key": "test-key", "folder_id": "test-folder", "base_url": emulator.native_url}
    made = YandexClient(**words, api="completion", mode="deferred")
    emulator.script({"path": "/foundationModels/v1/completionAsync", "text": ANSWER})
    records = logged("INFO")
    await ask(made, way, request_of())
    assert events(records) == ["deferred", "completed"]
    assert records[0].operation_id in records[0].getMessage()
    assert (records[0].api, records[0].model) == ("completion", "yandexgpt")


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_that_repeats_the_key(request_of, logged, way):
    secret = "AQVN-test-key-0123456789"  # `logged` looks for it
    headers = {"x-request-id": f"for {secret}", "x-server-trace-id": secret}
    stream = (
        f'data: {{"choices":[{{"delta":{{}},"finish_reason":"{secret}"}}]}}\n\ndata: [DONE]\n\n'
    )
    whole = f'{{"choices":[{{"message":{{"content":""}},"finish_reason":"{secret}\\nx"}}]}}'
    content = stream if "stream" in way else whole
    answers = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, content=content))
    made = YandexClient(
        api_key=secret,
        folder_id="f",
        http_client=httpx.Client(transport=answers),
        http_async_client=httpx.AsyncClient(transport=answers),
    )
    records = logged("DEBUG")
    await ask(made, way, request_of())
    assert events(records) == ["sent", "answered", "completed"]
    assert records[-1].request_id == "for ***"
    assert "\n" not in records[-1].getMessage()


async def test_no_server(asked, logged, waits):
    def refuse(_):
        raise httpx.ConnectError(PROMPT)

    records = logged("DEBUG")
    made = YandexClient(
        api_key="test-key",
        folder_id="f",
        max_retries=0,
        http_client=httpx.Client(transport=httpx.MockTransport(refuse)),
    )
    with pytest.raises(ConnectionFailed):
        made.complete(asked)
    assert events(records) == ["sent", "unanswered", "failed"]
    assert logging.getLogger("yandex_compat").handlers == []


@pytest.mark.parametrize("way", ["acomplete", "astream"])
@pytest.mark.parametrize("where", ["answer", "turn", "retry"])
async def test_who_is_cancelled_is_told_of(asked, logged, way, where):
    reached = asyncio.Event()

    async def wait(_=None):
        reached.set()
        await asyncio.Event().wait()

    async def refuse(_):
        reached.set()
        return httpx.Response(503, headers={"retry-after": "50"})

    class Turn:
        async def __aenter__(self):
            await wait()

        async def __aexit__(self, *error):
            raise AssertionError("nobody gets in")

    answers = httpx.MockTransport(refuse if where == "retry" else wait)
    made = YandexClient(
        api_key="test-key",
        folder_id="f",
        limiter=Turn() if where == "turn" else None,
        http_async_client=httpx.AsyncClient(transport=answers),
    )
    records = logged("INFO")
    asking = asyncio.create_task(ask(made, way, asked))
    await reached.wait()
    if where == "retry":
        while not events(records):
            await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert events(records) == [*(["retrying"] if where == "retry" else []), "closed"]
    assert records[-1].error == "CancelledError"


@pytest.mark.parametrize("way", WAYS)
async def test_an_error_of_the_user_s_own_is_told_of(asked, logged, way):
    def fail(request):
        raise ZeroDivisionError(request.headers["authorization"])

    async def afail(request):
        fail(request)

    answers = httpx.MockTransport(lambda _: httpx.Response(200))
    made = YandexClient(
        api_key="test-key",
        folder_id="f",
        http_client=httpx.Client(transport=answers, event_hooks={"request": [fail]}),
        http_async_client=httpx.AsyncClient(transport=answers, event_hooks={"request": [afail]}),
    )
    records = logged("INFO")
    with pytest.raises(ZeroDivisionError):
        await ask(made, way, asked)
    assert [(one.event, one.error) for one in records] == [("failed", "ZeroDivisionError")]


class Turns:
    """A limiter that lets in once, and then nobody."""

    def __init__(self):
        self.taken = 0

    def __enter__(self):
        self.taken += 1
        if self.taken > 1:
            raise ZeroDivisionError

    def __exit__(self, *error):
        pass


@pytest.mark.parametrize("way", WAYS)
async def test_an_attempt_that_is_not_sent_has_nothing_of_the_one_before(
    client_over, asked, logged, waits, way
):
    refused = httpx.Response(503, headers={"x-request-id": "r1"})
    records = logged("INFO")
    with pytest.raises(ZeroDivisionError):
        await ask(client_over(lambda _: refused, limiter=Turns()), way, asked)
    assert events(records) == ["retrying", "failed"]
    told = records[-1]
    assert (told.attempt, told.request_id, told.client_request_id, told.status_code) == (
        2, None, None, None,
    )  # fmt: skip
    assert "in attempt 2" in told.getMessage()


def test_a_key_in_the_place_of_a_model_is_told_by_no_line(client_over, request_of, logged):
    records = logged("INFO")
    turns = Turns()
    turns.taken = 1
    made = client_over(lambda _: httpx.Response(200), limiter=turns)
    with pytest.raises(ZeroDivisionError):
        made.complete(request_of(model="AQVN-test-secret-key-0123456789"))
    [failed] = records
    assert failed.model == "***"
    assert "secret" not in failed.getMessage()


def test_what_a_server_writes_reaches_no_terminal_as_a_command(client_over, request_of, logged):
    reason = r"\u001b[31mred\ud800\u009b"
    content = f'{{"choices":[{{"message":{{"content":""}},"finish_reason":"{reason}"}}]}}'
    records = logged("INFO")
    client_over(lambda _: httpx.Response(200, text=content)).complete(request_of())
    [completed] = records
    assert completed.finish_reason == "[31mred"
    assert completed.getMessage().isprintable()


OPERATION = {"done": False, "id": "fbv1", "createdAt": "2026-01-01T00:00:00Z"}
DEFERRED = {"api": "completion", "mode": "deferred"}


@pytest.mark.parametrize("way", ["complete", "acomplete"])
async def test_a_look_that_fails_ends_no_deferred_generation(
    client_over, request_of, logged, waits, way
):
    message = {"role": "assistant", "text": ANSWER}
    alternative = {"message": message, "status": "ALTERNATIVE_STATUS_FINAL"}
    done = OPERATION | {"done": True, "response": {"alternatives": [alternative]}}
    answers = iter([(200, OPERATION), (503, {}), (200, done)])

    def answer(_):
        status, body = next(answers)
        return httpx.Response(status, json=body)

    records = logged("INFO")
    await ask(client_over(answer, max_retries=0, **DEFERRED), way, request_of())
    assert events(records) == ["deferred", "completed"]


@pytest.mark.parametrize("way", ["complete", "acomplete"])
@pytest.mark.parametrize(
    ("looked", "error", "word"),
    [
        ((200, OPERATION), RequestTimedOut, {"deferred_timeout": 0.01}),
        ((400, {}), InvalidRequestError, {}),
        ((200, {}), MalformedAnswer, {}),
    ],
)
async def test_a_deferred_generation_that_is_waited_for_in_vain(
    client_over, request_of, logged, way, looked, error, word
):
    answers = [(200, OPERATION)]

    def answer(_):
        status, body = answers.pop() if answers else looked
        return httpx.Response(status, json=body)

    records = logged("INFO")
    with pytest.raises(error):
        await ask(client_over(answer, **DEFERRED, **word), way, request_of())
    assert events(records) == ["deferred", "failed"]
    assert records[-1].error == error.__name__
