"""Agents of LangChain over the emulator: whole loops, and what each turn sends."""

import asyncio
import json
from collections import Counter, defaultdict
from functools import reduce
from operator import add
from threading import Barrier

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import OutputToolBinding, ProviderStrategy, ToolStrategy
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel

from yandex_compat import ToolChoiceIgnored

FAMILIES = ("yandexgpt", "qwen3-235b-a22b-fp8")
YANDEX, OPEN = FAMILIES
WAYS = ["invoke", "ainvoke", "stream", "astream"]
QUESTION = {"messages": [("user", "Weather?")]}
DONE = {"text": "Done"}


@pytest.mark.parametrize("model", [YANDEX, OPEN])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_agent_that_needs_two_calls_of_one_tool(make, model, asynchronous, weather, distance):
    agent = create_agent(make(model=model), [weather, distance])
    question = {"messages": [("user", "What is the weather in Kazan and in Tver?")]}
    if asynchronous:
        messages = asyncio.run(agent.ainvoke(question))["messages"]
    else:
        messages = agent.invoke(question)["messages"]
    assert [m.content for m in messages if m.type == "tool"] == ["Kazan: sunny", "Tver: sunny"]
    assert "Kazan: sunny" in messages[-1].content
    assert "Tver: sunny" in messages[-1].content


def calls_of(*cities):
    return {"tool_calls": [{"name": "weather", "arguments": {"city": city}} for city in cities]}


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream", "streaming"])
def test_one_tool_over_two_turns_and_twice_in_one(make, emulator, weather, run, model, way):
    """D3-D5: every id is unique, and no list on the wire holds one twice."""
    emulator.script(calls_of("A", "B"), calls_of("A"), DONE)
    streaming = {"streaming": True} if way == "streaming" else {}  # False would stream nothing
    agent = create_agent(make(model=model, **streaming), [weather])
    messages = run(agent, way, QUESTION)["messages"]

    ids = [call["id"] for message in messages for call in getattr(message, "tool_calls", ())]
    results = [message for message in messages if message.type == "tool"]
    assert len(ids) == len(set(ids)) == 3
    assert all(ids)
    assert [result.tool_call_id for result in results] == ids
    assert [result.content for result in results] == ["A: sunny", "B: sunny", "A: sunny"]
    assert messages[-1].text == "Done"

    assert len(emulator.requests) == 3
    for request in emulator.requests:
        assert request["body"].get("stream", False) is ("stream" in way)
        sent = request["body"]["messages"]
        lists = [message["tool_calls"] for message in sent if message.get("tool_calls")]
        for calls in lists:
            assert max(Counter(call["id"] for call in calls).values()) == 1
            if model == YANDEX:  # WIRE A2: it matches by name
                assert len(calls) == 1
        waiting = [call["id"] for calls in lists for call in calls]
        answered = [message["tool_call_id"] for message in sent if message["role"] == "tool"]
        assert answered == waiting
    last = emulator.requests[-1]["body"]["messages"]
    assert [message["content"] for message in last if message["role"] == "tool"] == [
        "A: sunny",
        "B: sunny",
        "A: sunny",
    ]


@pytest.mark.parametrize("model", FAMILIES)
def test_the_service_s_repeated_ids_are_replaced(make, emulator, weather, run, model):  # T2-T6
    repeated = {
        "tool_calls": [{"name": "weather", "arguments": {"city": c}, "id": "one"} for c in "AB"]
    }
    emulator.script(repeated, repeated, DONE)
    messages = run(create_agent(make(model=model), [weather]), "invoke", QUESTION)["messages"]
    ids = [call["id"] for message in messages for call in getattr(message, "tool_calls", ())]
    assert len(set(ids)) == 4
    assert [m.tool_call_id for m in messages if m.type == "tool"] == ids


def test_the_name_of_an_agent_does_not_go_out(make, emulator, weather, run, body):  # M29
    emulator.script(calls_of("A"), DONE)
    agent = create_agent(make(model=OPEN), [weather], name="helper")
    assert run(agent, "invoke", QUESTION)["messages"][-1].name == "helper"
    assert not [message for message in body()["messages"] if "name" in message]


