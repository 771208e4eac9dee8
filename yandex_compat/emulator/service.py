"""The emulated account: its settings, and what changes while it serves."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from .access import Access
from .connections import Connections
from .faults import Faults
from .issued_tokens import IssuedTokens
from .ledger import Ledger
from .operations import Operations
from .refusals import over_quota
from .request_log import RequestRecord
from .scripts import ScriptQueue
from .stored_completions import StoredCompletions
from .upstream import Upstream

_KEPT = 10_000  # requests in the log, so that it does not grow for ever


@dataclass(slots=True)
class Service:
    """What all requests share. It lives in one event loop and needs no lock.

    ``quota`` generations of one model may run at once; ``chunk_delay`` is in seconds. With an
    ``upstream``, that speaks instead of the responder.
    """

    access: Access
    quota: int = 10
    refuse_unsupported: bool = False
    chunk_delay: float = 0.0
    operations: Operations = field(default_factory=Operations)
    upstream: Upstream | None = None
    stored: StoredCompletions = field(default_factory=StoredCompletions)
    scripts: ScriptQueue = field(default_factory=ScriptQueue)
    requests: deque[RequestRecord] = field(default_factory=lambda: deque(maxlen=_KEPT))
    faults: Faults = field(default_factory=Faults)
    ledger: Ledger = field(default_factory=Ledger)
    connections: Connections = field(default_factory=Connections)
    in_flight: int = 0
    _most_generating: int = 0
    _generating: Counter[str] = field(default_factory=Counter)

    def start_generation(self, model: str) -> Callable[[], None]:
        """Take one place of a model's quota; return what gives it back."""
        if self._generating[model] >= self.quota:
            raise over_quota(self.quota)
        self._generating[model] += 1
        self._most_generating = max(self._most_generating, self._generating[model])
        return lambda: self._generating.subtract([model])

    def generating(self, model: str) -> int:
        """Return how many generations of a model run now."""
        return self._generating[model]

    def peaks(self) -> dict[str, dict[str, int]]:
        """Return ``generations`` and open ``connections``: how many ``now`` and at the ``peak``.

        The peak of generations is that of one model, as the quota is.
        """
        generations = {"now": self._generating.total(), "peak": self._most_generating}
        return {"generations": generations, "connections": asdict(self.connections)}

    def clear_ledger(self) -> None:
        """Forget the rows, and begin the peaks anew with what is there now."""
        self.ledger.clear()
        self._most_generating = max(self._generating.values(), default=0)
        self.connections.begin_anew()

    def clear(self) -> None:
        """Forget requests, scripts, faults, rows of the ledger and stored completions."""
        self.requests.clear()
        self.scripts.clear()
        self.faults.clear()
        self.clear_ledger()
        self.stored.clear()
        self.access.issued.lifetime = IssuedTokens().lifetime
