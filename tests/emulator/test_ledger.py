"""The ledger of requests served, and the peaks beside it."""

import json
import socket
import threading
import uuid
from collections import Counter
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.datastructures import Headers

from yandex_compat.emulator import Emulator
from yandex_compat.emulator.connections import Connections
from yandex_compat.emulator.ledger import Ledger, question_of, sent_text

YANDEX = "gpt://test-folder/yandexgpt/latest"
OPEN = "gpt://test-folder/qwen3-235b-a22b-fp8/latest"
EMBEDDING = "emb://test-folder/text-search-doc/latest"
NATIVE = "/foundationModels/v1"


def one(emulator):
    emulator.settle()
    [row] = emulator.ledger
    return row


def test_a_row_of_a_whole_answer(emulator, client):
    said = [{"role": "user", "content": "Hi"}]
    answer = client.post(
        "/chat/completions",
        json={"model": YANDEX, "messages": said},
        headers={"x-client-request-id": "mine"},
    )
    assert one(emulator) == {
        "number": 1,
        "method": "POST",
        "path": "/v1/chat/completions",
        "client_request_id": "mine",
        "question": "Hi",
        "fault": None,
        "status": 200,
        "generating": 1,
        "text": "You said: Hi",
        "sent_text": "You said: Hi",
        "sent_bytes": len(answer.content),
        "whole": True,
        "ended": True,
        "closed_early": False,
    }


@pytest.mark.parametrize("model", [YANDEX, OPEN])
@pytest.mark.parametrize(
    ("script", "text"),
    [
        ({"text": "раз два three\n\nfour"}, "раз два three\n\nfour"),
        ({"text": ""}, ""),
        ({"text": "said", "reasoning": "thought"}, "said"),
        ({"text": "so", "finish_reason": "length"}, "so"),
        ({"text": "one two", "replaced_by": "no", "finish_reason": "content_filter"}, "no"),
        ({"text": "one two", "finish_reason": "content_filter"}, "one two"),
        ({"tool_calls": [{"name": "f"}]}, ""),
    ],
)
def test_the_text_of_a_stream_is_read_from_what_was_sent(stream, emulator, script, text, model):
    emulator.script(script)
    stream(model=model)
    row = one(emulator)
    assert (row["text"], row["sent_text"]) == (text, text)
    assert (row["whole"], row["ended"]) == (True, True)


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ({"text": "раз два three four"}, "раз два three four"),
        ({"text": "one two", "refusal": "no"}, "no"),
        ({"text": "one two", "replaced_by": "no", "finish_reason": "content_filter"}, "no"),
        ({"text": "said", "tool_calls": [{"name": "f"}]}, "said"),
    ],
)
def test_the_text_of_a_native_stream(emulator, client, script, text):
    emulator.script(script)
    body = {
        "modelUri": YANDEX,
        "messages": [{"role": "user", "text": "Hi"}],
        "completionOptions": {"stream": True},
    }
    client.post(f"{emulator.native_url}/completion", json=body)
    row = one(emulator)
    assert (row["text"], row["sent_text"], row["ended"]) == (text, text, True)


def test_a_stream_that_a_script_ends_early(stream, emulator):
    emulator.script({"text": "one two three four five six", "cut_after": 2})
    stream(model=OPEN)
    row = one(emulator)
    assert (row["text"], row["sent_text"]) == ("one two three four five six", "one")
    assert (row["whole"], row["ended"]) == (True, False)


