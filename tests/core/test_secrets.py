"""No secret in any text, repr, pickle or error, even where the server repeats it."""

import asyncio
import pickle
import traceback
from dataclasses import dataclass

import httpx
import pytest
from pydantic import ValidationError

from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexLLM
from yandex_compat import (
    ApiKeyAuth,
    AuthenticationError,
    ConfigurationError,
    ContextOverflowError,
    IamTokenAuth,
    MalformedAnswer,
    NotFoundError,
    PermissionDeniedError,
    YandexClient,
    YandexError,
)
from yandex_compat.errors import without_secrets

KEY = "AQVN-test-secret-key-0123456789"


def everything_of(error: BaseException) -> str:
    """Whatever a log, a debugger or another process could see of an error."""
    seen = [str(error), repr(error), "".join(traceback.format_exception(error))]
    seen.append(repr(vars(error)))
    if response := getattr(error, "response", None):
        seen += [response.text, repr(response.headers.multi_items())]
    seen.append(pickle.dumps(error).decode("latin-1"))
    return "\n".join(seen)


@pytest.mark.parametrize("auth", [ApiKeyAuth(KEY), IamTokenAuth(KEY)])
def test_credentials_hide_in_repr_and_str(auth):
    assert KEY not in f"{auth!r} {auth} {[auth]}"
    assert type(auth).__name__ in repr(auth)


@pytest.mark.parametrize("word", ["api_key", "iam_token"])
def test_clients_hide_their_credential_and_default_headers(word):
    client = YandexClient(**{word: KEY}, default_headers={"x-token": "header-secret"})
    assert KEY not in f"{client!r} {client}"
    assert "header-secret" not in f"{client!r} {client}"
    assert "https://ai.api.cloud.yandex.net/v1" in repr(client)


@pytest.mark.parametrize("auth", [ApiKeyAuth, IamTokenAuth])
@pytest.mark.parametrize(
    "secret",
    [
        "",
        " ",
        "key\n",
        "\nkey",
        "a b",
        "a\tb",
        "ключ",
        "key\r",
        "\x7f",
        'k"y',
        "k!y",
        "k\\y",
        "k:y",
        5,
        None,
        b"key",
    ],
)
def test_broken_credentials_are_refused_by_name_and_unseen(auth, secret):
    with pytest.raises(ConfigurationError, match=rf"^{auth.word} ") as caught:
        auth(secret)
    assert "key" not in str(caught.value).replace("api_key", "")


@pytest.mark.parametrize("name", ["YC_API_KEY", "YC_IAM_TOKEN"])
def test_broken_credentials_of_the_environment_are_refused(monkeypatch, name):
    monkeypatch.setenv(name, f"{KEY}\n")
    with pytest.raises(ConfigurationError) as caught:
        YandexClient()
    assert KEY not in everything_of(caught.value)


ECHOES = {
    "json": (401, f'{{"error":{{"message":"Unknown api key {KEY}","code":16}}}}'),
    "plain": (500, f"no such key: {KEY}"),
    "html": (502, f"<html><title>{KEY}</title>{KEY}</html>"),
    "in a 200": (200, f'{{"error":{{"message":"Unknown api key {KEY}","code":16}}}}'),
    "no json": (200, f"Authorization: Api-Key {KEY}"),
    "no choices": (200, f'{{"authorization": "{KEY}"}}'),
    "cut within the key": (200, "x" * 60 + " " + "y" * 125 + " " + KEY * 20),
    "cut within a word": (200, f'{{"a":"{"y" * 183}{KEY}"}}'),
    "another shape": (200, f'{{"choices": [["{KEY}"]]}}'),
}


def echo(status: int, body: str) -> httpx.Response:
    headers = {"x-request-id": KEY, "x-echo": f"Api-Key {KEY}", "retry-after": "0"}
    headers["set-cookie"] = f"key={KEY}"
    return httpx.Response(status, text=body, headers=headers)


every_echo = pytest.mark.parametrize(("status", "body"), ECHOES.values(), ids=ECHOES.keys())


@every_echo
def test_what_the_server_repeats_is_blotted_out(client_over, request_of, status, body):
    client = client_over(lambda _: echo(status, body), max_retries=0)
    with pytest.raises(YandexError) as caught:
        client.complete(request_of())
    assert KEY not in everything_of(caught.value)
    assert KEY[:10] not in everything_of(caught.value)


