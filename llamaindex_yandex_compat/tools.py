"""Every mapping between LlamaIndex's tools and tool choices and the core's."""

from collections.abc import Iterable
from typing import Any

from llama_index.core.tools import BaseTool

from yandex_compat import ConfigurationError, Tool, ToolChoice, UnsupportedError
from yandex_compat.parameters import tool_choice

# The words of a schema whose values are schemas by name, and those whose values are no schemas.
_NAMED_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_VALUES = ("default", "examples", "enum", "const", "required")


def tool_spec(tool: BaseTool) -> dict[str, Any]:
    """A tool in the OpenAI form, as events show it; the framework's own would rename it."""
    metadata = tool.metadata
    parameters = metadata.get_parameters_dict()
    if "type" not in parameters and metadata.fn_schema:
        # That of a class that holds itself is a reference, which the framework leaves out.
        parameters = with_root(metadata.fn_schema.model_json_schema())
    function = {
        "name": metadata.get_name(),
        "description": metadata.description,
        "parameters": parameters,
    }
    return {"type": "function", "function": function}


def with_root(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose own words stand at its root, where it was a reference to one of its parts."""
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    referred = schema.get("$defs", {}).get(name)
    if not referred:
        return schema
    return {**referred, **{word: part for word, part in schema.items() if word != "$ref"}}


def closed(schema: Any) -> Any:  # noqa: ANN401 -- a part of a schema is any value
    """A schema whose objects take no other properties, as `strict` asks of all of them."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {word: _closed_part(word, part) for word, part in schema.items()}
    return {"additionalProperties": False, **parts} if schema.get("type") == "object" else parts


def _closed_part(word: str, part: Any) -> Any:  # noqa: ANN401
    if word in _NAMED_SCHEMAS and isinstance(part, dict):
        return {name: closed(schema) for name, schema in part.items()}
    return part if word in _VALUES else closed(part)


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
