"""Deadline: the moment by which a call must have ended, its waits and second tries included."""

import time
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, and the constructor word, with its seconds, that set it."""

    ends_at: float = inf
    word: str = ""

    @classmethod
    def after(cls, word: str, seconds: float | None) -> "Deadline":
        """That many seconds from now; NEVER for None."""
        if seconds is None:
            return NEVER
        return cls(time.monotonic() + seconds, f"{word}={seconds:g} s")

    @property
    def left(self) -> float:
        """Seconds until then, 0 at least; infinite where there is no end."""
        return inf if self.ends_at == inf else max(0.0, self.ends_at - time.monotonic())

    @property
    def has_passed(self) -> bool:
        """Whether nothing is left."""
        return self.left <= 0


NEVER = Deadline()