def test_an_agent_s_structured_answer(make, emulator, weather):
    schema = {
        "title": "Report",
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    }
    emulator.script(calls_of("A"), {"tool_calls": [{"name": "Report", "arguments": {"city": "A"}}]})
    agent = create_agent(make(model=OPEN), [weather], response_format=schema)
    state = agent.invoke({"messages": [("user", "Weather?")]})
    assert state["structured_response"] == {"city": "A"}
    assert [request["body"]["tool_choice"] for request in emulator.requests] == ["required"] * 2


class Day(BaseModel):
    """A day's weather."""

    high: int


class Report(BaseModel):
    """A weather report."""

    city: str
    days: list[Day]


REPORT = {"city": "Казань", "days": [{"high": 21}]}
SCHEMA = Report.model_json_schema()
FORMS = {
    "class": Report,
    "dict": SCHEMA,
    "untitled": {word: rest for word, rest in SCHEMA.items() if word != "title"},
}


def every_form(test):
    for mark in (
        pytest.mark.parametrize("model", FAMILIES),
        pytest.mark.parametrize("way", WAYS),
        pytest.mark.parametrize("with_tools", [False, True], ids=["alone", "beside tools"]),
        pytest.mark.parametrize("form", FORMS.values(), ids=FORMS),
    ):
        test = mark(test)
    return test


def report_of(name, *reports):
    return {"tool_calls": [{"name": name, "arguments": report} for report in reports]}


@every_form
def test_a_report_by_the_tool_strategy(make, emulator, weather, run, model, way, with_tools, form):
    strategy = ToolStrategy(form)
    [spec] = strategy.schema_specs
    tools = [weather] if with_tools else []
    emulator.script(*[calls_of("A", "B")] * with_tools, report_of(spec.name, REPORT))
    agent = create_agent(make(model=model), tools, response_format=strategy)
    report = run(agent, way, QUESTION)["structured_response"]
    assert report == (Report(**REPORT) if form is Report else REPORT)

    described = [*tools, OutputToolBinding.from_schema_spec(spec).tool]
    assert len(emulator.requests) == 1 + with_tools
    for request in emulator.requests:
        assert request["body"]["tools"] == list(map(convert_to_openai_tool, described))
        assert request["body"]["tool_choice"] == "required"
        assert "response_format" not in request["body"]


@every_form
def test_a_report_by_the_provider_strategy(
    make, emulator, weather, run, model, way, with_tools, form
):
    strategy = ProviderStrategy(form)
    emulator.script(*[calls_of("A", "B")] * with_tools, {"text": json.dumps(REPORT)})
    tools = [weather] if with_tools else []
    agent = create_agent(make(model=model), tools, response_format=strategy)
    report = run(agent, way, QUESTION)["structured_response"]
    assert report == (Report(**REPORT) if form is Report else REPORT)

    schema = SCHEMA if form is Report else form  # $defs and $ref are left as they are (M34)
    asked = {"name": strategy.schema_spec.name, "schema": schema}
    assert len(emulator.requests) == 1 + with_tools
    for request in emulator.requests:
        assert request["body"]["response_format"] == {"type": "json_schema", "json_schema": asked}
        assert request["body"].get("tools", []) == list(map(convert_to_openai_tool, tools))
        assert "tool_choice" not in request["body"]


def test_a_provider_strategy_may_be_strict(make, emulator, body):  # M34
    emulator.script({"text": json.dumps(REPORT)})
    agent = create_agent(make(), response_format=ProviderStrategy(Report, strict=True))
    agent.invoke(QUESTION)
    asked = {"name": "Report", "schema": SCHEMA, "strict": True}
    assert body()["response_format"]["json_schema"] == asked


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("with_tools", [False, True], ids=["alone", "beside tools"])
def test_a_text_where_a_report_was_required(make, emulator, weather, run, model, way, with_tools):
    """T14: LangChain would ask for ever, or end without a report."""
    emulator.script(DONE)
    tools = [weather] if with_tools else []
    agent = create_agent(make(model=model), tools, response_format=ToolStrategy(Report))
    with pytest.raises(ToolChoiceIgnored):
        run(agent, way, QUESTION)
    assert len(emulator.requests) == 1


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ([REPORT, REPORT], "multiple structured responses"),
        ([{"city": "A"}], "Failed to parse"),
        (['{"city": "A'], "could not be executed"),
    ],
    ids=["two", "unfit", "cut"],
)
def test_a_wrong_report_is_corrected(make, emulator, run, model, way, wrong, told):  # T15
    """Each wrong call gets a result of its own, so that the model sees what was wrong."""
    emulator.script(report_of("Report", *wrong), report_of("Report", REPORT))
    agent = create_agent(make(model=model), response_format=ToolStrategy(Report))
    assert run(agent, way, QUESTION)["structured_response"] == Report(**REPORT)
    sent = emulator.requests[-1]["body"]["messages"]
    results = [message["content"] for message in sent if message["role"] == "tool"]
    assert len(results) == len(wrong)
    assert all(told in result for result in results)


