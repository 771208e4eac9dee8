"""Agents of LangChain over the emulator: whole loops, and what each turn sends."""

import asyncio
from collections import Counter

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from pydantic import BaseModel

FAMILIES = ("yandexgpt", "qwen3-235b-a22b-fp8")
YANDEX, OPEN = FAMILIES


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


def test_an_agent_streamed_token_by_token(make, weather):
    agent = create_agent(make(model=OPEN), [weather])
    chunks = list(
        agent.stream({"messages": [("user", "Weather in Tver?")]}, stream_mode="messages")
    )
    text = "".join(chunk.text for chunk, _ in chunks if chunk.type == "AIMessageChunk")
    assert "Tver: sunny" in text


def calls_of(*cities):
    return {"tool_calls": [{"name": "weather", "arguments": {"city": city}} for city in cities]}


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream", "streaming"])
def test_one_tool_over_two_turns_and_twice_in_one(make, emulator, weather, model, way):
    """D3-D5: every id is unique, and no list on the wire holds one twice."""
    emulator.script(calls_of("A", "B"), calls_of("A"), {"text": "Done"})
    streaming = {"streaming": True} if way == "streaming" else {}  # False would stream nothing
    agent = create_agent(make(model=model, **streaming), [weather])
    messages = finished(agent, way)

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


def finished(agent, way):
    """The messages of a whole run, however it was asked for."""
    question = {"messages": [("user", "Weather?")]}

    async def drained():
        return [state async for state in agent.astream(question, stream_mode=modes)]

    modes = ["values", "messages"]  # the second makes the model stream its tokens
    if way == "ainvoke":
        return asyncio.run(agent.ainvoke(question))["messages"]
    if way == "stream":
        states = list(agent.stream(question, stream_mode=modes))
    elif way == "astream":
        states = asyncio.run(drained())
    else:
        return agent.invoke(question)["messages"]
    return [state for mode, state in states if mode == "values"][-1]["messages"]


@pytest.mark.parametrize("model", FAMILIES)
def test_the_service_s_repeated_ids_are_replaced(make, emulator, weather, model):  # T2-T6
    repeated = {
        "tool_calls": [{"name": "weather", "arguments": {"city": c}, "id": "one"} for c in "AB"]
    }
    emulator.script(repeated, repeated, {"text": "Done"})
    messages = finished(create_agent(make(model=model), [weather]), "invoke")
    ids = [call["id"] for message in messages for call in getattr(message, "tool_calls", ())]
    assert len(set(ids)) == 4
    assert [m.tool_call_id for m in messages if m.type == "tool"] == ids


def test_the_name_of_an_agent_does_not_go_out(make, emulator, weather, body):  # M29
    emulator.script(calls_of("A"), {"text": "Done"})
    agent = create_agent(make(model=OPEN), [weather], name="helper")
    assert finished(agent, "invoke")[-1].name == "helper"
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


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_a_leaked_call_is_run(make, emulator, weather, model, way):  # WIRE A13
    emulator.script({"text": '[TOOL_CALL_START]weather\n{"city": "A"}'}, {"text": "Done"})
    messages = finished(create_agent(make(model=model), [weather]), way)
    assert [message.text for message in messages] == ["Weather?", "", "A: sunny", "Done"]
    said = emulator.requests[-1]["body"]["messages"][1]
    assert (said["content"], said["tool_calls"][0]["id"]) == ("", "weather")  # D4


class Report(BaseModel):
    city: str


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_fenced_json_is_an_agent_s_structured_answer(make, emulator, weather, model, way):  # S11
    emulator.script(calls_of("A"), {"text": '```json\n{"city": "A"}\n```'})
    agent = create_agent(make(model=model), [weather], response_format=ProviderStrategy(Report))
    assert finished(agent, way)[-1].text == '{"city": "A"}'
    emulator.script({"text": '```json\n{"city": "A"}\n```'})
    state = agent.invoke({"messages": [("user", "Weather?")]})
    assert state["structured_response"] == Report(city="A")
