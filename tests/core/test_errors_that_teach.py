"""Each error of the service, in each body it comes in and by each way of asking: what it says."""

import asyncio
import json
import re
from collections.abc import Callable
from itertools import product

import httpx
import pytest

from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexLLM
from yandex_compat import (
    APIError,
    AuthenticationError,
    CompletionRequest,
    ConfigurationError,
    ConnectionFailed,
    ContextOverflowError,
    IamTokenAuth,
    InvalidRequestError,
    MalformedAnswer,
    Message,
    MetadataAuth,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimedOut,
    ServerError,
    YandexClient,
    YandexError,
)
from yandex_compat.wires.apis import APIS

KEY = "AQVN-test-secret-key-0123456789"
WAYS = ["complete", "acomplete", "stream", "astream"]
SUPPORT = "try again later, .*tell support the id of the client request"
QUOTA = (
    "ai.textGenerationCompletionSessionsCount.count gauge quota limit exceed: allowed 10 requests"
)

# gRPC code, HTTP status, class, whether a retry may help, the service's words, and what to change.
CODES = [
    (3, 400, InvalidRequestError, False, "temperature is odd", "Change the request as the message"),
    (4, 504, ServerError, True, "DEADLINE_EXCEEDED",
     {"chat": 'smaller max_tokens, or api="completion" with mode="deferred"',
      "completion": 'pass mode="deferred", or a smaller max_tokens'}),
    (5, 404, NotFoundError, False, "no such model",
     (r"sent as gpt://test-folder/yandexgpt/latest, and client\.models\(\) lists .*base_url: POST "
     r"https://")),
    (7, 403, PermissionDeniedError, False, "Permission denied",
     (r"the role ai\.languageModels\.user in the folder test-folder, where "
     r"gpt://test-folder/yandexgpt/latest was asked for")),
    (8, 429, RateLimitError, True, QUOTA, "Set max_concurrency=10, or less"),
    (12, 501, ServerError, False, "Unimplemented",
     {"chat": 'leave out what the message names, .*api="completion"',
      "completion": 'leave out what the message names, .*api="chat"'}),
    (13, 500, ServerError, True, "Internal error", SUPPORT),
    (14, 503, ServerError, True, "upstream unavailable", SUPPORT),
    (16, 401, AuthenticationError, False, "Unknown api key", r"Check api_key \(YC_API_KEY\)"),
]  # fmt: skip
every_code = pytest.mark.parametrize(
    ("grpc", "status", "kind", "retryable", "words", "advice"), CODES, ids=[row[1] for row in CODES]
)
every_api = pytest.mark.parametrize("api", APIS)
every_way = pytest.mark.parametrize("way", WAYS)

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
}


def wrapped(grpc: int, status: int, words: str) -> str:
    error = {"grpcCode": grpc, "httpCode": status, "message": words, "httpStatus": "x"}
    return json.dumps({"error": {**error, "details": []}})


def bare(grpc: int, status: int, words: str) -> str:
    return json.dumps({"code": grpc, "message": words, "details": []})


def typed(grpc: int, status: int, words: str) -> str:
    kind = TYPES.get(status, "other")
    return json.dumps({"error": {"message": words, "type": kind, "param": None, "code": None}})


def text_alone(grpc: int, status: int, words: str) -> str:
    return json.dumps({"error": words})


def plain(grpc: int, status: int, words: str) -> str:
    return f"{words}\r\n"


def page(grpc: int, status: int, words: str) -> str:
    return f"<html>\n<head><title>\n{words}\u2028</title></head>\n<body>{words}</body></html>"


SHAPES = [wrapped, bare, typed, text_alone, plain, page]
WITH_CODE = {wrapped, bare}


def with_grpc(shape: object, grpc: int) -> int | None:
    return grpc if shape in WITH_CODE else None


