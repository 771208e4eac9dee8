"""Faults: each kind's bytes as a client sees them, the plan that draws them, the places taken."""

import asyncio
import json
import socket
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import h11
import httpx
import pytest

from yandex_compat.emulator import Emulator
from yandex_compat.emulator.__main__ import main
from yandex_compat.emulator.faults import FAULT_KINDS, FaultPlan, Faults

from .test_server import running

OPEN = "gpt://test-folder/qwen3-235b-a22b-fp8/latest"
YANDEX = "gpt://test-folder/yandexgpt/latest"
EMBEDDING = "emb://test-folder/text-search-doc/latest"
NATIVE = "/foundationModels/v1"
TEXT = "Раз, два, три, четыре, пять: one two three four five six seven"


def chat(text="Hi", *, stream=False, model=OPEN, **fields):
    said = [{"role": "user", "content": text}]
    return "/v1/chat/completions", {"model": model, "messages": said, "stream": stream, **fields}


def native(text="Hi", *, stream=False):
    said = [{"role": "user", "text": text}]
    options = {"stream": stream}
    body = {"modelUri": YANDEX, "messages": said, "completionOptions": options}
    return f"{NATIVE}/completion", body


COUNTED = {
    "chat": chat(),
    "embeddings": ("/v1/embeddings", {"model": EMBEDDING, "input": "Hi"}),
    "native": native(),
    "deferred": (f"{NATIVE}/completionAsync", native()[1]),
    "native embedding": (f"{NATIVE}/textEmbedding", {"modelUri": EMBEDDING, "text": "Hi"}),
    "tokenize": (f"{NATIVE}/tokenize", {"modelUri": YANDEX, "text": "Hi"}),
    "tokenize a talk": (f"{NATIVE}/tokenizeCompletion", native()[1]),
}  # fmt: skip


class Asked:
    """A request over a socket of its own, and what of the answer has come."""

    def __init__(self, emulator, path, body, *, buffer=None, **headers):
        self._socket = socket.socket()
        if buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._socket.settimeout(5)
        self._socket.connect(("127.0.0.1", urlsplit(emulator.url).port))
        self._http = h11.Connection(h11.CLIENT)
        raw = json.dumps(body).encode()
        head = {
            "host": "test",
            "authorization": "Api-Key test-key",
            "connection": "close",
            "content-length": str(len(raw)),
        } | headers
        request = h11.Request(method="POST", target=path, headers=list(head.items()))
        sent = [request, h11.Data(data=raw), h11.EndOfMessage()]
        self._socket.sendall(b"".join(self._http.send(event) for event in sent))
        self.status, self.headers, self.pieces = None, {}, []
        self.whole = False
        self.ending = None

    @property
    def body(self):
        return b"".join(self.pieces)

    def read(self, *, timeout=5.0):
        """Read until the connection ends, or until nothing comes for so many seconds."""
        self._socket.settimeout(timeout)
        while self.ending is None:
            try:
                raw = self._socket.recv(65_536)
            except ConnectionResetError:
                self.ending = "reset"
            except TimeoutError:
                return self
            else:
                if raw:
                    self._http.receive_data(raw)
                    self._take()
                else:
                    self.ending = "end"
        self.close()
        return self

    def _take(self):
        while (event := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            match event:
                case h11.Response():
                    self.status = event.status_code
                    self.headers = {name.decode(): value.decode() for name, value in event.headers}
                case h11.Data():
                    if event.chunk_start or not self.pieces:
                        self.pieces.append(bytearray())
                    self.pieces[-1] += event.data
                case h11.EndOfMessage():
                    self.whole = True

    def close(self):
        self._socket.close()


def text_of(path, body):
    """The text in the events that came to their ends, and whether the last of them was there."""
    text, ended = "", False
    if path.startswith(NATIVE):
        for line in body.splitlines(keepends=True):
            if line.endswith(b"\n"):
                said = json.loads(line)["result"]["alternatives"][0]
                text, ended = said["message"]["text"], said["status"].endswith("_FINAL")
        return text, ended
    for event in body.decode(errors="replace").split("\n\n")[:-1]:
        payload = event.removeprefix("data: ")
        for choice in json.loads(payload)["choices"] if payload != "[DONE]" else []:
            text += choice["delta"].get("content") or ""
            ended = ended or choice.get("finish_reason") is not None
    return text, ended


def struck(emulator, kind, request, **words):
    """Ask once under a plan that draws one kind only, and return what came with its row."""
    emulator.faults(1, kinds=[kind], **words)
    asked = Asked(emulator, *request).read()
    emulator.settle()
    return asked, emulator.ledger[-1]


@pytest.fixture(scope="module")
def single():
    """An emulator whose models answer one request at a time."""
    with Emulator(quota=1) as emulator:
        yield emulator


@pytest.fixture
def lone(single):
    single.clear()
    yield single
    single.clear()


# What a client sees


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("429", 8),
        ("429-retry-after", 8),
        ("429-retry-date", 8),
        ("500", 13),
        ("503", 14),
        ("504", 4),
    ],
)
@pytest.mark.parametrize("request_of", COUNTED)
def test_a_refusal_in_the_gateways_words(emulator, kind, code, request_of):  # WIRE C
    asked, row = struck(emulator, kind, COUNTED[request_of])
    assert asked.whole
    error = json.loads(asked.body)["error"]
    assert list(error) == ["grpcCode", "httpCode", "message", "httpStatus", "details"]
    assert (error["grpcCode"], error["httpCode"]) == (code, asked.status)
    assert str(asked.status) == kind[:3]
    assert ("retry-after" in asked.headers) is ("retry" in kind)
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["x-request-id"]
    assert (row["fault"], row["status"], row["whole"]) == (kind, asked.status, True)
    assert (row["text"], row["generating"]) == (None, 0)


