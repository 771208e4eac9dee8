import json
import sys
from typing import Any

import pytest
from llama_index.core.agent.workflow import (
    FunctionAgent,
    ToolCallResult,
)
from llama_index.core.base.llms.types import ChatResponse, TextBlock, ToolCallBlock
from llama_index.core.llms import ChatMessage
from llama_index.core.program.function_program import FunctionCallingProgram
from llama_index.core.program.llm_program import LLMTextCompletionProgram
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.tools import BaseTool, FunctionTool, QueryEngineTool
from pydantic import BaseModel
from pydantic_core import from_json

from llamaindex_yandex_compat import YandexLLM
from yandex_compat import ConfigurationError, UnsupportedError, jsontext

FORMS = ("chat", "achat", "stream_chat", "astream_chat")
TWO = [
    {"name": "multiply", "arguments": {"a": 2, "b": 3}},
    {"name": "multiply", "arguments": {"a": 4, "b": 5}},
]


async def ask_with_tools(llm, form, tools, **words):
    return await responses_of(
        getattr(llm, f"{form}_with_tools")(tools, user_msg="Count", **words), form
    )


async def responses_of(answer, form):
    if form.startswith("a"):
        answer = await answer
    if form.startswith("astream"):
        return [response async for response in answer]
    return list(answer) if form.startswith("stream") else [answer]


@pytest.mark.parametrize("form", FORMS)
async def test_a_tool_goes_out_and_its_call_comes_back(llm, form, calculator, emulator, bodies):
    emulator.script({"tool_calls": TWO[:1]})
    history = [ChatMessage(role="system", content="Count well")]
    last = (await ask_with_tools(llm, form, [calculator], chat_history=history))[-1]
    [body] = bodies()
    [tool] = body["tools"]
    assert tool["function"]["name"] == "multiply"
    assert "Multiply two whole numbers" in tool["function"]["description"]
    assert set(tool["function"]["parameters"]["properties"]) == {"a", "b"}
    assert body["tool_choice"] == "auto"
    assert body["parallel_tool_calls"] is False
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert len(history) == 1

    [selection] = llm.get_tool_calls_from_response(last)
    assert (selection.tool_name, selection.tool_kwargs) == ("multiply", {"a": 2, "b": 3})
    assert selection.tool_id != "multiply"
    [block] = [block for block in last.message.blocks if isinstance(block, ToolCallBlock)]
    assert block.tool_call_id == selection.tool_id
    # T3: streamed structured output looks here.
    [legacy] = last.message.additional_kwargs["tool_calls"]
    assert type(legacy) is dict
    assert legacy["id"] == selection.tool_id
    assert last.additional_kwargs["finish_reason"] == "tool_calls"
    assert len([block for block in last.message.blocks if isinstance(block, TextBlock)]) == 1


@pytest.mark.parametrize("form", FORMS)
async def test_the_last_response_repeats_everything(llm, form, calculator, emulator):  # T2
    emulator.script({"text": "Let me see", "tool_calls": TWO})
    responses = await ask_with_tools(llm, form, [calculator], allow_parallel_tool_calls=True)
    last = responses[-1]
    assert last.message.content == "Let me see"
    selections = llm.get_tool_calls_from_response(last)
    assert [s.tool_kwargs for s in selections] == [{"a": 2, "b": 3}, {"a": 4, "b": 5}]
    ids = [selection.tool_id for selection in selections]
    assert len(set(ids)) == 2
    for response in responses:
        seen = llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
        assert [selection.tool_id for selection in seen] == ids[: len(seen)]


@pytest.mark.parametrize("form", FORMS)
async def test_one_call_where_parallel_calls_are_off(yandexgpt, form, calculator, emulator):
    emulator.script({"tool_calls": TWO})  # WIRE A9: yandexgpt ignores the word
    for response in await ask_with_tools(yandexgpt, form, [calculator]):
        calls = yandexgpt.get_tool_calls_from_response(response, error_on_no_tool_call=False)
        assert len(calls) <= 1
    assert calls[0].tool_kwargs == {"a": 2, "b": 3}
    [trimmed] = response.additional_kwargs["trimmed_tool_calls"]
    assert trimmed["function"]["arguments"] == '{"a":4,"b":5}'


