"""Agents end over ids that collide as they end over ChatOpenAI and unique ids (T1-T6, T15)."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    HumanInTheLoopMiddleware,
    ModelRetryMiddleware,
    SummarizationMiddleware,
    ToolCallLimitMiddleware,
)
from langchain_core.exceptions import ModelError
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

YANDEX, OPEN = "yandexgpt", "qwen3-235b-a22b-fp8"
ASK = {"messages": [("user", "Weather?")]}
LONG = {"messages": [("user", "Weather? " * 500)]}
APPROVE = {"type": "approve"}
REJECT = {"type": "reject", "message": "No."}
EDIT = {"type": "edit", "edited_action": {"name": "weather", "args": {"city": "Z"}}}

DONE, SUMMARY = {"text": "Done."}, {"text": "All in short."}
BUSY, BROKEN = ({"status": status, "body": {"error": "Later."}} for status in (429, 500))
CUT = {"tool_calls": [{"name": "weather", "arguments": '{"city": "A'}]}


def calls(*cities):
    return {"tool_calls": [{"name": "weather", "arguments": {"city": city}} for city in cities]}


def decided(*decisions):
    return Command(resume={"decisions": list(decisions)})


def nothing(model):
    return AgentMiddleware()


def human(model):
    return HumanInTheLoopMiddleware({"weather": True})


def limit(**words):
    return lambda model: ToolCallLimitMiddleware(**words)


def retry(model):
    return ModelRetryMiddleware(initial_delay=0, on_failure=lambda error: "Out of order.")


def clear(**words):
    edit = ClearToolUsesEdit(trigger=1, keep=1, **words)
    return lambda model: ContextEditingMiddleware(edits=[edit])


def summarize(model):
    return SummarizationMiddleware(model, trigger=("tokens", 800), keep=("messages", 1))


@dataclass(frozen=True)
class Case:
    """Middleware, what the model answers, what the user says, and the cities asked for then."""

    middleware: Callable[[Any], AgentMiddleware]
    script: list[dict[str, Any]]
    inputs: list[Any]
    runs: list[str]


A_AND_B = [calls("A", "B"), DONE]
CASES = {
    "no middleware": Case(nothing, [calls("A", "B"), calls("A"), DONE], [ASK], ["A", "A", "B"]),
    "an invalid call alone": Case(nothing, [CUT], [ASK], []),  # T15
    "approve, reject": Case(human, A_AND_B, [ASK, decided(APPROVE, REJECT)], ["A"]),
    "reject, approve": Case(human, A_AND_B, [ASK, decided(REJECT, APPROVE)], ["B"]),  # T2
    "edit, approve": Case(human, A_AND_B, [ASK, decided(EDIT, APPROVE)], ["B", "Z"]),  # T2
    "approve, edit": Case(human, A_AND_B, [ASK, decided(APPROVE, EDIT)], ["A", "Z"]),
    "edit, then approve": Case(
        human,
        [calls("A"), calls("A"), DONE],
        [ASK, decided(EDIT), decided(APPROVE)],
        ["A", "Z"],
    ),
    "one call a run": Case(limit(run_limit=1), A_AND_B, [ASK], ["A"]),  # T3
    "one call a thread": Case(
        limit(thread_limit=1), [calls("A"), DONE, calls("A"), DONE], [ASK, ASK], ["A"]
    ),
    "one call of a tool": Case(limit(tool_name="weather", run_limit=1), A_AND_B, [ASK], ["A"]),
    "the end after one call": Case(limit(run_limit=1, exit_behavior="end"), A_AND_B, [ASK], []),
    "busy, then broken": Case(retry, [BUSY, BROKEN, calls("A"), BUSY, DONE], [ASK], ["A"]),
    "busy for good": Case(retry, [calls("A"), BUSY, BUSY, BUSY], [ASK], ["A"]),
    "results cleared": Case(clear(), [calls("A", "B"), calls("C"), DONE], [ASK], ["A", "B", "C"]),
    "inputs cleared": Case(  # T5
        clear(clear_tool_inputs=True),
        [calls("A", "B"), calls("C"), DONE],
        [ASK],
        ["A", "B", "C"],
    ),
    "a turn summarized": Case(summarize, [calls("A", "B"), SUMMARY, DONE], [LONG], ["A", "B"]),
    "two turns summarized": Case(
        summarize, [calls("A"), DONE, SUMMARY, calls("A"), DONE], [ASK, LONG], ["A", "A"]
    ),
}


# None leaves the ids to the family, which gives every call the function's name (WIRE A2).
COLLIDING = pytest.mark.parametrize(("model", "call_id"), [(YANDEX, None), (OPEN, "call_0")])
EVERY_WAY = pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])


@COLLIDING
@EVERY_WAY
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_end_is_that_of_unique_ids(make, chat_openai, outcome, case, way, model, call_id):
    expected = outcome(chat_openai, "invoke", case)
    assert outcome(make(model=model, max_retries=0), way, case, call_id) == expected


@pytest.fixture
def chat_openai(emulator, monkeypatch):
    """ChatOpenAI over the open family, whose ids are unique unless a script gives them."""
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        monkeypatch.delenv(name)
    return ChatOpenAI(
        model=f"gpt://test-folder/{OPEN}/latest",
        base_url=emulator.chat_url,
        api_key="test-key",
        max_retries=0,
    )


@pytest.fixture
def outcome(emulator, run):
    """Runs a case; gives the messages that it leaves and those that each request showed."""

    def found(model, way, case, call_id=None):
        runs = []

        @tool
        def weather(city: str) -> str:
            """Tell the weather in a city."""
            runs.append(city)
            return f"{city}: sunny"

        emulator.clear()
        emulator.script(*(with_id(answer, call_id) for answer in case.script))
        agent = create_agent(
            model, [weather], middleware=[case.middleware(model)], checkpointer=InMemorySaver()
        )
        messages = run(agent, way, *case.inputs)["messages"]
        bodies = [request["body"] for request in emulator.requests]
        assert sorted(runs) == case.runs
        assert any(body.get("stream") for body in bodies) is ("stream" in way)
        return list(map(left, messages)), list(map(shown, bodies))

    return found


def with_id(answer, call_id):
    """An answer whose calls all have one id; None leaves their ids to the family."""
    if call_id is None or "tool_calls" not in answer:
        return answer
    return answer | {"tool_calls": [call | {"id": call_id} for call in answer["tool_calls"]]}


def left(message):
    """All of a message but ids, and the arguments of an invalid call, which a stream breaks."""
    return {
        "type": message.type,
        "content": message.content,
        "tool": message.name,
        "status": getattr(message, "status", None),
        "calls": [(call["name"], call["args"]) for call in getattr(message, "tool_calls", ())],
        "invalid": [call["name"] for call in getattr(message, "invalid_tool_calls", ())],
    }


def shown(body):
    """What a request shows the model: texts, and each call with its result."""
    seen = []
    for place, message in enumerate(body["messages"]):
        made = message.get("tool_calls", [])
        results = {
            # ChatOpenAI drops the status of a failed tool; we write it before the text (M27).
            result["tool_call_id"]: result["content"].removeprefix("Error: ")
            for result in body["messages"][place + 1 : place + 1 + len(made)]
        }
        if message["role"] != "tool" and message["content"]:
            # A prompt for a summary writes the calls' ids into its text.
            seen.append((message["role"], re.sub(' id="[^"]*"', "", message["content"])))
        for call in made:
            function = call["function"]
            seen.append((function["name"], json.loads(function["arguments"]), results[call["id"]]))
    return seen


@pytest.mark.parametrize(("status", "tries"), [(400, 1), (401, 1), (429, 3), (500, 3), (503, 3)])
def test_a_failure_is_tried_as_often_and_is_the_same(make, chat_openai, emulator, status, tries):
    def failure(model):
        emulator.clear()
        emulator.script(*[{"status": status, "body": {"error": {"message": "No."}}}] * tries)
        retry = ModelRetryMiddleware(initial_delay=0, on_failure="error")
        with pytest.raises(ModelError) as raised:
            create_agent(model, [], middleware=[retry]).invoke(ASK)
        assert len(emulator.requests) == tries
        return [kind for kind in raised.type.mro() if kind.__module__ == ModelError.__module__]

    assert failure(make(max_retries=0)) == failure(chat_openai)


@pytest.mark.parametrize("model", [YANDEX, OPEN])
@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_broken_stream_is_tried_again(make, emulator, run, model, way):  # D10
    emulator.script({"text": "Half of this is lost.", "cut_after": 2}, DONE)
    agent = create_agent(make(model=model), [], middleware=[ModelRetryMiddleware(initial_delay=0)])
    assert [message.content for message in run(agent, way, ASK)["messages"][1:]] == ["Done."]


@COLLIDING
@pytest.mark.parametrize("way", ["invoke", "ainvoke"])  # yandexgpt's streams have no usage (T24)
def test_the_tokens_that_the_service_counted_trigger_a_summary(
    make, chat_openai, outcome, model, way, call_id
):  # M7
    usage = {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1000}
    script = [calls("A", "B") | {"usage": usage}, SUMMARY, DONE]
    case = Case(summarize, script, [ASK], ["A", "B"])
    expected = outcome(chat_openai, "invoke", case)
    assert outcome(make(model=model), way, case, call_id) == expected
    assert len(expected[1]) == 3


@COLLIDING
@EVERY_WAY
def test_an_invalid_call_gets_an_answer_of_its_own(
    make, emulator, run, weather, body, model, way, call_id
):  # T4
    """Though its id was answered in an earlier turn, LangChain says what became of it.

    There is no ChatOpenAI to compare with: the arguments that it sends back are refused.
    """
    answers = [calls("A"), DONE, CUT, DONE]
    emulator.script(*(with_id(answer, call_id) for answer in answers))
    agent = create_agent(make(model=model), [weather], checkpointer=InMemorySaver())
    run(agent, way, ASK, ASK, ASK)
    [*_, (name, arguments, result), _] = shown(body())
    assert name == "weather"
    assert arguments.keys() == {"INVALID_JSON"}
    assert "could not be executed" in result
