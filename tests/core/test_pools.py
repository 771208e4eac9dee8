"""The shared connections: who has them, and when they close."""

import asyncio
import gc
import socket
import subprocess
import sys
import threading
import time
import weakref
from asyncio.base_events import BaseEventLoop
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import ExitStack, closing, contextmanager
from copy import copy, deepcopy

import httpx
import pytest

from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexLLM
from yandex_compat import YandexClient, transport
from yandex_compat import pools as pools_module
from yandex_compat.pools import Pools


@pytest.fixture
def pools(monkeypatch) -> Pools:
    """Pools that no other test has touched."""
    fresh = Pools()
    monkeypatch.setattr(transport, "POOLS", fresh)
    yield fresh
    fresh.close()


@pytest.fixture
def make(emulator, pools):
    def made(**words: object) -> YandexClient:
        known = {"api_key": "test-key", "folder_id": "test-folder", "base_url": emulator.chat_url}
        return YandexClient(**known | words)

    return made


@pytest.fixture
def connections(monkeypatch) -> list[str]:
    """Each connection that is opened, by kind."""
    opened: list[str] = []
    connect, connect_async = socket.create_connection, BaseEventLoop.create_connection

    def counted(*args, **words):
        opened.append("blocking")
        return connect(*args, **words)

    async def counted_async(self, *args, **words):
        opened.append("async")
        return await connect_async(self, *args, **words)

    monkeypatch.setattr(socket, "create_connection", counted)
    monkeypatch.setattr(BaseEventLoop, "create_connection", counted_async)
    return opened


def test_blocking_clients_share_one_connection(make, request_of, connections):  # D2
    clients = [make(max_retries=number) for number in range(3)]
    for client in clients * 2:
        client.complete(request_of())
        list(client.stream(request_of()))
    assert connections == ["blocking"]


async def test_async_clients_share_one_connection_of_a_loop(make, request_of, connections):  # D2
    clients = [make(max_retries=number) for number in range(3)]
    for client in clients * 2:
        await client.acomplete(request_of())
        [delta async for delta in client.astream(request_of())]
    assert connections == ["async"]


def test_credentials_of_clients_that_share_a_connection_do_not_mix(make, request_of, emulator):
    key, token = make(), make(api_key=None, iam_token="t1.test-token")
    for client in (key, token, key):
        client.complete(request_of())
    schemes = [seen["headers"]["authorization"] for seen in emulator.requests]
    assert schemes == ["Api-Key ***", "Bearer ***", "Api-Key ***"]


def idle(pools: Pools, origin: str) -> list[httpx.Client]:
    """The blocking clients that lie idle."""
    return [client for _, client in pools._blocking._of.get(origin, ())]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_no_cookie_of_one_goes_out_with_another_s_requests(
    make, emulator, request_of, asynchronous
):
    cookie = {"set-cookie": "session=of-one; Path=/"}
    body = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
    emulator.script(*[{"status": 200, "headers": cookie, "body": body}] * 2)
    for client in (make(), make(api_key=None, iam_token="t1.test-token")):
        if asynchronous:
            await client.acomplete(request_of())
        else:
            client.complete(request_of())
    assert [seen["headers"].get("cookie") for seen in emulator.requests] == [None, None]


@pytest.mark.parametrize("kind", ["CookielessClient", "AsyncCookielessClient"])
async def test_what_is_lent_keeps_no_cookie_of_an_answer(kind):
    sent = []

    def answer(request):
        sent.append(request.headers.get("cookie"))
        headers = {"set-cookie": f"session={len(sent)}; Path=/", "location": "/other"}
        return httpx.Response(302 if request.url.path == "/begin" else 200, headers=headers)

    made = getattr(pools_module, kind)
    one, other = (made(transport=httpx.MockTransport(answer)) for _ in range(2))
    for client in (one, one, other):
        got = client.get("http://pools.test/begin", follow_redirects=True)
        response = got if isinstance(client, httpx.Client) else await got
        assert response.url.path == "/other"
        assert response.cookies["session"]  # who asks may read it all the same
        assert not client.cookies
    assert sent == [None] * 6
    one.cookies.set("session", "of one")
    assert not other.cookies


def test_the_pool_closes_with_its_last_holder(make, emulator, request_of, pools):  # D2
    one, other = make(), make()
    one.complete(request_of())
    other.complete(request_of())
    (shared,) = idle(pools, emulator.url)
    one.close()
    one.close()
    assert not shared.is_closed
    with other:
        pass
    assert shared.is_closed


