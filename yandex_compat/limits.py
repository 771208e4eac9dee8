"""Limits kept on the client: how many embeddings may be asked for in a second (WIRE Quotas).

A quota belongs to a credential and a folder, so that all instances of a process that share those
share one Pace: threads, event loops, blocking and async calls alike.
"""

import asyncio
import os
import threading
import time
from bisect import bisect_left, insort
from collections.abc import Hashable
from contextlib import suppress
from itertools import count
from math import ceil
from typing import TYPE_CHECKING, cast

from yandex_compat.deadlines import NEVER, Deadline
from yandex_compat.errors import RequestTimedOut

if TYPE_CHECKING:
    from pyrate_limiter import Rate

# Requests that leave a second apart may arrive closer together than they left.
_MARGIN = 1.05
# Milliseconds after which a pace that nobody asks for may go: whoever did may not wait for it yet.
_KEPT = 10_000


class Pace:
    """Lets so many requests a second pass, in any second; the others wait, first come first served.

    Of a rate above 1, the fraction is left out: 2.5 lets two pass.
    """

    def __init__(self, per_second: float) -> None:
        from pyrate_limiter import InMemoryBucket, Rate, RateItem  # who only chats does without

        self.per_second = per_second
        self.asked_at = _milliseconds()
        self._rate, self._item = Rate, RateItem
        self._bucket = InMemoryBucket([self._window(per_second)])
        self._lock = threading.Lock()
        self._tickets = count()
        self._waiting: list[int] = []

    @property
    def is_idle(self) -> bool:
        """Whether nobody asks or waits, and nothing that has passed counts any more."""
        now = _milliseconds()
        with self._lock:
            self._bucket.leak(now)
            unused = not self._waiting and not self._bucket.count()
        return unused and now - self.asked_at >= _KEPT

    def slow_down(self, per_second: float) -> None:
        """Keep to a lower rate from now on."""
        with self._lock:
            self.per_second = per_second
            self._bucket.rates = [self._window(per_second)]

    def wait(self, deadline: Deadline = NEVER) -> None:
        """Wait until one more request may go out; RequestTimedOut at the deadline."""
        ticket = next(self._tickets)
        try:
            self._queue(ticket)
            while seconds := self._passed_or_wait(ticket):
                time.sleep(_in_time(seconds, deadline))
        except BaseException:
            self._leave(ticket)
            raise

    async def await_turn(self, deadline: Deadline = NEVER) -> None:
        """Wait until one more request may go out, as `wait` does."""
        ticket = next(self._tickets)
        try:
            self._queue(ticket)
            while seconds := self._passed_or_wait(ticket):
                await asyncio.sleep(_in_time(seconds, deadline))
        except BaseException:
            self._leave(ticket)
            raise

    def _window(self, per_second: float) -> "Rate":
        limit = max(1, int(per_second))
        return self._rate(limit, ceil(1000 * _MARGIN * max(1, 1 / per_second)))

    def _queue(self, ticket: int) -> None:
        with self._lock:
            insort(self._waiting, ticket)

    def _leave(self, ticket: int) -> None:
        # An interrupt may come before it stood in the queue, or after it has passed.
        with self._lock, suppress(ValueError):
            self._waiting.remove(ticket)

    def _passed_or_wait(self, ticket: int) -> float:
        """Seconds after which to ask again; 0 where the request passed."""
        with self._lock:
            now = _milliseconds()
            self._bucket.leak(now)
            item = self._item("", now)
            before = bisect_left(self._waiting, ticket)
            if not before and self._bucket.put(item):
                del self._waiting[0]
                return 0
            [window] = self._bucket.rates
            free = max(0, cast("int", self._bucket.waiting(item)))
            if before >= window.limit:
                # Not yet its window; it looks again, since those before it may go away.
                free = window.interval
            # What is left of a millisecond must not become a loop without a pause.
            return max(1, free) / 1000


def _in_time(seconds: float, deadline: Deadline) -> float:
    if deadline.has_passed:
        raise RequestTimedOut(
            f"Its turn did not come in time ({deadline.word}), since embeddings keep to a pace: "
            f"nothing was sent. Raise total_timeout, or requests_per_second where the quota allows "
            f"more."
        )
    return min(seconds, deadline.left)


def _milliseconds() -> int:
    return time.monotonic_ns() // 1_000_000


class Paces:
    """The paces of a process, each for those who share a quota, at the lowest rate of theirs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paces: dict[Hashable, Pace] = {}

    def of(self, quota: Hashable, per_second: float) -> Pace:
        """The pace of a quota, which is what its users share: credential, folder, address.

        A pace that is idle is forgotten, and with it the rate it had.
        """
        with self._lock:
            pace = self._paces.get(quota)
            if pace is None or pace.is_idle:
                # Credentials come and go: what is idle is as good as new.
                self._paces = {key: one for key, one in self._paces.items() if not one.is_idle}
                pace = self._paces[quota] = Pace(per_second)
            elif per_second < pace.per_second:
                pace.slow_down(per_second)
            pace.asked_at = _milliseconds()
            return pace

    def forget(self) -> None:
        """Start anew, in a forked child: a thread that is not there may hold a lock."""
        self.__init__()  # type: ignore[misc]


PACES = Paces()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PACES.forget)
