"""Where a model is reached and with what: explicit argument, else environment, else default."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import httpx

import yandex_compat
from yandex_compat.auth import ApiKeyAuth, CallableAuth, IamTokenAuth, looks_like
from yandex_compat.catalogue import is_folder
from yandex_compat.endpoints import DEFAULTS, Endpoints, endpoints_of, host_of
from yandex_compat.errors import ConfigurationError
from yandex_compat.hidden import Hidden, HiddenWords
from yandex_compat.limiters import checked_limiter
from yandex_compat.parameters import hint_for
from yandex_compat.plain_http import check_plain_http

DEFAULT_TIMEOUT = 120.0
LONGEST_TIMEOUT = 86_400.0
CONNECT_TIMEOUT = 10.0
DEFAULT_MAX_RETRIES = 2
DEFAULT_DEFERRED_TIMEOUT = 3_600.0
LONGEST_DEFERRED_TIMEOUT = 7 * 86_400.0
DEFAULT_REQUESTS_PER_SECOND = 10.0  # WIRE Quotas
FASTEST = 10_000.0
DEFAULT_MAX_CONCURRENCY = 10  # WIRE Quotas
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = {"authorization", "content-length", "host", "transfer-encoding"}
_APIS = ("chat", "completion")
_MODES = ("sync", "deferred")


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach the service; `folder_id` is None where the model's URI names the folder.

    Seconds, all of them: `timeout` between bytes, `connect_timeout` until there is a connection,
    `first_byte_timeout` until the answer begins, `total_timeout` until it ends, waits and second
    tries included (None: no end), `deferred_timeout` until the answer of a deferred generation must
    be there. `requests_per_second` counts those for embeddings, `max_concurrency` generations of
    one model under way; 0 lets all of them pass. `limiter` is held beside both.
    """

    api: str
    endpoints: Endpoints
    auth: httpx.Auth = field(repr=False)
    folder_id: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    connect_timeout: float = CONNECT_TIMEOUT
    first_byte_timeout: float = DEFAULT_TIMEOUT
    total_timeout: float | None = None
    max_retries: int = DEFAULT_MAX_RETRIES
    max_concurrency: int = 0
    limiter: Any = field(default=None, repr=False)
    requests_per_second: float = DEFAULT_REQUESTS_PER_SECOND
    mode: str = "sync"
    deferred_timeout: float = DEFAULT_DEFERRED_TIMEOUT
    supports_store: bool = False
    data_logging: bool = True
    default_headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def base_url(self) -> str:
        """The root of the API that is talked to."""
        return self.endpoints.root(self.api)


