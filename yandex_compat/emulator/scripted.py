"""What is answered where no model speaks: a body, or the script that knows its own bytes."""

import asyncio
from collections.abc import Callable

from .answers import as_json
from .delivery import Delivery
from .scripts import ScriptedAnswer, ScriptedStatus, ScriptedStream, ScriptQueue


def body_or_script(body: object, scripts: ScriptQueue, path: str) -> Delivery:
    """Answer a JSON body, unless a script for the path says otherwise."""
    return played(scripts, path) or Delivery([as_json(body).encode()], "application/json")


def played(scripts: ScriptQueue, path: str) -> Delivery | None:
    """Play the script for a path that no model answers, if there is one."""
    scripted = scripts.take(path)
    if scripted is None:
        return None
    script, gate = scripted
    if isinstance(script, ScriptedAnswer):
        raise TypeError(f"{path} is answered by no model.")
    return raw_delivery(script, gate)


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


def _body(body: object) -> tuple[str, bytes]:
    if not isinstance(body, str):
        return "application/json", as_json(body).encode()
    kind = "text/html" if body.lstrip().startswith("<") else "text/plain"
    return f"{kind}; charset=utf-8", body.encode()
