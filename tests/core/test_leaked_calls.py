"""Calls that leaked into the text: made calls where whole, left as text otherwise (A13)."""

from collections.abc import Mapping

import pytest

from yandex_compat import (
    Accumulator,
    Completion,
    CompletionRequest,
    CustomTool,
    Delta,
    Message,
    StreamEnd,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    ToolChoiceIgnored,
    leaked_calls,
)
from yandex_compat.leaked_calls import LeakedCallFilter, callable_names, with_leaked_call

NAMES = {name: name for name in ("Table", "Tables", "now")}
RECORDED = '[TOOL_CALL_START]Table\n{"sql": "select 1"}'
CALL = ToolCall("minted", "Table", '{"sql": "select 1"}')
TEXTS = [
    "Hello",
    "",
    "[TOOL_CALL_START]",
    "[TOOL_CALL_START]Table",
    "[TOOL_CALL_START]Table\n",
    "[TOOL_CALL_START]Table {}",
    '[TOOL_CALL_START]Table\n{"sql": "sel',
    '[TOOL_CALL_START]Table\n["sql"]',
    '[TOOL_CALL_START]Tab\n{"sql": "select 1"}',
    '[TOOL_CALL_START]Unknown\n{"sql": "select 1"}',
    '[TOOL_CALL_START]Table\n{"sql": "select 1"} and so on',
    'I call [TOOL_CALL_START]Table\n{"sql": "select 1"}',
    "[TOOL_CALL",
    "[TOOL_USE]Table\n{}",
]


def mint() -> str:
    return "minted"


def streamed(*texts: str, reason: str | None = "stop", names: Mapping[str, str] = NAMES):
    """What is given out after each text, and after the end."""
    filtering = LeakedCallFilter(names, mint)
    given = [filtering.feed([Delta(text)] if text else []) for text in texts]
    return [*given, filtering.feed([Delta(final=StreamEnd(reason))])]


def folded(given) -> Completion:
    accumulator = Accumulator()
    for deltas in given:
        for delta in deltas:
            accumulator.add(delta)
    return accumulator.completion()


@pytest.mark.parametrize("text", [RECORDED, f"\n{RECORDED}\n ", RECORDED.replace("]T", "] T")])
def test_a_leaked_call_becomes_a_call(text):
    whole = with_leaked_call(Completion(text, finish_reason="stop"), NAMES, mint)
    assert whole == Completion(tool_calls=(CALL,), finish_reason="tool_calls")
    for at in range(len(text) + 1):
        assert folded(streamed(text[:at], text[at:])) == whole


@pytest.mark.parametrize("text", TEXTS)
def test_any_other_text_stays_as_it_is(text):
    completion = Completion(text, finish_reason="stop")
    assert with_leaked_call(completion, NAMES, mint) is completion
    for at in range(len(text) + 1):
        assert folded(streamed(text[:at], text[at:])) == completion


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_cut_short_is_no_call(reason):  # D6: there may be more to come
    completion = Completion(RECORDED, finish_reason=reason)
    assert with_leaked_call(completion, NAMES, mint) is completion
    assert folded(streamed(RECORDED, reason=reason)) == completion


def test_text_is_held_back_only_while_it_may_be_a_call():
    given = streamed("[TOOL", "_CALL_START]Tab", "leau\nof contents")
    assert given[0] == given[1] == []
    assert given[2] == [Delta("[TOOL_CALL_START]Tableau\nof contents")]
    assert streamed("Hel", "lo")[:2] == [[Delta("Hel")], [Delta("lo")]]
    assert streamed("x[TOOL_CALL_START]Table\n{}")[0] != []


def test_whitespace_without_end_is_not_waited_for():  # WIRE B9
    filtering = LeakedCallFilter(NAMES, mint)
    given = [filtering.feed([Delta(" " * 50)]) for _ in range(6)]
    assert "".join(delta.text for deltas in given for delta in deltas) == " " * 300
    assert given[5] == [Delta(" " * 50)]


def test_long_arguments_are_looked_at_once(monkeypatch):
    looked = []
    begun = leaked_calls._has_begun
    monkeypatch.setattr(
        leaked_calls, "_has_begun", lambda *given: looked.append(given) or begun(*given)
    )
    given = streamed('[TOOL_CALL_START]Table\n{"a": "', *["x" * 100] * 1_000, '"}')
    assert folded(given).tool_calls[0].arguments == f'{{"a": "{"x" * 100_000}"}}'
    assert len(looked) == 1


def test_what_comes_beside_the_text_is_not_held_back():
    filtering = LeakedCallFilter(NAMES, mint)
    assert filtering.feed([Delta("[TOOL", reasoning="Hm")]) == [Delta(reasoning="Hm")]


def test_a_real_call_beside_the_text_makes_it_text():
    piece = ToolCallDelta(0, "c1", "now", "{}")
    filtering = LeakedCallFilter(NAMES, mint)
    assert filtering.feed([Delta(RECORDED)]) == []
    assert filtering.feed([Delta(tool_calls=(piece,))]) == [Delta(RECORDED, tool_calls=(piece,))]
    completion = Completion(RECORDED, tool_calls=(ToolCall("c1", "now", "{}"),))
    assert with_leaked_call(completion, NAMES, mint) is completion


