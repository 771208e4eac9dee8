"""What is tried again, how often, after how long; counted over the wire."""

import copy
import gc
import pickle
import subprocess
import sys
import weakref
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from inspect import isawaitable

import httpx
import pytest

from langchain_yandex_compat import ChatYandex, YandexEmbeddings
from llamaindex_yandex_compat import YandexEmbedding, YandexLLM
from yandex_compat import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    ConnectionFailed,
    MalformedAnswer,
    RateLimitError,
    RequestTimedOut,
    ServerError,
    StreamInterrupted,
    YandexClient,
    YandexError,
)
from yandex_compat.retries import RetryPolicy
from yandex_compat.wires.apis import APIS

ANSWER = '{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'
EVENTS = 'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
LINE = (
    '{"result":{"alternatives":[{"message":{"role":"assistant","text":"hi"},'
    '"status":"ALTERNATIVE_STATUS_FINAL"}]}}\n'
)
WAYS = ["complete", "acomplete", "stream", "astream", "embed", "aembed"]
every_way = pytest.mark.parametrize("way", WAYS)
every_api = pytest.mark.parametrize("api", APIS)


async def ask(client: YandexClient, way: str, request) -> str:
    """Ask in one of the six ways; the text of the answer."""
    if way == "complete":
        return client.complete(request).text
    if way == "acomplete":
        return (await client.acomplete(request)).text
    if way == "stream":
        return "".join(delta.text for delta in client.stream(request))
    if way == "astream":
        return "".join([delta.text async for delta in client.astream(request)])
    if way == "embed":
        return str(client.embed("hi", model="text-search-doc").vector)
    return str((await client.aembed("hi", model="text-search-doc")).vector)


def good(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/completion"):
        return httpx.Response(200, text=LINE)
    if request.url.path.endswith("/textEmbedding"):
        return httpx.Response(200, text='{"embedding":[1]}')
    if b'"stream":true' in request.content:
        return httpx.Response(200, text=EVENTS)
    if request.url.path.endswith("/embeddings"):
        return httpx.Response(200, text='{"data":[{"embedding":[1]}]}')
    return httpx.Response(200, text=ANSWER)


@pytest.fixture
def client_over(client_over):
    """Clients whose embeddings wait for no turn."""
    return partial(client_over, requests_per_second=0)


class Service:
    """Fails as told, answers then, and remembers what it was asked."""

    def __init__(self, *failures: httpx.Response | Exception) -> None:
        self.failures = list(failures)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if not self.failures:
            return good(request)
        failure = self.failures.pop(0)
        if isinstance(failure, Exception):
            raise failure
        return failure


def failing(status: int, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, text="words", headers=named)


# The policy alone.


def policy(**words: object) -> RetryPolicy:
    return RetryPolicy(**{"max_retries": 5, "draw": lambda low, high: high, **words})


def limited(retry_after: float | None) -> RateLimitError:
    return RateLimitError("x", status_code=429, retry_after=retry_after)


def test_waits_grow_to_the_longest():
    waits = [policy(max_retries=9).wait_after(attempt, limited(None)) for attempt in range(1, 8)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_the_wait_is_drawn_from_zero_on():
    bounds = []
    drawn = policy(draw=lambda *of: bounds.append(of) or of[0])
    assert [drawn.wait_after(attempt, limited(None)) for attempt in (1, 3, 5)] == [0.0] * 3
    assert bounds == [(0.0, 0.5), (0.0, 2.0), (0.0, 8.0)]


def test_the_draw_keeps_to_its_bounds():
    drawn = [RetryPolicy().draw(0.0, 2.0) for _ in range(200)]
    assert 0.0 <= min(drawn) < 0.2
    assert 1.8 < max(drawn) <= 2.0


def test_a_wait_is_never_shorter_than_the_service_asks():
    assert policy().wait_after(1, limited(7.0)) == 7.5
    assert policy(draw=lambda low, high: low).wait_after(1, limited(7.0)) == 7.0


@pytest.mark.parametrize(("asked", "given_up"), [(60.0, False), (60.1, True), (3600.0, True)])
def test_a_wait_too_long_is_left_to_the_caller(asked, given_up):
    assert (policy().wait_after(1, limited(asked)) is None) is given_up


@pytest.mark.parametrize(
    ("attempt", "retries", "given_up"), [(1, 0, True), (1, 1, False), (2, 1, True), (2, 2, False)]
)
def test_attempts_are_counted(attempt, retries, given_up):
    assert (policy(max_retries=retries).wait_after(attempt, limited(None)) is None) is given_up


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyboardInterrupt(), ConfigurationError("x"), APIError("x")]
)
def test_what_may_not_pass_is_not_retried(error):
    assert policy().wait_after(1, error) is None


