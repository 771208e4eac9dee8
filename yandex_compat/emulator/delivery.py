"""How an answer travels: in pieces, slowly, held at a gate, to a client that may hang up."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_T = TypeVar("_T")


class Delivery(Response):
    """A response that is sent piece by piece.

    A single piece has a length and waits before its head; of more pieces, only those after the
    first wait. ``live`` pieces are sent as they come, and closed whatever happens. ``reset``
    aborts the connection after the last piece.
    """

    def __init__(
        self,
        pieces: Sequence[bytes],
        content_type: str,
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        delay: float = 0.0,
        gate: asyncio.Event | None = None,
        streamed: bool = False,
        live: AsyncGenerator[bytes, None] | None = None,
        reset: bool = False,
        finished: Callable[[], None] = lambda: None,
    ) -> None:
        whole = None if streamed else b"".join(pieces)
        super().__init__(whole, status, {"content-type": content_type} | (headers or {}))
        if streamed:
            del self.headers["content-length"]
        self._pieces = pieces
        self._streamed = streamed
        self._live = live
        self._delay = delay
        self._gate = gate
        self._reset = reset
        self._finished = finished

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, until done or until the client hangs up."""
        scope["state"]["pieces"] = len(self._pieces)
        gone = asyncio.create_task(_hung_up(receive))
        sending = asyncio.create_task(self._send(send))
        try:
            await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                scope["state"]["record"]["closed_early"] = True
            elif self._reset and sending.exception() is None:
                scope["state"]["connection"].abort()
                await gone
        finally:
            self._finished()
            await _cancelled(gone)
            try:
                await _cancelled(sending)
            finally:
                if self._live is not None:
                    await self._live.aclose()

    async def _send(self, send: Send) -> None:
        if not self._streamed:
            await self._wait()
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        for position, piece in enumerate(self._pieces):
            if self._streamed and position:
                await self._wait()
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if self._live is not None:
            async for piece in self._live:
                await self._wait()
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        if not self._reset:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _wait(self) -> None:
        if self._gate is not None:
            await self._gate.wait()
        # Even without a delay others get their turn, a client that hangs up among them.
        await asyncio.sleep(self._delay)


async def unless_gone(request: Request, work: Coroutine[Any, Any, _T]) -> _T:
    """Return what ``work`` gives; cancel it, with ClientDisconnect, if the client hangs up."""
    gone, working = asyncio.create_task(_hung_up(request.receive)), asyncio.create_task(work)
    try:
        await asyncio.wait({gone, working}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        await _cancelled(gone)
        if not working.done():
            await _cancelled(working)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancelled(task: asyncio.Task[Any]) -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()