async def test_the_loops_client_closes_with_its_last_holder(
    make, emulator, request_of, pools
):  # D2
    one, other = make(), make()
    await one.acomplete(request_of())
    await other.acomplete(request_of())
    shared = await pools.alend(one._transport, emulator.url)
    await pools.atake_back(emulator.url, shared)
    await one.aclose()
    assert not shared.is_closed
    async with other:
        pass
    assert shared.is_closed
    assert pools._loops == {}


@pytest.mark.parametrize("kind", [ChatYandex, YandexLLM])
@pytest.mark.parametrize("again", [copy, deepcopy, lambda model: model.model_copy()])
def test_to_close_a_copy_closes_nothing_of_the_first(emulator, pools, kind, again):  # D2
    model = kind(api_key="test-key", folder_id="test-folder", base_url=emulator.chat_url)
    model._client.models()
    (shared,) = idle(pools, emulator.url)
    again(model).close()
    assert not shared.is_closed
    model.close()
    assert shared.is_closed


def test_a_holder_nobody_remembers_holds_nothing(make, emulator, request_of, pools):
    one, other = make(), make()
    one.complete(request_of())
    (shared,) = idle(pools, emulator.url)
    del one
    gc.collect()
    other.close()
    assert shared.is_closed


def test_closing_a_client_that_never_asked_closes_nothing_of_others(
    make, emulator, request_of, pools
):
    one = make()
    one.complete(request_of())
    make().close()
    (shared,) = idle(pools, emulator.url)
    assert not shared.is_closed


def test_a_stream_of_a_closed_client_goes_on_and_leaves_nothing_behind(
    make, emulator, request_of, pools
):
    emulator.script({"text": "one two three"})
    client = make()
    stream = client.stream(request_of())
    next(stream)
    client.close()
    assert [delta.text for delta in stream]
    assert idle(pools, emulator.url) == []


async def test_an_async_one_of_a_closed_client_leaves_nothing_behind_either(
    make, emulator, request_of, pools
):
    emulator.script({"text": "one two three"})
    client = make()
    stream = client.astream(request_of())
    await anext(stream)
    await client.aclose()
    assert [delta.text async for delta in stream]
    assert pools._loops == {}
    other = make()
    await other.acomplete(request_of())
    stream = other.astream(request_of())
    await anext(stream)
    other.close()
    await stream.aclose()
    assert pools._loops[asyncio.get_running_loop()][0].take_all() == []
    await other.aclose()


def test_what_was_idle_for_long_is_closed(make, emulator, request_of, pools, monkeypatch):
    client = make()
    emulator.script({"text": "one two three"})
    with closing(client.stream(request_of())) as stream:
        next(stream)
        client.complete(request_of())
    first, second = idle(pools, emulator.url)
    monkeypatch.setattr(pools_module, "_KEPT", -1.0)
    client.complete(request_of())
    assert (first.is_closed, idle(pools, emulator.url)) == (True, [second])


async def test_a_connection_is_opened_in_place_of_one_that_lies_idle_elsewhere(
    emulator, make, request_of, pools
):
    """Ten blocking ones leave ten idle, of which two may stay beside those of the loop."""
    client = make()
    await asyncio.to_thread(at_once, client, request_of(), 6)
    blocking = idle(pools, emulator.url)
    assert len(blocking) == 6
    await asyncio.gather(*(client.acomplete(request_of()) for _ in range(6)))
    assert [one.is_closed for one in blocking] == [True] * 4 + [False] * 2

    own = pools._loops[asyncio.get_running_loop()][0]._of[emulator.url]
    loops = [one for _, one in own]
    assert len(loops) == 6
    await asyncio.to_thread(at_once, client, request_of(), 6)
    closing_ones = pools._loops[asyncio.get_running_loop()][0].closing
    while closing_ones:
        await asyncio.sleep(0.001)
    assert [one.is_closed for one in loops] == [True] * 4 + [False] * 2
    await client.aclose()


@pytest.mark.parametrize("end", ["stopped", "closed"])
def test_no_loop_is_waited_for_that_does_not_run(
    make, emulator, request_of, pools, monkeypatch, end
):
    client = make()
    rough = asyncio.new_event_loop()

    async def scenario() -> None:
        await asyncio.gather(*(client.acomplete(request_of()) for _ in range(6)))

    rough.run_until_complete(scenario())
    idle_ones = pools._loops[rough][0].take_all()
    if end == "closed":
        rough.run_until_complete(pools_module._close_all(idle_ones))
        rough.close()
    for one in idle_ones:
        pools._loops[rough][0].put(emulator.url, one)
    waited: list[object] = []
    monkeypatch.setattr(pools_module, "wait", lambda closing, _: waited.extend(closing))
    pools.lend(client._transport, emulator.url).close()
    assert waited == []
    if end == "stopped":
        rough.run_until_complete(client.aclose())
        rough.close()


