"""A limiter of the user's own: entered for each request, blocking or async, and always left."""

import asyncio
import gc
import pickle
import threading
import time
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from copy import copy, deepcopy

import pytest

from langchain_yandex_compat import ChatYandex, YandexEmbeddings
from llamaindex_yandex_compat import YandexEmbedding, YandexLLM
from yandex_compat import (
    ConfigurationError,
    ConnectionFailed,
    RequestTimedOut,
    ServerError,
    YandexClient,
    limiters,
)


class Blocking(AbstractContextManager):
    """Counts who is in, and who was; none of its methods is called in an event loop."""

    def __init__(self, places: int = 1) -> None:
        self.inside = self.entered = 0
        self._places = threading.Semaphore(places)

    def __enter__(self) -> None:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        self._places.acquire()
        self.inside += 1
        self.entered += 1

    def __exit__(self, *error: object) -> None:
        self.inside -= 1
        self._places.release()


class Async(AbstractAsyncContextManager):
    """Counts who is in, and who was."""

    def __init__(self) -> None:
        self.inside = self.entered = 0

    async def __aenter__(self) -> None:
        self.inside += 1
        self.entered += 1

    async def __aexit__(self, *error: object) -> None:
        self.inside -= 1


class Both(Blocking, Async):
    """Counts those who come by either way."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited = 0

    async def __aenter__(self) -> None:
        await Async.__aenter__(self)
        self.awaited += 1


class Shared:
    """Pickles, as one that several machines share does."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


class Refusing(Shared):
    """Lets nobody in."""

    def __enter__(self) -> None:
        raise LookupError("closed on Sundays")


class Stuck(Shared):
    """Lets everybody in, and nobody out in peace."""

    def __exit__(self, *error: object) -> None:
        raise LookupError("the door is jammed")


@pytest.fixture
def make(emulator):
    def made(limiter: object, kind: type = YandexClient, **words: object):
        known = {"api_key": "test-key", "folder_id": "test-folder", "base_url": emulator.chat_url}
        return kind(**known, limiter=limiter, **words)

    return made


def test_blocking_calls_enter_and_leave_it(make, request_of):
    limiter = Blocking()
    client = make(limiter)
    client.complete(request_of())
    list(client.stream(request_of()))
    client.embed("a", model="text-search-doc")
    assert (limiter.entered, limiter.inside) == (3, 0)
    client.models()
    client.tokenize("a", model="yandexgpt")
    assert limiter.entered == 3


@pytest.mark.parametrize("kind", [Async, Blocking, Both])
async def test_async_calls_enter_and_leave_either(make, request_of, kind):
    limiter = kind()
    client = make(limiter)
    await client.acomplete(request_of())
    assert [delta async for delta in client.astream(request_of())]
    await client.aembed("a", model="text-search-doc")
    assert (limiter.entered, limiter.inside) == (3, 0)
    assert getattr(limiter, "awaited", 3) == 3


def test_blocking_calls_refuse_one_that_is_async_only(make, request_of, emulator):
    with pytest.raises(ConfigurationError, match=r"limiter.*async.*Async\)"):
        make(Async()).complete(request_of())
    assert emulator.requests == []


