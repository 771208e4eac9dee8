"""What is logged of requests, under one logger, `yandex_compat`.

INFO tells how each generation ended, what is tried again, and what failed in the end; DEBUG each
attempt as well, as it goes out and as it is answered. All that a line tells is also in fields of
its record, every one of FIELDS on each, for those who format records as JSON. No line and no field
holds a secret or anything that was said.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from yandex_compat.completion import Completion, StreamEnd
from yandex_compat.errors import APIError, YandexError

LOG = logging.getLogger("yandex_compat")
FIELDS = (
    "event", "method", "path", "model", "api", "attempt", "client_request_id", "request_id",
    "server_trace_id", "status_code", "seconds", "wait", "error", "finish_reason", "input_tokens",
    "output_tokens", "operation_id",
)  # fmt: skip
_OF_ANSWER = ("request_id", "server_trace_id", "status_code")
# A server may write anything in the place of an id or a finish reason.
_LONGEST = 500


class RequestLog:
    """Tells of one request: its attempts, and how its answer ended.

    The `event` of a record is sent, answered, unanswered (of an attempt, DEBUG), retrying, failed,
    completed, interrupted (by an error), closed (by its reader, or cancelled) or deferred (INFO).
    `seconds` count from the attempt for the first three, else from the first attempt's turn, waits
    included.
    """

    __slots__ = ("_began", "_fields", "_is_of_longer", "_request", "_sent", "_without_secrets")

    def __init__(
        self,
        without_secrets: Callable[[httpx.Request | None, str], str],
        method: str,
        url: str,
        model: str | None,
        api: str | None,
    ) -> None:
        self._without_secrets = without_secrets
        self._fields: dict[str, Any] = dict.fromkeys(FIELDS)
        self._fields |= {"method": method, "path": urlsplit(url).path, "model": model, "api": api}
        self._request: httpx.Request | None = None
        self._is_of_longer = False
        self._began = self._sent = time.monotonic()

    @contextmanager
    def of_longer(self) -> Iterator[None]:
        """Of many requests, such as looks after an operation, tells of the error that ends all."""
        self._is_of_longer = True
        try:
            yield
        except BaseException as error:
            self._is_of_longer = False
            self.failed(error)
            raise

    def begun(self, attempt: int) -> None:
        """An attempt waits for its turn, and nothing of the one before is told of it."""
        self._fields |= dict.fromkeys((*_OF_ANSWER, "client_request_id")) | {"attempt": attempt}

    def sent(self, request: httpx.Request) -> None:
        """An attempt goes out."""
        self._request, self._sent = request, time.monotonic()
        self._fields["client_request_id"] = request.headers.get("x-client-request-id")
        self._tell(logging.DEBUG, "sent", f"attempt {self._fields['attempt']}")

    def answered(self, response: httpx.Response) -> None:
        """An attempt has its answer, or the first piece of it."""
        self._request = response.request
        status, seconds = response.status_code, time.monotonic() - self._sent
        found = (response.headers.get("x-request-id"), response.headers.get("x-server-trace-id"))
        self._fields |= dict(zip(_OF_ANSWER, (*found, status), strict=True))
        self._tell(logging.DEBUG, "answered", f"{status}, {seconds:.3f} s", seconds=seconds)

    def unanswered(self, error: YandexError) -> None:
        """An attempt broke."""
        name, seconds = type(error).__name__, time.monotonic() - self._sent
        told = f"{name}, {seconds:.3f} s"
        self._tell(logging.DEBUG, "unanswered", told, error=name, seconds=seconds)

    def retrying(self, error: BaseException, wait: float) -> None:
        """Another attempt follows, after a wait of so many seconds."""
        told = f"in {wait:.3f} s after {_named(error)} in attempt {self._fields['attempt']}"
        seconds = time.monotonic() - self._began
        name = type(error).__name__
        self._tell(logging.INFO, "retrying", told, error=name, wait=wait, seconds=seconds)

    def failed(self, error: BaseException) -> None:
        """No further attempt follows, the answer can't be read, or nobody waits for it any more."""
        if self._is_of_longer:
            return
        event = "failed" if isinstance(error, Exception) else "closed"
        told = f"{_named(error)} in attempt {self._fields['attempt']}"
        self._end(event, told, error=type(error).__name__)

    def completed(self, end: Completion | StreamEnd) -> None:
        """An answer has come to its end."""
        usage = end.usage
        tokens = f", {usage.input_tokens} tokens in, {usage.output_tokens} out" if usage else ""
        self._end(
            "completed",
            f"{end.finish_reason or 'no finish reason'}{tokens}",
            finish_reason=end.finish_reason,
            input_tokens=usage and usage.input_tokens,
            output_tokens=usage and usage.output_tokens,
        )

    def broken_off(self, error: BaseException) -> None:
        """A stream has ended before its answer: in an error, or because its reader has left."""
        event = "interrupted" if isinstance(error, Exception) else "closed"
        self._end(event, f"by {_named(error)}", error=type(error).__name__)

    def deferred(self, operation_id: str) -> None:
        """A generation has begun, whose answer anybody can ask for by this id."""
        self._end("deferred", f"operation {operation_id}", operation_id=operation_id)

    def _end(self, event: str, told: str, **more: Any) -> None:
        seconds = time.monotonic() - self._began
        self._tell(logging.INFO, event, f"{told}, {seconds:.3f} s", seconds=seconds, **more)

    def _tell(self, level: int, event: str, told: str, **more: Any) -> None:
        if not LOG.isEnabledFor(level):
            return
        fields = {
            name: self._clean(value) if isinstance(value, str) else value
            for name, value in {**self._fields, "event": event, **more}.items()
        }
        of_model = f" of {fields['model']}" if fields["model"] else ""
        ids = {"request": fields["request_id"], "client request": fields["client_request_id"]}
        known = ", ".join(f"{word} {value}" for word, value in ids.items() if value)
        asked = f"{fields['method']} {fields['path']}{of_model}"
        text = self._clean(told) + (f" ({known})" if known else "")
        # Those who group records by their message keep apart what differs.
        LOG.log(level, f"%s: {event}, %s", asked, text, extra=fields)

    def _clean(self, text: str) -> str:
        """A text on one line, rid of secrets, and of signs that a terminal would obey."""
        text = self._without_secrets(self._request, text)
        shown = "".join(sign if sign.isprintable() else " " for sign in text)
        return " ".join(shown.split())[:_LONGEST]


def _named(error: BaseException) -> str:
    name = type(error).__name__
    return f"{name} ({error.status_code})" if isinstance(error, APIError) else name