async def asked(client: YandexClient, way: str, request: CompletionRequest | None = None) -> object:
    request = request or CompletionRequest("yandexgpt", (Message("user", "Hi"),))
    if way == "complete":
        return client.complete(request)
    if way == "acomplete":
        return await client.acomplete(request)
    if way == "stream":
        return list(client.stream(request))
    return [delta async for delta in client.astream(request)]


def answering(status: int, body: str, **headers: str) -> Callable[..., httpx.Response]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: httpx.Response(status, content=body.encode(), headers=named)


async def failed(client: YandexClient, way: str, **more: object) -> YandexError:
    with pytest.raises(YandexError) as caught:
        await asked(client, way, **more)
    return caught.value


def check_told(error: YandexError, status: int, words: str, advice: str) -> None:
    """One line: status, the service's words, the id that support asks for, what to change."""
    told = str(error)
    assert told.splitlines() == [told]
    assert told.isprintable()
    known = f"{status}: {words} (client request {error.client_request_id}). "
    assert told.startswith(known), told
    assert re.search(advice, told.removeprefix(known)), told
    assert told.endswith(".")
    assert KEY not in told


@every_code
@every_api
async def test_a_bad_status_teaches(
    client_over, api, grpc, status, kind, retryable, words, advice
):  # WIRE C
    advice = advice if isinstance(advice, str) else advice[api]
    for way, shape in product(WAYS, SHAPES):
        body = shape(grpc, status, words)
        client = client_over(answering(status, body, x_request_id="r-1"), api=api, max_retries=0)
        error = await failed(client, way)
        assert (type(error), error.retryable) == (kind, retryable), (way, shape)
        assert (error.status_code, error.code) == (status, with_grpc(shape, grpc)), (way, shape)
        assert (error.request_id, len(error.client_request_id)) == ("r-1", 36)
        assert error.response.text == body
        if shape is page:
            said = f"a web page, not the service's own answer: {words}"
            check_told(error, status, said, of_page(status, advice))
        else:
            check_told(error, status, words, advice)


def of_page(status: int, advice: str) -> str:
    """What to change where a page came: whoever wrote it, it was not the service."""
    if advice == SUPPORT:
        return "what stands before the service: check base_url"
    return "Check base_url and the proxies between: POST https" if status < 429 else advice


@every_code
@every_api
async def test_an_error_inside_a_200_teaches(
    client_over, api, grpc, status, kind, retryable, words, advice
):  # WIRE C
    advice = advice if isinstance(advice, str) else advice[api]
    whole, events = ["{}"], ["data: {}\n\n", "{}\n", "{}"]
    frames = [(way, frame) for way in WAYS for frame in (events if "stream" in way else whole)]
    for (way, frame), shape in product(frames, [wrapped, bare, typed, text_alone]):
        # What tells no status is taken for a failure of the service.
        unknown = shape is text_alone or (shape is typed and status not in TYPES)
        body = frame.format(shape(grpc, status, words))
        client = client_over(answering(200, body, x_request_id="r-1"), api=api, max_retries=0)
        error = await failed(client, way)
        assert type(error) is (ServerError if unknown else kind), (way, frame, shape)
        assert error.retryable is (True if unknown else retryable)
        assert error.status_code == (500 if unknown else status)
        assert error.code == with_grpc(shape, grpc)
        assert (error.request_id, len(error.client_request_id)) == ("r-1", 36)
        check_told(error, error.status_code, words, SUPPORT if unknown else advice)


@every_api
@pytest.mark.parametrize("way", ["stream", "astream"])
async def test_an_error_after_the_first_words_teaches(client_over, api, way):  # WIRE C
    begun = {
        "chat": 'data: {"choices":[{"delta":{"content":"Once"}}]}\n\ndata: ',
        "completion": '{"result":{"alternatives":[{"message":{"role":"assistant","text":"Once"},'
        '"status":"ALTERNATIVE_STATUS_PARTIAL"}]}}\n',
    }
    body = begun[api] + wrapped(8, 429, QUOTA) + "\n\n"
    error = await failed(client_over(answering(200, body), api=api), way)
    assert type(error) is RateLimitError
    check_told(error, 429, QUOTA, "Set max_concurrency=10")


