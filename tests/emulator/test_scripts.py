"""Scripts of every kind, the gate, and clients that hang up."""

import asyncio
import json
import socket
import threading
from urllib.parse import urlsplit

import httpx
import pytest

TEXT = {"text": "one two three four five six"}


@pytest.fixture
def chat(client):
    """Return what to post where, for tests that read a stream themselves."""
    body = {
        "model": "gpt://test-folder/qwen3-235b-a22b-fp8/latest",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }
    return {"method": "POST", "url": "/chat/completions", "json": body}


def text_of(lines):
    payloads = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    return "".join(
        choice["delta"].get("content", "")
        for payload in payloads
        for choice in payload.get("choices", [])
    )


def test_scripts_are_played_in_order_and_then_the_model_answers(ask, emulator):
    emulator.script({"text": "first"}, {"text": "second", "reasoning": "because"})
    first, second, own = (ask().json()["choices"][0]["message"] for _ in range(3))
    assert first["content"] == "first"
    assert (second["content"], second["reasoning_content"]) == ("second", "because")
    assert own["content"].startswith("You said")


def test_a_scripted_answer_says_its_own_id_reason_usage_and_refusal(ask, stream, emulator):
    call = {"name": "f", "arguments": '{"x": ', "id": "mine"}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    said = {"tool_calls": [call], "finish_reason": "length", "usage": usage, "refusal": "no"}
    emulator.script(said, said | {"usage": None})
    body = ask().json()
    [choice] = body["choices"]
    assert body["usage"] == usage
    assert choice["finish_reason"] == "length"
    assert choice["message"]["refusal"] == "no"
    assert choice["message"]["tool_calls"][0]["id"] == "mine"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"x": '
    assert "usage" not in ask().json()


def test_refused_requests_do_not_use_up_the_script(ask, emulator):
    emulator.script({"text": "scripted"})
    assert ask(temperature=9).status_code == 400
    assert ask().json()["choices"][0]["message"]["content"] == "scripted"


@pytest.mark.parametrize(
    ("script", "content_type", "text"),
    [
        ({"status": 500, "body": {"code": 13, "message": "x"}}, "application/json", "code"),
        ({"status": 502, "body": "<html>Bad Gateway</html>"}, "text/html", "Bad Gateway"),
        ({"status": 503, "body": "upstream error"}, "text/plain", "upstream error"),
        ({"status": 504}, "text/plain", ""),
    ],
)
def test_scripted_statuses(ask, emulator, script, content_type, text):  # WIRE C
    emulator.script(script | {"headers": {"Retry-After": "7"}})
    answer = ask()
    assert answer.status_code == script["status"]
    assert answer.headers["content-type"].startswith(content_type)
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["x-request-id"]
    assert text in answer.text


def test_scripted_bytes(client, emulator, chat):
    chunks = ["data: {}\n", "\ndata: [DO", "NE]\n\n"]
    emulator.script({"chunks": chunks, "delay": 0.01, "content_type": "text/plain"})
    with client.stream(**chat) as answer:
        assert list(answer.iter_text()) == chunks
        assert answer.headers["content-type"] == "text/plain"


@pytest.mark.parametrize(
    "script",
    [
        {"chunks": ["data: {}\n\n", "data: {}\n\n"], "close": "reset"},
        TEXT | {"cut_after": 2, "close": "reset"},
    ],
)
def test_a_reset_connection_is_a_protocol_error(client, emulator, chat, script):
    emulator.script(script)
    lines = []
    with (
        pytest.raises(httpx.RemoteProtocolError),
        client.stream(**chat) as answer,
    ):
        lines.extend(answer.iter_lines())
    assert len([line for line in lines if line]) == 2
    emulator.settle()
    assert emulator.requests[-1]["closed_early"] is False


def test_a_stream_that_just_ends(client, emulator, chat):
    emulator.script(TEXT | {"cut_after": 3})
    lines = client.request(**chat).text.splitlines()
    assert text_of(lines) == "one two"
    assert "[DONE]" not in lines[-1]


def test_an_error_inside_a_stream(client, emulator, chat):  # WIRE C
    emulator.script(TEXT | {"error_after": 2}, TEXT | {"error_after": 0, "error": "down"})
    lines = client.request(**chat).text.splitlines()
    assert json.loads(lines[-2][6:])["error"]["grpcCode"] == 13
    assert text_of(lines) == "one"
    assert client.request(**chat).text == 'data: {"error":"down"}\n\n'