@pytest.mark.parametrize("way", ["aclose", "spare", "old"])
async def test_who_is_cancelled_while_closing_some_closes_the_others(
    make, emulator, request_of, pools, monkeypatch, way
):
    client = make()
    await asyncio.gather(*(client.acomplete(request_of()) for _ in range(6)))
    loop = asyncio.get_running_loop()
    own = pools._loops[loop][0]
    idle_ones = [one for _, one in own._of[emulator.url]]
    if way == "aclose":
        task = asyncio.create_task(client.aclose())
    elif way == "old":
        monkeypatch.setattr(pools_module, "_KEPT", -1.0)
        spare = pools_module.new_client(pools_module.AsyncCookielessClient)
        task = asyncio.create_task(pools.atake_back(emulator.url, spare))
    else:
        pools._close_spare(loop, emulator.url, Future())
        idle_ones = list(own.closing)
        task = own.closing[idle_ones[0]]
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [one.is_closed for one in idle_ones] == [True] * len(idle_ones)
    await client.aclose()


def test_what_a_loop_was_closing_as_it_ended_is_closed(make, emulator, request_of, pools):
    client = make()
    seen: list[httpx.AsyncClient] = []
    owned: list[object] = []

    async def scenario() -> None:
        await asyncio.gather(*(client.acomplete(request_of()) for _ in range(6)))
        loop = asyncio.get_running_loop()
        owned.append(own := pools._loops[loop][0])
        seen.extend(one for _, one in own._of[emulator.url])
        # The loop ends before its task has taken a step.
        loop.call_soon(pools._close_spare, loop, emulator.url, Future())

    asyncio.run(scenario())
    assert len(owned[0].closing) == 4
    assert [one.is_closed for one in seen] == [True] * 6
    gc.collect()  # a connection left open would warn here, and a warning is an error