# What an error says besides depends on what was sent.


CREDENTIALS = [
    ({"api_key": KEY}, r"Check api_key \(YC_API_KEY\): copy the key again"),
    ({"api_key": "t1.9euelZqtest.signature"}, "looks like an IAM token: pass it as iam_token"),
    ({"api_key": "y0_AgAAAAtest-token"}, r"looks like an OAuth token: .*auth=OAuthAuth\(…\)"),
    ({"iam_token": "t1.9euelZqtest.signature"}, "12 hours at most, so that it may have expired"),
    ({"iam_token": KEY}, "looks like an API key: pass it as api_key"),
    ({"iam_token": "y0_AgAAAAtest-token"}, "looks like an OAuth token"),
    ({"auth": IamTokenAuth("t1.9euelZqtest.signature")}, r"Check iam_token \(YC_IAM_TOKEN\)"),
    ({"auth": lambda: "t1.9euelZqtest.signature"}, "The function of auth was asked twice"),
    ({"auth": httpx.BasicAuth("user", "password-1")}, "Authorization must be `Api-Key KEY`"),
]


@pytest.mark.parametrize(("words", "advice"), CREDENTIALS)
@pytest.mark.parametrize("way", ["complete", "astream"])
async def test_a_401_names_what_was_sent(client_over, way, words, advice):
    client = client_over(answering(401, bare(16, 401, "no")), **{"api_key": None, **words})
    error = await failed(client, way)
    assert type(error) is AuthenticationError
    check_told(error, 401, "no", advice)
    for secret in words.values():
        assert str(secret) not in str(error)


@pytest.mark.parametrize("way", ["complete", "acomplete"])
async def test_a_401_of_a_token_that_was_had_anew(emulator, client_over, way):
    auth = MetadataAuth(url=emulator.url)
    error = await failed(client_over(answering(401, "no"), api_key=None, auth=auth), way)
    check_told(error, 401, "no", r"A new IAM token from auth=MetadataAuth\(…\) was refused as well")


@pytest.mark.parametrize("make", [ChatYandex, YandexLLM])
@pytest.mark.parametrize("row", [CODES[row] for row in (3, 4, 8)], ids=["403", "429", "401"])
@every_api
def test_both_adapters_say_the_same(make, row, api):
    grpc, status, kind, retryable, words, advice = row
    transport = httpx.MockTransport(answering(status, wrapped(grpc, status, words)))
    known = {"api_key": KEY, "folder_id": "test-folder", "api": api, "max_retries": 0}
    model = make(**known, http_client=httpx.Client(transport=transport))
    told = []
    with pytest.raises(kind) as caught:
        model.invoke("Hi") if make is ChatYandex else model.complete("Hi")
    told.append(caught.value)
    with pytest.raises(kind) as caught:
        list(model.stream("Hi") if make is ChatYandex else model.stream_complete("Hi"))
    told.append(caught.value)
    for error in told:
        assert (error.retryable, error.code) == (retryable, grpc)
        check_told(error, status, words, advice)


