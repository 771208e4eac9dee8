"""What went wrong with a request, as errors of ours: with its id, and rid of secrets."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from yandex_compat.advice import Asked
from yandex_compat.asked import asked_of
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
from yandex_compat.reading import StreamReading
from yandex_compat.settings import Settings

# The headers whose values are blotted out of errors; a shorter value stands in many a text.
_SECRET_HEADER = re.compile("auth|cookie|credential|key|password|secret|token", re.IGNORECASE)
_SHORTEST_SECRET = 8
_NEVER_SENT = (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError)


class Failures:
    """Makes the errors of requests that go out with one client's settings."""

    __slots__ = ("_settings",)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def refuse_bad_status(self, response: httpx.Response) -> None:
        """Raise the error that a bad status stands for, with or without the body it came with."""
        if response.is_success:
            return
        try:
            body = response.content
        except httpx.ResponseNotRead:
            body = b""  # it broke, or a hook closed it; the status says enough
        raise error_from_response(
            response.status_code,
            response.headers,
            body,
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

    def _asked(self, request: httpx.Request) -> Asked:
        return asked_of(request, self._settings, self._secrets(request))

    @contextmanager
    def inside(self, response: httpx.Response) -> Iterator[None]:
        """Errors found inside a 200, completed by its headers and rid of an echoed credential.

        They are changed in place: a second error would keep the first, uncleaned, as its context.
        """
        try:
            yield
        except YandexError as error:
            request = response.request
            secrets, request_id = self._secrets(request), _client_request_id(request)
            error.client_request_id = request_id
            if isinstance(error, APIError):
                status, headers, body = response.status_code, response.headers, error.response
                told = error_from_response(
                    status, headers, body.content, secrets, request_id, self._asked(request)
                )
                error.args, error.__dict__ = told.args, told.__dict__
            elif isinstance(error, MalformedAnswer):
                error.args = (without_secrets(secrets, str(error)),)
            _tell_id(error)
            raise

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

    @contextmanager
    def of_reading(self, reading: StreamReading, deadline: Deadline) -> Iterator[None]:
        """Failures of an open stream; one that comes after the answer's end means nothing."""
        try:
            with self.inside(reading.response):
                yield
        except (httpx.RequestError, TimeoutError) as error:
            if reading.ended:
                return
            request = reading.response.request
            why = f"{deadline.word} has passed"
            if not deadline.has_passed:
                why = self._told(error, request)
            interrupted = StreamInterrupted(
                f"The stream broke before the answer ended ({why}). Ask again; what arrived is in "
                f"the error's `partial`.",
                partial=reading.partial,
            )
            interrupted.client_request_id = _client_request_id(request)
            _tell_id(interrupted)
            raise interrupted from None

    def _told(self, error: Exception, request: httpx.Request) -> str:
        text = without_secrets(self._secrets(request), str(error))
        return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _client_request_id(request: httpx.Request) -> str | None:
    sent: str | None = request.headers.get("x-client-request-id")
    return sent


def _tell_id(error: YandexError) -> None:
    """Tell the request's id at the end of an error's text; those of the service have it inside."""
    if isinstance(error, ConnectionFailed | MalformedAnswer) and error.client_request_id:
        told = f"{str(error).rstrip('.')} (client request {error.client_request_id})."
        error.args = (told, *error.args[1:])
