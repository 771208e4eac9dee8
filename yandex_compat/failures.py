"""What went wrong with a request, as errors of ours: with its id, and rid of secrets."""

import re
from typing import TYPE_CHECKING

import httpx

from yandex_compat.auth import secrets_of
from yandex_compat.deadlines import Deadline
from yandex_compat.errors import (
    APIError,
    ConfigurationError,
    ConnectionFailed,
    MalformedAnswer,
    RequestTimedOut,
    StreamInterrupted,
    YandexError,
    error_from_response,
    without_secrets,
)
from yandex_compat.logs import RequestLog
from yandex_compat.reading import StreamReading
from yandex_compat.settings import Settings

if TYPE_CHECKING:
    from yandex_compat.advice import Asked

# The headers whose values are blotted out of errors; a shorter value stands in many a text.
_SECRET_HEADER = re.compile("auth|cookie|credential|key|password|secret|token", re.IGNORECASE)
_SHORTEST_SECRET = 8
_NEVER_SENT = (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError)


class Failures:
    """Makes the errors of requests that go out with one client's settings."""

    __slots__ = ("_asked_of", "_settings")

    def __init__(self, settings: Settings) -> None:
        # What only errors need is loaded by now: once there is one, no file may be left to open.
        from yandex_compat.asked import asked_of

        self._settings, self._asked_of = settings, asked_of

    def refuse_bad_status(self, response: httpx.Response) -> None:
        """Raise the error that a bad status stands for, with or without the body it came with."""
        if response.is_success:
            return
        raise error_from_response(
            response.status_code,
            response.headers,
            _body_of(response),
            self._secrets(response.request),
            _client_request_id(response.request),
            self._asked(response.request),
        )

    def _secrets(self, request: httpx.Request) -> tuple[str, ...]:
        """What must not be repeated: credentials, also those of an auth or headers of one's own."""
        sent = [
            secret
            for name, value in request.headers.items()
            if _SECRET_HEADER.search(name)
            for secret in (value, value.rpartition(" ")[2])
            if len(secret) >= _SHORTEST_SECRET
        ]
        return (*secrets_of(self._settings.auth), *sent)

    def _asked(self, request: httpx.Request) -> "Asked":
        return self._asked_of(request, self._settings, self._secrets(request))

    def without_secrets(self, request: httpx.Request | None, text: str) -> str:
        """A text with what must not be repeated blotted out, such as a request's credential."""
        known = self._secrets(request) if request else secrets_of(self._settings.auth)
        return without_secrets(known, text)

    def inside(self, response: httpx.Response, log: RequestLog | None = None) -> "_Inside":
        """Errors found inside a 200, completed by its headers and rid of an echoed credential."""
        return _Inside(self, response, log)

    def complete(self, error: YandexError, response: httpx.Response) -> None:
        """Complete an error found inside a 200, in place.

        A second error would keep the first, uncleaned, as its context.
        """
        request = response.request
        error.client_request_id = request_id = _client_request_id(request)
        if isinstance(error, APIError):
            told = error_from_response(
                response.status_code,
                response.headers,
                error.response.content,
                self._secrets(request),
                request_id,
                self._asked(request),
            )
            error.args, error.__dict__ = told.args, told.__dict__
        elif isinstance(error, MalformedAnswer):
            error.args = (without_secrets(self._secrets(request), str(error)),)
        _tell_id(error)

    def of_sending(
        self, error: Exception, request: httpx.Request, deadline: Deadline
    ) -> YandexError:
        """The error that httpx's own stands for, where no whole answer came."""
        failure = (
            RequestTimedOut(f"No answer in time ({deadline.word}). Try again, or raise it.")
            if deadline.has_passed
            else self._unanswered(error, request)
        )
        failure.client_request_id = _client_request_id(request)
        _tell_id(failure)
        return failure

    def _unanswered(self, error: Exception, request: httpx.Request) -> YandexError:
        if isinstance(error, httpx.TimeoutException):
            word = self._word_of(error, request)
            seconds = getattr(self._settings, word)
            return RequestTimedOut(
                f"No answer in time ({type(error).__name__}, {word}={seconds:g} s). Try again, or "
                f"raise {word}."
            )
        if isinstance(error, httpx.LocalProtocolError):
            # Its own text repeats the header that can't be sent, which may be the credential.
            return ConfigurationError(
                "The request can't be sent (LocalProtocolError): most often, a header has signs "
                "that none has. Check what auth adds, such as a line end behind a token, and "
                "default_headers."
            )
        if isinstance(error, httpx.DecodingError):
            return MalformedAnswer(
                f"The answer's encoding is broken ({self._told(error, request)})."
            )
        if isinstance(error, _NEVER_SENT):
            return ConfigurationError(
                f"The request can't be sent ({self._told(error, request)}): check base_url and "
                f"default_headers."
            )
        told = self._told(error, request)
        return ConnectionFailed(
            f"No answer from {request.url.copy_with(query=None)} ({told}). Check base_url and the "
            f"network, or try again."
        )

    def _word_of(self, error: httpx.TimeoutException, request: httpx.Request) -> str:
        """The constructor word that sets how long what failed may take."""
        if isinstance(error, httpx.ConnectTimeout):
            return "connect_timeout"
        # Between the bytes of an answer, it is `timeout` that counts.
        waited = request.extensions["timeout"]["read"]
        if isinstance(error, httpx.ReadTimeout) and waited != self._settings.timeout:
            return "first_byte_timeout"
        return "timeout"

    def of_reading(
        self, reading: StreamReading, deadline: Deadline, log: RequestLog | None
    ) -> "_OfReading":
        """Failures of an open stream; one that comes after the answer's end means nothing."""
        return _OfReading(self, reading, deadline, log)

    def interrupted(
        self, error: Exception, reading: StreamReading, deadline: Deadline
    ) -> StreamInterrupted:
        """The error of a stream that broke before its end."""
        request = reading.response.request
        why = f"{deadline.word} has passed"
        if not deadline.has_passed:
            why = self._told(error, request)
        failure = StreamInterrupted(
            f"The stream broke before the answer ended ({why}). Ask again; what arrived is in the "
            f"error's `partial`.",
            partial=reading.partial,
        )
        failure.client_request_id = _client_request_id(request)
        _tell_id(failure)
        return failure

    def _told(self, error: Exception, request: httpx.Request) -> str:
        text = without_secrets(self._secrets(request), str(error))
        return f"{type(error).__name__}: {text}" if text else type(error).__name__


