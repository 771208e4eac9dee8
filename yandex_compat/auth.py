"""Credentials as httpx.Auth flows; none shows its secret in repr or str."""

import re
from collections.abc import Generator

import httpx

from yandex_compat.errors import ConfigurationError

_CREDENTIAL = re.compile(r"[\w.~+/=-]+", re.ASCII)


class _HeaderAuth(httpx.Auth):
    """Sends one secret in the Authorization header."""

    scheme: str
    word: str

    def __init__(self, secret: str) -> None:
        if not isinstance(secret, str):
            raise ConfigurationError(f"{self.word} must be a text, not {type(secret).__name__}.")
        if not _CREDENTIAL.fullmatch(secret):
            raise ConfigurationError(
                f"{self.word} is empty or holds blanks, line breaks or signs that no credential "
                f"has: copy it again, without the quotes and line breaks around it."
            )
        self._secret = secret

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never show in a text."""
        return (self._secret,)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        request.headers["Authorization"] = f"{self.scheme} {self._secret}"
        yield request

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class ApiKeyAuth(_HeaderAuth):
    """An API key of a service account: `Authorization: Api-Key KEY`."""

    scheme = "Api-Key"
    word = "api_key"


class IamTokenAuth(_HeaderAuth):
    """An IAM token, which lives 12 hours at most: `Authorization: Bearer TOKEN`."""

    scheme = "Bearer"
    word = "iam_token"


def secrets_of(auth: httpx.Auth) -> tuple[str, ...]:
    """The secrets a credential knows of; () for one that is not ours."""
    return tuple(getattr(auth, "secrets", ()))