ANSWER = {"text": "Let me see.", "reasoning": "Think first.", **calls_of("A", "B")}


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_chunks_of_an_agent_add_up_to_its_messages(
    make, emulator, weather, model, asynchronous
):
    async def drained():
        return [event async for event in agent.astream(QUESTION, stream_mode=modes)]

    emulator.script(ANSWER, DONE)
    agent = create_agent(make(model=model), [weather])
    modes = ["messages", "values"]
    events = asyncio.run(drained()) if asynchronous else agent.stream(QUESTION, stream_mode=modes)
    events = list(events)
    chunks = [event[0] for mode, event in events if mode == "messages"]
    _, *messages = [event for mode, event in events if mode == "values"][-1]["messages"]
    assert len(chunks) > len(messages)
    streamed = defaultdict(list)  # two tools end in any order
    for chunk in chunks:
        streamed[chunk.id].append(chunk)
    assert {id_: told(reduce(add, parts)) for id_, parts in streamed.items()} == {
        message.id: told(message) for message in messages
    }
    texts = ["Let me see.", "A: sunny", "B: sunny", "Done"]
    assert [message.text for message in messages] == texts


def told(message):
    """What a message says, be it one or the sum of its chunks."""
    words = (
        "content", "tool_call_id", "tool_calls", "invalid_tool_calls", "additional_kwargs",
        "response_metadata", "usage_metadata",
    )  # fmt: skip
    return {word: getattr(message, word, None) for word in words}


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol on Pregel is experimental")
@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("call_id", [None, "one"])  # None: as the family gives them
@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_agent_runs_its_tools_under_events_of_v3(
    make, emulator, model, call_id, asynchronous
):  # T5, T7
    both_run = Barrier(2, timeout=10)

    @tool
    def weather(city: str) -> str:
        """Tell the weather in a city."""
        both_run.wait()
        return f"{city}: sunny"

    async def drained():
        stream = await agent.astream_events(QUESTION, version="v3")
        return [call async for call in stream.tool_calls], await stream.output()

    calls = [call | {"id": call_id} for call in ANSWER["tool_calls"]]
    emulator.script(ANSWER | {"tool_calls": calls}, DONE)
    agent = create_agent(make(model=model), [weather])
    if asynchronous:
        runs, state = asyncio.run(drained())
    else:
        stream = agent.stream_events(QUESTION, version="v3")
        runs, state = list(stream.tool_calls), stream.output
    outputs = {run.input["city"]: run.output for run in runs}
    assert outputs == {"A": "A: sunny", "B": "B: sunny"}
    _, asking, *results, last = state["messages"]
    assert [result.content for result in results] == ["A: sunny", "B: sunny"]
    assert [call["id"] for call in asking.tool_calls] == [one.tool_call_id for one in results]
    assert last.text == "Done"


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("way", WAYS)
def test_a_leaked_call_is_run(make, emulator, weather, run, model, way):  # WIRE A13
    emulator.script({"text": '[TOOL_CALL_START]weather\n{"city": "A"}'}, DONE)
    messages = run(create_agent(make(model=model), [weather]), way, QUESTION)["messages"]
    assert [message.text for message in messages] == ["Weather?", "", "A: sunny", "Done"]
    said = emulator.requests[-1]["body"]["messages"][1]
    assert (said["content"], said["tool_calls"][0]["id"]) == ("", "weather")  # D4


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("way", WAYS)
def test_fenced_json_is_an_agent_s_report(make, emulator, weather, run, model, way):  # S11
    emulator.script(calls_of("A"), {"text": f"```json\n{json.dumps(REPORT)}\n```"})
    agent = create_agent(make(model=model), [weather], response_format=ProviderStrategy(Report))
    assert run(agent, way, QUESTION)["structured_response"] == Report(**REPORT)
