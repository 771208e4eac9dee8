"""The IAM tokens that were given out, and how long each is good."""

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

LONGEST = 43_200.0  # what IAM gives at most (WIRE)


@dataclass(slots=True)
class IssuedTokens:
    """Tokens of one account; each lives ``lifetime`` seconds, 12 hours if not told otherwise."""

    lifetime: float = LONGEST
    clock: Callable[[], float] = time.monotonic
    _ends: dict[str, float] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def live(self, seconds: float) -> None:
        """Set how long the tokens to come live; ValueError for what is no life."""
        if not (math.isfinite(seconds) and 0 < seconds <= LONGEST):
            raise ValueError(f"a token lives more than 0 and at most {LONGEST:.0f} seconds")
        self.lifetime = float(seconds)

    def issue(self) -> str:
        """Return a new token, and forget those that have expired."""
        now = self.clock()
        self._ends = {known: ends for known, ends in self._ends.items() if ends > now}
        token = f"t1.issued-{next(self._numbers):06d}"
        self._ends[token] = now + self.lifetime
        return token

    def is_good(self, token: str) -> bool:
        """Return whether a token was given out and has not expired."""
        return self._ends.get(token, 0.0) > self.clock()

    def expire(self) -> None:
        """Let all tokens end now."""
        self._ends.clear()
