"""The embedding formats: one text a request (WIRE Endpoints)."""

from math import isfinite
from typing import Any

from yandex_compat import jsontext
from yandex_compat.completion import Embedding
from yandex_compat.errors import (
    ConfigurationError,
    MalformedAnswer,
    error_from_response,
    is_error,
)

PATH = "/embeddings"


def encode(text: str, uri: str) -> dict[str, Any]:
    """The body that asks for one text's vector; ConfigurationError for what is no text."""
    if not isinstance(text, str):
        raise ConfigurationError(f"An embedding needs a text, not {type(text).__name__}.")
    return {"model": uri, "input": [text], "encoding_format": "float"}


def decode(data: bytes) -> Embedding:
    """The vector, and its tokens where counted.

    Raises MalformedAnswer where there is none, APIError where the answer is an error.
    """
    try:
        body = jsontext.decode(data)
        if is_error(body):
            raise error_from_response(200, {}, data)
        vector = _vector(body["data"][0]["embedding"])
        tokens = (body.get("usage") or {}).get("prompt_tokens")
        tokens = None if tokens is None else int(tokens)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise MalformedAnswer(f"The answer holds no embedding ({type(error).__name__}).") from None
    return Embedding(vector, tokens)


def _vector(numbers: object) -> list[float]:
    if not isinstance(numbers, list) or not numbers:
        raise TypeError("no list of numbers")
    vector = [float(number) for number in numbers if isinstance(number, int | float)]
    if len(vector) != len(numbers) or not all(map(isfinite, vector)):
        raise ValueError("what stands in it is no number")
    return vector