@pytest.mark.parametrize("form", FORMS)
async def test_trimmed_calls_are_told_once_and_never_given_out(llm, form, calculator, emulator):
    three = [*TWO, {"name": "multiply", "arguments": {"a": 6, "b": 7}}]
    emulator.script({"tool_calls": three})
    *before, last = await ask_with_tools(llm, form, [calculator])
    assert not [
        response for response in before if "trimmed_tool_calls" in response.additional_kwargs
    ]
    for response in (*before, last):
        blocks = [each for each in response.message.blocks if isinstance(each, ToolCallBlock)]
        assert len(blocks) <= 1
        assert len(response.message.additional_kwargs.get("tool_calls", ())) <= 1
    trimmed = last.additional_kwargs["trimmed_tool_calls"]
    assert [call["function"]["arguments"] for call in trimmed] == [
        '{"a":4,"b":5}',
        '{"a":6,"b":7}',
    ]
    [kept] = llm.get_tool_calls_from_response(last)
    assert len({kept.tool_id, *(call["id"] for call in trimmed)}) == 3


@pytest.mark.parametrize("form", FORMS)
async def test_nothing_is_trimmed_where_parallel_calls_are_on(llm, form, calculator, emulator):
    emulator.script({"tool_calls": TWO})
    responses = await ask_with_tools(llm, form, [calculator], allow_parallel_tool_calls=True)
    assert "trimmed_tool_calls" not in responses[-1].additional_kwargs


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [("", "length"), ('{"a": 2, "b', "length"), ('{"a": 2, "b', "tool_calls")],
)
async def test_a_cut_call_never_reads_as_a_whole_one(
    llm, form, calculator, emulator, arguments, reason
):
    call = {"name": "multiply", "arguments": arguments}
    emulator.script({"tool_calls": [call], "finish_reason": reason})
    last = (await ask_with_tools(llm, form, [calculator]))[-1]
    [selection] = llm.get_tool_calls_from_response(last)
    assert selection.tool_kwargs["INVALID_JSON"] == arguments
    assert len(selection.tool_kwargs) == 2


@pytest.mark.parametrize("form", FORMS)
async def test_arguments_without_a_json_form_are_refused_unsent(llm, form, emulator):
    call = ToolCallBlock(tool_call_id="1", tool_name="f", tool_kwargs={"a": object()})
    history = [ChatMessage("?"), ChatMessage(role="assistant", blocks=[call])]
    with pytest.raises(ConfigurationError, match=r"'f'.*JSON"):
        await responses_of(getattr(llm, form)(history), form)
    assert emulator.requests == []


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, "auto"),
        ({"tool_required": True}, "required"),
        ({"tool_choice": None}, "auto"),
        ({"tool_choice": "none"}, "none"),
        ({"tool_choice": "multiply"}, {"type": "function", "function": {"name": "multiply"}}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "multiply"}}},
            {"type": "function", "function": {"name": "multiply"}},
        ),
        ({"tool_choice": "multiply", "tool_required": True}, None),
    ],
)
def test_tool_choice(qwen, calculator, bodies, emulator, given, sent):
    emulator.script({"tool_calls": TWO[:1]})
    qwen.chat_with_tools([calculator], user_msg="Count", **given)
    expected = sent or {"type": "function", "function": {"name": "multiply"}}
    assert bodies()[-1]["tool_choice"] == expected


def test_wrong_tool_choices_are_refused(qwen, calculator, emulator):
    with pytest.raises(ConfigurationError, match="divide"):
        qwen.chat_with_tools([calculator], user_msg="Count", tool_choice="divide")
    with pytest.raises(UnsupportedError, match="tool_choice"):
        qwen.chat_with_tools([calculator], user_msg="Count", tool_choice={"type": "custom"})
    assert emulator.requests == []


def test_without_tools_nothing_is_said_of_them(llm, bodies):
    llm.chat_with_tools([], user_msg="Hi", tool_required=True, allow_parallel_tool_calls=True)
    assert set(bodies()[-1]) == {"model", "messages"}


def test_tools_may_be_given_to_chat_in_the_openai_form(qwen, bodies):
    parameters = {"type": "object", "properties": {}}
    tool = {"type": "function", "function": {"name": "now", "parameters": parameters}}
    qwen.chat([ChatMessage("Hi")], tools=[tool])
    assert bodies()[-1]["tools"] == [tool]
    with pytest.raises(UnsupportedError, match="tool"):
        qwen.chat([ChatMessage("Hi")], tools=[{"type": "custom", "custom": {"name": "x"}}])


