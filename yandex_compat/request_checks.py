"""What a request must be before any wire encodes it: its types, its ranges, its tools."""

from collections.abc import Mapping

from yandex_compat.completion import CompletionRequest
from yandex_compat.errors import ConfigurationError, UnsupportedError
from yandex_compat.messages import ImagePart, Message, TextPart
from yandex_compat.tools import CustomTool, Tool

_ROLES = ("system", "user", "assistant", "tool")
_LEVELS = ("low", "medium", "high")
_MODALITIES = ("text", "audio")
_MODES = ("auto", "none", "required", "tool")
_FORMS = ("text", "json_object", "json_schema")


def check_request(
    request: CompletionRequest, ranges: Mapping[str, tuple[float, float]], *, stream: bool = False
) -> None:
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
    for word in ("max_tokens", "n"):
        if not _is_count_or_none(value := getattr(request, word)):
            raise ConfigurationError(f"{word}={value!r} must be a whole number above 0.")
    for word in ("reasoning_effort", "verbosity"):
        if (value := getattr(request, word)) is not None and value not in _LEVELS:
            raise ConfigurationError(f"{word}={value!r} must be one of {', '.join(_LEVELS)}.")
    stops = request.stop
    if not isinstance(stops, list | tuple) or not all(isinstance(stop, str) for stop in stops):
        raise ConfigurationError(f"stop={request.stop!r} must be a tuple of texts.")
    if not isinstance(request.extra_body, Mapping):
        raise ConfigurationError(
            f"extra_body must be a dict, not {type(request.extra_body).__name__}."
        )
    if stream and (request.n or 1) > 1:
        raise UnsupportedError(
            f"n={request.n}: a stream gives one answer. Ask without streaming, or several times."
        )
    _check_store(request)
    _check_tokens(request)
    _check_form(request)
    _check_tools(request)


def _check_store(request: CompletionRequest) -> None:
    if request.store is not None and not isinstance(request.store, bool):
        raise ConfigurationError(f"store={request.store!r} must be True or False.")
    labels: object = request.store_metadata
    if not isinstance(labels, Mapping) or not all(
        isinstance(part, str) for pair in labels.items() for part in pair
    ):
        raise ConfigurationError("store_metadata must be a dict of texts.")
    if labels and not request.store:
        raise ConfigurationError("store_metadata needs store=True beside it.")


def _check_tokens(request: CompletionRequest) -> None:
    """What is asked of single tokens, and of what the answer is made of."""
    if request.logprobs is not None and not isinstance(request.logprobs, bool):
        raise ConfigurationError(f"logprobs={request.logprobs!r} must be True or False.")
    if request.top_logprobs is not None and not isinstance(request.top_logprobs, int):
        raise ConfigurationError(f"top_logprobs={request.top_logprobs!r} must be a whole number.")
    if request.top_logprobs is not None and not request.logprobs:
        raise ConfigurationError("top_logprobs needs logprobs=True beside it.")
    bias: object = request.logit_bias
    if bias is not None and not (
        isinstance(bias, Mapping)
        and all(isinstance(value, int) and not isinstance(value, bool) for value in bias.values())
    ):
        raise ConfigurationError("logit_bias must be a dict of whole numbers, by token.")
    if request.user is not None and not isinstance(request.user, str):
        raise ConfigurationError(f"user must be a text, not {type(request.user).__name__}.")
    predicted: object = request.prediction
    if not (predicted is None or isinstance(predicted, str) or _are_texts(predicted)):
        raise ConfigurationError("prediction must be a text or a tuple of TextParts.")
    modalities: object = request.modalities
    if not isinstance(modalities, tuple | list) or any(m not in _MODALITIES for m in modalities):
        raise ConfigurationError(
            f"modalities={modalities!r} must be a list of {' and '.join(_MODALITIES)}."
        )


def _are_texts(parts: object) -> bool:
    return isinstance(parts, tuple | list) and all(isinstance(part, TextPart) for part in parts)


def _check_form(request: CompletionRequest) -> None:
    form = request.response_format
    if form and form.type not in _FORMS:
        raise ConfigurationError(
            f"response_format is of type {form.type!r}, which must be one of {', '.join(_FORMS)}."
        )
    if form and form.type == "json_schema" and form.schema is None:
        raise ConfigurationError("response_format of type json_schema needs a schema.")


def _is_count_or_none(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0)


def _is_number_within(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _check_tools(request: CompletionRequest) -> None:
    for tool in request.tools:
        if not isinstance(tool, Tool | CustomTool):
            raise ConfigurationError(
                f"A tool must be a Tool or a CustomTool, not {type(tool).__name__}."
            )
    names = [tool.name for tool in request.tools]
    for name in names:
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"A tool is named {name!r}: give it a name that is a text.")
        if names.count(name) > 1:
            raise ConfigurationError(f"Two tools are named {name!r}: rename one of them.")
    choice = request.tool_choice
    if choice is None:
        return
    if choice.mode not in _MODES:
        raise ConfigurationError(f"tool_choice has the unknown mode {choice.mode!r}.")
    if choice.allowed and choice.mode not in {"auto", "required"}:
        raise ConfigurationError(
            f"tool_choice allows some tools in the mode {choice.mode!r}: take auto or required."
        )
    chosen = (choice.name,) if choice.mode == "tool" else choice.allowed
    if not names and (chosen or choice.mode == "required"):
        raise ConfigurationError(
            "tool_choice asks for a call, but there are no tools: pass tools=…."
        )
    for wanted in chosen:
        if wanted not in names:
            raise ConfigurationError(
                f"tool_choice names {wanted!r}, which is none of the tools: {', '.join(names)}."
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
