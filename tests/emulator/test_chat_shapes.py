"""The bytes of both model families, whole and streamed."""

import json

import pytest

HAIKU = {"text": "one two three four five six seven"}
CALL = {"tool_calls": [{"name": "calculator", "arguments": {"expression": "2+2"}}]}


def deltas(payloads):
    return [choice["delta"] for one in payloads if one != "[DONE]" for choice in one["choices"]]


def reasons(payloads):
    return [
        choice.get("finish_reason", "missing")
        for one in payloads
        if one != "[DONE]"
        for choice in one["choices"]
    ]


def joined_arguments(payloads):
    return "".join(
        call["function"]["arguments"]
        for delta in deltas(payloads)
        for call in delta.get("tool_calls", [])
    )


def test_whole_answer_of_yandexgpt(ask):  # WIRE A1
    body = ask().json()
    assert list(body) == ["id", "object", "created", "model", "choices", "usage"]
    assert body["object"] == "chat.completion"
    assert body["model"] == "gpt://test-folder/yandexgpt/latest"
    [choice] = body["choices"]
    assert choice["index"] == 0
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"]
    usage = body["usage"]
    assert list(usage) == ["prompt_tokens", "total_tokens", "completion_tokens"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_whole_answer_of_open_models_loses_the_folder(ask, open_model):  # WIRE A1
    body = ask(model=open_model).json()
    assert body["model"] == "gpt://qwen3-235b-a22b-fp8/latest"
    assert body["choices"][0]["logprobs"] is None
    assert body["choices"][0]["message"]["refusal"] is None


def test_a_call_of_yandexgpt_has_the_functions_name_as_id(ask, emulator):  # WIRE A2
    emulator.script(CALL)
    answer = ask()
    assert answer.json()["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {
                        "index": 0,
                        "id": "calculator",
                        "type": "function",
                        "function": {
                            "name": "calculator",
                            "arguments": '{"expression":"2+2"}',
                        },
                    }
                ],
            },
            "finish_reason": "tool_calls",
        }
    ]


def test_a_call_of_open_models_has_an_id_of_its_own(ask, emulator, open_model):  # WIRE A2
    emulator.script({"tool_calls": [*CALL["tool_calls"] * 2]})
    calls = ask(model=open_model).json()["choices"][0]["message"]["tool_calls"]
    assert all(call["id"].startswith("chatcmpl-tool-") for call in calls)
    assert len({call["id"] for call in calls}) == 2


def test_yandexgpt_streams_few_large_deltas_and_no_usage(stream, emulator):  # WIRE A3
    emulator.script(HAIKU)
    payloads = stream()
    assert payloads[-1] == "[DONE]"
    assert [delta["content"] for delta in deltas(payloads)] == [
        "one two three",
        " four five six",
        " seven",
    ]
    assert [delta.get("role") for delta in deltas(payloads)] == ["assistant", None, None]
    assert reasons(payloads) == ["missing", "missing", "stop"]
    assert not any("usage" in payload for payload in payloads[:-1])
    assert len({payload["id"] for payload in payloads[:-1]}) == 1