def test_a_long_description_is_sent_whole(qwen, bodies):
    tool = FunctionTool.from_defaults(lambda: 1, name="now", description="x" * 3000)
    qwen.chat_with_tools([tool], user_msg="Hi")
    assert bodies()[-1]["tools"][0]["function"]["description"] == "x" * 3000


def test_no_calls_raise_only_where_that_is_an_error(llm):
    response = llm.chat([ChatMessage("Hi")])
    assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
    assert "tool_calls" not in response.message.additional_kwargs
    with pytest.raises(ValueError, match="no tool call"):
        llm.get_tool_calls_from_response(response)


def test_arguments_of_an_unfinished_stream_come_as_far_as_they_go(qwen):
    def selected(arguments, **extras):
        block = ToolCallBlock(tool_call_id="1", tool_name="f", tool_kwargs=arguments)
        message = ChatMessage(role="assistant", blocks=[block])
        response = ChatResponse(message=message, additional_kwargs=extras)
        return qwen.get_tool_calls_from_response(response)[0].tool_kwargs

    assert selected("") == {}
    assert selected('{"город": "Ом') == {"город": "Ом"}
    assert selected('{"a": 1, "b') == {"a": 1}
    assert selected('{"a": {"b": [1, 2') == {"a": {"b": [1, 2]}}
    assert selected('{"a": 1}') == selected({"a": 1}) == {"a": 1}
    assert selected("[1, 2]") == {}
    # Once the answer has ended, half a call is no call of the half.
    assert selected('{"a": 1, "b', finish_reason="length")["INVALID_JSON"] == '{"a": 1, "b'
    assert selected("", finish_reason="tool_calls") == {}


def test_reading_partial_arguments_takes_no_step_for_each_letter(qwen):
    def steps(letters: int) -> int:
        block = ToolCallBlock(
            tool_call_id="1", tool_name="f", tool_kwargs='{"text": "' + "я" * letters
        )
        response = ChatResponse(message=ChatMessage(role="assistant", blocks=[block]))
        calls = []
        sys.setprofile(lambda *event: calls.append(event[1]))
        try:
            (call,) = qwen.get_tool_calls_from_response(response)
        finally:
            sys.setprofile(None)
        assert call.tool_kwargs == {"text": "я" * letters}
        return len(calls)

    assert steps(10_000) == steps(10) > 0


async def test_partial_arguments_are_parsed_in_linear_time(qwen, emulator, monkeypatch):
    """18 kB in 1,500 pieces, asked for what they say after each, as an agent does."""

    async def parsed(pieces: int) -> int:
        text = "ненаглядный " * pieces
        emulator.script({"tool_calls": [{"name": "f", "arguments": {"text": text}}]})
        given: list[int] = []

        def counted(data: bytes | str, **words: Any) -> Any:
            if isinstance(data, str):  # the arguments; what the wire brings are bytes
                given.append(len(data))
            return from_json(data, **words)

        monkeypatch.setattr(jsontext, "from_json", counted)
        seen = []
        async for response in await qwen.astream_chat([ChatMessage("Hi")]):
            seen += qwen.get_tool_calls_from_response(response, error_on_no_tool_call=False)
        assert len(seen) >= pieces
        assert seen[-1].tool_kwargs == {"text": text}
        told = [len(call.tool_kwargs.get("text", "")) for call in seen]
        assert told == sorted(told)
        assert all(text.startswith(call.tool_kwargs.get("text", "")) for call in seen)
        return sum(given)

    small, large = await parsed(150), await parsed(1500)
    assert large < 12 * small
    assert large < 12 * 18_000


def test_what_arguments_say_does_not_depend_on_the_order_of_asking(qwen, emulator):
    emulator.script({"tool_calls": [{"name": "f", "arguments": {"text": "я" * 100}}]})
    responses = list(qwen.stream_chat([ChatMessage("Hi")]))
    asked = {"error_on_no_tool_call": False}
    forth = [qwen.get_tool_calls_from_response(each, **asked) for each in responses]
    back = [qwen.get_tool_calls_from_response(each, **asked) for each in reversed(responses)]
    for early, late in zip(forth, reversed(back), strict=True):
        for one, other in zip(early, late, strict=True):
            assert other.tool_kwargs.get("text", "").startswith(one.tool_kwargs.get("text", ""))


