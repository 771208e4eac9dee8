"""The body of a chat request (WIRE A8-A12, A15)."""

from collections.abc import Mapping
from typing import Any

from yandex_compat.catalogue import ModelProfile, bare_name
from yandex_compat.completion import CompletionRequest
from yandex_compat.errors import UnsupportedError
from yandex_compat.messages import ImagePart, Message, Part, TextPart, ToolCall
from yandex_compat.request_checks import check_request
from yandex_compat.tool_calls import for_server
from yandex_compat.tool_names import ToolNames, sendable_name
from yandex_compat.tools import AnyTool, CustomTool, ResponseFormat, ToolChoice

_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "top_logprobs": (0, 20),
}
LARGEST_IMAGE = 20_000_000
"""The most characters of an image's data URL. The service documents no limit; other services refuse
more, and a request that holds it is in memory several times."""
_SENT_AS_THEY_ARE = (
    *_RANGES, "logprobs", "logit_bias", "n", "reasoning_effort", "user", "verbosity",
)  # fmt: skip


def encode(
    request: CompletionRequest, uri: str, profile: ModelProfile, *, stream: bool
) -> dict[str, Any]:
    """The body of a request; what the request leaves None or empty is left out.

    Raises ConfigurationError for a value outside its documented range, UnsupportedError for
    content the model can't take.
    """
    check_request(request, _RANGES, stream=stream)
    request = ToolNames(request).outgoing(request)
    messages = for_server(request.messages, calls_by_name=profile.calls_by_name)
    body: dict[str, Any] = {
        "model": uri,
        "messages": [_message(message, profile, bare_name(uri)) for message in messages],
    }
    for word in _SENT_AS_THEY_ARE:
        if (value := getattr(request, word)) is not None:
            body[word] = value
    if request.max_tokens is not None:
        body["max_completion_tokens"] = request.max_tokens
    if request.modalities:
        body["modalities"] = list(request.modalities)
    if request.prediction is not None:
        body["prediction"] = {"type": "content", "content": _prediction(request.prediction)}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice:
            body["tool_choice"] = _tool_choice(request.tool_choice, request.tools)
        if request.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = request.parallel_tool_calls
    if request.response_format:
        body["response_format"] = _response_format(request.response_format)
    body |= _storing(request)
    if stream:
        body["stream"] = True
    return body | dict(request.extra_body)


def _storing(request: CompletionRequest) -> dict[str, Any]:
    if not request.store:
        return {}
    labels = {"metadata": dict(request.store_metadata)} if request.store_metadata else {}
    return {"store": True, **labels}


def _message(message: Message, profile: ModelProfile, model: str) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": _content(message, profile, model)}
    # Frameworks stamp an agent's name on its answers, a word of theirs that need not be one of the
    # service's (A15); a tool's result goes by its call.
    if message.name and message.role in {"system", "user"}:
        body["name"] = message.name
    if message.refusal:
        body["refusal"] = message.refusal
    if message.audio_id:
        body["audio"] = {"id": message.audio_id}
    if message.tool_calls:
        body["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if message.role == "tool":
        body["tool_call_id"] = message.tool_call_id
    return body


def _content(message: Message, profile: ModelProfile, model: str) -> str | list[dict[str, Any]]:
    if isinstance(message.content, str):
        return message.content
    if any(isinstance(part, ImagePart) for part in message.content):
        if message.role != "user":
            raise UnsupportedError(
                f"An image stands in a {message.role} message; the service takes images in user "
                f"messages only. Move it there."
            )
        if not all(
            part.url.startswith("data:") for part in message.content if isinstance(part, ImagePart)
        ):
            raise UnsupportedError(
                "An image is given by its address; the service takes images as base64 data URLs "
                "only. Download it, and pass it as data:image/…;base64,…."
            )
        _refuse_large_images(message)
        if not profile.images:
            raise UnsupportedError(
                f"The model {model!r} takes no images. Use one that does, such as gemma-3-27b-it."
            )
    elif message.role != "user" or len(message.content) < 2:
        return message.text
    return [_part(part) for part in message.content]


def _refuse_large_images(message: Message) -> None:
    for part in message.content:
        if isinstance(part, ImagePart) and len(part.url) > LARGEST_IMAGE:
            raise UnsupportedError(
                f"An image's data URL has {len(part.url)} characters; {LARGEST_IMAGE} are sent at "
                f"most. Make the image smaller."
            )


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": part.url}}


def _prediction(prediction: str | tuple[TextPart, ...]) -> str | list[dict[str, Any]]:
    return prediction if isinstance(prediction, str) else [_part(part) for part in prediction]


def _tool_call(call: ToolCall) -> dict[str, Any]:
    if call.custom:
        custom = {"name": call.name, "input": call.arguments}
        return {"id": call.id, "type": "custom", "custom": custom}
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _tool(tool: AnyTool) -> dict[str, Any]:
    described: dict[str, Any] = {"name": tool.name}
    if tool.description:
        described["description"] = tool.description
    if isinstance(tool, CustomTool):
        if tool.format is not None:
            described["format"] = dict(tool.format)
        return {"type": "custom", "custom": described}
    described["parameters"] = tool.parameters
    if tool.strict is not None:
        described["strict"] = tool.strict
    return {"type": "function", "function": described}


def _tool_choice(choice: ToolChoice, tools: tuple[AnyTool, ...]) -> str | dict[str, Any]:
    if choice.mode == "tool":
        return _named(choice.name, tools)
    if choice.allowed:
        allowed = {"mode": choice.mode, "tools": [_named(name, tools) for name in choice.allowed]}
        return {"type": "allowed_tools", "allowed_tools": allowed}
    return choice.mode


def _named(name: str | None, tools: tuple[AnyTool, ...]) -> dict[str, Any]:
    custom = any(isinstance(tool, CustomTool) for tool in tools if tool.name == name)
    kind = "custom" if custom else "function"
    return {"type": kind, kind: {"name": name}}


def _response_format(form: ResponseFormat) -> dict[str, Any]:
    if form.type != "json_schema":
        return {"type": form.type}
    name = sendable_name(form.name or "answer")
    schema: dict[str, Any] = {"name": name, "schema": form.schema}
    if form.description:
        schema["description"] = form.description
    if form.strict is not None:
        schema["strict"] = form.strict
    return {"type": "json_schema", "json_schema": schema}
