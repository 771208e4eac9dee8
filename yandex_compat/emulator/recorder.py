"""What is noted of each request of the service: its record in the log, its row in the ledger."""

import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .connections import Connection
from .ledger import LedgerRow
from .request_log import parsed, record_of
from .service import Service

_SERVED = ("/v1/", "/foundationModels/v1/", "/operations/", "/iam/", "/computeMetadata/")


class Recorder:
    """Notes each request of the API and gives its answer the ids that support asks for."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; endpoints find its ``record`` and ``row`` in the scope's state."""
        if scope["type"] != "http" or not scope["path"].startswith(_SERVED):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        query = scope["query_string"].decode()
        record = record_of(scope["method"], scope["path"], query, headers)
        row = self._service.ledger.open(scope["method"], scope["path"], headers)
        scope["state"] |= {"record": record, "row": row}
        answer = _Sent(row, scope["state"]["connection"])
        body = bytearray()

        async def received() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    record["body"] = parsed(bytes(body))
            return message

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                record["status"] = message["status"]
                _add_ids(MutableHeaders(scope=message), headers)
            answer.note(message)
            await send(message)

        self._service.requests.append(record)
        self._service.in_flight += 1
        try:
            await self._app(scope, received, sent)
        except ClientDisconnect:
            record["closed_early"] = True  # before its body, or its answer, was whole
        finally:
            self._service.in_flight -= 1
            row.closed_early = record["closed_early"]
            row.finish(record["body"], answer.streamed)


class _Sent:
    """Notes what of an answer is sent; the bytes of a stream are kept until its end."""

    def __init__(self, row: LedgerRow, connection: Connection) -> None:
        self._row = row
        self._connection = connection
        self._streamed: bytearray | None = None

    @property
    def streamed(self) -> bytes | None:
        return None if self._streamed is None else bytes(self._streamed)

    def note(self, message: Message) -> None:
        if self._connection.closed.is_set():
            return  # nobody is there to get it
        if message["type"] == "http.response.start":
            self._row.status = message["status"]
            if "content-length" not in Headers(raw=message["headers"]):
                self._streamed = bytearray()
            return
        body = message.get("body", b"")
        self._row.sent_bytes += len(body)
        self._row.whole = not message.get("more_body", False)
        if self._streamed is not None:
            self._streamed += body


def _add_ids(answer: MutableHeaders, request: Headers) -> None:
    answer.setdefault("x-request-id", str(uuid.uuid4()))
    answer.setdefault("x-server-trace-id", uuid.uuid4().hex)
    if "x-client-request-id" in request:
        answer["x-client-request-id"] = request["x-client-request-id"]
