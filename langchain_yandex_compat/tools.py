"""Every mapping between LangChain's tools and tool choices and the core's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.utils.function_calling import convert_to_openai_tool

from yandex_compat import ConfigurationError, Tool, ToolChoice, UnsupportedError


def openai_tool(tool: Any, *, strict: bool | None = None) -> dict[str, Any]:  # noqa: ANN401
    """The OpenAI dict of anything LangChain accepts as a tool."""
    if isinstance(tool, dict) and tool.get("type") == "custom" and "input_schema" not in tool:
        # LangChain would make a function of it; with an input_schema it is Anthropic's, and is one.
        raise _no_function("custom")
    if isinstance(tool, dict) and strict is not None:
        # LangChain leaves a whole OpenAI tool as it is, without strict, and needs its arguments.
        function = tool.get("function")
        tool = function if isinstance(function, dict) else tool
        if tool.keys() <= {"name", "description", "strict"}:
            tool = {**tool, "parameters": {"type": "object", "properties": {}}}
    try:
        formatted = convert_to_openai_tool(tool, strict=strict)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"A {type(tool).__name__} can't be made a tool of ({type(error).__name__}: {error})."
        ) from None
    if formatted.get("type") != "function" or not isinstance(formatted.get("function"), dict):
        raise _no_function(formatted.get("type"))
    if not isinstance(formatted["function"].get("name"), str):
        raise ConfigurationError("A tool has no name: give its function one.")
    return formatted


def _no_function(kind: object) -> UnsupportedError:
    return UnsupportedError(
        f"A tool of type {kind!r} can't be sent: this version sends functions only."
    )


def to_tools(tools: Iterable[Any]) -> tuple[Tool, ...]:
    """Tools from anything LangChain accepts as one."""
    if not isinstance(tools, list | tuple):
        raise ConfigurationError(f"tools must be a list, not {type(tools).__name__}.")
    return tuple(_tool(openai_tool(tool)["function"]) for tool in tools)


def _tool(function: Mapping[str, Any]) -> Tool:
    return Tool(
        function["name"],
        function.get("description") or "",
        function.get("parameters") or {"type": "object", "properties": {}},
        function.get("strict"),
    )


def tool_choice_word(choice: Any, names: Sequence[str]) -> Any:  # noqa: ANN401 -- LangChain's word
    """LangChain's tool_choice in the OpenAI form; None where it asks for nothing.

    A tool that is itself named "any" or "auto" wins over the word.
    """
    if choice is None or choice is False:
        return None
    if isinstance(choice, str) and choice in names:
        return {"type": "function", "function": {"name": choice}}
    if choice is True or choice in ("any", "required"):
        return "required"
    if choice in ("auto", "none") or isinstance(choice, dict):
        return choice
    raise ConfigurationError(
        f"tool_choice={choice!r} is neither auto, none, any, required nor one of the tools: "
        f"{', '.join(names)}."
    )


def to_tool_choice(choice: Any, tools: Sequence[Tool]) -> ToolChoice | None:  # noqa: ANN401
    """The core's tool choice from any of LangChain's forms."""
    match tool_choice_word(choice, [tool.name for tool in tools]):
        case None:
            return None
        case "auto" | "none" | "required" as mode:
            return ToolChoice(mode)
        case {"type": "function", "function": {"name": str(name)}}:
            return ToolChoice("tool", name)
        case {"type": "tool", "name": str(name)}:
            return ToolChoice("tool", name)
    raise UnsupportedError(
        f"tool_choice={choice!r} has no form that this version sends; name a tool, or pass "
        f'extra_body={{"tool_choice": …}}.'
    )
