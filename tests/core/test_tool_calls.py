"""Call ids coming in, calls and results going out."""

import itertools
import json
import random
from collections import Counter

import pytest

from yandex_compat import (
    CompletionRequest,
    ImagePart,
    Message,
    TextPart,
    ToolCall,
    ToolChoice,
    ToolChoiceIgnored,
)
from yandex_compat.tool_calls import (
    NO_RESULT,
    CallIds,
    ToolCallAssembler,
    for_server,
    is_minted,
    mint_id,
    refuse_ignored_choice,
)
from yandex_compat.tool_names import ToolNames

MINTED = [f"ycall_{number:032x}" for number in range(10)]


def call(id_: str, name: str = "f", arguments: str = "{}") -> ToolCall:
    return ToolCall(id_, name, arguments)


def asking(*calls: ToolCall, text: str = "") -> Message:
    return Message("assistant", text, tool_calls=calls)


def result(id_: str | None, text: str = "ok", name: str | None = None) -> Message:
    return Message("tool", text, tool_call_id=id_, name=name)


def outline(messages: list[Message]) -> list[object]:
    """Each message as what matters here: calls by id, results by id and text, text by role."""
    told: list[object] = []
    for message in messages:
        if message.tool_calls:
            told.append([one.id for one in message.tool_calls])
        elif message.role == "tool":
            told.append((message.tool_call_id, message.text))
        else:
            told.append(f"{message.role}: {message.text}")
    return told


# Ids coming in.


def test_minted_ids_are_recognised_and_new_each_time():  # D3
    ids = {mint_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(is_minted(made) for made in ids)


@pytest.mark.parametrize("other", ["", "f", "call_1", "ycall_", "ycall_1", MINTED[0] + "0"])
def test_other_ids_are_not_taken_for_minted(other):
    assert not is_minted(other)


def assigned(history: tuple[Message, ...], *given: tuple[str | None, str]) -> list[str]:
    numbers = itertools.count(1)
    ids = CallIds(history, lambda: f"new-{next(numbers)}")
    return [ids.assign(id_, name) for id_, name in given]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([("call_1", "f")], ["call_1"]),
        ([("f", "f")], ["new-1"]),  # WIRE A2
        ([("g", "f")], ["g"]),
        ([("", "f")], ["new-1"]),  # WIRE A4
        ([(None, "f")], ["new-1"]),  # WIRE B3
        ([("x", "f"), ("x", "g"), ("y", "f")], ["x", "new-1", "y"]),
        ([("old", "f"), ("other", "f")], ["new-1", "other"]),
        ([("", "")], ["new-1"]),
    ],
)
def test_an_id_is_kept_only_where_it_tells_calls_apart(given, expected):  # D3
    assert assigned((asking(call("old")),), *given) == expected


def test_ids_are_unique_over_the_whole_conversation():  # D3
    history: tuple[Message, ...] = ()
    ids: list[str] = []
    for _ in range(20):
        new = CallIds(history).assign("calc", "calc")
        history += (asking(call(new, "calc")), result(new))
        ids.append(new)
    assert len(set(ids)) == 20


def test_assembled_calls_share_one_set_of_ids():
    assembler = ToolCallAssembler(
        CallIds((), iter(["new-1"]).__next__), ToolNames(CompletionRequest("m", ()))
    )
    first = assembler.feed(0, "x", "f", "{}")
    second = assembler.feed(1, "x", "f", "{}")
    assert [first.id, second.id] == ["x", "new-1"]


# Going out.


def test_a_conversation_without_calls_goes_out_as_it_is():
    said = [Message("system", "s"), Message("user", "u"), Message("assistant", "a")]
    assert for_server(said, calls_by_name=True) == said


def test_minted_ids_go_back_as_the_functions_name():  # D4
    said = [asking(call(MINTED[1], "calc"), text="hm"), result(MINTED[1], "4")]
    assert for_server(said, calls_by_name=True) == [
        Message("assistant", "hm", tool_calls=(call("calc", "calc"),)),
        Message("tool", "4", tool_call_id="calc", name="calc"),
    ]


def test_other_ids_go_back_as_they_are():  # D4
    said = [asking(call("call_1", "calc")), result("call_1", "4")]
    assert outline(for_server(said, calls_by_name=False)) == [["call_1"], ("call_1", "4")]


def test_empty_ids_go_out_as_the_name():
    said = [asking(call("", "calc")), result("", "4", name="calc")]
    assert outline(for_server(said, calls_by_name=False)) == [["calc"], ("calc", "4")]


def test_repeated_names_become_rounds_where_the_target_matches_by_name():  # D5
    said = [
        asking(call("1"), call("2", "g"), call("3"), text="thinking"),
        result("3", "c"),
        result("1", "a"),
        result("2", "b"),
    ]
    sent = for_server(said, calls_by_name=True)
    assert outline(sent) == [["1", "2"], ("1", "a"), ("2", "b"), ["3"], ("3", "c")]
    assert [message.text for message in sent if message.tool_calls] == ["thinking", ""]