def test_a_balancers_page(emulator):  # WIRE C
    asked, _ = struck(emulator, "502", chat())
    assert asked.status == 502
    assert asked.headers["content-type"].startswith("text/html")
    assert asked.body.startswith(b"<html>")


def test_retry_after_in_both_spellings(emulator):
    asked, _ = struck(emulator, "429-retry-after", chat(), retry_after=7)
    assert asked.headers["retry-after"] == "7"
    asked, _ = struck(emulator, "429-retry-date", chat(), retry_after=3_600)
    now, then = (parsedate_to_datetime(asked.headers[one]) for one in ("date", "retry-after"))
    assert asked.headers["retry-after"].endswith(" GMT")
    # The server renews its date once a second; the other is rounded up.
    assert 3_600 <= (then - now).total_seconds() <= 3_630


def test_nobody_is_asked_to_come_before_the_seconds_are_over(emulator):
    for _ in range(3):
        before = datetime.now(UTC)
        asked, _ = struck(emulator, "429-retry-date", chat(), retry_after=5)
        then = parsedate_to_datetime(asked.headers["retry-after"])
        assert then >= before + timedelta(seconds=5)


def test_a_refused_connection_is_kept_alive(emulator, client):
    path, body = chat()
    emulator.faults(1, kinds=["503"])
    before = emulator.peaks["connections"]["now"]
    with httpx.Client(headers=client.headers) as one:
        for _ in range(3):
            assert one.post(emulator.url + path, json=body).status_code == 503
    assert emulator.peaks["connections"]["peak"] <= before + 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_reset_before_the_head(emulator, stream):
    for _ in range(5):
        asked, row = struck(emulator, "reset", chat(stream=stream))
        assert (asked.ending, asked.status, asked.body) == ("reset", None, b"")
        assert (row["status"], row["whole"], row["sent_bytes"]) == (None, False, 0)
        assert (row["closed_early"], row["text"], row["generating"]) == (False, None, 0)
        assert row["question"] == "Hi"


@pytest.mark.parametrize("stream", [False, True])
def test_a_reset_after_the_head(emulator, stream):
    for _ in range(5):
        asked, row = struck(emulator, "reset-after-head", chat(stream=stream))
        assert (asked.ending, asked.status, asked.body) == ("reset", 200, b"")
        assert (row["status"], row["whole"], row["sent_bytes"]) == (200, False, 0)
        assert (row["closed_early"], row["sent_text"], row["generating"]) == (False, "", 1)
        assert row["text"] == "You said: Hi"
        assert emulator.requests[-1]["closed_early"] is False


