"""The ways the service says no: a status and one of two error bodies (WIRE C)."""

from http import HTTPStatus
from typing import Any

_HTTP_STATUS = {3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 12: 501, 13: 500, 14: 503, 16: 401}


class Refused(Exception):
    """A request that is answered with an error; ``body`` is the JSON it gets."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def refused(grpc_code: int, message: str) -> Refused:
    """Refuse in the gateway's words: keys, folders, model URIs, quotas."""
    return Refused(_HTTP_STATUS[grpc_code], {"error": gateway_error(grpc_code, message)})


def invalid(message: str, param: str | None = None) -> Refused:
    """Refuse a body that the chat API itself finds wrong."""
    kind = "invalid_request_error"
    return Refused(400, {"error": {"message": message, "type": kind, "param": param, "code": None}})


def over_quota(allowed: int) -> Refused:
    """Refuse one generation more than ``allowed`` at once."""
    return refused(
        8,
        "ai.textGenerationCompletionSessionsCount.count gRPC quota limit exceed: "
        f"allowed {allowed} requests",
    )


def gateway_error(grpc_code: int, message: str) -> dict[str, Any]:
    """Return ``{grpcCode, httpCode, message, httpStatus, details}``."""
    status = HTTPStatus(_HTTP_STATUS[grpc_code])
    return {
        "grpcCode": grpc_code,
        "httpCode": status.value,
        "message": message,
        "httpStatus": status.phrase,
        "details": [],
    }
