"""Whole native answers, in the recorded shapes and in others."""

import itertools
import json

import pytest

from yandex_compat import (
    APIError,
    Completion,
    CompletionRequest,
    MalformedAnswer,
    Message,
    RateLimitError,
    Tool,
    ToolCall,
    Usage,
)
from yandex_compat.wires import completion

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}, "x": {"type": "number"}}}
ASKED = CompletionRequest("yandexgpt", (Message("user", "Hi"),), tools=(Tool("f", "", SCHEMA),))
USAGE = {
    "inputTextTokens": "87",
    "completionTokens": "58",
    "totalTokens": "145",
    "completionTokensDetails": {"reasoningTokens": "3"},
}


def answer(message: dict, status: str = "FINAL", **more: object) -> dict:
    alternative = {
        "message": {"role": "assistant"} | message,
        "status": f"ALTERNATIVE_STATUS_{status}",
    }
    return {"alternatives": [alternative], "usage": USAGE, "modelVersion": "09.02.2025"} | more


def decode(body: object, asked: CompletionRequest = ASKED) -> Completion:
    numbers = itertools.count(1)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return completion.decode(data, asked, mint=lambda: f"minted-{next(numbers)}")


def called(*functions: tuple[str, object]) -> dict:
    made = [{"functionCall": {"name": name, "arguments": words}} for name, words in functions]
    return {"toolCallList": {"toolCalls": made}}


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda body: {"result": body},
        lambda body: body,
        lambda body: {
            "id": "op",
            "done": True,
            "response": {"@type": "type.googleapis.com/x", **body},
        },
    ],
    ids=["result", "bare", "operation"],
)
def test_an_answer_wrapped_or_not(wrapped):  # WIRE B5
    told = decode(wrapped(answer({"text": "Привет"})))
    assert (told.text, told.finish_reason) == ("Привет", "stop")
    assert told.usage == Usage(87, 58, 145, reasoning_tokens=3)
    assert told.model_version == "09.02.2025"
    assert told.model is None


@pytest.mark.parametrize("details", [{}, None])
def test_usage_without_details(details):  # WIRE B5
    usage = {**USAGE, "completionTokensDetails": details}
    assert decode(answer({"text": "a"}, usage=usage)).usage == Usage(87, 58, 145)
    short = {"inputTextTokens": "1", "completionTokens": 2}
    assert decode(answer({"text": "a"}, usage=short)).usage == Usage(1, 2, 3)
    assert decode(answer({"text": "a"}, usage=None)).usage is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("FINAL", "stop"),
        ("TRUNCATED_FINAL", "length"),
        ("CONTENT_FILTER", "content_filter"),
        ("TOOL_CALLS", "tool_calls"),
        ("SOMETHING_NEW", "ALTERNATIVE_STATUS_SOMETHING_NEW"),
    ],
)
def test_statuses_are_finish_reasons(status, reason):  # WIRE B7
    assert decode(answer({"text": "a"}, status)).finish_reason == reason


def test_calls_get_ids_and_integers():  # WIRE B3, B4
    body = answer(called(("f", {"n": 5.0, "x": 5.0}), ("f", {"n": 2.0}), ("g", {"n": 1.0})))
    assert decode(body).tool_calls == (
        ToolCall("minted-1", "f", '{"n":5,"x":5.0}'),
        ToolCall("minted-2", "f", '{"n":2}'),
        ToolCall("minted-3", "g", '{"n":1.0}'),
    )
    assert decode(body).text == ""


@pytest.mark.parametrize("arguments", [{}, None])
def test_calls_without_arguments(arguments):
    assert decode(answer(called(("f", arguments)))).tool_calls[0].arguments == "{}"


def test_names_come_back_as_they_were():
    asked = CompletionRequest("m", (Message("user", "Hi"),), tools=(Tool("погода", "", SCHEMA),))
    told = decode(answer(called(("pogoda", {"n": 1.0}))), asked)
    assert told.tool_calls == (ToolCall("minted-1", "погода", '{"n":1}'),)


def test_other_alternatives_stand_beside_the_first():
    body = answer({"text": "a"})
    body["alternatives"] *= 2
    told = decode(body)
    assert [other.text for other in told.alternatives] == ["a"]
    assert told.alternatives[0].usage is None


def test_lone_surrogates_are_replaced():
    assert decode(b'{"alternatives":[{"message":{"text":"a\\ud83d"}}]}').text == "a\ufffd"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"null",
        b'"text"',
        {"alternatives": []},
        {"alternatives": [5]},
        {"alternatives": [{"message": {"text": 5}}]},
        {"alternatives": [{"message": {"text": "a"}, "status": 5}]},
        answer(called((5, {}))),
        answer(called(("f", "text"))),
        answer({"toolCallList": {"toolCalls": [{}]}}),
        answer({"text": "a"}, usage={"inputTextTokens": "many"}),
    ],
)
def test_another_shape_is_malformed(body):
    with pytest.raises(MalformedAnswer):
        decode(body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"grpcCode": 8, "httpCode": 429, "message": "quota"}}, RateLimitError),
        ({"error": "broken"}, APIError),
        ({"code": 13, "message": "Internal", "details": []}, APIError),
    ],
)
def test_an_error_inside_a_200(body, kind):  # WIRE C
    with pytest.raises(kind):
        decode(body)


def test_a_part_of_an_answer_is_no_answer():  # WIRE B7, D10
    with pytest.raises(MalformedAnswer, match="a part of one"):
        decode(answer({"text": "half of"}, "PARTIAL"))
    assert decode(answer({"text": "a"}, "UNSPECIFIED")).finish_reason is None  # WIRE B9


def test_a_call_cut_before_its_arguments_is_no_call_without_any():  # D6
    bare = {"toolCallList": {"toolCalls": [{"functionCall": {"name": "f"}}]}}
    [cut] = decode(answer(bare, "TRUNCATED_FINAL")).tool_calls
    assert cut.arguments == ""
    [whole] = decode(answer(bare, "TOOL_CALLS")).tool_calls
    assert whole.arguments == "{}"


def test_calls_go_with_the_text_that_a_filter_withdraws():  # WIRE B7
    told = decode(answer({"text": "No.", **called(("f", {}))}, "CONTENT_FILTER"))
    assert (told.text, told.tool_calls) == ("No.", ())


def test_the_total_is_the_one_that_is_told():  # WIRE B5
    usage = {**USAGE, "totalTokens": "150"}
    assert decode(answer({"text": "a"}, usage=usage)).usage.total_tokens == 150


def test_a_call_gets_an_id_that_no_call_before_it_has():  # D3
    past = (Message("assistant", "", tool_calls=(ToolCall("minted-1", "f", "{}"),)),)
    data = json.dumps(answer(called(("f", {})), "TOOL_CALLS")).encode()
    numbers = itertools.count(1)
    asked = CompletionRequest("yandexgpt", past)
    [call] = completion.decode(data, asked, mint=lambda: f"minted-{next(numbers)}").tool_calls
    assert call.id not in {"", "f"}
