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


def closed(schema: Any) -> Any:  # noqa: ANN401 -- a part of a schema is any value
    """A schema whose objects take no other properties, as `strict` asks of all of them."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {word: closed(part) for word, part in schema.items()}
    return {"additionalProperties": False, **parts} if schema.get("type") == "object" else parts


def to_tools(tools: Iterable[Any], *, strict: bool | None = None) -> tuple[Tool, ...]:
    """Tools from the framework's, or from the OpenAI form, which may have a `strict` of its own."""
    if not isinstance(tools, list | tuple):
        raise ConfigurationError(f"tools must be a list, not {type(tools).__name__}.")
    return tuple(_tool(tool, strict) for tool in tools)


def _tool(tool: Any, strict: bool | None) -> Tool:  # noqa: ANN401 -- a tool of the framework, or a dict
    spec = tool_spec(tool) if isinstance(tool, BaseTool) else tool
    function = spec.get("function") if isinstance(spec, dict) else None
    if not isinstance(function, dict) or not function.get("name"):
        raise UnsupportedError(
            f"A {type(tool).__name__} can't be sent as a tool: the service calls functions. Give a "
            f"tool of LlamaIndex, or the OpenAI form of a function."
        )
    known: dict[str, Any] = {"description": function.get("description") or ""}
    if function.get("parameters"):
        known["parameters"] = function["parameters"]
    if (own := function.get("strict")) is not None or strict is not None:
        known["strict"] = strict if own is None else own
    if known.get("strict"):
        known["parameters"] = closed(known.get("parameters") or {"type": "object"})
    return Tool(function["name"], **known)


def to_tool_choice(choice: object) -> ToolChoice | None:
    """The core's tool choice from a word, a tool's name or the OpenAI form."""
    if choice is None:
        return None
    if isinstance(choice, str) and choice not in {"auto", "none", "required"}:
        return ToolChoice("tool", choice)
    return tool_choice(choice)
