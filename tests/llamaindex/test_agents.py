"""What each agent sends: how many requests, in which order, with what, and how it ends."""

import asyncio
import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from llama_index.core.agent.workflow import (
    AgentOutput,
    AgentStream,
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
    ToolCallResult,
)
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import WorkflowRuntimeError

from llamaindex_yandex_compat import YandexLLM
from yandex_compat import AuthenticationError, StreamInterrupted, ToolChoiceIgnored

STREAMING = pytest.mark.parametrize("streaming", [True, False])
NAMED = {"type": "function", "function": {"name": "weather"}}


def weather_tool(runs: list[str], **words: Any) -> FunctionTool:
    async def weather(city: str) -> str:
        """Tell the weather of a city."""
        await asyncio.sleep(0.2 if city == "Slow" else 0)
        runs.append(city)
        return f"{city} is fine"

    return FunctionTool.from_defaults(async_fn=weather, **words)


def cities(*names: str) -> list[dict[str, Any]]:
    return [{"name": "weather", "arguments": {"city": name}} for name in names]


def handoff(to: str) -> dict[str, Any]:
    return {"name": "handoff", "arguments": {"to_agent": to, "reason": "done"}}


def memory(limit: int = 4000) -> ChatMemoryBuffer:
    # The default memory opens a database of SQLite and never closes it.
    return ChatMemoryBuffer.from_defaults(token_limit=limit)


async def run(agent: Any, question: str = "Weather?", **words: Any) -> tuple[str, list[Any]]:
    """The agent's answer, and its events."""
    handler = agent.run(question, **{"memory": memory(), **words})
    events = [event async for event in handler.stream_events()]
    return str(await handler), events


