"""``POST …/tokenize`` and ``…/tokenizeCompletion``: the tokens of a text or a conversation."""

from hashlib import blake2b
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from . import tokens
from .answers import as_json
from .delivery import Delivery, unless_gone
from .model_uris import native_family, parse_model_uri
from .native_conversation import check_native_conversation, texts_of
from .native_requests import NativeRequest, TextRequest, parse_native
from .scripted import played
from .service import Service
from .upstream_requests import body_of_native

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
        self._check_model(asked.modelUri)
        return await self._told(request, asked.text, asked.text)

    async def tokenize_completion(self, request: Request) -> Response:
        """Return the tokens of a conversation, as the model would read it."""
        raw = await request.body()
        self._service.access.check_native(request.headers)
        asked = parse_native(NativeRequest, raw)
        check_native_conversation(asked, native_family(parse_model_uri(asked.modelUri)))
        self._check_model(asked.modelUri)
        return await self._told(request, body_of_native(asked), *texts_of(asked))

    def _check_model(self, model: str) -> None:
        uri = parse_model_uri(model)
        native_family(uri)
        self._service.access.check_folder(uri.folder)

    async def _told(self, request: Request, said: str | dict[str, Any], *texts: str) -> Response:
        """Return the tokens that the upstream counts in what is said, or those of ``texts``."""
        if (script := played(self._service.scripts, request.url.path)) is not None:
            return script
        found = await unless_gone(request, self._counted(said))
        if found is None:
            found = [_token(piece) for text in texts for piece in tokens.pieces(text)]
            found.insert(0, {"id": "1", "text": "<s>", "special": True})
        body = {"tokens": found, "modelVersion": _VERSION}
        return Delivery([as_json(body).encode()], "application/json")

    async def _counted(self, said: str | dict[str, Any]) -> list[dict[str, Any]] | None:
        upstream = self._service.upstream
        if upstream is None:
            return None
        text = said if isinstance(said, str) else await upstream.prompt(said)
        found = None if text is None else await upstream.tokens(text)
        if found is None:
            return None
        # Which of them are special, it does not tell.
        return [{"id": str(one.id), "text": one.text, "special": False} for one in found]


def _token(text: str) -> dict[str, Any]:
    number = int.from_bytes(blake2b(text.encode(), digest_size=3).digest())
    return {"id": str(number + 3), "text": text, "special": False}
