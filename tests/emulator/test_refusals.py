"""Every way the emulator says no: 400, 401, 429, and their bodies (WIRE C)."""

import json

import httpx
import pytest

from yandex_compat.emulator import Emulator

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def gateway(answer):
    """Return what the gateway says, after checking that its shape is right."""
    error = answer.json()["error"]
    assert list(error) == ["grpcCode", "httpCode", "message", "httpStatus", "details"]
    assert error["httpCode"] == answer.status_code
    return error


def invalid(answer):
    """Return what the chat API finds wrong, after checking the shape."""
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert error["type"] == "invalid_request_error"
    return error


@pytest.mark.parametrize(
    "value",
    [
        "",
        "test-key",
        "Api-Key",
        "Api-Key wrong",
        "Bearer wrong",
        "Basic test-key",
        "Api-Key t1.test-token",
    ],
)
@pytest.mark.parametrize("path", ["/models", "/chat/completions", "/embeddings"])
def test_401_without_a_known_key(emulator, path, value):
    method = "GET" if path == "/models" else "POST"
    answer = httpx.request(method, emulator.chat_url + path, headers={"Authorization": value})
    assert answer.status_code == 401
    error = gateway(answer)
    assert error["grpcCode"] == 16
    assert error["httpStatus"] == "Unauthorized"
    assert "wrong" not in answer.text


@pytest.mark.parametrize("value", ["Api-Key test-key", "Bearer test-key", "Bearer t1.test-token"])
def test_keys_and_tokens_that_are_taken(emulator, value):
    answer = httpx.get(f"{emulator.chat_url}/models", headers={"Authorization": value})
    assert answer.status_code == 200


def test_400_for_the_folder_of_another(ask, client):
    message = (
        "Specified folder ID 'other' does not match with service account folder ID 'test-folder'"
    )
    in_uri = ask(model="gpt://other/yandexgpt/latest")
    in_header = client.get("/models", headers={"OpenAI-Project": "other"})
    for answer in (in_uri, in_header):
        assert answer.status_code == 400
        assert gateway(answer)["message"] == message
        assert gateway(answer)["grpcCode"] == 3


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("yandexgpt", "Failed to parse model URI yandexgpt"),
        ("gpt://test-folder", "Failed to parse model URI gpt://test-folder"),
        ("gpt://test-folder/gpt-9/latest", "invalid model_uri gpt://test-folder/gpt-9/latest"),
        ("gpt://test-folder/yandexgpt/nightly", "invalid model_uri"),
        ("emb://test-folder/yandexgpt/latest", "invalid model_uri"),
        ("emb://test-folder/text-search-doc/latest", "invalid model_uri"),
    ],
)
def test_400_for_a_wrong_model_uri(ask, model, message):
    assert message in gateway(ask(model=model))["message"]


