"""Whole answers of the chat format, in the shapes that were recorded."""

import itertools
import json

import pytest

from yandex_compat import (
    APIError,
    AuthenticationError,
    Citation,
    Completion,
    CompletionRequest,
    InvalidRequestError,
    MalformedAnswer,
    Message,
    RateLimitError,
    ServerError,
    ToolCall,
    Usage,
)
from yandex_compat.wires import chat

ASKED = CompletionRequest("yandexgpt", (Message("user", "Hi"),))


def decode(answer: object, asked: CompletionRequest = ASKED) -> Completion:
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    numbers = itertools.count(1)
    return chat.decode(data, asked, mint=lambda: f"minted-{next(numbers)}")


def answer(message: object, reason: str | None = "stop", **rest: object) -> dict:
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason}], **rest}


def call(id_: str | None, name: str, arguments: object = "{}") -> dict:
    made = {"index": 0, "type": "function", "function": {"name": name, "arguments": arguments}}
    return made if id_ is None else {"id": id_, **made}


def test_recorded_answer():  # WIRE A1
    recorded = {
        "id": "57e0b1f0",
        "object": "chat.completion",
        "created": 1758000000,
        "model": "gpt://qwen3-235b-a22b-fp8/latest",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Привет!"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "total_tokens": 21, "completion_tokens": 12},
    }
    assert decode(recorded) == Completion(
        text="Привет!",
        finish_reason="stop",
        usage=Usage(9, 12, 21),
        model="gpt://qwen3-235b-a22b-fp8/latest",
        id="57e0b1f0",
    )


def test_every_optional_field_may_be_null():  # WIRE A1
    nulls = ("reasoning_content", "refusal", "annotations", "audio", "tool_calls", "function_call")
    message = {"role": "assistant", "content": None, **dict.fromkeys(nulls)}
    given = answer(message, None, usage=None, model=None, id=None, system_fingerprint=None)
    assert decode(given) == Completion()


def test_every_optional_field_may_be_missing():  # WIRE A1
    assert decode({"choices": [{"message": {}}]}) == Completion()