TOLD_BY_TASK = [
    # what is asked, the answer, what it must say
    ("embed", (429, "quota limit exceed: allowed 10 requests"), "Set requests_per_second=10, or"),
    ("embed", (429, "Too many"), r"Set requests_per_second lower \(it is 10 by default\)"),
    ("embed", (400, "invalid model_uri"),
     (r"sent as emb://test-folder/text-search-docs/latest \(did you mean 'text-search-doc'\?\)\. "
     "A URI is written emb://FOLDER/NAME/BRANCH")),
    ("embed", (400, "number of input tokens must be no more than 2048"), "Split the text"),
    ("embed", (504, "slow"), "failure is the service's own"),
    ("embed", (429, "quota limit exceed: allowed 0 requests"), "no quota at all: ask for one"),
    ("tokenize", (429, "quota limit exceed: allowed 50 requests"), "Send fewer requests at once"),
    ("models", (403, "no"), r"ai\.languageModels\.user in the folder test-folder, or set folder"),
    ("models", (405, "Method Not Allowed"), r"Check base_url: GET https://ai"),
    ("models", (404, "no"), r"Check base_url: GET https://ai\.api\.cloud\.yandex\.net/v1/models"),
    ("operation", (404, "no"), "Check the operation's id.*/operations/op1 was asked"),
    ("labels", (403, "no"), "the folder test-folder, or set folder_id"),
    ("page", (404, "no"), r"base_url: GET https://\S+/chat/completions was asked"),
    ("stored", (404, "no"), "Check the id that was asked for, and base_url: GET "),
]  # fmt: skip
ASK = {
    "embed": lambda client: client.embed("text", model="text-search-docs"),
    "tokenize": lambda client: client.tokenize("text", model="yandexgpt"),
    "models": lambda client: client.models(),
    "operation": lambda client: client.operation("op1"),
    "stored": lambda client: client.stored.retrieve("c1"),
    "page": lambda client: client.stored.page(metadata={"of": "a person"}),
    "labels": lambda client: client.stored.update("c1", {"model": "a label"}),
}
AASK = {
    "embed": lambda client: client.aembed("text", model="text-search-docs"),
    "tokenize": lambda client: client.atokenize("text", model="yandexgpt"),
    "models": lambda client: client.amodels(),
    "operation": lambda client: client.aoperation("op1"),
    "stored": lambda client: client.stored.aretrieve("c1"),
    "page": lambda client: client.stored.apage(metadata={"of": "a person"}),
    "labels": lambda client: client.stored.aupdate("c1", {"model": "a label"}),
}


@pytest.mark.parametrize(("task", "answer", "advice"), TOLD_BY_TASK)
@every_api
def test_the_advice_is_on_what_was_asked(client_over, api, task, answer, advice):
    status, words = answer
    handler = answering(status, bare(0, status, words))
    more = {"max_retries": 0, "supports_store": True, "requests_per_second": 0}
    client = client_over(handler, api=api, **more)
    told = []
    with pytest.raises(APIError) as caught:
        ASK[task](client)
    told.append(caught.value)
    with pytest.raises(APIError) as caught:
        asyncio.run(AASK[task](client))
    told.append(caught.value)
    for error in told:
        check_told(error, status, words, advice)


TOLD_BY_MODEL = [
    ("llama", (400, "maximum context length is 8192 tokens"), "larger context than its 8192 tok"),
    ("new", (413, "number of tokens is 9, too many tokens"), r"a model with a larger context\.$"),
    ("llama", (400, "max_tokens must not exceed 2000"), "Change max_tokens as the message says"),
    ("yandexgpt", (413, "Request Entity Too Large"), "fewer or smaller images"),
    ("yandexgpt", (429, "quota limit exceed: allowed 0 requests"), "no quota at all: ask for one"),
    ("yandexgpt", (429, "slow down"), "Set max_concurrency to fewer generations at once"),
    ("yandexgtp", (404, "no such model"), (r"gpt://test-folder/yandexgtp/latest \(did you mean "
     r"'yandexgpt'\?\), and client\.models\(\)")),
    ("aliceai-llm", (504, "slow"), r"too long: pass a smaller max_tokens\."),
    ("aliceai-llm", (501, "no"), r"leave out what the message names\."),
    ("gpt://their-folder/yandexgpt", (403, "no"), "set the folder in model's URI to a folder"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "answer", "advice"), TOLD_BY_MODEL)
