"""The pace of embeddings: what passes in any second, and who shares it (WIRE Quotas)."""

import asyncio
import contextvars
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import httpx
import pytest
from pyrate_limiter import InMemoryBucket, RateItem

from langchain_yandex_compat import YandexEmbeddings
from llamaindex_yandex_compat import YandexEmbedding
from yandex_compat import (
    AuthenticationError,
    ConfigurationError,
    MalformedAnswer,
    YandexClient,
    limits,
)
from yandex_compat.limits import PACES, Pace, Paces


def busiest(times: list[float], seconds: float = 1.0) -> int:
    """The most that fell into any stretch of time."""
    times = sorted(times)
    return max(sum(start <= at < start + seconds for at in times) for start in times)


@pytest.fixture
def admitted(monkeypatch) -> list[float]:
    """When each request was let pass."""
    times: list[float] = []
    put = InMemoryBucket.put

    def noted(bucket: InMemoryBucket, item: RateItem) -> bool:
        passes = put(bucket, item)
        if passes:
            times.append(item.timestamp / 1000)
        return passes

    monkeypatch.setattr(InMemoryBucket, "put", noted)
    return times


class Clock:
    """A time of its own, which sleeping moves on; `waits` block, `awaited` ones do not."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.waits: list[float] = []
        self.awaited: list[float] = []

    def monotonic_ns(self) -> int:
        return int(self.now * 1e9)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.awaited.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Iterator[Clock]:
    clock = Clock()
    PACES.forget()
    monkeypatch.setattr(limits, "time", clock)
    monkeypatch.setattr(limits, "asyncio", SimpleNamespace(sleep=clock.asleep))
    yield clock
    PACES.forget()  # those of another time


@pytest.mark.parametrize("per_second", [1, 10, 50, 2.5, 0.5])
def test_no_more_than_the_limit_passes_in_any_second(clock, per_second):
    pace, passed = Pace(per_second), []
    for _ in range(200):
        pace.wait()
        passed.append(clock.now)
    stretch, most = max(1, 1 / per_second), max(1, int(per_second))
    assert busiest(passed, stretch) <= most
    # No slower than the limit, but for the margin.
    assert passed[-1] - passed[0] < 1.1 * 200 * stretch / most


@pytest.mark.parametrize("processes", [3, 4, 8, 10])
def test_several_processes_may_share_ten_a_second(clock, processes):
    """Each by its part, as README says; all begin at once, which is the worst they can do."""
    passed = []
    for _ in range(processes):
        clock.now, pace = 1_000.0, Pace(10 / processes)
        for _ in range(20):
            pace.wait()
            passed.append(clock.now)
    assert busiest(passed) <= 10


def test_what_has_passed_is_forgotten(clock):
    pace = Pace(100)
    for _ in range(5_000):
        pace.wait()
    assert pace._bucket.count() <= 100


def test_an_idle_pace_lets_pass_at_once(clock):
    pace = Pace(10)
    for _ in range(10):
        pace.wait()
    clock.now += 2
    pace.wait()
    assert clock.waits == []


def test_threads_and_event_loops_share_one_pace(admitted):
    pace = Pace(20)

    async def several() -> None:
        await asyncio.gather(*(pace.await_turn() for _ in range(15)))

    with ThreadPoolExecutor(20) as threads:
        asked = [threads.submit(pace.wait) for _ in range(15)]
        asked += [threads.submit(asyncio.run, several()) for _ in range(2)]
        for one in asked:
            one.result()
    assert len(admitted) == 45
    assert busiest(admitted) <= 20


def test_one_asks_a_pace_at_a_time():
    """A bucket counts wrong where two look before either has put its request in."""
    pace, inside = Pace(1_000), []

    class Slow(InMemoryBucket):
        def put(self, item: RateItem) -> bool:
            inside.append(item)
            time.sleep(0.001)
            assert len(inside) == 1
            inside.remove(item)
            return super().put(item)

    pace._bucket = Slow(pace._bucket.rates)
    with ThreadPoolExecutor(8) as threads:
        for asked in [threads.submit(pace.wait) for _ in range(24)]:
            asked.result()


def test_threads_that_ask_at_once_get_one_pace(monkeypatch):
    def slowly(per_second: float) -> Pace:
        time.sleep(0.02)
        return Pace(per_second)

    monkeypatch.setattr(limits, "Pace", slowly)
    paces = Paces()
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: paces.of("one", 10), range(8)))) == 1


def test_waiting_leaves_the_event_loop_free():
    async def scenario() -> list[str]:
        pace, order = Pace(1), []
        await pace.await_turn()

        async def waiting() -> None:
            await pace.await_turn()
            order.append("turn")

        task = asyncio.create_task(waiting())
        for _ in range(5):
            await asyncio.sleep(0)
            order.append("free")
        await task
        return order

    assert asyncio.run(scenario()) == ["free"] * 5 + ["turn"]


def test_first_come_is_first_served(clock):
    async def scenario() -> list[int]:
        pace, order = Pace(2), []

        async def waiting(number: int) -> None:
            await pace.await_turn()
            order.append(number)

        await asyncio.gather(*(waiting(number) for number in range(12)))
        return order

    assert asyncio.run(scenario()) == list(range(12))


def test_those_who_wait_seldom_look():
    """A thousand waiters that all looked each tenth of a second would be busy with it."""
    looks: list[int] = []

    class Noting(Pace):
        def _passed_or_wait(self, ticket: int) -> float:
            looks.append(ticket)
            return super()._passed_or_wait(ticket)

    async def scenario() -> None:
        pace = Noting(10)
        tasks = [asyncio.create_task(pace.await_turn()) for _ in range(500)]
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert pace._waiting == []

    asyncio.run(scenario())
    assert len(looks) < 1_000


def test_those_behind_one_who_goes_away_move_up():
    async def scenario() -> None:
        pace = Pace(5)
        tasks = [asyncio.create_task(pace.await_turn()) for _ in range(500)]
        await asyncio.sleep(0)
        for task in tasks[5:-1]:
            task.cancel()
        await asyncio.wait_for(tasks[-1], 10)

    asyncio.run(scenario())


def test_a_cancelled_waiter_takes_no_turn():
    async def scenario() -> int:
        pace = Pace(1)
        await pace.await_turn()
        task = asyncio.create_task(pace.await_turn())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pace._bucket.count()

    assert asyncio.run(scenario()) == 1


def test_a_quota_has_one_pace_and_others_have_their_own():
    paces = Paces()
    assert paces.of("a", 10) is paces.of("a", 10)
    assert paces.of("a", 10) is not paces.of("b", 10)


def test_the_lowest_rate_of_a_quota_counts(clock):
    paces = Paces()
    pace = paces.of("a", 10)
    pace.wait()
    assert paces.of("a", 5) is pace
    assert paces.of("a", 10) is pace
    for _ in range(4):
        pace.wait()
    assert clock.waits == []
    pace.wait()
    assert len(clock.waits) == 1
    clock.now += 10
    assert paces.of("a", 10).per_second == 10  # nobody is left who asked for less


def test_idle_paces_are_forgotten(clock):
    paces = Paces()
    for number in range(100):
        paces.of(number, 10).wait()
        clock.now += 10
    assert len(paces._paces) < 5


def test_a_pace_that_was_just_asked_for_is_kept_although_nobody_waits_yet(clock):
    paces = Paces()
    asked = paces.of("one", 10)
    paces.of("two", 10)
    assert paces.of("one", 10) is asked
    assert paces.of("one", 5) is asked


@pytest.mark.parametrize("place", ["_queue", "_passed_or_wait"])
def test_an_interrupt_at_any_place_leaves_nobody_in_the_queue(clock, monkeypatch, place):
    pace, real = Pace(10), getattr(Pace, place)

    def interrupted(self: Pace, ticket: int) -> float:
        real(self, ticket)
        raise KeyboardInterrupt

    monkeypatch.setattr(Pace, place, interrupted)
    with pytest.raises(KeyboardInterrupt):
        pace.wait()
    assert pace._waiting == []


def test_no_credential_is_kept_in_plain_text(emulator):
    client = YandexClient(api_key="test-key", folder_id="test-folder", base_url=emulator.chat_url)
    client.embed("a", model="text-search-doc")
    assert "test-key" not in repr(PACES._paces)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_waits_for_no_lock_of_its_parent():
    pace = PACES.of("of the parent", 5)
    held = threading.Event()
    done = threading.Event()

    def hold() -> None:
        with PACES._lock, pace._lock:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)

    def child() -> None:
        PACES.of("of the parent", 5).wait()

    process = multiprocessing.get_context("fork").Process(target=child, daemon=True)
    process.start()
    process.join(30)
    process.kill()
    done.set()
    thread.join()
    assert process.exitcode == 0


# Clients and the classes of both frameworks.


@pytest.fixture
def words() -> Iterator[dict[str, object]]:
    """The words that lead to a service which answers at once, under a quota nobody used yet."""
    body = {"data": [{"index": 0, "embedding": [1.0]}]}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=body)

    PACES.forget()
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        async_client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        yield {
            "api_key": "k", "folder_id": "f",
            "http_client": client, "http_async_client": async_client,
        }  # fmt: skip
        asyncio.run(async_client.aclose())
    PACES.forget()


def test_ten_a_second_is_kept_by_all_who_share_key_and_folder(words, admitted):
    """Both frameworks, blocking and async, in threads and event loops, by default."""
    texts = [str(number) for number in range(8)]
    langchain, llamaindex = YandexEmbeddings(**words), YandexEmbedding(**words)
    with ThreadPoolExecutor(4) as threads:
        asked = [
            threads.submit(langchain.embed_documents, texts),
            threads.submit(llamaindex.get_text_embedding_batch, texts),
            threads.submit(lambda: asyncio.run(langchain.aembed_documents(texts))),
            threads.submit(lambda: asyncio.run(llamaindex.aget_text_embedding_batch(texts))),
        ]
        for one in asked:
            assert len(one.result()) == 8
    assert len(admitted) == 32
    assert busiest(admitted) <= 10


@pytest.mark.parametrize(
    "other", [{"api_key": "other-key"}, {"folder_id": "g"}, {"base_url": "http://127.0.0.1:9/v1"}]
)
def test_who_shares_no_quota_waits_for_nobody(words, clock, other):
    YandexEmbeddings(**words).embed_documents(["a"] * 10)
    YandexEmbeddings(**words | other).embed_documents(["a"] * 10)
    assert clock.waits == []
    YandexEmbeddings(**words).embed_query("a")
    assert len(clock.waits) == 1


def test_a_pace_of_one_s_own_and_none(words, clock):
    YandexEmbedding(**words, requests_per_second=2).get_text_embedding_batch(["a"] * 2)
    assert clock.waits == []
    YandexEmbedding(**words, requests_per_second=2).get_query_embedding("a")
    assert len(clock.waits) == 1
    clock.waits.clear()
    YandexEmbedding(**words, requests_per_second=0).get_text_embedding_batch(["a"] * 50)
    assert clock.waits == []


@pytest.mark.parametrize("asynchronous", [False, True])
def test_second_tries_are_paced_too(emulator, clock, waits, asynchronous):
    client = YandexClient(
        api_key="test-key", folder_id="test-folder", base_url=emulator.chat_url,
        requests_per_second=1, max_retries=2,
    )  # fmt: skip
    emulator.script(*[{"status": 429, "path": "/v1/embeddings"}] * 2)
    if asynchronous:
        asyncio.run(client.aembed("a", model="text-search-doc"))
    else:
        client.embed("a", model="text-search-doc")
    assert len(emulator.requests) == 3
    waited, other = clock.waits, clock.awaited
    if asynchronous:
        waited, other = other, waited
    assert len(waited) == 2
    assert other == []  # an event loop is never blocked


class OwnAuth(httpx.Auth):
    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        request.headers["Authorization"] = "Api-Key test-key"
        yield request


def test_each_auth_of_a_user_s_own_is_a_quota_of_its_own(emulator, clock):
    words = {"folder_id": "test-folder", "base_url": emulator.chat_url, "requests_per_second": 1}
    shared = OwnAuth()
    clients = [YandexClient(auth=auth, **words) for auth in (shared, OwnAuth(), shared)]
    for client, paced in zip(clients, (0, 0, 1), strict=True):
        client.embed("a", model="text-search-doc")
        assert len(clock.waits) == paced


@pytest.mark.parametrize("wrong", [-1, "ten", True, float("inf"), float("nan"), 1e-9])
def test_a_pace_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="requests_per_second"):
        YandexClient(api_key="k", folder_id="f", requests_per_second=wrong)


@pytest.mark.parametrize("kind", [YandexEmbeddings, YandexEmbedding])
def test_the_classes_refuse_it_too(kind):
    with pytest.raises(ConfigurationError, match="requests_per_second"):
        kind(api_key="k", folder_id="f", requests_per_second=-1)


# Many texts.

PATH = "/v1/embeddings"


@pytest.fixture
def client(emulator) -> Iterator[YandexClient]:
    with YandexClient(
        api_key="test-key",
        folder_id="test-folder",
        base_url=emulator.chat_url,
        requests_per_second=0,
        max_retries=0,
    ) as client:
        yield client  # fmt: skip


def embedded(client: YandexClient, texts: list[str], asynchronous: bool) -> list[list[float]]:
    if asynchronous:
        found = asyncio.run(client.aembed_all(texts, model="text-search-doc"))
    else:
        found = client.embed_all(texts, model="text-search-doc")
    return [embedding.vector for embedding in found]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("count", [0, 1, 3, 25])
def test_vectors_stand_in_the_order_of_their_texts(client, emulator, asynchronous, count):
    texts = [f"text {number % 7}" for number in range(count)]
    found = embedded(client, texts, asynchronous)
    emulator.settle()
    assert sorted(record["body"]["input"] for record in emulator.requests) == sorted(
        [text] for text in texts
    )
    assert found == [client.embed(text, model="text-search-doc").vector for text in texts]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_after_a_failure_nothing_more_is_sent(client, emulator, asynchronous):
    emulator.script(*[{"status": 401, "path": PATH, "body": {}}] * 200)
    with pytest.raises(AuthenticationError):
        embedded(client, [str(number) for number in range(200)], asynchronous)
    emulator.settle()
    # A few more may go out before the one who waits for the first has woken up.
    assert len(emulator.requests) < 200


def test_the_first_failure_in_time_is_raised_at_once():
    """However long the text that stands first takes."""
    release = threading.Event()

    def service(request: httpx.Request) -> httpx.Response:
        if b'"0"' in request.content:
            release.wait(30)
        return httpx.Response(401, json={"error": "no"})

    with httpx.Client(transport=httpx.MockTransport(service)) as http_client:
        client = YandexClient(
            api_key="k", folder_id="f", requests_per_second=0, http_client=http_client
        )
        with pytest.raises(AuthenticationError):
            client.embed_all([str(number) for number in range(9)], model="text-search-doc")
        assert not release.is_set()
        release.set()


@pytest.mark.parametrize("ending", ["thread", "atexit", "interrupt"])
def test_texts_are_embedded_while_the_program_ends(emulator, ending):
    code = f"""