def test_a_call_named_at_the_very_end_makes_it_text_too():
    piece = ToolCallDelta(0, "c1", "", "{}")
    filtering = LeakedCallFilter(NAMES, mint)
    filtering.feed([Delta(RECORDED)])
    last = Delta(tool_calls=(piece,), final=StreamEnd("stop"))
    assert filtering.feed([last]) == [Delta(RECORDED), last]


def test_a_refusal_takes_the_place_of_what_is_held_back():  # WIRE A6
    filtering = LeakedCallFilter(NAMES, mint)
    assert filtering.feed([Delta("[TOOL")]) == []
    refusal = Delta("No.", replaces_text=True, filtered=True)
    end = Delta(final=StreamEnd("content_filter"))
    assert filtering.feed([refusal, end]) == [refusal, end]


def test_a_refusal_that_goes_on_from_what_is_held_back_is_whole():  # WIRE B7
    filtering = LeakedCallFilter(NAMES, mint)
    refusal = Delta("_CALL is what I refuse", filtered=True)
    whole = Delta("[TOOL_CALL is what I refuse", filtered=True)
    assert filtering.feed([Delta("[TOOL"), refusal]) == [whole]


def test_a_corrected_text_may_be_a_leaked_call():  # WIRE B6
    filtering = LeakedCallFilter(NAMES, mint)
    assert filtering.feed([Delta("Well,")]) == [Delta("Well,")]
    corrected = Delta(RECORDED, replaces_text=True)
    assert filtering.feed([corrected]) == [Delta(replaces_text=True)]
    assert filtering.feed([Delta(final=StreamEnd("stop"))])[-1].final.finish_reason == "tool_calls"


def test_a_corrected_text_may_be_plain_where_a_leaked_call_began():  # WIRE B6
    filtering = LeakedCallFilter(NAMES, mint)
    assert filtering.feed([Delta(RECORDED)]) == []
    corrected, end = Delta("Well.", replaces_text=True), Delta(final=StreamEnd("stop"))
    assert filtering.feed([corrected, end]) == [corrected, end]


def test_a_corrected_text_beside_a_real_call_is_text():
    piece = ToolCallDelta(0, "c1", "now", "{}")
    filtering = LeakedCallFilter(NAMES, mint)
    deltas = [Delta("a", tool_calls=(piece,)), Delta(RECORDED, replaces_text=True)]
    assert filtering.feed(deltas) == deltas


def request(**words: object) -> CompletionRequest:
    known = {"tools": (Tool("Table"), CustomTool("sql")), **words}
    return CompletionRequest("yandexgpt", (Message("user", "?"),), **known)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ({}, {"Table"}),
        ({"tool_choice": ToolChoice("required")}, {"Table"}),
        ({"tool_choice": ToolChoice("none")}, set()),
        ({"tool_choice": ToolChoice("tool", "sql")}, set()),
        ({"tool_choice": ToolChoice("tool", "Table")}, {"Table"}),
        ({"tool_choice": ToolChoice("auto", allowed=("sql",))}, set()),
        ({"tool_choice": ToolChoice("required", allowed=("Table",))}, {"Table"}),
        ({"recover_leaked_calls": False}, set()),
        ({"tools": ()}, set()),
    ],
)
def test_only_functions_that_may_be_called_count(words, names):  # D6
    assert set(callable_names(request(**words)).values()) == names


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("choice", ["auto", "required"])
def test_over_the_wire(emulator, client, streaming, choice):
    asking = request(tool_choice=ToolChoice(choice))
    emulator.script({"text": RECORDED})
    answer = folded([client.stream(asking)]) if streaming else client.complete(asking)
    (call,) = answer.tool_calls
    assert (call.name, call.arguments, answer.text) == (CALL.name, CALL.arguments, "")
    assert (call.id.startswith("ycall_"), answer.finish_reason) == (True, "tool_calls")

    emulator.script({"text": RECORDED})
    off = request(tool_choice=ToolChoice(choice), recover_leaked_calls=False)
    if choice == "required":
        with pytest.raises(ToolChoiceIgnored):
            list(client.stream(off)) if streaming else client.complete(off)
    else:
        answer = folded([client.stream(off)]) if streaming else client.complete(off)
        assert (answer.text, answer.tool_calls) == (RECORDED, ())


@pytest.mark.parametrize("written", ["погода", "pogoda"])
def test_a_leaked_call_may_name_a_tool_as_its_user_does(written):
    """A prompt may have told the model the name that the user knows."""
    names = callable_names(request(tools=(Tool("погода"),)))
    leaked = Completion(text=f'[TOOL_CALL_START]{written}\n{{"a": 1}}')
    told = with_leaked_call(leaked, names, mint)
    assert told.tool_calls == (ToolCall("minted", "погода", '{"a": 1}'),)
