"""What goes wrong on the way of an answer: refused instead, broken, held back, slow."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .answers import as_json
from .connections import Connection
from .faults import Fault, FaultPlan, counts
from .refusals import gateway_error, over_quota
from .service import Service

_SLOW_PIECES = 8  # of each part of a body
_SMALLEST_PIECE = 16  # bytes
_GATEWAY = {
    "500": (13, "Internal error"),
    "503": (14, "upstream connect error or disconnect/reset before headers"),
    "504": (4, "Deadline exceeded"),
}
_REFUSALS = {"429", "429-retry-after", "429-retry-date", "502", *_GATEWAY}
_BALANCER = """<html>
<head><title>502 Bad Gateway</title></head>
<body>
<center><h1>502 Bad Gateway</h1></center>
<hr><center>balancer</center>
</body>
</html>
"""


class FaultInjector:
    """Lets requests fail as the plan in force draws it, without knowing what they ask."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and break it if its draw says so."""
        drawn = None
        if scope["type"] == "http" and counts(scope["method"], scope["path"]):
            drawn = self._service.faults.draw()
        if drawn is None:
            await self._app(scope, receive, send)
            return
        scope["state"]["row"].fault = drawn.kind
        connection: Connection = scope["state"]["connection"]
        if drawn.kind in _REFUSALS:
            await _read(receive)
            await _refusal(drawn, self._service.quota)(scope, receive, send)
        elif drawn.kind == "reset":
            await _read(receive)
            await connection.reset()
        else:
            struck = _Struck(drawn, scope, send, self._service.faults.released)
            try:
                await self._app(scope, receive, struck.send)
            except _Broken:
                # Only now, when its place of the quota is free for whoever asks again.
                await (connection.end() if drawn.kind == "cut" else connection.reset())


async def _read(receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if not message.get("more_body"):
            return


def _refusal(fault: Fault, quota: int) -> Response:
    if fault.kind == "502":
        return Response(_BALANCER, 502, media_type="text/html")
    if fault.kind in _GATEWAY:
        error = gateway_error(*_GATEWAY[fault.kind])
        return Response(as_json({"error": error}), int(fault.kind), media_type="application/json")
    refusal = over_quota(quota)
    headers = {}
    if fault.kind != "429":
        headers["retry-after"] = _retry_after(fault.plan, as_date=fault.kind == "429-retry-date")
    return Response(as_json(refusal.body), refusal.status, headers, "application/json")


def _retry_after(plan: FaultPlan, *, as_date: bool) -> str:
    if not as_date:
        return str(plan.retry_after)
    # An HTTP date has no fractions: rounded up, so that nobody is asked to come too early.
    then = datetime.now(UTC) + timedelta(seconds=plan.retry_after, microseconds=999_999)
    return format_datetime(then.replace(microsecond=0), usegmt=True)


class _Broken(Exception):
    """Ends the sending of an answer whose connection is to be broken."""


class _Struck:
    """One answer that does not go out as it was sent."""

    def __init__(self, fault: Fault, scope: Scope, send: Send, released: asyncio.Event) -> None:
        self._fault = fault
        self._state = scope["state"]
        self._connection: Connection = scope["state"]["connection"]
        self._send = send
        self._released = released
        self._length: int | None = None
        self._sent = 0
        self._struck = False

    async def send(self, message: Message) -> None:
        """Pass on one message of the answer, or what becomes of it."""
        if message["type"] == "http.response.start":
            await self._start(message)
        elif self._fault.kind == "slow":
            await self._trickle(message)
        elif self._fault.kind in ("cut", "stall") and not self._struck:
            await self._body(message)
        else:
            await self._send(message)

    async def _start(self, message: Message) -> None:
        length = Headers(raw=message["headers"]).get("content-length")
        self._length = None if length is None else int(length)
        if self._fault.kind == "stall-before-head":
            await self._hold()
        await self._send(message)
        if self._fault.kind == "reset-after-head":
            raise _Broken

    async def _body(self, message: Message) -> None:
        """Pass on what comes before the drawn place; there, break or hold."""
        body = message.get("body", b"")
        before = self._before(body)
        if before is None:
            self._sent += 1 if self._length is None else len(body)
            await self._send(message)
            return
        self._struck = True
        if before:
            await self._send({"type": message["type"], "body": before, "more_body": True})
        if self._fault.kind == "cut":
            raise _Broken
        await self._hold()
        await self._send({**message, "body": body[len(before) :]})

    def _before(self, body: bytes) -> bytes | None:
        """Return what of a piece is sent before the drawn place, None if it comes later."""
        if self._length is not None:
            place = _place(self._fault.place, self._length)
            return None if self._sent + len(body) <= place else body[: place - self._sent]
        pieces = self._state["pieces"]
        if self._sent < _place(self._fault.place, pieces):
            return None
        # Of a lone piece there is always a half, or nothing were sent but the head.
        return body[: len(body) // 2] if self._fault.part < 0.5 or pieces == 1 else b""

    async def _trickle(self, message: Message) -> None:
        body = message.get("body", b"")
        size = max(_SMALLEST_PIECE, -(-len(body) // _SLOW_PIECES))
        for start in range(0, len(body) - size, size):
            piece = body[start : start + size]
            await self._send({"type": message["type"], "body": piece, "more_body": True})
            await asyncio.sleep(self._fault.plan.pause)
            self._check_connected()
        last = (len(body) - 1) // size * size if body else 0
        await self._send({**message, "body": body[last:]})

    async def _hold(self) -> None:
        """Wait until the time is over or all is let go; ClientDisconnect if the client leaves."""
        closed = self._connection.closed
        waits = [asyncio.create_task(one.wait()) for one in (closed, self._released)]
        try:
            await asyncio.wait(
                waits, timeout=self._fault.plan.stall, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for wait in waits:
                wait.cancel()
        self._check_connected()

    def _check_connected(self) -> None:
        # A Delivery watches for this itself, and an answer that is sent at once has no need to.
        if self._connection.closed.is_set():
            raise ClientDisconnect


def _place(share: float, length: int) -> int:
    """Return a place inside of so many bytes or pieces: after the first, before the last."""
    return 1 + int(share * (length - 1)) if length > 1 else 0
