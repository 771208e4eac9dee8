"""From a chat request to what the responder is asked."""

from typing import Any, Literal

from . import tokens
from .answers import as_json
from .chat_requests import (
    AllowedToolsChoice,
    ChatRequest,
    CustomTool,
    FunctionTool,
    ObjectFormat,
    SchemaFormat,
    Tool,
    ToolFunction,
)
from .conversation import chosen_names, tool_name
from .families import Family
from .messages import (
    AssistantMessage,
    FunctionMessage,
    InstructionMessage,
    Message,
    ToolMessage,
    text_of,
)
from .prompts import Prompt, ToolSpec, Turn


def prompt_of(request: ChatRequest, family: Family) -> Prompt:
    """Put a checked request into neutral words, minus what the family ignores."""
    tools, choice = _offer(request)
    return Prompt(
        turns=tuple(map(_turn, request.messages)),
        tools=tuple(map(_spec, tools)),
        choice=choice,
        parallel=_may_call_several(request, family),
        schema=_schema(request),
        json_object=isinstance(request.response_format, ObjectFormat),
        reasons=family.reasons,
    )


def prompt_tokens(request: ChatRequest) -> int:
    """Count what the model has to read: messages, calls and tools."""
    calls = [
        as_json(call.model_dump())
        for message in request.messages
        if isinstance(message, AssistantMessage)
        for call in message.tool_calls or []
    ]
    tools = [as_json(tool.model_dump(exclude_none=True)) for tool in request.tools or []]
    return tokens.count(*map(text_of, request.messages), *calls, *tools)


def _offer(
    request: ChatRequest,
) -> tuple[list[Tool], Literal["none", "auto", "required", "named"]]:
    if request.functions:
        return _offered_functions(request)
    tools, choice = request.tools or [], request.tool_choice or "auto"
    if isinstance(choice, str):
        return tools, choice
    names = chosen_names(choice)
    offered = [tool for tool in tools if tool_name(tool) in names]
    if isinstance(choice, AllowedToolsChoice):
        return offered, choice.allowed_tools.mode
    return offered, "named"


def _offered_functions(
    request: ChatRequest,
) -> tuple[list[Tool], Literal["none", "auto", "named"]]:
    """Return the deprecated functions as the tools they became (A15)."""
    choice, functions = request.function_call or "auto", request.functions or []
    tools = [
        FunctionTool(type="function", function=ToolFunction(**function.model_dump()))
        for function in functions
    ]
    if isinstance(choice, str):
        return list(tools), choice
    return [tool for tool in tools if tool.function.name == choice.name], "named"


def _may_call_several(request: ChatRequest, family: Family) -> bool:
    if request.functions:
        return False  # a message has a place for one function_call
    return request.parallel_tool_calls is not False or not family.honours_parallel


def _turn(message: Message) -> Turn:
    text = text_of(message)
    match message:
        case InstructionMessage():
            return Turn("system", text)
        case AssistantMessage():
            calls = [call.name for call in message.tool_calls or []]
            if message.function_call:
                calls.append(message.function_call.name)
            return Turn("assistant", text, tuple(calls))
        case ToolMessage() | FunctionMessage():
            return Turn("tool", text)
        case _:
            return Turn("user", text)


def _spec(tool: Tool) -> ToolSpec:
    if isinstance(tool, CustomTool):
        return ToolSpec(tool.custom.name, tool.custom.description or "", None)
    function = tool.function
    return ToolSpec(function.name, function.description or "", function.parameters or {})


def _schema(request: ChatRequest) -> dict[str, Any] | None:
    if isinstance(request.response_format, SchemaFormat):
        return request.response_format.json_schema.schema_ or {}
    return None
