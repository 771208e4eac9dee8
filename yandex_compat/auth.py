"""Credentials that are sent as they are, or as a function gives them: httpx.Auth flows.

None shows its secret in repr or str.
"""

import re
from collections.abc import AsyncGenerator, Callable, Generator, Hashable
from concurrent.futures import Future
from contextlib import contextmanager
from hashlib import sha256
from inspect import isawaitable, iscoroutine, iscoroutinefunction
from types import MethodType
from typing import Any

import httpx

from yandex_compat.errors import ConfigurationError, ConnectionFailed, YandexError
from yandex_compat.hidden import Hidden
from yandex_compat.threads import in_thread, until_done

_CREDENTIAL = re.compile(r"[\w.~+/=-]+", re.ASCII)
# What a credential of each kind begins with.
_BEGINNINGS = {"IAM token": r"t1\.", "OAuth token": r"y[0-6]_", "API key": "AQVN"}


def looks_like(text: Hidden[str]) -> str | None:
    """The kind of credential that a text begins like: "IAM token", "OAuth token" or "API key"."""
    kinds = (kind for kind, beginning in _BEGINNINGS.items() if re.match(beginning, text.shown()))
    return next(kinds, None)


def checked_credential(word: str, secret: Hidden[Any]) -> Hidden[str]:
    """A credential that can be sent; ConfigurationError, naming the word, for any other."""
    if not isinstance(secret.shown(), str):
        raise ConfigurationError(f"{word} must be a text, not {type(secret.shown()).__name__}.")
    if not _CREDENTIAL.fullmatch(secret.shown()):
        raise ConfigurationError(
            f"{word} is empty or holds blanks, line breaks or signs that no credential "
            f"has: copy it again, without the quotes and line breaks around it."
        )
    return secret


class KnownAuth(httpx.Auth):
    """A credential that says what must not show of it, and whose quota it takes.

    `trait` is what it sends, in the words that advice on an error is chosen by.
    """

    trait: str

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never show in a text."""
        raise NotImplementedError

    @property
    def identity(self) -> Hashable:
        """What is the same for two who share a quota; of a secret, no more than a digest."""
        raise NotImplementedError


class _HeaderAuth(KnownAuth):
    """Sends one secret in the Authorization header."""

    scheme: str
    word: str

    def __init__(self, secret: str) -> None:
        hidden = Hidden(secret)
        del secret
        self._secret = checked_credential(self.word, hidden)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never show in a text."""
        return (self._secret.shown(),)

    @property
    def identity(self) -> Hashable:
        """What is the same for two who share a quota; of a secret, no more than a digest."""
        return sha256(self._secret.shown().encode()).digest()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        request.headers["Authorization"] = f"{self.scheme} {self._secret.shown()}"
        yield request

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class ApiKeyAuth(_HeaderAuth):
    """An API key of a service account: `Authorization: Api-Key KEY`."""

    scheme = "Api-Key"
    trait = word = "api_key"


class IamTokenAuth(_HeaderAuth):
    """An IAM token, which lives 12 hours at most: `Authorization: Bearer TOKEN`."""

    scheme = "Bearer"
    trait = word = "iam_token"


class CallableAuth(KnownAuth):
    """A function of your own that gives an IAM token, asked before each request.

    It keeps the token fresh itself. A plain one is run in a thread where others must not wait for
    it; an async one is for async calls only. A 401 has it asked once more.
    """

    trait = "function"

    def __init__(self, function: Callable[[], Any]) -> None:
        hidden = Hidden(function)
        del function
        if isinstance(hidden.shown(), type):
            raise ConfigurationError(
                f"auth is the class {hidden.shown().__name__}: pass one of it, "
                f"{hidden.shown().__name__}(…)."
            )
        if not callable(hidden.shown()):
            raise ConfigurationError(
                f"auth must be a function that gives an IAM token, not "
                f"{type(hidden.shown()).__name__}."
            )
        self._function = hidden.shown()
        self._last: Hidden[str] | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never show in a text."""
        return (self._last.shown(),) if self._last else ()

    @property
    def identity(self) -> Hashable:
        """What is the same for two who share a quota: the function."""
        return _Same(self._function)

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header, once more after a 401."""
        token = self._token()
        response = yield bearing(request, token)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            yield bearing(request, self._token())

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Add the header, once more after a 401."""
        token = await self._atoken()
        response = yield bearing(request, token)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            yield bearing(request, await self._atoken())

    def _token(self) -> Hidden[str]:
        with _failing_function():
            token = Hidden(self._function())
        if not isawaitable(token.shown()):
            return self._noted(token)
        if iscoroutine(token.shown()):
            token.shown().close()
        raise ConfigurationError(
            "auth is an async function, which only async calls can wait for: pass a plain one."
        )

    async def _atoken(self) -> Hidden[str]:
        with _failing_function():
            if _is_async(self._function):
                token = Hidden(await self._function())
            else:
                asking = in_thread("to ask the function of auth", self._function)
                try:
                    await until_done(asking)
                except BaseException:
                    asking.add_done_callback(_close_unneeded)
                    raise
                token = Hidden(asking.result())
                if isawaitable(token.shown()):
                    token = Hidden(await token.shown())
        return self._noted(token)

    def _noted(self, token: Hidden[Any]) -> Hidden[str]:
        self._last = checked_credential("What the function of auth gave", token)
        return self._last

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


def _close_unneeded(asked: "Future[Any]") -> None:
    """Close a coroutine that nobody is left to await."""
    if not asked.exception() and iscoroutine(asked.result()):
        asked.result().close()


def _is_async(function: object) -> bool:
    return iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__)


@contextmanager
def _failing_function() -> Generator[None, None, None]:
    """What a user's function raises is told as its own, lest it pass for the service's."""
    try:
        yield
    except YandexError:
        raise
    except Exception as error:
        raise ConnectionFailed(
            f"No IAM token: the function of auth raised {type(error).__name__}."
        ) from error


class _Same:
    """Stands in a key for one object, or one method of it, whatever it takes for its equals."""

    __slots__ = ("_parts",)

    def __init__(self, one: object) -> None:
        self._parts: tuple[object, ...] = (one,)
        if isinstance(one, MethodType):  # which is another object each time it is asked for
            self._parts = (one.__self__, one.__func__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._ids == other._ids

    def __hash__(self) -> int:
        return hash(self._ids)

    @property
    def _ids(self) -> tuple[int, ...]:
        return tuple(map(id, self._parts))


def secrets_of(auth: httpx.Auth) -> tuple[str, ...]:
    """The secrets a credential knows of; () for one that is not ours."""
    return auth.secrets if isinstance(auth, KnownAuth) else ()


def identity_of(auth: httpx.Auth) -> Hashable:
    """What two credentials of one quota have in common; of one that is not ours, itself."""
    return auth.identity if isinstance(auth, KnownAuth) else _Same(auth)


def bearing(request: httpx.Request, token: Hidden[str]) -> httpx.Request:
    """The request, with an IAM token in its header."""
    request.headers["Authorization"] = f"Bearer {token.shown()}"
    return request