@pytest.mark.parametrize("error", [ConnectionFailed("x"), RequestTimedOut("x")])
def test_what_may_pass_is_retried(error):
    assert policy().wait_after(1, error) == 0.5


@pytest.mark.parametrize(
    "twin", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"]
)
def test_copies_of_a_policy_draw_waits_of_their_own(twin):
    one, other = (twin(RetryPolicy()) for _ in range(2))
    assert one.draw(0, 1) != other.draw(0, 1)


# Over the wire.


RETRIED = [429, 500, 502, 503, 504]
NOT_RETRIED = [400, 401, 403, 404, 413, 422, 501, 505]
BROKEN = [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.ReadError("reset")]


@every_way
@every_api
@pytest.mark.parametrize("retries", [0, 1, 4])
async def test_what_may_pass_is_retried_so_often_and_no_more(
    client_over, request_of, waits, way, api, retries
):  # WIRE C
    for failure in [*RETRIED, *BROKEN]:
        answers = [failing(failure) if isinstance(failure, int) else failure for _ in range(9)]
        service = Service(*answers)
        client = client_over(service, api=api, max_retries=retries)
        with pytest.raises(YandexError) as caught:
            await ask(client, way, request_of())
        assert caught.value.retryable
        assert getattr(caught.value, "status_code", failure) == failure
        assert (len(service.asked), len(waits)) == (1 + retries, retries), failure
        assert len({seen.content for seen in service.asked}) == 1
        waits.clear()


@every_way
@every_api
async def test_what_stays_is_asked_once(client_over, request_of, waits, way, api):  # WIRE C
    for status in NOT_RETRIED:
        service = Service(*[failing(status, retry_after="0") for _ in range(5)])
        with pytest.raises(APIError) as caught:
            await ask(client_over(service, api=api), way, request_of())
        assert caught.value.status_code == status
        assert (len(service.asked), waits) == (1, []), status


@every_way
@every_api
async def test_two_retries_where_nothing_is_said(client_over, request_of, waits, way, api):
    service = Service(*[failing(503) for _ in range(5)])
    with pytest.raises(ServerError):
        await ask(client_over(service, api=api), way, request_of())
    assert (len(service.asked), len(waits)) == (3, 2)


@every_way
@every_api
async def test_an_answer_after_failures_counts(client_over, request_of, waits, way, api):
    service = Service(failing(503), httpx.ConnectError("refused"))
    assert await ask(client_over(service, api=api), way, request_of()) in {"hi", "[1.0]"}
    assert len(service.asked) == 3
    assert len(waits) == 2


@every_way
@every_api
async def test_the_last_error_is_the_one_raised(client_over, request_of, waits, way, api):
    service = Service(failing(503), failing(500), failing(401))
    with pytest.raises(APIError) as caught:
        await ask(client_over(service, api=api), way, request_of())
    assert len(service.asked) == 3
    assert caught.value.status_code == 401
    assert caught.value.__cause__ is None


def in_seconds(seconds: float) -> str:
    return f"{seconds:g}"


