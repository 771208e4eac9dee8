"""What only some requests ask for: log probabilities, functions, predictions (WIRE A15, A16)."""

import pytest

OPEN = "gpt://test-folder/gemma-3-27b-it"
YANDEX = "gpt://test-folder/yandexgpt"
BOTH = pytest.mark.parametrize("model", [YANDEX, OPEN])
WEATHER = {
    "name": "weather",
    "description": "Tell the weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
QUESTION = "What is the weather in 'Omsk'?"


def choices(payloads):
    return [choice for one in payloads if one != "[DONE]" for choice in one["choices"]]


def joined(entries):
    return "".join(entry["token"] for entry in entries)


@BOTH
def test_log_probabilities_of_a_whole_answer(ask, emulator, model):
    emulator.script({"text": "one two, three"})
    [choice] = ask(model=model, logprobs=True, top_logprobs=3).json()["choices"]
    told = choice["logprobs"]
    assert told["refusal"] is None
    assert joined(told["content"]) == "one two, three"
    first = told["content"][0]
    assert bytes(first["bytes"]).decode() == first["token"]
    assert first["top_logprobs"][0]["token"] == first["token"]
    assert [len(entry["top_logprobs"]) for entry in told["content"]] == [3] * len(told["content"])
    assert first["top_logprobs"][2]["logprob"] == -9999.0


@BOTH
def test_log_probabilities_of_a_stream_stand_with_their_text(stream, emulator, model):
    emulator.script({"text": "one two, three"})
    told = choices(stream(model=model, logprobs=True))
    for choice in told:
        given = choice.get("logprobs") or {"content": []}
        assert joined(given["content"]) == choice["delta"].get("content", "")
    assert any(choice.get("logprobs") for choice in told)


@BOTH
def test_without_being_asked_nothing_is_told(ask, model):
    [choice] = ask(model=model).json()["choices"]
    assert choice.get("logprobs") is None


def test_top_logprobs_alone_are_refused(ask):
    answer = ask(top_logprobs=3)
    assert answer.status_code == 400
    assert "logprobs" in answer.text


@BOTH
def test_functions_are_answered_by_a_function_call(ask, model):
    [choice] = ask(QUESTION, model=model, functions=[WEATHER]).json()["choices"]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "weather", "arguments": '{"city":"Omsk"}'}
    assert "tool_calls" not in choice["message"]


@BOTH
def test_a_function_call_of_a_stream(stream, model):
    told = choices(stream(QUESTION, model=model, functions=[WEATHER]))
    pieces = [
        choice["delta"]["function_call"] for choice in told if "function_call" in choice["delta"]
    ]
    assert [piece["name"] for piece in pieces if "name" in piece] == ["weather"]
    assert "".join(piece.get("arguments", "") for piece in pieces) == '{"city":"Omsk"}'
    assert told[-1]["finish_reason"] == "function_call"
    assert (len(pieces) == 1) is (model == YANDEX)  # WIRE A3, A4


@BOTH
@pytest.mark.parametrize(("choice", "reason"), [("none", "stop"), ("auto", "function_call")])
def test_function_call_none_and_auto_are_obeyed(ask, model, choice, reason):
    answer = ask(QUESTION, model=model, functions=[WEATHER], function_call=choice).json()
    assert answer["choices"][0]["finish_reason"] == reason


def test_a_function_may_be_named(ask):
    now = {"name": "now"}
    answer = ask(QUESTION, functions=[WEATHER, now], function_call={"name": "now"}).json()
    assert answer["choices"][0]["message"]["function_call"]["name"] == "now"
    refused = ask(QUESTION, functions=[WEATHER], function_call={"name": "then"})
    assert refused.status_code == 400
    assert "'then'" in refused.text


def test_a_result_of_a_function_ends_the_calls(ask):
    call = {"name": "weather", "arguments": '{"city":"Omsk"}'}
    messages = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "weather", "content": "Omsk: sunny"},
    ]
    [choice] = ask(messages, functions=[WEATHER]).json()["choices"]
    assert choice["finish_reason"] == "stop"
    assert "Omsk: sunny" in choice["message"]["content"]


def test_tools_and_functions_exclude_each_other(ask, weather):
    answer = ask(tools=[weather], functions=[WEATHER])
    assert answer.status_code == 400
    assert "exclude" in answer.text


@pytest.mark.parametrize("content", ["one two", [{"type": "text", "text": "one two"}]])
def test_predicted_tokens_are_counted(ask, emulator, content):
    emulator.script({"text": "one three"})
    answer = ask(prediction={"type": "content", "content": content}).json()
    assert answer["usage"]["completion_tokens_details"] == {
        "accepted_prediction_tokens": 1,
        "rejected_prediction_tokens": 1,
    }


CITATION = {"start_index": 0, "end_index": 2, "url": "https://ya.ru", "title": "Ya"}
BESIDE = {
    "annotations": [{"type": "url_citation", "url_citation": CITATION}],
    "audio": {"id": "a1", "expires_at": 1, "data": "AAAA", "transcript": "Hi"},
}


@BOTH
def test_what_stands_beside_a_text_is_scripted(ask, emulator, model):
    emulator.script({"text": "Hi", "service_tier": "flex", **BESIDE})
    answer = ask(model=model).json()
    assert answer["service_tier"] == "flex"
    message = answer["choices"][0]["message"]
    assert {key: message[key] for key in BESIDE} == BESIDE


@BOTH
def test_citations_of_a_stream_come_last(stream, emulator, model):
    emulator.script({"text": "Hi there", "annotations": BESIDE["annotations"]})
    told = choices(stream(model=model))
    assert told[-1]["delta"]["annotations"] == BESIDE["annotations"]
    assert not any("annotations" in choice["delta"] for choice in told[:-1])