@pytest.mark.parametrize(
    "request_of",
    [chat(TEXT, stream=True), chat(TEXT, stream=True, model=YANDEX), native(TEXT, stream=True)],
)
def test_a_cut_stream_ends_after_a_drawn_piece_and_the_ledger_knows_its_text(emulator, request_of):
    whole = Asked(emulator, *request_of).read()
    full, ended = text_of(request_of[0], whole.body)
    assert ended
    assert TEXT in full
    seen, halves = set(), 0
    for seed in range(12):
        asked, row = struck(emulator, "cut", request_of, seed=seed)
        assert (asked.ending, asked.status, asked.whole) == ("end", 200, False)
        text, ended = text_of(request_of[0], asked.body)
        assert full.startswith(text)
        assert (row["text"], row["sent_text"], row["ended"]) == (full, text, ended)
        assert row["sent_bytes"] == len(asked.body) > 0
        assert (row["whole"], row["closed_early"]) == (False, False)
        assert emulator.requests[-1]["closed_early"] is False
        seen.add(len(asked.pieces))
        halves += not asked.body.endswith(b"\n")
    assert len(seen) > 1
    assert max(seen) <= len(whole.pieces)
    assert 0 < halves < 12


def test_a_stream_of_one_piece_is_cut_in_the_middle_of_it(emulator):
    emulator.script({"chunks": ["data: {}\n\n"]})
    # Of more pieces, this seed would send the first and nothing of the second.
    asked, row = struck(emulator, "cut", chat(stream=True), seed=5)
    assert (asked.body, asked.whole) == (b"data:", False)
    assert (row["text"], row["sent_text"], row["ended"]) == (None, "", False)


@pytest.mark.parametrize("request_of", COUNTED)
def test_a_whole_answer_is_cut_in_the_middle_of_its_body(emulator, request_of):
    lengths = set()
    for seed in range(4):
        asked, row = struck(emulator, "cut", COUNTED[request_of], seed=seed)
        assert (asked.ending, asked.status, asked.whole) == ("end", 200, False)
        assert 0 < len(asked.body) < int(asked.headers["content-length"])
        assert (row["sent_bytes"], row["whole"]) == (len(asked.body), False)
        assert row["sent_text"] in ("", None)
        lengths.add(len(asked.body))
    assert len(lengths) > 1


@pytest.mark.parametrize(
    "script",
    [
        {"chunks": ["x" * 4_500_000] * 2},
        {"chunks": ["x" * 4_500_000] * 2, "close": "reset"},
        {"status": 200, "body": "x" * 6_500_000},
    ],
    ids=["stream", "stream that would be reset", "whole"],
)
def test_what_was_sent_before_a_cut_reaches_a_client_that_reads_late(emulator, script):
    emulator.script(script)
    emulator.faults(1, kinds=["cut"], seed=5)
    asked = Asked(emulator, *chat(stream=True), buffer=4_096)
    # By now more is under way than the buffers of both sockets hold.
    while not (emulator.ledger and emulator.ledger[0]["sent_bytes"]):
        pass
    asked.read()
    emulator.settle()
    assert asked.ending == "end"
    assert len(asked.body) == emulator.ledger[0]["sent_bytes"] > 4_000_000


@pytest.mark.parametrize("request_of", [chat(stream=True), chat(), native(TEXT, stream=True)])
def test_a_stalled_answer_holds_its_place_until_the_client_hangs_up(lone, request_of):
    lone.faults(1, kinds=["stall"])
    asked = Asked(lone, *request_of).read(timeout=0.1)
    assert (asked.ending, asked.status, asked.whole) == (None, 200, False)
    assert asked.body
    lone.faults(0)
    assert Asked(lone, *request_of).read().status == 429
    assert lone.peaks["generations"] == {"now": 1, "peak": 1}
    asked.close()
    lone.settle()
    assert Asked(lone, *request_of).read().status == 200
    row = lone.ledger[0]
    assert (row["fault"], row["closed_early"], row["whole"]) == ("stall", True, False)
    assert row["sent_bytes"] == len(asked.body)
    assert lone.requests[0]["closed_early"] is True
    if request_of[1].get("stream"):
        assert row["sent_text"] == text_of(request_of[0], asked.body)[0]


def test_a_stall_before_the_head_sends_nothing(lone):
    lone.faults(1, kinds=["stall-before-head"])
    asked = Asked(lone, *chat()).read(timeout=0.1)
    assert (asked.ending, asked.status) == (None, None)
    asked.close()
    lone.settle()
    row = lone.ledger[0]
    assert (row["status"], row["sent_bytes"], row["closed_early"]) == (None, 0, True)
    assert (row["generating"], row["text"]) == (1, "You said: Hi")
    assert lone.peaks["generations"]["now"] == 0


