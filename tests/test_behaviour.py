"""One suite of behaviour for both frameworks and both APIs: blocking and streamed, sync and async.

Each way of asking is a function from a conversation to an Answer; whatever way is taken, the same
question must give the same text, tool calls and usage, and send the same body.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from llama_index.core.base.llms.types import (
    ChatMessage,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from langchain_yandex_compat import ChatYandex, YandexEmbeddings
from llamaindex_yandex_compat import YandexEmbedding, YandexLLM
from yandex_compat import (
    AuthenticationError,
    ConfigurationError,
    RateLimitError,
    StreamInterrupted,
    ToolChoiceIgnored,
    UnsupportedError,
)
from yandex_compat.emulator import Emulator
from yandex_compat.wires.apis import APIS

YANDEX, OPEN = "yandexgpt", "qwen3-235b-a22b-fp8"
USAGE = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}


@dataclass(frozen=True)
class Call:
    name: str
    arguments: dict[str, Any]
    id: str = field(default="", compare=False)


@dataclass(frozen=True)
class Turn:
    """The question; or an answer with its calls, and their results in the order they came."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    results: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Answer:
    text: str
    reasoning: str
    calls: tuple[Call, ...]
    usage: tuple[int, int, int] | None
    finish_reason: str | None


def weather(city: str) -> str:
    """Tell the weather of a city."""
    raise AssertionError("no test runs it")


def url_of(emulator: Emulator, words: dict[str, Any]) -> str:
    return emulator.native_url if words.get("api") == "completion" else emulator.chat_url


# LangChain


def _langchain_messages(turns: list[Turn]) -> list[Any]:
    messages: list[Any] = []
    for turn in turns:
        if not turn.calls:
            messages.append(HumanMessage(turn.text))
            continue
        calls = [{"name": c.name, "args": c.arguments, "id": c.id} for c in turn.calls]
        messages.append(AIMessage(turn.text, tool_calls=calls))
        messages += [ToolMessage(text, tool_call_id=call_id) for call_id, text in turn.results]
    return messages


def _langchain_model(emulator: Emulator, words: dict[str, Any]) -> Any:
    words = dict(words)
    tools, choice = words.pop("tools", ()), words.pop("tool_choice", None)
    parallel = words.pop("parallel_tool_calls", None)
    model = ChatYandex(
        base_url=url_of(emulator, words), api_key="test-key", folder_id="test-folder", **words
    )
    if not tools:
        return model
    bound = [tool(each) for each in tools]
    return model.bind_tools(bound, tool_choice=choice, parallel_tool_calls=parallel)


def _langchain_answer(message: Any) -> Answer:
    usage = message.usage_metadata
    return Answer(
        text=message.content,
        reasoning=message.additional_kwargs.get("reasoning_content", ""),
        calls=tuple(Call(c["name"], c["args"], c["id"]) for c in message.tool_calls),
        usage=usage and (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]),
        finish_reason=message.response_metadata.get("finish_reason"),
    )


def langchain_invoke(emulator: Emulator, turns: list[Turn], words: dict[str, Any]) -> Answer:
    return _langchain_answer(_langchain_model(emulator, words).invoke(_langchain_messages(turns)))


def langchain_ainvoke(emulator: Emulator, turns: list[Turn], words: dict[str, Any]) -> Answer:
    model = _langchain_model(emulator, words)
    return _langchain_answer(asyncio.run(model.ainvoke(_langchain_messages(turns))))


def langchain_stream(emulator: Emulator, turns: list[Turn], words: dict[str, Any]) -> Answer:
    chunks = list(_langchain_model(emulator, words).stream(_langchain_messages(turns)))
    return _langchain_answer(reduce(add, chunks))


def langchain_astream(emulator: Emulator, turns: list[Turn], words: dict[str, Any]) -> Answer:
    model = _langchain_model(emulator, words)

    async def collect() -> list[Any]:
        return [chunk async for chunk in model.astream(_langchain_messages(turns))]

    return _langchain_answer(reduce(add, asyncio.run(collect())))