def test_whole_arguments_are_read_as_leniently_without_a_finish_reason(qwen, emulator):
    """Of a response that was kept and built again, nothing says that it has ended."""
    emulator.script({"tool_calls": [{"name": "f", "arguments": '{"sql": "drop\nx"}'}]})
    message = qwen.chat([ChatMessage("Hi")]).message
    [call] = qwen.get_tool_calls_from_response(ChatResponse(message=message))
    assert call.tool_kwargs == {"sql": "drop\nx"}


def test_a_call_that_is_whole_is_told_whole_before_the_end(qwen, emulator):
    arguments = {"city": "Санкт-Петербург", "days": 12345}
    emulator.script({"tool_calls": [{"name": "f", "arguments": arguments}] * 2})
    *_, before, last = list(qwen.stream_chat([ChatMessage("Hi")]))
    for response in (before, last):
        calls = qwen.get_tool_calls_from_response(response)
        assert [call.tool_kwargs for call in calls] == [arguments] * 2


@pytest.mark.parametrize("form", ["stream_chat", "astream_chat"])
async def test_calls_that_grow_side_by_side_keep_their_arguments_apart(qwen, form, emulator):
    texts = {"a": "один " * 40, "b": "two " * 40}
    emulator.script({"tool_calls": [{"name": "f", "arguments": {w: texts[w]}} for w in texts]})
    seen = 0
    for response in await responses_of(getattr(qwen, form)([ChatMessage("Hi")]), form):
        calls = qwen.get_tool_calls_from_response(response, error_on_no_tool_call=False)
        for call, word in zip(calls, texts, strict=False):
            assert call.tool_kwargs.keys() <= {word}
            assert texts[word].startswith(call.tool_kwargs.get(word, ""))
            seen += bool(call.tool_kwargs)
    assert seen > 20


def test_a_tool_of_its_own_strictness(words, bodies):
    llm = YandexLLM(**words, strict=True)
    parts = [{"name": "loose", "strict": False}, {"name": "strict"}]
    llm.chat([ChatMessage("Hi")], tools=[{"type": "function", "function": part} for part in parts])
    loose, strict = [tool["function"] for tool in bodies()[0]["tools"]]
    assert loose["strict"] is False
    assert "additionalProperties" not in loose["parameters"]
    assert strict["strict"] is True
    assert strict["parameters"]["additionalProperties"] is False


CUT = '{"input": "What is the cap'


def tools_that_take(ran: list[Any]) -> dict[str, BaseTool]:
    """Tools of every kind of signature, each of which notes that it ran."""

    class Engine(CustomQueryEngine):
        def custom_query(self, query_str: str) -> str:
            ran.append(query_str)
            return "Paris"

    def named(input: str) -> None:  # noqa: A002
        ran.append(input)

    def optional(input: str = "everything") -> None:  # noqa: A002
        ran.append(input)

    def anything(**words: Any) -> None:
        ran.append(words)

    async def waiting(**words: Any) -> None:
        ran.append(words)

    make = FunctionTool.from_defaults
    return {
        "named": make(named, name="f", description="d"),
        "optional": make(optional, name="f", description="d"),
        "anything": make(anything, name="f", description="d"),
        "waiting": make(async_fn=waiting, name="f", description="d"),
        "query engine": QueryEngineTool.from_defaults(Engine(), name="f", description="d"),
    }


