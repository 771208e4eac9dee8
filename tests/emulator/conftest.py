import json

import httpx
import pytest

YANDEX, OPEN = "gpt://test-folder/yandexgpt/latest", "gpt://test-folder/qwen3-235b-a22b-fp8"


@pytest.fixture(scope="session")
def _client(_emulator_server):
    headers = {"Authorization": "Api-Key test-key"}
    with httpx.Client(base_url=_emulator_server.chat_url, headers=headers, timeout=5) as client:
        yield client


@pytest.fixture
def client(_client, emulator):
    return _client


@pytest.fixture
def ask(client):
    """Post a chat request; a string as messages is what the user says."""

    def ask(messages="Hello there, how are you today?", *, model=YANDEX, **fields):
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        return client.post(
            "/chat/completions", json={"model": model, "messages": messages, **fields}
        )

    return ask


@pytest.fixture
def stream(ask):
    """Ask for a stream and return its payloads; "[DONE]" stays a string."""

    def stream(*words, **fields):
        answer = ask(*words, stream=True, **fields)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.text.endswith("\n\n")
        lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]

    return stream


def function(name, description="", required=None, /, **properties):
    schema = {
        "type": "object",
        "properties": {
            key: {"type": kind} if isinstance(kind, str) else kind
            for key, kind in properties.items()
        },
        "required": list(properties) if required is None else required,
    }
    function = {"name": name, "description": description, "parameters": schema}
    return {"type": "function", "function": function}


@pytest.fixture
def weather():
    return function("get_weather", "Current weather in a city", city="string")


@pytest.fixture
def add():
    return function("add", "Add two numbers", a="integer", b="integer")


@pytest.fixture
def tool():
    return function


@pytest.fixture
def exchange():
    """Return the messages of one round: calls as (id, name, arguments), then their results."""

    def exchange(calls, results):
        made = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id_, name, arguments in calls
        ]
        answers = [
            {"role": "tool", "tool_call_id": id_, "content": content} for id_, content in results
        ]
        return [{"role": "assistant", "content": "", "tool_calls": made}, *answers]

    return exchange


@pytest.fixture
def open_model():
    return OPEN