# LlamaIndex


def _llamaindex_messages(turns: list[Turn]) -> list[ChatMessage]:
    messages: list[ChatMessage] = []
    for turn in turns:
        if not turn.calls:
            messages.append(ChatMessage(role=MessageRole.USER, content=turn.text))
            continue
        blocks: list[Any] = [TextBlock(text=turn.text)] if turn.text else []
        blocks += [
            ToolCallBlock(tool_call_id=c.id, tool_name=c.name, tool_kwargs=c.arguments)
            for c in turn.calls
        ]
        messages.append(ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks))
        messages += [
            ChatMessage(role="tool", content=text, additional_kwargs={"tool_call_id": call_id})
            for call_id, text in turn.results
        ]
    return messages


def _llamaindex_model(
    emulator: Emulator, words: dict[str, Any]
) -> tuple[YandexLLM, dict[str, Any]]:
    words = dict(words)
    tools = [FunctionTool.from_defaults(each) for each in words.pop("tools", ())]
    choice = words.pop("tool_choice", None)
    parallel = words.pop("parallel_tool_calls", True)
    model = YandexLLM(
        base_url=url_of(emulator, words), api_key="test-key", folder_id="test-folder", **words
    )
    if not tools:
        return model, {}
    prepared = model._prepare_chat_with_tools(
        tools, chat_history=[], allow_parallel_tool_calls=parallel, tool_choice=choice
    )
    prepared.pop("messages")
    return model, prepared


def _llamaindex_answer(model: YandexLLM, response: Any) -> Answer:
    selections = model.get_tool_calls_from_response(response, error_on_no_tool_call=False)
    usage = response.raw.get("usage")
    thoughts = [b.content for b in response.message.blocks if isinstance(b, ThinkingBlock)]
    return Answer(
        text=response.message.content or "",
        reasoning="".join(thoughts),
        calls=tuple(Call(s.tool_name, s.tool_kwargs, s.tool_id) for s in selections),
        usage=usage and tuple(usage[word] for word in USAGE),
        finish_reason=response.additional_kwargs.get("finish_reason"),
    )


def llamaindex_chat(emulator: Emulator, turns: list[Turn], words: dict[str, Any]) -> Answer:
    model, more = _llamaindex_model(emulator, words)
    return _llamaindex_answer(model, model.chat(_llamaindex_messages(turns), **more))


def llamaindex_achat(emulator: Emulator, turns: list[Turn], words: dict[str, Any]) -> Answer:
    model, more = _llamaindex_model(emulator, words)
    return _llamaindex_answer(model, asyncio.run(model.achat(_llamaindex_messages(turns), **more)))


def llamaindex_stream_chat(emulator: Emulator, turns: list[Turn], words: dict[str, Any]) -> Answer:
    model, more = _llamaindex_model(emulator, words)
    return _last(model, list(model.stream_chat(_llamaindex_messages(turns), **more)))


def llamaindex_astream_chat(emulator: Emulator, turns: list[Turn], words: dict[str, Any]) -> Answer:
    model, more = _llamaindex_model(emulator, words)

    async def collect() -> list[Any]:
        stream = await model.astream_chat(_llamaindex_messages(turns), **more)
        return [response async for response in stream]

    return _last(model, asyncio.run(collect()))


def _last(model: YandexLLM, responses: list[Any]) -> Answer:
    answer = _llamaindex_answer(model, responses[-1])
    assert "".join(response.delta or "" for response in responses) == answer.text
    return answer


Ask = Callable[[Emulator, list[Turn], dict[str, Any]], Answer]
BLOCKING = [langchain_invoke, langchain_ainvoke, llamaindex_chat, llamaindex_achat]
STREAMED = [
    langchain_stream, langchain_astream, llamaindex_stream_chat, llamaindex_astream_chat,
]  # fmt: skip

