"""Where IAM tokens come from: a signed JWT, an OAuth token, or a virtual machine (WIRE)."""

import math
import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

from yandex_compat import jsontext
from yandex_compat.errors import (
    ConfigurationError,
    ConnectionFailed,
    MalformedAnswer,
    error_from_response,
)
from yandex_compat.hangups import HANG_UPS
from yandex_compat.hidden import Hidden, HiddenWords
from yandex_compat.iam_tokens import IamToken
from yandex_compat.pools import CookielessClient, new_client

TOKENS_URL = "https://iam.api.cloud.yandex.net/iam/v1/tokens"
"""Where tokens are given out, and the audience of each JWT, wherever it is sent."""
METADATA_ADDRESS = "169.254.169.254"
_METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
_JWT_SECONDS = 3_600  # the longest that is taken
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_LONGEST = 30.0


@dataclass(frozen=True, slots=True)
class AuthorizedKey:
    """The authorized key of a service account."""

    id: str
    service_account_id: str
    private_key: Hidden[str]

    def signed(self) -> Hidden[str]:
        """A JWT that asks for a token; ConfigurationError where the key can't sign one."""
        try:
            import jwt
        except ImportError:
            raise ConfigurationError(
                "A service account's key signs with PyJWT: pip install 'yandex-compat[iam]'."
            ) from None
        now = int(time.time())
        words = {
            "iss": self.service_account_id,
            "aud": TOKENS_URL,
            "iat": now,
            "exp": now + _JWT_SECONDS,
        }
        try:
            private = self.private_key.shown().encode()
            return Hidden(jwt.encode(words, private, "PS256", {"kid": self.id}))
        except Exception as error:  # whatever three libraries make of what is no private key
            kind = type(error).__name__
        finally:
            private = b""  # a traceback with locals would show it
        raise ConfigurationError(
            f"The private_key of the service account's key can't sign ({kind}): create the "
            f"authorized key anew, and take its file as it is."
        )


def authorized_key(source: Hidden[Any]) -> AuthorizedKey:
    """The key in a file, in its text, or in a dict; ConfigurationError for what is none."""
    given = isinstance(source.shown(), Mapping)
    words = HiddenWords(source.shown() if given else _decoded(_text_of(source)))
    known = ("id", "service_account_id", "private_key")
    if not all(isinstance(words.get(word), str) and words[word] for word in known):
        raise ConfigurationError(
            "A service account's key has id, service_account_id and private_key, as "
            "`yc iam key create` writes it; this has not. (A static access key is another thing.)"
        )
    key = AuthorizedKey(words["id"], words["service_account_id"], Hidden(words["private_key"]))
    key.signed()
    return key


def _text_of(source: Hidden[Any]) -> Hidden[str]:
    if isinstance(source.shown(), str) and source.shown().lstrip("\ufeff \t\r\n").startswith("{"):
        return Hidden(source.shown().lstrip("\ufeff"))
    if not isinstance(source.shown(), str | os.PathLike):
        raise ConfigurationError(
            f"A service account's key is a path, its JSON text or a dict, not "
            f"{type(source.shown()).__name__}."
        )
    try:
        return Hidden(Path(source.shown()).expanduser().read_text(encoding="utf-8-sig"))
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        kind = type(error).__name__
    # A text that is no path may be the key itself: it is not repeated.
    raise ConfigurationError(
        f"The service account's key file (YC_SERVICE_ACCOUNT_KEY_FILE) can't be read ({kind}): "
        f"give the path of what `yc iam key create` wrote, in UTF-8 and readable by this user."
    )


def _decoded(text: Hidden[str]) -> Mapping[str, Any]:
    """The object that a text holds; an empty one for any other text."""
    try:
        found = jsontext.decode(text.shown())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def exchanged(url: str, word: str, secret: Hidden[str]) -> IamToken:
    """The token for a JWT (`jwt`) or an OAuth token (`yandexPassportOauthToken`).

    Raises APIError where it is refused, ConnectionFailed where no answer comes, MalformedAnswer
    for another shape than documented.
    """
    response = _asked("POST", url, Hidden(jsontext.encode({word: secret.shown()}).decode()))
    _refuse_bad_status(response, secret)
    return _read(response, lambda answer: _exchanged(answer, _now(response)))


def _exchanged(answer: Mapping[str, Any], now: datetime) -> IamToken:
    ends = datetime.fromisoformat(answer["expiresAt"])
    return _checked(answer["iamToken"], (ends - now).total_seconds())


def address_of_machine(address: str) -> str:
    """The root of a machine's metadata, of a host or an address."""
    return (address if "://" in address else f"http://{address}").rstrip("/")


def of_machine(address: str) -> IamToken:
    """The token of the service account of the virtual machine that this runs on."""
    response = _asked("GET", address + _METADATA_PATH, None)
    _refuse_bad_status(response, None)
    return _read(
        response,
        lambda answer: _checked(answer["access_token"], float(answer["expires_in"])),
    )


def _read(response: httpx.Response, token_of: Callable[[Mapping[str, Any]], IamToken]) -> IamToken:
    # No local of this frame, which a traceback may show, holds what the answer says.
    try:
        return token_of(jsontext.decode(response.content))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        kind = type(error).__name__
    raise MalformedAnswer(
        f"No IAM token from {response.request.url}: its answer has another shape ({kind})."
    )


def _checked(secret: object, lifetime: float) -> IamToken:
    if not isinstance(secret, str) or not re.fullmatch(r"[!-~]+", secret):
        raise TypeError("no token")
    if not (lifetime > 0 and math.isfinite(lifetime)):
        raise ValueError("an expired token, or one without an end")
    return IamToken(secret, lifetime)


def _now(response: httpx.Response) -> datetime:
    """The server's own time, since this machine's clock may be wrong."""
    try:
        date = parsedate_to_datetime(response.headers["date"])
    except (LookupError, ValueError):
        return datetime.now(UTC)
    # One without a zone is UTC as well.
    return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)


def _asked(method: str, url: str, body: Hidden[str] | None) -> httpx.Response:
    machine = body is None
    headers = {"Metadata-Flavor": "Google"} if machine else {"Content-Type": "application/json"}
    held = ExitStack()

    def bound(event: str, told: Mapping[str, Any]) -> None:
        # Bytes that come one by one, of headers too, would keep all who wait for the token for
        # ever.
        if event == "connection.connect_tcp.complete":
            connection = told["return_value"].get_extra_info("socket")
            held.enter_context(HANG_UPS.after(_LONGEST, connection))

    try:
        # No proxy knows a machine's own metadata.
        with held, new_client(CookielessClient, trust_env=not machine) as client:
            return client.request(
                method,
                url,
                content=body.shown() if body else None,
                headers=headers,
                timeout=_TIMEOUT,
                follow_redirects=False,
                extensions={"trace": bound},
            )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        kind = type(error).__name__
    hint = "Is this a machine of Yandex Cloud with a service account?" if machine else "Try again."
    raise ConnectionFailed(f"No IAM token: no answer from {url} ({kind}). {hint}")


def _refuse_bad_status(response: httpx.Response, secret: Hidden[str] | None) -> None:
    if response.is_success:
        return
    error = error_from_response(
        response.status_code,
        response.headers,
        response.content,
        (secret.shown(),) if secret else (),
    )
    told = str(error).partition(". ")[0]
    text = (
        f"No IAM token from {response.request.url}: {told}. Check that the authorized key, OAuth "
        f"token or service account of the machine is still there, and that this machine's clock "
        f"is right."
    )
    error.args = (text,)
    raise error
