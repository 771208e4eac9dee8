"""Open connections: how many there are, and how an answer breaks its own."""

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Connections:
    """How many connections are open ``now``, and the ``peak`` since the count began anew."""

    now: int = 0
    peak: int = 0

    def opened(self) -> None:
        """Count one more."""
        self.now += 1
        self.peak = max(self.peak, self.now)

    def closed(self) -> None:
        """Count one less."""
        self.now -= 1

    def begin_anew(self) -> None:
        """Forget the peak: those that are open now are the most there were."""
        self.peak = self.now


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection, as a server or balancer that dies breaks it; ``closed`` is set once it is."""

    transport: asyncio.Transport
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def abort(self) -> None:
        """End it now; what was not yet handed to the kernel is lost."""
        self.transport.abort()