every_way = pytest.mark.parametrize("ask", [*BLOCKING, *STREAMED], ids=lambda f: f.__name__)
every_stream = pytest.mark.parametrize("ask", STREAMED, ids=lambda f: f.__name__)
SERVED = {
    YANDEX: {"model": YANDEX},
    OPEN: {"model": OPEN},
    "native": {"model": YANDEX, "api": "completion"},
}
everywhere = pytest.mark.parametrize("served", SERVED.values(), ids=SERVED)
on_both_apis = pytest.mark.parametrize(
    "served", [SERVED[OPEN], SERVED["native"]], ids=["chat", "native"]
)


def test_every_api_is_asked():
    assert {words.get("api", "chat") for words in SERVED.values()} == set(APIS)


@every_way
@everywhere
def test_text_and_finish_reason(emulator, ask: Ask, served):
    emulator.script({"text": "Привет, мир! 👋\nSecond line.", "usage": USAGE})
    answer = ask(emulator, [Turn("Hello")], served)
    assert answer.text == "Привет, мир! 👋\nSecond line."
    assert answer.finish_reason == "stop"
    assert answer.calls == ()


@every_way
@everywhere
def test_usage_is_the_service_s_and_never_invented(emulator, ask: Ask, served):
    emulator.script({"text": "Hi", "usage": USAGE})
    answer = ask(emulator, [Turn("Hello")], served)
    # WIRE A3: streams of the Yandex family report none.
    silent = served == SERVED[YANDEX] and ask in STREAMED
    assert answer.usage == (None if silent else (9, 12, 21))


@every_way
def test_reasoning_is_kept_apart_from_the_text(emulator, ask: Ask):
    emulator.script({"text": "4", "reasoning": "Two and two."})
    answer = ask(emulator, [Turn("2+2?")], {"model": "gpt-oss-120b"})
    assert (answer.text, answer.reasoning) == ("4", "Two and two.")  # WIRE A7


@every_way
@everywhere
def test_two_calls_of_one_tool_get_ids_of_their_own(emulator, ask: Ask, served):
    emulator.script(
        {
            "tool_calls": [
                {"name": "weather", "arguments": {"city": "Казань"}},
                {"name": "weather", "arguments": {"city": "Tver"}},
            ]
        }
    )
    answer = ask(emulator, [Turn("Weather?")], {**served, "tools": [weather]})
    assert answer.calls == (
        Call("weather", {"city": "Казань"}),
        Call("weather", {"city": "Tver"}),
    )
    assert answer.finish_reason == "tool_calls"
    ids = [call.id for call in answer.calls]
    assert len(set(ids)) == 2
    assert "weather" not in ids  # WIRE A2


@every_way
@everywhere
def test_calls_beside_the_first_are_trimmed_where_parallel_ones_are_off(emulator, ask: Ask, served):
    emulator.script({"tool_calls": [{"name": "weather", "arguments": {"city": c}} for c in "AB"]})
    words = {**served, "tools": [weather], "parallel_tool_calls": False}
    answer = ask(emulator, [Turn("Weather?")], words)
    assert answer.calls == (Call("weather", {"city": "A"}),)  # D8
    body = emulator.requests[-1]["body"]
    assert body["parallelToolCalls" if "api" in served else "parallel_tool_calls"] is False


LEAKED = '[TOOL_CALL_START]weather\n{"city": "Казань"}'


@every_way
@everywhere
@pytest.mark.parametrize("recover", [True, False])
def test_a_call_that_leaked_into_the_text(emulator, ask: Ask, served, recover):  # WIRE A13
    emulator.script({"text": LEAKED})
    words = {**served, "tools": [weather], "recover_leaked_calls": recover}
    answer = ask(emulator, [Turn("Weather?")], words)
    if recover:
        assert (answer.text, answer.finish_reason) == ("", "tool_calls")
        assert answer.calls == (Call("weather", {"city": "Казань"}),)
        assert answer.calls[0].id
    else:
        assert (answer.text, answer.calls) == (LEAKED, ())


