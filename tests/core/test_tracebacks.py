"""No secret in a traceback that shows the locals of its frames, as Sentry's and rich's do."""

import asyncio
import json
import logging
import pickle
import socket
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from pydantic import ValidationError, model_validator

from langchain_yandex_compat import ChatYandex, YandexEmbeddings, init_chat_model
from llamaindex_yandex_compat import YandexEmbedding, YandexLLM
from yandex_compat import (
    ApiKeyAuth,
    CallableAuth,
    IamTokenAuth,
    OAuthAuth,
    ServiceAccountAuth,
    YandexClient,
    YandexError,
)

SECRET = "AQVN-top-secret-0123456789"
CLASSES = (YandexClient, ChatYandex, YandexEmbeddings, YandexLLM, YandexEmbedding)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that it keeps, also those that a traceback would leave out."""
    known: set[int] = set()
    left = [error]
    while left:
        one = left.pop()
        if one is not None and id(one) not in known:
            known.add(id(one))
            yield one
            left += [one.__context__, one.__cause__]


def leaks(error: BaseException) -> list[str]:
    """Where a secret stands: in which local of which frame but the test's own, or which text."""
    found = []
    for one in chain(error):
        shown = traceback.TracebackException.from_exception(one, capture_locals=True)
        found += [
            f"{type(one).__name__}: {frame.filename}:{frame.lineno} {frame.name}: {name}"
            for frame in shown.stack
            if frame.filename != __file__
            for name, value in (frame.locals or {}).items()
            if SECRET in value
        ]
        # A request's repr hides the headers that it holds.
        request = vars(one).get("_request")
        sent = repr(request.headers.raw) if request else ""
        texts = {"sent": sent, "str": str(one), "repr": repr(one), "dict": repr(vars(one))}
        if isinstance(one, YandexError):
            texts["pickle"] = pickle.dumps(one).decode("latin-1")
        found += [f"{type(one).__name__}: {name}" for name, text in texts.items() if SECRET in text]
    return found


# Constructors.


@dataclass
class Own(httpx.Auth):
    """A credential of a user's own, whose repr shows what it holds."""

    token: str


GIVEN = {
    "api_key": lambda: {"api_key": SECRET},
    "iam_token": lambda: {"iam_token": SECRET},
    "auth as a text": lambda: {"auth": SECRET},
    "auth of one's own": lambda: {"auth": Own(SECRET)},
    "headers": lambda: {"api_key": "key", "default_headers": {"X-Token": SECRET}},
    "two": lambda: {"api_key": SECRET, "iam_token": SECRET},
    "a line end": lambda: {"api_key": f"{SECRET}\n"},
    "a token with a line end": lambda: {"iam_token": f"{SECRET}\n"},
    "bytes": lambda: {"api_key": SECRET.encode()},
    "a list": lambda: {"iam_token": [SECRET]},
    "a key under a misspelt word": lambda: {"api_kye": SECRET},
    "a header's odd value": lambda: {"api_key": SECRET, "default_headers": {"X-T": f"{SECRET}\n"}},
    "headers that are none": lambda: {"api_key": SECRET, "default_headers": SECRET},
    "a url with a password": lambda: {"api_key": SECRET, "base_url": f"https://u:{SECRET}@h.test"},
    "a key as the folder": lambda: {"api_key": SECRET, "folder_id": f"{SECRET}\n"},
}
WRONG = {
    "an unknown word": {"temprature": 1},
    "a wrong type": {"timeout": "long"},
    "a wrong value": {"timeout": -1},
    "no folder": {"folder_id": None},
    "a wrong folder": {"folder_id": "b1g "},
    "a wrong address": {"base_url": "ftp://host"},
    "a client that is none": {"http_client": "client"},
}


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("kind", CLASSES)
def test_no_constructor_that_fails_shows_a_secret(kind, given):
    for wrong, other in WRONG.items():
        words = {"folder_id": "f", **other, **GIVEN[given]()}
        if kind is YandexClient and wrong == "no folder":
            words["api"] = "both"  # it needs no folder
        with pytest.raises((TypeError, ValidationError, YandexError)) as caught:
            kind(**words)
        assert leaks(caught.value) == [], wrong


