"""IAM tokens, which expire: had anew in time, once for all threads and event loops of a process."""

import asyncio
import copy
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from weakref import WeakSet, WeakValueDictionary

from yandex_compat.errors import ConnectionFailed, RequestTimedOut

# A token is had anew in the background once it is so old, or half its life is over.
_FRESH_SECONDS = 3_600.0
# What is left of a life that is not counted on: a request takes its time to arrive.
_RESERVE_SECONDS = 30.0
# Seconds between one failed background exchange and the next.
_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class IamToken:
    """A token, and the seconds that it lives from now on."""

    secret: str = field(repr=False)
    lifetime: float


@dataclass(slots=True)
class _Held:
    secret: str = field(repr=False)
    stale_at: float
    dead_at: float
    ends_at: float


class TokenKeeper:
    """Keeps one token fresh; `exchange` has a new one, blocking, and is never run twice at once.

    It runs in a thread of its own. Long before the token expires, it does so while the old one is
    still handed out; only those who ask once there is none wait, all of them for the same exchange.
    """

    def __init__(
        self, exchange: Callable[[], IamToken], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._held: _Held | None = None
        self._not_before = 0.0
        self._start_anew()
        _KEEPERS.add(self)

    def _start_anew(self) -> None:
        """Also in a forked child, where nobody is left who ran an exchange or held the lock."""
        # Reentrant, since a signal's handler may ask a model, too, while its thread holds it.
        self._lock = threading.RLock()
        self._under_way: _Exchange | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The token that is held, which must never show in a text."""
        held = self._held
        return (held.secret,) if held else ()

    def token(self, timeout: float | None = None) -> str:
        """A token that is still good; raises what the exchange raised.

        RequestTimedOut where it takes more than `timeout` seconds; it goes on for those who ask
        next.
        """
        found = self._ask()
        if isinstance(found, str):
            return found
        with suppress(TimeoutError):
            return _given(found.result(timeout))
        raise _too_late(timeout)

    async def atoken(self, timeout: float | None = None) -> str:
        """A token that is still good, as `token` gives it."""
        found = self._ask()
        if isinstance(found, str):
            return found
        # Who gives up waiting does not take the exchange away from the others.
        done, _ = await asyncio.wait([asyncio.wrap_future(found)], timeout=timeout)
        if not done:
            raise _too_late(timeout)
        return _given(found.result())

    def seconds_left(self, timeout: float | None = None) -> float:
        """Seconds until the token ends that `token` gives, and raises as that does."""
        self.token(timeout)
        held = self._held
        return max(0.0, held.ends_at - self._clock()) if held else 0.0

    def reject(self, secret: str) -> None:
        """Hand a token out no more, which the service did not take."""
        with self._lock:
            if self._held and self._held.secret == secret:
                self._held = None

    def _ask(self) -> "str | _Exchange":
        """The token, or the exchange that it will come of."""
        now, held = self._clock(), self._held
        if held and now < held.stale_at:
            return held.secret
        # Made before the lock is taken, under which the collector, and what it calls, must not run.
        mine: _Exchange = Future()
        with self._lock:
            held = self._held
            usable = held if held and now < held.dead_at else None
            if usable and (now < usable.stale_at or now < self._not_before or self._under_way):
                return usable.secret
            begun = self._under_way is None
            self._under_way = exchange = self._under_way or mine
        if begun:
            self._begin(exchange)
        return usable.secret if usable else exchange

    def _begin(self, exchange: "_Exchange") -> None:
        """Run an exchange in a thread of its own."""
        try:
            # Where the program ends, a new thread would be waited for, and never run.
            if sys.is_finalizing():
                raise RuntimeError
            threading.Thread(target=self._run, args=(exchange,), daemon=True).start()
        except RuntimeError:
            self._end(exchange, ConnectionFailed(
                "No IAM token: no thread can be started to ask for one, since the program ends or "
                "has too many."
            ))  # fmt: skip

    def _run(self, exchange: "_Exchange") -> None:
        found: _Held | BaseException
        began = self._clock()
        try:
            found = self._held_from(self._exchange(), began)
        except BaseException as error:
            found = error
        self._end(exchange, found)

    def _end(self, exchange: "_Exchange", found: "_Held | BaseException") -> None:
        with self._lock:
            if self._under_way is exchange:
                self._under_way = None
            if isinstance(found, _Held):
                self._held = found
            else:
                self._not_before = self._clock() + _PAUSE
        # A result in any case: an exception that nobody waits for would be reported as forgotten.
        exchange.set_result(found)

    def _held_from(self, token: IamToken, began: float) -> _Held:
        lifetime = token.lifetime
        fresh = min(_FRESH_SECONDS, lifetime / 2)
        reserve = min(_RESERVE_SECONDS, lifetime / 4)
        ends = began + lifetime
        return _Held(token.secret, began + fresh, ends - reserve, ends)


_Exchange = Future[_Held | BaseException]


def _too_late(timeout: float | None) -> RequestTimedOut:
    return RequestTimedOut(
        f"No IAM token within {timeout:g} s (first_byte_timeout, or timeout): try again, or check "
        f"that this machine reaches IAM."
    )


def _given(found: _Held | BaseException) -> str:
    if isinstance(found, _Held):
        return found.secret
    # Each who waited raises one of its own: a traceback belongs to one thread.
    raise copy.copy(found).with_traceback(None)


_KEEPERS: "WeakSet[TokenKeeper]" = WeakSet()
_SHARED: "WeakValueDictionary[Hashable, TokenKeeper]" = WeakValueDictionary()
# The last that were asked for, so that who makes a model for each request exchanges once.
_KEPT: deque[TokenKeeper] = deque(maxlen=32)
_SHARED_LOCK = threading.RLock()


def shared_keeper(source: Hashable, exchange: Callable[[], IamToken]) -> TokenKeeper:
    """The keeper that all share whose tokens come of one source, kept for a while by itself."""
    with _SHARED_LOCK:
        keeper = _SHARED.get(source)
        if keeper is None:
            keeper = _SHARED[source] = TokenKeeper(exchange)
        if keeper not in _KEPT:
            _KEPT.append(keeper)
        return keeper


def _forget_threads() -> None:
    global _SHARED_LOCK
    _SHARED_LOCK = threading.RLock()
    for keeper in list(_KEEPERS):
        keeper._start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