def test_optional_fields_that_are_there_are_read():  # WIRE A7, A16
    message = {"content": "4", "reasoning_content": "2+2", "refusal": "no"}
    usage = {
        "prompt_tokens": 3,
        "completion_tokens": 5,
        "total_tokens": 8,
        "completion_tokens_details": {"reasoning_tokens": 2},
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    read = decode(answer(message, "length", usage=usage, system_fingerprint="fp"))
    assert read == Completion(
        text="4",
        reasoning="2+2",
        refusal="no",
        finish_reason="length",
        usage=Usage(3, 5, 8, reasoning_tokens=2, cached_tokens=0),
        system_fingerprint="fp",
    )


def test_every_detail_of_usage_is_read():  # WIRE A16
    usage = {
        "prompt_tokens": 3,
        "completion_tokens": 5,
        "total_tokens": 8,
        "prompt_tokens_details": {"audio_tokens": 1, "cached_tokens": 2},
        "completion_tokens_details": {
            "accepted_prediction_tokens": 3,
            "audio_tokens": 4,
            "reasoning_tokens": 5,
            "rejected_prediction_tokens": 6,
        },
    }
    assert decode(answer({}, usage=usage)).usage == Usage(
        3,
        5,
        8,
        reasoning_tokens=5,
        cached_tokens=2,
        audio_input_tokens=1,
        audio_output_tokens=4,
        accepted_prediction_tokens=3,
        rejected_prediction_tokens=6,
    )


def test_citations_log_probabilities_and_sound_are_read():  # WIRE A16
    cited = {"start_index": 0, "end_index": 4, "url": "https://ya.ru", "title": "Ya"}
    token = {"token": "4", "logprob": -9999.0, "bytes": [52], "top_logprobs": []}
    audio = {"id": "a1", "expires_at": 1, "data": "AAAA", "transcript": "four"}
    message = {
        "content": "4",
        "annotations": [{"type": "url_citation", "url_citation": cited}],
        "audio": audio,
    }
    given = answer(message, service_tier="default")
    given["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    assert decode(given) == Completion(
        text="4",
        annotations=(Citation("https://ya.ru", "Ya", 0, 4),),
        logprobs={"content": [token]},
        audio=audio,
        finish_reason="stop",
        service_tier="default",
    )


def test_a_citation_without_a_url_is_malformed():
    with pytest.raises(MalformedAnswer, match=r"'file_citation'.*no URL"):
        decode(answer({"annotations": [{"type": "file_citation", "file_citation": {}}]}))


def test_every_choice_is_read_and_the_tokens_are_counted_once():  # n, WIRE A1
    calls = {"tool_calls": [call("f", "f")]}
    given = {
        "choices": [
            {"index": index, "message": message, "finish_reason": "stop"}
            for index, message in enumerate([{"content": "one"}, calls, calls])
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    first = decode(given)
    assert (first.text, first.usage) == ("one", Usage(1, 2, 3))
    assert [other.usage for other in first.alternatives] == [None, None]
    ids = [other.tool_calls[0].id for other in first.alternatives]
    assert ids == ["minted-1", "minted-2"]


def test_a_custom_call_is_free_text():  # WIRE A11
    given = {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    read = decode(answer({"tool_calls": [given]}, "tool_calls"))
    assert read.tool_calls == (ToolCall("c1", "sql", "select 1", custom=True),)
    assert read.tool_calls[0].parsed_arguments is None


def test_a_custom_call_with_nothing_said_stays_empty():
    given = {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": ""}}
    assert decode(answer({"tool_calls": [given]})).tool_calls[0].arguments == ""


def test_the_deprecated_function_call_is_a_call():  # WIRE A15
    message = {"content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}}
    read = decode(answer(message, "function_call"))
    assert read.tool_calls == (ToolCall("minted-1", "f", '{"a":1}'),)
    assert read.finish_reason == "function_call"


@pytest.mark.parametrize("details", [{}, None])
def test_usage_details_not_reported_are_none_rather_than_zero(details):
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "completion_tokens_details": details}
    assert decode(answer({}, usage=usage)).usage == Usage(1, 2, 3, None, None)


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 9}, Usage(1, 2, 9)),
        ({"prompt_tokens": 1}, Usage(1, 0, 1)),
        ({"completion_tokens": 2, "prompt_tokens": None}, Usage(0, 2, 2)),
        ({}, None),
        (None, None),
    ],
)
def test_usage_is_what_the_service_counts(usage, read):
    assert decode(answer({}, usage=usage)).usage == read


def test_recorded_tool_call_gets_an_id_of_its_own():  # WIRE A2, D3
    message = {"role": "assistant", "content": "", "tool_calls": [call("calc", "calc", '{"a":1}')]}
    read = decode(answer(message, "tool_calls"))
    assert read.tool_calls == (ToolCall("minted-1", "calc", '{"a":1}'),)
    assert (read.text, read.finish_reason) == ("", "tool_calls")


def test_ids_of_other_models_are_kept():  # WIRE A2
    message = {"content": None, "tool_calls": [call("chatcmpl-tool-1", "f")]}
    assert decode(answer(message)).tool_calls[0].id == "chatcmpl-tool-1"


def test_ids_empty_absent_repeated_and_taken_are_minted():  # D3
    history = Message("assistant", tool_calls=(ToolCall("old", "f", "{}"),))
    calls = [call("", "f"), call(None, "f"), call("x", "f"), call("x", "g"), call("old", "f")]
    asked = CompletionRequest("qwen3", (history,))
    read = decode(answer({"tool_calls": calls}), asked)
    ids = [made.id for made in read.tool_calls]
    assert ids == ["minted-1", "minted-2", "x", "minted-3", "minted-4"]
    assert [made.name for made in read.tool_calls] == ["f", "f", "f", "g", "f"]


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("", "{}"),
        (None, "{}"),
        ({"a": 1}, '{"a":1}'),
        ('{"a": 1', '{"a": 1'),
        ('{"a":"\ud83d\ude00"}', '{"a":"\U0001f600"}'),
    ],
)
def test_arguments_are_text_however_they_come(sent, read):
    message = {"tool_calls": [call("1", "f", sent)]}
    assert decode(answer(message)).tool_calls[0].arguments == read


