"""``POST …/tokenize`` and ``…/tokenizeCompletion``: the tokens of a text or a conversation."""

from hashlib import blake2b
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from . import tokens
from .answers import as_json
from .delivery import Delivery
from .model_uris import native_family, parse_model_uri
from .native_requests import NativeRequest, TextRequest, parse_native
from .scripted import raw_delivery
from .scripts import ScriptedAnswer
from .service import Service

_VERSION = "09.02.2025"


class TokenizerEndpoint:
    """Tokenization for one emulated account."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def tokenize(self, request: Request) -> Response:
        """Return the tokens of a text."""
        raw = await request.body()
        self._service.access.check_native(request.headers)
        asked = parse_native(TextRequest, raw)
        return self._told(request, asked.modelUri, _special("<s>"), asked.text)

    async def tokenize_completion(self, request: Request) -> Response:
        """Return the tokens of a conversation, as the model would read it."""
        raw = await request.body()
        self._service.access.check_native(request.headers)
        asked = parse_native(NativeRequest, raw)
        texts = [
            as_json(message.model_dump(exclude={"role"}, exclude_none=True))
            if message.text is None
            else message.text
            for message in asked.messages
        ]
        tools = [as_json(tool.model_dump(exclude_none=True)) for tool in asked.tools]
        return self._told(request, asked.modelUri, _special("<s>"), *texts, *tools)

    def _told(self, request: Request, model: str, opening: dict[str, Any], *texts: str) -> Response:
        uri = parse_model_uri(model)
        native_family(uri)
        self._service.access.check_folder(uri.folder)
        if (scripted := self._service.scripts.take(request.url.path)) is not None:
            script, gate = scripted
            assert not isinstance(script, ScriptedAnswer), "refused when it was posted"
            return raw_delivery(script, gate)
        found = [_token(piece) for text in texts for piece in tokens.pieces(text)]
        body = {"tokens": [opening, *found], "modelVersion": _VERSION}
        return Delivery([as_json(body).encode()], "application/json")


def _special(text: str) -> dict[str, Any]:
    return {"id": "1", "text": text, "special": True}


def _token(text: str) -> dict[str, Any]:
    number = int.from_bytes(blake2b(text.encode(), digest_size=3).digest())
    return {"id": str(number + 3), "text": text, "special": False}
