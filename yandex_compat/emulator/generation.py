"""From a checked request to its delivery: what the script says, the upstream or the responder."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Protocol

from starlette.requests import Request

from .answers import Answer, as_json
from .delivery import Delivery, unless_gone
from .ledger import LedgerRow
from .prompts import Prompt
from .refusals import Refused
from .responder import respond
from .scripted import raw_delivery
from .scripts import ScriptedAnswer
from .service import Service
from .upstream import Upstream
from .upstream_answers import Piece


class Dressed(Protocol):
    """An answer in the shapes of one API."""

    @property
    def streamed_as(self) -> str:
        """The content type of its streams."""

    @property
    def text(self) -> str:
        """The text that a client ends up with."""

    def body(self) -> dict[str, Any]:
        """Return the body of a whole answer."""

    def events(self) -> list[bytes]:
        """Return the events of a stream."""

    def growing(self, piece: Piece, so_far: str, position: int) -> list[bytes]:
        """Return the events of a piece as it comes; with it the text is ``so_far``."""

    def closing(self, position: int) -> list[bytes]:
        """Return the events that end a stream after so many pieces."""

    def failure(self, error: object) -> bytes:
        """Return the event of an error inside a stream."""


class Asked(Protocol):
    """A request of one API that passed every check."""

    @property
    def model(self) -> str:
        """The bare name of the model."""

    @property
    def streamed(self) -> bool:
        """Whether it asks for a stream."""

    @property
    def limit(self) -> int | None:
        """How many tokens may be generated."""

    def prompt(self) -> Prompt:
        """Return what the responder is asked."""

    def upstream_body(self) -> dict[str, Any]:
        """Return what an upstream is asked."""

    def dressed(self, answer: Answer, *, ended: bool = True) -> Dressed:
        """Dress an answer for sending, be it one that has not ended yet."""


async def said(service: Service, asked: Asked) -> Answer:
    """Return what the upstream says, or the responder, cut where the request limits it."""
    if service.upstream is not None:
        return await service.upstream.complete(asked.upstream_body())
    return respond(asked.prompt()).limited(asked.limit)


async def generate(service: Service, asked: Asked, request: Request) -> Delivery:
    """Answer one request, within the quota of its model."""
    row: LedgerRow = request.scope["state"]["row"]
    try:
        finished = service.start_generation(asked.model)
    finally:
        row.generating = service.generating(asked.model)
    try:
        scripted = service.scripts.take(request.url.path)
        if scripted is None:
            if asked.streamed and service.upstream is not None:
                return await _live(service, service.upstream, asked, request, finished)
            dressed = asked.dressed(await unless_gone(request, said(service, asked)))
            row.text = dressed.text
            return _delivery(service, asked, dressed, finished)
        script, gate = scripted
        if not isinstance(script, ScriptedAnswer):
            return raw_delivery(script, gate, finished)
        _check_streamed(script, streamed=asked.streamed)
        dressed = asked.dressed(script.answer())
        row.text = dressed.text
        return _delivery(service, asked, dressed, finished, script, gate)
    except BaseException:
        finished()
        raise


def _delivery(
    service: Service,
    asked: Asked,
    dressed: Dressed,
    finished: Callable[[], None],
    script: ScriptedAnswer | None = None,
    gate: asyncio.Event | None = None,
) -> Delivery:
    script = script or ScriptedAnswer()
    if not asked.streamed:
        body = as_json(dressed.body()).encode()
        delay = script.delay or 0.0
        return Delivery([body], "application/json", delay=delay, gate=gate, finished=finished)
    return Delivery(
        _events(script, dressed),
        dressed.streamed_as,
        delay=service.chunk_delay if script.delay is None else script.delay,
        gate=gate,
        streamed=True,
        reset=script.close == "reset",
        finished=finished,
    )


async def _live(
    service: Service,
    upstream: Upstream,
    asked: Asked,
    request: Request,
    finished: Callable[[], None],
) -> Delivery:
    """Deliver the upstream's answer as it comes, once its first event is there."""
    row: LedgerRow = request.scope["state"]["row"]
    dressed = asked.dressed(Answer(), ended=False)
    events = _said_live(upstream, asked, dressed, row)
    first: list[bytes] = []
    # A fault has its place in the whole of an answer.
    while row.fault in ("cut", "stall") or not first:
        event = await unless_gone(request, _next(events))
        if event is None:
            break
        first.append(event)
    return Delivery(
        first,
        dressed.streamed_as,
        delay=service.chunk_delay,
        streamed=True,
        live=events,
        finished=finished,
    )


async def _said_live(
    upstream: Upstream, asked: Asked, dressed: Dressed, row: LedgerRow
) -> AsyncGenerator[bytes, None]:
    """Yield the events of the upstream's answer; Refused only before the first of them."""
    position, row.text = 0, ""
    try:
        async with aclosing(upstream.stream(asked.upstream_body())) as said:
            async for piece in said:
                if isinstance(piece, Answer):
                    ended = asked.dressed(piece)
                    row.text = ended.text
                    events = ended.closing(position)
                else:
                    row.text += piece.text
                    events = dressed.growing(piece, row.text, position)
                    position += 1
                for event in events:
                    yield event
    except Refused as refusal:
        if not position:
            row.text = None
            raise
        yield dressed.failure(refusal.body["error"])


async def _next(events: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(events, None)


def _events(script: ScriptedAnswer, dressed: Dressed) -> list[bytes]:
    """Return the events of a stream, cut or broken as the script says."""
    events = dressed.events()
    if script.error_after is not None:
        return [*events[: script.error_after], dressed.failure(script.error)]
    return events if script.cut_after is None else events[: script.cut_after]


def _check_streamed(script: ScriptedAnswer, *, streamed: bool) -> None:
    """Fail loudly when a script for streams meets a request for a whole answer."""
    if script.needs_stream and not streamed:
        raise Refused(500, {"error": "the script is for a stream, the request asks for none"})
