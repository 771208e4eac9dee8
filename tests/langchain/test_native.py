"""ChatYandex and YandexEmbeddings on the native API: what only it has, and what it has not."""

import json
from functools import reduce
from operator import add

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.messages import HumanMessage
from pydantic import BaseModel

from langchain_yandex_compat import ChatYandex, YandexEmbeddings
from langchain_yandex_compat.messages import ChunkMapper
from yandex_compat import ConfigurationError, Delta, StreamEnd, UnsupportedError
from yandex_compat.endpoints import DEFAULTS

PATH = "/foundationModels/v1/completion"


@pytest.fixture
def words(emulator):
    return {
        "api": "completion",
        "api_key": "test-key",
        "folder_id": "test-folder",
        "base_url": emulator.native_url,
    }


@pytest.fixture
def model(words):
    return ChatYandex(**words)


def line(text: str, status: str) -> str:
    message = {"role": "assistant", "text": text}
    alternative = {"message": message, "status": f"ALTERNATIVE_STATUS_{status}"}
    return json.dumps({"result": {"alternatives": [alternative]}}) + "\n"


def streamed(model, emulator, *lines):
    emulator.script({"chunks": list(lines), "content_type": "application/json"})
    return reduce(add, model.stream("Hi"))


def test_one_word_chooses_the_api(model, emulator):
    assert model.invoke("Hi").text == "You said: Hi"
    [record] = emulator.requests
    assert record["path"] == PATH
    assert record["headers"]["x-folder-id"] == "test-folder"
    assert "openai-project" not in record["headers"]
    assert record["headers"]["authorization"].startswith("Api-Key")


def test_the_api_has_its_own_address():
    assert (
        ChatYandex(api_key="k", folder_id="f", api="completion")._client._settings.base_url
        == (DEFAULTS["completion"])
    )


def test_metadata_names_the_model_that_was_asked_and_its_version(model):  # WIRE B5
    for message in (model.invoke("Hi"), reduce(add, model.stream("Hi"))):
        assert message.response_metadata["model_name"] == "yandexgpt"
        assert message.response_metadata["model_version"] == "09.02.2025"
        assert message.usage_metadata["total_tokens"] > 0


def test_reasoning_is_switched_on_and_counted(words, emulator):  # WIRE B1
    emulator.script({"text": "Yes", "reasoning": "I think so"})
    message = ChatYandex(**words, reasoning_effort="low").invoke("Hi")
    assert message.usage_metadata["output_token_details"]["reasoning"] > 0
    options = emulator.requests[-1]["body"]["completionOptions"]
    assert options["reasoningOptions"] == {"mode": "ENABLED_HIDDEN"}


def test_a_refusal_that_replaces_the_text(model, emulator):  # WIRE B7, D10
    told = streamed(model, emulator, line("one two", "PARTIAL"), line("No.", "CONTENT_FILTER"))
    assert told.text == "one two"
    assert told.additional_kwargs["refusal"] == "No."
    assert told.response_metadata["finish_reason"] == "content_filter"


def test_a_correction_is_told_beside_the_text_it_corrects(model, emulator):  # D10
    told = streamed(
        model,
        emulator,
        line("one twu", "PARTIAL"),
        line("one two", "PARTIAL"),
        line("one two three", "FINAL"),
    )
    assert told.text == "one twu"
    assert told.additional_kwargs == {"corrected_text": "one two three"}
    plain = streamed(model, emulator, line("one", "PARTIAL"), line("one two", "FINAL"))
    assert plain.additional_kwargs == {}


@pytest.mark.parametrize(
    ("given", "error", "named"),
    [
        ({"temperature": 1.5}, ConfigurationError, "from 0 to 1"),
        ({"top_p": 0.5}, UnsupportedError, "top_p"),
        ({"logprobs": True}, UnsupportedError, "logprobs"),
        ({"n": 2}, UnsupportedError, "n: "),
        ({"model": "qwen3-235b-a22b-fp8"}, UnsupportedError, "chat API only"),
        ({"model": "gpt://f/aliceai-llm/latest"}, UnsupportedError, "aliceai-llm"),
    ],
)
def test_what_the_api_lacks_is_told_at_construction(words, given, error, named, emulator):
    with pytest.raises(error, match=named):
        ChatYandex(**words, **given)
    assert emulator.requests == []


