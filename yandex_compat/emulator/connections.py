"""Open connections: how many there are, and how an answer breaks its own."""

import asyncio
import socket
import struct
from dataclasses import dataclass, field

_FLUSH_POLL = 0.001  # seconds
_LINGER_0 = struct.pack("ii", 1, 0)


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

    async def reset(self) -> None:
        """Send what was written, then a TCP reset."""
        # The kernel sends what it has before the reset; asyncio would drop its own part.
        while self.transport.get_write_buffer_size() and not self.closed.is_set():
            await asyncio.sleep(_FLUSH_POLL)
        if not self.closed.is_set():
            ours = self.transport.get_extra_info("socket")
            # A duplicate, since not every event loop lets its own socket's options be set.
            with socket.fromfd(ours.fileno(), ours.family, ours.type) as same:
                same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
            self.transport.abort()
        await self.closed.wait()

    async def end(self) -> None:
        """Send what was written, then the end of the stream: all of it reaches the client."""
        self.transport.close()
        await self.closed.wait()
