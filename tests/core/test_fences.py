"""Fences around JSON: cut off whole answers and streams, and nothing else is."""

import pytest

from yandex_compat import (
    Accumulator,
    Completion,
    CompletionRequest,
    Delta,
    Message,
    ResponseFormat,
    StreamEnd,
    fences,
)
from yandex_compat.fences import FenceFilter, asks_for_json, without_fence

FENCED = {
    '```json\n{"a": 1}\n```': '{"a": 1}',
    '```\n{"a": 1}\n```\n': '{"a": 1}',
    '\n ```JSON {"a": "``` b"}```': '{"a": "``` b"}',
    "```json\n[1]```": "[1]",
    '```json\n{"a": 1': '{"a": 1',
    '```json\n{"a": "x"}\n``': '{"a": "x"}\n``',
    '```json\n{"a": 1}\n```\nThat is all.': '{"a": 1}\n```\nThat is all.',
}
PLAIN = [
    '{"a": 1}',
    '{"a": "```"}',
    "Here:\n```json\n{}\n```",
    "```python\nprint()\n```",
    '```json5\n{"a":1}\n```',
    "```",
    "``{}``",
    "```json",
    "",
    "\n",
]


def streamed(*texts: str) -> Completion:
    filtering, accumulator = FenceFilter(), Accumulator()
    deltas = [*(Delta(text) for text in texts if text), Delta(final=StreamEnd("stop"))]
    for delta in deltas:
        for given in filtering.feed([delta]):
            accumulator.add(given)
    return accumulator.completion()


@pytest.mark.parametrize(("text", "cut"), [*FENCED.items(), *((text, text) for text in PLAIN)])
def test_a_fence_is_cut_wherever_the_pieces_end(text, cut):
    whole = Completion(text, finish_reason="stop")
    assert without_fence(whole).text == cut
    for at in range(len(text) + 1):
        assert streamed(text[:at], text[at:]) == Completion(cut, finish_reason="stop")
    assert streamed(*text).text == cut


def test_plain_json_passes_at_once():
    filtering = FenceFilter()
    assert filtering.feed([Delta('{"a": ')]) == [Delta('{"a": ')]
    assert filtering.feed([Delta("1}\n")]) == [Delta("1}\n")]


def test_fenced_json_passes_as_it_comes():
    filtering = FenceFilter()
    assert filtering.feed([Delta("```json")]) == []
    assert filtering.feed([Delta('\n{"a": ')]) == [Delta('{"a":')]
    assert filtering.feed([Delta("1}\n``")]) == [Delta(" 1}")]


def test_whitespace_without_end_is_not_waited_for():  # WIRE B9
    filtering = FenceFilter()
    given = [filtering.feed([Delta("\n" * 60)]) for _ in range(3)]
    assert given == [[], [Delta("\n" * 120)], [Delta("\n" * 60)]]


def test_what_comes_beside_the_text_is_not_held_back():
    assert FenceFilter().feed([Delta("```", reasoning="Hm")]) == [Delta(reasoning="Hm")]


def test_a_refusal_takes_the_place_of_what_is_held_back():  # WIRE A6
    filtering = FenceFilter()
    assert filtering.feed([Delta("```json")]) == []
    refusal = Delta("```json {} is what I refuse", replaces_text=True, filtered=True)
    end = Delta(final=StreamEnd("content_filter"))
    assert filtering.feed([refusal, end]) == [refusal, end]


def test_a_corrected_text_is_rid_of_its_fence_anew():  # WIRE B6
    filtering = FenceFilter()
    assert filtering.feed([Delta('{"a": 1')]) == [Delta('{"a": 1')]
    corrected = filtering.feed([Delta('```json\n{"b": 2', replaces_text=True)])
    assert corrected == [Delta('{"b": 2', replaces_text=True)]
    end = Delta(final=StreamEnd("stop"))
    assert filtering.feed([Delta("}\n```"), end]) == [Delta("}"), end]


def test_a_refusal_that_goes_on_from_what_is_held_back_is_whole():  # WIRE B7
    filtering = FenceFilter()
    refusal = Delta("json is what I refuse", filtered=True)
    whole = Delta("```json is what I refuse", filtered=True)
    assert filtering.feed([Delta("```"), refusal]) == [whole]


def test_a_refusal_in_a_fence_is_left_whole():  # WIRE A6
    refusal = Completion('```json\n{"no": 1}\n```', finish_reason="content_filter")
    assert without_fence(refusal) is refusal


SCHEMA = ResponseFormat("json_schema", "A", {"type": "object"})


@pytest.mark.parametrize(
    ("form", "json"),
    [
        (None, False),
        (ResponseFormat("text"), False),
        (ResponseFormat("json_object"), True),
        (SCHEMA, True),
    ],
)
def test_only_where_json_was_asked_for(emulator, client, form, json):
    asking = CompletionRequest("yandexgpt", (Message("user", "?"),), response_format=form)
    assert asks_for_json(asking) is json
    text = '```json\n{"a": 1}\n```'
    emulator.script({"text": text}, {"text": text})
    expected = '{"a": 1}' if json else text
    assert client.complete(asking).text == expected
    assert "".join(delta.text for delta in client.stream(asking)) == expected


def test_whitespace_inside_a_fence_is_gone_through_once(monkeypatch):  # WIRE B9
    seen: list[int] = []
    real = fences._without_closing
    monkeypatch.setattr(
        fences, "_without_closing", lambda text: seen.append(len(text)) or real(text)
    )
    blanks = ["\n"] * 1_000
    assert streamed('```json\n{"a":', *blanks, "1}", *blanks, "```").text == (
        '{"a":' + "\n" * 1_000 + "1}"
    )
    assert sum(seen) < 3_000
