"""The IAM tokens that were given out, and how long each is good."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class IssuedTokens:
    """Tokens of one account; each lives ``lifetime`` seconds, 12 hours if not told otherwise."""

    lifetime: float = 43_200.0
    _ends: dict[str, float] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def issue(self) -> str:
        """Return a new token, and forget those that have expired."""
        now = time.monotonic()
        self._ends = {known: ends for known, ends in self._ends.items() if ends > now}
        token = f"t1.issued-{next(self._numbers):06d}"
        self._ends[token] = now + self.lifetime
        return token

    def is_good(self, token: str) -> bool:
        """Return whether a token was given out and has not expired."""
        return self._ends.get(token, 0.0) > time.monotonic()

    def expire(self) -> None:
        """Let all tokens end now."""
        self._ends.clear()
