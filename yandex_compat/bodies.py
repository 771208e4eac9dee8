"""The body of an open response: how it is begun, closed, and how its end is hurried."""

import asyncio
import threading
from _thread import start_new_thread
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from itertools import chain
from math import inf

import httpx

from yandex_compat.deadlines import NEVER, Deadline
from yandex_compat.hangups import HANG_UPS

# Seconds that the closer of a stream waits to see it closed.
_CLOSED_SOON = 0.02
_REACHABLE: dict[int, tuple["OpenBody", Iterator[bytes]]] = {}


class OpenBody:
    """Gives the pieces of a response's body, and closes it, wherever its reader is dropped.

    With it goes what is held while it is open, such as its place among the concurrent ones.

    httpcore closes a response under a lock that can't be taken twice, and Python's collector may
    drop a forgotten stream at any moment, under that very lock too: closed there, the thread would
    wait for itself for ever. So what is closed half-read is closed in a thread of its own. Until
    then it stays reachable, since httpcore's own generators would close it just the same.
    """

    def __init__(self, response: httpx.Response, deadline: Deadline = NEVER) -> None:
        self.response = response
        self.deadline = deadline

    def read(self) -> None:
        """Read all of it; TimeoutError at the deadline."""
        with hung_up_after(self.deadline.left, self.response):
            self.response.read()
        self._refuse_late_end()

    def begin(self, held: ExitStack) -> None:
        """Read the first piece, the last that can fail and be asked for again; keep what is held.

        `held` closes the response first of all.
        """
        held.enter_context(hung_up_after(self.deadline.left, self.response))
        pieces = (
            self.response.iter_raw() if _is_plain(self.response) else self.response.iter_bytes()
        )
        whole = chain((_begun(next(pieces, b"")),), pieces)
        self._pieces = whole if self.deadline is NEVER else self._in_time(whole)
        self._held = held.pop_all()
        _REACHABLE[id(self.response)] = (self, pieces)

    def _in_time(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        if is_shared(self.response):
            for piece in pieces:
                self._refuse_late_end()
                yield piece
        else:
            yield from pieces
        self._refuse_late_end()

    def _refuse_late_end(self) -> None:
        # A body without a length ends where its connection does, also where we shut that down.
        if self.deadline.has_passed:
            raise TimeoutError

    def __enter__(self) -> Iterator[bytes]:
        return self._pieces

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not GeneratorExit:
            self._close()
            return
        closed = threading.Event()
        try:
            # threading.Thread has locks of its own, under which the collector may run as well.
            start_new_thread(self._close, (closed,))
        except RuntimeError:
            self._close()
        else:
            closed.wait(_CLOSED_SOON)

    def _close(self, closed: threading.Event | None = None) -> None:
        try:
            self._held.close()
        finally:
            _REACHABLE.pop(id(self.response), None)
            if closed:
                closed.set()


class AsyncOpenBody:
    """Gives the pieces of a response's body in an event loop, and closes it, as OpenBody does."""

    def __init__(self, response: httpx.Response, deadline: Deadline = NEVER) -> None:
        self.response = response
        self.deadline = deadline

    async def read(self) -> None:
        """Read all of it; TimeoutError at the deadline."""
        async with in_time(self.deadline):
            await self.response.aread()

    async def begin(self, held: AsyncExitStack) -> None:
        """Read the first piece, the last that can fail and be asked for again; keep what is held.

        `held` closes the response first of all.
        """
        plain = _is_plain(self.response)
        self._rest = self.response.aiter_raw() if plain else self.response.aiter_bytes()
        async with in_time(self.deadline):
            self._first = _begun(await anext(self._rest, b""))
        self._held = held.pop_all()

    async def __aenter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def __aexit__(self, *error: object) -> None:
        await self._held.aclose()

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield self._first
        if self.deadline is NEVER:
            async for piece in self._rest:
                yield piece
            return
        while True:
            async with in_time(self.deadline):
                piece = await anext(self._rest, b"")
            if not piece:
                return
            yield piece


def _is_plain(response: httpx.Response) -> bool:
    """Whether the bytes can be taken as they come, which costs less than to have them decoded."""
    # A client of the user's may have read it already.
    return "content-encoding" not in response.headers and not response.is_stream_consumed


def _begun(first: bytes) -> bytes:
    """The first piece; RemoteProtocolError where the body ended before it, however politely."""
    if not first:
        raise httpx.RemoteProtocolError("the body is empty")
    return first


def in_time(deadline: Deadline) -> asyncio.Timeout:
    """Raises TimeoutError at a deadline."""
    return asyncio.timeout(None if deadline is NEVER else deadline.left)


def is_shared(response: httpx.Response) -> bool:
    """Whether other answers travel on the same connection, so that it needs no end of this one."""
    return response.http_version == "HTTP/2"


@contextmanager
def hung_up_after(seconds: float, response: httpx.Response) -> Iterator[None]:
    """Shuts a response's connection down if what is done here takes longer.

    A blocking read can't be hurried else: its own timeout counts from the last bytes. One that
    others share is left alone.
    """
    if seconds == inf or is_shared(response):
        yield
        return
    stream = response.extensions.get("network_stream")
    own = stream.get_extra_info("socket") if stream and not response.is_closed else None
    if own is None or own.fileno() < 0:
        yield
        return
    with HANG_UPS.after(seconds, own):
        yield
