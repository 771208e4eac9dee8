"""What a request must be before any wire encodes it: its types, its ranges, its tools."""

import re
from collections.abc import Mapping

from yandex_compat.completion import CompletionRequest
from yandex_compat.errors import ConfigurationError, UnsupportedError
from yandex_compat.messages import ImagePart, Message, TextPart
from yandex_compat.tools import Tool

_FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ROLES = ("system", "user", "assistant", "tool")
_EFFORTS = ("low", "medium", "high")
_FORMS = ("text", "json_object", "json_schema")


def check_request(request: CompletionRequest, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raise ConfigurationError or UnsupportedError for what no wire can send.

    `ranges` are the lowest and highest value of each word that is a number, as the wire documents
    them.
    """
    for message in request.messages:
        _check_message(message)
    for word, (low, high) in ranges.items():
        value = getattr(request, word)
        if value is not None and not _is_number_within(value, low, high):
            raise ConfigurationError(f"{word}={value!r} must be a number from {low} to {high}.")
    tokens = request.max_tokens
    if tokens is not None and (
        isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1
    ):
        raise ConfigurationError(f"max_tokens={tokens!r} must be a whole number above 0.")
    if request.reasoning_effort not in (None, *_EFFORTS):
        raise ConfigurationError(
            f"reasoning_effort={request.reasoning_effort!r} must be one of {', '.join(_EFFORTS)}."
        )
    stops = request.stop
    if not isinstance(stops, list | tuple) or not all(isinstance(stop, str) for stop in stops):
        raise ConfigurationError(f"stop={request.stop!r} must be a tuple of texts.")
    if not isinstance(request.extra_body, Mapping):
        raise ConfigurationError(
            f"extra_body must be a dict, not {type(request.extra_body).__name__}."
        )
    form = request.response_format
    if form and form.type not in _FORMS:
        raise ConfigurationError(
            f"response_format is of type {form.type!r}, which must be one of {', '.join(_FORMS)}."
        )
    if form and form.type == "json_schema" and form.schema is None:
        raise ConfigurationError("response_format of type json_schema needs a schema.")
    _check_tools(request)


def _is_number_within(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _check_tools(request: CompletionRequest) -> None:
    for tool in request.tools:
        if not isinstance(tool, Tool):
            raise ConfigurationError(f"A tool must be a Tool, not {type(tool).__name__}.")
    names = [tool.name for tool in request.tools]
    for name in names:
        if not _FUNCTION_NAME.fullmatch(name):
            raise ConfigurationError(
                f"A tool is named {name!r}: rename it to 1 to 64 of A-Z, a-z, 0-9, _ and -."
            )
        if names.count(name) > 1:
            raise ConfigurationError(f"Two tools are named {name!r}: rename one of them.")
    choice = request.tool_choice
    if choice is None or choice.mode in {"auto", "none"}:
        return
    if choice.mode not in {"required", "function"}:
        raise ConfigurationError(f"tool_choice has the unknown mode {choice.mode!r}.")
    if not names:
        raise ConfigurationError(
            "tool_choice asks for a call, but there are no tools: pass tools=…."
        )
    if choice.mode == "function" and choice.name not in names:
        raise ConfigurationError(
            f"tool_choice names {choice.name!r}, which is none of the tools: {', '.join(names)}."
        )


def _check_message(message: object) -> None:
    if not isinstance(message, Message):
        raise ConfigurationError(f"A message must be a Message, not {type(message).__name__}.")
    if message.role not in _ROLES:
        raise UnsupportedError(f"role={message.role!r} must be one of {', '.join(_ROLES)}.")
    parts: object = message.content
    if isinstance(parts, str):
        return
    if not isinstance(parts, tuple | list):
        raise UnsupportedError(
            f"The content of a {message.role} message is a {type(parts).__name__}; it must be a "
            f"text or a tuple of parts."
        )
    for part in parts:
        if not isinstance(part, TextPart | ImagePart):
            raise UnsupportedError(
                f"A part of a {message.role} message is a {type(part).__name__}; it must be a "
                f"TextPart or an ImagePart."
            )
