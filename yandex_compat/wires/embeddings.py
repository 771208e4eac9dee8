"""The OpenAI-compatible format of embeddings: one text a request (WIRE Endpoints)."""

from collections.abc import Callable
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
from yandex_compat.wires.values import WRONG_SHAPE, count_or_none

PATH = "/embeddings"


def encode(text: str, uri: str) -> dict[str, Any]:
    """The body that asks for one text's vector; ConfigurationError for what is no text."""
    return {"model": uri, "input": [checked_text(text)], "encoding_format": "float"}


def decode(data: bytes) -> Embedding:
    """The vector, and its tokens where counted.

    Raises MalformedAnswer where there is none, APIError where the answer is an error.
    """
    return read_embedding(
        data,
        lambda body: (
            body["data"][0]["embedding"],
            (body.get("usage") or {}).get("prompt_tokens"),
        ),
    )


def checked_text(text: object) -> str:
    """The text to be embedded; ConfigurationError for what is none."""
    if not isinstance(text, str):
        raise ConfigurationError(f"An embedding needs a text, not {type(text).__name__}.")
    return text


def read_embedding(data: bytes, parts: Callable[[Any], tuple[object, Any]]) -> Embedding:
    """An embedding whose vector and count of tokens `parts` finds in the body."""
    try:
        body = jsontext.decode(data)
        if is_error(body):
            raise error_from_response(200, {}, data)
        numbers, tokens = parts(body)
        return Embedding(_vector(numbers), count_or_none(tokens))
    except WRONG_SHAPE as error:
        raise MalformedAnswer(f"The answer holds no embedding ({type(error).__name__}).") from None


def _vector(numbers: object) -> list[float]:
    if not isinstance(numbers, list) or not numbers:
        raise TypeError("no list of numbers")
    vector = [float(number) for number in numbers if isinstance(number, int | float)]
    if len(vector) != len(numbers) or not all(map(isfinite, vector)):
        raise ValueError("what stands in it is no number")
    return vector
