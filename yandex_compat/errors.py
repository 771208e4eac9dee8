"""Every error of this package, in one tree.

YandexError
├── ConfigurationError          a word, a credential or a model URI is wrong; nothing was sent
├── UnsupportedError            this content or parameter can't be honoured; nothing was sent
├── APIError                    the service answered with an error
│   ├── InvalidRequestError         400 and other 4xx
│   │   └── ContextOverflowError        the messages are longer than the model's context
│   ├── AuthenticationError         401
│   ├── PermissionDeniedError       403
│   ├── NotFoundError               404, 3xx
│   ├── RateLimitError              429
│   └── ServerError                 5xx
├── ConnectionFailed            no answer came
│   ├── RequestTimedOut             not in time
│   │   └── NoFreePlace                 too many generations at once; nothing was sent
│   └── StreamInterrupted           an answer stopped before its end
├── MalformedAnswer             an answer came that is not what the service documents
└── ToolChoiceIgnored           a call was required and the model answered without one

None derives from ValueError or TypeError: LlamaIndex's query engines swallow those and answer
"Empty Response".
"""

import math
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx

from yandex_compat import jsontext

if TYPE_CHECKING:
    from yandex_compat.advice import Asked
    from yandex_compat.completion import Completion


class YandexError(Exception):
    """The root of the tree; its text is one line that says what to do.

    `client_request_id` is the `x-client-request-id` of the request that was made, which is what the
    service's support asks for (WIRE Headers); None where a word was refused before there was one.
    `operation_id` is that of a deferred generation that was waited for: its answer may still come.
    """

    retryable = False
    client_request_id: str | None = None
    operation_id: str | None = None


class ConfigurationError(YandexError):
    """A constructor word, a credential, a model or a call's argument is wrong."""


class UnsupportedError(YandexError):
    """A parameter or content that the service or the model can't take was refused unsent."""


class APIError(YandexError):
    """The service answered with an error.

    `code` is the gRPC code where the body has one; `retry_after` is in seconds; `response` is an
    httpx.Response rebuilt from status, headers and body, so that it holds no credential.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: int | str | None = None,
        request_id: str | None = None,
        trace_id: str | None = None,
        retry_after: float | None = None,
        response: httpx.Response | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code
        self.request_id = request_id
        self.trace_id = trace_id
        self.retry_after = retry_after
        self.response = httpx.Response(status_code or 500) if response is None else response


class InvalidRequestError(APIError):
    """The service refused the request as wrong (400)."""


class ContextOverflowError(InvalidRequestError):
    """The messages are longer than the model's context."""


class AuthenticationError(APIError):
    """The service does not know the credential (401)."""


class PermissionDeniedError(APIError):
    """The credential may not do this (403)."""


class NotFoundError(APIError):
    """There is no such thing at this address (404), or it has moved (3xx)."""


class RateLimitError(APIError):
    """A quota is used up (429)."""

    retryable = True


class ServerError(APIError):
    """The service failed (5xx)."""

    def __init__(self, message: str, **words: Any) -> None:
        super().__init__(message, **words)
        # 501 does not pass (WIRE C).
        self.retryable = self.status_code in {500, 502, 503, 504}


class ConnectionFailed(YandexError):
    """No answer came: the connection could not be made, or broke before the answer was whole.

    A streamed answer that breaks once it has begun is a StreamInterrupted.
    """

    retryable = True


class RequestTimedOut(ConnectionFailed):
    """No answer came in time."""


class NoFreePlace(RequestTimedOut):
    """Too many generations ran at once for another to begin in time; nothing was sent."""

    retryable = False


class StreamInterrupted(ConnectionFailed):
    """A streamed answer stopped before its end; `partial` holds what arrived."""

    def __init__(self, message: str, *, partial: "Completion | None" = None) -> None:
        super().__init__(message)
        self.partial = partial


class MalformedAnswer(YandexError):
    """The answer is not what the service documents."""


class ToolChoiceIgnored(YandexError):
    """A tool call was required, and the model answered without one."""


_BY_STATUS: Mapping[int, type[APIError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: RateLimitError,
}
_STATUS_OF_GRPC = {3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 12: 501, 13: 500, 14: 503, 16: 401}
_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
}
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")  # a terminal would obey them
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
# A title stands at the beginning, and a hostile page is searched anew wherever it opens one.
_SHORTEST = 8  # signs of a secret that is blotted out of words as well
_HEAD = 8_000


