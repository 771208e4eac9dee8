"""Faults: a seeded plan of what goes wrong, and the draw for each request that counts."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field

from .messages import Strict

FaultKind = Literal[
    "429",
    "429-retry-after",
    "429-retry-date",
    "500",
    "502",
    "503",
    "504",
    "reset",
    "reset-after-head",
    "cut",
    "stall",
    "stall-before-head",
    "slow",
]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
LONGEST_RETRY_AFTER = 86_400  # seconds; a date has an end

_NATIVE = "/foundationModels/v1"
_COUNTED = {
    "/v1/chat/completions",
    "/v1/embeddings",
    f"{_NATIVE}/completion",
    f"{_NATIVE}/completionAsync",
    f"{_NATIVE}/textEmbedding",
    f"{_NATIVE}/tokenize",
    f"{_NATIVE}/tokenizeCompletion",
}


class FaultPlan(Strict):
    """Which share of the requests fails (``rate``, 0 to 1), and how.

    The same ``seed`` gives the same faults in the same order. A kind that stands twice in
    ``kinds`` is drawn twice as often. ``retry_after`` seconds stand in the header of a refusal.
    ``stall`` is how many seconds an answer is held back before it goes on; without it, until the
    client hangs up. ``pause`` seconds lie between the pieces of a slow answer.

    - ``429``: over the quota; ``429-retry-after`` says when to come again in seconds,
      ``429-retry-date`` as an HTTP date
    - ``500``, ``503``, ``504``: the gateway's errors (WIRE C); ``502``: a balancer's HTML page
    - ``reset``: a TCP reset before the head; ``reset-after-head``: before any byte of the body
    - ``cut``: the connection ends in the middle of the body, of a stream after a drawn number of
      pieces (and, every other time, half of the next)
    - ``stall``: the body stops where a cut would be; ``stall-before-head``: nothing is sent
    - ``slow``: the body trickles, and arrives whole
    """

    model_config = ConfigDict(frozen=True)

    rate: Annotated[float, Field(ge=0, le=1)]
    seed: int = 0
    kinds: Annotated[tuple[FaultKind, ...], Field(min_length=1)] = FAULT_KINDS
    retry_after: Annotated[int, Field(ge=0, le=LONGEST_RETRY_AFTER)] = 1
    stall: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    pause: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.005


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request; ``place`` and ``part``, 0 to 1, say where."""

    kind: FaultKind
    place: float
    part: float
    plan: FaultPlan


class Faults:
    """The plan in force, or none, and how far its draws are."""

    def __init__(self, plan: FaultPlan | None = None) -> None:
        self.released = asyncio.Event()
        self.plan: FaultPlan | None = None
        if plan is not None:
            self.follow(plan)

    def follow(self, plan: FaultPlan) -> None:
        """Draw by this plan from now on, from its beginning."""
        self.plan = plan
        self._random = random.Random(plan.seed)  # noqa: S311 -- a seed must give the same draws
        self._asked = 0
        self._drawn: Counter[FaultKind] = Counter()

    def draw(self) -> Fault | None:
        """Return what goes wrong with the next request, or None."""
        if self.plan is None:
            return None
        # Four numbers a request, whatever becomes of it: so the nth draw depends on n alone.
        strikes, which, place, part = (self._random.random() for _ in range(4))
        self._asked += 1
        if strikes >= self.plan.rate:
            return None
        kind = self.plan.kinds[int(which * len(self.plan.kinds))]
        self._drawn[kind] += 1
        return Fault(kind, place, part, self.plan)

    def told(self) -> dict[str, Any]:
        """Return ``{plan, requests, drawn}``: how many counted, how often which kind was drawn."""
        if self.plan is None:
            return {"plan": None, "requests": 0, "drawn": {}}
        plan = self.plan.model_dump(mode="json")
        return {"plan": plan, "requests": self._asked, "drawn": dict(self._drawn)}

    def clear(self) -> None:
        """Let nothing more go wrong, and let go what is stalled."""
        self.plan = None
        self.released.set()
        self.released = asyncio.Event()


def counts(method: str, path: str) -> bool:
    """Tell whether a request can be struck: generation, embeddings and tokenizer of both APIs.

    To look for the answer of a deferred generation is a part of it.
    """
    if method == "GET":
        return path.startswith("/operations/")
    return method == "POST" and path in _COUNTED