@every_way
@pytest.mark.parametrize("model", [YANDEX, OPEN])
@pytest.mark.parametrize("arguments", ["", '{"city": "A'])
@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_call_cut_short_is_no_call_to_run(emulator, ask: Ask, model, arguments, reason):
    """The native API has no such calls: its arguments are objects (WIRE B4)."""
    call = {"name": "weather", "arguments": arguments}
    emulator.script({"tool_calls": [call], "finish_reason": reason})
    answer = ask(emulator, [Turn("Weather?")], {"model": model, "tools": [weather]})
    # LangChain lists it as invalid; LlamaIndex has no such list, so the tool is made to fail.
    assert all("INVALID_JSON" in each.arguments for each in answer.calls)
    assert len(answer.calls) == (0 if "langchain" in ask.__name__ else 1)


@every_way
@everywhere
def test_an_agent_s_loop_over_one_tool(emulator, ask: Ask, served):
    """Two calls in one turn, results given in the wrong order, and a third call a turn later."""
    words = {**served, "tools": [weather]}

    def call(city: str) -> dict[str, Any]:
        return {"name": "weather", "arguments": {"city": city}}

    emulator.script(
        {"tool_calls": [call("A"), call("B")]}, {"tool_calls": [call("C")]}, {"text": "Done"}
    )
    turns = [Turn("Weather of A, B and then C?")]
    first = ask(emulator, turns, words).calls
    turns.append(Turn(calls=first, results=((first[1].id, "rain"), (first[0].id, "sun"))))
    second = ask(emulator, turns, words).calls
    turns.append(Turn(calls=second, results=((second[0].id, "snow"),)))
    assert ask(emulator, turns, words).text == "Done"

    assert len({each.id for each in (*first, *second)}) == 3
    sent = emulator.requests[-1]["body"]["messages"]
    if "api" in served:
        assert [_native_content(message) for message in sent[1:]] == [
            ["A"], ["sun"], ["B"], ["rain"], ["C"], ["snow"],
        ]  # fmt: skip
        return
    lists = [message["tool_calls"] for message in sent if message.get("tool_calls")]
    results = [message for message in sent if message["role"] == "tool"]
    # D5: what the service matches by name or id never stands twice in one list.
    by_name = served["model"] == YANDEX
    assert [len(calls) for calls in lists] == ([1, 1, 1] if by_name else [2, 1])
    assert [message["content"] for message in results] == ["sun", "rain", "snow"]
    issued = [each["id"] for calls in lists for each in calls]
    assert [message["tool_call_id"] for message in results] == issued
    if by_name:
        assert issued == ["weather"] * 3  # D4: the id the service issued is its function's name
    else:
        assert issued == [each.id for each in (*first, *second)]


def _native_content(message: dict[str, Any]) -> list[str]:
    """The cities that a native message's calls name, or its results (WIRE B2, B3)."""
    calls = message.get("toolCallList", {}).get("toolCalls", ())
    results = message.get("toolResultList", {}).get("toolResults", ())
    return [call["functionCall"]["arguments"]["city"] for call in calls] + [
        result["functionResult"]["content"] for result in results
    ]


def погода(город: str) -> str:
    """Погода в городе."""
    raise AssertionError("no test runs it")


@every_way
@everywhere
def test_a_tool_s_name_of_other_signs_goes_out_and_comes_back(emulator, ask: Ask, served):
    """WIRE A15: the service takes few signs; a framework looks a tool up by the name it gave."""
    words = {**served, "tools": [погода], "tool_choice": "погода"}
    emulator.script(
        {"tool_calls": [{"name": "pogoda", "arguments": {"город": "Тверь"}}]}, {"text": "Да"}
    )
    turns = [Turn("Погода в Твери?")]
    [call] = ask(emulator, turns, words).calls
    assert call == Call("погода", {"город": "Тверь"})
    assert call.id not in {"погода", "pogoda"}

    turns.append(Turn(calls=(call,), results=((call.id, "снег"),)))
    ask(emulator, turns, served)
    first, second = (record["body"] for record in emulator.requests)
    if "api" in served:
        assert first["tools"][0]["function"]["name"] == "pogoda"
        assert first["toolChoice"] == {"functionName": "pogoda"}
        assert json.dumps(second).count('"name": "pogoda"') == 2
        return
    assert first["tools"][0]["function"]["name"] == "pogoda"
    assert first["tool_choice"]["function"]["name"] == "pogoda"
    [sent] = second["messages"][1]["tool_calls"]
    assert sent["function"]["name"] == "pogoda"
    assert sent["id"] == second["messages"][2]["tool_call_id"]
    assert (sent["id"] == "pogoda") is (served["model"] == YANDEX)  # D4


