"""The body of a native request (WIRE B1-B3, B9)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from yandex_compat.catalogue import ModelProfile, bare_name
from yandex_compat.completion import CompletionRequest
from yandex_compat.errors import UnsupportedError
from yandex_compat.jsontext import decode
from yandex_compat.messages import ImagePart, Message, ToolCall
from yandex_compat.parameters import asks_for_nothing
from yandex_compat.request_checks import check_request
from yandex_compat.tool_calls import for_server
from yandex_compat.tool_names import ToolNames
from yandex_compat.tools import CustomTool, Tool, ToolChoice

_RANGES: Mapping[str, tuple[float, float]] = {"temperature": (0, 1)}
_LACKING = (
    "top_p", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs", "n",
    "verbosity", "modalities", "prediction", "user", "store",
)  # fmt: skip


def encode(
    request: CompletionRequest, uri: str, profile: ModelProfile, *, stream: bool
) -> dict[str, Any]:
    """The body of a request; what the request leaves None or empty is left out.

    `extra_body` is laid over it, also inside `completionOptions`. Raises ConfigurationError for a
    value outside its documented range, UnsupportedError for what this API or the model lacks.
    """
    if not profile.native:
        raise UnsupportedError(
            f"The model {bare_name(uri)!r} is on the chat API only: leave api out, or "
            f"take a model that is on both, such as yandexgpt."
        )
    _refuse_what_it_lacks(request)
    check_request(request, _RANGES, stream=stream)
    request = ToolNames(request).outgoing(request)
    body: dict[str, Any] = {
        "modelUri": uri,
        "completionOptions": _options(request, stream=stream),
        "messages": list(_messages(for_server(request.messages, calls_by_name=True))),
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in _offered(request)]
        if request.tool_choice:
            body["toolChoice"] = _tool_choice(request.tool_choice)
        if request.parallel_tool_calls is not None:
            body["parallelToolCalls"] = request.parallel_tool_calls
    body |= _form(request)
    return _laid_over(body, request.extra_body)


def _refuse_what_it_lacks(request: CompletionRequest) -> None:
    for word in _LACKING:
        value = getattr(request, word)
        if not asks_for_nothing(word, value):
            raise UnsupportedError(
                f"{word}: the native API has no such word. Leave it out, or take the chat API "
                f'(api="chat").'
            )
    for tool in request.tools:
        if isinstance(tool, CustomTool):
            raise UnsupportedError(
                f"The custom tool {tool.name!r}: the native API calls functions only. Make it a "
                f'function of one text, or take the chat API (api="chat").'
            )


def _options(request: CompletionRequest, *, stream: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"stream": stream}
    if request.temperature is not None:
        options["temperature"] = request.temperature
    if request.max_tokens is not None:
        options["maxTokens"] = str(request.max_tokens)
    if request.reasoning_effort is not None:
        # The API knows no degrees of it.
        options["reasoningOptions"] = {"mode": "ENABLED_HIDDEN"}
    return options


def _messages(messages: Iterable[Message]) -> Iterator[dict[str, Any]]:
    """The messages in the three forms there are: a text, calls, and results (B2)."""
    results: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "tool":
            result = {"name": message.name, "content": _text(message)}
            results.append({"functionResult": result})
            continue
        if results:
            yield _results(results)
            results = []
        text = _text(message)
        if text or not message.tool_calls:
            yield {"role": message.role, "text": text}
        if message.tool_calls:
            calls = [_call(call) for call in message.tool_calls]
            yield {"role": "assistant", "toolCallList": {"toolCalls": calls}}
    if results:
        yield _results(results)


def _results(results: list[dict[str, Any]]) -> dict[str, Any]:
    return {"role": "user", "toolResultList": {"toolResults": results}}


def _text(message: Message) -> str:
    if message.audio_id:
        raise UnsupportedError(
            f"An answer in sound ({message.audio_id}) can't be sent to the native API. Take the "
            f'chat API (api="chat").'
        )
    if not isinstance(message.content, str) and any(
        isinstance(part, ImagePart) for part in message.content
    ):
        raise UnsupportedError(
            f"An image stands in a {message.role} message; the native API takes none. Take the "
            f'chat API (api="chat") and a model that sees, such as gemma-3-27b-it.'
        )
    return "\n".join(filter(None, (message.text, message.refusal)))


def _call(call: ToolCall) -> dict[str, Any]:
    if call.custom:
        raise UnsupportedError(
            f"The conversation holds a call of the custom tool {call.name!r}, which the native API "
            f'lacks. Take the chat API (api="chat").'
        )
    return {"functionCall": {"name": call.name, "arguments": decode(call.arguments)}}


def _offered(request: CompletionRequest) -> list[Tool]:
    """The tools that may be called; of those that are not allowed, nothing is said."""
    allowed = request.tool_choice.allowed if request.tool_choice else ()
    functions = [tool for tool in request.tools if isinstance(tool, Tool)]
    return [tool for tool in functions if tool.name in allowed or not allowed]


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"function": function}


def _tool_choice(choice: ToolChoice) -> dict[str, Any]:
    if choice.mode == "tool":
        return {"functionName": choice.name}
    return {"mode": choice.mode.upper()}


def _form(request: CompletionRequest) -> dict[str, Any]:
    """The form of the answer; the schema has room for what names and describes it."""
    form = request.response_format
    if form is None or form.type == "text":
        return {}
    if form.type == "json_object":
        return {"jsonObject": True}
    if form.strict is False:
        raise UnsupportedError(
            "strict=False of a JSON schema: the native API enforces each schema. Leave strict out, "
            'or take the chat API (api="chat").'
        )
    described = {"title": form.name, "description": form.description}
    named = {word: value for word, value in described.items() if value}
    return {"jsonSchema": {"schema": {**named, **(form.schema or {})}}}


def _laid_over(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """The body with more on top; inside the options, what is not named stays."""
    options = extra.get("completionOptions")
    if isinstance(options, Mapping):
        extra = {**extra, "completionOptions": {**body["completionOptions"], **options}}
    return body | dict(extra)
