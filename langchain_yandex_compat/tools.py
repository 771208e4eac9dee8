"""Every mapping between LangChain's tools and tool choices and the core's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.utils.function_calling import convert_to_openai_tool

from yandex_compat import ConfigurationError, CustomTool, Tool, ToolChoice, UnsupportedError
from yandex_compat.parameters import tool_choice
from yandex_compat.tools import AnyTool


def openai_tool(tool: Any, *, strict: bool | None = None) -> dict[str, Any]:  # noqa: ANN401
    """The OpenAI dict of anything LangChain accepts as a tool, custom tools included (A11)."""
    if isinstance(tool, dict) and tool.get("type") == "custom" and "input_schema" not in tool:
        # LangChain would make a function of it; with an input_schema it is Anthropic's, and is one.
        return _custom(tool)
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
    if formatted.get("type") == "custom":
        return _custom(formatted)
    if formatted.get("type") != "function" or not isinstance(formatted.get("function"), dict):
        raise UnsupportedError(
            f"A tool of type {formatted.get('type')!r} can't be sent: the service takes functions "
            f"and custom tools."
        )
    if not isinstance(formatted["function"].get("name"), str):
        raise ConfigurationError("A tool has no name: give its function one.")
    return formatted


def _custom(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A custom tool as the chat API has it; others write its words flat, beside the type."""
    words = tool.get("custom", {word: tool[word] for word in tool if word != "type"})
    known = {"name", "description", "format"}
    if (
        not isinstance(words, dict)
        or not isinstance(words.get("name"), str)
        or words.keys() - known
    ):
        raise ConfigurationError(
            'A custom tool must be {"type": "custom", "custom": {"name": …}}, to which '
            '"description" and "format" may be added.'
        )
    return {"type": "custom", "custom": words}


def to_tools(tools: Iterable[Any]) -> tuple[AnyTool, ...]:
    """Tools from anything LangChain accepts as one."""
    if not isinstance(tools, list | tuple):
        raise ConfigurationError(f"tools must be a list, not {type(tools).__name__}.")
    return tuple(map(_tool, map(openai_tool, tools)))


def name_of(tool: Mapping[str, Any]) -> str:
    """The name of an OpenAI dict's tool."""
    name: str = tool[tool["type"]]["name"]
    return name


def _tool(tool: Mapping[str, Any]) -> AnyTool:
    described = tool[tool["type"]]
    description = described.get("description") or ""
    if tool["type"] == "custom":
        return CustomTool(described["name"], description, described.get("format"))
    return Tool(
        described["name"],
        description,
        described.get("parameters") or {"type": "object", "properties": {}},
        described.get("strict"),
    )


def tool_choice_word(choice: Any, names: Sequence[str]) -> Any:  # noqa: ANN401 -- LangChain's word
    """LangChain's tool_choice in a form that the core reads; None where it asks for nothing.

    A tool that is itself named "any" or "auto" wins over the word.
    """
    if choice is None or choice is False:
        return None
    if isinstance(choice, str) and choice in names:
        return {"type": "tool", "name": choice}
    if choice is True or choice in ("any", "required"):
        return "required"
    if choice in ("auto", "none") or isinstance(choice, dict):
        return choice
    raise ConfigurationError(
        f"tool_choice={choice!r} is neither auto, none, any, required nor one of the tools: "
        f"{', '.join(names)}."
    )


def to_tool_choice(choice: Any, tools: Sequence[AnyTool]) -> ToolChoice | None:  # noqa: ANN401
    """The core's tool choice from any of LangChain's forms."""
    word = tool_choice_word(choice, [tool.name for tool in tools])
    return None if word is None else tool_choice(word)
