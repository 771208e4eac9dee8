"""``POST /v1/embeddings`` and ``…/textEmbedding``: one text a request (WIRE Endpoints, Models)."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from . import tokens
from .chat_requests import refused_body
from .messages import Strict
from .model_uris import ModelURI, check_embedding_model, parse_model_uri
from .native_requests import TextRequest, parse_native
from .refusals import invalid, refused
from .scripted import body_or_script
from .service import Service
from .vectors import vector

_CONTEXT = 2_000


class EmbeddingsRequest(Strict):
    """A request for the vector of one text."""

    model: str
    input: str | Annotated[list[str], Field(min_length=1, max_length=1)]
    encoding_format: Literal["float"] | None = None
    dimensions: Literal[256] | None = None
    user: str | None = None

    @property
    def text(self) -> str:
        """The one text."""
        return self.input if isinstance(self.input, str) else self.input[0]


class EmbeddingsEndpoint:
    """Embeddings for one emulated account."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(self, request: Request) -> Response:
        """Answer one request."""
        raw = await request.body()
        self._service.access.check(request.headers)
        asked = _parsed(raw)
        uri = parse_model_uri(asked.model)
        check_embedding_model(uri)
        self._service.access.check_folder(uri.folder)
        if not asked.text.strip():
            raise invalid("input must not be empty", "input")
        _check_length(asked.text)
        return body_or_script(_body(asked.text, uri), self._service.scripts, request.url.path)

    async def create_native(self, request: Request) -> Response:
        """Answer one request of the native API."""
        raw = await request.body()
        self._service.access.check_native(request.headers)
        asked = parse_native(TextRequest, raw)
        uri = parse_model_uri(asked.modelUri)
        check_embedding_model(uri)
        self._service.access.check_folder(uri.folder)
        if not asked.text.strip():
            raise refused(3, "text must not be empty")
        _check_length(asked.text)
        return body_or_script(
            _native_body(asked.text, uri), self._service.scripts, request.url.path
        )


def _parsed(raw: bytes) -> EmbeddingsRequest:
    try:
        return EmbeddingsRequest.model_validate_json(raw)
    except ValidationError as error:
        raise refused_body(error) from None


def _check_length(text: str) -> None:
    if (given := tokens.count(text)) > _CONTEXT:
        raise refused(3, f"number of input tokens must be no more than {_CONTEXT}, got {given}")


def _body(text: str, uri: ModelURI) -> dict[str, Any]:
    given = tokens.count(text)
    entry = {"object": "embedding", "index": 0, "embedding": vector(text, uri.name)}
    return {
        "object": "list",
        "data": [entry],
        "model": str(uri),
        "usage": {"prompt_tokens": given, "total_tokens": given},
    }


def _native_body(text: str, uri: ModelURI) -> dict[str, Any]:
    return {
        "embedding": vector(text, uri.name),
        "numTokens": str(tokens.count(text)),
        "modelVersion": "06.12.2023",
    }
