"""The shared connections: who has them, and when they close."""

import asyncio
import gc
import socket
from asyncio.base_events import BaseEventLoop

import httpx
import pytest

from yandex_compat import YandexClient, transport
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


def test_the_pool_closes_with_its_last_holder(make, request_of, pools):  # D2
    one, other = make(), make()
    one.complete(request_of())
    other.complete(request_of())
    shared = pools.client(one._transport)
    one.close()
    one.close()
    assert not shared.is_closed
    with other:
        pass
    assert shared.is_closed


async def test_the_loops_client_closes_with_its_last_holder(make, request_of, pools):  # D2
    one, other = make(), make()
    await one.acomplete(request_of())
    await other.acomplete(request_of())
    shared = await pools.aclient(one._transport)
    await one.aclose()
    assert not shared.is_closed
    async with other:
        pass
    assert shared.is_closed
    assert pools._loops == {}


def test_a_holder_nobody_remembers_holds_nothing(make, request_of, pools):
    one, other = make(), make()
    one.complete(request_of())
    shared = pools.client(other._transport)
    del one
    gc.collect()
    other.close()
    assert shared.is_closed


def test_closing_a_client_that_never_asked_closes_nothing_of_others(make, request_of, pools):
    one = make()
    one.complete(request_of())
    make().close()
    assert not pools.client(one).is_closed


def test_three_loops_in_a_row(make, request_of, pools):  # D2
    client = make()
    used: list[httpx.AsyncClient] = []

    async def ask() -> str:
        whole = await client.acomplete(request_of())
        streamed = [delta.text async for delta in client.astream(request_of())]
        used.append(await pools.aclient(client))
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
    first = rough.run_until_complete(pools.aclient(holder))
    rough.close()
    assert len(pools._loops) == 1

    async def ask() -> list[object]:
        second = await pools.aclient(holder)
        assert second is not first
        return list(pools._loops)

    assert rough not in asyncio.run(ask())
    gc.collect()
    assert pools._loops == {}


async def test_one_loop_has_one_client(pools):
    holders = [type("Holder", (), {})() for _ in range(5)]
    made = await asyncio.gather(*(pools.aclient(holder) for holder in holders))
    assert len({id(one) for one in made}) == 1


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
    assert pools._client is None
    assert pools._loops == {}


def test_a_new_pool_after_fork_leaves_the_parents_open():
    pools, holder = Pools(), type("Holder", (), {})()
    parents = pools.client(holder)
    pools.forget_parent()
    childs = pools.client(holder)
    pools.close()
    assert childs.is_closed
    assert not parents.is_closed
    parents.close()
