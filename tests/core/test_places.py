"""Places: how many generations run at once, who waits for whom, and what gives a place back."""

import asyncio
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy, deepcopy
from functools import partial

import httpx
import pytest
import tenacity
from tenacity import AsyncRetrying, Retrying

from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexLLM
from yandex_compat import (
    CompletionRequest,
    ConfigurationError,
    NoFreePlace,
    YandexClient,
    YandexError,
)
from yandex_compat import places as places_module
from yandex_compat.deadlines import Deadline
from yandex_compat.emulator import Emulator
from yandex_compat.places import Places, shared_places

SOON = 0.05


class Busy:
    """Counts those who are inside at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    def come(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def go(self) -> None:
        with self._lock:
            self.now -= 1


def until(true) -> None:
    for _ in range(2_000):
        if true():
            return
        time.sleep(0.005)
    raise AssertionError("it does not come true")


# The places alone.


def test_threads_and_event_loops_share_them():
    places, busy = Places(), Busy()

    def work() -> None:
        place = places.take(3, 30)
        busy.come()
        time.sleep(0.001)
        busy.go()
        place.give_back()

    async def awork() -> None:
        place = await places.atake(3, 30)
        busy.come()
        await asyncio.sleep(0.001)
        busy.go()
        place.give_back()

    async def tasks() -> None:
        await asyncio.gather(*(awork() for _ in range(40)))

    with ThreadPoolExecutor(12) as threads:
        jobs = [threads.submit(work) for _ in range(60)]
        jobs += [threads.submit(asyncio.run, tasks()) for _ in range(2)]
        for job in jobs:
            job.result(30)
    assert (busy.now, busy.most) == (0, 3)


def test_first_come_is_first_served():
    places, order = Places(), []
    held = places.take(1, 30)

    def work(number: int) -> None:
        place = places.take(1, 30)
        order.append(number)
        place.give_back()

    async def awork(number: int) -> None:
        place = await places.atake(1, 30)
        order.append(number)
        place.give_back()

    threads = []
    for number in range(12):
        job = partial(work, number) if number % 2 else partial(asyncio.run, awork(number))
        threads.append(threading.Thread(target=job))
        threads[-1].start()
        until(lambda: len(places._waiting) == len(threads))
    held.give_back()
    for thread in threads:
        thread.join(10)
    assert order == list(range(12))


def test_who_comes_late_does_not_overtake():
    places = Places()
    held = places.take(1, 30)
    waiting = threading.Thread(target=lambda: places.take(1, 30))
    waiting.start()
    until(lambda: places._waiting)
    with pytest.raises(NoFreePlace):
        places.take(5, SOON)  # there would be room for it, but not for the one before
    held.give_back()
    waiting.join(10)


def test_each_waits_until_fewer_run_than_it_says():
    places = Places()
    held = [places.take(3, 30) for _ in range(3)]
    with pytest.raises(NoFreePlace):
        places.take(3, SOON)
    places.take(4, 30).give_back()
    held.pop().give_back()
    with pytest.raises(NoFreePlace):
        places.take(2, SOON)


def test_a_place_is_given_back_once():
    places = Places()
    place, other = places.take(2, 30), places.take(2, 30)
    place.give_back()
    place.give_back()
    third = places.take(2, SOON)
    with pytest.raises(NoFreePlace):
        places.take(2, SOON)
    other.give_back()
    third.give_back()


async def streamed_text(client: YandexClient, request: CompletionRequest) -> str:
    return "".join([delta.text async for delta in client.astream(request)])


async def taken(places: Places, asynchronous: bool, *words: object) -> object:
    return await places.atake(*words) if asynchronous else places.take(*words)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_where_nothing_moves_it_is_given_up_by_name(asynchronous):
    places = Places()
    held = places.take(1, 30)
    with pytest.raises(NoFreePlace, match=r"timeout=0\.05 s.*max_concurrency") as raised:
        await taken(places, asynchronous, 1, SOON)
    assert not raised.value.retryable
    assert not places._waiting
    held.give_back()
    assert await taken(places, asynchronous, 1, SOON)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_the_deadline_ends_the_wait(asynchronous):
    places = Places()
    held = places.take(1, 30)
    with pytest.raises(NoFreePlace, match=r"total_timeout=0\.05 s"):
        await taken(places, asynchronous, 1, 30, Deadline.after("total_timeout", SOON))
    held.give_back()


def test_a_queue_that_moves_may_take_longer_than_one_waits_in_vain(monkeypatch):
    """Each of ten goes on for nine tenths of what one waits for the next to move."""
    places, now = Places(), [0.0]
    monkeypatch.setattr(places_module.time, "monotonic", lambda: now[0])
    held = places.take(1, 30)
    for _ in range(10):
        now[0] += 0.75
        waiter = places._asked(1)
        held.give_back()
        assert places._seconds_to_wait(0.0, 1.0, Deadline()) == 1.0
        held = waiter.place.result(0)
    now[0] += 1.0
    assert places._seconds_to_wait(0.0, 1.0, Deadline()) == 0


def test_a_place_that_comes_as_its_waiter_gives_up_is_taken():
    places = Places()
    held = places.take(1, 30)
    waiter = places._asked(1)
    held.give_back()
    place = places._given_up(waiter, 30, Deadline())
    with pytest.raises(NoFreePlace):
        places.take(1, SOON)
    place.give_back()
    places.take(1, SOON)


def test_a_cancelled_waiter_takes_none_and_those_behind_move_up():
    places = Places()
    held = places.take(1, 30)

    async def scenario() -> None:
        task = asyncio.create_task(places.atake(1, 30))
        behind = asyncio.create_task(places.atake(2, 30))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (await behind).give_back()

    asyncio.run(scenario())
    held.give_back()
    places.take(1, SOON)


def test_a_place_that_comes_while_its_waiter_is_cancelled_goes_on():
    places = Places()
    held = places.take(1, 30)

    async def scenario() -> None:
        task = asyncio.create_task(places.atake(1, 30))
        await asyncio.sleep(0)
        held.give_back()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    places.take(1, SOON)


def test_an_interrupt_leaves_the_queue(monkeypatch):
    places = Places()
    held = places.take(1, 30)

    def interrupted(*_: object) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(places, "_seconds_to_wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            places.take(1, 30)
    assert not places._waiting
    held.give_back()
    places.take(1, SOON)


def test_a_forgotten_place_is_given_back_also_under_the_lock():
    places = Places()
    knot = [places.take(1, 30)]
    knot.append(knot)
    del knot
    with places._lock:
        gc.collect()
    places.take(1, 10)


def test_a_forgotten_place_is_given_back_where_no_thread_is_left(monkeypatch):
    def none_left(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    places = Places()
    knot = [places.take(1, 30)]
    knot.append(knot)
    waiter = places._asked(1)
    monkeypatch.setattr(places_module, "start_new_thread", none_left)
    del knot
    with places._lock:
        gc.collect()
    last = places._asked(1)
    waiter.place.result(10).give_back()
    last.place.result(10).give_back()
    assert places._taken == 0


def test_places_that_nobody_needs_are_forgotten():
    held = shared_places("quota").take(1, 30)
    with pytest.raises(NoFreePlace):
        shared_places("quota").take(1, SOON)
    assert "quota" in places_module._SHARED
    held.give_back()
    del held
    gc.collect()
    assert "quota" not in places_module._SHARED


def test_a_forked_child_starts_with_none_taken_and_waits_for_no_lock():
    quota = object()
    places = shared_places(quota)
    held = places.take(1, 30)
    with places._lock, places_module._SHARED_LOCK:
        child = os.fork()
        if not child:  # pragma: no cover -- in the child
            code = 1
            try:
                shared_places(quota).take(1, SOON)
                held.give_back()
                code = 0
            finally:
                os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(NoFreePlace):
        places.take(1, SOON)
    held.give_back()


# Through the clients.


@pytest.fixture
def make(emulator):
    """Makes clients of the emulated account."""

    def made(*, kind: type = YandexClient, **words: object):
        known = {"api_key": "test-key", "folder_id": "test-folder", "base_url": emulator.chat_url}
        return kind(**known | words)

    return made


def native(emulator) -> dict[str, str]:
    return {"api": "completion", "base_url": emulator.native_url}


@pytest.mark.parametrize("kind", [YandexClient, ChatYandex, YandexLLM])
@pytest.mark.parametrize(
    ("words", "limit"),
    [
        ({}, 10),
        ({"base_url": "https://llm.api.cloud.yandex.net/v1"}, 10),
        ({"api": "completion"}, 10),
        ({"base_url": "https://models.test/v1"}, 0),
        ({"max_concurrency": 0}, 0),
        ({"base_url": "https://models.test/v1", "max_concurrency": 3}, 3),
    ],
)
def test_ten_on_the_service_s_hosts_and_none_elsewhere(kind, words, limit):
    model = kind(api_key="k", folder_id="f", **words)
    settings = model.settings if kind is YandexClient else model._client.settings
    assert settings.max_concurrency == limit


@pytest.mark.parametrize("kind", [YandexClient, ChatYandex, YandexLLM])
@pytest.mark.parametrize("wrong", [-1, 2.5, "10-AQVN-secret"])
def test_a_wrong_number_is_refused(kind, wrong):
    with pytest.raises((ConfigurationError, ValueError), match="max_concurrency") as raised:
        kind(api_key="k", folder_id="f", max_concurrency=wrong)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("api", ["chat", "completion"])
def test_eleven_streams_in_one_thread_fail_by_name(make, emulator, request_of, api):
    emulator.script(*[{"text": "one two three"}] * 12)
    client = make(max_concurrency=10, timeout=0.3, **native(emulator) if api != "chat" else {})
    streams = [client.stream(request_of()) for _ in range(11)]
    for stream in streams[:10]:
        next(stream)
    with pytest.raises(NoFreePlace, match="10 concurrent generations"):
        next(streams[10])
    assert len(emulator.requests) == 10
    streams.pop(0).close()
    assert client.complete(request_of()).text
    for stream in streams:
        stream.close()


@pytest.mark.parametrize("api", ["chat", "completion"])
async def test_eleven_streams_in_one_event_loop_fail_by_name(make, emulator, request_of, api):
    emulator.script(*[{"text": "one two three"}] * 12)
    client = make(max_concurrency=10, timeout=0.3, **native(emulator) if api != "chat" else {})
    streams = [client.astream(request_of()) for _ in range(11)]
    for stream in streams[:10]:
        await anext(stream)
    with pytest.raises(NoFreePlace, match="10 concurrent generations"):
        await anext(streams[10])
    assert len(emulator.requests) == 10
    await streams.pop(0).aclose()
    assert (await client.acomplete(request_of())).text
    for stream in streams:
        await stream.aclose()


def test_a_forgotten_stream_gives_its_place_back(make, emulator, request_of):
    emulator.script({"text": "one two three"})
    client = make(max_concurrency=1)
    forgotten = client.stream(request_of())
    next(forgotten)
    knot = [forgotten]
    knot.append(knot)
    del forgotten, knot
    gc.collect()
    assert client.complete(request_of()).text


async def test_a_forgotten_async_stream_gives_its_place_back(make, emulator, request_of):
    emulator.script({"text": "one two three"})
    client = make(max_concurrency=1)
    async for _ in client.astream(request_of()):
        break
    gc.collect()
    assert (await client.acomplete(request_of())).text


def test_a_stream_left_behind_by_an_event_loop_that_was_not_shut_down_gives_it_back(
    make, emulator, request_of
):
    emulator.script({"text": "one two three"})
    client = make(max_concurrency=1)
    rough = asyncio.new_event_loop()
    stream = client.astream(request_of())
    rough.run_until_complete(anext(stream))
    with pytest.raises(NoFreePlace):
        make(max_concurrency=1, timeout=SOON).complete(request_of())
    rough.run_until_complete(stream.aclose())
    rough.run_until_complete(client.aclose())
    rough.close()
    assert client.complete(request_of()).text


async def test_a_cancelled_call_gives_its_place_back(make, emulator, request_of):
    emulator.script({"text": "held", "gate": True})
    client = make(max_concurrency=1)
    task = asyncio.create_task(client.acomplete(request_of()))
    await asyncio.to_thread(emulator.wait_for_request)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await client.acomplete(request_of())).text


@pytest.mark.parametrize("status", [400, 429, 503])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_failure_gives_its_place_back(make, emulator, request_of, status, streamed):
    emulator.script(*[{"status": status, "body": {"error": "no"}}] * 2)
    client = make(max_concurrency=1, max_retries=0)
    with pytest.raises(YandexError):
        list(client.stream(request_of())) if streamed else client.complete(request_of())
    with pytest.raises(YandexError):
        await (streamed_text(client, request_of()) if streamed else client.acomplete(request_of()))
    assert client.complete(request_of()).text


def test_it_is_given_back_while_one_waits_to_try_again(make, emulator, request_of, monkeypatch):
    """What is asked during the wait, in its own thread, has its place and its answer."""
    emulator.script({"status": 503, "body": {"error": "no"}}, {"text": "between"}, {"text": "own"})
    client, between = make(max_concurrency=1), []

    def asks(_: float) -> None:
        between.append(client.complete(request_of()).text)

    monkeypatch.setattr(tenacity, "Retrying", partial(Retrying, sleep=asks))
    assert (client.complete(request_of()).text, between) == ("own", ["between"])


async def test_it_is_given_back_while_one_awaits_to_try_again(
    make, emulator, request_of, monkeypatch
):
    emulator.script({"status": 503, "body": {"error": "no"}}, {"text": "between"}, {"text": "own"})
    client, between = make(max_concurrency=1), []

    async def asks(_: float) -> None:
        between.append((await client.acomplete(request_of())).text)

    monkeypatch.setattr(tenacity, "AsyncRetrying", partial(AsyncRetrying, sleep=asks))
    assert ((await client.acomplete(request_of())).text, between) == ("own", ["between"])


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        ({}, True),
        ({"max_retries": 5, "default_headers": {"x-mine": "1"}}, True),
        ("native", True),
        ({"folder_id": "other-folder"}, False),
        ({"api_key": "other-key"}, False),
        ({"api_key": None, "iam_token": "t1.test-token"}, False),
    ],
)
def test_who_has_one_key_and_folder_shares_them(request_of, other, shared):
    with Emulator(
        api_keys=("test-key", "other-key"), folders=("test-folder", "other-folder")
    ) as account:
        known = {"api_key": "test-key", "folder_id": "test-folder", "base_url": account.chat_url}
        known |= {"max_concurrency": 1, "timeout": 0.3}
        other = native(account) if other == "native" else other
        account.script({"text": "one two three"})
        stream = YandexClient(**known).stream(request_of())
        next(stream)
        second = YandexClient(**known | other)
        if shared:
            with pytest.raises(NoFreePlace):
                second.complete(request_of())
        else:
            assert second.complete(request_of()).text
        stream.close()


class Tokens:
    """Gives tokens, and takes each of its kind for its equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokens)

    def __hash__(self) -> int:
        return 1

    def token(self) -> str:
        return "t1.test-token"

    __call__ = token


