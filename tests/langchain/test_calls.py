"""Calls: whose words win, what is reported where, and how streams end."""

import asyncio
import json
from functools import reduce
from operator import add

import pytest
from langchain_core.callbacks import (
    AsyncCallbackHandler,
    BaseCallbackHandler,
    UsageMetadataCallbackHandler,
)
from langchain_core.messages import HumanMessage
from langchain_core.messages.utils import count_tokens_approximately

YANDEX, OPEN, REASONING = "yandexgpt", "qwen3-235b-a22b-fp8", "gpt-oss-120b"
USAGE = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}


def invoked(asked, given, **words):
    return asked.invoke(given, **words)


def ainvoked(asked, given, **words):
    return asyncio.run(asked.ainvoke(given, **words))


def streamed(asked, given, **words):
    return reduce(add, asked.stream(given, **words))


def astreamed(asked, given, **words):
    async def collected():
        return [chunk async for chunk in asked.astream(given, **words)]

    return reduce(add, asyncio.run(collected()))


every_way = pytest.mark.parametrize("ask", [invoked, ainvoked, streamed, astreamed])


def test_a_call_s_words_win_over_the_model_s(make, body):
    model = make(temperature=0.1, max_tokens=5, stop=["a"])
    model.invoke("Hi", temperature=0.9, max_tokens=7, model="yandexgpt-lite", stop=[])
    body = body()
    assert (body["temperature"], body["max_completion_tokens"]) == (0.9, 7)
    assert body["model"] == "gpt://test-folder/yandexgpt-lite/latest"


def test_what_is_not_given_is_not_sent(make, body):
    make().bind_tools([]).invoke("Hi", temperature=None, n=1, logprobs=False)
    assert set(body()) == {"model", "messages"}


def test_tokens_reach_the_callbacks_with_their_chunk(make, emulator):
    class Spy(BaseCallbackHandler):
        tokens: list

        def on_llm_new_token(self, token, *, chunk=None, **kwargs):
            self.tokens.append((token, chunk.message.content))

    spy = Spy()
    spy.tokens = []
    emulator.script({"text": "one two three four"})
    text = "".join(c.text for c in make(model=OPEN).stream("Hi", config={"callbacks": [spy]}))
    assert "".join(token for token, _ in spy.tokens) == text == "one two three four"
    assert all(token == content for token, content in spy.tokens)


