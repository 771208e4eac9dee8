"""From a checked request to its delivery: what the script says, or the responder."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from starlette.requests import Request

from .answers import Answer, as_json
from .delivery import Delivery
from .ledger import LedgerRow
from .prompts import Prompt
from .refusals import Refused
from .responder import respond
from .scripted import raw_delivery
from .scripts import ScriptedAnswer
from .service import Service


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

    def dressed(self, answer: Answer) -> Dressed:
        """Dress an answer for sending."""


def said(asked: Asked) -> Answer:
    """Return what the responder says, cut where the request limits it."""
    return respond(asked.prompt()).limited(asked.limit)


def generate(service: Service, asked: Asked, request: Request) -> Delivery:
    """Answer one request, within the quota of its model."""
    row: LedgerRow = request.scope["state"]["row"]
    try:
        finished = service.start_generation(asked.model)
    finally:
        row.generating = service.generating(asked.model)
    try:
        scripted = service.scripts.take(request.url.path)
        if scripted is None:
            dressed = asked.dressed(said(asked))
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
