"""``POST …/tokenize`` and ``…/tokenizeCompletion``: the tokens of a text or a conversation."""

from hashlib import blake2b
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from . import tokens
from .model_uris import native_family, parse_model_uri
from .native_conversation import check_native_conversation, texts_of
from .native_requests import NativeRequest, TextRequest, parse_native
from .scripted import body_or_script
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
        check_native_conversation(asked, native_family(parse_model_uri(asked.modelUri)))
        return self._told(request, asked.modelUri, _special("<s>"), *texts_of(asked))

    def _told(self, request: Request, model: str, opening: dict[str, Any], *texts: str) -> Response:
        uri = parse_model_uri(model)
        native_family(uri)
        self._service.access.check_folder(uri.folder)
        found = [_token(piece) for text in texts for piece in tokens.pieces(text)]
        body = {"tokens": [opening, *found], "modelVersion": _VERSION}
        return body_or_script(body, self._service.scripts, request.url.path)


def _special(text: str) -> dict[str, Any]:
    return {"id": "1", "text": text, "special": True}


def _token(text: str) -> dict[str, Any]:
    number = int.from_bytes(blake2b(text.encode(), digest_size=3).digest())
    return {"id": str(number + 3), "text": text, "special": False}