def test_who_has_one_function_for_a_token_shares_them(make):
    def places(auth: object, kind: type = YandexClient) -> Places:
        model = make(api_key=None, auth=auth, max_concurrency=1, kind=kind)
        return (model if kind is YandexClient else model._client)._transport.places("f", "m")

    one, other = Tokens(), Tokens()
    for auth in (lambda: "t1.test-token", one, one.token):
        for kind in (YandexClient, ChatYandex, YandexLLM):
            assert places(auth, kind) is places(auth)
    # One method of one object, which is another one each time it is asked for.
    assert places(one.token) is places(one.token)
    assert len({places(auth) for auth in (one, other, one.token, other.token, one.__call__)}) == 4
    model = make(api_key=None, auth=one.token, max_concurrency=1, kind=ChatYandex)
    before = model._client._transport.places("f", "m")
    model.timeout = 5
    assert model._client._transport.places("f", "m") is before


def test_each_model_has_its_own_whatever_its_branch(make, emulator, request_of):
    emulator.script({"text": "one two three"})
    client = make(max_concurrency=1, timeout=0.3)
    stream = client.stream(request_of(model="yandexgpt/rc"))
    next(stream)
    assert client.complete(request_of(model="qwen3-235b-a22b-fp8")).text
    for name in ("yandexgpt", "gpt://test-folder/yandexgpt/latest"):
        with pytest.raises(NoFreePlace):
            client.complete(request_of(model=name))
    stream.close()


