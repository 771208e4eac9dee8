"""Calls whose arguments were cut: invalid ones, whichever way they come, and never run (T13)."""

import asyncio
import json
from functools import reduce
from operator import add

import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_core.utils.json import parse_partial_json

from langchain_yandex_compat.messages import _breaking

SAMPLES = [
    {"path": "/home/user/file.txt", "force": True},
    {"text": 'He said "no\\yes"\n\tand \u2028 \\" left', "n": -12.5e-3},
    {"город": "Казань", "emoji": "👋🏽", "escaped": "😀"},
    {"a": {"b": [1, 2, {"c": [[], {}, [{"d": "]}"}]]}], "e": {}}},
    {"true": True, "false": False, "null": None, "list": [True, False, None, 0, 10, 1.5, "", " "]},
    {"": "", "{": "}", "[": "]", ",": ":", '"': '\\"', "\\": "\\\\"},
    {"deep": [[[[[[[["bottom"]]]]]]]]},
]
TEXTS = [
    json.dumps(sample, ensure_ascii=ascii_only, indent=indent)
    for sample in SAMPLES
    for ascii_only in (True, False)
    for indent in (None, 2)
]


WRONG = ["{} and more", '{"a": 1}{"a": 2}', "[1]", "null", "3", "what?", '{"a": 1}]', "  ", "{'a'}"]


def read_as_object(parse, text):
    try:
        return isinstance(parse(text), dict)
    except ValueError:
        return False


@pytest.mark.parametrize("parse", [json.loads, parse_partial_json])
@pytest.mark.parametrize("text", TEXTS)
def test_no_parser_mends_a_cut_and_broken_text(text, parse):
    cuts = [text[:end] for end in range(len(text))]
    assert [cut for cut in cuts if read_as_object(parse, cut + _breaking(cut))] == []
    assert read_as_object(parse, text)


@pytest.mark.parametrize("parse", [json.loads, parse_partial_json])
@pytest.mark.parametrize("text", WRONG)
def test_no_parser_takes_for_an_object_what_is_none(text, parse):
    assert not read_as_object(parse, text + _breaking(text))


CUT = [
    '{"city": "Mos',
    '{"city": "Moscow"',
    '{"city": "Moscow"} and so',
    "{",
    '{"city": "a\\',
    "[1]",
]
ENDS = [*((text, reason) for text in CUT for reason in ("length", "tool_calls")), ("", "length")]

both_families = pytest.mark.parametrize("model", ["yandexgpt", "qwen3-235b-a22b-fp8"])
every_end = pytest.mark.parametrize(("arguments", "reason"), ENDS)


@pytest.fixture
def runs():
    return []


@pytest.fixture
def forecast(runs):
    """A tool that would run even without its argument."""

    @tool
    def forecast(city: str = "everywhere") -> str:
        """Tell the weather of a city."""
        runs.append(city)
        return "sunny"

    return forecast


def cut_call(arguments, reason):
    call = {"name": "forecast", "arguments": arguments}
    return {"tool_calls": [call], "finish_reason": reason}


@both_families
@every_end
@pytest.mark.parametrize("way", ["invoke", "stream", "astream", "invoke streaming"])
def test_a_cut_call_is_an_invalid_one(make, emulator, forecast, model, arguments, reason, way):
    emulator.script(cut_call(arguments, reason))
    streaming = {"streaming": True} if way == "invoke streaming" else {}
    bound = make(model=model, **streaming).bind_tools([forecast])

    async def collected():
        return [chunk async for chunk in bound.astream("?")]

    if way == "stream":
        answer = reduce(add, bound.stream("?"))
    elif way == "astream":
        answer = reduce(add, asyncio.run(collected()))
    else:
        answer = bound.invoke("?")
    assert emulator.requests[-1]["body"].get("stream", False) is (way != "invoke")
    assert answer.tool_calls == []
    [invalid] = answer.invalid_tool_calls
    assert invalid["name"] == "forecast"
    assert invalid["id"]
    assert invalid["args"].startswith(arguments)
    assert answer.response_metadata["finish_reason"] == reason


