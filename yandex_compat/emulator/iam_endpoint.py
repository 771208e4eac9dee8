"""``POST /iam/v1/tokens`` and the metadata of a virtual machine: where tokens are given out."""

from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pydantic import ValidationError, model_validator
from starlette.requests import Request
from starlette.responses import Response

from .answers import as_json
from .messages import Strict
from .refusals import Refused, gateway_error
from .scripted import body_or_script
from .service import Service


class _Asked(Strict):
    jwt: str | None = None
    yandexPassportOauthToken: str | None = None  # noqa: N815 -- the field's name on the wire

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.jwt is None) == (self.yandexPassportOauthToken is None):
            raise ValueError("exactly one of jwt and yandexPassportOauthToken")
        return self


class _Lifetime(Strict):
    lifetime: float


class IamEndpoint:
    """Tokens for one emulated account."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(self, request: Request) -> Response:
        """Give a token for a signed JWT or an OAuth token."""
        raw = await request.body()
        # What was asked with is a secret, and no log of the emulator's has it.
        request.scope["state"]["record"]["body"] = "***"
        try:
            asked = _Asked.model_validate_json(raw)
        except ValidationError:
            raise _refused(3, "exactly one of jwt and yandexPassportOauthToken") from None
        access = self._service.access
        if asked.jwt is not None and (why := access.keys.refusal(asked.jwt)):
            raise _refused(16, why)
        if asked.jwt is None and asked.yandexPassportOauthToken not in access.oauth_tokens:
            raise _refused(16, "OAuth token is invalid or expired")
        ends = datetime.now(UTC) + timedelta(seconds=access.issued.lifetime)
        body = {
            "iamToken": access.issued.issue(),
            "expiresAt": ends.isoformat(timespec="microseconds").replace("+00:00", "000Z"),
        }
        return body_or_script(body, self._service.scripts, request.url.path)

    async def of_machine(self, request: Request) -> Response:
        """Give the token of the machine's service account."""
        if request.headers.get("metadata-flavor") != "Google":
            raise Refused(403, {"error": "Missing Metadata-Flavor: Google"})
        issued = self._service.access.issued
        body = {
            "access_token": issued.issue(),
            "expires_in": int(issued.lifetime),
            "token_type": "Bearer",
        }
        return body_or_script(body, self._service.scripts, request.url.path)

    async def set_lifetime(self, request: Request) -> Response:
        """Set how long the tokens to come live."""
        try:
            posted = _Lifetime.model_validate_json(await request.body())
            self._service.access.issued.live(posted.lifetime)
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        return _json({})

    async def expire(self, request: Request) -> Response:
        """Let all tokens end now."""
        self._service.access.issued.expire()
        return _json({})

    async def authorized_key(self, request: Request) -> Response:
        """Return the key file of the service account."""
        return _json(self._service.access.keys.key_file())


def _refused(grpc_code: int, message: str) -> Refused:
    """Refuse as IAM does: the bare status, not wrapped in ``error`` (WIRE C)."""
    told = gateway_error(grpc_code, message)
    body = {"code": grpc_code, "message": message, "details": []}
    return Refused(told["httpCode"], body)


def _json(body: Any, status: int = 200) -> Response:  # noqa: ANN401 -- JSON is any value
    return Response(as_json(body), status, media_type="application/json")
