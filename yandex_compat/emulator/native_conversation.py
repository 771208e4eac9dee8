"""Checks of a native request beyond its shape: calls and their results, tools and their choice."""

from collections.abc import Sequence

from . import tokens
from .answers import as_json
from .families import Family
from .native_requests import Message, NativeRequest
from .refusals import Refused, refused


def check_native_conversation(request: NativeRequest, family: Family) -> None:
    """Refuse with 400 what the service refuses although every field is well formed (B3)."""
    _check_tools(request)
    _check_calls(request.messages)
    if (given := prompt_tokens(request)) > family.context:
        raise refused(
            3, f"number of input tokens must be no more than {family.context}, got {given}"
        )


def prompt_tokens(request: NativeRequest) -> int:
    """Count what the model has to read."""
    return tokens.count(*texts_of(request))


def texts_of(request: NativeRequest) -> list[str]:
    """Return what the model has to read: messages, calls and tools."""
    said = [
        as_json(message.model_dump(exclude={"role"}, exclude_none=True))
        if message.text is None
        else message.text
        for message in request.messages
    ]
    return [*said, *(as_json(tool.model_dump(exclude_none=True)) for tool in request.tools)]


def _check_tools(request: NativeRequest) -> None:
    names = [tool.function.name for tool in request.tools]
    if (repeated := _repeated(names)) is not None:
        raise refused(3, f"tools hold the function '{repeated}' twice")
    choice = request.toolChoice
    if choice is None:
        return
    if choice.functionName is not None and choice.functionName not in names:
        raise refused(3, f"toolChoice names '{choice.functionName}', which is not in tools")
    if choice.mode == "REQUIRED" and not names:
        raise refused(3, "toolChoice is REQUIRED, but there are no tools")


def _check_calls(messages: Sequence[Message]) -> None:
    waiting: list[str] = []
    for position, message in enumerate(messages):
        given = [result.name for result in message.results]
        if waiting and sorted(given) != sorted(waiting):
            raise _wrong(position, f"must hold the results of {', '.join(waiting)}, and no others")
        if given and not waiting:
            raise _wrong(position, "toolResultList must follow the toolCallList that it answers")
        waiting = [call.name for call in message.calls]
        if (repeated := _repeated(waiting)) is not None:
            raise _wrong(position, f"should have one function call with name '{repeated}'")
    if waiting:
        raise _wrong(len(messages) - 1, f"the calls of {', '.join(waiting)} have no results")


def _repeated(names: list[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _wrong(position: int, what: str) -> Refused:
    return refused(3, f"messages.{position}: {what}")