def test_what_is_said_once_stands_on_one_chunk(make, emulator):
    emulator.script({"text": "one two", "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
    chunks = list(make(model=OPEN).stream("Hi"))
    assert {chunk.response_metadata["model_provider"] for chunk in chunks[:-1]} == {"yandex"}
    assert sum(chunk.usage_metadata is not None for chunk in chunks) == 1
    assert sum("finish_reason" in chunk.response_metadata for chunk in chunks) == 1
    whole = reduce(add, chunks)
    assert whole.response_metadata["model_name"] == f"gpt://{OPEN}/latest"
    assert whole.usage_metadata["total_tokens"] == 3


def test_usage_callbacks_count(make):
    usage = UsageMetadataCallbackHandler()
    make().batch(["Hello", "Hi there"], config={"callbacks": [usage]})
    (counted,) = usage.usage_metadata.values()
    assert counted["input_tokens"] > 0


def test_leaving_a_stream_early_closes_the_connection(make, emulator):
    emulator.script({"text": "word " * 200, "delay": 0.01})
    for _ in make(model=OPEN).stream("Hi"):
        break
    emulator.settle()
    assert emulator.requests[-1]["closed_early"]


def test_a_refusal_that_comes_after_text_is_kept_beside_it(make, emulator):
    filtered = {"text": "Well, one thing", "finish_reason": "content_filter"}
    emulator.script(filtered | {"replaced_by": "I can't talk about that."})
    whole = reduce(add, make(model=OPEN).stream("Hi"))
    assert whole.additional_kwargs["refusal"] == "I can't talk about that."
    assert whole.response_metadata["finish_reason"] == "content_filter"


@every_way
def test_none_in_a_call_leaves_the_model_s_word(make, body, ask):  # D8
    ask(make(temperature=0.1, max_tokens=5), "Hi", temperature=None, max_tokens=None)
    assert (body()["temperature"], body()["max_completion_tokens"]) == (0.1, 5)


@every_way
def test_a_refusal_that_comes_first_is_the_text(make, emulator, ask):  # D10
    emulator.script({"text": "I can't talk about that.", "finish_reason": "content_filter"})
    answer = ask(make(model=OPEN), "Hi")
    assert answer.text == "I can't talk about that."
    assert "refusal" not in answer.additional_kwargs


@every_way
def test_a_call_can_take_back_the_model_s_stop(make, emulator, ask):  # M11, M16
    model = make(stop=["two"])
    emulator.script(*[{"text": "one two three"}] * 3)
    assert ask(model, "Count").text == "one "
    assert ask(model, "Count", stop=[]).text == "one two three"
    assert ask(model, "Count", stop=["three"]).text == "one two "


def test_tokens_reach_async_callbacks_with_their_chunk(make, emulator):  # M14
    class Spy(AsyncCallbackHandler):
        def __init__(self):
            self.tokens = []

        async def on_llm_new_token(self, token, *, chunk=None, **kwargs):
            self.tokens.append((token, chunk and chunk.message.content))

    async def texts(stream):
        return "".join([chunk.text async for chunk in stream])

    spy = Spy()
    emulator.script({"text": "one two three four"})
    stream = make(model=OPEN).astream("Hi", config={"callbacks": [spy]})
    text = asyncio.run(texts(stream))
    assert "".join(token for token, _ in spy.tokens) == text == "one two three four"
    assert all(token == content for token, content in spy.tokens)


class Manager:
    """What the base class passes down under the v3 protocol: it expects to be told."""

    def __init__(self):
        self.told = []

    def on_llm_new_token(self, token, *, chunk=None):
        self.told.append((token, chunk))


class AsyncManager(Manager):
    async def on_llm_new_token(self, token, *, chunk=None):
        self.told.append((token, chunk))


def test_the_hooks_report_each_chunk_themselves(make, emulator):  # M14
    model = make(model=OPEN)
    emulator.script({"text": "one two"}, {"text": "one two"})
    manager, amanager = Manager(), AsyncManager()
    chunks = list(model._stream([HumanMessage("Hi")], run_manager=manager))

    async def collected():
        stream = model._astream([HumanMessage("Hi")], run_manager=amanager)
        return [chunk async for chunk in stream]

    assert manager.told == [(chunk.text, chunk) for chunk in chunks]
    achunks = asyncio.run(collected())
    assert amanager.told == [(chunk.text, chunk) for chunk in achunks]
    assert "".join(token for token, _ in manager.told) == "one two"


def test_events_of_v3_reach_ordinary_callbacks(make, emulator):  # M13, M14
    class Spy(BaseCallbackHandler):
        def __init__(self):
            self.tokens = []

        def on_llm_new_token(self, token, *, chunk=None, **kwargs):
            self.tokens.append((token, chunk.message.content))

    spy = Spy()
    emulator.script({"text": "one two"})
    list(make(model=OPEN).stream_events("Hi", config={"callbacks": [spy]}, version="v3"))
    assert "".join(token for token, _ in spy.tokens) == "one two"
    assert all(token == content for token, content in spy.tokens)


def chat_answer(**more):
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hi"},
        "finish_reason": "stop",
    }
    head = {"id": "c1", "object": "chat.completion", "created": 1}
    return {"status": 200, "body": head | {"choices": [choice], "usage": USAGE} | more}


def test_fingerprint_and_model_are_the_answer_s(make, emulator):  # M11, M20, M23
    served = {"model": "gpt://f/yandexgpt/rc", "system_fingerprint": "fp_1"}
    emulator.script(chat_answer(**served))
    metadata = make().invoke("Hi", model="yandexgpt-lite").response_metadata
    assert metadata["model_name"] == "gpt://f/yandexgpt/rc"
    assert metadata["system_fingerprint"] == "fp_1"
    assert metadata["id"] == "c1"
    assert metadata["model_provider"] == "yandex"
    emulator.script(chat_answer(model=None))
    metadata = make().invoke("Hi", model="yandexgpt-lite").response_metadata
    assert metadata["model_name"] == "yandexgpt-lite"
    assert "system_fingerprint" not in metadata


def test_fingerprint_and_model_of_a_stream_are_said_once(make, emulator):  # M20, T10
    head = '{"id":"c1","model":"m1","system_fingerprint":"fp_1","choices":[{"index":0,'
    one = head + '"delta":{"content":"one"}}]}'
    two = head + '"delta":{"content":" two"},"finish_reason":"stop"}]}'
    emulator.script({"chunks": [f"data: {event}\n\n" for event in (one, two, "[DONE]")]})
    metadata = streamed(make(model=OPEN), "Hi").response_metadata
    said = {"model_name": "m1", "system_fingerprint": "fp_1", "id": "c1", "finish_reason": "stop"}
    assert said.items() <= metadata.items()


@every_way
def test_the_request_id_is_in_the_metadata(make, ask):
    assert ask(make(model=OPEN), "Hi").response_metadata["request_id"]


@every_way
def test_the_model_asked_for_is_named_where_the_answer_names_none(make, emulator, ask):
    if ask in (invoked, ainvoked):
        emulator.script(chat_answer())
    else:
        chunk = '{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}'
        emulator.script({"chunks": [f"data: {chunk}\n\n", "data: [DONE]\n\n"]})
    answer = ask(make(), "Hi", model="yandexgpt-lite")
    assert answer.response_metadata["model_name"] == "yandexgpt-lite"


@every_way
def test_details_of_usage(make, emulator, ask):  # M21, M22
    details = {
        "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": None},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    emulator.script({"text": "4", "reasoning": "Two and two.", "usage": USAGE | details})
    answer = ask(make(model=REASONING), "2+2?")
    assert answer.usage_metadata == {
        "input_tokens": 9,
        "output_tokens": 12,
        "total_tokens": 21,
        "input_token_details": {"cache_read": 8},
        "output_token_details": {"reasoning": 5},
    }
    assert answer.additional_kwargs["reasoning_content"] == "Two and two."
    assert [block["type"] for block in answer.content_blocks] == ["reasoning", "text"]


@every_way
def test_zero_details_of_usage_are_kept_and_missing_ones_are_not_invented(make, emulator, ask):
    details = {"completion_tokens_details": {"reasoning_tokens": 0}, "prompt_tokens_details": None}
    emulator.script({"text": "4", "usage": USAGE | details}, {"text": "4", "usage": USAGE})
    model = make(model=OPEN)
    counted = ask(model, "2+2?").usage_metadata
    assert counted["output_token_details"] == {"reasoning": 0}
    assert "input_token_details" not in counted
    assert ask(model, "2+2?").usage_metadata.keys() == {
        "input_tokens",
        "output_tokens",
        "total_tokens",
    }


@pytest.mark.parametrize("asynchronous", [False, True])
def test_generate_adds_up_the_usage_of_its_prompts(make, emulator, asynchronous):  # M23
    emulator.script(
        {"text": "A", "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
        {"text": "B", "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}},
    )
    model, prompts = make(model="yandexgpt"), [[HumanMessage("a")], [HumanMessage("b")]]
    if asynchronous:
        result = asyncio.run(model.agenerate(prompts, model=OPEN))
    else:
        result = model.generate(prompts, model=OPEN)
    assert result.llm_output == {
        "token_usage": {"prompt_tokens": 11, "completion_tokens": 22, "total_tokens": 33},
        "model_name": f"gpt://{OPEN}/latest",
    }


def test_generate_without_usage_counts_nothing(make, emulator):
    emulator.script({"text": "A", "usage": None})
    result = make().generate([[HumanMessage("a")]])
    assert result.llm_output["token_usage"] == {}
    assert result.generations[0][0].message.usage_metadata is None


def test_streaming_makes_invoke_stream(make, body):
    assert make(model=OPEN, streaming=True).invoke("Hi").text == "You said: Hi"
    assert body()["stream"] is True


@every_way
@pytest.mark.parametrize("word", [True, False])
def test_the_word_stream_is_langchain_s_own(make, ask, word):  # M10
    assert ask(make(model=OPEN), "Hi", stream=word).text == "You said: Hi"


@every_way
def test_the_message_s_id_is_langchain_s_own(make, ask):  # M24
    assert not (ask(make(model=OPEN), "Hi").id or "").startswith("chatcmpl")


@every_way
@pytest.mark.parametrize("model", [YANDEX, OPEN])
def test_an_empty_answer_is_an_answer(make, emulator, ask, model):  # M15
    emulator.script({"text": ""})
    message = ask(make(model=model), "Hi")
    assert (message.text, message.content_blocks) == ("", [])
    assert message.response_metadata["finish_reason"] == "stop"


@every_way
@pytest.mark.parametrize("version", [None, "v1"])
def test_empty_reasoning_is_none(make, emulator, ask, version):  # T12
    deltas = [{"content": "a", "reasoning_content": ""}, {"content": "b", "reasoning_content": ""}]
    if "stream" in ask.__name__:
        events = [f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\n" for delta in deltas]
        emulator.script({"chunks": [*events, "data: [DONE]\n\n"]})
    else:
        message = {"content": "ab", "reasoning_content": ""}
        emulator.script({"status": 200, "body": {"choices": [{"message": message}]}})
    (block,) = ask(make(output_version=version), "Hi").content_blocks
    assert (block["type"], block["text"]) == ("text", "ab")


def test_counted_tokens_scale_by_the_usage_reported(make, emulator):  # T22
    emulator.script({"text": "Fine.", "usage": {**USAGE, "total_tokens": 2_000}})
    said = [HumanMessage("How are you? " * 500)]
    said.append(make(model=OPEN).invoke(said))
    plain = count_tokens_approximately(said)
    assert count_tokens_approximately(said, use_usage_metadata_scaling=True) > plain
