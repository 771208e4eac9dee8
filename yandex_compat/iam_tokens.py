"""IAM tokens, which expire: had anew in time, once for all threads and event loops of a process."""

import asyncio
import copy
import os
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from weakref import WeakSet, WeakValueDictionary

from yandex_compat.errors import ConnectionFailed

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
        self._lock = threading.Lock()
        self._under_way: Future[_Held | BaseException] | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The token that is held, which must never show in a text."""
        held = self._held
        return (held.secret,) if held else ()

    def token(self) -> str:
        """A token that is still good; raises what the exchange raised."""
        found = self._ask()
        return found if isinstance(found, str) else _given(found.result())

    async def atoken(self) -> str:
        """A token that is still good, as `token` gives it."""
        found = self._ask()
        if isinstance(found, str):
            return found
        # Who gives up waiting does not take the exchange away from the others.
        await asyncio.wait([asyncio.wrap_future(found)])
        return _given(found.result())

    def reject(self, secret: str) -> None:
        """Hand a token out no more, which the service did not take."""
        with self._lock:
            if self._held and self._held.secret == secret:
                self._held = None

    def _ask(self) -> "str | Future[_Held | BaseException]":
        now = self._clock()
        with self._lock:
            held = self._held
            if held and now < held.stale_at:
                return held.secret
            usable = held if held and now < held.dead_at else None
            if usable and now < self._not_before:
                return usable.secret
            if self._under_way is None:
                # Whoever has a token can do without a new one yet.
                with suppress(*([ConnectionFailed] if usable else [])):
                    self._under_way = self._begun()
            if usable:
                return usable.secret
            assert self._under_way is not None
            return self._under_way

    def _begun(self) -> "Future[_Held | BaseException]":
        outcome: Future[_Held | BaseException] = Future()
        try:
            threading.Thread(target=self._run, args=(outcome,), daemon=True).start()
        except RuntimeError:
            raise ConnectionFailed(
                "No IAM token: no thread can be started to ask for one, since the program ends or "
                "has too many."
            ) from None
        return outcome

    def _run(self, outcome: "Future[_Held | BaseException]") -> None:
        found: _Held | BaseException
        try:
            found = self._held_from(self._exchange())
        except BaseException as error:
            found = error
        with self._lock:
            self._under_way = None
            if isinstance(found, _Held):
                self._held = found
            else:
                self._not_before = self._clock() + _PAUSE
        # A result in any case: an exception that nobody waits for would be reported as forgotten.
        outcome.set_result(found)

    def _held_from(self, token: IamToken) -> _Held:
        now, lifetime = self._clock(), token.lifetime
        fresh = min(_FRESH_SECONDS, lifetime / 2)
        reserve = min(_RESERVE_SECONDS, lifetime / 4)
        return _Held(token.secret, now + fresh, now + lifetime - reserve)


def _given(found: _Held | BaseException) -> str:
    if isinstance(found, _Held):
        return found.secret
    # Each who waited raises one of its own: a traceback belongs to one thread.
    raise copy.copy(found).with_traceback(None)


_KEEPERS: "WeakSet[TokenKeeper]" = WeakSet()
_SHARED: "WeakValueDictionary[Hashable, TokenKeeper]" = WeakValueDictionary()
_SHARED_LOCK = threading.Lock()


def shared_keeper(source: Hashable, exchange: Callable[[], IamToken]) -> TokenKeeper:
    """The keeper that all share whose tokens come of one source."""
    with _SHARED_LOCK:
        keeper = _SHARED.get(source)
        if keeper is None:
            keeper = _SHARED[source] = TokenKeeper(exchange)
        return keeper


def _forget_threads() -> None:
    global _SHARED_LOCK
    _SHARED_LOCK = threading.Lock()
    for keeper in list(_KEEPERS):
        keeper._start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
