"""From a script to the response that plays it."""

import asyncio
from collections.abc import Callable

from .answers import as_json
from .chat import Completion, event
from .delivery import Delivery
from .refusals import Refused
from .scripts import ScriptedAnswer, ScriptedStatus, ScriptedStream


def raw_delivery(
    script: ScriptedStatus | ScriptedStream,
    gate: asyncio.Event,
    finished: Callable[[], None] = lambda: None,
) -> Delivery:
    """Play a script that knows its own bytes."""
    delay = script.delay or 0.0
    if isinstance(script, ScriptedStream):
        return Delivery(
            [chunk.encode() for chunk in script.chunks],
            script.content_type,
            delay=delay,
            gate=gate,
            streamed=True,
            reset=script.close == "reset",
            finished=finished,
        )
    content_type, body = _body(script.body)
    return Delivery(
        [body],
        content_type,
        status=script.status,
        headers={name.lower(): value for name, value in script.headers.items()},
        delay=delay,
        gate=gate,
        finished=finished,
    )


def scripted_events(script: ScriptedAnswer, completion: Completion) -> list[bytes]:
    """Return the events of a scripted stream, cut or broken as the script says."""
    events = completion.events()
    if script.error_after is not None:
        return [*events[: script.error_after], event({"error": script.error})]
    return events if script.cut_after is None else events[: script.cut_after]


def check_streamed(script: ScriptedAnswer, *, stream: bool) -> None:
    """Fail loudly when a script for streams meets a request for a whole answer."""
    if script.needs_stream and not stream:
        raise Refused(500, {"error": "the script is for a stream, the request asks for none"})


def _body(body: object) -> tuple[str, bytes]:
    if not isinstance(body, str):
        return "application/json", as_json(body).encode()
    kind = "text/html" if body.lstrip().startswith("<") else "text/plain"
    return f"{kind}; charset=utf-8", body.encode()
