"""Limits kept on the client: how many embeddings may be asked for in a second (WIRE Quotas).

A quota belongs to a credential and a folder, so that all instances of a process that share those
share one Pace: threads, event loops, blocking and async calls alike.
"""

import asyncio
import os
import threading
import time
from collections.abc import Hashable
from math import ceil
from typing import cast

# Requests that leave a second apart may arrive closer together than they left.
_MARGIN = 1.05


class Pace:
    """Lets so many requests a second pass, in any second; the others wait."""

    def __init__(self, per_second: float) -> None:
        from pyrate_limiter import InMemoryBucket, Rate, RateItem  # who only chats does without

        limit = ceil(per_second)
        self._bucket = InMemoryBucket([Rate(limit, ceil(1000 * _MARGIN * limit / per_second))])
        self._item = RateItem
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait until one more request may go out."""
        while seconds := self._taken_or_wait():
            time.sleep(seconds)

    async def await_turn(self) -> None:
        """Wait until one more request may go out, as `wait` does."""
        while seconds := self._taken_or_wait():
            await asyncio.sleep(seconds)

    def _taken_or_wait(self) -> float:
        """Seconds after which to ask again; 0 where the turn was taken."""
        with self._lock:
            now = time.monotonic_ns() // 1_000_000
            self._bucket.leak(now)
            item = self._item("", now)
            if self._bucket.put(item):
                return 0
            # What is left of a millisecond must not become a loop without a pause.
            return max(1, cast("int", self._bucket.waiting(item))) / 1000


class Paces:
    """The paces of a process, each for those who share a quota."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paces: dict[Hashable, Pace] = {}

    def of(self, quota: Hashable, per_second: float) -> Pace:
        """The pace of a quota, which is what its users share: credential, folder, address."""
        with self._lock:
            key = (quota, per_second)
            if key not in self._paces:
                self._paces[key] = Pace(per_second)
            return self._paces[key]

    def forget(self) -> None:
        """Start anew, in a forked child: a thread that is not there may hold a lock."""
        self.__init__()  # type: ignore[misc]


PACES = Paces()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PACES.forget)