@pytest.mark.parametrize("kind", CLASSES)
def test_no_key_without_its_word_shows_itself(kind):
    with pytest.raises(TypeError, match="takes 1 positional argument") as caught:
        kind(SECRET)
    assert leaks(caught.value) == []


@pytest.mark.parametrize("given", GIVEN)
def test_no_model_made_by_a_text_that_fails_shows_a_secret(given):
    for other in WRONG.values():
        words = {"folder_id": "f", **other, **GIVEN[given]()}
        for called in ({"model": "yandex:yandexgpt"}, {"model": "m", "model_provider": "yandex"}):
            with pytest.raises((ValidationError, YandexError)) as caught:
                init_chat_model(**called, **words)
            assert leaks(caught.value) == []


@pytest.mark.parametrize("kind", CLASSES[1:])
@pytest.mark.parametrize("given", GIVEN)
def test_no_assignment_that_fails_shows_a_secret(kind, given):
    model = kind(api_key=SECRET, folder_id="f", default_headers={"X-Token": SECRET})
    model.timeout = -1
    for word, value in GIVEN[given]().items():
        # The other two are shown by any repr of the model, once they are its fields.
        if word in kind.model_fields and word not in {"folder_id", "base_url"}:
            setattr(model, word, value)
    with pytest.raises(YandexError) as caught:
        model.close()
    assert leaks(caught.value) == []


@pytest.mark.parametrize("kind", [ChatYandex, YandexLLM])
def test_a_validator_of_one_s_own_is_given_texts_and_dicts(kind):
    seen = {}

    class Mine(kind):
        @model_validator(mode="before")
        @classmethod
        def look(cls, words):
            seen.update(words)
            return words

    words = {"folder_id": "f", "base_url": "https://h.test/v1", "default_headers": {"X-A": "1"}}
    model = Mine(api_key="key", **words)
    assert {word: seen[word] for word in words} == words
    assert {word: getattr(model, word) for word in words} == words
    assert [type(getattr(model, word)) for word in words] == [str, str, dict]


KEY_FILE = {"id": "a", "service_account_id": "b", "private_key": SECRET}
CREDENTIALS = {
    "api key": lambda: ApiKeyAuth(f"{SECRET}\n"),
    "iam token": lambda: IamTokenAuth(f"{SECRET}\n"),
    "oauth": lambda: OAuthAuth(f"{SECRET}\n"),
    "callable": lambda: CallableAuth(SECRET),
    "account, dict": lambda: ServiceAccountAuth(KEY_FILE),
    "account, part of a dict": lambda: ServiceAccountAuth({"private_key": SECRET}),
    "account, text": lambda: ServiceAccountAuth(json.dumps(KEY_FILE)),
    "account, broken text": lambda: ServiceAccountAuth(json.dumps(KEY_FILE)[:-1]),
    "account, the key alone": lambda: ServiceAccountAuth(SECRET),
    "account, bytes": lambda: ServiceAccountAuth(SECRET.encode()),
}


@pytest.mark.parametrize("made", CREDENTIALS.values(), ids=CREDENTIALS)
def test_no_credential_that_is_refused_shows_itself(made):
    with pytest.raises(YandexError) as caught:
        made()
    assert leaks(caught.value) == []


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("name", ["YC_API_KEY", "YC_IAM_TOKEN", "YC_OAUTH_TOKEN"])
def test_no_credential_of_the_environment_shows_itself(kind, name, monkeypatch):
    monkeypatch.setenv(name, f"{SECRET}\n")
    with pytest.raises(YandexError) as caught:
        kind(folder_id="f")
    assert leaks(caught.value) == []


# Requests.

HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n%s"
ECHO = (
    f'{{"error":{{"message":"no {SECRET}","code":16}},"object":"chat.completion.chunk"}}'.encode()
)
ODD = f'{{"choices": [["{SECRET}"]], "data": "{SECRET}", "result": "{SECRET}"}}'.encode()
TEXT = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"one"}}]}\n\n'