@every_echo
def test_what_a_stream_repeats_is_blotted_out(client_over, request_of, status, body):
    body = body if status != 200 else f"data: {body}\n\n"
    client = client_over(lambda _: echo(status, body), max_retries=0)
    with pytest.raises(YandexError) as caught:
        list(client.stream(request_of()))
    assert KEY not in everything_of(caught.value)
    assert KEY[:10] not in everything_of(caught.value)


@every_echo
async def test_what_the_server_repeats_is_blotted_out_async(client_over, request_of, status, body):
    client = client_over(lambda _: echo(status, body), max_retries=0)
    with pytest.raises(YandexError) as caught:
        await client.acomplete(request_of())
    assert KEY not in everything_of(caught.value)


def test_what_a_transport_repeats_is_blotted_out(client_over, request_of):
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"no way with {request.headers['authorization']}")

    with pytest.raises(YandexError, match=r"no way with \*\*\*") as caught:
        client_over(broken, max_retries=0).complete(request_of())
    assert KEY not in everything_of(caught.value)


def test_what_breaks_a_stream_is_blotted_out(client_over, request_of):
    class Broken(httpx.SyncByteStream):
        def __iter__(self):
            yield b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
            raise httpx.ReadError(f"broken by {KEY}")

    client = client_over(lambda _: httpx.Response(200, stream=Broken()))
    with pytest.raises(YandexError, match=r"broken by \*\*\*") as caught:
        list(client.stream(request_of()))
    assert KEY not in everything_of(caught.value)


def test_blotting_leaves_what_helps(client_over, request_of):
    client = client_over(lambda _: echo(*ECHOES["json"]), max_retries=0)
    with pytest.raises(YandexError, match=r"401: Unknown api key \*\*\*.*YC_API_KEY"):
        client.complete(request_of())


@pytest.mark.parametrize("streamed", [False, True])
def test_no_earlier_error_keeps_what_was_blotted_out(client_over, request_of, streamed):
    body = f'{{"error":{{"message":"no {KEY}"}}}}'.encode()
    data = b"data: " + body + b"\n\n" if streamed else body
    client = client_over(lambda _: httpx.Response(200, content=data), max_retries=0)
    with pytest.raises(YandexError) as caught:
        list(client.stream(request_of())) if streamed else client.complete(request_of())
    error = caught.value
    while error is not None:
        assert KEY not in f"{error!r}{getattr(error, '__dict__', '')}"
        error = error.__context__


# A credential of the user's own.


@dataclass
class Own(httpx.Auth):
    token: str

    def auth_flow(self, request):
        request.headers["Authorization"] = f"Bearer {self.token}"
        yield request


def test_a_client_does_not_show_an_auth_of_ones_own():
    assert KEY in repr(Own(KEY))
    assert KEY not in repr(YandexClient(auth=Own(KEY), folder_id="f"))


@every_echo
@pytest.mark.parametrize("streamed", [False, True])
def test_what_an_auth_of_ones_own_sends_is_blotted_out(
    client_over, request_of, streamed, status, body
):
    data = f"data: {body}\n\n" if streamed and status == 200 else body
    client = client_over(lambda _: echo(status, data), api_key=None, auth=Own(KEY), max_retries=0)
    with pytest.raises(YandexError) as caught:
        list(client.stream(request_of())) if streamed else client.complete(request_of())
    assert KEY not in everything_of(caught.value)


# Escapes.

ESCAPED = {
    "by .NET": lambda key: key.replace("+", "\\u002B"),
    "by PHP": lambda key: key.replace("/", "\\/"),
    "every sign": lambda key: "".join(f"\\u{ord(sign):04x}" for sign in key),
}


@pytest.mark.parametrize("escaped", ESCAPED.values(), ids=ESCAPED.keys())
@pytest.mark.parametrize("status", [401, 200])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_credential_escaped_in_json_is_blotted_out(
    client_over, request_of, escaped, status, streamed
):
    key = "AQVN+abc/def=0123456789"
    body = f'{{"error":{{"message":"no {escaped(key)}","code":16}}}}'
    data = f"data: {body}\n\n" if streamed and status == 200 else body
    client = client_over(lambda _: echo(status, data), api_key=key, max_retries=0)
    with pytest.raises(AuthenticationError, match=r"no \*\*\*") as caught:
        list(client.stream(request_of())) if streamed else client.complete(request_of())
    assert key not in str(caught.value)


