"""Credentials that are exchanged for IAM tokens, as httpx.Auth flows; none shows its secret."""

import os
from collections.abc import AsyncGenerator, Callable, Generator, Hashable
from functools import partial
from hashlib import sha256
from typing import Any

import httpx

from yandex_compat import iam
from yandex_compat.auth import KnownAuth, bearing, checked_credential
from yandex_compat.endpoints import host_of
from yandex_compat.errors import ConfigurationError
from yandex_compat.hidden import Hidden
from yandex_compat.iam_tokens import IamToken, TokenKeeper, shared_keeper
from yandex_compat.plain_http import check_plain_http


class _TokenAuth(KnownAuth):
    """Sends an IAM token that is had anew before it expires, once for all of a process.

    A 401 has one more token asked for, and the request sent once more with it.
    """

    trait = "exchanged token"

    def __init__(self, *source: Hashable) -> None:
        parts = "\0".join(map(repr, (type(self).__name__, *source)))
        self._source = sha256(parts.encode()).digest()
        self._kept: TokenKeeper | None = None

    def _exchange(self) -> Callable[[], IamToken]:
        """What has a token, and holds no more than it takes: it outlives the credential."""
        raise NotImplementedError

    @property
    def _keeper(self) -> TokenKeeper:
        if self._kept is None:
            self._kept = shared_keeper(self._source, self._exchange())
        return self._kept

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never show in a text."""
        return self._keeper.secrets

    @property
    def identity(self) -> Hashable:
        """What is the same for two who share a quota; of a secret, no more than a digest."""
        return self._source

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header, once more after a 401."""
        token = Hidden(self._keeper.token(_patience(request)))
        response = yield bearing(request, token)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._keeper.reject(token.shown())
            yield bearing(request, Hidden(self._keeper.token(_patience(request))))

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Add the header, once more after a 401."""
        token = Hidden(await self._keeper.atoken(_patience(request)))
        response = yield bearing(request, token)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._keeper.reject(token.shown())
            yield bearing(request, Hidden(await self._keeper.atoken(_patience(request))))

    def seconds_left(self, timeout: float | None = None) -> float:
        """Seconds until the token ends that requests go out with; one is had where there is none.

        Raises what a request would; RequestTimedOut where it takes more than `timeout` seconds.
        """
        return self._keeper.seconds_left(timeout)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class ServiceAccountAuth(_TokenAuth):
    """A service account's authorized key, a JWT of which is exchanged for IAM tokens.

    `key` is the path of its file, its JSON text or a dict. Needs the extra `iam`. A `url` of plain
    http to a public host is refused, unless `allow_http`.
    """

    def __init__(self, key: object, *, url: str = iam.TOKENS_URL, allow_http: bool = False) -> None:
        hidden = Hidden(key)
        del key
        _check_url(url, allow_http=allow_http)
        self._key = iam.authorized_key(hidden)
        self._url = url
        super().__init__(self._key.id, self._key.private_key.shown(), url)

    def _exchange(self) -> Callable[[], IamToken]:
        key, url = self._key, self._url
        return lambda: iam.exchanged(url, "jwt", key.signed())


class OAuthAuth(_TokenAuth):
    """An OAuth token of a Yandex account, exchanged for IAM tokens.

    A `url` of plain http to a public host is refused, unless `allow_http`.
    """

    def __init__(self, token: str, *, url: str = iam.TOKENS_URL, allow_http: bool = False) -> None:
        hidden = Hidden(token)
        del token
        _check_url(url, allow_http=allow_http)
        self._token = checked_credential("The OAuth token (YC_OAUTH_TOKEN)", hidden)
        self._url = url
        super().__init__(self._token.shown(), url)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never show in a text."""
        return (self._token.shown(), *super().secrets)

    def _exchange(self) -> Callable[[], IamToken]:
        return partial(iam.exchanged, self._url, "yandexPassportOauthToken", self._token)


class MetadataAuth(_TokenAuth):
    """The service account of the virtual machine that this runs on.

    `url` is where its metadata are, by default YC_METADATA_ADDR or 169.254.169.254. A public host
    is refused over plain http, unless `allow_http`.
    """

    def __init__(self, *, url: str | None = None, allow_http: bool = False) -> None:
        self._url = iam.address_of_machine(
            url or os.environ.get("YC_METADATA_ADDR") or iam.METADATA_ADDRESS
        )
        # Plain http is what this is documented with (WIRE Endpoints): nothing to warn of.
        _check_url(self._url, allow_http=allow_http, warns=False)
        super().__init__(self._url)

    def _exchange(self) -> Callable[[], IamToken]:
        return partial(iam.of_machine, self._url)


def _check_url(url: object, *, allow_http: bool, warns: bool = True) -> None:
    """Refuse what a secret can't be sent to, or must not."""
    try:
        parsed = httpx.URL(url) if isinstance(url, str) else httpx.URL()
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigurationError(f"url is not a web address: write it like {iam.TOKENS_URL!r}.")
    if parsed.scheme == "http":
        check_plain_http("url", host_of(parsed), allowed=allow_http, warns=warns)


def _patience(request: httpx.Request) -> float | None:
    """Seconds to wait for a token: as long as for the answer's first byte."""
    seconds: float | None = request.extensions.get("timeout", {}).get("read")
    return seconds