def error_from_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Collection[str] = (),
    client_request_id: str | None = None,
    asked: "Asked | None" = None,
) -> APIError:
    """The error that an answer with a bad status stands for; takes every body shape of WIRE C.

    `secrets` are blotted out wherever the service repeats them. A status below 300 is an error
    inside a 200 stream, whose status is read from the body. The text is one line: status, the
    service's own words, the request's id, and what to change, for which `asked` is what was asked.
    """
    from yandex_compat.advice import Asked, advice, is_overflow  # loaded with the client

    lower = _readable(headers, secrets)
    text = without_secrets(secrets, body.decode("utf-8", "replace"))
    message, code, named_status = _read(text)
    if status < 300:
        status = named_status if named_status and 400 <= named_status < 600 else 500
    message = message or httpx.codes.get_reason_phrase(status)
    kind = ContextOverflowError if is_overflow(status, message) else _kind(status)
    request_id = lower.get("x-request-id")
    asked_by = f" (request {request_id})" if request_id else ""
    if client_request_id:
        asked_by = f" (client request {client_request_id})"
    retry_after = _seconds(lower.get("retry-after"))
    wait = f" The service asks for a wait of {retry_after:.0f} s." if retry_after else ""
    error = kind(
        f"{status}: {message}{asked_by}. {advice(status, message, asked or Asked())}{wait}",
        status_code=status,
        code=code,
        request_id=request_id,
        trace_id=lower.get("x-server-trace-id"),
        retry_after=retry_after,
        response=httpx.Response(status, headers=lower, content=text.encode()),
    )
    error.client_request_id = client_request_id
    return error


def is_error(body: object) -> bool:
    """Whether the body of a 200 is an error all the same, wrapped in `error` or not (WIRE C)."""
    if not isinstance(body, dict):
        return False
    return bool(body.get("error")) or ("message" in body and "choices" not in body)


def _read(text: str) -> tuple[str, int | str | None, int | None]:
    """Message, code and HTTP status of a body, whichever of them it has."""
    try:
        body = jsontext.decode(text)
    except ValueError:
        return _line(_page_title(text.removeprefix("\ufeff"))), None, None
    error = (body.get("error") or body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return _line(str(error)), None, None
    code = error.get("grpcCode", error.get("code"))
    status = error.get("httpCode")
    if not isinstance(status, int):
        named = _STATUS_OF_TYPE.get(str(error.get("type")))
        status = _STATUS_OF_GRPC.get(code, code) if isinstance(code, int) else named
    return _line(str(error.get("message") or error)), code, status


def _page_title(text: str) -> str:
    title = _TITLE.search(text[:_HEAD])
    return f"a web page, not the service's own answer: {title[1]}" if title else text


def _line(text: str) -> str:
    # Half a character can't be printed, nor logged.
    text = _CONTROL.sub(" ", text.encode("utf-8", "replace").decode())
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= 500 else text[:500] + "…"


def _kind(status: int) -> type[APIError]:
    if status >= 500:
        return ServerError
    if status < 400:
        return NotFoundError  # a redirect: the service lives at another address
    return _BY_STATUS.get(status, InvalidRequestError)


def _seconds(value: str | None) -> float | None:
    """Seconds of a Retry-After header: a number of them, or a date."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        # Whoever sleeps as long as an error says can't sleep for ever.
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        date = parsedate_to_datetime(value)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    except (OverflowError, ValueError):
        return None


def without_secrets(secrets: Collection[str], text: str) -> str:
    """The text with each secret blotted out, also where JSON escapes its signs.

    One of fewer than 8 signs, such as servers of one's own take for a key, is blotted out where it
    stands alone: as a part of words, it would hide what is said.
    """
    for secret in sorted(set(secrets), key=len, reverse=True):  # one may hold another
        if len(secret) < _SHORTEST:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
            continue
        text = text.replace(secret, "***")
        if "\\" in text:
            text = _escaped(secret).sub("***", text)
    return text


def _escaped(secret: str) -> re.Pattern[str]:
    """A secret whose signs stand behind backslashes or as numbers, in a JSON text or its repr.

    A run of backslashes is tried once only, from its beginning: bodies may hold long ones.
    """
    signs = (
        r"\\++" if sign[0] == "\\" else rf"(?:\\*+{re.escape(sign)}|\\++u(?i:{ord(sign):04x}))"
        for sign in re.findall(r"\\+|[^\\]", secret)
    )
    return re.compile(r"(?<!\\)" + "".join(signs))


def _readable(headers: Mapping[str, str], secrets: Collection[str]) -> httpx.Headers:
    """The headers, rid of secrets, cookies, and of what speaks of a body still encoded."""
    left_out = {"content-encoding", "content-length", "transfer-encoding", "set-cookie"}
    kept = [
        (name.lower().encode(), without_secrets(secrets, value).encode())
        for name, value in headers.items()
        if name.lower() not in left_out
    ]
    return httpx.Headers(kept)