class City(BaseModel):
    """A city."""

    name: str
    people: int


def langchain_object(emulator: Emulator, served: dict[str, Any], method: str, form: str) -> Any:
    bound = _langchain_model(emulator, served).with_structured_output(City, method=method)
    match form:
        case "whole":
            return bound.invoke("Invent a city")
        case "async":
            return asyncio.run(bound.ainvoke("Invent a city"))
    return list(bound.stream("Invent a city"))[-1]


def llamaindex_object(emulator: Emulator, served: dict[str, Any], method: str, form: str) -> Any:
    llm, _ = _llamaindex_model(emulator, served)
    llm.pydantic_program_mode = "function" if method == "function_calling" else "default"
    prompt = PromptTemplate("Invent a city")
    match form:
        case "whole":
            return llm.structured_predict(City, prompt)
        case "async":
            return asyncio.run(llm.astructured_predict(City, prompt))
    return list(llm.stream_structured_predict(City, prompt))[-1]


every_object = pytest.mark.parametrize("ask", [langchain_object, llamaindex_object])
every_method = pytest.mark.parametrize("method", ["json_schema", "function_calling"])
every_form = pytest.mark.parametrize("form", ["whole", "async", "streamed"])


@every_object
@every_method
@every_form
@everywhere
def test_an_object_of_a_class(emulator, ask: Any, method, form, served):  # D9
    if method == "json_schema":
        emulator.script({"text": '```json\n{"name": "Тверь", "people": 416000}\n```'})
    else:
        arguments = {"name": "Тверь", "people": 416000}
        emulator.script({"tool_calls": [{"name": "City", "arguments": arguments}]})
    assert ask(emulator, served, method, form) == City(name="Тверь", people=416000)
    [body] = [record["body"] for record in emulator.requests]
    if "api" in served:
        name = "City"
        schema = (
            body["jsonSchema"]["schema"]
            if method == "json_schema"
            else body["tools"][0]["function"]["parameters"]
        )
    elif method == "json_schema":
        described = body["response_format"]["json_schema"]
        name, schema = described["name"], described["schema"]
    else:
        function = body["tools"][0]["function"]
        name, schema = function["name"], function["parameters"]
        assert body["tool_choice"] in ("required", {"type": "function", "function": {"name": name}})
    assert name == "City"
    assert schema["required"] == ["name", "people"]


@every_object
@every_form
@everywhere
def test_an_object_that_was_cut_says_so(emulator, ask: Any, form, served):  # D9
    emulator.script({"text": '{"name": "Тве', "finish_reason": "length"})
    with pytest.raises(Exception, match="max_tokens"):
        ask(emulator, served, "json_schema", form)


@on_both_apis
def test_both_frameworks_embed_alike(emulator, served):
    words = {"api_key": "test-key", "folder_id": "test-folder", "requests_per_second": 0}
    words |= {"base_url": url_of(emulator, served), "api": served.get("api")}
    one, other = YandexEmbeddings(**words), YandexEmbedding(**words)
    texts = ["one", "two", "three"]
    vectors = one.embed_documents(texts)
    assert vectors == other.get_text_embedding_batch(texts)
    assert vectors == asyncio.run(one.aembed_documents(texts))
    assert vectors == asyncio.run(other.aget_text_embedding_batch(texts))
    assert one.embed_query("one") == other.get_query_embedding("one") != vectors[0]
    sent = {json.dumps(record["body"]) for record in emulator.requests}
    assert len(sent) == len(texts) + 1