def test_a_client_that_hangs_up_is_told_with_what_it_was_sent(emulator, client):
    emulator.script({"text": "one two three four five six", "gate": True})
    body = {"model": YANDEX, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    with client.stream("POST", "/chat/completions", json=body) as answer:
        next(answer.iter_raw())
    row = one(emulator)
    assert (row["closed_early"], row["whole"], row["sent_text"]) == (True, False, "one two")


def test_bytes_of_a_script_hold_the_text_they_hold(emulator, client):
    events = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in "ab"]
    odd = ["{", "[1]", '{"result": {}}', '{"choices": [{"delta": 1}]}', '{"error": "x"}', "1"]
    chunks = [f"data: {json.dumps(event)}\r\n\r\n" for event in events]
    emulator.script({"chunks": [*(f"data: {line}\n\n" for line in odd), *chunks]})
    body = {"model": YANDEX, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    client.post("/chat/completions", json=body)
    row = one(emulator)
    assert (row["text"], row["sent_text"], row["ended"]) == (None, "ab", False)


def test_half_an_event_says_nothing():
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
    for cut in range(len(event) - 1):
        assert sent_text(event[:cut]) == ("", False)
    assert sent_text(event) == ("a", True)


def test_the_usage_behind_the_end_and_another_answer_s_text_change_nothing():  # WIRE A5
    choices = [[{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}],
               [{"index": 1, "delta": {"content": "b"}}], []]  # fmt: skip
    events = [f"data: {json.dumps({'choices': one})}\n\n" for one in choices]
    assert sent_text("".join(events).encode()) == ("a", True)


@pytest.mark.parametrize(
    ("path", "body", "question"),
    [
        ("/v1/embeddings", {"model": EMBEDDING, "input": ["Текст"]}, "Текст"),
        (f"{NATIVE}/textEmbedding", {"modelUri": EMBEDDING, "text": "Text"}, "Text"),
        (f"{NATIVE}/tokenize", {"modelUri": YANDEX, "text": "Text"}, "Text"),
    ],
)
def test_rows_where_no_model_speaks(emulator, client, path, body, question):
    client.post(emulator.url + path, json=body)
    row = one(emulator)
    assert (row["question"], row["status"], row["whole"]) == (question, 200, True)
    assert (row["text"], row["sent_text"], row["generating"]) == (None, None, 0)


@pytest.mark.parametrize(
    ("body", "question"),
    [
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant"}]}, "a"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "b"),
        ({"messages": [{"role": "user", "content": [{"text": "a"}, {"image_url": 1}]}]}, "a"),
        ({"messages": [{"role": "user", "text": "a"}, {"role": "user", "toolResultList": 1}]}, "a"),
        ({"messages": [{"role": "user", "content": "x" * 500}]}, "x" * 200),
        ({"messages": [{"role": "system", "content": "a"}]}, ""),
        ({"messages": 1}, ""),
        ({"messages": [1, {"role": "user", "content": {"a": 1}}]}, ""),
        ({"input": ["a"]}, "a"),
        ({"yandexPassportOauthToken": "secret"}, None),
        ("no JSON", None),
        (None, None),
    ],
)
def test_the_question_is_what_the_user_said_last(body, question):
    assert question_of(body) == question


def test_a_deferred_answer_is_told_where_it_was_asked_for(emulator, client):
    body = {"modelUri": YANDEX, "messages": [{"role": "user", "text": "Hi"}]}
    client.post(f"{emulator.native_url}/completionAsync", json=body)
    assert one(emulator)["text"] == "You said: Hi"


def test_no_secret_is_in_the_ledger(emulator, client):
    client.post(emulator.iam_url, json={"yandexPassportOauthToken": "y0_test-oauth"})
    client.get("/models")
    emulator.settle()
    told = json.dumps(emulator.ledger)
    assert len(emulator.ledger) == 2
    assert "y0_" not in told
    assert "test-key" not in told


def test_over_http_with_the_peaks_and_forgotten(emulator, ask):
    ask("Hi")
    emulator.settle()
    url = f"{emulator.url}/_ledger"
    told = httpx.get(url).json()
    assert told["rows"] == emulator.ledger
    assert told["generations"] == {"now": 0, "peak": 1}
    assert told["connections"]["peak"] >= told["connections"]["now"] >= 1
    assert httpx.delete(url).status_code == 200
    assert emulator.ledger == []
    assert emulator.peaks["generations"] == {"now": 0, "peak": 0}
    assert len(emulator.requests) == 1
    ask("Hi")
    assert one(emulator)["number"] == 1


def test_the_peak_begins_anew_with_what_is_open():
    connections = Connections()
    for _ in range(3):
        connections.opened()
    connections.closed()
    connections.begin_anew()
    assert (connections.now, connections.peak) == (2, 2)


def test_open_connections_now_and_at_the_peak():
    with Emulator() as emulator:
        port = urlsplit(emulator.url).port
        opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
        while emulator.peaks["connections"]["now"] < 5:
            pass
        for connection in opened:
            connection.close()
        while emulator.peaks["connections"]["now"]:
            pass
        assert emulator.peaks["connections"] == {"now": 0, "peak": 5}
        emulator.clear()
        assert emulator.peaks["connections"] == {"now": 0, "peak": 0}


def test_a_peak_of_generations_against_the_quota():
    body = {"model": YANDEX, "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"Authorization": "Api-Key test-key"}
    with Emulator(quota=3) as emulator:
        emulator.script(*[{"text": "late", "gate": True}] * 3)
        url = f"{emulator.chat_url}/chat/completions"
        words = {"url": url, "json": body, "headers": headers}
        asking = [threading.Thread(target=httpx.post, kwargs=words) for _ in range(3)]
        for thread in asking:
            thread.start()
        while emulator.peaks["generations"]["now"] < 3:
            pass
        assert httpx.post(url, json=body, headers=headers).status_code == 429
        for _ in range(3):
            emulator.release()
        for thread in asking:
            thread.join()
        emulator.settle()
        assert sorted(row["generating"] for row in emulator.ledger) == [1, 2, 3, 3]
        assert [row["status"] for row in emulator.ledger] == [200, 200, 200, 429]
        assert emulator.peaks["generations"] == {"now": 0, "peak": 3}


def read(client, path, body, id_):
    """Return the status and the raw body as far as it came, of one request."""
    status, raw = None, b""
    try:
        with client.stream("POST", path, json=body, headers={"x-client-request-id": id_}) as answer:
            status = answer.status_code
            for piece in answer.iter_raw():
                raw += piece
    except httpx.TransportError:
        pass
    return status, raw


def test_under_concurrency_each_row_tells_what_its_client_got(emulator):
    kinds = ["429", "502", "503", "reset", "reset-after-head", "cut", "slow"]
    emulator.faults(0.4, seed=2, kinds=kinds, pause=0)
    found = {}

    def ask(thread):
        headers = {"Authorization": "Api-Key test-key"}
        with httpx.Client(base_url=emulator.chat_url, headers=headers, timeout=5) as client:
            for number in range(20):
                question, id_ = f"thread {thread} asks for the {number}th time", str(uuid.uuid4())
                said = [{"role": "user", "content": question}]
                model = YANDEX if number % 3 else OPEN
                body = {"model": model, "messages": said, "stream": number % 2 == 0}
                found[id_] = (question, *read(client, "/chat/completions", body, id_))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    emulator.settle()
    rows = emulator.ledger
    assert [row["number"] for row in rows] == list(range(1, 121))
    assert {row["client_request_id"] for row in rows} == set(found)
    for row in rows:
        question, status, raw = found[row["client_request_id"]]
        assert (row["question"], row["status"]) == (question, status)
        assert row["sent_bytes"] == len(raw)
        assert row["closed_early"] is False
        broken = row["fault"] in ("reset", "reset-after-head", "cut")
        assert row["whole"] is not broken
        if row["text"] is not None:
            assert row["text"] == f"You said: {question}"
            assert row["text"].startswith(row["sent_text"])
            assert row["whole"] <= (row["text"] == row["sent_text"])
            assert 1 <= row["generating"] <= 6
    assert set(kinds) <= set(Counter(row["fault"] for row in rows))
    assert emulator.peaks["generations"]["now"] == 0
    assert emulator.peaks["generations"]["peak"] <= 6


def test_the_ledger_keeps_every_row_and_the_log_the_latest(emulator):
    ledger = Ledger()
    for _ in range(10_050):
        ledger.open("POST", "/v1/" + "".join(["chat"]), Headers({}))
    assert [ledger.rows[0].number, ledger.rows[-1].number] == [1, 10_050]
    assert ledger.rows[0].path is ledger.rows[-1].path
    assert not hasattr(ledger.rows[0], "__dict__")
    assert emulator._service.requests.maxlen == 10_000
