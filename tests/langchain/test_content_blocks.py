"""Standard content blocks: the same in every way of streaming, for both model families."""

import asyncio
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_tests.utils.stream_lifecycle import assert_valid_event_stream

MODELS = ["yandexgpt", "gpt-oss-120b", "gemma-3-27b-it"]
CALLS = [{"name": "weather", "arguments": {"city": city}} for city in ("Казань", "B")]
ANSWER = {"text": "Let me see.", "reasoning": "Think first.", "tool_calls": CALLS}
EXPECTED = [
    ("reasoning", "Think first."),
    ("text", "Let me see."),
    ("tool_call", {"city": "Казань"}),
    ("tool_call", {"city": "B"}),
]


HELD = {"reasoning": "reasoning", "text": "text", "tool_call": "args"}


def blocks(message: Any) -> list[tuple[str, Any]]:
    return [told(block) for block in message.content_blocks]


def told(block: Any) -> tuple[str, Any]:
    return block["type"], block[HELD[block["type"]]]


def invoke(model):
    return model.invoke("?")


def stream(model):
    return reduce(add, model.stream("?"))


def astream(model):
    async def collected():
        return [chunk async for chunk in model.astream("?")]

    return reduce(add, asyncio.run(collected()))


def events(model):
    streamed = model.stream_events("?", version="v3")
    for _ in streamed:
        pass
    return streamed.output


def aevents(model):
    async def collected():
        streamed = await model.astream_events("?", version="v3")
        async for _ in streamed:
            pass
        return await streamed.output

    return asyncio.run(collected())


WAYS = [invoke, stream, astream, events, aevents]
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


@every_way
@pytest.mark.parametrize("version", [None, "v1"])
@pytest.mark.parametrize("call_id", [None, "one"])  # None: as the family gives them
@pytest.mark.parametrize("name", MODELS)
def test_reasoning_text_and_two_calls(
    make, emulator, weather, way, version, call_id, name
):  # T6-T8, T11
    answer = ANSWER | {"tool_calls": [call | {"id": call_id} for call in CALLS]}
    emulator.script(answer, answer)
    words = {"output_version": version} if version else {}
    model = make(model=name, **words).bind_tools([weather])
    whole, message = invoke(model), way(model)
    assert blocks(message) == EXPECTED
    assert said(message) == said(whole)
    ids = [call["id"] for call in message.tool_calls]
    assert all(ids)
    assert len(set(ids)) == 2
    assert [block["id"] for block in message.content_blocks[2:]] == ids
    counted = way is invoke or name != "yandexgpt"  # WIRE A3: its streams have no usage
    assert message.usage_metadata == (whole.usage_metadata if counted else None)


def said(message):
    """What a message says beside its blocks, but for ids and what LangChain adds to some."""
    added = {"id", "request_id", "token_usage", "output_version"}
    metadata = {word: told for word, told in message.response_metadata.items() if word not in added}
    calls = [(call["name"], call["args"]) for call in message.tool_calls]
    return message.text, calls, message.additional_kwargs, metadata


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_the_events_of_v3(make, emulator, weather, name, asynchronous):  # M13, T7, T11
    async def drained():
        return [event async for event in await model.astream_events("?", version="v3")]

    emulator.script(ANSWER)
    model = make(model=name).bind_tools([weather])
    events = (
        asyncio.run(drained()) if asynchronous else list(model.stream_events("?", version="v3"))
    )
    assert_valid_event_stream(events)
    finished = [event["content"] for event in events if event["event"] == "content-block-finish"]
    assert list(map(told, finished)) == EXPECTED

    arguments = dict.fromkeys((2, 3), "")
    for event in events:
        if event["event"] == "content-block-delta" and event["index"] in arguments:
            arguments[event["index"]] += event["delta"]["args"]
    assert list(arguments.values()) == ['{"city":"Казань"}', '{"city":"B"}']
    started = [event["content"] for event in events if event["event"] == "content-block-start"]
    assert [block["id"] for block in started[2:]] == [block["id"] for block in finished[2:]]
    assert [block["name"] for block in started[2:]] == ["weather", "weather"]

    [end] = [event for event in events if event["event"] == "message-finish"]
    assert end["metadata"]["finish_reason"] == "tool_calls"
    assert ("usage" in end) is (name != "yandexgpt")  # WIRE A3, A5


@every_way
@pytest.mark.parametrize("name", MODELS)
def test_calls_alone_and_text_alone(make, emulator, weather, way, name):
    emulator.script({"tool_calls": CALLS[:1]}, {"text": "Sunny."})
    model = make(model=name, output_version="v1").bind_tools([weather])
    assert blocks(way(model)) == [("tool_call", {"city": "Казань"})]
    assert blocks(way(model)) == [("text", "Sunny.")]


@pytest.mark.parametrize("way", [stream, astream])
@pytest.mark.parametrize("name", MODELS)
def test_a_call_cut_short_is_none_under_v1_either(make, emulator, weather, way, name):  # T13
    cut = {"name": "weather", "arguments": '{"city": "A'}
    emulator.script({"tool_calls": [cut], "finish_reason": "length"})
    message = way(make(model=name, output_version="v1").bind_tools([weather]))
    assert message.tool_calls == []
    assert "tool_call" not in [block["type"] for block in message.content_blocks]


@pytest.mark.parametrize("version", [None, "v1"])
@every_way
def test_what_came_goes_back_the_same(make, emulator, weather, way, version):
    emulator.script(ANSWER, {"text": "Done."})
    words = {"output_version": version} if version else {}
    model = make(model="gpt-oss-120b", **words).bind_tools([weather])
    message = way(model)
    results = [ToolMessage("sun", tool_call_id=call["id"]) for call in message.tool_calls]
    model.invoke([HumanMessage("?"), message, *results])
    sent = emulator.requests[-1]["body"]["messages"][1]
    assert sent["content"] == "Let me see."
    arguments = [call["function"]["arguments"] for call in sent["tool_calls"]]
    assert arguments == ['{"city":"Казань"}', '{"city":"B"}']


@every_way
def test_a_cut_call_is_a_block_of_its_own(make, emulator, weather, way):  # D6
    cut = {"name": "weather", "arguments": '{"city": "Mos'}
    emulator.script({"tool_calls": [cut], "finish_reason": "length"})
    message = way(make(model=MODELS[1]).bind_tools([weather]))
    [block] = message.content_blocks
    assert (block["type"], block["name"]) == ("invalid_tool_call", "weather")
    assert block["args"].startswith('{"city": "Mos')


def test_a_cut_call_of_a_whole_answer_is_a_block_under_v1(make, emulator, weather):  # D6
    cut = {"name": "weather", "arguments": '{"city": "Mos'}
    emulator.script({"tool_calls": [cut], "finish_reason": "length"})
    message = make(output_version="v1").bind_tools([weather]).invoke("?")
    assert [block["type"] for block in message.content] == ["invalid_tool_call"]