def as_a_date(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


every_spelling = pytest.mark.parametrize("spelled", [in_seconds, as_a_date])


@every_way
@every_api
@every_spelling
async def test_retry_after_is_honoured(client_over, request_of, waits, way, api, spelled):
    for status in RETRIED:
        service = Service(failing(status, retry_after=spelled(20)), failing(503, retry_after="0"))
        await ask(client_over(service, api=api), way, request_of())
        assert len(service.asked) == 3
        # A date has no fractions of a second, and time passes until it is read; 0.5 is drawn.
        assert (20 if spelled is in_seconds else 10) <= waits[0] <= 20.5
        assert 0 <= waits[1] <= 1
        waits.clear()


@every_way
@every_api
@every_spelling
async def test_a_retry_after_too_long_is_raised_at_once(
    client_over, request_of, waits, way, api, spelled
):
    service = Service(failing(429, retry_after=spelled(3600)))
    with pytest.raises(RateLimitError) as caught:
        await ask(client_over(service, api=api), way, request_of())
    assert 3000 < caught.value.retry_after <= 3600
    assert (len(service.asked), waits) == (1, [])


@every_way
async def test_a_retry_after_that_says_nothing_changes_nothing(client_over, request_of, waits, way):
    for value in ["soon", "", "Wed, 21 Oct 2015 07:28:00 GMT", "-5", "nan"]:
        service = Service(failing(503, retry_after=value), failing(429, retry_after=value))
        await ask(client_over(service), way, request_of())
        assert len(service.asked) == 3, value
        assert 0 <= waits[0] <= 0.5
        assert 0 <= waits[1] <= 1.0
        waits.clear()


@every_way
@every_api
async def test_waits_are_drawn_anew_between_zero_and_their_longest(
    client_over, request_of, waits, way, api
):  # full jitter
    service = Service(*[failing(503) for _ in range(24)])
    with pytest.raises(ServerError):
        await ask(client_over(service, api=api, max_retries=23), way, request_of())
    longest = [0.5, 1.0, 2.0, 4.0] + [8.0] * 19
    assert all(0 <= wait <= bound for wait, bound in zip(waits, longest, strict=True))
    # Equal jitter draws from the upper half, and no jitter waits the same; both would show in 23.
    shares = [wait / bound for wait, bound in zip(waits, longest, strict=True)]
    assert len(set(shares)) == 23
    assert min(shares) < 0.5 < max(shares)


@every_way
@every_api
@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (httpx.ConnectError("refused"), ConnectionFailed),
        (httpx.ReadError("reset"), ConnectionFailed),
        (httpx.RemoteProtocolError("hung up"), ConnectionFailed),
        (httpx.ConnectTimeout(""), RequestTimedOut),
        (httpx.ReadTimeout("slow"), RequestTimedOut),
        (httpx.PoolTimeout("full"), RequestTimedOut),
    ],
)
async def test_connections_are_retried(client_over, request_of, waits, way, api, failure, kind):
    service = Service(*[failure] * 5)
    with pytest.raises(kind) as caught:
        await ask(client_over(service, api=api), way, request_of())
    assert type(caught.value) is kind
    assert type(failure).__name__ in str(caught.value)
    assert (len(service.asked), len(waits)) == (3, 2)


@every_way
@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (httpx.UnsupportedProtocol("no http"), ConfigurationError),
        (httpx.InvalidURL("no host"), ConfigurationError),
        (UnicodeError("label empty or too long"), ConfigurationError),
        (httpx.DecodingError("incorrect header check"), MalformedAnswer),
    ],
)
async def test_what_stays_wrong_is_asked_once(client_over, request_of, waits, way, failure, kind):
    service = Service(*[failure] * 5)
    with pytest.raises(kind, match=str(failure)):
        await ask(client_over(service), way, request_of())
    assert (len(service.asked), waits) == (1, [])


@every_way
async def test_an_answer_whose_encoding_is_broken_is_asked_once(raw_server, request_of, waits, way):
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\n"
    server = raw_server(head + b"hello")
    async with at(server) as client:
        with pytest.raises(MalformedAnswer, match="DecodingError"):
            await ask(client, way, request_of())
    assert (server.connections, waits) == (1, [])


@every_way
@pytest.mark.parametrize(
    "head", [b"content-length: 100", b"content-encoding: gzip\r\ncontent-length: 8"]
)
async def test_a_refusal_whose_body_breaks_is_asked_once(raw_server, request_of, waits, way, head):
    refusal = b"HTTP/1.1 401 Unauthorized\r\n" + head + b'\r\n\r\n{"error"'
    server = raw_server(refusal)
    async with at(server) as client:
        with pytest.raises(AuthenticationError, match=r"^401: Unauthorized"):
            await ask(client, way, request_of())
    assert (server.connections, waits) == (1, [])


@pytest.mark.parametrize("way", ["complete", "acomplete"])
async def test_a_whole_answer_that_breaks_off_is_asked_again(raw_server, request_of, waits, way):
    server = raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
    async with at(server) as client:
        with pytest.raises(ConnectionFailed):
            await ask(client, way, request_of())
    assert (server.connections, len(waits)) == (3, 2)


@pytest.mark.parametrize("way", ["stream", "astream"])
@every_api
@pytest.mark.parametrize(
    "framed", [b"", b"content-length: 0\r\n", b"transfer-encoding: chunked\r\n"]
)
async def test_a_stream_that_ends_before_its_first_byte_is_asked_again_however_politely(
    raw_server, request_of, waits, way, api, framed
):  # D10
    end = b"0\r\n\r\n" if b"chunked" in framed else b""
    server = raw_server(b"HTTP/1.1 200 OK\r\nconnection: close\r\n" + framed + b"\r\n" + end)
    async with at(server, api=api) as client:
        with pytest.raises(ConnectionFailed, match="empty") as caught:
            await ask(client, way, request_of())
    assert caught.value.client_request_id
    assert (server.connections, len(waits)) == (3, 2)


