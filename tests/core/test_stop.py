"""Stop sequences on the client: the same cut however the text was chunked."""

import itertools
import random

import pytest

from yandex_compat import (
    Accumulator,
    Completion,
    Delta,
    Message,
    StreamEnd,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from yandex_compat.stop import StopCutter, StopFilter, cut_completion

END = StreamEnd(finish_reason="length", model="m")


def streamed(pieces: list[str], stops: tuple[str, ...]) -> tuple[str, bool]:
    cutter = StopCutter(stops)
    text = "".join(map(cutter.feed, pieces)) + cutter.close()
    return text, cutter.stopped


TABLE = [
    ("abENDcd", ("END",), "ab", True),
    ("ENDab", ("END",), "", True),
    ("abEND", ("END",), "ab", True),
    ("abEN", ("END",), "abEN", False),
    ("aEENDb", ("END",), "aE", True),
    ("aEENNDEN", ("END",), "aEENNDEN", False),
    ("ababac", ("abac",), "ab", True),
    ("one two", ("two", "one"), "", True),
    ("xabcy", ("bc", "abc"), "x", True),
    ("xabcdy", ("abcd", "bc"), "xa", True),
    ("xabdy", ("abcd", "bd"), "xa", True),
    ("Привет\n\nмир", ("\n\n",), "Привет", True),
    ("a😀b", ("😀",), "a", True),
    ("text", (), "text", False),
    ("text", ("",), "text", False),
    ("", ("END",), "", False),
]


@pytest.mark.parametrize(("text", "stops", "kept", "stopped"), TABLE)
def test_whole_text_is_cut_before_the_stop_that_is_complete_first(text, stops, kept, stopped):
    given = cut_completion(Completion(text, finish_reason="length"), stops)
    assert given.text == kept
    assert given.finish_reason == ("stop" if stopped else "length")  # D7


@pytest.mark.parametrize(("text", "stops", "kept", "stopped"), TABLE)
def test_the_cut_is_the_same_for_every_two_and_three_pieces(text, stops, kept, stopped):  # D7
    for first, second in itertools.combinations_with_replacement(range(len(text) + 1), 2):
        pieces = [text[:first], text[first:second], text[second:]]
        assert streamed(pieces, stops) == (kept, stopped), pieces


@pytest.mark.parametrize("seed", range(30))
def test_random_texts_are_cut_alike_however_they_are_chunked(seed):
    rng = random.Random(seed)
    for _ in range(50):
        text = "".join(rng.choices("ab\n", k=rng.randint(0, 14)))
        stops = tuple("".join(rng.choices("ab\n", k=rng.randint(1, 4))) for _ in range(3))
        size = rng.randint(1, 5)
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        whole = cut_completion(Completion(text), stops)
        assert streamed(pieces, stops) == (whole.text, whole.finish_reason == "stop")
        assert not any(stop in whole.text for stop in stops)


def test_only_what_may_begin_a_stop_is_held_back():
    cutter = StopCutter(("END", "STOP"))
    assert cutter.feed("abcE") == "abc"
    assert cutter.feed("Nx") == "ENx"
    assert cutter.feed("yS") == "y"
    assert cutter.feed("E") == "S"
    assert cutter.close() == "E"
    assert cutter.close() == ""


def test_nothing_comes_after_a_stop():
    cutter = StopCutter(("END",))
    assert cutter.feed("aENDb") == "a"
    assert cutter.feed("c") == ""
    assert cutter.close() == ""


def test_a_stop_drops_the_calls_after_it():
    whole = Completion("aENDb", "why", tool_calls=(ToolCall("1", "f", "{}"),), usage=Usage(1, 2, 3))
    assert cut_completion(whole, ("END",)) == Completion(
        "a", "why", finish_reason="stop", usage=Usage(1, 2, 3)
    )


def test_a_refusal_of_the_filter_is_not_cut():  # D10: streamed, it isn't either
    refused = Completion("I can't. END", finish_reason="content_filter")
    assert cut_completion(refused, ("END",)) == refused


def filtered(stops: tuple[str, ...], *deltas: Delta) -> list[Delta]:
    stopping = StopFilter(stops)
    given = []
    for delta in deltas:
        given += stopping.feed([delta], END)
        if stopping.stopped:
            break
    return given


FINAL = Delta(final=END)


def test_a_stop_ends_the_deltas_with_reason_stop():  # D7
    given = filtered(("END",), Delta(text="aE"), Delta(text="NDb"), FINAL)
    assert given == [
        Delta(text="a"),
        Delta(final=StreamEnd(finish_reason="stop", model="m")),
    ]
    assert END.finish_reason == "length"


def test_everything_after_the_stop_in_one_feed_is_cut():
    stopping = StopFilter(("END",))
    given = stopping.feed([Delta(text="aEND"), Delta(text="b"), FINAL], END)
    assert [delta.text for delta in given] == ["a", ""]
    assert [delta.final.finish_reason for delta in given if delta.final] == ["stop"]


def test_a_held_tail_is_given_out_before_the_end():
    given = filtered(("END",), Delta(text="aEN"), FINAL)
    assert given == [Delta(text="a"), Delta(text="EN"), FINAL]


def test_an_end_without_a_held_tail_comes_alone():
    assert filtered(("END",), Delta(text="a"), FINAL) == [Delta(text="a"), FINAL]


def test_a_delta_held_back_whole_is_not_given_out():
    assert filtered(("END",), Delta(text="E"), Delta(text="x")) == [Delta(text="Ex")]


@pytest.mark.parametrize(
    "rest",
    [
        {"reasoning": "hm"},
        {"refusal": "no"},
        {"tool_calls": (ToolCallDelta(0, "1", "f", "{}"),)},
    ],
)
def test_a_held_text_does_not_hold_back_the_rest_of_its_delta(rest):
    assert filtered(("END",), Delta(text="E", **rest)) == [Delta(**rest)]


def test_calls_and_refusal_beside_a_stop_are_cut_and_reasoning_is_not():
    call = ToolCallDelta(0, "1", "f", "{}")
    given = filtered(("END",), Delta(text="aENDb", reasoning="hm", tool_calls=(call,)))
    assert given[0] == Delta(text="a", reasoning="hm")


def test_reasoning_is_never_cut():
    deltas = (Delta(reasoning="END"), Delta(text="a"), FINAL)
    assert filtered(("END",), *deltas) == list(deltas)


def test_a_corrected_text_is_cut_as_any_other():  # WIRE B6
    corrected = Delta(text="b and END of it", replaces_text=True)
    given = filtered(("END",), Delta(text="aE"), corrected, FINAL)
    assert given[:2] == [Delta(text="a"), Delta(text="b and ", replaces_text=True)]
    assert given[2].final.finish_reason == "stop"


def test_a_refusal_that_goes_on_from_what_is_held_back_is_whole():  # WIRE B7
    refusal = Delta(text="ND of it", filtered=True)
    assert filtered(("END",), Delta(text="aE"), refusal)[1:] == [Delta("END of it", filtered=True)]


def test_a_replacing_text_forgets_what_was_held_back():  # WIRE A6
    given = filtered(
        ("END",),
        Delta(text="aE"),
        Delta(text="ND is no END", replaces_text=True, filtered=True),
        FINAL,
    )
    folded = Accumulator()
    for delta in given:
        folded.add(delta)
    assert folded.text == "ND is no END"
    assert given[-1] == FINAL


# Through the client, over sockets.


@pytest.fixture(params=["yandexgpt", "qwen3-235b-a22b-fp8"])
def model(request):
    return request.param


async def texts_of(client, asked) -> list[tuple[str, str | None]]:
    """The text and the finish reason by each of the four ways."""
    whole, awaited = client.complete(asked), await client.acomplete(asked)
    folded, afolded = Accumulator(), Accumulator()
    for delta in client.stream(asked):
        folded.add(delta)
    async for delta in client.astream(asked):
        afolded.add(delta)
    given = [whole, awaited, folded.completion(), afolded.completion()]
    return [(answer.text, answer.finish_reason) for answer in given]


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (("Observation:",), ("Action: look\n", "stop")),
        (("vation", "ser"), ("Action: look\nOb", "stop")),
        (("Action",), ("", "stop")),
        (("a snowman?",), ("Action: look\nObservation: a snowman", "stop")),
        ((), ("Action: look\nObservation: a snowman", "stop")),
    ],
)
async def test_all_four_ways_stop_alike(emulator, client, request_of, model, stop, expected):  # D7
    emulator.script(*[{"text": "Action: look\nObservation: a snowman"}] * 4)
    asked = request_of(model=model, stop=stop)
    assert await texts_of(client, asked) == [expected] * 4
    assert all("stop" not in seen["body"] for seen in emulator.requests)  # WIRE A9