@pytest.mark.parametrize("again", [copy, deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_share_them(make, emulator, request_of, again):
    emulator.script({"text": "one two three"})
    client = make(max_concurrency=1, timeout=0.3)
    stream = client.stream(request_of())
    next(stream)
    with pytest.raises(NoFreePlace):
        again(client).complete(request_of())
    stream.close()


def test_what_generates_nothing_needs_none(make, emulator, request_of):
    emulator.script({"text": "one two three"})
    client = make(max_concurrency=1, timeout=0.3)
    stream = client.stream(request_of())
    next(stream)
    assert client.embed("a", model="text-search-doc").vector
    assert client.tokenize("a", model="yandexgpt")
    assert client.models()
    stream.close()


def test_both_frameworks_keep_to_a_quota_that_is_enforced():
    """The emulator refuses the fourth at once; nothing is tried again, and nothing is refused."""
    with Emulator(quota=3, chunk_delay=0.001) as account:
        words = {
            "api_key": "test-key",
            "folder_id": "test-folder",
            "base_url": account.chat_url,
            "max_retries": 0,
            "max_concurrency": 3,
        }
        chat, llm = ChatYandex(**words), YandexLLM(**words)

        async def tasks() -> None:
            await asyncio.gather(
                chat.abatch(["Hi"] * 20),
                *(llm.acomplete("Hi") for _ in range(20)),
            )

        with ThreadPoolExecutor(8) as threads:
            jobs = [threads.submit(asyncio.run, tasks())]
            jobs += [threads.submit(lambda: list(chat.stream("Hi"))) for _ in range(10)]
            jobs += [threads.submit(llm.complete, "Hi") for _ in range(10)]
            for job in jobs:
                job.result(60)
        assert [seen["status"] for seen in account.requests] == [200] * 60


def test_no_connection_is_opened_for_who_waits(raw_server, request_of):
    never = threading.Event()
    server = raw_server(never)
    client = YandexClient(
        api_key="k", folder_id="f", base_url=server.url, max_concurrency=1, max_retries=0
    )

    def ask() -> None:
        with suppress(YandexError):
            client.complete(request_of())

    first = threading.Thread(target=ask)
    first.start()
    until(lambda: server.connections)
    with pytest.raises(NoFreePlace):
        YandexClient(
            api_key="k", folder_id="f", base_url=server.url, max_concurrency=1, timeout=SOON
        ).complete(request_of())
    assert server.connections == 1
    never.set()
    first.join(10)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_total_timeout_counts_the_wait(make, emulator, request_of, asynchronous):
    emulator.script({"text": "one two three"})
    client = make(max_concurrency=1, total_timeout=0.3)
    stream = make(max_concurrency=1).stream(request_of())
    next(stream)
    with pytest.raises(NoFreePlace, match=r"total_timeout=0\.3 s"):
        await client.acomplete(request_of()) if asynchronous else client.complete(request_of())
    stream.close()


def test_ten_run_at_once_and_no_more_on_the_service_s_own_host(client_over, request_of):
    """Each answer waits until ten were asked for."""
    busy, ten = Busy(), threading.Barrier(10, timeout=20)

    def service(request: httpx.Request) -> httpx.Response:
        busy.come()
        ten.wait()
        busy.go()
        answer = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
        return httpx.Response(200, json=answer)

    client = client_over(service)
    with ThreadPoolExecutor(30) as threads:
        list(threads.map(client.complete, [request_of()] * 60))
    assert busy.most == 10


ENDING = """
import asyncio, sys, threading, time
from yandex_compat import CompletionRequest, Message, YandexClient

words = {"api_key": "test-key", "folder_id": "test-folder", "base_url": sys.argv[1]}
client = YandexClient(**words, max_concurrency=1)
request = CompletionRequest("yandexgpt", (Message("user", "Hi"),))
places = client._transport.places("test-folder", "yandexgpt")

async def left_open():
    stream = client.astream(request)
    await anext(stream)
    asyncio.create_task(client.acomplete(request))
    await asyncio.sleep(0.05)

if sys.argv[2] == "blocking":
    stream = client.stream(request)
    next(stream)
    threading.Thread(target=client.complete, args=(request,), daemon=True).start()
    while not places._waiting:
        time.sleep(0.001)
else:
    asyncio.run(left_open())
    print(client.complete(request).text)
print("end")
"""


@pytest.mark.parametrize("way", ["blocking", "async"])
def test_a_program_ends_with_a_stream_open_and_others_waiting_for_its_place(emulator, way):
    emulator.script({"text": "one two three"})
    script = [sys.executable, "-W", "error", "-c", ENDING, emulator.chat_url, way]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "end"
