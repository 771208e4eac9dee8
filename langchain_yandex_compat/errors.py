"""The core's errors as LangChain's own, so that code catching either of them works.

LangChain's retry and summarization middleware decide by these classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from langchain_core import exceptions as langchain

from yandex_compat import errors as core


class YandexInvalidRequestError(core.InvalidRequestError, langchain.ModelInvalidRequestError):
    """The service refused the request as wrong."""


class YandexContextOverflowError(core.ContextOverflowError, langchain.ContextOverflowError):
    """The messages are longer than the model's context."""


class YandexAuthenticationError(core.AuthenticationError, langchain.ModelAuthenticationError):
    """The service does not know the credential."""


class YandexPermissionDeniedError(core.PermissionDeniedError, langchain.ModelPermissionDeniedError):
    """The credential may not do this."""


class YandexNotFoundError(core.NotFoundError, langchain.ModelNotFoundError):
    """There is no such thing at this address."""


class YandexRateLimitError(core.RateLimitError, langchain.ModelRateLimitError):
    """A quota is used up."""


class YandexServerError(core.ServerError, langchain.ModelAPIError):
    """The service failed."""


class YandexConnectionFailed(core.ConnectionFailed, langchain.ModelConnectionError):
    """No answer came."""


class YandexRequestTimedOut(core.RequestTimedOut, langchain.ModelTimeoutError):
    """No answer came in time."""


class YandexNoFreePlace(core.NoFreePlace, langchain.ModelTimeoutError):
    """Too many generations ran at once for another to begin in time; nothing was sent."""


class YandexStreamInterrupted(core.StreamInterrupted, langchain.ModelConnectionError):
    """A streamed answer stopped before its end."""


class YandexConfigurationError(core.ConfigurationError, langchain.ModelInvalidRequestError):
    """A word of the call is wrong; nothing was sent."""


class YandexUnsupportedError(core.UnsupportedError, langchain.ModelInvalidRequestError):
    """This can't be honoured; nothing was sent."""


class YandexMalformedAnswer(core.MalformedAnswer, langchain.ModelAPIError):
    """The answer is not what the service documents."""


class YandexToolChoiceIgnored(core.ToolChoiceIgnored, langchain.ModelError):
    """A tool call was required, and the model answered without one."""


_TWINS: dict[type[core.YandexError], type[core.YandexError]] = {
    twin.__bases__[0]: twin
    for twin in (
        YandexInvalidRequestError,
        YandexContextOverflowError,
        YandexAuthenticationError,
        YandexPermissionDeniedError,
        YandexNotFoundError,
        YandexRateLimitError,
        YandexServerError,
        YandexConnectionFailed,
        YandexRequestTimedOut,
        YandexNoFreePlace,
        YandexStreamInterrupted,
        YandexConfigurationError,
        YandexUnsupportedError,
        YandexMalformedAnswer,
        YandexToolChoiceIgnored,
    )
}


@contextmanager
def langchain_errors() -> Iterator[None]:
    """Raise the core's errors as their twins here, with all they carry."""
    try:
        yield
    except core.YandexError as error:
        twin = _TWINS.get(type(error))
        if twin is None:
            raise
        told_again = twin(*error.args)
        told_again.__dict__.update(error.__dict__, is_retryable=error.retryable)
        raise told_again.with_traceback(error.__traceback__) from None
