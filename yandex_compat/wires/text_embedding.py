"""The native format of embeddings: one text a request (WIRE Endpoints)."""

from typing import Any

from yandex_compat.completion import Embedding
from yandex_compat.wires.embeddings import checked_text, read_embedding

PATH = "/textEmbedding"


def encode(text: str, uri: str) -> dict[str, Any]:
    """The body that asks for one text's vector; ConfigurationError for what is no text."""
    return {"modelUri": uri, "text": checked_text(text)}


def decode(data: bytes) -> Embedding:
    """The vector, and its tokens where counted.

    Raises MalformedAnswer where there is none, APIError where the answer is an error.
    """
    return read_embedding(data, lambda body: (body["embedding"], body.get("numTokens")))