def test_repeated_names_stay_in_one_list_elsewhere():  # D5
    said = [asking(call("1"), call("2")), result("2", "b"), result("1", "a")]
    assert outline(for_server(said, calls_by_name=False)) == [["1", "2"], ("1", "a"), ("2", "b")]


@pytest.mark.parametrize("calls_by_name", [True, False])
def test_repeated_ids_become_rounds_everywhere(calls_by_name):  # D5
    said = [
        asking(call(MINTED[1]), call(MINTED[2])),
        result(MINTED[2], "b"),
        result(MINTED[1], "a"),
    ]
    sent = for_server(said, calls_by_name=calls_by_name)
    assert outline(sent) == [["f"], ("f", "a"), ["f"], ("f", "b")]


@pytest.mark.parametrize("calls_by_name", [True, False])
def test_colliding_ids_are_matched_in_order(calls_by_name):  # D5, WIRE A2
    said = [asking(call("f"), call("f"), call("g", "g")), result("f", "1"), result("g", "2")]
    said.append(result("f", "3"))
    sent = for_server(said, calls_by_name=calls_by_name)
    assert outline(sent) == [["f"], ("f", "1"), ["f", "g"], ("f", "3"), ("g", "2")]


def test_results_without_an_id_are_matched_by_name():  # D5
    said = [asking(call("1"), call("2", "g"), call("3"))]
    said += [
        result(None, "b", "g"),
        result(None, "a", "f"),
        result("3", "c"),
        result(None, "d", "f"),
    ]
    sent = for_server(said, calls_by_name=False)
    expected = [["1", "2", "3"], ("1", "a"), ("2", "b"), ("3", "c"), "user: Result of f: d"]
    assert outline(sent) == expected


def test_missing_results_get_an_error_text():  # D5
    said = [asking(call("1"), call("2", "g")), result("2", "b"), Message("user", "go on")]
    sent = for_server(said, calls_by_name=False)
    assert outline(sent) == [["1", "2"], ("1", NO_RESULT), ("2", "b"), "user: go on"]


def test_calls_at_the_very_end_get_an_error_text():
    assert outline(for_server([asking(call("1"))], calls_by_name=True)) == [["1"], ("1", NO_RESULT)]


@pytest.mark.parametrize(
    ("orphan", "told"),
    [
        (result("9", "lost", name="calc"), "user: Result of calc: lost"),
        (result("9", "lost"), "user: Result of 9: lost"),
        (result(None, "lost"), "user: Result of a tool: lost"),
    ],
)
def test_results_without_a_call_become_user_text(orphan, told):  # D5
    assert for_server([orphan], calls_by_name=True) == [Message("user", told[6:])]
    said = [asking(call("1")), orphan, result("1")]
    assert outline(for_server(said, calls_by_name=True)) == [["1"], ("1", "ok"), told]


def test_a_second_result_of_one_call_is_kept_as_text():
    said = [asking(call("1")), result("1", "a"), result("1", "b")]
    assert outline(for_server(said, calls_by_name=False)) == [
        ["1"],
        ("1", "a"),
        "user: Result of 1: b",
    ]


def test_a_result_after_the_next_answer_goes_to_its_call():
    """Parallel branches of a graph write their messages one after the other."""
    said = [asking(call("1")), asking(call("2")), result("1", "a"), result("2", "b")]
    expected = [["1"], ("1", "a"), ["2"], ("2", "b")]
    assert outline(for_server(said, calls_by_name=False)) == expected


def test_a_result_goes_to_the_newest_call_of_its_id():
    said = [asking(call("1")), asking(call("1")), result("1", "b")]
    expected = [["1"], ("1", NO_RESULT), ["1"], ("1", "b")]
    assert outline(for_server(said, calls_by_name=False)) == expected


def test_images_of_a_result_without_a_call_are_not_dropped():  # D5
    picture = ImagePart("data:image/png;base64,AAAA")
    orphan = Message("tool", (TextPart("seen"), picture), tool_call_id="9")
    (sent,) = for_server([orphan], calls_by_name=True)
    assert sent == Message("user", (TextPart("Result of 9: seen"), picture))


def test_words_between_call_and_result_come_after_the_result():
    said = [asking(call("1")), Message("user", "hurry"), result("1", "a")]
    assert outline(for_server(said, calls_by_name=True)) == [["1"], ("1", "a"), "user: hurry"]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ("", "{}"),
        (" \n", "{}"),
        ('{"a": ', '{"INVALID_JSON":"{\\"a\\": "}'),
        ("[1]", '{"INVALID_JSON":"[1]"}'),
        ("null", '{"INVALID_JSON":"null"}'),
        ("привет", '{"INVALID_JSON":"привет"}'),
    ],
)
def test_arguments_go_out_as_an_object_whatever_they_are(arguments, sent):  # D5
    (first, _) = for_server([asking(call("1", "f", arguments))], calls_by_name=True)
    assert first.tool_calls[0].arguments == sent


def test_going_out_twice_changes_nothing_more():
    said = [asking(call(MINTED[1]), call(MINTED[2])), result(MINTED[2], "b"), result("9", "lost")]
    once = for_server(said, calls_by_name=True)
    assert for_server(once, calls_by_name=True) == once