@every_way
@everywhere
def test_stop_cuts_across_chunk_borders_and_closes_the_connection(emulator, ask: Ask, served):
    text = "one two three\nObservation: " + "four five six " * 50
    emulator.script({"text": text, "delay": 0.01})
    words = {**served, "stop": ["\nObservation:"]}
    answer = ask(emulator, [Turn("Count")], words)
    assert answer.text == "one two three"
    assert answer.finish_reason == "stop"
    emulator.settle()
    (record,) = emulator.requests
    assert "stop" not in record["body"]  # D7, WIRE A9
    assert record["closed_early"] is (ask in STREAMED)


@every_stream
@everywhere
def test_a_stream_cut_politely_raises_with_what_arrived(emulator, ask: Ask, served):
    emulator.script({"text": "one two three four five six", "cut_after": 2})
    with pytest.raises(StreamInterrupted) as caught:
        ask(emulator, [Turn("Count")], served)
    assert caught.value.partial.text
    assert "one two three four five six".startswith(caught.value.partial.text)
    assert len(emulator.requests) == 1  # D10: no retry after the first byte


@every_stream
@everywhere
def test_a_stream_reset_raises_the_same(emulator, ask: Ask, served):
    emulator.script(
        {"text": "one two three four five six seven eight", "cut_after": 2, "close": "reset"}
    )
    with pytest.raises(StreamInterrupted) as caught:
        ask(emulator, [Turn("Count")], served)
    assert caught.value.partial.text


@on_both_apis
@every_stream
def test_an_error_inside_a_stream_is_typed(emulator, ask: Ask, served):
    error = {"grpcCode": 8, "httpCode": 429, "message": "quota limit exceed"}
    emulator.script({"text": "one two three four", "error_after": 1, "error": error})
    with pytest.raises(RateLimitError, match="quota limit exceed"):
        ask(emulator, [Turn("Count")], served)


@on_both_apis
@every_way
def test_content_filter_gives_the_refusal_as_text(emulator, ask: Ask, served):
    emulator.script({"text": "I can't talk about that.", "finish_reason": "content_filter"})
    answer = ask(emulator, [Turn("…")], served)
    assert answer.finish_reason == "content_filter"
    assert answer.text == "I can't talk about that."


@every_way
@everywhere
def test_a_required_call_that_does_not_come_is_an_error(emulator, ask: Ask, served):
    emulator.script({"text": "I would rather talk."})
    words = {**served, "tools": [weather], "tool_choice": "required"}
    with pytest.raises(ToolChoiceIgnored, match="json_schema") as caught:
        ask(emulator, [Turn("Weather?")], words)
    assert not caught.value.retryable  # D8
    assert len(emulator.requests) == 1


@on_both_apis
@every_way
def test_a_required_call_cut_by_max_tokens_is_no_ignored_choice(emulator, ask: Ask, served):
    emulator.script({"text": "I wou", "finish_reason": "length"})
    words = {**served, "tools": [weather], "tool_choice": "required"}
    assert ask(emulator, [Turn("Weather?")], words).finish_reason == "length"


@on_both_apis
@every_way
def test_a_wrong_key_is_told_at_once(emulator, ask: Ask, served):
    body = {"error": {"grpcCode": 16, "httpCode": 401, "message": "Unknown api key test-key"}}
    emulator.script({"status": 401, "body": body})
    with pytest.raises(AuthenticationError, match="YC_API_KEY") as caught:
        ask(emulator, [Turn("Hello")], served)
    assert "test-key" not in str(caught.value)
    assert len(emulator.requests) == 1


