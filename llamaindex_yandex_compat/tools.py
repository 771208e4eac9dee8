"""Every mapping between LlamaIndex's tools and tool choices and the core's."""

from collections.abc import Iterable
from typing import Any

from llama_index.core.tools import BaseTool

from yandex_compat import ConfigurationError, Tool, ToolChoice, UnsupportedError
from yandex_compat.parameters import tool_choice


def tool_spec(tool: BaseTool) -> dict[str, Any]:
    """A tool in the OpenAI form, as events show it; the framework's own would rename it."""
    metadata = tool.metadata
    function = {
        "name": metadata.get_name(),
        "description": metadata.description,
        "parameters": metadata.get_parameters_dict(),
    }
    return {"type": "function", "function": function}


def to_tools(tools: Iterable[Any]) -> tuple[Tool, ...]:
    """Tools from the framework's, or from the OpenAI form."""
    if not isinstance(tools, list | tuple):
        raise ConfigurationError(f"tools must be a list, not {type(tools).__name__}.")
    return tuple(map(_tool, tools))


def _tool(tool: Any) -> Tool:  # noqa: ANN401 -- a tool of the framework, or a dict
    spec = tool_spec(tool) if isinstance(tool, BaseTool) else tool
    function = spec.get("function") if isinstance(spec, dict) else None
    if not isinstance(function, dict) or not function.get("name"):
        raise UnsupportedError(
            f"A {type(tool).__name__} can't be sent as a tool: the service calls functions. Give a "
            f"tool of LlamaIndex, or the OpenAI form of a function."
        )
    known: dict[str, Any] = {"description": function.get("description") or ""}
    known |= {word: function[word] for word in ("parameters", "strict") if function.get(word)}
    return Tool(function["name"], **known)


def to_tool_choice(choice: object) -> ToolChoice | None:
    """The core's tool choice from a word, a tool's name or the OpenAI form."""
    if choice is None:
        return None
    if isinstance(choice, str) and choice not in {"auto", "none", "required"}:
        return ToolChoice("tool", choice)
    return tool_choice(choice)