import atexit, os, signal, threading, time, sys
from yandex_compat import YandexClient
client = YandexClient(api_key="test-key", folder_id="test-folder", base_url={emulator.chat_url!r})

def work():
    print(len(client.embed_all(["a", "b", "c"], model="text-search-doc")))

if {ending!r} == "atexit":
    atexit.register(work)
elif {ending!r} == "thread":
    main = threading.main_thread()
    threading.Thread(target=lambda: (main.join(), time.sleep(0.2), work())).start()
else:
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    try:
        work()
    except KeyboardInterrupt:
        print("interrupted")
"""
    if ending == "interrupt":
        held = {"status": 200, "path": PATH, "body": {}, "gate": True}
        emulator.script(held, held, held)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout == ("interrupted\n" if ending == "interrupt" else "3\n"), ran.stderr
    assert ran.stderr == ""


def test_what_tracing_keeps_goes_along(emulator):
    span = contextvars.ContextVar("span", default=None)
    seen = []

    def service(request: httpx.Request) -> httpx.Response:
        seen.append(span.get())
        return httpx.Response(200, json={"data": [{"index": 0, "embedding": [1.0]}]})

    span.set("mine")
    with httpx.Client(transport=httpx.MockTransport(service)) as http_client:
        client = YandexClient(
            api_key="k", folder_id="f", requests_per_second=0, http_client=http_client
        )
        client.embed_all(["a", "b", "c"], model="text-search-doc")
    assert seen == ["mine"] * 3


@pytest.mark.parametrize("asynchronous", [False, True])
def test_vectors_of_several_lengths_are_malformed(client, emulator, asynchronous):
    replies = [{"data": [{"index": 0, "embedding": [1.0] * size}]} for size in (3, 2, 3)]
    emulator.script(*[{"status": 200, "path": PATH, "body": reply} for reply in replies])
    with pytest.raises(MalformedAnswer, match="2 and 3 numbers"):
        embedded(client, ["a", "b", "c"], asynchronous)


def test_texts_go_out_a_few_at_a_time():
    """Each of four answers waits until all four were asked for."""
    four = threading.Barrier(4, timeout=20)

    def service(request: httpx.Request) -> httpx.Response:
        four.wait()
        return httpx.Response(200, json={"data": [{"index": 0, "embedding": [1.0]}]})

    with httpx.Client(transport=httpx.MockTransport(service)) as http_client:
        client = YandexClient(
            api_key="k", folder_id="f", requests_per_second=0, http_client=http_client
        )
        assert len(client.embed_all(["a"] * 8, model="text-search-doc")) == 8


def test_a_cancelled_batch_sends_nothing_more(client, emulator):
    emulator.script({"status": 200, "path": PATH, "body": {}, "gate": True})

    async def scenario() -> None:
        texts = [str(number) for number in range(30)]
        task = asyncio.create_task(client.aembed_all(texts, model="text-search-doc"))
        await asyncio.to_thread(emulator.wait_for_request)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())
    emulator.release()
    emulator.settle()
    assert len(emulator.requests) < 30
