"""From a native request to what the responder is asked."""

from typing import Literal

from .native_requests import Message, NativeRequest
from .prompts import Prompt, ToolSpec, Turn


def native_prompt(request: NativeRequest) -> Prompt:
    """Put a checked request into neutral words."""
    offered, choice = _offer(request)
    return Prompt(
        turns=tuple(turn for message in request.messages for turn in _turns(message)),
        tools=offered,
        choice=choice,
        parallel=request.parallelToolCalls is not False,
        schema=request.jsonSchema.schema_ if request.jsonSchema else None,
        json_object=bool(request.jsonObject),
    )


def _turns(message: Message) -> list[Turn]:
    if message.results:
        return [Turn("tool", result.content) for result in message.results]
    return [Turn(message.role, message.text or "", tuple(call.name for call in message.calls))]


def _offer(
    request: NativeRequest,
) -> tuple[tuple[ToolSpec, ...], Literal["none", "auto", "required", "named"]]:
    functions = [tool.function for tool in request.tools]
    wanted = request.toolChoice
    if wanted is not None and wanted.functionName is not None:
        functions = [function for function in functions if function.name == wanted.functionName]
    specs = tuple(
        ToolSpec(function.name, function.description or "", function.parameters or {})
        for function in functions
    )
    match wanted.mode if wanted else "AUTO":
        case None:
            return specs, "named"
        case "NONE":
            return specs, "none"
        case "REQUIRED":
            return specs, "required"
        case _:
            return specs, "auto"
