"""What goes wrong with an upstream, in the service's words, with one line of what to do."""

import contextlib
import json
import re
from typing import Any

import httpx

from .refusals import Refused, refused

KEY_VARIABLE = "UPSTREAM_API_KEY"

_SETTINGS = "check --upstream, which is the root of its chat API (…/v1), and --upstream-model"
_LONGEST = 500  # signs of an error's text; some servers send pages
_NUMBERS = r"(?P<given>\d+) tokens.*?context size \((?P<context>\d+)"
_OVERFLOW = re.compile(r"context[ _](length|size|window)|maximum context", re.IGNORECASE)
# Of gRPC codes; what only the emulator's own settings can mend is no fault of the request.
_CODES = {401: 13, 403: 13, 404: 13, 405: 13, 408: 4, 429: 8, 501: 12, 502: 14, 503: 14, 504: 4}
_DO = {
    401: f"set {KEY_VARIABLE}, or the variable that --upstream-key-env names, to a key of its own",
    404: _SETTINGS,
    405: _SETTINGS,
    429: "ask it less at once",
}
_DO[403] = _DO[401]


def refusal_of(url: str, status: int, body: bytes, key: str | None = None) -> Refused:
    """Return the service's refusal for an upstream's error; ``key`` is taken out of its text."""
    said = _message(body)
    if key:
        said = said.replace(key, "***")
    said = said[:_LONGEST]
    if status < 500 and _OVERFLOW.search(said):
        return refused(3, f"{_overflow(said)}: shorten what is sent, or give the upstream more")
    elsewhere = status < 400  # a redirect, which is not followed
    code = _CODES.get(status, 13 if elsewhere or status >= 500 else 3)
    other = "look at its log" if status >= 500 else "change what the message names"
    do = _DO.get(status, _SETTINGS if elsewhere else other)
    return refused(code, f"The upstream {url} answered {status}, {said!r}: {do}")


def unreachable(url: str, error: httpx.HTTPError) -> Refused:
    """Return the service's refusal for an upstream that gives no answer, or half of one."""
    if isinstance(error, httpx.TimeoutException):
        return refused(4, f"The upstream {url} did not answer in time: ask for fewer max_tokens")
    if isinstance(error, httpx.ConnectError):
        return refused(14, f"The upstream {url} can't be reached: start it, or correct --upstream")
    return broken_off(url)


def broken_off(url: str) -> Refused:
    """Return the refusal for an answer that stopped before its end."""
    return refused(14, f"The upstream {url} broke off its answer: look at its log, and ask again")


def not_understood(url: str, what: str) -> Refused:
    """Return the refusal for an answer that the chat API does not have."""
    return refused(13, f"The upstream {url} sent {what}: {_SETTINGS}")


def _overflow(said: str) -> str:
    found = re.search(_NUMBERS, said)
    if found is None:
        return f"the upstream's context length is exceeded, {said!r}"
    return f"number of input tokens must be no more than {found['context']}, got {found['given']}"


def _message(body: bytes) -> str:
    """Return what an error body says, in one line."""
    text = body.decode(errors="replace")
    with contextlib.suppress(ValueError):
        said: Any = json.loads(text)
        for word in ("error", "message", "detail"):
            said = said[word] if isinstance(said, dict) and word in said else said
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    return " ".join(text.split())