class _Inside:
    """Completes the errors raised within, and lets go of the frames they were raised in.

    Those hold what the server sent, which may repeat the credential. A class, since contextlib puts
    frames back.
    """

    __slots__ = ("_failures", "_log", "_response")

    def __init__(
        self, failures: Failures, response: httpx.Response, log: RequestLog | None = None
    ) -> None:
        self._failures, self._response, self._log = failures, response, log

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, YandexError):
            self._failures.complete(error, self._response)
            _let_go(error)
        if self._log and error:
            self._log.failed(error)


class _OfReading:
    """Does so for an open stream, and tells of one that breaks."""

    __slots__ = ("_deadline", "_failures", "_log", "_reading")

    def __init__(
        self,
        failures: Failures,
        reading: StreamReading,
        deadline: Deadline,
        log: RequestLog | None,
    ) -> None:
        self._failures, self._reading = failures, reading
        self._deadline, self._log = deadline, log

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        _Inside(self._failures, self._reading.response).__exit__(kind, error, trace)
        if not isinstance(error, httpx.RequestError | TimeoutError):
            self._tell(error)
            return False
        if self._reading.ended:
            return True
        interrupted = self._failures.interrupted(error, self._reading, self._deadline)
        self._tell(interrupted)
        # It stays this one's context: without the request, whose headers hold the credential.
        error.args, error.__dict__ = (type(error).__name__,), {"_request": None}
        _let_go(error)
        raise interrupted from None

    def _tell(self, error: BaseException | None) -> None:
        if not self._log or error is None:
            return
        if isinstance(error, GeneratorExit) and self._reading.end:
            self._log.completed(self._reading.end)  # its reader has left after the last delta
        else:
            self._log.broken_off(error)


def _let_go(error: BaseException) -> None:
    """Have an error drop the frames and the errors it came of."""
    error.__context__ = error.__cause__ = error.__traceback__ = None


def _body_of(response: httpx.Response) -> bytes:
    try:
        return response.content
    except httpx.ResponseNotRead:
        return b""  # it broke, or a hook closed it; the status says enough


def _client_request_id(request: httpx.Request) -> str | None:
    sent: str | None = request.headers.get("x-client-request-id")
    return sent


def _tell_id(error: YandexError) -> None:
    """Tell the request's id at the end of an error's text; those of the service have it inside."""
    if isinstance(error, ConnectionFailed | MalformedAnswer) and error.client_request_id:
        told = f"{str(error).rstrip('.')} (client request {error.client_request_id})."
        error.args = (told, *error.args[1:])
