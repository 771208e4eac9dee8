"""The values of an answer, checked, and the errors for one of another shape than documented."""

import re
from typing import Any

from yandex_compat import jsontext
from yandex_compat.errors import MalformedAnswer, error_from_response, is_error
from yandex_compat.jsontext import SurrogateJoiner

WRONG_SHAPE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading an answer of another shape than documented raises."""

_LAST_WORD = re.compile(r"""[^\s"<>]+\Z""")


def body_of(what: str, data: bytes) -> Any:  # noqa: ANN401 -- JSON is any value
    """The JSON of an answer or of a piece of one, which `what` calls by its name.

    Raises MalformedAnswer where it is none, APIError where it is an error (WIRE C).
    """
    try:
        body = jsontext.decode(data)
    except ValueError:
        raise MalformedAnswer(
            f"{what} is no JSON: {beginning(data)}. Check what base_url leads to, or ask again."
        ) from None
    if is_error(body):
        raise error_from_response(200, {}, data)
    return body


def count_or_none(number: Any) -> int | None:  # noqa: ANN401 -- what stands in an answer
    """A count, which may be a text (B1) or missing; ValueError or TypeError for anything else."""
    return None if number is None else int(number)


def text_or_none(value: object) -> str | None:
    """A value that is a text or missing; TypeError for anything else."""
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{type(value).__name__} where a text belongs")


def text_of(value: object) -> str:
    """A value that is a text; TypeError for anything else."""
    if isinstance(value, str):
        return value
    raise TypeError(f"{type(value).__name__} where a text belongs")


def joined(text: str | None) -> str:
    """A whole text free of lone surrogates."""
    joiner = SurrogateJoiner()
    return joiner.feed(text) + joiner.close() if text else ""


def misshapen(what: str, error: Exception, data: bytes) -> MalformedAnswer:
    """The error for an answer of another shape than documented."""
    return MalformedAnswer(
        f"{what} has another shape than documented ({type(error).__name__}): {beginning(data)}"
    )


def beginning(data: bytes) -> str:
    """The beginning of an answer, to be shown in an error."""
    text = data[:200].decode("utf-8", "replace")
    if len(data) <= 200:
        return repr(text)
    # The last word goes: half of a credential would not be recognised, and blotted out, as one.
    return f"{_LAST_WORD.sub('', text)!r}…"
