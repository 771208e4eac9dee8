"""The HTTP clients that all instances of a process share, each lent to one request at a time.

So each has one connection at most: httpx searches all of a client's connections for each request,
and only who lends them out knows what lies idle elsewhere. Authorization, timeouts and folders
travel with each request, so nothing here belongs to anyone. Idle clients close with their last
holder, at the end of their event loop, or with the process.
"""

import asyncio
import atexit
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncGenerator
from concurrent.futures import Future, wait
from contextlib import AsyncExitStack, suppress
from functools import cache, cached_property
from ssl import SSLContext
from typing import Any, Generic, TypeVar

import httpx

from yandex_compat.errors import ConfigurationError

# Seconds that a client may lie idle; servers hang up sooner or later.
_KEPT = 5.0
# How many stay idle, of an event loop or of blocking calls, where others open a connection.
_SPARE = 2
# Seconds that blocking calls wait for a loop to close the others.
_CLOSED_SOON = 0.25


@cache
def _ssl_context() -> SSLContext:
    # Building one costs tens of milliseconds, so every pool of the process shares it.
    return httpx.create_ssl_context()


class _NoCookies(httpx.Cookies):
    """Takes no cookie from an answer, and no time to look for one."""

    def extract_cookies(self, response: httpx.Response) -> None:
        pass


class CookielessClient(httpx.Client):
    """A client that keeps no cookie of an answer, since it is lent to whoever asks next."""

    @cached_property
    def cookies(self) -> Any:  # noqa: ANN401 -- httpx's own has a setter of another type
        """Those of nobody."""
        return _NoCookies()


class AsyncCookielessClient(httpx.AsyncClient):
    """The same for an event loop."""

    @cached_property
    def cookies(self) -> Any:  # noqa: ANN401
        """Those of nobody."""
        return _NoCookies()


_Client = TypeVar("_Client", CookielessClient, AsyncCookielessClient)


def new_client(kind: type[_Client], *, trust_env: bool = True) -> _Client:
    """A client; ConfigurationError where the environment's proxies or certificates allow none."""
    try:
        return kind(verify=_ssl_context(), trust_env=trust_env)
    except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
        told = type(error).__name__
        # Any other text may repeat a part of the password in a proxy's address.
        if isinstance(error, ImportError):
            told = f"{told}: {error}"
    raise ConfigurationError(
        f"No HTTP client can be made of the environment ({told}): check HTTP_PROXY, HTTPS_PROXY, "
        f"ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR, or pass http_client=…."
    )


class _Idle(Generic[_Client]):
    """The clients that carry no request now, by the origin that they are connected to."""

    def __init__(self) -> None:
        self.closing: dict[_Client, asyncio.Task[None]] = {}
        self._of: dict[str, deque[tuple[float, _Client]]] = {}

    def put(self, origin: str, client: _Client) -> None:
        self._of.setdefault(origin, deque()).append((time.monotonic(), client))

    def take(self, origin: str) -> _Client | None:
        """The one that was used last; None where there is none."""
        clients = self._of.get(origin)
        return clients.pop()[1] if clients else None

    def has_spare(self, origin: str) -> bool:
        """Whether there are more than may stay."""
        return len(self._of.get(origin, ())) > _SPARE

    def take_spare(self, origin: str) -> list[_Client]:
        """All of an origin but the few that may stay."""
        clients = self._of.get(origin) or deque()
        return [clients.popleft()[1] for _ in range(len(clients) - _SPARE)]

    def take_old(self) -> list[_Client]:
        """Those that have been idle for too long."""
        oldest, found = time.monotonic() - _KEPT, []
        for clients in self._of.values():
            while clients and clients[0][0] < oldest:
                found.append(clients.popleft()[1])
        return found

    def take_all(self) -> list[_Client]:
        """All of them, of every origin."""
        found, self._of = self._of, {}
        return [client for clients in found.values() for _, client in clients]