@on_both_apis
@every_way
def test_a_quota_is_waited_for(emulator, ask: Ask, served):
    emulator.script(
        {"status": 429, "headers": {"Retry-After": "0"}, "body": {"error": "quota limit exceed"}},
        {"text": "Now"},
    )
    assert ask(emulator, [Turn("Hello")], served).text == "Now"
    assert len(emulator.requests) == 2


@every_way
@pytest.mark.parametrize(
    ("words", "error", "named"),
    [
        ({"temperature": 2.5}, ConfigurationError, "temperature"),
        ({"model": "gpt://folder"}, ConfigurationError, "gpt://"),
        ({"max_tokens": 0}, ConfigurationError, "max_tokens"),
        ({"extra_boby": {}}, ConfigurationError, "extra_body"),
        ({"seed": 1}, ConfigurationError, "seed"),
        ({"api": "native"}, ConfigurationError, "completion"),
        ({"api": "completion", "temperature": 1.5}, ConfigurationError, "from 0 to 1"),
        ({"api": "completion", "top_p": 0.5}, UnsupportedError, "top_p"),
        ({"api": "completion", "model": OPEN}, UnsupportedError, "chat API only"),
        ({"folder_id": None}, ConfigurationError, "YC_FOLDER_ID"),
    ],
)
def test_bad_words_are_refused_before_any_request(emulator, ask: Ask, words, error, named):
    given = {"api_key": "test-key", "folder_id": "test-folder", **words}
    framework = ChatYandex if "langchain" in ask.__name__ else YandexLLM
    with pytest.raises(error, match=named):
        framework(base_url=emulator.chat_url, **given)
    assert emulator.requests == []


@everywhere
def test_every_way_sends_the_same_body(emulator, served):
    turns = [
        Turn("Weather?"),
        Turn(
            text="Let me see.",
            calls=(Call("weather", {"city": "Казань"}, "a1"), Call("weather", {"city": "B"}, "b2")),
            results=(("a1", "sun"), ("b2", "rain")),
        ),
        Turn("And now?"),
    ]
    words = {
        **served, "tools": [weather], "temperature": 0.3, "max_tokens": 50, "top_p": 0.9,
        "stop": ["END"], "extra_body": {"user": "u1"},
    }  # fmt: skip
    if "api" in served:
        del words["top_p"]
        words["extra_body"] = {"jsonObject": True}
    bodies = []
    for ask in (*BLOCKING, *STREAMED):
        emulator.script({"text": "Hi"})
        ask(emulator, turns, words)
        body = dict(emulator.requests[-1]["body"])
        options = body.get("completionOptions", body)
        assert options.pop("stream", False) is (ask in STREAMED)
        bodies.append(_without_wording(body))
    assert all(body == bodies[0] for body in bodies)
    if "api" in served:
        assert bodies[0]["completionOptions"] == {"temperature": 0.3, "maxTokens": "50"}
        assert bodies[0]["jsonObject"] is True
    else:
        assert bodies[0]["max_completion_tokens"] == 50
        assert bodies[0]["user"] == "u1"


def _without_wording(body: dict[str, Any]) -> dict[str, Any]:
    """A body without what each framework says of a tool and of its choice in its own words."""
    for word in ("tool_choice", "toolChoice", "parallel_tool_calls", "parallelToolCalls"):
        body.pop(word, None)
    for each in body["tools"]:
        assert each["function"]["name"] == "weather"
        assert each["function"]["parameters"]["required"] == ["city"]
        each["function"] = {"name": "weather"}
    return body


@pytest.mark.parametrize(
    ("framework", "call"),
    [
        (ChatYandex, lambda model: model.invoke("Hi", seed=1)),
        (YandexLLM, lambda model: model.chat([ChatMessage(content="Hi")], seed=1)),
    ],
    ids=["langchain", "llamaindex"],
)
def test_unsupported_parameters_of_a_call_are_refused_unsent(emulator, framework, call):
    model = framework(base_url=emulator.chat_url, api_key="test-key", folder_id="test-folder")
    with pytest.raises(UnsupportedError, match=r"seed.*extra_body"):
        call(model)
    assert emulator.requests == []
