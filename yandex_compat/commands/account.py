"""Account: the credential, folder and address of a command, and what it never shows."""

import os
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from urllib.parse import unquote
from urllib.request import getproxies

import httpx

from yandex_compat.auth import looks_like, secrets_of
from yandex_compat.client import YandexClient
from yandex_compat.errors import ConfigurationError, without_secrets
from yandex_compat.exchanged_auth import MetadataAuth, OAuthAuth, ServiceAccountAuth
from yandex_compat.hidden import Hidden
from yandex_compat.settings import CREDENTIALS, kind_of_credential

KNOWN = (*CREDENTIALS, "YC_FOLDER_ID", "YC_METADATA_ADDR")
"""The variables that are read."""
_ON_THE_EMULATOR = (
    "To try it without an account, run `yandex-compat emulator`, and beside it `YC_API_KEY="
    "emulator-key YC_FOLDER_ID=emulator-folder yandex-compat doctor --base-url "
    "http://127.0.0.1:8000/v1`."
)

# Whose a variable is, before what it holds: YC_FOLDER, YANDEX_API_KEY, YANDEX_CLOUD_FOLDER_ID.
_OWNERS = {"YC", "YANDEX", "YANDEXGPT", "YANDEXCLOUD", "CLOUD", "GPT", "YA"}
_HOLDS = {
    "API_KEY": "YC_API_KEY", "APIKEY": "YC_API_KEY", "KEY": "YC_API_KEY",
    "IAM_TOKEN": "YC_IAM_TOKEN", "IAM": "YC_IAM_TOKEN", "TOKEN": "YC_IAM_TOKEN",
    "OAUTH_TOKEN": "YC_OAUTH_TOKEN", "OAUTH": "YC_OAUTH_TOKEN",
    "FOLDER_ID": "YC_FOLDER_ID", "FOLDERID": "YC_FOLDER_ID", "FOLDER": "YC_FOLDER_ID",
    "SERVICE_ACCOUNT_KEY_FILE": "YC_SERVICE_ACCOUNT_KEY_FILE",
    "SA_KEY_FILE": "YC_SERVICE_ACCOUNT_KEY_FILE", "KEY_FILE": "YC_SERVICE_ACCOUNT_KEY_FILE",
}  # fmt: skip
_WITHOUT_OWNER = {"FOLDER_ID", "IAM_TOKEN"}
# Variables of others', whose secrets may have been put in a wrong place.
_SECRET_NAME = re.compile(
    r"(^|_)(API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|AUTH)(_|$)", re.IGNORECASE
)
# A shorter one stands in many a text.
_SHORTEST_SECRET = 6
# A part of an address that may be a key: long, with letters and digits.
_LIKE_A_KEY = re.compile(r"(?=[^/]*\d)(?=[^/]*[A-Za-z])[\w.~+=-]{16,}", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")  # a terminal would obey them


@dataclass(frozen=True, slots=True)
class Options:
    """What the user of a command chose, beside the environment; texts may hold a key by mistake."""

    model: str = field(default="yandexgpt", repr=False)
    api: str = field(default="chat", repr=False)
    base_url: str | None = field(default=None, repr=False)
    iam_url: str | None = field(default=None, repr=False)
    metadata: bool = False
    allow_http: bool = False


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential, and the variable or option that it comes from."""

    auth: httpx.Auth
    source: str


class Account:
    """The credential, folder and address of one command."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._credential: Credential | None = None
        self._secrets = _secrets_around(options)

    @property
    def credential(self) -> Credential:
        """That of the environment or the machine; ConfigurationError where there is none."""
        if self._credential is None:
            self._credential = self._found()
        return self._credential

    def _found(self) -> Credential:
        if self.options.metadata:
            return Credential(MetadataAuth(allow_http=self.options.allow_http), "--metadata")
        name = next((name for name in CREDENTIALS if os.environ.get(name)), None)
        if name is None:
            raise ConfigurationError(
                "No credential: set YC_API_KEY, YC_IAM_TOKEN, YC_SERVICE_ACCOUNT_KEY_FILE or "
                "YC_OAUTH_TOKEN; on a virtual machine of Yandex Cloud, pass --metadata. "
                + _ON_THE_EMULATOR
            )
        words: dict[str, Any] = {}
        kind = kind_of_credential(name)
        if self.options.iam_url and kind in (ServiceAccountAuth, OAuthAuth):
            words = {"url": self.options.iam_url, "allow_http": self.options.allow_http}
        return Credential(kind(os.environ[name], **words), name)

    def client(self, **words: Any) -> YandexClient:
        """A client that asks each thing once; `words` are its own and win."""
        known: dict[str, Any] = {
            "api": self.options.api,
            "base_url": self.options.base_url,
            "allow_http": self.options.allow_http,
            "auth": self.credential.auth,
            "timeout": 30.0,
            "total_timeout": 60.0,
            "max_retries": 0,
        }
        return YandexClient(**(known | words))

    def clean(self, text: str) -> str:
        """A text as one line, in which no secret stands."""
        secrets = self._secrets
        if self._credential:
            secrets = (*secrets, *secrets_of(self._credential.auth))
        # Half a character can't be printed.
        shown = without_secrets(secrets, text).encode("utf-8", "replace").decode()
        return _CONTROL.sub(" ", shown)

    def cleaned(self, value: Any) -> Any:  # noqa: ANN401 -- JSON is any value
        """A value of JSON's types without secrets, in its keys neither."""
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, Mapping):
            return {self.clean(str(name)): self.cleaned(one) for name, one in value.items()}
        if isinstance(value, Sequence):
            return [self.cleaned(one) for one in value]
        return value


