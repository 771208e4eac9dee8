"""The HTTP clients that all instances of a process share: one, and one for each event loop.

Authorization, timeouts and folders travel with each request, so nothing in a pool belongs to
anyone. A pool closes with its last holder, at the end of its event loop, or with the process.
"""

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import AsyncGenerator
from functools import cache
from ssl import SSLContext
from typing import TypeVar

import httpx

from yandex_compat.errors import ConfigurationError

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=100)


@cache
def _ssl_context() -> SSLContext:
    # Building one costs tens of milliseconds, so every pool of the process shares it.
    return httpx.create_ssl_context()


_Client = TypeVar("_Client", httpx.Client, httpx.AsyncClient)


def new_client(kind: type[_Client], *, trust_env: bool = True) -> _Client:
    """A client; ConfigurationError where the environment's proxies or certificates allow none."""
    try:
        return kind(verify=_ssl_context(), limits=_LIMITS, trust_env=trust_env)
    except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
        told = f"{type(error).__name__}: {error}"
    raise ConfigurationError(
        f"No HTTP client can be made of the environment ({told}): check HTTP_PROXY, HTTPS_PROXY, "
        f"ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR, or pass http_client=…."
    )


class Pools:
    """Hands out the shared clients, and closes them when nobody holds them any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: weakref.WeakSet[object] = weakref.WeakSet()
        self._client: httpx.Client | None = None
        self._loops: dict[asyncio.AbstractEventLoop, tuple[httpx.AsyncClient, _Life]] = {}
        self._inherited: object = None

    def client(self, holder: object) -> httpx.Client:
        """The blocking client."""
        with self._lock:
            self._holders.add(holder)
            if self._client is None:
                self._client = new_client(httpx.Client)
            return self._client

    async def aclient(self, holder: object) -> httpx.AsyncClient:
        """The client of the running event loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            self._holders.add(holder)
            if loop in self._loops:
                return self._loops[loop][0]
            for closed in [other for other in list(self._loops) if other.is_closed()]:
                del self._loops[closed]
            client = new_client(httpx.AsyncClient)
            life = self._open_until_loop_ends(loop, client)
            self._loops[loop] = (client, life)
        # Its first step makes it known to the loop, which closes it in shutdown_asyncgens.
        await anext(life)
        return client

    def release(self, holder: object) -> None:
        """Give up a hold; the blocking client closes with the last one."""
        with self._lock:
            self._holders.discard(holder)
            if not self._holders:
                self._close_client()

    async def arelease(self, holder: object) -> None:
        """Give up a hold; with the last one, the running loop's client closes as well."""
        self.release(holder)
        with self._lock:
            held = None if self._holders else self._loops.get(asyncio.get_running_loop())
        if held:
            await held[1].aclose()

    def close(self) -> None:
        """Close the blocking client, whoever holds it: the process ends."""
        with self._lock:
            self._close_client()

    def forget_parent(self) -> None:
        """Start anew in a forked child, which must not speak on its parent's connections.

        They are kept, unused: closing them would send a goodbye in the parent's name.
        """
        inherited = (self._client, self._loops)
        Pools.__init__(self)
        self._inherited = inherited

    def _close_client(self) -> None:
        if self._client:
            self._client.close()
            self._client = None

    async def _open_until_loop_ends(
        self, loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient
    ) -> "_Life":
        try:
            yield
        finally:
            self._loops.pop(loop, None)
            await client.aclose()


_Life = AsyncGenerator[None, None]

POOLS = Pools()
atexit.register(POOLS.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOLS.forget_parent)
