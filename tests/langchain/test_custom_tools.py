"""Tools that take free text (A11), and choices among some of the tools (A10)."""

import asyncio
from functools import reduce
from operator import add

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import Tool

from yandex_compat import ConfigurationError, UnsupportedError

MODELS = ["yandexgpt", "gemma-3-27b-it"]
QUERY = "select \"город\"\nfrom t where a = '\\' -- \U0001f600"
FORMAT = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /.+/"}}
SENT = {"type": "custom", "custom": {"name": "sql", "description": "Runs a query"}}


def sql(given: str = "") -> Tool:
    return Tool(
        "sql", lambda text: f"{given}{text}", "Runs a query", metadata={"type": "custom_tool"}
    )


def invoked(model, asked="?"):
    return model.invoke(asked)


def ainvoked(model, asked="?"):
    return asyncio.run(model.ainvoke(asked))


def streamed(model, asked="?"):
    return reduce(add, model.stream(asked))


def events(model, asked="?"):
    stream = model.stream_events(asked, version="v3")
    for _ in stream:
        pass
    return stream.output


every_way = pytest.mark.parametrize("ask", [invoked, ainvoked, streamed, events])


@pytest.mark.parametrize(
    ("tool", "sent"),
    [
        (sql(), SENT),
        (SENT, SENT),
        ({"type": "custom", "name": "sql", "description": "Runs a query"}, SENT),
        (
            {"type": "custom", "name": "sql", "format": FORMAT},
            {"type": "custom", "custom": {"name": "sql", "format": FORMAT}},
        ),
        (
            Tool("sql", str, "", metadata={"type": "custom_tool", "format": FORMAT}),
            {"type": "custom", "custom": {"name": "sql", "format": FORMAT}},
        ),
    ],
)
def test_a_custom_tool_in_every_form(make, body, tool, sent):
    make().bind_tools([tool]).invoke("Hi")
    assert body()["tools"] == [sent]


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "custom"},
        {"type": "custom", "custom": {}},
        {"type": "custom", "custom": {"name": 5}},
        {"type": "custom", "custom": {"name": "x", "odd": 1}},
        {"type": "custom", "name": "x", "odd": 1},
    ],
)
def test_a_custom_tool_of_another_shape_is_refused_at_once(make, tool):
    with pytest.raises(ConfigurationError, match="A custom tool must be"):
        make().bind_tools([tool])


@every_way
@pytest.mark.parametrize("name", MODELS)
def test_free_text_is_the_one_argument(make, emulator, ask, name):
    calls = [{"name": "sql", "arguments": text, "custom": True} for text in (QUERY, "")]
    emulator.script({"text": "Let me see.", "tool_calls": calls})
    message = ask(make(model=name).bind_tools([sql()]))
    assert [(call["name"], call["args"]) for call in message.tool_calls] == [
        ("sql", {"__arg1": QUERY}),
        ("sql", {"__arg1": ""}),
    ]
    assert len({call["id"] for call in message.tool_calls}) == 2
    assert message.invalid_tool_calls == []


@every_way
@pytest.mark.parametrize("name", MODELS)
def test_free_text_cut_short_is_no_call(make, emulator, ask, name):  # D6, T13
    calls = [{"name": "sql", "arguments": text, "custom": True} for text in ("select 1", "sel")]
    emulator.script({"tool_calls": calls, "finish_reason": "length"})
    message = ask(make(model=name).bind_tools([sql()]))
    assert [call["args"] for call in message.tool_calls] == [{"__arg1": "select 1"}]
    (cut,) = message.invalid_tool_calls
    assert "sel" in cut["args"]


@every_way
@pytest.mark.parametrize("version", [None, "v1"])
def test_free_text_goes_back_as_it_came(make, emulator, body, ask, version):
    emulator.script({"tool_calls": [{"name": "sql", "arguments": QUERY, "custom": True}]})
    model = make(output_version=version).bind_tools([sql()])
    answer = ask(model)
    result = ToolMessage("1", tool_call_id=answer.tool_calls[0]["id"])
    model.invoke([HumanMessage("?"), answer, result])
    _, said, given = body()["messages"]
    assert said["tool_calls"] == [
        {"id": "sql", "type": "custom", "custom": {"name": "sql", "input": QUERY}}
    ]
    assert given == {"role": "tool", "content": "1", "tool_call_id": "sql"}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("streaming", [None, True])
def test_an_agent_runs_a_custom_tool(make, emulator, body, name, streaming):
    emulator.script(
        {"tool_calls": [{"name": "sql", "arguments": "select 1", "custom": True}]},
        {"text": "Done"},
    )
    agent = create_agent(make(model=name, streaming=streaming), [sql("ran ")])
    messages = agent.invoke({"messages": [("user", "?")]})["messages"]
    assert [message.content for message in messages] == ["?", "", "ran select 1", "Done"]
    assert body()["messages"][1]["tool_calls"][0]["custom"]["input"] == "select 1"


NAMED = [{"type": "function", "function": {"name": "weather"}}]
SQL = {"type": "custom", "custom": {"name": "sql"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": NAMED}}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("sql", SQL),
        (
            {"type": "custom", "custom": {"name": "sql"}},
            {"type": "custom", "custom": {"name": "sql"}},
        ),
        ({"type": "custom", "name": "sql"}, {"type": "custom", "custom": {"name": "sql"}}),
        ({"type": "function", "name": "weather"}, NAMED[0]),
        (ALLOWED, ALLOWED),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [
                        {"type": "function", "name": "weather"},
                        {"type": "custom", "name": "sql"},
                    ],
                },
            },
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [*NAMED, SQL],
                },
            },
        ),
    ],
)
def test_choices_among_some_of_the_tools(make, emulator, body, weather, choice, sent):
    emulator.script({"tool_calls": [{"name": "weather", "arguments": {"city": "A"}}]})
    make().bind_tools([weather, sql()], tool_choice=choice).invoke("?")
    assert body()["tool_choice"] == sent


@pytest.mark.parametrize(
    "allowed",
    [{}, {"mode": "none", "tools": NAMED}, {"mode": "auto", "tools": []},
     {"mode": "auto", "tools": [{"type": "web_search"}]}],
)  # fmt: skip
def test_a_choice_of_another_shape_is_refused_unsent(make, emulator, weather, allowed):
    model = make().bind_tools(
        [weather], tool_choice={"type": "allowed_tools", "allowed_tools": allowed}
    )
    with pytest.raises(UnsupportedError, match=r"tool_choice.*allowed_tools"):
        model.invoke("?")
    assert emulator.requests == []
