"""The emulated account: its settings, and what changes while it serves."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from .access import Access
from .issued_tokens import IssuedTokens
from .operations import Operations
from .refusals import refused
from .request_log import RequestRecord
from .scripts import ScriptQueue
from .stored_completions import StoredCompletions

_KEPT = 10_000  # requests in the log, so that it does not grow for ever


@dataclass(slots=True)
class Service:
    """What all requests share. It lives in one event loop and needs no lock.

    ``quota`` generations of one model may run at once; ``chunk_delay`` is in seconds.
    """

    access: Access
    quota: int = 10
    refuse_unsupported: bool = False
    chunk_delay: float = 0.0
    operations: Operations = field(default_factory=Operations)
    stored: StoredCompletions = field(default_factory=StoredCompletions)
    scripts: ScriptQueue = field(default_factory=ScriptQueue)
    requests: deque[RequestRecord] = field(default_factory=lambda: deque(maxlen=_KEPT))
    in_flight: int = 0
    _generating: Counter[str] = field(default_factory=Counter)

    def start_generation(self, model: str) -> Callable[[], None]:
        """Take one place of a model's quota; return what gives it back."""
        if self._generating[model] >= self.quota:
            raise refused(
                8,
                "ai.textGenerationCompletionSessionsCount.count gRPC quota limit exceed: "
                f"allowed {self.quota} requests",
            )
        self._generating[model] += 1
        return lambda: self._generating.subtract([model])

    def clear(self) -> None:
        """Forget requests, scripts and stored completions."""
        self.requests.clear()
        self.scripts.clear()
        self.stored.clear()
        self.access.issued.lifetime = IssuedTokens().lifetime