@every_way
@every_api
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\ncontent-"], ids=["nothing", "head"])
async def test_a_connection_that_ends_before_the_answer_is_made_again(
    raw_server, request_of, waits, way, api, begun
):
    server = raw_server(begun)
    async with at(server, api=api) as client:
        with pytest.raises(ConnectionFailed) as caught:
            await ask(client, way, request_of())
    assert type(caught.value) is ConnectionFailed
    assert (server.connections, len(waits)) == (3, 2)


def at(server, **words: object) -> YandexClient:
    known = {"api_key": "test-key", "folder_id": "f", "base_url": server.url, "timeout": 20}
    return YandexClient(**known, requests_per_second=0, **words)


@every_way
@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.ReadTimeout])
@pytest.mark.parametrize("retries", [0, 2])
async def test_a_failure_keeps_no_error_that_holds_the_request(
    client_over, request_of, waits, way, kind, retries
):  # D11
    def broken(request: httpx.Request) -> httpx.Response:
        raise kind("x", request=request)

    with pytest.raises(ConnectionFailed) as caught:
        await ask(client_over(broken, max_retries=retries), way, request_of())
    error: BaseException | None = caught.value
    while error is not None:
        assert not isinstance(error, httpx.HTTPError)
        error = error.__cause__ or error.__context__


@every_way
@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize("failure", [None, 503])
async def test_a_failure_dies_with_its_last_holder(
    client_over, request_of, waits, way, retries, failure
):
    def broken(request: httpx.Request) -> httpx.Response:
        if failure:
            return failing(failure)
        raise httpx.ConnectError("x")

    client = client_over(broken, max_retries=retries)
    gc.disable()  # which would take a cycle of error, traceback and frame
    try:
        try:
            await ask(client, way, request_of())
        except YandexError as error:
            held = weakref.ref(error)
        assert held() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("words", "told"), [("refused", "(ConnectError: refused)"), ("", "(ConnectError)")]
)
def test_a_failed_connection_says_what_failed(client_over, request_of, words, told):
    client = client_over(Service(httpx.ConnectError(words)), max_retries=0)
    with pytest.raises(ConnectionFailed) as caught:
        client.complete(request_of())
    assert told in str(caught.value)


def test_a_timeout_names_its_word(client_over, request_of):
    client = client_over(Service(httpx.ReadTimeout("")), max_retries=0, timeout=3)
    with pytest.raises(RequestTimedOut, match="timeout=3 s"):
        client.complete(request_of())


@every_way
async def test_each_attempt_has_an_id_of_its_own(client_over, request_of, waits, way):  # WIRE
    service = Service(failing(503), failing(503))
    await ask(client_over(service), way, request_of())
    ids = [seen.headers["x-client-request-id"] for seen in service.asked]
    assert len(set(ids)) == 3
    assert all(len(one) == 36 for one in ids)
    assert len({(seen.content, seen.headers["authorization"]) for seen in service.asked}) == 1