def test_a_cache_of_answers_tells_the_apis_apart(words, emulator):
    cache = InMemoryCache()
    set_llm_cache(cache)
    try:
        ChatYandex(**words).invoke("Hi")
        ChatYandex(**words).invoke("Hi")
        ChatYandex(**{**words, "api": "chat", "base_url": emulator.chat_url}).invoke("Hi")
    finally:
        set_llm_cache(None)
    paths = [record["path"] for record in emulator.requests]
    assert paths == [PATH, "/v1/chat/completions"]


def test_embeddings_are_the_same_by_either_api(words, emulator):
    native = YandexEmbeddings(**words)
    chat = YandexEmbeddings(**{**words, "api": "chat", "base_url": emulator.chat_url})
    assert native.embed_documents(["one", "two"]) == chat.embed_documents(["one", "two"])
    assert native.embed_query("one") == chat.embed_query("one")
    bodies = [r["body"] for r in emulator.requests if r["path"].endswith("textEmbedding")]
    assert {"modelUri": "emb://test-folder/text-search-query/latest", "text": "one"} in bodies


def test_a_refusal_beside_a_text_that_replaces_another_is_told_with_it():
    mapper = ChunkMapper("yandexgpt")
    deltas = [
        Delta("one two"),
        Delta("No.", refusal="I must", replaces_text=True),
        Delta(refusal="n't."),
        Delta(final=StreamEnd("content_filter")),
    ]
    told = reduce(add, [mapper.chunk(delta).message for delta in deltas])
    assert told.text == "one two"
    assert told.additional_kwargs == {"refusal": "No.\nI mustn't."}


class Thing(BaseModel):
    a: int


@pytest.mark.parametrize("streaming", [False, True])
def test_structured_output_is_of_the_corrected_text(words, emulator, streaming):  # D10
    chunks = [line('{"a": 1}', "PARTIAL"), line('{"a": 2}', "FINAL")]
    emulator.script({"chunks": chunks, "content_type": "application/json"})
    model = ChatYandex(**words, streaming=True).with_structured_output(Thing)
    made = model.invoke("Hi") if streaming else list(model.stream("Hi"))[-1]
    assert made == Thing(a=2)


@pytest.mark.parametrize(
    ("last", "status", "sent"),
    [("one two three", "FINAL", "one two three"), ("No.", "CONTENT_FILTER", "No.")],
)
def test_what_was_withdrawn_is_not_sent_back(model, emulator, last, status, sent):  # D10
    said = streamed(model, emulator, line("one tow", "PARTIAL"), line(last, status))
    model.invoke([HumanMessage("Hi"), said, HumanMessage("And?")])
    assert emulator.requests[-1]["body"]["messages"][1] == {"role": "assistant", "text": sent}


def test_a_call_that_a_filter_withdrew_is_not_run(words, emulator):  # WIRE B7
    call = {"functionCall": {"name": "now", "arguments": {}}}
    message = {"role": "assistant", "toolCallList": {"toolCalls": [call]}}
    partial = {"alternatives": [{"message": message, "status": "ALTERNATIVE_STATUS_PARTIAL"}]}
    first = json.dumps({"result": partial}) + "\n"
    chunks = [first, line("No.", "CONTENT_FILTER")]
    emulator.script({"chunks": chunks, "content_type": "application/json"})
    told = reduce(add, ChatYandex(**words).stream("Hi"))
    assert (told.text, told.tool_calls) == ("No.", [])


def test_labels_of_what_is_not_kept_are_left_out(emulator):
    words = {"api_key": "test-key", "folder_id": "test-folder", "base_url": emulator.chat_url}
    model = ChatYandex(**words, supports_store=True, store=True, store_metadata={"a": "b"})
    model.invoke("Hi", store=False)
    assert not {"store", "metadata"} & emulator.requests[-1]["body"].keys()


@pytest.mark.parametrize("word", ["mode", "deferred_timeout", "exact_token_counts"])
def test_a_word_of_the_constructor_is_refused_in_a_call(model, emulator, word):
    with pytest.raises(ConfigurationError, match="of the constructor"):
        model.invoke("Hi", **{word: 5})
    assert emulator.requests == []


def test_nothing_has_no_tokens(words, emulator):
    model = ChatYandex(**words, exact_token_counts=True)
    assert model.get_num_tokens_from_messages([]) == 0
    assert emulator.requests == []
