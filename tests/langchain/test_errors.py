"""Errors: the core's and LangChain's at once, with all they carry."""

import asyncio
import pickle

import httpx
import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware
from langchain_core import exceptions as langchain

from langchain_yandex_compat import YandexEmbeddings
from langchain_yandex_compat import errors as twins
from langchain_yandex_compat.errors import langchain_errors
from yandex_compat import (
    Completion,
    ContextOverflowError,
    StreamInterrupted,
    YandexError,
)
from yandex_compat import errors as core


@pytest.mark.parametrize(
    ("status", "name", "retryable"),
    [
        (400, "ModelInvalidRequestError", False),
        (401, "ModelAuthenticationError", False),
        (403, "ModelPermissionDeniedError", False),
        (404, "ModelNotFoundError", False),
        (429, "ModelRateLimitError", True),
        (500, "ModelAPIError", True),
        (503, "ModelAPIError", True),
        (501, "ModelAPIError", False),
    ],
)
def test_errors_are_langchain_s_as_well(make, emulator, status, name, retryable):
    emulator.script({"status": status, "headers": {"x-request-id": "r1"}, "body": {"error": "no"}})
    with pytest.raises(YandexError) as caught:
        make(max_retries=0).invoke("Hi")
    error = caught.value
    assert name in [base.__name__ for base in type(error).__mro__]
    assert error.is_retryable is retryable
    assert (error.status_code, error.response.json()) == (status, {"error": "no"})
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.status_code) == (type(error), str(error), status)


def test_a_context_overflow_is_recognised(make, emulator):
    message = "The number of tokens in the prompt exceeds the limit of 32000 tokens"
    emulator.script({"status": 400, "body": {"error": {"message": message}}})
    with pytest.raises(ContextOverflowError):
        make().invoke("Hi")


def test_a_cut_stream_can_be_pickled_with_what_arrived(make, emulator):
    emulator.script({"text": "one two three", "cut_after": 2})
    with pytest.raises(StreamInterrupted) as caught:
        list(make().stream("Hi"))
    assert pickle.loads(pickle.dumps(caught.value)).partial == caught.value.partial


TWINS = [
    # the core's class, LangChain's, whether a retry may help
    (core.InvalidRequestError, langchain.ModelInvalidRequestError, False),
    (core.ContextOverflowError, langchain.ContextOverflowError, False),
    (core.AuthenticationError, langchain.ModelAuthenticationError, False),
    (core.PermissionDeniedError, langchain.ModelPermissionDeniedError, False),
    (core.NotFoundError, langchain.ModelNotFoundError, False),
    (core.RateLimitError, langchain.ModelRateLimitError, True),
    (core.ServerError, langchain.ModelAPIError, True),
    (core.ConnectionFailed, langchain.ModelConnectionError, True),
    (core.RequestTimedOut, langchain.ModelTimeoutError, True),
    (core.NoFreePlace, langchain.ModelTimeoutError, False),
    (core.StreamInterrupted, langchain.ModelConnectionError, True),
    (core.ConfigurationError, langchain.ModelInvalidRequestError, False),
    (core.UnsupportedError, langchain.ModelInvalidRequestError, False),
    (core.MalformedAnswer, langchain.ModelAPIError, False),
    (core.ToolChoiceIgnored, langchain.ModelError, False),
]


def error_of(kind):
    """An error as the core raises it, with everything it may carry."""
    if issubclass(kind, core.APIError):
        response = httpx.Response(500, json={"error": "no"})
        return kind(
            "What happened.",
            status_code=500,
            code=13,
            request_id="r1",
            trace_id="t1",
            retry_after=1.5,
            response=response,
        )
    if issubclass(kind, core.StreamInterrupted):
        return kind("What happened.", partial=Completion(text="so far"))
    return kind("What happened.")


@pytest.mark.parametrize(("kind", "base", "retryable"), TWINS, ids=lambda each: str(each)[-40:])
def test_each_error_is_one_of_langchain_s(kind, base, retryable):  # M39, M40
    told = error_of(kind)
    with pytest.raises(kind) as caught, langchain_errors():
        raise told
    error = caught.value
    assert isinstance(error, base)
    assert isinstance(error, langchain.ModelError)
    assert not isinstance(error, ValueError | TypeError)
    assert type(error).__module__ == twins.__name__
    assert error.is_retryable is retryable is error.retryable
    assert str(error) == "What happened."
    assert told.__dict__.items() <= error.__dict__.items()
    assert error.__cause__ is None
    assert error.__suppress_context__

    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.is_retryable) == (str(error), retryable)
    kept = error.__dict__.keys() - {"response"}
    assert {word: again.__dict__[word] for word in kept} == {
        word: error.__dict__[word] for word in kept
    }
    if isinstance(error, core.APIError):
        assert again.response.json() == {"error": "no"}