def answer(status: str, body: bytes, length: int | None = None) -> bytes:
    size = f"Content-Length: {len(body) if length is None else length}\r\n\r\n".encode()
    return HEAD % (status.encode(), size) + body


def event(body: bytes) -> bytes:
    return TEXT + b"data: " + body + b"\n\n"


ANSWERS = {
    "401": answer("401 Unauthorized", ECHO),
    "500": answer("500 Internal Server Error", ECHO),
    "302": answer("302 Found", ECHO),
    "an error in a 200": answer("200 OK", ECHO),
    "another shape": answer("200 OK", ODD),
    "no JSON": answer("200 OK", f"Authorization: Api-Key {SECRET}".encode()),
    "a body cut short": answer("200 OK", ODD, 10_000),
    "an error in a stream": answer("200 OK", event(ECHO)),
    "another shape in a stream": answer("200 OK", event(ODD)),
    "no JSON in a stream": answer("200 OK", event(f"no {SECRET}".encode())),
    "an end in a stream's middle": answer("200 OK", TEXT),
    "a stream cut short": answer("200 OK", TEXT, 10_000),
    "nothing": b"",
    "no HTTP": f"SSH-2.0 {SECRET}\r\n\r\n".encode(),
    "a broken encoding": HEAD % (b"200 OK", b"Content-Encoding: gzip\r\n\r\n") + ODD,
}


@pytest.fixture
def asks(request_of):
    """Each way to ask, with what it is asked over."""

    async def gathered(deltas):
        return [delta async for delta in deltas]

    async def acalled(client, ask):
        async with client:
            return await ask

    def awaited(client, ask):
        return asyncio.run(acalled(client, ask))

    talk, model = request_of(), "text-search-doc"
    return {
        "complete": lambda client: client.complete(talk),
        "acomplete": lambda client: awaited(client, client.acomplete(talk)),
        "stream": lambda client: list(client.stream(talk)),
        "astream": lambda client: awaited(client, gathered(client.astream(talk))),
        "embed_all": lambda client: client.embed_all(["a"], model=model),
        "aembed_all": lambda client: awaited(client, client.aembed_all(["a"], model=model)),
    }


HEADERS = {"X-Token": f"{SECRET}-of-a-header"}


def seen_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The loggers whose records hold a secret."""
    return sorted({one.name for one in caplog.records if SECRET in str(vars(one))})


@pytest.mark.parametrize("api", ["chat", "completion"])
@pytest.mark.parametrize("kind", ANSWERS)
def test_no_request_that_fails_shows_a_secret(raw_server, asks, caplog, kind, api):
    client = YandexClient(
        api=api,
        api_key=SECRET,
        folder_id="f",
        base_url=raw_server(ANSWERS[kind]).url,
        default_headers=HEADERS,
        max_retries=0,
    )
    with caplog.at_level(logging.DEBUG):
        for way, ask in asks.items():
            with pytest.raises(YandexError) as caught:
                ask(client)
            assert leaks(caught.value) == [], way
    # It shows what the server says in the place of a status and headers, and no header of ours.
    told = ["httpcore.http11"] if kind == "no HTTP" else []
    assert seen_in(caplog) == told
    client.close()


@pytest.mark.parametrize("kind", ["no server", "no answer"])
@pytest.mark.parametrize("retries", [0, 1])
def test_no_request_without_an_answer_shows_a_secret(
    raw_server, asks, caplog, waits, kind, retries
):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    url = closed if kind == "no server" else raw_server(threading.Event()).url
    client = YandexClient(
        api_key=SECRET,
        folder_id="f",
        base_url=url,
        default_headers=HEADERS,
        max_retries=retries,
        timeout=0.05,
    )
    with caplog.at_level(logging.DEBUG):
        for way, ask in asks.items():
            with pytest.raises(YandexError) as caught:
                ask(client)
            assert leaks(caught.value) == [], way
    assert seen_in(caplog) == []
    assert len(waits) == retries * len(asks)
    client.close()