async def _close_all(clients: list[AsyncCookielessClient]) -> None:
    """Close clients; who is cancelled meanwhile does not leave the others open."""
    async with AsyncExitStack() as closing:
        for client in clients:
            closing.push_async_callback(client.aclose)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Pools:
    """Lends out the shared clients, and closes them when nobody holds them any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: weakref.WeakSet[object] = weakref.WeakSet()
        self._blocking: _Idle[CookielessClient] = _Idle()
        self._loops: dict[
            asyncio.AbstractEventLoop, tuple[_Idle[AsyncCookielessClient], _Life]
        ] = {}
        self._inherited: object = None

    def lend(self, holder: object, origin: str) -> CookielessClient:
        """A blocking client for one request to an origin."""
        with self._lock:
            self._holders.add(holder)
            if client := self._blocking.take(origin):
                return client
            loops = self._loops_with_spare(origin)
        closing = [self._close_spare_soon(loop, origin) for loop in loops]
        # A loop that this thread runs goes on only after this.
        wait(closing, 0 if _running_loop() in loops else _CLOSED_SOON)
        return new_client(CookielessClient)

    def take_back(self, origin: str, client: CookielessClient) -> None:
        """Keep a blocking client for the next request, where anybody may have one."""
        with self._lock:
            closing = self._blocking.take_old()
            if self._holders:
                self._blocking.put(origin, client)
            else:
                closing.append(client)
        for old in closing:
            old.close()

    async def alend(self, holder: object, origin: str) -> AsyncCookielessClient:
        """A client of the running event loop for one request to an origin."""
        loop = asyncio.get_running_loop()
        begun: _Life | None = None
        with self._lock:
            self._holders.add(holder)
            if loop not in self._loops:
                for closed in [other for other in self._loops if other.is_closed()]:
                    del self._loops[closed]
                begun = self._open_until_loop_ends(loop)
                self._loops[loop] = (_Idle(), begun)
            if client := self._loops[loop][0].take(origin):
                return client
            spare = self._blocking.take_spare(origin)
            others = self._loops_with_spare(origin)
        if begun:
            # Its first step makes it known to the loop, which closes it in shutdown_asyncgens.
            await anext(begun)
        for idle in spare:
            idle.close()
        for other in others:
            self._close_spare_soon(other, origin)
        return new_client(AsyncCookielessClient)

    async def atake_back(self, origin: str, client: AsyncCookielessClient) -> None:
        """Keep a client of the running event loop for the next request, as `take_back` does."""
        with self._lock:
            own = self._loops.get(asyncio.get_running_loop())
            closing = own[0].take_old() if own else []
            if own and self._holders:
                own[0].put(origin, client)
            else:
                closing.append(client)
        if closing:
            await _close_all(closing)

    def release(self, holder: object) -> None:
        """Give up a hold; with the last one, idle blocking clients close, others once idle."""
        with self._lock:
            self._holders.discard(holder)
            closing = [] if self._holders else self._blocking.take_all()
        for client in closing:
            client.close()

    async def arelease(self, holder: object) -> None:
        """Give up a hold; with the last one, the running loop's clients close as well."""
        self.release(holder)
        with self._lock:
            held = None if self._holders else self._loops.get(asyncio.get_running_loop())
        if held:
            await held[1].aclose()

    def close(self) -> None:
        """Close the blocking clients, whoever holds them: the process ends."""
        with self._lock:
            closing = self._blocking.take_all()
        for client in closing:
            client.close()

    def forget_parent(self) -> None:
        """Start anew in a forked child, which must not speak on its parent's connections.

        They are kept, unused: closing them would send a goodbye in the parent's name.
        """
        inherited = (self._inherited, self._blocking, self._loops)
        Pools.__init__(self)
        self._inherited = inherited

    def _loops_with_spare(self, origin: str) -> list[asyncio.AbstractEventLoop]:
        """The loops that could close some now: one that does not run closes nothing."""
        loops = self._loops.items()
        return [loop for loop, (idle, _) in loops if idle.has_spare(origin) and loop.is_running()]

    def _close_spare_soon(self, loop: asyncio.AbstractEventLoop, origin: str) -> Future[None]:
        """Have a loop close what lies idle for it, but for a few; done once it is."""
        done: Future[None] = Future()
        with suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(self._close_spare, loop, origin, done)
        return done

    def _close_spare(
        self, loop: asyncio.AbstractEventLoop, origin: str, done: Future[None]
    ) -> None:
        with self._lock:
            own = self._loops[loop][0] if loop in self._loops else _Idle[AsyncCookielessClient]()
            spare = own.take_spare(origin)

        async def close() -> None:
            try:
                await _close_all(spare)
            finally:
                for client in spare:
                    del own.closing[client]
                done.set_result(None)

        own.closing.update(dict.fromkeys(spare, loop.create_task(close())))

    async def _open_until_loop_ends(self, loop: asyncio.AbstractEventLoop) -> "_Life":
        try:
            yield
        finally:
            with self._lock:
                idle, _ = self._loops.pop(loop, (_Idle[AsyncCookielessClient](), None))
            # The end of a loop may have cancelled those who were closing some.
            await _close_all([*idle.take_all(), *idle.closing])


_Life = AsyncGenerator[None, None]

POOLS = Pools()
atexit.register(POOLS.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOLS.forget_parent)