async def test_the_advice_is_on_the_model(client_over, model, answer, advice):
    status, words = answer
    client = client_over(answering(status, text_alone(0, status, words)), max_retries=0)
    request = CompletionRequest(model, (Message("user", "Hi"),))
    error = await failed(client, "complete", request=request)
    check_told(error, status, words, advice)
    overflow = "context" in advice
    assert isinstance(error, ContextOverflowError) is overflow


def test_the_service_s_wait_is_told(client_over):
    client = client_over(answering(429, text_alone(8, 429, QUOTA), retry_after="3600"))
    with pytest.raises(RateLimitError, match=r"The service asks for a wait of 3600 s\.$"):
        client.models()


def test_a_redirect_says_what_was_asked_and_not_where_it_led(client_over):
    client = client_over(answering(307, "", location="https://x.test/?token=1"))
    with pytest.raises(NotFoundError, match=r"Check base_url: GET https://.*no redirect") as caught:
        client.models()
    assert "x.test" not in str(caught.value)
    assert caught.value.response.headers["location"] == "https://x.test/?token=1"


def test_a_terminal_s_commands_do_not_pass(client_over):
    client = client_over(
        answering(500, '{"error": "a\\u001b[31m\\u0000red\\nline"}'), max_retries=0
    )
    with pytest.raises(ServerError) as caught:
        client.models()
    check_told(caught.value, 500, "a [31m red line", SUPPORT)


def test_a_secret_in_the_place_of_a_model_is_blotted_out(client_over):
    client = client_over(answering(404, text_alone(5, 404, "no")))
    with pytest.raises(NotFoundError) as caught:
        client.tokenize("text", model=KEY)
    check_told(caught.value, 404, "no", r"sent as gpt://test-folder/\*\*\*/latest")


def test_a_body_of_any_size_and_words_names_no_other_model(client_over):
    said = '"model": "gpt://evil/x" "modelUri":"gpt://evil/y"' * 1000
    client = client_over(answering(404, text_alone(5, 404, "no")))
    request = CompletionRequest("yandexgpt", (Message("user", said),))
    with pytest.raises(NotFoundError, match="sent as gpt://test-folder/yandexgpt/latest,"):
        client.complete(request)


# The two mistakes that users report most (WIRE Endpoints), over the emulator.


@pytest.fixture(params=APIS)
def account(request, emulator):
    """Makes clients of the emulated account, by either API."""

    def make(**words: object) -> YandexClient:
        root = emulator.chat_url if request.param == "chat" else emulator.native_url
        known = {"api_key": "test-key", "folder_id": "test-folder", "base_url": root}
        return YandexClient(**{**known, "api": request.param, **words})

    return make


@every_way
async def test_a_folder_that_is_not_the_keys(account, way):
    error = await failed(account(folder_id="b1gother"), way)
    words = (
        "Specified folder ID 'b1gother' does not match with service account folder ID 'test-folder'"
    )
    advice = (
        r"Set folder_id \(YC_FOLDER_ID\) to test-folder, the folder of the key's service account, "
        "or take the key of a service account of the folder b1gother"
    )
    assert type(error) is InvalidRequestError
    check_told(error, 400, words, advice)


@every_way
async def test_the_folder_of_a_uri_that_is_not_the_keys(account, way):
    request = CompletionRequest("gpt://b1gother/yandexgpt/rc", (Message("user", "Hi"),))
    error = await failed(account(), way, request=request)
    assert "Set the folder in model's URI to test-folder" in str(error)


def test_a_folder_that_does_not_match_and_no_word_of_which_would(client_over):
    client = client_over(answering(403, bare(7, 403, "folder ID does not match")))
    with pytest.raises(PermissionDeniedError, match=r"Set folder_id \(YC_FOLDER_ID\) to the folde"):
        client.models()