@pytest.mark.parametrize("error", [None, {}, "", False])
def test_an_error_that_says_nothing_is_none(error):
    assert decode(answer({"content": "ok"}, error=error)).text == "ok"


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"grpcCode": 8, "httpCode": 429, "message": "quota"}, RateLimitError, 429),
        ({"code": 16, "message": "who?"}, AuthenticationError, 401),
        ({"message": "bad", "type": "x", "param": None, "code": 400}, InvalidRequestError, 400),
        ("it broke", ServerError, 500),
    ],
)
def test_error_inside_a_200(error, kind, status):  # WIRE C
    with pytest.raises(kind) as caught:
        decode({"error": error})
    assert caught.value.status_code == status


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>login</html>",
        b'{"choices": [{"mess',
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"choices": []}',
        b'{"choices": null}',
        b'{"choices": {}}',
        b'{"choices": "x"}',
        b'{"choices": [null]}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": "text"}]}',
        b'{"choices": [{"message": {"content": ["x"]}}]}',
        b'{"choices": [{"message": {"tool_calls": [null]}}]}',
        b'{"choices": [{"message": {"tool_calls": 5}}]}',
        b'{"choices": [{"message": {}}], "usage": {"prompt_tokens": "many"}}',
        b'{"choices": [{"message": {}}], "usage": [1]}',
        b'{"choices": [{"message": {"tool_calls": [{"type": "custom", "custom": {}}]}}]}',
        b'{"choices": ' + b"[" * 100_000,
        b'{"choices": [{"message": {}}], "usage": {"prompt_tokens": 1e999}}',
        b'{"choices": [{"message": {}}], "usage": {"total_tokens": [1]}}',
        answer({}, usage={"prompt_tokens_details": {"cached_tokens": "x"}}),
        answer({}, usage={"completion_tokens_details": {"reasoning_tokens": "7x"}}),
        b'{"choices": [{"message": {}, "finish_reason": ["stop"]}]}',
        b'{"choices": [{"message": {"refusal": {"a": 1}}}]}',
        b'{"choices": [{"message": {"reasoning_content": 5}}]}',
        b'{"choices": [{"message": {}, "logprobs": [1]}]}',
        b'{"choices": [{"message": {}, "logprobs": {"content": [1]}}]}',
        b'{"choices": [{"message": {}, "logprobs": {"content": 5}}]}',
        b'{"choices": [{"message": {"annotations": [5]}}]}',
        b'{"choices": [{"message": {"annotations": [{"url_citation": {"url": 5}}]}}]}',
        b'{"choices": [{"message": {"audio": "x"}}]}',
        b'{"choices": [{"message": {"function_call": "x"}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"custom": {"name": "f", "input": {}}}]}}]}',
        b'{"choices": [{"message": {}}], "service_tier": 5}',
        b'{"choices": [{"message": {}}], "id": 5}',
        b'{"choices": [{"message": {}}], "model": 7}',
        b'{"choices": [{"message": {"tool_calls": [{"function": {"name": 5}}]}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"id": 3, "function": {"name": "f"}}]}}]}',
    ],
)
def test_what_is_no_answer_is_malformed(data):
    with pytest.raises(MalformedAnswer):
        decode(data)


def test_malformed_answer_shows_its_beginning_only():
    with pytest.raises(MalformedAnswer) as caught:
        decode(b"<html>" + b"x" * 10_000)
    assert "<html>" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_an_error_in_a_200_is_no_malformed_answer():
    with pytest.raises(APIError, match="it broke"):
        decode({"error": {"message": "it broke"}, "choices": []})


def test_halves_of_an_emoji_are_one_character():
    data = rb'{"choices":[{"message":{"content":"a\ud83d\ude00b","reasoning_content":"\ud83d"}}]}'
    read = decode(data)
    assert read.text == "a\U0001f600b"
    read.reasoning.encode()


def test_halves_of_an_emoji_in_a_refusal_are_one():
    read = decode(rb'{"choices":[{"message":{"refusal":"\ud83d\ude00\ud83d"}}]}')
    assert read.refusal == "\U0001f600\ufffd"


@pytest.mark.parametrize(("reason", "arguments"), [("tool_calls", "{}"), ("length", "")])
def test_a_call_cut_before_its_arguments_gets_none(reason, arguments):  # D6
    (read,) = decode(answer({"tool_calls": [call("1", "pay", "")]}, reason)).tool_calls
    assert read.arguments == arguments