@pytest.mark.parametrize("kind", ["stall", "stall-before-head"])
@pytest.mark.parametrize("request_of", [chat(stream=True), chat(), chat(temperature=9)])
def test_a_stall_of_some_seconds_goes_on_and_arrives_whole(emulator, kind, request_of):
    asked, row = struck(emulator, kind, request_of, stall=0.01)
    assert asked.whole
    assert (row["fault"], row["whole"], row["closed_early"]) == (kind, True, False)
    assert row["sent_bytes"] == len(asked.body)


@pytest.mark.parametrize("kind", ["stall", "stall-before-head"])
def test_a_refusal_can_stall_too(emulator, kind):
    emulator.faults(1, kinds=[kind])
    asked = Asked(emulator, *chat(temperature=9)).read(timeout=0.05)
    assert not asked.whole
    asked.close()
    emulator.settle()
    assert emulator.ledger[-1]["closed_early"] is True
    assert emulator.requests[-1]["closed_early"] is True


def test_what_is_stalled_is_let_go_when_faults_are_switched_off(emulator):
    emulator.faults(1, kinds=["stall", "stall-before-head"])
    asked = [Asked(emulator, *chat(stream=True)) for _ in range(4)]
    while emulator.peaks["generations"]["now"] < 4:
        pass
    assert httpx.delete(f"{emulator.url}/_faults").status_code == 200
    assert [one.read().whole for one in asked] == [True] * 4


def test_leaving_lets_go_of_what_is_stalled():
    with Emulator() as emulator:
        emulator.faults(1, kinds=["stall"])
        asked = Asked(emulator, *chat(stream=True)).read(timeout=0.05)
        assert not asked.whole
    assert asked.read().whole


@pytest.mark.parametrize(
    "request_of",
    [chat(TEXT, stream=True), chat(TEXT), native(TEXT, stream=True), COUNTED["embeddings"]],
)
def test_a_slow_answer_trickles_and_arrives_whole(emulator, request_of, monkeypatch):
    sleep, waits = asyncio.sleep, []

    async def noted(seconds):
        waits.append(seconds)
        await sleep(0)

    plain = Asked(emulator, *request_of).read()
    monkeypatch.setattr(asyncio, "sleep", noted)
    asked, row = struck(emulator, "slow", request_of, pause=0.25)
    assert asked.whole
    assert waits.count(0.25) >= 5
    if plain.headers.get("transfer-encoding") == "chunked":
        assert len(asked.pieces) > 2 * len(plain.pieces)
        assert text_of(request_of[0], asked.body) == text_of(request_of[0], plain.body)
    else:
        assert len(asked.body) == len(plain.body)
    assert (row["whole"], row["ended"], row["sent_bytes"]) == (True, True, len(asked.body))
    assert row["sent_text"] == row["text"]


# The plan


def drawn(count, **words):
    faults = Faults(FaultPlan(**words))
    return [faults.draw() for _ in range(count)]


def test_one_seed_draws_the_same_faults_in_the_same_order():
    assert drawn(200, rate=0.3, seed=5) == drawn(200, rate=0.3, seed=5)
    assert drawn(200, rate=0.3, seed=5) != drawn(200, rate=0.3, seed=6)


def test_the_nth_draw_depends_on_nothing_but_n():
    rarely, often = drawn(500, rate=0.1, seed=1), drawn(500, rate=0.6, seed=1)
    for one, other in zip(rarely, often, strict=True):
        assert one is None or (one.kind, one.place) == (other.kind, other.place)
    cuts = drawn(500, rate=0.1, seed=1, kinds=("cut",))
    assert [one and one.place for one in cuts] == [one and one.place for one in rarely]


def test_the_rate_and_the_kinds_are_about_right():
    found = [one.kind for one in drawn(1_000, rate=0.3, seed=0) if one]
    assert 250 <= len(found) <= 350
    shares = Counter(found)
    assert set(shares) == set(FAULT_KINDS)
    assert min(shares.values()) >= 10
    assert drawn(1_000, rate=0, seed=0) == [None] * 1_000
    assert None not in drawn(1_000, rate=1, seed=0)


def test_over_the_wire_too_and_each_plan_begins_anew(emulator, client):
    path, body = chat()
    kinds = ("429", "500", "502", "503", "504")
    for _ in range(2):
        emulator.clear()
        emulator.faults(0.5, seed=9, kinds=kinds)
        statuses = [client.post(emulator.url + path, json=body).status_code for _ in range(30)]
        expected = [one.kind if one else None for one in drawn(30, rate=0.5, seed=9, kinds=kinds)]
        assert [row["fault"] for row in emulator.ledger] == expected
        assert [str(status) for status in statuses] == [kind or "200" for kind in expected]


