"""An answer is the same whole and streamed, whatever the client does to it on the way."""

import json
import random

import httpx
import pytest

from yandex_compat import (
    Accumulator,
    Completion,
    CompletionRequest,
    CustomTool,
    Message,
    ResponseFormat,
    Tool,
    ToolChoice,
    ToolChoiceIgnored,
    YandexError,
)
from yandex_compat.reading import StreamReading, whole_completion
from yandex_compat.wires.apis import APIS

TEXTS = [
    "", "\n\n", "```", "Hello END there", '{"a": "```"}', "[TOOL_CALL_START]g\n{}",
    '[TOOL_CALL_START]f\n{"a": 1}', '[TOOL_CALL_START]f\n{"x":"END"}',
    '```json\n{"a": 1}\n```', '```json\n{"a": 1}\n``` END', "[TOOL_CALL_START]odd\n{}",
]  # fmt: skip
TOOLS = (Tool("f"), Tool("g"), CustomTool("h"))
ASKED = httpx.Request("POST", "https://h.test/v1/chat/completions")


def asked(rng: random.Random) -> CompletionRequest:
    tools = rng.choice([(), TOOLS])
    return CompletionRequest(
        "m",
        (Message("user", "?"),),
        stop=rng.choice([(), ("END",)]),
        tools=tools,
        tool_choice=rng.choice([None, ToolChoice("required"), ToolChoice("none")]),
        parallel_tool_calls=rng.choice([None, False]) if tools else None,
        response_format=rng.choice([None, ResponseFormat("json_object")]),
    )


def call(rng: random.Random, number: int) -> dict:
    kind, word = rng.choice([("function", "arguments"), ("custom", "input")])
    text = rng.choice(['{"a":1}', "", '{"a"', "text"])
    called = {"name": rng.choice("fgh"), word: text}
    return {"id": rng.choice(["", "f", "x", f"c{number}"]), "type": kind, kind: called}


def pieces(rng: random.Random, text: str) -> list[str]:
    cuts = sorted(rng.sample(range(1, len(text)), min(3, len(text) - 1))) if text else []
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def answer(rng: random.Random) -> tuple[bytes, bytes]:
    """One answer as a body, and as the bytes of a stream."""
    reason = rng.choice(["stop", "length", "tool_calls", "content_filter", None])
    numbers = [] if reason == "content_filter" else range(rng.choice([0, 0, 1, 2, 3]))
    calls = [call(rng, number) for number in numbers]
    text, thought = rng.choice(TEXTS), rng.choice(["", "why"])
    message = {"content": text, "reasoning_content": thought, "tool_calls": calls}
    deltas: list[dict] = [{"reasoning_content": thought}]
    if reason == "content_filter":  # WIRE A6: its text is never split
        last = {"content": text}
    else:
        deltas += [{"content": piece} for piece in pieces(rng, text)]
        last = {}
    for index, one in enumerate(calls):
        kind = one["type"]
        word = "input" if kind == "custom" else "arguments"
        first, *rest = pieces(rng, one[kind][word])
        begun = one | {"index": index, kind: one[kind] | {word: first}}
        later = [{"index": index, "id": "", "type": "", kind: {"name": "", word: p}} for p in rest]
        deltas += [{"tool_calls": [piece]} for piece in (begun, *later)]
    choices = [*({"delta": delta} for delta in deltas), {"delta": last, "finish_reason": reason}]
    events = [f"data: {json.dumps({'choices': [choice]})}\n\n" for choice in choices]
    body = {"choices": [{"message": message, "finish_reason": reason}]}
    return json.dumps(body).encode(), "".join([*events, "data: [DONE]\n\n"]).encode()


def streamed(rng: random.Random, request: CompletionRequest, data: bytes) -> Completion:
    reading, folded = (
        StreamReading(request, httpx.Response(200, request=ASKED), APIS["chat"]),
        Accumulator(),
    )
    while data and not reading.stopped:
        size = rng.randint(1, 200)
        for delta in reading.feed(data[:size]):
            folded.add(delta)
        data = data[size:]
    for delta in () if reading.stopped else reading.close():
        folded.add(delta)
    return folded.completion()


def told(read) -> object:
    """What an answer says, but for ids, which are made anew; or the kind of its error."""
    try:
        completion = read()
    except YandexError as error:
        return type(error)
    calls = [(each.name, each.arguments, each.custom) for each in completion.tool_calls]
    trimmed = [each.arguments for each in completion.trimmed_tool_calls]
    return completion.text, completion.reasoning, calls, completion.finish_reason, trimmed


@pytest.mark.parametrize("seed", range(400))
def test_whole_and_streamed_say_the_same(seed):
    rng = random.Random(seed)
    request, (body, events) = asked(rng), answer(rng)
    response = httpx.Response(200, content=body, request=ASKED)
    whole = told(lambda: whole_completion(request, response, APIS["chat"]))
    for _ in range(5):
        assert told(lambda: streamed(rng, request, events)) == whole


@pytest.mark.parametrize("mark", [b"data: [DONE]\n\n", b""])
def test_text_before_an_ignored_choice_is_given_out_first(mark):
    request = CompletionRequest(
        "m", (Message("user", "?"),), tools=TOOLS, tool_choice=ToolChoice("required")
    )
    event = {"choices": [{"delta": {"content": "no"}, "finish_reason": "stop"}]}
    reading = StreamReading(request, httpx.Response(200, request=ASKED), APIS["chat"])
    given = reading.feed(f"data: {json.dumps(event)}\n\n".encode() + mark)
    assert [delta.text for delta in given] == ["no"]
    with pytest.raises(ToolChoiceIgnored):
        reading.close()


def test_calls_beyond_a_stop_are_cut_whether_they_have_come_or_not():
    request = CompletionRequest(
        "m", (Message("user", "?"),), tools=TOOLS, parallel_tool_calls=False, stop=("END",)
    )
    calls = [{"index": n, "function": {"name": "f", "arguments": "{}"}} for n in range(2)]
    deltas = [{"content": "a END b"}, {"tool_calls": calls}]
    choices = [*({"delta": one} for one in deltas), {"delta": {}, "finish_reason": "tool_calls"}]
    events = "".join(f"data: {json.dumps({'choices': [one]})}\n\n" for one in choices)
    message = {"content": "a END b", "tool_calls": calls}
    body = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    whole = whole_completion(request, httpx.Response(200, json=body, request=ASKED), APIS["chat"])
    end = (
        StreamReading(request, httpx.Response(200, request=ASKED), APIS["chat"])
        .feed((events + "data: [DONE]\n\n").encode())[-1]
        .final
    )
    for told_of in (whole, end):
        assert (told_of.finish_reason, told_of.trimmed_tool_calls) == ("stop", ())