class OfOneLoop(Both):
    """Can be awaited in one event loop only, and tells so, as those of Dask do."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop

    @property
    def asynchronous(self) -> bool:
        return asyncio.get_running_loop() is self._loop

    async def __aenter__(self) -> None:
        assert self.asynchronous
        await super().__aenter__()


async def test_one_of_another_event_loop_is_entered_as_a_blocking_one(make, request_of):
    limiter = OfOneLoop(asyncio.get_running_loop())
    client = make(limiter)
    await client.acomplete(request_of())
    assert (limiter.entered, limiter.awaited, limiter.inside) == (1, 1, 0)
    await asyncio.to_thread(asyncio.run, client.acomplete(request_of()))
    assert (limiter.entered, limiter.awaited, limiter.inside) == (2, 1, 0)


@pytest.mark.parametrize("kind", [YandexClient, ChatYandex, YandexLLM, YandexEmbeddings])
def test_what_is_no_context_manager_is_refused(make, kind):
    with pytest.raises(ConfigurationError, match=r"limiter must be a context manager.*not int"):
        make(5, kind)


def test_both_frameworks_enter_it(make):
    limiter = Blocking()
    make(limiter, ChatYandex).invoke("Hi")
    make(limiter, YandexLLM).complete("Hi")
    make(limiter, YandexEmbeddings).embed_documents(["a", "b"])
    make(limiter, YandexEmbedding).get_text_embedding_batch(["a", "b"])
    assert (limiter.entered, limiter.inside) == (6, 0)


def test_a_stream_is_inside_until_it_is_closed(make, emulator, request_of):
    emulator.script({"text": "one two three"})
    limiter = Blocking()
    stream = make(limiter).stream(request_of())
    next(stream)
    assert limiter.inside == 1
    stream.close()
    assert limiter.inside == 0


def test_a_forgotten_stream_leaves(make, emulator, request_of):
    emulator.script({"text": "one two three"})
    limiter = Blocking()
    stream = make(limiter).stream(request_of())
    next(stream)
    del stream
    gc.collect()
    make(limiter).complete(request_of())  # else it waits for ever
    assert limiter.inside == 0


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_each_attempt_enters_and_failures_leave(
    make, emulator, request_of, waits, asynchronous
):
    emulator.script(*[{"status": 503, "body": {"error": "no"}}] * 3)
    limiter = Blocking()
    client = make(limiter, max_retries=2)
    with pytest.raises(ServerError):
        await (
            client.acomplete(request_of())
            if asynchronous
            else asyncio.to_thread(client.complete, request_of())
        )
    assert (limiter.entered, limiter.inside) == (3, 0)


async def test_many_tasks_wait_in_it_and_those_inside_still_leave(make, request_of):
    """More tasks than asyncio's own pool has threads, so that to leave by it would never come."""
    limiter = Blocking(2)
    client = make(limiter)
    await asyncio.gather(*(client.acomplete(request_of()) for _ in range(60)))
    assert (limiter.entered, limiter.inside) == (60, 0)


async def test_who_is_cancelled_while_waiting_takes_none_away(make, emulator, request_of):
    limiter = Blocking()
    client = make(limiter)
    limiter._places.acquire()
    task = asyncio.create_task(client.acomplete(request_of()))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    limiter._places.release()
    await client.acomplete(request_of())
    # The one that was given up gets in at some time, and out again at once.
    while limiter.entered < 2 or limiter.inside:
        await asyncio.sleep(0.001)
    assert len(emulator.requests) == 1


async def test_the_deadline_ends_the_wait_in_an_event_loop(make, emulator, request_of):
    limiter = Blocking()
    limiter._places.acquire()
    with pytest.raises(RequestTimedOut, match=r"limiter.*total_timeout=0\.1 s"):
        await make(limiter, total_timeout=0.1).acomplete(request_of())
    limiter._places.release()
    assert emulator.requests == []


async def test_others_go_on_while_it_is_entered_and_left(make, request_of):
    entered, left = threading.Event(), threading.Event()
    loop, in_time = asyncio.get_running_loop(), []

    class Slow(Shared):
        def __enter__(self) -> None:
            loop.call_soon_threadsafe(entered.set)
            in_time.append(entered.wait(10))

        def __exit__(self, *error: object) -> None:
            loop.call_soon_threadsafe(left.set)
            in_time.append(left.wait(10))

    await make(Slow()).acomplete(request_of())
    assert in_time == [True, True]


async def test_it_is_left_where_no_thread_is_left(make, emulator, request_of, monkeypatch):
    """Else it would never be, and the answer, which is there, be lost and asked for again."""
    started = limiters.in_thread

    def none_left(what: str, *words: object) -> Future:
        if "leave" in what:
            raise ConnectionFailed(f"No thread can be started {what}.")
        return started(what, *words)

    monkeypatch.setattr(limiters, "in_thread", none_left)
    limiter = Blocking()
    assert (await make(limiter).acomplete(request_of())).text
    assert (limiter.inside, len(emulator.requests)) == (0, 1)