def test_a_stream_script_for_a_whole_answer_fails_loudly(ask, emulator):
    emulator.script(TEXT | {"cut_after": 1})
    answer = ask()
    assert answer.status_code == 500
    assert "stream" in answer.text


def test_the_gate_holds_back_all_but_the_first_chunk(client, emulator, chat):
    emulator.script(TEXT | {"gate": True})
    with client.stream(**chat) as answer:
        chunks = answer.iter_text()
        assert next(chunks).count("data: ") == 1
        emulator.release()
        assert "[DONE]" in "".join(chunks)


def test_the_gate_holds_back_a_whole_answer(client, emulator, ask):
    emulator.script(TEXT | {"gate": True})
    answers = []
    asking = threading.Thread(target=lambda: answers.append(ask()))
    asking.start()
    asking.join(0.05)
    assert asking.is_alive()
    httpx.post(f"{emulator.url}/_release")
    asking.join()
    assert answers[0].status_code == 200


def test_each_release_opens_one_gate(emulator, ask):
    emulator.script(TEXT | {"gate": True}, {"text": "second", "gate": True})
    emulator.release()
    emulator.release()
    assert [ask().status_code, ask().status_code] == [200, 200]


def test_chunks_come_with_a_delay(ask, emulator, monkeypatch):
    sleep, waits = asyncio.sleep, []

    async def noted(seconds):
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    emulator.script(TEXT | {"delay": 0.02})
    assert ask(stream=True).text.count("data: ") == 4
    assert waits.count(0.02) == 3


def closed_early(emulator):
    emulator.settle()
    return emulator.requests[-1]["closed_early"]


def test_a_client_that_hangs_up_is_noticed(client, emulator, chat):
    emulator.script(TEXT | {"delay": 0.05})
    with client.stream(**chat) as answer:
        next(answer.iter_text())
    assert closed_early(emulator) is True


def test_a_client_that_reads_to_the_end_is_not_blamed(client, emulator, chat):
    emulator.script(TEXT | {"delay": 0.001})
    client.request(**chat)
    assert closed_early(emulator) is False


async def test_a_cancelled_request_is_noticed(emulator, chat):
    emulator.script({"text": "late", "gate": True})
    headers = {"Authorization": "Api-Key test-key"}
    async with httpx.AsyncClient(base_url=emulator.chat_url, headers=headers) as client:
        chat["json"] = chat["json"] | {"stream": False}
        asking = asyncio.create_task(client.request(**chat))
        await asyncio.to_thread(emulator.wait_for_request)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert closed_early(emulator) is True


def test_a_request_that_breaks_off_is_noticed(emulator, caplog):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n"
    with socket.create_connection(("127.0.0.1", urlsplit(emulator.url).port)) as connection:
        connection.sendall(head + b"{")
        emulator.wait_for_request()
    assert closed_early(emulator) is True
    assert caplog.text == ""


@pytest.mark.parametrize(
    "script",
    [
        {"txt": "x"},
        {"text": 1},
        {"status": 99},
        {"status": 200, "text": "x"},
        {"chunks": "x"},
        {"text": "x", "path": "/v1/embeddings"},
        {"text": "x", "replaced_by": "y"},
        {"text": "x", "cut_after": 1, "error_after": 1},
        {"text": "x", "finish_reason": "done"},
    ],
)
def test_wrong_scripts_are_refused(emulator, script):
    answer = httpx.post(f"{emulator.url}/_script", json={"answers": [TEXT, script]})
    assert answer.status_code == 400
    assert answer.json()["error"]
    with pytest.raises(ValueError, match="validation error"):
        emulator.script(TEXT, script)


def test_scripts_and_the_log_over_http(emulator, ask):
    httpx.post(f"{emulator.url}/_script", json={"answers": [{"text": "posted"}, {"text": "x"}]})
    assert ask().json()["choices"][0]["message"]["content"] == "posted"
    httpx.delete(f"{emulator.url}/_script")
    assert ask().json()["choices"][0]["message"]["content"] != "x"
    emulator.settle()
    assert httpx.get(f"{emulator.url}/_requests").json() == emulator.requests
    assert len(emulator.requests) == 2
    httpx.delete(f"{emulator.url}/_requests")
    assert emulator.requests == []


def test_a_script_for_the_list_of_models_is_played(client, emulator):
    body = {"error": {"message": "no list today", "code": 7}}
    emulator.script({"path": "/v1/models", "status": 403, "body": body})
    refused, own = client.get("/models"), client.get("/models")
    assert (refused.status_code, refused.json()) == (403, body)
    assert own.json()["object"] == "list"
