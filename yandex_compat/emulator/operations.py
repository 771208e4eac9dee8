"""Operations: deferred answers that take their time, and may fail."""

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .refusals import refused

JSONObject = dict[str, Any]
_RESULT = {"response", "error"}
_KEPT = 10_000  # the latest operations, so that a server that runs for days does not grow
_TYPE = "type.googleapis.com/yandex.cloud.ai.foundation_models.v1.CompletionResponse"


@dataclass(slots=True)
class _Operation:
    id: str
    response: JSONObject | None
    error: object
    ready_at: float
    gate: asyncio.Event
    created: datetime

    @property
    def done(self) -> bool:
        return self.gate.is_set() and time.monotonic() >= self.ready_at

    def body(self) -> JSONObject:
        body: JSONObject = {
            "id": self.id,
            "description": "Async GPT Completion",
            "createdAt": self.created.isoformat().replace("+00:00", "Z"),
            "createdBy": "ajetestserviceaccount",
            "modifiedAt": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "done": self.done,
            "metadata": None,
        }
        if not self.done:
            return body
        if self.response is None:
            return body | {"error": self.error}
        return body | {"response": {"@type": _TYPE, **self.response}}


@dataclass(slots=True)
class Operations:
    """The operations of one account; each takes ``duration`` seconds, unless a script says."""

    duration: float = 0.0
    _known: dict[str, _Operation] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def begin(
        self,
        response: JSONObject | None,
        error: object,
        duration: float | None,
        gate: asyncio.Event,
    ) -> JSONObject:
        """Begin an operation and return how it stands, which is not done yet."""
        ready_at = time.monotonic() + (self.duration if duration is None else duration)
        operation = _Operation(
            f"fbvoperation{next(self._numbers):06d}",
            response,
            error,
            ready_at,
            gate,
            datetime.now(UTC),
        )
        self._known[operation.id] = operation
        if len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
        begun = operation.body()
        return {word: begun[word] for word in begun if word not in _RESULT} | {"done": False}

    def get(self, operation_id: str) -> JSONObject:
        """Return how an operation stands; refuse an id that nobody knows with 404."""
        if operation_id not in self._known:
            raise refused(5, f"Operation {operation_id} not found")
        return self._known[operation_id].body()
