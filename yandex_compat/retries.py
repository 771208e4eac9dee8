"""What is retried and how long each wait is: decisions only, tenacity runs them."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from yandex_compat.errors import YandexError


def _draw(low: float, high: float) -> float:
    # Not random.uniform itself: pickled or copied, it takes its state along, and all copies would
    # wait the same.
    return random.uniform(low, high)  # noqa: S311 -- jitter is no secret


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is tried again, and the waits between, in seconds.

    The wait before retry n is drawn from 0 … min(longest, first * 2**(n - 1)) (full jitter), and
    is never shorter than the service's Retry-After, up to `longest_retry_after`: a longer one is
    left to the caller as the error it came with.
    """

    max_retries: int = 2
    first: float = 0.5
    longest: float = 8.0
    longest_retry_after: float = 60.0
    draw: Callable[[float, float], float] = _draw

    def wait_after(self, attempt: int, error: BaseException, left: float = inf) -> float | None:
        """Seconds to wait after failed attempt number `attempt` (from 1); None: give up.

        `left` seconds are left for the whole: a wait that takes all of them is none.
        """
        if attempt > self.max_retries:
            return None
        if not isinstance(error, YandexError) or not error.retryable:
            return None
        asked = getattr(error, "retry_after", None) or 0.0
        if asked > self.longest_retry_after:
            return None
        wait = asked + self.draw(0.0, min(self.longest, self.first * 2 ** min(attempt - 1, 32)))
        return wait if wait < left else None