@pytest.mark.parametrize("signs", ["AQVN.a~b+c/d=", "t1.9eu_-x", "0"])
def test_every_sign_of_a_credential_is_taken(signs):
    assert ApiKeyAuth(signs).secrets == (signs,)


@pytest.mark.parametrize("ask", ["complete", "stream", "embed"])
def test_a_token_with_a_line_end_is_told_and_not_shown(raw_server, request_of, ask):
    """As read from a file: httpx takes it, the connection refuses it and repeats it."""
    client = YandexClient(auth=Own(f"{KEY}\n"), folder_id="f", base_url=raw_server().url)
    asks = {
        "complete": lambda: client.complete(request_of()),
        "stream": lambda: list(client.stream(request_of())),
        "embed": lambda: client.embed("text", model="text-search-doc"),
    }
    with pytest.raises(ConfigurationError, match=r"auth.*line end.*default_headers") as caught:
        asks[ask]()
    assert KEY not in everything_of(caught.value)


def test_a_credential_without_a_scheme_and_headers_of_one_s_own_are_blotted_out(
    client_over, request_of
):
    class Bare(httpx.Auth):
        def auth_flow(self, request):
            request.headers["Authorization"] = KEY
            yield request

    def service(request):
        return httpx.Response(403, text=f"no {KEY}, no {request.headers['x-token']}, no 1")

    headers = {"x-token": f"{KEY}-of-a-header", "x-one": "1"}
    client = client_over(service, api_key=None, auth=Bare(), default_headers=headers)
    with pytest.raises(PermissionDeniedError, match=r"no \*\*\*, no \*\*\*, no 1") as caught:
        client.complete(request_of())
    assert KEY not in everything_of(caught.value)


def test_an_escaped_credential_is_blotted_out_of_the_body_as_well(client_over, request_of):
    key = "AQVN+abc/def=0123456789"
    body = '{"message":"' + "x" * 488 + ' AQVN\\u002Babc\\/def=0123456789","code":16}'
    client = client_over(lambda _: httpx.Response(401, text=body), api_key=key)
    with pytest.raises(AuthenticationError) as caught:
        client.complete(request_of())
    assert "AQVN" not in str(caught.value)
    assert "abc" not in caught.value.response.text
    odd = client_over(
        lambda _: httpx.Response(200, text='{"key":"AQVN\\u002Babc\\/def=0123456789"}'), api_key=key
    )
    with pytest.raises(MalformedAnswer) as caught:
        odd.complete(request_of())
    assert "/def" not in str(caught.value)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("escaped", [str, ESCAPED["every sign"]])
