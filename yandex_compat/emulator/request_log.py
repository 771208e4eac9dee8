"""The log of requests: what came over the wire, without keys."""

import json
from typing import Any, TypedDict

from starlette.datastructures import Headers

_OTHER_KEYS = ("api-key", "cookie", "proxy-authorization", "x-api-key")


class RequestRecord(TypedDict):
    """One request. ``body`` is parsed JSON, or text if it is none."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: Any
    status: int | None
    closed_early: bool


def record_of(method: str, path: str, query: str, headers: Headers) -> RequestRecord:
    """Start a record; of ``authorization`` only the scheme is kept, of other keys nothing."""
    kept = dict(headers.items())
    if "authorization" in kept:
        scheme, _, key = kept["authorization"].partition(" ")
        kept["authorization"] = f"{scheme} ***" if key else "***"
    kept |= dict.fromkeys(kept.keys() & set(_OTHER_KEYS), "***")
    return RequestRecord(
        method=method,
        path=path,
        query=query,
        headers=kept,
        body=None,
        status=None,
        closed_early=False,
    )


def parsed(raw: bytes) -> object:
    """Return a body as JSON, or as text if it is none."""
    try:
        return json.loads(raw) if raw else None
    except (RecursionError, ValueError):
        return raw.decode(errors="replace")