@every_way
async def test_other_failures_are_raised_as_they_are(client_over, request_of, waits, way):
    service = Service(failing(503), RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        await ask(client_over(service), way, request_of())
    assert len(service.asked) == 2


# Streams, over sockets: before the first byte only (D10).


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("close", ["clean", "reset"])
async def test_a_stream_that_began_is_not_asked_again(
    emulator, client, request_of, waits, way, close
):
    emulator.script({"text": "one two three", "cut_after": 2, "close": close})
    with pytest.raises(StreamInterrupted) as caught:
        await ask(client, way, request_of(model="qwen3-235b-a22b-fp8"))
    assert caught.value.partial.text == "one"
    assert len(emulator.requests) == 1
    assert waits == []


@pytest.mark.parametrize("way", ["stream", "astream"])
async def test_an_error_in_a_stream_that_began_is_not_asked_again(
    emulator, client, request_of, waits, way
):
    emulator.script({"text": "one two three", "error_after": 2})
    with pytest.raises(ServerError) as caught:
        await ask(client, way, request_of(model="qwen3-235b-a22b-fp8"))
    assert caught.value.request_id
    assert len(emulator.requests) == 1


@every_way
async def test_the_emulators_refusals_are_counted(emulator, client, request_of, waits, way):
    path = "/v1/embeddings" if "embed" in way else "/v1/chat/completions"
    quota = {"error": {"grpcCode": 8, "httpCode": 429, "message": "quota"}}
    script = {"path": path, "status": 429, "body": quota, "headers": {"retry-after": "1"}}
    emulator.script(script, script)
    assert await ask(client, way, request_of())
    assert [seen["status"] for seen in emulator.requests] == [429, 429, 200]
    assert len(waits) == 2
    assert min(waits) >= 1.0


@every_api
async def test_nobody_listening_is_tried_three_times(request_of, waits, api):
    client = YandexClient(api_key="k", folder_id="f", base_url="http://127.0.0.1:9/v1", api=api)
    for way in ("complete", "acomplete", "stream", "astream"):
        with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:9/v1.*base_url"):
            await ask(client, way, request_of())
    assert len(waits) == 8
    await client.aclose()


# The adapters have the core's retries, and their frameworks add none.


async def all_of(stream) -> list:
    return [each async for each in stream]


async def begun(stream) -> list:
    return await all_of(await stream)


async def finished(call, model) -> None:
    found = call(model)
    if isawaitable(found):
        await found


WITHOUT_DESCRIPTORS = """
import asyncio, contextlib, os, resource, sys
import httpx
from yandex_compat import CompletionRequest, ConnectionFailed, Message, YandexClient

words = {"api_key": "k", "folder_id": "f", "base_url": "http://127.0.0.1:9/v1"}
clients = {"http_client": httpx.Client(), "http_async_client": httpx.AsyncClient()}
client = YandexClient(**words, **clients)
request = CompletionRequest("yandexgpt", (Message("user", "Hi"),))
client.check(request)
with asyncio.Runner() as runner:
    with contextlib.suppress(httpx.ConnectError):  # httpcore imports some when first used
        runner.run(clients["http_async_client"].get(words["base_url"]))
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    with contextlib.suppress(OSError):
        while True:
            os.open(os.devnull, os.O_RDONLY)
    for ask in (client.complete, lambda request: runner.run(client.acomplete(request))):
        try:
            ask(request)
        except ConnectionFailed as error:
            sys.stdout.write(f"{error}\\n")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors have no such limit")
def test_where_no_descriptor_is_left_to_try_again_with_the_failure_is_told():
    script = [sys.executable, "-c", WITHOUT_DESCRIPTORS]
    done = subprocess.run(script, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    told = done.stdout.splitlines()
    assert len(told) == 2
    assert all(line.startswith("No answer from http:") for line in told)


ADAPTERS = [
    (ChatYandex, lambda model: model.invoke("Hi")),
    (ChatYandex, lambda model: model.ainvoke("Hi")),
    (ChatYandex, lambda model: list(model.stream("Hi"))),
    (ChatYandex, lambda model: all_of(model.astream("Hi"))),
    (YandexLLM, lambda model: model.complete("Hi")),
    (YandexLLM, lambda model: model.acomplete("Hi")),
    (YandexLLM, lambda model: list(model.stream_complete("Hi"))),
    (YandexLLM, lambda model: begun(model.astream_complete("Hi"))),
    (partial(YandexEmbeddings, requests_per_second=0), lambda model: model.embed_query("Hi")),
    (
        partial(YandexEmbeddings, requests_per_second=0),
        lambda model: model.aembed_documents(["Hi"]),
    ),
    (partial(YandexEmbedding, requests_per_second=0), lambda model: model.get_text_embedding("Hi")),
    (
        partial(YandexEmbedding, requests_per_second=0),
        lambda model: model.aget_query_embedding("Hi"),
    ),
]


@every_api
@pytest.mark.parametrize(("make", "call"), ADAPTERS)
async def test_adapters_retry_as_often_as_the_core(waits, api, make, call):
    for failure, retries, requests in [(503, 2, 3), (429, 0, 1), (501, 2, 1), (None, 2, 3)]:
        answer = failing(failure) if failure else httpx.ConnectError("refused")
        service = Service(*[answer] * 5)
        clients = {
            "http_client": httpx.Client(transport=httpx.MockTransport(service)),
            "http_async_client": httpx.AsyncClient(transport=httpx.MockTransport(service)),
        }
        model = make(api_key="k", folder_id="f", api=api, max_retries=retries, **clients)
        with pytest.raises(YandexError):
            await finished(call, model)
        assert len(service.asked) == requests
