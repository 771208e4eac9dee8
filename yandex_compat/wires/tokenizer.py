"""The format of the service's tokenizer (WIRE Endpoints)."""

from typing import Any

from yandex_compat.completion import Token
from yandex_compat.errors import ConfigurationError
from yandex_compat.wires.values import WRONG_SHAPE, body_of, misshapen, text_of

TEXT_PATH = "/tokenize"
CONVERSATION_PATH = "/tokenizeCompletion"


def encode(text: str, uri: str) -> dict[str, Any]:
    """The body that asks for the tokens of a text; ConfigurationError for what is no text."""
    if not isinstance(text, str):
        raise ConfigurationError(f"A tokenizer needs a text, not {type(text).__name__}.")
    return {"modelUri": uri, "text": text}


def decode(data: bytes) -> tuple[Token, ...]:
    """The tokens; MalformedAnswer for another shape, APIError where the answer is an error."""
    body = body_of("The answer of the tokenizer", data)
    try:
        return tuple(
            Token(int(token["id"]), text_of(token["text"]), bool(token.get("special")))
            for token in body["tokens"]
        )
    except WRONG_SHAPE as error:
        raise misshapen("The answer of the tokenizer", error, data) from None