@pytest.mark.parametrize("request_of", COUNTED)
def test_what_counts_is_struck(emulator, client, request_of):
    path, body = COUNTED[request_of]
    emulator.faults(1, kinds=["503"])
    assert client.post(emulator.url + path, json=body).status_code == 503


def test_to_look_for_a_deferred_answer_counts(emulator, client):
    path, body = COUNTED["deferred"]
    url = f"{emulator.url}/operations/{client.post(emulator.url + path, json=body).json()['id']}"
    emulator.faults(1, kinds=["503"])
    assert client.get(url).status_code == 503


def test_what_does_not_count_is_not_struck_and_takes_no_draw(emulator, client):
    emulator.faults(1, kinds=["503"])
    assert client.get("/models").status_code == 200
    assert client.get("/chat/completions").status_code == 200
    assert client.post(emulator.iam_url, json={}).status_code == 400
    assert client.get("/nothing").status_code == 404
    told = client.get(f"{emulator.url}/_faults").json()
    assert (told["requests"], told["drawn"]) == (0, {})
    emulator.settle()
    assert [row["fault"] for row in emulator.ledger] == [None] * 4


def test_a_refused_request_uses_up_no_script(emulator, client):
    path, body = chat()
    emulator.script({"text": "scripted"})
    emulator.faults(1, kinds=["503"])
    assert client.post(emulator.url + path, json=body).status_code == 503
    emulator.faults(0)
    assert "scripted" in client.post(emulator.url + path, json=body).text


# The places of the quota


@pytest.mark.parametrize("kind", FAULT_KINDS)
@pytest.mark.parametrize("request_of", [chat(stream=True), chat(), native(stream=True)])
def test_every_end_gives_the_place_back_and_leaves_nothing_behind(lone, kind, request_of):
    def tasks():
        return len(asyncio.all_tasks(lone._loop))

    while lone.peaks["connections"]["now"]:
        pass
    before = tasks()
    lone.faults(1, kinds=[kind])
    for _ in range(2):
        asked = Asked(lone, *request_of)
        if kind.startswith("stall"):
            asked.read(timeout=0.01)
            asked.close()
        else:
            asked.read()
        lone.settle()
    assert lone.peaks["generations"]["now"] == 0
    takes_a_place = kind in ("reset-after-head", "cut", "slow", "stall", "stall-before-head")
    assert lone.peaks["generations"]["peak"] == takes_a_place
    while lone.peaks["connections"]["now"] or tasks() > before:
        pass
    lone.faults(0)
    assert Asked(lone, *request_of).read().status == 200


@pytest.mark.parametrize("kind", ["cut", "reset-after-head"])
def test_the_place_is_free_before_the_client_learns_of_the_break(lone, kind):
    lone.faults(1, kinds=[kind])
    for number in range(20):
        asked = Asked(lone, *chat(stream=number % 2 == 0)).read()
        assert asked.status == 200, number


@pytest.mark.parametrize("request_of", [chat(TEXT, stream=True), chat(temperature=9)])
def test_a_client_that_leaves_a_slow_answer_gives_the_place_back(lone, request_of):
    lone.faults(1, kinds=["slow"], pause=0.02)
    asked = Asked(lone, *request_of)
    while not asked.body:
        asked.read(timeout=0.01)
    asked.close()
    lone.settle()
    [row] = lone.ledger
    assert (row["closed_early"], row["whole"]) == (True, False)
    assert lone.requests[0]["closed_early"] is True
    assert lone.peaks["generations"]["now"] == 0


# How a plan is set