@pytest.mark.parametrize("kind", tools_that_take([]))
@pytest.mark.parametrize("reason", ["length", "tool_calls"])
@pytest.mark.parametrize("streaming", [False, True])
async def test_no_tool_runs_on_cut_arguments(qwen, emulator, kind, reason, streaming):  # D6
    ran: list[Any] = []
    emulator.script(
        {"tool_calls": [{"name": "f", "arguments": CUT}], "finish_reason": reason},
        {"text": "Sorry"},
    )
    agent = FunctionAgent(llm=qwen, tools=[tools_that_take(ran)[kind]], streaming=streaming)
    handler = agent.run("Capital?")
    results = [
        event async for event in handler.stream_events() if isinstance(event, ToolCallResult)
    ]
    await handler
    assert ran == []
    assert [result.tool_output.is_error for result in results] == [True]
    sent = emulator.requests[-1]["body"]["messages"]
    [call] = [call for message in sent for call in message.get("tool_calls", ())]
    assert json.loads(call["function"]["arguments"]) == {"INVALID_JSON": CUT}


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_cut_object_is_no_prediction(qwen, emulator, asynchronous):
    class Guess(BaseModel):
        name: str = "nobody"
        age: int | None = None

    emulator.script({"tool_calls": [{"name": "Guess", "arguments": '{"name": "Anna", "ag'}]})
    program = FunctionCallingProgram.from_defaults(Guess, "Guess", llm=qwen)
    with pytest.raises(ValueError, match="failed"):
        await program.acall() if asynchronous else program()


def test_predict_and_call_with_two_calls_takes_the_first(yandexgpt, calculator, emulator):
    emulator.script({"tool_calls": TWO})
    assert yandexgpt.predict_and_call([calculator], user_msg="Count").response == "6"
    emulator.script({"tool_calls": TWO})
    words = {"user_msg": "Count", "allow_parallel_tool_calls": True}
    both = yandexgpt.predict_and_call([calculator], **words)
    assert both.response == "6\n\n20"


class Person(BaseModel):
    name: str
    age: int


PERSON = {"name": "Person", "arguments": {"name": "Анна", "age": 30}}


def test_structured_prediction_by_function_calling(llm, emulator, bodies):
    program = FunctionCallingProgram.from_defaults(Person, "Invent {who}", llm=llm)
    emulator.script({"tool_calls": [PERSON]})
    assert program(who="someone") == Person(name="Анна", age=30)
    body = bodies()[-1]
    assert body["tool_choice"] == "required"
    assert body["parallel_tool_calls"] is False


async def test_async_structured_prediction_by_function_calling(llm, emulator):
    program = FunctionCallingProgram.from_defaults(Person, "Invent {who}", llm=llm)
    emulator.script({"tool_calls": [PERSON]})
    assert await program.acall(who="someone") == Person(name="Анна", age=30)


async def test_streamed_structured_prediction(llm, emulator):  # T3
    program = FunctionCallingProgram.from_defaults(Person, "Invent {who}", llm=llm)
    emulator.script({"tool_calls": [PERSON]}, {"tool_calls": [PERSON]})
    assert list(program.stream_call(who="someone"))[-1] == Person(name="Анна", age=30)
    streamed = [person async for person in await program.astream_call(who="someone")]
    assert streamed[-1] == Person(name="Анна", age=30)
    # T11: the framework leaves the function to the model; our own prediction requires it.
    assert [record["body"]["tool_choice"] for record in emulator.requests] == ["auto", "auto"]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_structured_prediction_by_text(llm, emulator, bodies, asynchronous):
    emulator.script({"text": '```json\n{"name": "Анна", "age": 30}\n```'})
    program = LLMTextCompletionProgram.from_defaults(
        output_cls=Person, prompt_template_str="Invent {who}", llm=llm
    )
    found = await program.acall(who="one") if asynchronous else program(who="one")
    assert found == Person(name="Анна", age=30)
    assert "tools" not in bodies()[-1]


@pytest.mark.parametrize("form", FORMS)
async def test_tools_of_the_wrong_kind_are_named(llm, form, emulator):
    with pytest.raises(ConfigurationError, match=r"tools.*int"):
        await responses_of(getattr(llm, form)([ChatMessage("Hi")], tools=5), form)
    assert emulator.requests == []


@pytest.mark.parametrize("by", ["tool_choice", "extra_body"])
def test_allowed_tools_go_out(words, calculator, bodies, by):  # WIRE A10
    function = {"type": "function", "function": {"name": "multiply"}}
    allowed = {"mode": "auto", "tools": [function]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    given = {} if by == "tool_choice" else {"extra_body": {"tool_choice": choice}}
    said = {"tool_choice": choice} if by == "tool_choice" else {}
    YandexLLM(**words, **given).chat_with_tools([calculator], user_msg="Hi", **said)
    assert bodies()[-1]["tool_choice"] == choice
