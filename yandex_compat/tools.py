"""What a model may call, whether it must, and which form its answer takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

JsonSchema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call; `parameters` is the JSON schema of its arguments."""

    name: str
    description: str = ""
    parameters: JsonSchema = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class CustomTool:
    """A tool the model calls with free text, which `format` may bind to a grammar (WIRE A11)."""

    name: str
    description: str = ""
    format: Mapping[str, Any] | None = None


AnyTool = Tool | CustomTool


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether the model may, must or must not call a tool, or which one (WIRE A10).

    `name` is set exactly when `mode` is "tool". `allowed` names the tools that "auto" and
    "required" choose among, where they are not all.
    """

    mode: Literal["auto", "none", "required", "tool"]
    name: str | None = None
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """The form of the answer: free text, any JSON object, or JSON of one schema (WIRE A8)."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: JsonSchema | None = None
    strict: bool | None = None
    description: str | None = None