def test_by_an_admin_call(emulator, client):
    url = f"{emulator.url}/_faults"
    assert client.get(url).json() == {"plan": None, "requests": 0, "drawn": {}}
    plan = {"rate": 1, "seed": 4, "kinds": ["429-retry-after"], "retry_after": 3, "pause": 0.1}
    assert client.post(url, json=plan).status_code == 200
    path, body = chat()
    assert client.post(emulator.url + path, json=body).headers["retry-after"] == "3"
    told = client.get(url).json()
    assert told == {
        "plan": plan | {"stall": None},
        "requests": 1,
        "drawn": {"429-retry-after": 1},
    }
    assert client.delete(url).status_code == 200
    assert client.post(emulator.url + path, json=body).status_code == 200


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        ({}, "rate"),
        ({"rate": 1.1}, "rate"),
        ({"rate": -0.1}, "rate"),
        ({"rate": "1"}, "rate"),
        ({"rate": 1, "kind": ["cut"]}, "kind"),
        ({"rate": 1, "kinds": []}, "kinds"),
        ({"rate": 1, "kinds": ["418"]}, "kinds"),
        ({"rate": 1, "kinds": "cut"}, "kinds"),
        ({"rate": 1, "seed": "x"}, "seed"),
        ({"rate": 1, "seed": 0.5}, "seed"),
        ({"rate": 1, "retry_after": -1}, "retry_after"),
        ({"rate": 1, "retry_after": 0.5}, "retry_after"),
        ({"rate": 1, "retry_after": 86_401}, "retry_after"),
        ({"rate": 1, "stall": -1}, "stall"),
        ({"rate": 1, "pause": -1}, "pause"),
    ],
)
def test_a_wrong_plan_is_refused_by_name_and_changes_nothing(emulator, client, plan, named):
    url = f"{emulator.url}/_faults"
    emulator.faults(0.25, seed=8)
    before = client.get(url).json()
    answer = client.post(url, json=plan)
    assert answer.status_code == 400
    assert f"\n{named}" in answer.json()["error"]
    assert client.get(url).json() == before
    if "rate" in plan and "kind" not in plan and plan.get("kinds") != "cut":
        with pytest.raises(ValueError, match=named):
            emulator.faults(**plan)


def test_what_is_no_json_is_refused(emulator):
    for raw in (b"", b"{", b"[]", b'{"rate": NaN}', b'{"rate": 1, "stall": Infinity}'):
        assert httpx.post(f"{emulator.url}/_faults", content=raw).status_code == 400


def test_clear_switches_faults_off(emulator, client):
    path, body = chat()
    emulator.faults(1)
    emulator.clear()
    assert client.post(emulator.url + path, json=body).status_code == 200
    assert emulator.ledger[-1]["fault"] is None


def test_by_the_command_line():
    words = ["--fault-rate", "1", "--fault-seed", "2", "--fault-kinds", "429-retry-after,cut"]
    more = ["--fault-retry-after", "9", "--fault-stall", "2.5", "--fault-pause", "0"]
    with running(*words, *more) as (_, line):
        told = httpx.get(f"{line.strip().removesuffix('/v1')}/_faults").json()
    assert told["plan"] == {
        "rate": 1.0,
        "seed": 2,
        "kinds": ["429-retry-after", "cut"],
        "retry_after": 9,
        "stall": 2.5,
        "pause": 0.0,
    }


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--fault-rate 1.5", "1.5 is no share from 0 to 1"),
        ("--fault-rate x", "x is no share"),
        ("--fault-rate 1 --fault-kinds cut,418", "there is no fault '418': take some of 429, "),
        ("--fault-rate 1 --fault-seed x", "x is no whole number"),
        ("--fault-rate 1 --fault-stall -1", "--fault-stall"),
        ("--fault-kinds cut --fault-seed 1", "--fault-seed, --fault-kinds: without --fault-rate"),
    ],
)
def test_wrong_words_of_the_command_line_are_told_in_one_line(words, named, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    assert named in capsys.readouterr().err.splitlines()[-1]


def test_a_client_that_breaks_off_its_request_is_noticed(emulator):
    emulator.faults(1, kinds=["429", "reset"], seed=1)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n"
    for _ in range(6):
        with socket.create_connection(("127.0.0.1", urlsplit(emulator.url).port)) as connection:
            connection.sendall(head + b"{")
        emulator.wait_for_request()
    while len(emulator.ledger) < 6:
        pass
    emulator.settle()
    assert [row["closed_early"] for row in emulator.ledger] == [True] * 6
    assert {row["status"] for row in emulator.ledger} == {None}


def test_resets_at_once_do_not_touch_each_other(emulator):
    emulator.faults(0.5, kinds=["reset", "reset-after-head", "cut"], seed=11)
    found = []

    def ask():
        for _ in range(15):
            found.append(Asked(emulator, *chat(stream=True)).read().ending)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    emulator.settle()
    drawn_kinds = Counter(row["fault"] for row in emulator.ledger)
    assert len(found) == 60
    assert found.count("reset") == drawn_kinds["reset"] + drawn_kinds["reset-after-head"]
