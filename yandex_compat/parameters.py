"""The words a generation is asked with: which there are, and why others are refused."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from yandex_compat.completion import CompletionRequest
from yandex_compat.errors import ConfigurationError, UnsupportedError
from yandex_compat.messages import Message, TextPart
from yandex_compat.tools import ResponseFormat, Tool, ToolChoice

_WORDS = {field.name for field in fields(CompletionRequest)} - {"model", "messages"}
_SERVICE_LACKS = {
    "seed", "audio", "web_search_options", "service_tier", "stream_options",
}  # fmt: skip
_NAMED_OTHERWISE = {"metadata"}
_OF_THE_CONSTRUCTOR = {
    "mode", "deferred_timeout", "exact_token_counts", "supports_store", "api", "timeout",
    "max_retries",
}  # fmt: skip
_OF_FUNCTIONS = ("functions", "function_call", "tools", "tool_choice")
_HAPPENS_ANYWAY: Mapping[str, object] = {"n": 1, "store": False, "logprobs": False}


def request_from_words(
    model: str, messages: tuple[Message, ...], words: Mapping[str, Any]
) -> CompletionRequest:
    """A request from the words a framework or a user gave, those that ask for nothing left out.

    Raises UnsupportedError for a word that the service lacks (WIRE A9), ConfigurationError for one
    nobody knows; both name `extra_body`, which forwards anything untouched.
    """
    known: dict[str, Any] = {}
    for word, value in _tools_of_functions(named_once(words)).items():
        if asks_for_nothing(word, value):
            continue
        if word in _WORDS:
            known[word] = value
        else:
            raise _refusal(word)
    if "stop" in known:
        known["stop"] = stop_sequences(known["stop"])
    if "response_format" in known:
        known["response_format"] = response_format(known["response_format"])
    if "prediction" in known:
        known["prediction"] = prediction(known["prediction"])
    if isinstance(known.get("modalities"), list):
        known["modalities"] = tuple(known["modalities"])
    return CompletionRequest(model=model, messages=messages, **known)


def named_once(words: Mapping[str, Any]) -> dict[str, Any]:
    """The words that are not None, each under one name: max_completion_tokens as max_tokens (A9).

    Raises ConfigurationError where both names are given.
    """
    given = {word: value for word, value in words.items() if value is not None}
    if "max_completion_tokens" not in given:
        return given
    if "max_tokens" in given:
        raise ConfigurationError("max_tokens and max_completion_tokens are one word: pass one.")
    return given | {"max_tokens": given.pop("max_completion_tokens")}


def _tools_of_functions(words: dict[str, Any]) -> dict[str, Any]:
    """The words with the deprecated `functions` and `function_call` in their present form (A15).

    Sent as tools, they are answered by calls that every agent understands.
    """
    if not words.keys() & {"functions", "function_call"}:
        return words
    if words.get("tools") or words.get("tool_choice"):
        raise ConfigurationError("functions and tools are one word, old and new: pass tools.")
    rest = {word: value for word, value in words.items() if word not in _OF_FUNCTIONS}
    rest["tools"] = tuple(map(_tool_of_function, words.get("functions") or ()))
    match words.get("function_call"):
        case None:
            pass
        case "auto" | "none" as mode:
            rest["tool_choice"] = ToolChoice(mode)
        case {"name": str(name)}:
            rest["tool_choice"] = ToolChoice("tool", name)
        case other:
            raise ConfigurationError(
                f'function_call={other!r} must be "auto", "none" or {{"name": …}}.'
            )
    return rest


def _tool_of_function(function: Any) -> Tool:  # noqa: ANN401 -- what a user wrote
    known = {"name", "description", "parameters", "strict"}
    if isinstance(function, dict) and "name" in function and function.keys() <= known:
        return Tool(**{word: value for word, value in function.items() if value is not None})
    raise ConfigurationError('A function must be {"name": …, "description": …, "parameters": …}.')


def tool_choice(choice: object) -> ToolChoice:
    """A tool choice from the OpenAI words and dicts that both frameworks write it as (A10)."""
    match choice:
        case ToolChoice():
            return choice
        case "auto" | "none" | "required":
            return ToolChoice(choice)
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [*named]}}:
            names = [_named(tool) for tool in named]
            if mode in {"auto", "required"} and names and all(names):
                return ToolChoice(mode, allowed=tuple(name for name in names if name))
    if name := _named(choice):
        return ToolChoice("tool", name)
    raise UnsupportedError(
        f"tool_choice={choice!r} has no form that can be sent: it must be a word, a tool's name, "
        f'{{"type": "function", "function": {{"name": …}}}}, the same with "custom", or '
        f'{{"type": "allowed_tools", "allowed_tools": {{"mode": "auto", "tools": […]}}}}.'
    )


def _named(choice: object) -> str | None:
    """The tool that a dict names, nested as in the chat API or flat as elsewhere."""
    match choice:
        case {"type": "function", "function": {"name": str(name)}}:
            return name
        case {"type": "custom", "custom": {"name": str(name)}}:
            return name
        case {"type": "function" | "custom" | "tool", "name": str(name)}:
            return name
    return None


def prediction(value: object) -> str | tuple[TextPart, ...]:
    """Predicted text from a text or the OpenAI dict (A15)."""
    match value:
        case str():
            return value
        case {"type": "content", "content": str(text), **rest} if not rest:
            return text
        case {"type": "content", "content": [*parts], **rest} if not rest:
            texts = [part["text"] for part in parts if _is_text_part(part)]
            if len(texts) == len(parts):
                return tuple(map(TextPart, texts))
    raise ConfigurationError(
        'prediction must be a text or {"type": "content", "content": …}, whose content is a text '
        'or a list of {"type": "text", "text": …}.'
    )


def _is_text_part(part: object) -> bool:
    match part:
        case {"type": "text", "text": str()}:
            return True
    return False


def asks_for_nothing(word: str, value: object) -> bool:
    """Whether a word asks for what happens anyway: None, [], n=1, store=False."""
    if value is None or (isinstance(value, list | tuple | dict) and not value):
        return True
    return word in _HAPPENS_ANYWAY and value == _HAPPENS_ANYWAY[word]


def stop_sequences(value: object) -> tuple[str, ...]:
    """Stop sequences from a text or a list of texts, empty ones left out."""
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ConfigurationError(
            f"stop must be a text or a list of texts, not {type(value).__name__}."
        )
    return tuple(text for text in texts if text)


def response_format(form: object) -> ResponseFormat:
    """The form of an answer from the OpenAI dict that both frameworks write it as."""
    match form:
        case ResponseFormat():
            return form
        case {"type": "text" | "json_object" as kind, **rest} if not rest:
            return ResponseFormat(kind)
        case {
            "type": "json_schema",
            "json_schema": {"schema": dict(), **more} as described,
            **rest,
        } if not rest and more.keys() <= {"name", "strict", "description"}:
            return ResponseFormat("json_schema", **described)
    raise ConfigurationError(
        'response_format must be {"type": "text"}, {"type": "json_object"} or '
        '{"type": "json_schema", "json_schema": {"name": …, "schema": {…}}}, to which "strict" '
        'and "description" may be added.'
    )


def hint_for(word: str) -> str | None:
    """What to do with a word that the constructor of a chat model does not know, if it is clear."""
    if word in _SERVICE_LACKS:
        return f"The service documents it as not supported. {_forwarded(word)}"
    if word in _WORDS:
        return "It is a word of a call: give it there, or bind it."
    return "Its words go into extra_body={…}." if word == "model_kwargs" else None


def _forwarded(word: str) -> str:
    return f'To send it all the same, pass extra_body={{"{word}": …}}.'


def _refusal(word: str) -> ConfigurationError | UnsupportedError:
    way = _forwarded(word)
    if word in _SERVICE_LACKS:
        return UnsupportedError(f"{word}: the service documents it as not supported. {way}")
    if word in _NAMED_OTHERWISE:
        return UnsupportedError(
            f"{word}: a server that keeps completions takes it as store_metadata, with store=True. "
            f"{way}"
        )
    if word in _OF_THE_CONSTRUCTOR:
        return ConfigurationError(
            f"{word!r} is a word of the constructor: give it there, and make a model for each."
        )
    return ConfigurationError(
        f"{word!r} is no parameter of a generation; there are: {', '.join(sorted(_WORDS))}. {way}"
    )