def test_no_half_of_a_credential_stands_at_the_cut_of_an_answer(
    client_over, request_of, escaped, streamed
):
    """Not even in signs that no key has, which a header of one's own may have."""
    secret = "Pa55:of,the@gate#one$two%three"
    for before in range(150, 200):
        body = "no " * (before // 3) + " " * (before % 3) + escaped(secret) + " was taken"
        data = f"data: {body}\n\n" if streamed else body
        client = client_over(
            lambda _, data=data: httpx.Response(200, text=data), default_headers={"X-Key": secret}
        )
        with pytest.raises(MalformedAnswer, match="no no") as caught:
            list(client.stream(request_of())) if streamed else client.complete(request_of())
        # The request's own id may hold any four digits.
        told = str(caught.value).replace(caught.value.client_request_id, "")
        assert "Pa" not in told
        assert "0050" not in told


# Recorded from llama.cpp's server.
TOO_LONG = (
    b'{"error":{"code":400,"message":"request (9031 tokens) exceeds the available context size '
    b'(8192 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":9031,'
    b'"n_ctx":8192}}'
)


@pytest.mark.parametrize("body", [TOO_LONG, TOO_LONG.replace(b"try", b'\\"try\\"')])
@pytest.mark.parametrize("key", ["x", "ex", "e"])
def test_a_key_of_a_few_signs_is_blotted_out_where_it_stands_alone_only(
    client_over, request_of, key, body
):
    """Servers of one's own take any key; blotted out of all words, it would hide what is said."""
    client = client_over(
        lambda _: httpx.Response(400, content=body.replace(b"request", f"({key})".encode())),
        api_key=key,
    )
    with pytest.raises(ContextOverflowError, match="exceeds the available") as caught:
        client.complete(request_of())
    assert "400: (***) (9031 tokens) exceeds" in str(caught.value)


HEADERS = {
    "x-proxy-auth": f"Bearer {KEY}-of-a-proxy",
    "X-My-Token": f"{KEY}-of-mine",
    "x-folder-id": "b1gfolder01234",
    "Accept": "application/json",
    "x-app": "yandexgpt",
    "x-key-number": "1",
    "x-short-token": "8-signs.",
    "x-shorter-token": "7-signs",
}


@pytest.mark.parametrize("failing", ["refused", "unreachable", "broken"])
def test_headers_that_name_a_secret_are_blotted_out_and_no_others(client_over, request_of, failing):
    class Breaking(httpx.SyncByteStream):
        def __init__(self, told):
            self.told = told

        def __iter__(self):
            yield b'data: {"choices":[{"delta":{"content":"one"}}]}\n\n'
            raise httpx.ReadError(self.told)

    def service(request):
        token = request.headers["x-proxy-auth"].split()[1]
        told = f"{token}, {request.headers['x-my-token']}, b1gfolder01234 yandexgpt 1"
        told += " 8-signs. 7-signs"
        if failing == "unreachable":
            raise httpx.ConnectError(told)
        if failing == "broken":
            return httpx.Response(200, stream=Breaking(told))
        return httpx.Response(403, text=told, headers={"content-type": "application/json"})

    client = client_over(service, default_headers=HEADERS, max_retries=0)
    expected = r"\*\*\*, \*\*\*, b1gfolder01234 yandexgpt 1 \*\*\* 7-signs"
    with pytest.raises(YandexError, match=expected) as caught:
        list(client.stream(request_of()))
    assert KEY not in everything_of(caught.value)
    if failing == "refused":
        assert caught.value.response.headers["content-type"] == "application/json"


def test_an_auth_of_one_s_own_is_blotted_out_of_a_broken_connection(client_over, request_of):
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"no way with {request.headers['authorization']}")

    client = client_over(broken, api_key=None, auth=Own(KEY), max_retries=0)
    with pytest.raises(YandexError, match="no way with") as caught:
        client.complete(request_of())
    assert KEY not in everything_of(caught.value)


@pytest.mark.parametrize("secret", ["AQVN-abc-0123456789", "domain\\user", "domain\\\\\\user"])
@pytest.mark.parametrize("text", ["\\", "A", "AQVN\\", "domain\\"])
def test_long_runs_are_blotted_in_time_linear_in_their_length(secret, text):
    """A pattern that is quadratic would not end within the time of a test."""
    told = without_secrets([secret], f"{text * 1_000_000} {secret}")
    assert told == f"{text * 1_000_000} ***"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_no_redirect_takes_the_key_or_a_header_to_another_host(request_of, asynchronous):
    """Not even where the user's own client follows redirects."""
    hosts = []

    def service(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(307, headers={"location": "https://elsewhere.test/v1"})

    transport = httpx.MockTransport(service)
    client = YandexClient(
        api_key=KEY,
        folder_id="f",
        base_url="https://h.test/v1",
        default_headers={"x-token": "header-secret"},
        http_client=httpx.Client(transport=transport, follow_redirects=True),
        http_async_client=httpx.AsyncClient(transport=transport, follow_redirects=True),
    )
    asked = request_of()
    with pytest.raises(NotFoundError, match="base_url"):
        asyncio.run(client.acomplete(asked)) if asynchronous else client.complete(asked)
    assert hosts == ["h.test"]


MISPLACED = [
    {"default_headers": f"Authorization: {KEY}"},
    {"default_headers": {"x-token": [KEY]}},
    {"extra_body": KEY},
    {"max_retries": KEY},
    {"timeout": KEY},
    {"base_url": [KEY]},
    {"folder_id": [KEY]},
]


@pytest.mark.parametrize("words", MISPLACED, ids=lambda words: next(iter(words)))
@pytest.mark.parametrize("kind", [ChatYandex, YandexLLM])
def test_a_key_in_the_place_of_another_word_stands_nowhere_in_the_refusal(kind, words):
    """Not in pydantic's `errors()` either, nor in what it pickles."""
    with pytest.raises(ValidationError, match=next(iter(words))) as caught:
        kind(**{"api_key": "k", "folder_id": "f"} | words)
    error = caught.value
    assert KEY not in everything_of(error) + repr(error.errors()) + error.json()
    assert {line["input"] for line in error.errors()} <= {"str", "list", "dict"}
