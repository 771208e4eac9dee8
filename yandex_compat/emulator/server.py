"""The emulator as a server: in a thread for tests, in the foreground for the command line."""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .access import Access
from .app import create_app
from .connections import Connection
from .faults import FAULT_KINDS, FaultKind, FaultPlan
from .operations import Operations
from .request_log import RequestRecord
from .service import Service
from .upstream import Upstream

_T = TypeVar("_T")
_TIMEOUT = 10.0


class _Protocol(H11Protocol):
    """Counts connections, and lets a response break its own, as a balancer that dies would."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._connection = Connection(transport)
        self.app_state = {**self.app_state, "connection": self._connection}
        self.app_state["connections"].opened()
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.app_state["connections"].closed()
        self._connection.closed.set()
        super().connection_lost(exc)


class Listener(uvicorn.Server):
    """A server on a loopback socket of its own; ``started_at`` is called once with its origin."""

    def __init__(
        self, service: Service, host: str, port: int, started_at: Callable[[str], None]
    ) -> None:
        self._socket = _bound(host, port)
        self._service = service
        self._started_at = started_at
        super().__init__(
            uvicorn.Config(
                create_app(service),
                http=_Protocol,
                ws="none",
                lifespan="off",
                # No handlers of its own: warnings reach stderr through the last resort.
                log_config=None,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )

    def listen(self) -> None:
        """Serve until told to exit."""
        self.run(sockets=[self._socket])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening and say where."""
        self.lifespan.state["connections"] = self._service.connections
        await super().startup(sockets)
        host, port = self._socket.getsockname()[:2]
        self._started_at(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go what is held back, then stop."""
        self._service.scripts.clear()
        self._service.faults.clear()
        await super().shutdown(sockets)
        if self._service.upstream is not None:
            await self._service.upstream.close()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's delay off only for sockets that name their protocol.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except (OSError, OverflowError):
        bound.close()
        raise
    return bound


class Emulator:
    """An emulated account on a free loopback port, for as long as the ``with`` block lasts.

    ``quota`` generations of one model may run at once; delays are in seconds. With an
    ``upstream``, that speaks instead of its responder, and is closed at the end.
    """

    url: str
    chat_url: str
    native_url: str

    def __init__(
        self,
        *,
        api_keys: tuple[str, ...] = ("test-key",),
        folders: tuple[str, ...] = ("test-folder",),
        iam_tokens: tuple[str, ...] = ("t1.test-token",),
        oauth_tokens: tuple[str, ...] = ("y0_test-oauth",),
        quota: int = 10,
        refuse_unsupported: bool = False,
        chunk_delay: float = 0.0,
        operation_delay: float = 0.0,
        upstream: Upstream | None = None,
    ) -> None:
        access = Access(tuple(api_keys), tuple(folders), tuple(iam_tokens), tuple(oauth_tokens))
        self._service = Service(
            access, quota, refuse_unsupported, chunk_delay, Operations(operation_delay), upstream
        )

    def __enter__(self) -> Self:
        self._started = threading.Event()
        self._listener = Listener(self._service, "127.0.0.1", 0, self._note_start)
        self._thread = threading.Thread(target=self._listener.listen, daemon=True)
        self._thread.start()
        if not self._started.wait(_TIMEOUT):
            raise TimeoutError("the emulator did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.should_exit = True
        self._thread.join(_TIMEOUT)

    @property
    def requests(self) -> list[RequestRecord]:
        """The requests so far, as ``GET /_requests`` lists them."""
        return self._in_loop(lambda: [record.copy() for record in self._service.requests])

    @property
    def ledger(self) -> list[dict[str, Any]]:
        """The rows of all requests so far (``LedgerRow``), as ``GET /_ledger`` lists them."""
        return self._in_loop(self._service.ledger.told)

    @property
    def peaks(self) -> dict[str, dict[str, int]]:
        """Generations and open connections now, and the most since ``clear``, as ``/_ledger`` has.

        ``{"generations": {"now": 0, "peak": 10}, "connections": {"now": 1, "peak": 12}}``; the
        peak of generations is that of one model, as the quota is.
        """
        return self._in_loop(self._service.peaks)

    @property
    def iam_url(self) -> str:
        """Where IAM tokens are given out."""
        return f"{self.url}/iam/v1/tokens"

    def authorized_key(self) -> dict[str, Any]:
        """Return the key file of the account's service account."""
        return self._in_loop(self._service.access.keys.key_file)

    def expire_tokens(self) -> None:
        """Let all IAM tokens end now that were given out."""
        self._in_loop(self._service.access.issued.expire)

    def token_lifetime(self, seconds: float) -> None:
        """Set how long IAM tokens to come live: above 0, 12 hours at most, else ValueError."""
        self._in_loop(lambda: self._service.access.issued.live(seconds))

    def script(self, *answers: dict[str, Any]) -> None:
        """Queue answers, in the form that ``POST /_script`` takes; ValueError if one is wrong."""
        self._in_loop(lambda: self._service.scripts.add(*answers))

    def release(self) -> None:
        """Let the oldest answer go that a script holds back with ``gate``."""
        self._in_loop(self._service.scripts.release)

    def faults(
        self,
        rate: float,
        *,
        seed: int = 0,
        kinds: Sequence[FaultKind] = FAULT_KINDS,
        retry_after: int = 1,
        stall: float | None = None,
        pause: float = 0.005,
    ) -> None:
        """Let requests fail by a plan, ``FaultPlan``, from now on; ValueError if it is wrong."""
        plan = FaultPlan(
            rate=rate,
            seed=seed,
            kinds=tuple(kinds),
            retry_after=retry_after,
            stall=stall,
            pause=pause,
        )
        self._in_loop(lambda: self._service.faults.follow(plan))

    def clear(self) -> None:
        """Forget requests, scripts, faults and the ledger; let go what is held back."""
        self._in_loop(self._service.clear)

    def settle(self, timeout: float = 5.0) -> None:
        """Wait until no request is being answered, so that the log is complete."""
        asyncio.run_coroutine_threadsafe(self._settled(), self._loop).result(timeout)

    def wait_for_request(self, timeout: float = 5.0) -> None:
        """Wait until a request has come."""
        asyncio.run_coroutine_threadsafe(self._asked(), self._loop).result(timeout)

    async def _asked(self) -> None:
        while not self._service.requests:
            await asyncio.sleep(0.005)

    async def _settled(self) -> None:
        while self._service.in_flight:
            await asyncio.sleep(0.005)

    def _note_start(self, url: str) -> None:
        self._loop = asyncio.get_running_loop()
        self.url, self.chat_url, self.native_url = url, f"{url}/v1", f"{url}/foundationModels/v1"
        self._started.set()

    def _in_loop(self, work: Callable[[], _T]) -> _T:
        """Run ``work`` where the service lives; once it is gone, here."""
        if not self._thread.is_alive():
            return work()

        async def run() -> _T:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_TIMEOUT)
