"""The service's tokenizer, in the client and in both adapters (WIRE Endpoints)."""

import asyncio

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool

from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexLLM
from yandex_compat import (
    APIError,
    CompletionRequest,
    ConfigurationError,
    InvalidRequestError,
    MalformedAnswer,
    Message,
    Token,
    UnsupportedError,
    YandexClient,
)
from yandex_compat.wires import tokenizer

PATHS = ("/foundationModels/v1/tokenize", "/foundationModels/v1/tokenizeCompletion")


@pytest.fixture(params=["chat", "completion"])
def words(request, emulator):
    root = emulator.chat_url if request.param == "chat" else emulator.native_url
    known = {"api_key": "test-key", "folder_id": "test-folder", "base_url": root}
    return {**known, "api": request.param}


def test_the_tokens_of_a_text(words, emulator):
    with YandexClient(**words) as client:
        first, *rest = client.tokenize("Привет, мир", model="yandexgpt")
        assert first == Token(1, "<s>", special=True)
        assert "".join(token.text for token in rest) == "Привет, мир"
        assert all(type(token.id) is int and not token.special for token in rest)
        again = asyncio.run(client.atokenize("Привет, мир", model="yandexgpt"))
        assert again == (first, *rest)
    for record in emulator.requests:
        assert record["path"] == PATHS[0]
        assert record["headers"]["x-folder-id"] == "test-folder"
        assert record["body"] == {
            "modelUri": "gpt://test-folder/yandexgpt/latest",
            "text": "Привет, мир",
        }


def test_the_tokens_of_a_conversation(words, emulator, request_of):
    """Asked with the words of either API, of which none counts."""
    asked = request_of(temperature=0.5, max_tokens=5, stop=("x",))
    with YandexClient(**words) as client:
        found = client.tokenize_completion(asked)
        assert asyncio.run(client.atokenize_completion(asked)) == found
    assert "".join(token.text for token in found if not token.special) == "Hi"
    [body, _] = [record["body"] for record in emulator.requests]
    assert emulator.requests[0]["path"] == PATHS[1]
    assert body["completionOptions"] == {"stream": False}


def test_what_is_no_text_and_no_model_is_refused(words, emulator):
    client = YandexClient(**words)
    with pytest.raises(ConfigurationError, match="text"):
        client.tokenize(5, model="yandexgpt")
    with pytest.raises(InvalidRequestError, match="model_uri"):
        client.tokenize("a", model="unknown")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<html>", MalformedAnswer),
        (b'{"tokens": [{}]}', MalformedAnswer),
        (b'{"tokens": [{"id": "x", "text": "a"}]}', MalformedAnswer),
        (b"{}", MalformedAnswer),
        (b'{"error": {"grpcCode": 8, "message": "quota"}}', APIError),
    ],
)
def test_another_shape(data, kind):
    with pytest.raises(kind):
        tokenizer.decode(data)


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return city


def test_langchain_counts_exactly_where_asked_to(words, emulator):
    estimating, exact = ChatYandex(**words), ChatYandex(**words, exact_token_counts=True)
    estimating.get_num_tokens("Привет, мир")
    estimating.get_num_tokens_from_messages([HumanMessage("Hi")])
    assert emulator.requests == []
    assert exact.get_num_tokens("Привет, мир") == len(exact.get_token_ids("Привет, мир")) == 4
    call = {"name": "weather", "args": {"city": "Омск"}, "id": "1"}
    talk = [
        HumanMessage("Hi"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("ok", tool_call_id="1"),
    ]
    with_tools = exact.get_num_tokens_from_messages(talk, tools=[weather])
    assert with_tools > exact.get_num_tokens_from_messages(talk) > 4
    assert emulator.requests[-1]["path"] == PATHS[1]


@pytest.mark.parametrize("model", ["qwen3-235b-a22b-fp8", "gpt://test-folder/gpt-oss-20b/latest"])
def test_tokens_of_a_model_that_is_on_the_chat_api_only_are_estimated(emulator, model):
    """Found out at construction; nothing in the error speaks of what was not asked for."""
    words = {"api_key": "test-key", "folder_id": "test-folder", "base_url": emulator.chat_url}
    for kind in (ChatYandex, YandexLLM):
        with pytest.raises(UnsupportedError, match="exact_token_counts"):
            kind(**words, model=model, exact_token_counts=True)
    own = ChatYandex(
        **words, model=model, exact_token_counts=True, custom_get_token_ids=lambda text: [1, 2]
    )
    assert own.get_num_tokens_from_messages([HumanMessage("Hi")]) > 2
    client = YandexClient(**words)
    with pytest.raises(UnsupportedError, match="chat API only"):
        client.tokenize("Hi", model=model)
    with pytest.raises(UnsupportedError, match="chat API only"):
        client.tokenize_completion(CompletionRequest(model, (Message("user", "Hi"),)))
    assert emulator.requests == []


def test_a_tokenizer_of_one_s_own_goes_first(words, emulator):
    model = ChatYandex(**words, exact_token_counts=True, custom_get_token_ids=lambda text: [1, 2])
    assert model.get_num_tokens("Hi") == 2
    model.get_num_tokens_from_messages([HumanMessage("Hi")])
    assert emulator.requests == []


def test_llamaindex_counts_exactly_where_asked_to(words, emulator):
    YandexLLM(**words).tokenizer("Привет, мир")
    assert emulator.requests == []
    found = YandexLLM(**words, exact_token_counts=True).tokenizer("Привет, мир")
    assert len(found) == 4
    assert found[0] == 1