def resolve_settings(
    *,
    api: str = "chat",
    api_key: str | None = None,
    iam_token: str | None = None,
    auth: httpx.Auth | Callable[[], Any] | None = None,
    folder_id: str | None = None,
    base_url: str | None = None,
    allow_http: bool = False,
    timeout: float | None = None,
    connect_timeout: float | None = None,
    first_byte_timeout: float | None = None,
    total_timeout: float | None = None,
    max_retries: int | None = None,
    max_concurrency: int | None = None,
    limiter: object = None,
    requests_per_second: float | None = None,
    mode: str | None = None,
    deferred_timeout: float | None = None,
    supports_store: bool = False,
    data_logging: bool = True,
    default_headers: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from what was given, the environment, and defaults.

    The environment's names are YC_FOLDER_ID and, the first that is set, YC_API_KEY, YC_IAM_TOKEN,
    YC_SERVICE_ACCOUNT_KEY_FILE or YC_OAUTH_TOKEN.
    Raises ConfigurationError naming the word that is missing or wrong.
    """
    given = HiddenWords(api_key=api_key, iam_token=iam_token, auth=auth)
    headers, url = Hidden(default_headers or {}), Hidden(base_url)
    folder = Hidden(folder_id or os.environ.get("YC_FOLDER_ID") or None)
    del api_key, iam_token, auth, default_headers, base_url, folder_id
    if api not in _APIS:
        raise ConfigurationError(
            'api must be "chat", the OpenAI-compatible one, or "completion", the native one.'
        )
    timeout = DEFAULT_TIMEOUT if timeout is None else timeout
    _check_seconds("timeout", timeout, LONGEST_TIMEOUT)
    for word, seconds in (
        ("connect_timeout", connect_timeout),
        ("first_byte_timeout", first_byte_timeout),
        ("total_timeout", total_timeout),
    ):
        if seconds is not None:
            _check_seconds(word, seconds, LONGEST_TIMEOUT)
    for word, switch in (
        ("allow_http", allow_http),
        ("supports_store", supports_store),
        ("data_logging", data_logging),
    ):
        if not isinstance(switch, bool):
            raise ConfigurationError(f"{word} must be True or False.")
    root = None if url.shown() is None else checked_url(url, allow_http=allow_http)
    endpoints = endpoints_of(api, root)
    if max_concurrency is None:
        max_concurrency = DEFAULT_MAX_CONCURRENCY if endpoints.are_the_service_s else 0
    max_retries = DEFAULT_MAX_RETRIES if max_retries is None else max_retries
    for word, number in (("max_retries", max_retries), ("max_concurrency", max_concurrency)):
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise ConfigurationError(f"{word} must be a whole number, 0 or more.")
    pace = DEFAULT_REQUESTS_PER_SECOND if requests_per_second is None else requests_per_second
    if not _is_number(pace) or not (pace == 0 or 1 / FASTEST <= pace <= FASTEST):
        raise ConfigurationError(
            f"requests_per_second must be a number from {1 / FASTEST:g} to {FASTEST:.0f}, or 0 for "
            f"no limit."
        )
    mode = "sync" if mode is None else mode
    if mode not in _MODES:
        raise ConfigurationError('mode must be "sync" or "deferred".')
    if mode == "deferred" and api != "completion":
        raise ConfigurationError(
            'mode="deferred" is of the native API only: pass api="completion" as well.'
        )
    patience = DEFAULT_DEFERRED_TIMEOUT if deferred_timeout is None else deferred_timeout
    return Settings(
        api=api,
        endpoints=endpoints,
        auth=_resolve_auth(given),
        folder_id=checked_folder(folder),
        timeout=timeout,
        connect_timeout=connect_timeout or min(CONNECT_TIMEOUT, timeout),
        first_byte_timeout=first_byte_timeout or timeout,
        total_timeout=total_timeout,
        max_retries=max_retries,
        max_concurrency=max_concurrency,
        limiter=checked_limiter(limiter),
        requests_per_second=pace,
        mode=mode,
        deferred_timeout=checked_patience("deferred_timeout", patience),
        supports_store=supports_store,
        data_logging=data_logging,
        default_headers=_checked_headers(headers),
    )


def checked_patience(word: str, seconds: float) -> float:
    """Seconds to wait for a deferred answer; ConfigurationError for what is none."""
    _check_seconds(word, seconds, LONGEST_DEFERRED_TIMEOUT)
    return seconds


def _check_seconds(word: str, seconds: float, longest: float) -> None:
    if not _is_number(seconds) or not 0 < seconds <= longest:
        raise ConfigurationError(
            f"{word} must be a number of seconds above 0, {longest:.0f} at most."
        )


def refuse_unknown_words(owner: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise ConfigurationError for a word that the constructor does not know.

    It names the word and never its value: a key under a misspelt word is still a key.
    """
    known = sorted(known)
    for word in given:
        if word in known:
            continue
        close = get_close_matches(word, known, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"It knows: {', '.join(known)}."
        if "extra_body" in known:
            hint = hint_for(word) or hint
        raise ConfigurationError(f"{owner} does not know the word {word!r}. {hint}")


CREDENTIALS = {
    "YC_API_KEY": "ApiKeyAuth",
    "YC_IAM_TOKEN": "IamTokenAuth",
    "YC_SERVICE_ACCOUNT_KEY_FILE": "ServiceAccountAuth",
    "YC_OAUTH_TOKEN": "OAuthAuth",
}
"""The environment's names of credentials, the first that is set being taken, and their classes."""


def kind_of_credential(name: str) -> Callable[..., httpx.Auth]:
    """The class of what the environment holds under one of those names."""
    kind: Callable[..., httpx.Auth] = getattr(yandex_compat, CREDENTIALS[name])
    return kind


def _resolve_auth(given: HiddenWords) -> httpx.Auth:
    """The credential of `api_key`, `iam_token` or `auth`, else that of the environment."""
    words = [word for word, value in given.items() if value is not None]
    if len(words) > 1:
        raise ConfigurationError(f"{' and '.join(words)} are both given: pass one credential.")
    if isinstance(given["auth"], httpx.Auth):
        return given["auth"]
    if callable(given["auth"]):
        return CallableAuth(given["auth"])
    if given["auth"] is not None:
        raise ConfigurationError(
            f"auth must be an httpx.Auth or a function that gives an IAM token, not "
            f"{type(given['auth']).__name__}: pass a key as api_key=… and an IAM token as "
            f"iam_token=…."
        )
    if given["api_key"] is not None:
        return ApiKeyAuth(given["api_key"])
    if given["iam_token"] is not None:
        return IamTokenAuth(given["iam_token"])
    for name in CREDENTIALS:
        if os.environ.get(name):
            return kind_of_credential(name)(os.environ[name])
    raise ConfigurationError(
        "No credential: pass api_key=… or iam_token=…, or set YC_API_KEY, YC_IAM_TOKEN, "
        "YC_SERVICE_ACCOUNT_KEY_FILE or YC_OAUTH_TOKEN. On a virtual machine of Yandex Cloud, pass "
        "auth=MetadataAuth()."
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def checked_folder(hidden: Hidden[str | None]) -> str | None:
    """A folder's id, or none; ConfigurationError for what can't be one."""
    # What is refused here is, at times, a key.
    if hidden.shown() is not None and not _is_folder(hidden.shown()):
        raise ConfigurationError(
            "folder_id (YC_FOLDER_ID) is no folder's id: copy it again, without blanks, quotes and "
            "line breaks around it, and in the place of whatever stood for it in an example."
        )
    kind = looks_like(Hidden(hidden.shown() or ""))
    if kind:
        raise ConfigurationError(
            f"folder_id (YC_FOLDER_ID) holds what looks like an {kind}: a folder's id is something "
            f"else, which the console and `yc config list` tell."
        )
    return hidden.shown()


def _is_folder(folder: object) -> bool:
    return isinstance(folder, str) and is_folder(folder)


def _checked_headers(hidden: Hidden[Mapping[str, str]]) -> HiddenWords:
    if not isinstance(hidden.shown(), Mapping):
        raise ConfigurationError(
            f"default_headers must be a dict of texts, not {type(hidden.shown()).__name__}."
        )
    headers = HiddenWords(hidden.shown())
    for name in headers:
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError("default_headers: a name has signs that no header has.")
        if name.lower() in _OWN_HEADERS:
            raise ConfigurationError(f"default_headers must not hold {name!r}, which is set here.")
        if not _is_sendable(headers[name]):
            raise ConfigurationError(
                f"default_headers: the value of {name!r} must be a text of printable ASCII, "
                f"without blanks around it."
            )
    return headers


def _is_sendable(value: object) -> bool:
    if not isinstance(value, str):
        return False
    return value.isascii() and value.isprintable() and value == value.strip()


def checked_url(base_url: Hidden[Any], *, allow_http: bool) -> str:
    """The root of an API; ConfigurationError for what is none, or is not to be used."""
    url = _parsed(base_url)
    if url.shown().userinfo or {"?", "#"} & set(str(url.shown())):
        raise ConfigurationError(
            "base_url must not hold a user, a password, a query or a fragment: pass api_key=… and "
            "default_headers=…."
        )
    if url.shown().scheme not in {"http", "https"} or not url.shown().host:
        raise ConfigurationError(
            f"base_url is not a web address: write it like {DEFAULTS['chat']!r}."
        )
    if url.shown().scheme == "http":
        check_plain_http("base_url", host_of(url.shown()), allowed=allow_http)
    return str(base_url.shown()).strip().rstrip("/")


def _parsed(base_url: Hidden[Any]) -> Hidden[httpx.URL]:
    """The address in a text; one without a host for what is none."""
    try:
        url = Hidden(httpx.URL(base_url.shown()))
        if not isinstance(base_url.shown(), str) or not 0 <= (url.shown().port or 0) < 65_536:
            return Hidden(httpx.URL())
        url.shown().raw_host.decode().encode("idna")  # as a socket will; "a..b" has no such form
    except (httpx.InvalidURL, TypeError, UnicodeError):
        return Hidden(httpx.URL())
    return url
