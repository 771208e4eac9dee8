"""What the chat reference has beside the main job: sent by its word, and read as it comes back."""

import asyncio
import json
from functools import reduce
from operator import add

import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage, FunctionMessage, HumanMessage
from langchain_core.runnables import RunnableLambda

from yandex_compat import ConfigurationError, UnsupportedError

PREDICTED = {"type": "content", "content": "def f(): ..."}
FUNCTION = {
    "name": "weather",
    "description": "Tells it",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
WORDS = {
    "reasoning_effort": "high",
    "verbosity": "low",
    "frequency_penalty": 0.5,
    "presence_penalty": -0.5,
    "logit_bias": {50256: -100},
    "logprobs": True,
    "top_logprobs": 2,
    "user": "me",
}


def invoked(model):
    return model.invoke("?")


def ainvoked(model):
    return asyncio.run(model.ainvoke("?"))


def streamed(model):
    return reduce(add, model.stream("?"))


def astreamed(model):
    async def collected():
        return [chunk async for chunk in model.astream("?")]

    return reduce(add, asyncio.run(collected()))


every_way = pytest.mark.parametrize("ask", [invoked, ainvoked, streamed, astreamed])


def answering(emulator, ask, message, reason="stop", logprobs=None, **rest):
    """Have the next answer be this message, whole or in one event, as `ask` will ask for it."""
    if ask in (invoked, ainvoked):
        choice = {"message": message, "finish_reason": reason, "logprobs": logprobs}
        emulator.script({"status": 200, "body": {"choices": [choice], **rest}})
    else:
        choice = {"delta": message, "finish_reason": reason, "logprobs": logprobs}
        event = json.dumps({"choices": [choice], **rest})
        emulator.script({"chunks": [f"data: {event}\n\n", "data: [DONE]\n\n"]})


@pytest.mark.parametrize("of_the_call", [False, True])
def test_each_word_goes_out_by_its_name(make, body, of_the_call):
    least = {"model", "messages"}
    if of_the_call:
        make().invoke("Hi", **WORDS)
    else:
        make(**WORDS).invoke("Hi")
    sent = {word: value for word, value in body().items() if word not in least}
    assert sent == WORDS | {"logit_bias": {"50256": -100}}


@pytest.mark.parametrize(
    ("word", "value", "sent"),
    [
        ("modalities", ["text"], ["text"]),
        ("prediction", PREDICTED, PREDICTED),
        ("prediction", "text", {"type": "content", "content": "text"}),
    ],
)
def test_words_of_a_call_alone(make, body, word, value, sent):  # A15
    make().invoke("Hi", **{word: value})
    assert body()[word] == sent


def test_top_logprobs_alone_are_refused_at_construction(make):
    with pytest.raises(ConfigurationError, match="top_logprobs needs logprobs"):
        make(top_logprobs=2)


@pytest.mark.parametrize("of_the_call", [False, True])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_n_answers_are_n_generations(make, emulator, body, of_the_call, asynchronous):
    choices = [
        {"index": index, "message": {"content": text}, "finish_reason": "stop"}
        for index, text in enumerate(["one", "two", "three"])
    ]
    usage = {"prompt_tokens": 1, "completion_tokens": 6, "total_tokens": 7}
    emulator.script({"status": 200, "body": {"choices": choices, "usage": usage}})
    model, words = (make(), {"n": 3}) if of_the_call else (make(n=3), {})
    asked = [[HumanMessage("?")]]
    counted = UsageMetadataCallbackHandler()
    if asynchronous:
        result = asyncio.run(model.agenerate(asked, callbacks=[counted], **words))
    else:
        result = model.generate(asked, callbacks=[counted], **words)
    (generations,) = result.generations
    assert body()["n"] == 3
    assert [generation.text for generation in generations] == ["one", "two", "three"]
    assert result.llm_output["token_usage"]["completion_tokens"] == 6
    totals = [generation.message.usage_metadata for generation in generations]
    assert [usage and usage["output_tokens"] for usage in totals] == [6, None, None]
    (usage,) = counted.usage_metadata.values()
    assert usage["output_tokens"] == 6


def test_n_answers_are_not_streamed(make, emulator):  # M17
    with pytest.raises(UnsupportedError, match="n=2"):
        list(make(n=2).stream("?"))
    assert emulator.requests == []


@pytest.mark.parametrize("streaming", [None, True])
def test_several_answers_are_given_whole_to_whoever_watches(make, body, streaming):
    model = make(n=2, streaming=streaming)

    async def watched():
        async def asked(_):
            return (await model.ainvoke("?")).text

        events = RunnableLambda(asked).astream_events("?", version="v2")
        return [event["event"] async for event in events]

    assert model.invoke("?").text
    assert "on_chat_model_end" in asyncio.run(watched())
    assert (body()["n"], "stream" in body()) == (2, False)


TOKENS = [
    {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []},
    {"token": "!", "logprob": -9999.0, "bytes": [33], "top_logprobs": []},
]


@every_way
def test_log_probabilities_are_in_the_metadata(make, emulator, ask):  # A16
    answering(emulator, ask, {"content": "Hi!"}, logprobs={"content": TOKENS, "refusal": None})
    message = ask(make(logprobs=True))
    assert message.response_metadata["logprobs"] == {"content": TOKENS}


def test_log_probabilities_of_a_stream_add_up(make, emulator):  # T10
    events = [
        {"choices": [{"delta": {"content": each["token"]}, "logprobs": {"content": [each]}}]}
        for each in TOKENS
    ]
    data = [f"data: {json.dumps(event)}\n\n" for event in events]
    emulator.script({"chunks": [*data, "data: [DONE]\n\n"]})
    message = streamed(make())
    assert (message.text, message.response_metadata["logprobs"]) == ("Hi!", {"content": TOKENS})


@every_way
@pytest.mark.parametrize("model", ["yandexgpt", "qwen3-235b-a22b-fp8"])
def test_log_probabilities_are_those_of_the_text(make, emulator, ask, model):
    emulator.script({"text": "one two, three"})
    message = ask(make(model=model, logprobs=True, top_logprobs=2))
    tokens = message.response_metadata["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == message.text == "one two, three"
    assert all(len(token["top_logprobs"]) == 2 for token in tokens)


@every_way
@pytest.mark.parametrize("model", ["yandexgpt", "qwen3-235b-a22b-fp8"])
def test_functions_by_extra_body_are_answered_by_a_call(make, body, ask, model):  # A15
    message = ask(make(model=model, extra_body={"functions": [FUNCTION], "function_call": "auto"}))
    assert body()["functions"] == [FUNCTION]
    assert message.tool_calls == []

    named = {"functions": [FUNCTION], "function_call": {"name": "weather"}}
    message = ask(make(model=model, extra_body=named))
    assert [call["name"] for call in message.tool_calls] == ["weather"]
    assert message.response_metadata["finish_reason"] == "function_call"


CITED = {
    "type": "url_citation",
    "url_citation": {"start_index": 0, "end_index": 2, "url": "https://ya.ru", "title": "Ya"},
}
CITATION = {
    "type": "citation", "url": "https://ya.ru", "title": "Ya", "start_index": 0, "end_index": 2
}  # fmt: skip


@every_way
@pytest.mark.parametrize("version", [None, "v1"])
def test_citations_are_standard_blocks(make, emulator, ask, version):  # A16
    answering(emulator, ask, {"content": "Hi!", "annotations": [CITED]})
    (block,) = ask(make(output_version=version)).content_blocks
    assert (block["type"], block["text"], block["annotations"]) == ("text", "Hi!", [CITATION])


def test_citations_in_an_event_of_their_own_stand_with_the_text(make, emulator):
    deltas = [{"content": "Hi!"}, {"annotations": [CITED]}, {"annotations": [CITED]}]
    data = [f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\n" for delta in deltas]
    emulator.script({"chunks": [*data, "data: [DONE]\n\n"]})
    (block,) = streamed(make(output_version="v1")).content_blocks
    assert (block["text"], block["annotations"]) == ("Hi!", [CITATION, CITATION])


@pytest.mark.parametrize("version", [None, "v1"])
def test_sound_is_a_standard_block_and_goes_back_by_its_id(
    make, emulator, body, version
):  # A15, A16
    audio = {"id": "a1", "expires_at": 7, "data": "AAAA", "transcript": "four"}
    answering(emulator, invoked, {"content": None, "audio": audio})
    model = make(extra_body={"modalities": ["text", "audio"]}, output_version=version)
    answer = model.invoke("?")
    assert answer.additional_kwargs["audio"] == audio
    assert answer.content_blocks == [
        {
            "type": "audio",
            "id": "a1",
            "base64": "AAAA",
            "extras": {"expires_at": 7, "transcript": "four"},
        }
    ]
    make().invoke([HumanMessage("?"), answer, HumanMessage("Again")])
    assert body()["messages"][1] == {"role": "assistant", "content": "", "audio": {"id": "a1"}}


@every_way
def test_what_was_refused_goes_back(make, emulator, body, ask):  # A15
    answering(emulator, ask, {"refusal": "No."})
    answer = ask(make())
    assert answer.additional_kwargs["refusal"] == "No."
    make().invoke([HumanMessage("?"), answer, HumanMessage("Why?")])
    assert body()["messages"][1] == {"role": "assistant", "content": "", "refusal": "No."}


@every_way
def test_every_detail_of_usage(make, emulator, ask):  # A16
    usage = {
        "prompt_tokens": 20,
        "completion_tokens": 30,
        "total_tokens": 50,
        "prompt_tokens_details": {"audio_tokens": 1, "cached_tokens": 2},
        "completion_tokens_details": {
            "accepted_prediction_tokens": 3,
            "audio_tokens": 4,
            "reasoning_tokens": 5,
            "rejected_prediction_tokens": 6,
        },
    }
    answering(emulator, ask, {"content": "Hi"}, usage=usage)
    told = ask(make()).usage_metadata
    assert told["input_token_details"] == {"audio": 1, "cache_read": 2}
    assert told["output_token_details"] == {
        "audio": 4,
        "reasoning": 5,
        "accepted_prediction": 3,
        "rejected_prediction": 6,
    }


@every_way
def test_the_service_tier_is_told(make, emulator, ask):  # A16
    answering(emulator, ask, {"content": "Hi"}, service_tier="default")
    assert ask(make()).response_metadata["service_tier"] == "default"


@every_way
def test_headers_are_told_where_they_are_asked_for(make, ask):  # S7
    told = ask(make(include_response_headers=True)).response_metadata["headers"]
    assert told["x-request-id"]
    assert "headers" not in ask(make()).response_metadata


@every_way
def test_functions_go_out_as_tools_and_their_answer_is_a_call(make, emulator, body, ask):  # A15
    called = {"name": "weather", "arguments": '{"city": "Omsk"}'}
    answering(emulator, ask, {"content": None, "function_call": called}, "function_call")
    message = ask(make().bind(functions=[FUNCTION], function_call={"name": "weather"}))
    assert body()["tools"] == [{"type": "function", "function": FUNCTION}]
    assert body()["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    (call,) = message.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Omsk"})
    assert call["id"]
    assert message.response_metadata["finish_reason"] == "function_call"


def test_a_function_call_of_an_older_message_goes_out_with_its_result(make, body):  # A15
    called = {"name": "weather", "arguments": '{"city":"Omsk"}'}
    said = AIMessage("", additional_kwargs={"function_call": called})
    make().invoke([HumanMessage("?"), said, FunctionMessage(name="weather", content="sun")])
    _, call, result = body()["messages"]
    assert call["tool_calls"] == [{"id": "weather", "type": "function", "function": called}]
    assert result == {"role": "tool", "content": "sun", "tool_call_id": "weather"}


@pytest.mark.parametrize("word", ["seed", "store", "audio", "web_search_options", "service_tier"])
def test_what_the_service_lacks_is_refused_and_sent_by_extra_body(make, emulator, body, word):  # A9
    value = {"seed": 7, "store": True, "service_tier": "auto"}.get(word, {"a": "b"})
    with pytest.raises(UnsupportedError, match=rf"^{word}:.*extra_body"):
        make().invoke("Hi", **{word: value})
    assert emulator.requests == []
    make(extra_body={word: value}).invoke("Hi")
    assert body()[word] == value
