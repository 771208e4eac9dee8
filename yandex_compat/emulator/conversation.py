"""Checks of a chat request beyond its shape: calls and their results, tools and their choice."""

from collections.abc import Sequence

from . import tokens
from .chat_requests import (
    AllowedToolsChoice,
    ChatRequest,
    CustomChoice,
    CustomTool,
    FunctionChoice,
    Tool,
    ToolName,
)
from .families import Family
from .messages import AssistantMessage, Message, ToolCall, ToolMessage, images_of, text_of
from .refusals import Refused, invalid, refused


def check_conversation(request: ChatRequest, family: Family) -> None:
    """Refuse with 400 what the service refuses although every field is well formed."""
    _check_images(request.messages, family)
    _check_choice(request)
    _check_results(request.messages, family)
    _check_length(request.messages, family)


def tool_name(tool: Tool) -> str:
    """Return a tool's name, whichever kind it is."""
    return tool.custom.name if isinstance(tool, CustomTool) else tool.function.name


def chosen_names(choice: FunctionChoice | CustomChoice | AllowedToolsChoice) -> list[str]:
    """Return the names of the tools that a tool_choice names."""
    match choice:
        case FunctionChoice():
            return [choice.function.name]
        case CustomChoice():
            return [choice.custom.name]
        case AllowedToolsChoice():
            return [name for one in choice.allowed_tools.tools for name in chosen_names(one)]


def _check_images(messages: Sequence[Message], family: Family) -> None:
    for position, message in enumerate(messages):
        if images_of(message) and not family.sees_images:
            raise invalid("This model does not accept images", f"messages.{position}.content")


def _check_choice(request: ChatRequest) -> None:
    wanted = request.function_call
    if isinstance(wanted, ToolName) and wanted.name not in _functions(request):
        raise invalid(
            f"function_call names '{wanted.name}', which is not in functions", "function_call"
        )
    choice, tools = request.tool_choice, request.tools or []
    if choice in (None, "none", "auto"):
        return
    if not tools:
        raise invalid("tool_choice is only allowed when tools are given", "tool_choice")
    known = {tool_name(tool) for tool in tools}
    for name in () if isinstance(choice, str) or choice is None else chosen_names(choice):
        if name not in known:
            raise invalid(f"tool_choice names '{name}', which is not in tools", "tool_choice")


def _functions(request: ChatRequest) -> set[str]:
    return {function.name for function in request.functions or []}


def _check_results(messages: Sequence[Message], family: Family) -> None:
    answered_until = 0
    for position, message in enumerate(messages):
        if isinstance(message, AssistantMessage):
            calls = message.tool_calls or []
            answered_until = position + 1 + len(calls)
            _check_calls(calls, position, family)
            _check_answers(calls, messages[position + 1 : answered_until], position, family)
            _check_content(message, position)
        elif isinstance(message, ToolMessage) and position >= answered_until:
            raise _wrong(position, "a tool message must follow the tool_calls that it answers")


def _check_content(message: AssistantMessage, position: int) -> None:
    if message.content is None and not (
        message.tool_calls or message.function_call or message.refusal
    ):
        raise _wrong(position, "an assistant message needs content or tool_calls")


def _check_calls(calls: Sequence[ToolCall], position: int, family: Family) -> None:
    if repeated := _repeated([call.id for call in calls]):
        raise _wrong(position, f"tool_calls hold the id '{repeated}' twice")
    if family.matches_by_name and (repeated := _repeated([call.name for call in calls])):
        raise _wrong(position, f"should have one function call with name '{repeated}'")


def _check_answers(
    calls: Sequence[ToolCall], following: Sequence[Message], position: int, family: Family
) -> None:
    expected = [call.id for call in calls]
    given = [message.tool_call_id for message in following if isinstance(message, ToolMessage)]
    if stray := [id_ for id_ in given if id_ not in expected]:
        raise _wrong(position, f"a tool message answers '{stray[0]}', which was not called")
    if missing := [id_ for id_ in expected if id_ not in given]:
        raise _wrong(position, f"tool_calls without a result right after them: {missing}")
    if family.ordered_results and given != expected:
        raise _wrong(position, "tool results must be in the order of the calls")


def _check_length(messages: Sequence[Message], family: Family) -> None:
    given = tokens.count(*map(text_of, messages))
    if given > family.context:
        raise refused(
            3, f"number of input tokens must be no more than {family.context}, got {given}"
        )


def _repeated(names: list[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _wrong(position: int, what: str) -> Refused:
    return invalid(f"messages.{position}: {what}", f"messages.{position}")
