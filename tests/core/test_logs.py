"""What the logger `yandex_compat` tells of requests: lines, fields, and what is in none."""

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