def subclasses(kind):
    return {kind}.union(*(subclasses(each) for each in kind.__subclasses__()))


def test_each_error_of_the_core_has_a_twin():
    own = {kind for kind in subclasses(YandexError) if kind.__module__ == core.__name__}
    never_raised = {core.YandexError, core.APIError}
    assert {kind for kind, _, _ in TWINS} == own - never_raised
    for kind in own - never_raised:
        with pytest.raises(langchain.ModelError), langchain_errors():
            raise error_of(kind)


def test_other_errors_pass_untouched():
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught, langchain_errors():
        raise error
    assert caught.value is error


def test_a_server_error_that_does_not_pass_is_not_retryable():
    with pytest.raises(langchain.ModelAPIError) as caught, langchain_errors():
        raise core.ServerError("no", status_code=501)
    assert caught.value.is_retryable is False


async def collected(stream):
    return [each async for each in stream]


ASKS = {
    "invoke": lambda model: model.invoke("Hi"),
    "ainvoke": lambda model: asyncio.run(model.ainvoke("Hi")),
    "stream": lambda model: list(model.stream("Hi")),
    "astream": lambda model: asyncio.run(collected(model.astream("Hi"))),
}
EMBEDDINGS = {
    "embed_query": lambda model: model.embed_query("Hi"),
    "embed_documents": lambda model: model.embed_documents(["Hi"]),
    "aembed_query": lambda model: asyncio.run(model.aembed_query("Hi")),
    "aembed_documents": lambda model: asyncio.run(model.aembed_documents(["Hi"])),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())
@pytest.mark.parametrize(
    ("answer", "base"),
    [
        ({"status": 401, "body": {"error": "no"}}, langchain.ModelAuthenticationError),
        ({"status": 429, "body": {"error": "no"}}, langchain.ModelRateLimitError),
        ({"status": 200, "body": "[]"}, langchain.ModelError),
    ],
)
def test_every_hook_raises_langchain_s_errors(make, emulator, ask, answer, base):
    emulator.script(answer)
    with pytest.raises(base) as caught:
        ask(make(max_retries=0))
    assert isinstance(caught.value, YandexError)


@pytest.mark.parametrize("ask", EMBEDDINGS.values(), ids=EMBEDDINGS.keys())
@pytest.mark.parametrize(
    ("status", "base"),
    [(401, langchain.ModelAuthenticationError), (503, langchain.ModelAPIError)],
)
def test_embeddings_raise_langchain_s_errors(emulator, ask, status, base):
    emulator.script({"status": status, "body": {"error": "no"}, "path": "/v1/embeddings"})
    words = {"api_key": "test-key", "folder_id": "test-folder", "base_url": emulator.chat_url}
    with pytest.raises(base) as caught:
        ask(YandexEmbeddings(**words, max_retries=0))
    assert isinstance(caught.value, YandexError)
    assert caught.value.status_code == status


@pytest.mark.parametrize("ask", (ASKS | EMBEDDINGS).values(), ids=(ASKS | EMBEDDINGS).keys())
def test_a_connection_that_fails_is_langchain_s_as_well(make, ask):
    words = {"base_url": "http://127.0.0.1:9", "max_retries": 0}
    model = make(**words)
    if ask in EMBEDDINGS.values():
        model = YandexEmbeddings(api_key="k", folder_id="f", **words)
    with pytest.raises(langchain.ModelConnectionError):
        ask(model)


@pytest.mark.parametrize(("status", "tries"), [(400, 1), (401, 1), (429, 3), (503, 3)])
def test_the_retry_middleware_retries_what_may_help(make, emulator, status, tries):
    emulator.script(*[{"status": status, "body": {"error": "no"}}] * 3)
    retry = ModelRetryMiddleware(max_retries=2, initial_delay=0, on_failure="error")
    agent = create_agent(make(max_retries=0), [], middleware=[retry])
    with pytest.raises(langchain.ModelError):
        agent.invoke({"messages": [("user", "Hi")]})
    assert len(emulator.requests) == tries