@both_families
@every_end
@pytest.mark.parametrize("way", ["messages", "values", "async messages", "streaming"])
def test_no_agent_runs_a_cut_call(make, emulator, forecast, runs, model, arguments, reason, way):
    emulator.script(cut_call(arguments, reason), {"text": "Done"})
    streaming = {"streaming": True} if way == "streaming" else {}
    agent = create_agent(make(model=model, **streaming), [forecast])
    question = {"messages": [("user", "Weather?")]}

    async def drained():
        return [each async for each in agent.astream(question, stream_mode="messages")]

    if way == "streaming":
        agent.invoke(question)
    elif way == "async messages":
        asyncio.run(drained())
    else:
        list(agent.stream(question, stream_mode=way))
    assert runs == []
    [request] = emulator.requests
    assert request["body"].get("stream", False) is (way != "values")


@both_families
@every_end
def test_events_of_v3_show_a_cut_call_as_invalid(
    make, emulator, forecast, model, arguments, reason
):
    emulator.script(cut_call(arguments, reason))
    stream = make(model=model).bind_tools([forecast]).stream_events("?", version="v3")
    finished = [event for event in stream if event["event"] == "content-block-finish"]
    kinds = [event["content"]["type"] for event in finished]
    assert "tool_call" not in kinds
    assert "invalid_tool_call" in kinds


@both_families
@pytest.mark.parametrize("cut_first", [True, False])
def test_a_whole_call_beside_a_cut_one_stays_whole(make, emulator, forecast, model, cut_first):
    cut = {"name": "forecast", "arguments": '{"city": "B'}
    whole = {"name": "forecast", "arguments": '{"city": "A"}'}
    calls = [cut, whole] if cut_first else [whole, cut]
    emulator.script({"tool_calls": calls, "finish_reason": "length"})
    answer = reduce(add, make(model=model).bind_tools([forecast]).stream("?"))
    assert [call["args"] for call in answer.tool_calls] == [{"city": "A"}]
    assert [call["args"][:11] for call in answer.invalid_tool_calls] == ['{"city": "B']


@both_families
def test_a_whole_call_runs(make, emulator, forecast, runs, model):
    emulator.script(cut_call('{"city": "Tver"}', "tool_calls"), {"text": "Done"})
    agent = create_agent(make(model=model), [forecast])
    list(agent.stream({"messages": [("user", "Weather?")]}, stream_mode="messages"))
    assert runs == ["Tver"]


@both_families
def test_a_whole_call_that_was_followed_by_a_cut_runs(make, emulator, forecast, runs, model):
    """The token limit may fall right behind the arguments; what came is whole."""
    emulator.script(cut_call('{"city": "Tver"}', "length"), {"text": "Done"})
    agent = create_agent(make(model=model), [forecast])
    list(agent.stream({"messages": [("user", "Weather?")]}, stream_mode="messages"))
    assert runs == ["Tver"]


def test_a_cut_call_whose_name_came_late_is_the_one_that_is_broken(make, emulator, weather):  # T13
    def event(index, name, arguments, reason=None):
        piece = {"index": index, "function": {"name": name, "arguments": arguments}}
        choice = {"delta": {"tool_calls": [piece | {"id": f"i{index}"}]}, "finish_reason": reason}
        return f"data: {json.dumps({'choices': [choice]})}\n\n"

    events = [event(0, "", '{"city":'), event(1, "weather", '{"city":"B"}')]
    events.append(event(0, "weather", '"A', "length"))
    emulator.script({"chunks": [*events, "data: [DONE]\n\n"]})
    message = reduce(add, make().bind_tools([weather]).stream("?"))
    assert [call["args"] for call in message.tool_calls] == [{"city": "B"}]
    assert [call["id"] for call in message.invalid_tool_calls] == ["i0"]