def test_yandexgpt_streams_a_call_whole_with_its_finish_reason(stream, emulator):  # WIRE A3
    emulator.script(CALL)
    first, done = stream()
    assert done == "[DONE]"
    [choice] = first["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["delta"]["role"] == "assistant"
    assert choice["delta"]["tool_calls"][0]["id"] == "calculator"
    assert choice["delta"]["tool_calls"][0]["function"]["arguments"] == '{"expression":"2+2"}'


def test_open_models_stream_tokens(stream, emulator, open_model):  # WIRE A4, A5
    emulator.script(HAIKU)
    payloads = stream(model=open_model)
    assert deltas(payloads)[0] == {"role": "assistant"}
    assert deltas(payloads)[1:3] == [{"content": "one"}, {"content": " two"}]
    assert deltas(payloads)[-1] == {}
    assert reasons(payloads) == [None] * 8 + ["stop"]
    usage, done = payloads[-2:]
    assert done == "[DONE]"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 7


def test_open_models_stream_calls_in_pieces(stream, emulator, open_model):  # WIRE A4
    emulator.script(CALL)
    payloads = stream(model=open_model)
    first, *later = [delta["tool_calls"][0] for delta in deltas(payloads)[1:-1]]
    assert first["id"].startswith("chatcmpl-tool-")
    assert first["type"] == "function"
    assert first["function"] == {"name": "calculator", "arguments": ""}
    assert len(later) > 1
    for piece in later:
        assert (piece["id"], piece["type"], piece["function"]["name"]) == ("", "", "")
    assert json.loads(joined_arguments(payloads)) == {"expression": "2+2"}


def test_gemma_opens_a_call_with_a_piece_of_arguments(stream, emulator):  # WIRE A4
    emulator.script(CALL)
    payloads = stream(model="gpt://test-folder/gemma-3-27b-it/latest")
    first = deltas(payloads)[1]["tool_calls"][0]
    assert first["type"] == ""
    assert first["function"]["arguments"] == "{"
    assert json.loads(joined_arguments(payloads)) == {"expression": "2+2"}


def test_two_calls_are_told_apart_by_index(stream, emulator, open_model):
    emulator.script({"tool_calls": CALL["tool_calls"] * 2})
    indexes = [
        call["index"]
        for delta in deltas(stream(model=open_model))
        for call in delta.get("tool_calls", [])
    ]
    assert indexes == sorted(indexes)
    assert set(indexes) == {0, 1}


def test_reasoning_models_show_their_reasoning(ask, stream):  # WIRE A7
    model = "gpt://test-folder/gpt-oss-20b/latest"
    body = ask(model=model, reasoning_effort="low").json()
    reasoning = body["choices"][0]["message"]["reasoning_content"]
    details = body["usage"]["completion_tokens_details"]
    assert 0 < details["reasoning_tokens"] < body["usage"]["completion_tokens"]
    pieces = [delta.get("reasoning_content", "") for delta in deltas(stream(model=model))]
    assert "".join(pieces) == reasoning


@pytest.mark.parametrize("model", ["yandexgpt", "gpt-oss-120b"])
def test_a_content_filter_replaces_the_answer(ask, stream, emulator, model):  # WIRE A6
    uri = f"gpt://test-folder/{model}/latest"
    script = HAIKU | {"replaced_by": "I cannot say.", "finish_reason": "content_filter"}
    emulator.script(script, script)
    choice = ask(model=uri).json()["choices"][0]
    assert choice["message"]["content"] == "I cannot say."
    assert choice["finish_reason"] == "content_filter"
    payloads = stream(model=uri)
    *before, last = deltas(payloads)
    assert last == {"content": "I cannot say."}
    assert reasons(payloads)[-1] == "content_filter"
    assert "".join(delta.get("content", "") for delta in before) == HAIKU["text"]


@pytest.mark.parametrize("model", ["yandexgpt", "qwen3-235b-a22b-fp8"])
def test_custom_tools_take_free_text(ask, stream, model):  # WIRE A11
    tools = [{"type": "custom", "custom": {"name": "run_sql", "description": "Run SQL query"}}]
    fields = {"model": f"gpt://test-folder/{model}/latest", "tools": tools}
    [call] = ask("Run SQL select 1", **fields).json()["choices"][0]["message"]["tool_calls"]
    assert call["type"] == "custom"
    assert call["custom"] == {"name": "run_sql", "input": "Run SQL select 1"}
    pieces = [
        piece["custom"]["input"]
        for delta in deltas(stream("Run SQL select 1", **fields))
        for piece in delta.get("tool_calls", [])
    ]
    assert "".join(pieces) == "Run SQL select 1"


def test_text_is_raw_utf8(ask, emulator):
    emulator.script({"text": "Привет, 世界"})
    assert "Привет, 世界".encode() in ask().content


def test_n_gives_as_many_choices(ask, stream):
    assert [choice["index"] for choice in ask(n=2).json()["choices"]] == [0, 1]
    payloads = stream(n=2)[:-1]
    assert {choice["index"] for one in payloads for choice in one["choices"]} == {0, 1}


@pytest.mark.parametrize("word", ["max_tokens", "max_completion_tokens"])
def test_a_token_limit_cuts_text(ask, word):
    choice = ask("Say something rather long to me now", **{word: 2}).json()["choices"][0]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"] == "You said"


def test_a_token_limit_cuts_arguments_in_the_middle(ask, weather):
    choice = ask("The weather in Moscow?", tools=[weather], max_tokens=5).json()["choices"][0]
    assert choice["finish_reason"] == "length"
    arguments = choice["message"]["tool_calls"][0]["function"]["arguments"]
    assert arguments
    with pytest.raises(ValueError, match=r"delimiter|Expecting|Unterminated"):
        json.loads(arguments)
