"""Clients of the core: over the emulator, and over a transport that a test writes itself."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial

import httpx
import pytest
import tenacity
from tenacity import AsyncRetrying, Retrying

from yandex_compat import CompletionRequest, Message, YandexClient
from yandex_compat.emulator import Emulator

KEY = "AQVN-test-secret-key-0123456789"


@pytest.fixture
def client(emulator: Emulator) -> Iterator[YandexClient]:
    """A client of the emulated account."""
    with YandexClient(
        api_key="test-key", folder_id="test-folder", base_url=emulator.chat_url
    ) as made:
        yield made


@pytest.fixture
def client_over() -> Callable[..., YandexClient]:
    """Makes a client, blocking and async, whose requests a function answers."""

    def make(handler: Callable[[httpx.Request], httpx.Response], **words: object) -> YandexClient:
        transport = httpx.MockTransport(handler)
        known = {"api_key": KEY, "folder_id": "test-folder", **words}
        return YandexClient(
            http_client=httpx.Client(transport=transport),
            http_async_client=httpx.AsyncClient(transport=transport),
            **known,
        )

    return make


@pytest.fixture
def request_of() -> Callable[..., CompletionRequest]:
    """Makes a request that says "Hi" to yandexgpt, or what a test gives instead."""

    def make(**words: object) -> CompletionRequest:
        known = {"model": "yandexgpt", "messages": (Message("user", "Hi"),), **words}
        return CompletionRequest(**known)

    return make


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, none of which is spent."""
    waited: list[float] = []

    async def awaited(seconds: float) -> None:
        waited.append(seconds)

    # Tenacity's sleeps are default arguments; to patch asyncio.sleep would hurry the emulator too.
    monkeypatch.setattr(tenacity, "Retrying", partial(Retrying, sleep=waited.append))
    monkeypatch.setattr(tenacity, "AsyncRetrying", partial(AsyncRetrying, sleep=awaited))
    return waited


class RawServer:
    """Answers each request with bytes as they are; between them it waits, for events or seconds.

    It closes the connection after the last step, unless `keeps`.
    """

    def __init__(self, *steps: bytes | float | threading.Event, keeps: bool = False) -> None:
        self.connections = self.finished = 0
        self.waited_in_vain = False
        self._steps, self._keeps = steps, keeps
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def close(self) -> None:
        for step in self._steps:
            if isinstance(step, threading.Event):
                step.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while self._read_request(connection):
                for step in self._steps:
                    if isinstance(step, bytes):
                        connection.sendall(step)
                    elif isinstance(step, float):
                        time.sleep(step)
                    elif not step.wait(30):
                        self.waited_in_vain = True
                self.finished += 1
                if not self._keeps:
                    return

    @staticmethod
    def _read_request(connection: socket.socket) -> bytes:
        data = b""
        while True:
            head, end, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            if end and length and len(body) >= int(length[1]):
                return data
            if not (piece := connection.recv(65_536)):
                return b""
            data += piece


@pytest.fixture
def raw_server() -> Iterator[Callable[..., RawServer]]:
    """Makes servers on loopback that send what a test wrote, byte for byte."""
    with ExitStack() as servers:

        def make(*steps: bytes | float | threading.Event, keeps: bool = False) -> RawServer:
            server = RawServer(*steps, keeps=keeps)
            servers.callback(server.close)
            return server

        yield make
