"""From a checked request of either API to the body that an upstream is asked with."""

from typing import Any

from .answers import as_json
from .chat_requests import ChatRequest, CustomTool
from .families import Family
from .messages import AssistantMessage, FunctionMessage
from .native_requests import Message, NativeRequest
from .native_requests import ToolChoice as NativeChoice
from .refusals import Refused, invalid

JSONObject = dict[str, Any]
_PASSED_ON = {
    "messages",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "reasoning_effort",
    "response_format",
    "tools",
    "tool_choice",
    "stop",
    "seed",
    "user",
}


def body_of_chat(request: ChatRequest, family: Family) -> JSONObject:
    """Return a chat request's body, without its model and whether it is streamed."""
    _check(request)
    body = request.model_dump(by_alias=True, exclude_none=True, include=_PASSED_ON)
    for message in body["messages"]:
        if message["role"] == "developer":  # which few servers know
            message["role"] = "system"
    if request.limit is not None:
        body["max_tokens"] = request.limit
    if request.tools and request.parallel_tool_calls is False and family.honours_parallel:
        body["parallel_tool_calls"] = False
    return body


def body_of_native(request: NativeRequest) -> JSONObject:
    """Return a native request's body, in the words of the chat API."""
    options = request.completionOptions
    body: JSONObject = {"messages": [one for said in request.messages for one in _messages(said)]}
    if options.temperature is not None:
        body["temperature"] = options.temperature
    if request.limit is not None:
        body["max_tokens"] = request.limit
    if request.jsonObject:
        body["response_format"] = {"type": "json_object"}
    if request.jsonSchema is not None:
        schema = {"name": "answer", "schema": request.jsonSchema.schema_}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.tools:
        body["tools"] = [
            {"type": "function", "function": tool.function.model_dump(exclude_none=True)}
            for tool in request.tools
        ]
        body["tool_choice"] = _choice(request.toolChoice)
        if request.parallelToolCalls is False:
            body["parallel_tool_calls"] = False
    return body


def _check(request: ChatRequest) -> None:
    """Refuse what no answer of an upstream could be dressed as."""
    if (request.n or 1) > 1:
        raise _refused("n", "above 1")
    if request.logprobs:
        raise _refused("logprobs")
    said_by_functions = any(
        isinstance(message, FunctionMessage)
        or (isinstance(message, AssistantMessage) and message.function_call is not None)
        for message in request.messages
    )
    if request.functions or said_by_functions:
        raise _refused("functions", "and their calls, which tools have replaced,")
    if any(isinstance(tool, CustomTool) for tool in request.tools or ()):
        raise _refused("tools", "of the type custom")


def _refused(field: str, more: str = "") -> Refused:
    what = f"{field} {more}".strip()
    return invalid(f"{what} can't be passed on to the upstream: leave them out", field)


def _messages(message: Message) -> list[JSONObject]:
    """Return a message in the words of the chat API; the name is the id of a call (B3)."""
    if message.results:
        return [
            {"role": "tool", "tool_call_id": result.name, "content": result.content}
            for result in message.results
        ]
    if message.calls:
        calls = [
            {
                "id": call.name,
                "type": "function",
                "function": {"name": call.name, "arguments": as_json(call.arguments)},
            }
            for call in message.calls
        ]
        return [{"role": "assistant", "content": "", "tool_calls": calls}]
    return [{"role": message.role, "content": message.text}]


def _choice(choice: NativeChoice | None) -> str | JSONObject:
    if choice is None or choice.mode is not None:
        return (choice.mode if choice and choice.mode else "AUTO").lower()
    return {"type": "function", "function": {"name": choice.functionName}}
