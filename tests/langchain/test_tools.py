"""Tools: how they go out, and what becomes of the calls that come back."""

import json
from functools import reduce
from operator import add

import pytest
from langchain_core.exceptions import ModelInvalidRequestError
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool

from yandex_compat import ConfigurationError, UnsupportedError

FAMILIES = pytest.mark.parametrize("model", ["yandexgpt", "qwen3-235b-a22b-fp8"])


@pytest.mark.parametrize(
    ("choice", "sent_as"),
    [
        (None, None),
        (False, None),
        ("auto", "auto"),
        ("none", "none"),
        ("any", "required"),
        ("required", "required"),
        (True, "required"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
        (
            {"type": "tool", "name": "weather"},
            {"type": "function", "function": {"name": "weather"}},
        ),
    ],
)
def test_tool_choice_in_every_form(make, choice, sent_as, weather, distance, body):
    make().bind_tools([weather, distance], tool_choice=choice).invoke("The weather in Tver?")
    assert body().get("tool_choice") == sent_as


def test_a_tool_choice_that_names_no_tool(make, weather):
    with pytest.raises(ConfigurationError, match=r"'rain'.*weather"):
        make().bind_tools([weather], tool_choice="rain")


def test_arguments_that_are_no_object_make_an_invalid_call(make, emulator, weather):
    emulator.script({"tool_calls": [{"name": "weather", "arguments": "[1]"}]})
    message = make().bind_tools([weather]).invoke("?")
    assert message.tool_calls == []
    assert message.invalid_tool_calls[0]["args"] == "[1]"


@pytest.mark.parametrize("parallel", [True, False, None])
def test_parallel_tool_calls_goes_out_where_it_is_given(make, weather, body, parallel):
    make().bind_tools([weather], parallel_tool_calls=parallel).invoke("Weather in Tver?")
    assert body().get("parallel_tool_calls", "missing") == (
        "missing" if parallel is None else parallel
    )


def test_without_tools_nothing_is_said_of_them(make, body):
    make().bind_tools([], tool_choice=None, parallel_tool_calls=False).invoke("Hi")
    assert body().keys() == {"model", "messages"}


@FAMILIES
@pytest.mark.parametrize("streamed", [False, True])
def test_trimmed_calls_are_listed(make, emulator, weather, model, streamed):  # D8
    calls = [{"name": "weather", "arguments": {"city": city}} for city in "ABC"]
    emulator.script({"tool_calls": calls})
    bound = make(model=model).bind_tools([weather], parallel_tool_calls=False)
    answer = reduce(add, bound.stream("?")) if streamed else bound.invoke("?")
    assert [call["args"] for call in answer.tool_calls] == [{"city": "A"}]
    trimmed = answer.response_metadata["trimmed_tool_calls"]
    assert [(each["name"], each["args"]) for each in trimmed] == [
        ("weather", '{"city":"B"}'),
        ("weather", '{"city":"C"}'),
    ]
    assert len({answer.tool_calls[0]["id"], *(each["id"] for each in trimmed)}) == 3


@FAMILIES
@pytest.mark.parametrize("parallel", [True, None])
@pytest.mark.parametrize("streamed", [False, True])
def test_where_parallel_calls_are_on_none_is_trimmed(
    make, emulator, weather, model, parallel, streamed
):
    emulator.script({"tool_calls": [{"name": "weather", "arguments": {"city": c}} for c in "AB"]})
    bound = make(model=model).bind_tools([weather], parallel_tool_calls=parallel)
    answer = reduce(add, bound.stream("?")) if streamed else bound.invoke("?")
    assert len(answer.tool_calls) == 2
    assert "trimmed_tool_calls" not in answer.response_metadata


@pytest.mark.parametrize("strict", [True, False, None])
def test_strict_of_a_tool_goes_out(make, weather, body, strict):  # M32
    make().bind_tools([weather], strict=strict).invoke("Hi")
    function = body()["tools"][0]["function"]
    assert function.get("strict", "missing") == ("missing" if strict is None else strict)
    assert function["parameters"].get("additionalProperties") is (False if strict else None)


@pytest.mark.parametrize("name", ["any", "auto", "none", "required"])
def test_a_tool_s_own_name_wins_over_the_word(make, body, name):  # M33
    @tool(name)
    def own(text: str) -> str:
        """Do it."""
        return text

    make().bind_tools([own], tool_choice=name).invoke("Hi")
    assert body()["tool_choice"] == {"type": "function", "function": {"name": name}}


def test_a_tool_choice_of_the_call_s_own(make, weather, body):
    make().bind_tools([weather]).invoke("The weather in Tver?", tool_choice="any")
    assert body()["tool_choice"] == "required"


@pytest.mark.parametrize("given", [3, None, object(), {}])
def test_what_is_no_tool_is_refused_at_once(make, emulator, given):
    with pytest.raises(ConfigurationError, match=type(given).__name__) as caught:
        make().bind_tools([given])
    assert isinstance(caught.value, ModelInvalidRequestError)
    assert emulator.requests == []


@pytest.mark.parametrize(
    "given",
    [
        {"type": "web_search_preview"},
        {"type": "function"},
    ],
)
def test_a_tool_that_is_no_function_is_refused_at_once(make, given):
    with pytest.raises(UnsupportedError, match=given["type"]) as caught:
        make().bind_tools([given])
    assert isinstance(caught.value, ModelInvalidRequestError)


def test_a_tool_in_the_forms_that_frameworks_write(make, body):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    forms = [
        {"type": "function", "function": {"name": "a", "parameters": schema}},
        {"name": "b", "description": "B", "parameters": schema},
        {"name": "c", "input_schema": schema, "cache_control": {}},
        {"type": "custom", "name": "d", "input_schema": schema},  # Anthropic's word for its own
        {"title": "e", "description": "E", **schema},
    ]
    make().bind_tools(forms).invoke("Hi")
    functions = [each["function"] for each in body()["tools"]]
    assert [function["name"] for function in functions] == list("abcde")
    assert all(function["parameters"] == schema for function in functions)


@pytest.mark.parametrize("choice", [{"type": "web_search"}, {"name": "weather"}, {}])
def test_a_choice_without_a_form_is_refused_unsent(make, emulator, weather, choice):
    with pytest.raises(UnsupportedError, match=r"tool_choice.*must be a word"):
        make().bind_tools([weather], tool_choice=choice).invoke("Hi")
    assert emulator.requests == []


def test_arguments_without_a_json_form_are_refused_unsent(make, emulator):
    call = {"name": "weather", "args": {"city": object()}, "id": "x"}
    history = [HumanMessage("?"), AIMessage("", tool_calls=[call])]
    model = make()
    for ask in (model.invoke, lambda given: list(model.stream(given))):
        with pytest.raises(ConfigurationError, match=r"'weather'.*JSON") as caught:
            ask(history)
        assert isinstance(caught.value, ModelInvalidRequestError)
    assert emulator.requests == []


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_without_arguments_has_none(make, emulator, weather, streamed):
    emulator.script({"tool_calls": [{"name": "weather", "arguments": ""}]})
    bound = make().bind_tools([weather])
    answer = reduce(add, bound.stream("?")) if streamed else bound.invoke("?")
    assert [call["args"] for call in answer.tool_calls] == [{}]
    assert answer.invalid_tool_calls == []


@pytest.mark.parametrize("tools", [5, [{"type": "function", "function": {"description": "d"}}]])
def test_tools_that_are_none_are_refused_unsent(make, emulator, tools):
    with pytest.raises(ConfigurationError):
        make().invoke("Hi", tools=tools)
    assert emulator.requests == []


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    "tool",
    [
        {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}},
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
        {"name": "f", "description": "takes nothing"},  # T23
    ],
    ids=["function", "OpenAI tool", "no parameters"],
)
def test_strict_reaches_every_form_of_a_tool(make, body, tool, strict):
    make().bind_tools([tool], strict=strict).invoke("Hi")
    function = body()["tools"][0]["function"]
    assert function["strict"] is strict
    assert function["parameters"]["type"] == "object"