def of(kind: type, events: Iterable[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def roles(body: dict[str, Any]) -> list[str]:
    return [message["role"] for message in body["messages"]]


def tools(body: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in body.get("tools", ())]


def rounds(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Each call's city with the result that the server matches to it."""
    found, waiting = [], {}
    for message in body["messages"]:
        for call in message.get("tool_calls", ()):
            waiting[call["id"]] = json.loads(call["function"]["arguments"])["city"]
        if message["role"] == "tool":
            found.append((waiting.pop(message["tool_call_id"]), message["content"]))
    assert not waiting
    return found


# FunctionAgent


@STREAMING
async def test_each_result_goes_to_its_call(llm, emulator, bodies, streaming):  # T1
    runs: list[str] = []
    agent = FunctionAgent(
        llm=llm, tools=[weather_tool(runs)], streaming=streaming, system_prompt="Help"
    )
    emulator.script(
        {"tool_calls": cities("Slow", "Fast")},
        {"tool_calls": cities("Slow")},
        {"text": "All is fine."},
    )
    answer, events = await run(agent)

    assert answer == "All is fine."
    assert runs == ["Fast", "Slow", "Slow"]
    results = of(ToolCallResult, events)
    assert len({event.tool_id for event in results}) == 3
    assert all(e.tool_output.content == f"{e.tool_kwargs['city']} is fine" for e in results)
    deltas = [event.delta for event in of(AgentStream, events)]
    assert "".join(deltas) == ("All is fine." if streaming else "")

    first, second, third = bodies()
    assert [body.get("stream", False) for body in (first, second, third)] == [streaming] * 3
    assert first["parallel_tool_calls"] is True
    assert first["tool_choice"] == "auto"
    assert roles(first) == ["system", "user"]
    assert rounds(third) == [
        ("Slow", "Slow is fine"),
        ("Fast", "Fast is fine"),
        ("Slow", "Slow is fine"),
    ]
    assert second["messages"] == third["messages"][: len(second["messages"])]
    for message in third["messages"]:
        names = [call["function"]["name"] for call in message.get("tool_calls", ())]
        ids = [call["id"] for call in message.get("tool_calls", ())]
        assert len(set(ids)) == len(ids)
        if llm.model == "yandexgpt":  # WIRE A2
            assert ids == names
            assert len(ids) <= 1


@STREAMING
async def test_without_tools_one_plain_request(llm, bodies, streaming):
    answer, _ = await run(FunctionAgent(llm=llm, tools=[], streaming=streaming), "Hi")
    assert answer == "You said: Hi"
    [body] = bodies()
    assert set(body) - {"stream"} == {"model", "messages"}


@STREAMING
async def test_the_first_tool_choice_is_a_name_and_the_first_turns_alone(
    llm, emulator, bodies, streaming
):
    agent = FunctionAgent(
        llm=llm, tools=[weather_tool([])], initial_tool_choice="weather", streaming=streaming
    )
    emulator.script({"tool_calls": cities("Omsk")}, {"text": "Fine."})
    assert (await run(agent))[0] == "Fine."
    assert [body["tool_choice"] for body in bodies()] == [NAMED, "auto"]


@STREAMING
async def test_a_first_tool_choice_that_is_not_kept_is_an_error(llm, emulator, bodies, streaming):
    agent = FunctionAgent(
        llm=llm, tools=[weather_tool([])], initial_tool_choice="weather", streaming=streaming
    )
    emulator.script({"text": "No need."})
    with pytest.raises(ToolChoiceIgnored):
        await run(agent)
    assert len(bodies()) == 1


@STREAMING
async def test_one_tool_at_a_time(llm, emulator, bodies, streaming):
    """The framework checks no stream for it: both calls would run."""
    runs: list[str] = []
    agent = FunctionAgent(
        llm=llm,
        tools=[weather_tool(runs)],
        allow_parallel_tool_calls=False,
        streaming=streaming,
    )
    emulator.script({"tool_calls": cities("Omsk", "Tver")}, {"text": "Fine."})
    assert (await run(agent))[0] == "Fine."
    assert runs == ["Omsk"]
    first, second = bodies()
    assert first["parallel_tool_calls"] is False
    assert rounds(second) == [("Omsk", "Omsk is fine")]


@STREAMING
@pytest.mark.parametrize("name", ["поиск документов", "search[int]", "a" * 70])
async def test_a_tool_is_found_by_the_name_it_was_given(
    llm, emulator, bodies, name, streaming
):  # WIRE A15
    ran: list[str] = []
    tool = FunctionTool.from_defaults(lambda query: ran.append(query), name=name, description="d")
    agent = FunctionAgent(llm=llm, tools=[tool], initial_tool_choice=name, streaming=streaming)
    sent = {"поиск документов": "poisk_dokumentov", "search[int]": "search_int"}
    wire = sent.get(name, "a" * 64)
    emulator.script(
        {"tool_calls": [{"name": wire, "arguments": {"query": "Тверь"}}]}, {"text": "Found."}
    )
    answer, events = await run(agent)
    assert answer == "Found."
    assert ran == ["Тверь"]
    assert {result.tool_name for result in of(ToolCallResult, events)} == {name}
    first, second = bodies()
    assert tools(first) == [wire]
    assert first["tool_choice"] == {"type": "function", "function": {"name": wire}}
    [call] = [call for said in second["messages"] for call in said.get("tool_calls", ())]
    assert call["function"]["name"] == wire


@pytest.mark.parametrize("kind", [ReActAgent, FunctionAgent])
async def test_thoughts_are_streamed_apart(words, emulator, kind):
    llm = YandexLLM(**words, model="gpt-oss-120b")
    text = "Thought: I know.\nAnswer: Fine." if kind is ReActAgent else "Fine."
    emulator.script({"text": text, "reasoning": "Let me think"})
    answer, events = await run(kind(llm=llm, tools=[weather_tool([])]))
    assert answer == "Fine."
    streamed = of(AgentStream, events)
    assert "".join(event.thinking_delta or "" for event in streamed) == "Let me think"
    assert "".join(event.delta for event in streamed) == text


@STREAMING
async def test_a_tool_that_raises_is_told_to_the_model(llm, emulator, bodies, streaming):
    def divide(a: int, b: int) -> float:
        """Divide."""
        return a / b

    agent = FunctionAgent(llm=llm, tools=[FunctionTool.from_defaults(divide)], streaming=streaming)
    emulator.script(
        {"tool_calls": [{"name": "divide", "arguments": {"a": 1, "b": 0}}]}, {"text": "I can't."}
    )
    answer, events = await run(agent)
    assert answer == "I can't."
    [result] = of(ToolCallResult, events)
    assert result.tool_output.is_error
    assert bodies()[-1]["messages"][-1]["content"] == "division by zero"


@STREAMING
@pytest.mark.parametrize("arguments", ["not JSON", "[1, 2]", '"text"'])
async def test_arguments_that_are_no_object_fail_in_the_tool(
    llm, emulator, bodies, arguments, streaming
):  # T16
    runs: list[str] = []
    agent = FunctionAgent(llm=llm, tools=[weather_tool(runs)], streaming=streaming)
    emulator.script(
        {"tool_calls": [{"name": "weather", "arguments": arguments}]}, {"text": "Sorry."}
    )
    answer, events = await run(agent)
    assert answer == "Sorry."
    assert runs == []
    assert [result.tool_output.is_error for result in of(ToolCallResult, events)] == [True]
    [call] = [c for said in bodies()[-1]["messages"] for c in said.get("tool_calls", ())]
    assert json.loads(call["function"]["arguments"]) == {"INVALID_JSON": arguments}


@STREAMING
async def test_a_tool_that_is_not_there_is_told_to_the_model(llm, emulator, bodies, streaming):
    agent = FunctionAgent(llm=llm, tools=[weather_tool([])], streaming=streaming)
    emulator.script({"tool_calls": [{"name": "news", "arguments": {}}]}, {"text": "Sorry."})
    assert (await run(agent))[0] == "Sorry."
    assert "news not found" in bodies()[-1]["messages"][-1]["content"]


@STREAMING
async def test_a_last_answer_where_it_stops_early(llm, emulator, bodies, streaming):  # T5
    agent = FunctionAgent(
        llm=llm,
        tools=[weather_tool([])],
        early_stopping_method="generate",
        system_prompt="Help",
        streaming=streaming,
    )
    emulator.script({"tool_calls": cities("Omsk")}, {"tool_calls": cities("Omsk")}, {"text": "So."})
    assert (await run(agent, max_iterations=2))[0] == "So."
    *_, last = bodies()
    assert len(bodies()) == 3
    assert "tools" not in last
    assert "maximum number of iterations" in last["messages"][-1]["content"]


@STREAMING
async def test_no_further_request_where_it_stops_by_force(llm, emulator, bodies, streaming):
    agent = FunctionAgent(llm=llm, tools=[weather_tool([])], streaming=streaming)
    emulator.script({"tool_calls": cities("Omsk")}, {"tool_calls": cities("Omsk")})
    with pytest.raises(WorkflowRuntimeError, match="Max iterations of 2"):
        await run(agent, max_iterations=2)
    assert len(bodies()) == 2


@STREAMING
async def test_a_tool_whose_result_is_the_answer(llm, emulator, bodies, streaming):  # T5
    runs: list[str] = []

    def now() -> str:
        """Tell the time."""
        return "noon"

    kept = memory()
    direct = FunctionTool.from_defaults(now, return_direct=True)
    agent = FunctionAgent(llm=llm, tools=[direct, weather_tool(runs)], streaming=streaming)
    emulator.script({"tool_calls": [{"name": "now"}, *cities("Omsk")]}, {"text": "Bye."})
    assert (await run(agent, "Time?", memory=kept))[0] == "noon"
    assert runs == ["Omsk"]
    assert (await run(agent, "Thanks", memory=kept))[0] == "Bye."
    # The framework forgets the result of the call beside it; the service wants one.
    _, second = bodies()
    called = [c["function"]["name"] for m in second["messages"] for c in m.get("tool_calls", ())]
    assert called == ["now", "weather"]
    assert roles(second).count("tool") == 2
    assert roles(second)[-2:] == ["assistant", "user"]


@STREAMING
async def test_a_memory_that_is_full_forgets_whole_rounds(llm, emulator, bodies, streaming):
    agent = FunctionAgent(llm=llm, tools=[weather_tool([])], streaming=streaming)
    kept = memory(limit=60)
    emulator.script({"tool_calls": cities("Omsk")}, {"text": "Fine."}, {"text": "Bye."})
    await run(agent, "Weather? " * 30, memory=kept)
    assert (await run(agent, "Thanks", memory=kept))[0] == "Bye."
    assert [roles(body) for body in bodies()] == [["user"], ["user", "assistant", "tool"], ["user"]]


async def test_a_memory_can_be_written_and_sent_again(llm, emulator):
    agent = FunctionAgent(llm=llm, tools=[weather_tool([])])
    kept = memory()
    emulator.script({"tool_calls": cities("Slow", "Fast")}, {"text": "Fine."}, {"text": "Bye."})
    await run(agent, memory=kept)
    assert (await run(agent, "Thanks", memory=kept))[0] == "Bye."
    again = [ChatMessage.model_validate_json(said.model_dump_json()) for said in kept.get_all()]
    assert llm.chat([*again, ChatMessage("Hi")]).message.content


@STREAMING
async def test_errors_pass_unchanged(words, calculator, bodies, streaming):
    llm = YandexLLM(**{**words, "api_key": "wrong-key"}, max_retries=0)
    with pytest.raises(AuthenticationError):
        await run(FunctionAgent(llm=llm, tools=[calculator], streaming=streaming))
    assert len(bodies()) == 1


async def test_a_stream_that_is_cut_is_no_answer(llm, emulator, calculator):
    emulator.script({"text": "one two three", "cut_after": 2})
    with pytest.raises(StreamInterrupted):
        await run(FunctionAgent(llm=llm, tools=[calculator]))


async def test_cancelling_closes_the_socket(llm, emulator, calculator):
    emulator.script({"text": "one two three four five six", "delay": 0.5})
    handler = FunctionAgent(llm=llm, tools=[calculator]).run("Hi", memory=memory())
    async for event in handler.stream_events():
        if isinstance(event, AgentStream):
            break
    await handler.cancel_run()
    await asyncio.to_thread(emulator.settle)
    assert emulator.requests[-1]["closed_early"]


def test_one_event_loop_after_another(llm, emulator):
    emulator.script(*[{"tool_calls": cities("Omsk")}, {"text": "Fine."}] * 2)
    agent = FunctionAgent(llm=llm, tools=[weather_tool([])])
    for _ in range(2):
        assert asyncio.run(run(agent))[0] == "Fine."


async def test_several_agents_side_by_side(llm, emulator):
    """The emulator answers by its rules here, so that each agent has its own answer."""
    agent = FunctionAgent(llm=llm, tools=[])
    questions = [f"Question {number}" for number in range(8)]
    answers = await asyncio.gather(*(run(agent, question) for question in questions))
    assert [answer for answer, _ in answers] == [f"You said: {each}" for each in questions]


# AgentWorkflow


@STREAMING
async def test_a_handoff_goes_on_with_the_other_agent(llm, emulator, bodies, streaming):
    words = {"llm": llm, "streaming": streaming}
    one = FunctionAgent(
        **words,
        name="one",
        description="Asks",
        system_prompt="I ask.",
        tools=[weather_tool([])],
        can_handoff_to=["two"],
    )
    two = FunctionAgent(
        **words,
        name="two",
        description="Answers",
        system_prompt="I answer.",
        tools=[weather_tool([], name="forecast")],
        can_handoff_to=[],
    )
    emulator.script(
        {"tool_calls": cities("Omsk")},
        {"tool_calls": [handoff("two")]},
        {"tool_calls": [{"name": "forecast", "arguments": {"city": "Tver"}}]},
        {"text": "Here I am."},
    )
    answer, events = await run(AgentWorkflow(agents=[one, two], root_agent="one"))
    assert answer == "Here I am."
    assert [event.current_agent_name for event in of(AgentOutput, events)] == [
        "one",
        "one",
        "two",
        "two",
    ]
    sent = bodies()
    assert [tools(body) for body in sent] == [["weather", "handoff"]] * 2 + [["forecast"]] * 2
    assert [body["messages"][0]["content"] for body in sent] == ["I ask."] * 2 + ["I answer."] * 2
    assert "now handling the request" in str(sent[2]["messages"])


@STREAMING
async def test_a_handoff_to_an_agent_without_tools(llm, emulator, bodies, streaming):  # T5
    """Its history holds calls, and it says nothing of tools."""
    words = {"llm": llm, "streaming": streaming}
    one = FunctionAgent(
        **words,
        name="one",
        description="Asks",
        tools=[weather_tool([])],
        can_handoff_to=["two"],
    )
    two = FunctionAgent(**words, name="two", description="Answers", tools=[], can_handoff_to=[])
    emulator.script(
        {"tool_calls": cities("Omsk")}, {"tool_calls": [handoff("two")]}, {"text": "Here I am."}
    )
    answer, _ = await run(AgentWorkflow(agents=[one, two], root_agent="one"))
    assert answer == "Here I am."
    *_, last = bodies()
    assert "tools" not in last
    assert "tool" in roles(last)


@STREAMING
async def test_a_handoff_to_a_react_agent(llm, emulator, bodies, streaming):
    runs: list[str] = []
    words = {"llm": llm, "streaming": streaming}
    one = FunctionAgent(**words, name="one", description="Asks", tools=[], can_handoff_to=["two"])
    two = ReActAgent(
        **words,
        name="two",
        description="Answers",
        tools=[weather_tool(runs)],
        can_handoff_to=[],
    )
    emulator.script(
        {"tool_calls": [handoff("two")]},
        {"text": 'Thought: I need it.\nAction: weather\nAction Input: {"city": "Omsk"}'},
        {"text": "Thought: I can answer.\nAnswer: It is fine."},
    )
    answer, _ = await run(AgentWorkflow(agents=[one, two], root_agent="one"))
    assert answer == "It is fine."
    assert runs == ["Omsk"]
    assert [tools(body) for body in bodies()] == [["handoff"], [], []]


# ReActAgent


@STREAMING
async def test_a_react_agent_says_its_tools_in_its_prompt(llm, emulator, bodies, streaming):
    runs: list[str] = []
    agent = ReActAgent(llm=llm, tools=[weather_tool(runs)], streaming=streaming)
    emulator.script(
        {"text": 'Thought: I need it.\nAction: weather\nAction Input: {"city": "Omsk"}'},
        {"text": ""},
        {"text": "Thought: I can answer.\nAnswer: It is fine."},
    )
    assert (await run(agent))[0] == "It is fine."
    assert runs == ["Omsk"]
    sent = bodies()
    assert len(sent) == 3
    for body in sent:
        assert not {"tools", "tool_choice", "parallel_tool_calls", "stop"} & set(body)
        assert "Tell the weather of a city." in body["messages"][0]["content"]
    assert "Observation: Omsk is fine" in str(sent[1]["messages"])
    # T5: the empty answer goes back as it came, and two messages of the user follow.
    assert "previous response was empty" in str(sent[2]["messages"])


# CodeActAgent


@STREAMING
async def test_a_code_act_agent_runs_the_code_of_the_text(llm, emulator, bodies, streaming):
    ran: list[str] = []

    async def execute(code: str) -> str:
        ran.append(code)
        return "42"

    agent = CodeActAgent(code_execute_fn=execute, llm=llm, streaming=streaming)
    emulator.script(
        {"text": "I compute.\n<execute>\nprint(6 * 7)\n</execute>"}, {"text": "It is 42."}
    )
    assert (await run(agent, "6 * 7?"))[0] == "It is 42."
    assert ran == ["print(6 * 7)"]
    first, second = bodies()
    assert roles(first) == ["system", "user"]
    assert roles(second) == ["system", "user", "assistant", "user"]
    assert re.match(r"Result of executing the code.*42", second["messages"][-1]["content"], re.S)
    assert not {"tools", "tool_choice"} & (set(first) | set(second))


@STREAMING
async def test_a_code_act_agent_hands_off(llm, emulator, bodies, streaming):  # T5
    """The framework keeps the result of the handoff without its call."""

    async def execute(code: str) -> str:
        return code

    one = CodeActAgent(
        name="one",
        code_execute_fn=execute,
        llm=llm,
        can_handoff_to=["two"],
        streaming=streaming,
    )
    two = FunctionAgent(
        name="two", description="Answers", llm=llm, can_handoff_to=[], streaming=streaming
    )
    emulator.script({"tool_calls": [handoff("two")]}, {"text": "Here I am."})
    answer, _ = await run(AgentWorkflow(agents=[one, two], root_agent="one"))
    assert answer == "Here I am."
    first, second = bodies()
    assert tools(first) == ["handoff"]
    assert "now handling the request" in str(second["messages"])
    assert "tool" not in roles(second)