@pytest.mark.parametrize("streamed", [False, True])
def test_the_deadline_ends_the_wait_in_blocking_calls_too(make, emulator, request_of, streamed):
    limiter = Blocking()
    client = make(limiter, total_timeout=0.1)
    limiter._places.acquire()
    with pytest.raises(RequestTimedOut, match=r"limiter.*total_timeout=0\.1 s"):
        list(client.stream(request_of())) if streamed else client.complete(request_of())
    assert emulator.requests == []
    limiter._places.release()
    patient = make(limiter, total_timeout=60)
    # The one that was given up gets in at some time, and out again at once.
    list(patient.stream(request_of())) if streamed else patient.complete(request_of())
    while limiter.entered < 2 or limiter.inside:
        time.sleep(0.001)
    assert len(emulator.requests) == 1


def test_an_interrupt_while_waiting_in_it_takes_none_away(make, request_of, monkeypatch):
    limiter = Blocking()
    limiter._places.acquire()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(limiters, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make(limiter, total_timeout=60).complete(request_of())
    limiter._places.release()
    make(limiter).complete(request_of())
    while limiter.entered < 2 or limiter.inside:
        time.sleep(0.001)


class Late(Shared):
    """Has a deadline of its own."""

    def __enter__(self) -> None:
        raise TimeoutError("of its own")


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("total_timeout", [None, 60])
async def test_its_own_timeout_passes_too(make, request_of, asynchronous, total_timeout):
    client = make(Late(), total_timeout=total_timeout)
    with pytest.raises(TimeoutError, match="of its own"):
        await client.acomplete(request_of()) if asynchronous else client.complete(request_of())


@pytest.mark.parametrize("kind", [Refusing, Stuck])
def test_its_own_errors_pass_under_a_deadline_too(make, request_of, kind):
    with pytest.raises(LookupError):
        make(kind(), total_timeout=60).complete(request_of())


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_its_own_errors_pass_as_they_are(make, request_of, asynchronous):
    client = make(Refusing())
    with pytest.raises(LookupError, match="closed on Sundays"):
        await client.acomplete(request_of()) if asynchronous else client.complete(request_of())


@pytest.mark.parametrize("kind", [YandexClient, ChatYandex, YandexLLM, YandexEmbedding])
@pytest.mark.parametrize("again", [copy, deepcopy])
def test_copies_share_it(make, kind, again):
    limiter = Blocking()
    model = again(make(limiter, kind))
    client = model if kind is YandexClient else model._client
    assert client.settings.limiter is limiter


@pytest.mark.parametrize("kind", [YandexClient, ChatYandex, YandexLLM, YandexEmbedding])
def test_pickles_keep_it(make, kind):
    model = pickle.loads(pickle.dumps(make(Shared(), kind)))
    client = model if kind is YandexClient else model._client
    assert type(client.settings.limiter) is Shared


@pytest.mark.parametrize("kind", [YandexClient, ChatYandex, YandexLLM, YandexEmbedding])
def test_one_without_a_pickle_is_not_left_out_of_one(make, kind):
    limiter = Blocking()
    model = make(limiter, kind)
    with pytest.raises(ConfigurationError, match="limiter has no pickle"):
        pickle.dumps(model)
    client = model if kind is YandexClient else model._client
    assert client.settings.limiter is limiter


@pytest.mark.parametrize("kind", [ChatYandex, YandexLLM])
def test_it_stands_in_no_dump_and_no_repr(make, kind):
    model = make(Blocking(), kind)
    assert "Blocking" not in repr(model)
    assert "limiter" not in model.model_dump()


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_error_on_leaving_passes_too(make, request_of, asynchronous):
    client = make(Stuck())
    with pytest.raises(LookupError, match="the door is jammed"):
        await client.acomplete(request_of()) if asynchronous else client.complete(request_of())