def long_answer() -> dict:
    # Held at a gate after the stop: only closing early can end the request.
    first = 'data: {"choices":[{"delta":{"content":"one END two"}}]}\n\n'
    return {"chunks": [first, "data: [DONE]\n\n"], "gate": True}


def test_the_response_is_closed_at_the_stop(emulator, client, request_of):  # D7
    emulator.script(long_answer())
    given = list(client.stream(request_of(stop=("END",))))
    emulator.settle()
    assert [delta.text for delta in given] == ["one ", ""]
    assert given[-1].final.request_id
    assert [seen["closed_early"] for seen in emulator.requests] == [True]


async def test_the_response_is_closed_at_the_stop_async(emulator, client, request_of):  # D7
    emulator.script(long_answer())
    given = [delta async for delta in client.astream(request_of(stop=("END",)))]
    emulator.settle()
    assert [delta.text for delta in given] == ["one ", ""]
    assert given[-1].final.request_id
    assert [seen["closed_early"] for seen in emulator.requests] == [True]


def test_an_answer_read_to_its_end_is_not_closed_early(emulator, client, request_of):
    emulator.script({"text": "one two"})
    list(client.stream(request_of(stop=("END",), messages=(Message("user", "?"),))))
    emulator.settle()
    assert [seen["closed_early"] for seen in emulator.requests] == [False]