@every_way
async def test_a_model_that_is_not_there(account, way):
    request = CompletionRequest("yandexgtp", (Message("user", "Hi"),))
    error = await failed(account(), way, request=request)
    words = "invalid model_uri gpt://test-folder/yandexgtp/latest"
    advice = (
        r"Check model: it was sent as gpt://test-folder/yandexgtp/latest \(did you mean "
        r"'yandexgpt'\?\)\. A URI is written gpt://FOLDER/NAME/BRANCH, and client\.models\(\)"
    )
    check_told(error, 400, words, advice)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("YandexGPT", "'yandexgpt'"),
        ("emb://test-folder/text-search-doc/latest", "such as 'yandexgpt'"),
        ("emb://test-folder/new/latest", "give a gpt:// URI"),
        ("text-search-doc", "such as 'yandexgpt'"),
        ("gpt://yandexgpt/latest", "gpt://FOLDER/NAME/latest"),
        ("test-folder/yandexgpt", "with the scheme"),
        ("gpt://FOLDER/yandexgpt/latest", "the id of your folder"),
    ],
)
async def test_a_mistaken_model_is_never_sent(emulator, account, model, told):
    for way in WAYS:
        request = CompletionRequest(model, (Message("user", "Hi"),))
        error = await failed(account(), way, request=request)
        assert type(error) is ConfigurationError
        assert told in str(error)
        assert str(error).splitlines() == [str(error)]
    assert emulator.requests == []


@pytest.mark.parametrize("model", ["gpt://test-folder/yandexgpt/latest", "yandexgpt", "YandexGPT"])
async def test_a_text_model_is_never_asked_for_a_vector(emulator, account, model):
    client = account()
    with pytest.raises(ConfigurationError, match=re.escape(repr(model))):
        client.embed("text", model=model)
    with pytest.raises(ConfigurationError, match=re.escape(repr(model))):
        await client.aembed("text", model=model)
    assert emulator.requests == []


# No answer, or none that can be read (WIRE C: connection errors before the first byte).


@every_api
@pytest.mark.parametrize(
    ("failure", "kind", "advice"),
    [
        (httpx.ConnectError("refused"), ConnectionFailed, "Check base_url and the network"),
        (httpx.ReadError("reset"), ConnectionFailed, "or try again"),
        (httpx.ReadTimeout("slow"), RequestTimedOut, "raise timeout"),
    ],
)
async def test_no_answer_teaches(client_over, api, failure, kind, advice):
    def broken(_: httpx.Request) -> httpx.Response:
        raise failure

    for way in WAYS:
        error = await failed(client_over(broken, api=api, max_retries=0), way)
        assert (type(error), error.retryable) == (kind, True)
        assert re.search(advice, str(error))
        assert str(error).endswith(f"(client request {error.client_request_id}).")
        assert str(error).isprintable()


@pytest.mark.parametrize(
    ("failure", "word"),
    [
        (httpx.ConnectTimeout, "connect_timeout=2"),
        (httpx.ReadTimeout, "first_byte_timeout=3"),
        (httpx.WriteTimeout, "timeout=4"),
        (httpx.PoolTimeout, "timeout=4"),
    ],
)
async def test_each_timeout_names_its_word(client_over, failure, word):
    def broken(_: httpx.Request) -> httpx.Response:
        raise failure("slow")

    timeouts = {"connect_timeout": 2, "first_byte_timeout": 3, "timeout": 4}
    for way in WAYS:
        error = await failed(client_over(broken, max_retries=0, **timeouts), way)
        assert f", {word} s). Try again, or raise {word.partition('=')[0]} " in str(error)


@every_api
@pytest.mark.parametrize("way", ["complete", "acomplete"])
async def test_a_page_in_the_place_of_an_answer_teaches(client_over, api, way):
    error = await failed(client_over(answering(200, page(0, 0, "Hello")), api=api), way)
    assert (type(error), error.retryable) == (MalformedAnswer, False)
    assert re.search("is no JSON: '<html>.*Check what base_url leads to", str(error))
    assert str(error).endswith(f"(client request {error.client_request_id}).")
    assert str(error).isprintable()