@pytest.mark.parametrize("choice", ["any", True])
def test_any_tool_stays_any_beside_a_tool_named_required(make, emulator, body, weather, choice):
    required = {"name": "required", "description": "d"}
    emulator.script({"tool_calls": [{"name": "weather", "arguments": {"city": "A"}}]})
    make().bind_tools([required, weather], tool_choice=choice).invoke("?")
    assert body()["tool_choice"] == "required"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_line_end_inside_an_argument_is_read_and_goes_back_as_json(
    make, emulator, body, weather, streamed
):
    emulator.script({"tool_calls": [{"name": "weather", "arguments": '{"city": "A\nB"}'}]})
    model = make(model="qwen3-235b-a22b-fp8").bind_tools([weather])
    answer = reduce(add, model.stream("?")) if streamed else model.invoke("?")
    assert [call["args"] for call in answer.tool_calls] == [{"city": "A\nB"}]
    model.invoke(
        [HumanMessage("?"), answer, ToolMessage("sun", tool_call_id=answer.tool_calls[0]["id"])]
    )
    sent = body()["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(sent) == {"city": "A\nB"}


@pytest.mark.parametrize("strict", [None, True])
def test_a_tool_that_is_none_is_refused(make, strict):
    with pytest.raises((ConfigurationError, UnsupportedError), match="tool"):
        make().bind_tools([{"type": "function", "function": "x"}], strict=strict)