# A call that was required (D8).


def asked_for(choice: ToolChoice | None) -> CompletionRequest:
    return CompletionRequest("yandexgpt", (Message("user", "?"),), tool_choice=choice)


@pytest.mark.parametrize(
    ("choice", "told"),
    [(ToolChoice("required"), "a tool call"), (ToolChoice("tool", "f"), "a call of 'f'")],
)
@pytest.mark.parametrize("reason", ["stop", None, "tool_calls"])
def test_a_required_call_that_did_not_come_is_an_error(choice, told, reason):  # D8
    with pytest.raises(ToolChoiceIgnored, match=rf"{told}.*json_schema") as caught:
        refuse_ignored_choice(asked_for(choice), reason, called=False)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("choice", "reason", "called"),
    [
        (None, "stop", False),
        (ToolChoice("auto"), "stop", False),
        (ToolChoice("none"), "stop", False),
        (ToolChoice("required"), "stop", True),
        (ToolChoice("required"), "length", False),
        (ToolChoice("required"), "content_filter", False),
    ],
)
def test_an_answer_that_may_lack_a_call_is_none(choice, reason, called):  # D8
    refuse_ignored_choice(asked_for(choice), reason, called=called)


# Whatever the conversation.


def conversation(rng: random.Random) -> list[Message]:
    """Turns of calls with ids of every kind, and results shuffled, missing, doubled and lost."""
    said = [Message("user", "start")]
    minted = iter([mint_id() for _ in range(50)])
    for turn in range(rng.randint(1, 4)):
        calls = []
        for number in range(rng.randint(1, 5)):
            name = rng.choice(["f", "g", "h"])
            id_ = rng.choice([f"call_{turn}_{number}", name, next(minted), "same", ""])
            arguments = rng.choice(["{}", '{"a":1}', "broken", ""])
            calls.append(ToolCall(id_, name, arguments))
        said.append(asking(*calls, text=f"turn {turn}"))
        results = [result(one.id, f"r{turn}.{at}", one.name) for at, one in enumerate(calls)]
        results = [one for one in results if rng.random() > 0.2]
        if rng.random() < 0.3:
            results.append(result("unknown", f"orphan {turn}"))
        if rng.random() < 0.3:
            results.append(Message("user", f"aside {turn}"))
        rng.shuffle(results)
        said += results
    return said


def texts(messages: list[Message]) -> Counter[str]:
    told = Counter(message.text.removeprefix("Result of ") for message in messages)
    for name in (NO_RESULT, ""):
        told.pop(name, None)
    return Counter({text.rsplit(": ", 1)[-1]: count for text, count in told.items()})


@pytest.mark.parametrize("calls_by_name", [True, False])
@pytest.mark.parametrize("seed", range(100))
def test_what_goes_out_can_be_matched(seed, calls_by_name):  # D5
    said = conversation(random.Random(seed))
    sent = for_server(said, calls_by_name=calls_by_name)

    names_in = [one.name for message in said for one in message.tool_calls]
    assert [one.name for message in sent for one in message.tool_calls] == names_in
    assert texts(sent) == texts(said)

    waiting: list[str] = []
    for message in sent:
        ids = [one.id for one in message.tool_calls]
        names = [one.name for one in message.tool_calls]
        assert len(set(ids)) == len(ids)
        assert not calls_by_name or len(set(names)) == len(names)
        assert all(isinstance(json.loads(one.arguments), dict) for one in message.tool_calls)
        assert not any(is_minted(one) or not one for one in ids)
        if message.role == "tool":
            assert message.tool_call_id == waiting.pop(0)
        else:
            assert not waiting
            waiting = ids
    assert not waiting


@pytest.mark.parametrize("calls_by_name", [True, False])
@pytest.mark.parametrize("seed", range(30))
def test_the_order_of_results_makes_no_difference(seed, calls_by_name):  # D5
    rng = random.Random(seed)
    calls = [call(f"call_{number}", rng.choice("fgh")) for number in range(rng.randint(1, 6))]
    results = [result(one.id, f"of {one.id}") for one in calls]
    shuffled = rng.sample(results, len(results))
    sent = for_server([asking(*calls), *shuffled], calls_by_name=calls_by_name)
    assert sent == for_server([asking(*calls), *results], calls_by_name=calls_by_name)
    given = [(one.tool_call_id, one.text) for one in sent if one.role == "tool"]
    assert given == [(one.id, f"of {one.id}") for one in calls]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{\n  "a": 1e999,\n  "b": 2\n}', '{\n  "a": 1e999,\n  "b": 2\n}'),
        ('{"a": "x\ny"}', '{"a":"x\\ny"}'),
        ('{"a": NaN, "b": "\\ud83d", "c": "x\ny"}', None),
    ],
)
def test_arguments_go_out_as_they_came_where_any_reader_takes_them(arguments, sent):
    call = ToolCall("1", "f", arguments)
    outgoing = for_server([Message("assistant", tool_calls=(call,))], calls_by_name=False)
    told = outgoing[0].tool_calls[0].arguments
    assert told == sent if sent else json.loads(told) == {"INVALID_JSON": arguments}