@pytest.mark.parametrize(
    "model",
    ["yandexgpt", "yandexgpt/rc", "yandexgpt-lite/deprecated", "llama/1234@tuned", "aliceai-llm"],
)
def test_model_uris_that_are_taken(ask, model):
    answer = ask(model=f"gpt://test-folder/{model}")
    assert answer.status_code == 200
    assert f"gpt://test-folder/{model}" in answer.json()["model"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "Hi", "surprise": 1}, "surprise"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "0"}, "temperature"),
        ({"presence_penalty": -2.5}, "presence_penalty"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"n": 0}, "n"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"tools": []}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0"),
        ({"tools": [{"type": "function", "function": {"name": "a" * 65}}]}, "tools.0"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"response_format": {"type": "yaml"}}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}},
            "response_format",
        ),
        ({"messages": [{"role": "user", "content": "Hi", "mood": "good"}]}, "messages.0"),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0"),
        ({"messages": [{"role": "assistant", "content": None}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages.0"),
    ],
)
def test_400_for_a_wrong_body(ask, fields, param):
    error = invalid(ask(**{"messages": "Hi"} | fields))
    assert error["param"].startswith(param)


def test_400_for_a_tool_choice_that_is_not_offered(ask, weather):
    choice = {"type": "function", "function": {"name": "other"}}
    error = invalid(ask(tools=[weather], tool_choice=choice))
    assert "'other'" in error["message"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff"])
def test_400_for_what_is_no_json_object(client, raw):
    invalid(client.post("/chat/completions", content=raw))


def test_only_gemma_sees_images(ask):  # WIRE A12
    message = {"role": "user", "content": [{"type": "text", "text": "What is it?"}, IMAGE]}
    assert ask([message], model="gpt://test-folder/gemma-3-27b-it/latest").status_code == 200
    linked = IMAGE | {"image_url": {"url": "https://example.com/cat.png"}}
    message = {"role": "user", "content": [linked]}
    invalid(ask([message], model="gpt://test-folder/gemma-3-27b-it/latest"))


ROUND = ([("a", "f", "{}"), ("b", "g", "{}")], [("a", "1"), ("b", "2")])


@pytest.mark.parametrize(
    ("calls", "results", "message"),
    [
        (ROUND[0], [("a", "1")], "without a result"),
        (ROUND[0], [("a", "1"), ("c", "2")], "'c', which was not called"),
        ([("a", "f", "{}"), ("a", "g", "{}")], [("a", "1"), ("a", "2")], "the id 'a' twice"),
        ([("a", "f", "{")], [("a", "1")], "JSON object"),
        ([("a", "f", "[]")], [("a", "1")], "JSON object"),
        ([], [("a", "1")], "at least 1 item"),
    ],
)
@pytest.mark.parametrize("model", ["yandexgpt", "gpt-oss-20b"])
def test_400_for_calls_and_results_that_do_not_match(ask, exchange, model, calls, results, message):
    messages = [{"role": "user", "content": "Hi"}, *exchange(calls, results)]
    error = invalid(ask(messages, model=f"gpt://test-folder/{model}/latest"))
    assert message in error["message"]


def test_400_for_a_result_without_a_call(ask, exchange):
    orphan = {"role": "tool", "tool_call_id": "a", "content": "1"}
    error = invalid(ask([{"role": "user", "content": "Hi"}, orphan]))
    assert "must follow" in error["message"]
    late = [*exchange(*ROUND), {"role": "user", "content": "Hi"}, orphan]
    assert "must follow" in invalid(ask(late))["message"]


@pytest.mark.parametrize(
    ("calls", "results", "message"),
    [
        (
            [("a", "f", "{}"), ("b", "f", "{}")],
            [("a", "1"), ("b", "2")],
            "should have one function call with name 'f'",
        ),
        (ROUND[0], [("b", "2"), ("a", "1")], "in the order of the calls"),
    ],
)
def test_only_yandex_models_match_by_name_and_order(
    ask, exchange, open_model, calls, results, message
):
    messages = [{"role": "user", "content": "Hi"}, *exchange(calls, results)]
    assert message in invalid(ask(messages))["message"]
    assert ask(messages, model=open_model).status_code == 200


def test_conversations_that_are_taken(ask, exchange):
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": "Hi", "name": "example_user"},
        {"role": "user", "content": "Hi again"},
        *exchange([("abc123", "f", '{"x": 1}')], [("abc123", "1")]),
        *exchange([("abc123", "f", "{}")], [("abc123", "2")]),
        {"role": "assistant", "content": "There."},
        {"role": "assistant", "content": "And there."},
    ]
    assert ask(messages).status_code == 200


UNSUPPORTED = [  # WIRE A9
    {"stop": ["x"]},
    {"seed": 1},
    {"store": True},
    {"audio": {"voice": "a"}},
    {"web_search_options": {}},
    {"service_tier": "auto"},
    {"stream_options": {"include_usage": True}},
]


@pytest.fixture(scope="module")
def strict():
    with Emulator(refuse_unsupported=True, quota=1) as emulator:
        yield emulator


def asked(emulator, **fields):
    body = {
        "model": "gpt://test-folder/yandexgpt/latest",
        "messages": [{"role": "user", "content": "Hi"}],
    }
    return {
        "url": f"{emulator.chat_url}/chat/completions",
        "json": body | fields,
        "headers": {"Authorization": "Api-Key test-key"},
    }


def post(emulator, **fields):
    return httpx.post(**asked(emulator, **fields))


@pytest.mark.parametrize("field", UNSUPPORTED, ids=lambda field: next(iter(field)))
def test_unsupported_fields_are_ignored_or_refused(ask, strict, field):
    assert ask(**field).status_code == 200
    assert invalid(post(strict, **field))["param"] == next(iter(field))


def test_values_that_ask_for_nothing_are_never_refused(strict):
    assert post(strict, store=False, stop=None, logprobs=False, n=1).status_code == 200


def test_429_over_the_quota(strict):
    strict.clear()
    strict.script({"text": "slow", "gate": True})
    with httpx.stream("POST", **asked(strict, stream=True)) as slow:
        refused = post(strict)
        other = post(strict, model="gpt://test-folder/llama/latest")
        strict.release()
        assert '"slow"' in slow.read().decode()
    assert refused.status_code == 429
    error = gateway(refused)
    assert error["grpcCode"] == 8
    assert "quota limit exceed: allowed 1 requests" in error["message"]
    assert other.status_code == 200, "the quota is counted by model"
    strict.settle()
    assert post(strict).status_code == 200


def test_400_over_the_context(ask):
    error = gateway(ask("word " * 9_000, model="gpt://test-folder/llama/latest"))
    assert error["message"] == "number of input tokens must be no more than 8192, got 9000"


def test_ids_for_support(client):
    answer = client.get("/models", headers={"x-client-request-id": "mine"})
    assert answer.headers["x-client-request-id"] == "mine"
    assert answer.headers["x-request-id"]
    assert answer.headers["x-server-trace-id"]
    refused = client.get("/models", headers={"Authorization": ""})
    assert refused.headers["x-request-id"]


def test_models_of_the_folder(client):
    body = client.get("/models").json()
    assert body["object"] == "list"
    row = {"object": "model", "owned_by": "Yandex", "created": 0}
    assert {"id": "gpt://test-folder/yandexgpt/latest", **row} in body["data"]
    assert {"id": "emb://test-folder/text-search-doc/latest", **row} in body["data"]


def test_the_log_holds_no_key(emulator, ask):
    ask("Hi")
    ask("Hi", temperature=5)
    emulator.settle()
    logged = emulator.requests
    assert [record["status"] for record in logged] == [200, 400]
    assert logged[0]["headers"]["authorization"] == "Api-Key ***"
    assert logged[0]["body"]["messages"][0]["content"] == "Hi"
    assert "test-key" not in json.dumps(logged)


@pytest.mark.parametrize("name", ["Api-Key", "X-Api-Key", "Cookie", "Proxy-Authorization"])
def test_the_log_holds_no_key_of_another_header(emulator, client, name):
    client.get("/models", headers={name: "key-of-another-header"})
    assert emulator.requests[0]["headers"][name.lower()] == "***"


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("path", ["", "/"])
@pytest.mark.parametrize(
    "body",
    [
        '{"jwt": "aaa.secret.bbb"}',
        '{"yandexPassportOauthToken": "y0_secret"}',
        '{"jwt": "aaa.secret.bbb", "yandexPassportOauthToken": "y0_secret"}',
        '{"oauth": "y0_secret"}',
        "y0_secret",
    ],
)
def test_the_log_and_the_answer_hold_nothing_that_tokens_are_asked_with(
    emulator, body, path, method
):
    answer = httpx.request(method, emulator.iam_url + path, content=body, follow_redirects=True)
    assert answer.is_error
    emulator.settle()
    logged = httpx.get(f"{emulator.url}/_requests").text
    assert "secret" not in logged + answer.text