def misspelt(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that nothing reads, each with the one that was most likely meant."""
    return {
        name: meant
        for name, value in sorted(environment.items())
        if value and name not in KNOWN and (meant := _meant(name))
    }


def _meant(name: str) -> str | None:
    parts = name.upper().split("_")
    rest = list(parts)
    while rest and rest[0] in _OWNERS:
        rest.pop(0)
    held = "_".join(rest)
    if len(rest) == len(parts):
        return _HOLDS[held] if held in _WITHOUT_OWNER else None
    close = get_close_matches(held, _HOLDS, n=1, cutoff=0.8)
    return _HOLDS[close[0]] if close else None


def _secrets_around(options: Options) -> tuple[str, ...]:
    """What may be a secret of the environment and the options, right or misplaced."""
    found = {
        value
        for name, value in os.environ.items()
        if name in CREDENTIALS or _SECRET_NAME.search(name) or looks_like(Hidden(value))
    }
    # As it is once whoever wrapped it has taken the wrapping off.
    found |= {value.strip(" \t\r\n'\"") for value in found}
    meant = misspelt(os.environ)
    found |= {os.environ[name] for name in meant if meant[name] != "YC_FOLDER_ID"}
    for given in (options.model, options.base_url or "", options.iam_url or ""):
        found |= {part for part in given.split("/") if looks_like(Hidden(part))}
    for address in (options.base_url or "", options.iam_url or ""):
        path = address.partition("://")[2].partition("/")[2]
        found |= _of_address(address) | set(_LIKE_A_KEY.findall(path))
    for proxy in getproxies().values():
        found |= _of_address(proxy)
    return tuple(secret for secret in found if len(secret) >= _SHORTEST_SECRET)


def _of_address(address: str) -> set[str]:
    """The user and the password in an address, also as they are sent."""
    user, at, _ = address.rpartition("://")[2].partition("/")[0].rpartition("@")
    if not at:
        return set()
    name, _, password = unquote(user).partition(":")
    sent = b64encode(f"{name}:{password}".encode("utf-8", "replace")).decode()
    found = {user, unquote(user), sent, password, user.partition(":")[2]}
    return found if password else found | {name}
