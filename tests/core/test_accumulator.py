"""Deltas folded into a completion."""

import tracemalloc
from dataclasses import fields

import pytest

from yandex_compat import (
    Accumulator,
    Citation,
    Completion,
    Delta,
    StreamEnd,
    ToolCall,
    ToolCallDelta,
    Usage,
)


def folded(*deltas: Delta) -> Accumulator:
    made = Accumulator()
    for delta in deltas:
        made.add(delta)
    return made


def part(index: int, id_: str | None, name: str | None, arguments: str) -> Delta:
    return Delta(tool_calls=(ToolCallDelta(index, id_, name, arguments),))


def test_everything_adds_up():
    end = StreamEnd("stop", Usage(1, 2, 3), "m", "id", "fp", "request")
    made = folded(
        Delta(text="a", reasoning="x", refusal="n"),
        Delta(text="b", reasoning="y", refusal="o"),
        part(0, "1", "f", '{"a"'),
        part(1, "2", "g", ""),
        part(0, None, None, ":1}"),
        Delta(final=end),
    )
    assert made.completion() == Completion(
        text="ab",
        reasoning="xy",
        refusal="no",
        tool_calls=(ToolCall("1", "f", '{"a":1}'), ToolCall("2", "g", "{}")),
        finish_reason="stop",
        usage=Usage(1, 2, 3),
        model="m",
        id="id",
        system_fingerprint="fp",
        request_id="request",
    )


def test_nothing_adds_up_to_an_empty_completion():
    assert folded().completion() == Completion()


def test_text_and_reasoning_can_be_read_between_the_deltas():
    made = folded(Delta(text="a", reasoning="x"))
    assert (made.text, made.reasoning) == ("a", "x")
    made.add(Delta(text="b", reasoning="y"))
    assert (made.text, made.reasoning) == ("ab", "xy")
    assert (made.text, made.reasoning) == ("ab", "xy")


def test_replacing_text_leaves_reasoning_and_calls():  # WIRE A6
    made = folded(
        Delta(text="a", reasoning="x"),
        part(0, "1", "f", "{}"),
        Delta(text="refused", replaces_text=True),
        Delta(text="!"),
    )
    assert made.completion() == Completion("refused!", "x", tool_calls=(ToolCall("1", "f", "{}"),))


def test_open_calls_are_shown_as_far_as_they_have_come():
    assert folded(part(0, "1", "f", '{"a"')).tool_calls == (ToolCall("1", "f", '{"a"'),)
    assert folded(part(0, "1", "f", "")).tool_calls == (ToolCall("1", "f", ""),)


@pytest.mark.parametrize(
    ("arguments", "complete"), [("{}", True), ("", False), ('{"a"', False), ("[]", False)]
)
def test_calls_are_complete_when_each_has_an_object(arguments, complete):
    made = folded(part(0, "1", "f", "{}"), part(1, "2", "f", arguments))
    assert made.calls_are_complete is complete


def test_two_accumulators_share_nothing():
    one, other = folded(Delta(text="a")), folded(Delta(text="b"))
    assert (one.text, other.text) == ("a", "b")


@pytest.mark.parametrize(
    ("end", "arguments"),
    [
        (None, ""),
        (StreamEnd(), "{}"),
        (StreamEnd("tool_calls"), "{}"),
        (StreamEnd("length"), ""),
        (StreamEnd("content_filter"), ""),
    ],
)
def test_no_arguments_are_an_empty_object_only_where_the_model_ended_its_answer(end, arguments):
    made = folded(part(0, "1", "f", ""), *([Delta(final=end)] if end else []))  # D6
    assert made.tool_calls == made.completion().tool_calls == (ToolCall("1", "f", arguments),)


def test_pieces_of_arguments_are_put_together_when_asked_for():
    """Put together with each piece, long arguments would take time that grows with their square."""
    made = folded(part(0, "1", "f", ""), *[part(0, None, None, "ab")] * 1_000)
    assert made._calls[0].arguments._blocks == ["ab" * 256] * 3
    assert made.tool_calls == made.tool_calls == (ToolCall("1", "f", "ab" * 1_000),)


def test_a_text_takes_the_memory_of_its_signs():
    pieces = 20_000
    tracemalloc.start()
    made = folded(*(Delta(f"{number:06}") for number in range(pieces)))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1.5 * 6 * pieces
    assert made.text == "".join(f"{number:06}" for number in range(pieces))


@pytest.mark.parametrize("pieces", [255, 256, 257, 511, 512, 513, 768])
def test_a_text_of_many_pieces_is_whole(pieces):
    made = folded(*(Delta(text=f"{number} ") for number in range(pieces)))
    assert made.text == "".join(f"{number} " for number in range(pieces))
    made.add(Delta(text="."))
    assert made.text.endswith(f"{pieces - 1} .")


ADDED = {
    "reasoning": "r",
    "refusal": "r",
    "tool_calls": (ToolCallDelta(0, "1", "f", ""),),
    "annotations": (Citation("https://y.test"),),
    "logprobs": {"content": []},
    "replaces_text": True,
    "final": StreamEnd(),
}


def test_a_delta_that_adds_more_than_text_is_no_text():
    assert {field.name for field in fields(Delta)} == {"text", "filtered", *ADDED}
    assert Delta("a").is_text
    assert not Delta("a").is_empty
    assert Delta().is_empty
    for word, value in ADDED.items():
        delta = Delta("a", **{word: value})
        assert not delta.is_text
        assert not Delta(**{word: value}).is_empty