@contextmanager
def loop_elsewhere(
    scenario: Callable[[], Awaitable[None]], last: Callable[[], Awaitable[None]]
) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in another thread, between what it does first and last."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(scenario(), loop).result(30)
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(last(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_loop_of_another_thread_closes_what_lies_idle_there(
    make, emulator, request_of, pools, monkeypatch, asynchronous
):
    client = make()
    waited: list[tuple[bool, ...]] = []

    def waiting(closing: list[Future], seconds: float) -> None:
        wait(closing, 30 if seconds else 0)
        waited.append(tuple(one.done() for one in closing))

    async def six() -> None:
        await asyncio.gather(*(client.acomplete(request_of()) for _ in range(6)))

    monkeypatch.setattr(pools_module, "wait", waiting)
    with loop_elsewhere(six, client.aclose) as loop:
        own = pools._loops[loop][0]
        idle_ones = [one for _, one in own._of[emulator.url]]
        if asynchronous:
            asyncio.run(client.acomplete(request_of()))
            while own.closing or len(own._of[emulator.url]) > 2:
                time.sleep(0.001)
        else:
            client.complete(request_of())
            assert waited == [(True,)]  # they are closed before another is opened
        assert [one.is_closed for one in idle_ones] == [True] * 4 + [False] * 2


async def test_a_blocking_request_in_an_event_loop_does_not_wait_for_it(
    make, emulator, request_of, pools, monkeypatch
):
    client = make()
    waited: list[float] = []
    await asyncio.gather(*(client.acomplete(request_of()) for _ in range(6)))
    monkeypatch.setattr(pools_module, "wait", lambda _, seconds: waited.append(seconds))
    pools.lend(client._transport, emulator.url).close()
    assert waited == [0]
    await client.aclose()


async def test_who_asks_a_loop_that_has_closed_all_is_told_at_once(pools):
    done: Future[None] = Future()
    pools._close_spare(asyncio.get_running_loop(), "http://one.test", done)
    await asyncio.wait_for(asyncio.wrap_future(done), 30)


def test_a_loop_that_closes_meanwhile_is_asked_in_vain(pools):
    loop = asyncio.new_event_loop()
    loop.close()
    assert not pools._close_spare_soon(loop, "http://one.test").done()


async def test_a_loop_that_goes_on_in_a_forked_child_leaves_the_parents_open(pools):
    holder = type("Holder", (), {})()
    parents = await pools.alend(holder, "http://one.test")
    await pools.atake_back("http://one.test", parents)
    life = pools._loops[asyncio.get_running_loop()][1]
    pools.forget_parent()
    await life.aclose()  # as the loop's end in the child does
    assert not parents.is_closed
    await parents.aclose()


def at_once(client: YandexClient, request: object, count: int) -> None:
    """As many streams as that, open at one time, each with a connection of its own."""
    with ExitStack() as streams:
        for _ in range(count):
            next(streams.enter_context(closing(client.stream(request))))


def test_origins_do_not_share_a_client(pools):
    holder = type("Holder", (), {})()
    client = pools.lend(holder, "http://one.test")
    pools.take_back("http://one.test", client)
    other = pools.lend(holder, "http://two.test")
    assert other is not client
    pools.take_back("http://two.test", other)
    assert pools.lend(holder, "http://one.test") is client
    client.close()


def test_three_loops_in_a_row(make, emulator, request_of, pools):  # D2
    client = make()
    used: list[httpx.AsyncClient] = []
    origin = emulator.url

    async def ask() -> str:
        whole = await client.acomplete(request_of())
        streamed = [delta.text async for delta in client.astream(request_of())]
        used.append(await pools.alend(client, origin))
        await pools.atake_back(origin, used[-1])
        assert len(pools._loops) == 1
        assert whole.text == "".join(streamed)
        return whole.text

    texts = [asyncio.run(ask()) for _ in range(3)]
    gc.collect()  # a connection left open would warn here, and a warning is an error
    assert len(set(texts)) == 1
    assert len({id(one) for one in used}) == 3
    assert all(one.is_closed for one in used)
    assert pools._loops == {}


def test_a_stream_left_half_read_ends_with_its_loop(emulator, make, request_of, pools):
    emulator.script({"text": "one two three"}, {"text": "one two three"})
    client = make()

    async def ask() -> None:
        async for delta in client.astream(request_of()):
            assert delta.text
            break

    asyncio.run(ask())
    asyncio.run(ask())
    gc.collect()
    assert pools._loops == {}


def test_a_loop_that_was_closed_roughly_is_forgotten(pools):
    holder = type("Holder", (), {})()
    rough = asyncio.new_event_loop()
    first = rough.run_until_complete(pools.alend(holder, "http://one.test"))
    rough.run_until_complete(pools.atake_back("http://one.test", first))
    rough.close()
    assert len(pools._loops) == 1

    async def ask() -> list[object]:
        second = await pools.alend(holder, "http://one.test")
        assert second is not first
        await pools.atake_back("http://one.test", second)
        return list(pools._loops)

    assert rough not in asyncio.run(ask())
    gc.collect()
    assert pools._loops == {}


async def test_one_loop_has_one_life(pools):
    holders = [type("Holder", (), {})() for _ in range(5)]
    made = await asyncio.gather(*(pools.alend(holder, "http://one.test") for holder in holders))
    assert len(pools._loops) == 1
    for client in made:
        await pools.atake_back("http://one.test", client)
    await pools.arelease(holders[0])
    assert not any(client.is_closed for client in made)
    for holder in holders:
        await pools.arelease(holder)
    assert all(client.is_closed for client in made)


async def test_clients_passed_in_are_used_and_never_closed(emulator, make, request_of, pools):
    with httpx.Client(headers={"x-mine": "1"}) as mine:
        async with httpx.AsyncClient(headers={"x-mine": "2"}) as amine:
            async with make(http_client=mine, http_async_client=amine) as client:
                client.complete(request_of())
                list(client.stream(request_of()))
                await client.acomplete(request_of())
                [delta async for delta in client.astream(request_of())]
            client.close()
            assert not mine.is_closed
            assert not amine.is_closed
    assert [seen["headers"]["x-mine"] for seen in emulator.requests] == ["1", "1", "2", "2"]
    assert idle(pools, emulator.url) == []
    assert pools._loops == {}


def test_a_childs_own_child_leaves_the_parents_open_too():
    pools, holder = Pools(), type("Holder", (), {})()
    lent = pools.lend(holder, "http://one.test")
    pools.take_back("http://one.test", lent)
    parents = weakref.ref(lent)
    del lent
    pools.forget_parent()
    pools.forget_parent()
    gc.collect()
    assert parents()
    parents().close()


def test_a_new_pool_after_fork_leaves_the_parents_open():
    pools, holder = Pools(), type("Holder", (), {})()
    parents = pools.lend(holder, "http://one.test")
    pools.take_back("http://one.test", parents)
    pools.forget_parent()
    childs = pools.lend(holder, "http://one.test")
    pools.take_back("http://one.test", childs)
    pools.close()
    assert childs.is_closed
    assert not parents.is_closed
    parents.close()


def test_idle_connections_close_as_the_program_ends():
    script = (
        "import atexit\n"
        "atexit.register(lambda: print(client.is_closed))  # the last that is run\n"
        "from yandex_compat.pools import POOLS\n"
        "client = POOLS.lend(POOLS, 'http://one.test')\n"
        "POOLS.take_back('http://one.test', client)\n"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
