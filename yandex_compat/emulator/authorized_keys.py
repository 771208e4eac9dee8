"""The authorized key of a service account, and the check of what is signed with it (WIRE)."""

import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

AUDIENCE = "https://iam.api.cloud.yandex.net/iam/v1/tokens"
_KEY_ID, _ACCOUNT = "ajekeyofemulator0001", "ajeaccountofemulator"
_LONGEST = 3_600
_AHEAD = 60  # seconds that another's clock may be ahead


class AuthorizedKeys:
    """The key of the account's one service account, made when it is first asked for."""

    def __init__(self) -> None:
        self._private: rsa.RSAPrivateKey | None = None

    def key_file(self) -> dict[str, Any]:
        """Return what ``yc iam key create`` writes."""
        private = self._key()
        secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        warning = f"PLEASE DO NOT REMOVE THIS LINE! Yandex.Cloud SA Key ID <{_KEY_ID}>\n"
        return {
            "id": _KEY_ID,
            "service_account_id": _ACCOUNT,
            "created_at": "2025-11-01T12:00:00.000000000Z",
            "key_algorithm": "RSA_2048",
            "public_key": public.decode(),
            "private_key": warning + secret.decode(),
        }

    def refusal(self, token: str) -> str | None:
        """Return why a JWT is not taken; None where it is."""
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") != "PS256" or header.get("kid") != _KEY_ID:
                return "JWT: alg must be PS256 and kid a known key"
            words = jwt.decode(
                token,
                self._key().public_key(),
                algorithms=["PS256"],
                audience=AUDIENCE,
                issuer=_ACCOUNT,
                leeway=_AHEAD,
                options={"require": ["exp", "iat", "aud", "iss"]},
            )
        except (jwt.PyJWTError, ArithmeticError, TypeError) as error:  # the last two of odd times
            return f"JWT: {error}"
        if not all(isinstance(words[word], int | float) for word in ("exp", "iat")):
            return "JWT: exp and iat must be numbers"
        if not 0 < words["exp"] - words["iat"] <= _LONGEST or words["exp"] <= time.time():
            return "JWT: exp must be within an hour after iat, and not over"
        return None

    def _key(self) -> rsa.RSAPrivateKey:
        if self._private is None:
            self._private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        return self._private
