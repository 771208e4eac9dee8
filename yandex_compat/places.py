"""Places: how many generations may run at once, first come first served (WIRE Quotas).

A quota belongs to a credential, a folder and a model, so that all instances of a process that share
those share their Places: threads, event loops, blocking and async calls alike.
"""

import asyncio
import os
import threading
import time
from _thread import start_new_thread
from collections import deque
from collections.abc import Hashable
from concurrent.futures import Future
from contextlib import suppress
from weakref import WeakSet, WeakValueDictionary

from yandex_compat.deadlines import NEVER, Deadline
from yandex_compat.errors import NoFreePlace

# Seconds until a place is there that is being handed over, unless who did so was interrupted.
_ALMOST_HERE = 1.0


class Place:
    """One place that is taken, until it is given back."""

    __slots__ = ("__weakref__", "_of")

    def __init__(self, places: "Places") -> None:
        self._of: Places | None = places

    def give_back(self) -> None:
        """Let the next one have it; a second time does nothing."""
        places, self._of = self._of, None
        if places:
            places._take_back()

    def __del__(self) -> None:
        if self._of:
            # The collector may run in a thread that holds the very lock this takes.
            try:
                start_new_thread(self._of._take_back, ())
            except RuntimeError:
                self._of._forgotten.append(None)  # no thread is left: who comes next counts it


class _Waiter:
    """Who waits for a place, and how many may be taken at most when theirs is."""

    __slots__ = ("limit", "place")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.place: Future[Place] = Future()


class Places:
    """The places of one quota.

    Each caller says how many may be taken, theirs included; the first in the queue is let in once
    fewer are.
    """

    def __init__(self) -> None:
        self._taken = 0
        self._waiting: deque[_Waiter] = deque()
        self._forgotten: deque[None] = deque()
        self._moved_at = 0.0
        self.start_anew()
        _ALL.add(self)

    def start_anew(self) -> None:
        """Also in a forked child, where nobody is left who held the lock."""
        self._lock = threading.Lock()

    def take(self, limit: int, patience: float, deadline: Deadline = NEVER) -> Place:
        """A place, once it is one's turn.

        Raises NoFreePlace at the deadline, or when no place came free for `patience` seconds: a
        queue that moves may be long.
        """
        waiter = self._asked(limit)
        if isinstance(waiter, Place):
            return waiter
        since = time.monotonic()
        try:
            while seconds := self._seconds_to_wait(since, patience, deadline):
                with suppress(TimeoutError):
                    return waiter.place.result(seconds)
        except BaseException:
            self._leave(waiter)
            raise
        return self._given_up(waiter, patience, deadline)

    async def atake(self, limit: int, patience: float, deadline: Deadline = NEVER) -> Place:
        """A place, once it is one's turn, as `take` gives it."""
        waiter = self._asked(limit)
        if isinstance(waiter, Place):
            return waiter
        since = time.monotonic()
        try:
            coming = asyncio.wrap_future(waiter.place)
            while seconds := self._seconds_to_wait(since, patience, deadline):
                done, _ = await asyncio.wait([coming], timeout=seconds)
                if done:
                    return coming.result()
        except BaseException:
            self._leave(waiter)
            raise
        return self._given_up(waiter, patience, deadline)

    def _asked(self, limit: int) -> Place | _Waiter:
        """A place where one is free and nobody waits, else a stand in the queue."""
        if self._forgotten:
            self._let_in()
        with self._lock:
            if not self._waiting and self._taken < limit:
                self._taken += 1
                return Place(self)
            waiter = _Waiter(limit)
            self._waiting.append(waiter)
            return waiter

    def _take_back(self) -> None:
        with self._lock:
            self._taken -= 1
            self._moved_at = time.monotonic()
        self._let_in()

    def _let_in(self) -> None:
        """Give places to those in front, as far as they go."""
        let_in: list[tuple[_Waiter, Place]] = []
        with self._lock:
            while self._forgotten:
                self._forgotten.pop()
                self._taken -= 1
            while self._waiting and self._taken < self._waiting[0].limit:
                waiter = self._waiting.popleft()
                # From here on it can't be cancelled.
                if waiter.place.set_running_or_notify_cancel():
                    self._taken += 1
                    let_in.append((waiter, Place(self)))
        # What this calls, such as an event loop's own code, needs no lock of ours.
        for waiter, place in let_in:
            waiter.place.set_result(place)

    def _seconds_to_wait(self, since: float, patience: float, deadline: Deadline) -> float:
        moved = max(since, self._moved_at)
        return min(deadline.left, max(0.0, moved + patience - time.monotonic()))

    def _given_up(self, waiter: _Waiter, patience: float, deadline: Deadline) -> Place:
        if not waiter.place.cancel():
            with suppress(TimeoutError):
                return waiter.place.result(_ALMOST_HERE)  # it came in the last moment
        self._leave(waiter)
        waited = deadline.word if deadline.has_passed else f"timeout={patience:g} s"
        raise NoFreePlace(
            f"No place among {waiter.limit} concurrent generations came free in time ({waited}): "
            f"nothing was sent. Close streams that are open, each of which holds its place, or "
            f"raise max_concurrency where the quota allows more."
        )

    def _leave(self, waiter: _Waiter) -> None:
        """Give up a stand in the queue, or the place that was had in the meantime."""
        if not waiter.place.cancel():
            with suppress(TimeoutError):
                waiter.place.result(_ALMOST_HERE).give_back()
            return
        with self._lock, suppress(ValueError):
            self._waiting.remove(waiter)
        # Those behind may do with more places than the one who left.
        self._let_in()


_ALL: "WeakSet[Places]" = WeakSet()
_SHARED: "WeakValueDictionary[Hashable, Places]" = WeakValueDictionary()
_SHARED_LOCK = threading.Lock()


def shared_places(quota: Hashable) -> Places:
    """The places that all share whose generations count against one quota."""
    with _SHARED_LOCK:
        places = _SHARED.get(quota)
        if places is None:
            places = _SHARED[quota] = Places()
        return places


def _forget_threads() -> None:
    global _SHARED_LOCK
    _SHARED_LOCK = threading.Lock()
    # The child's own requests are counted from none: the parent's are not its own.
    _SHARED.clear()
    for places in list(_ALL):
        places.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
