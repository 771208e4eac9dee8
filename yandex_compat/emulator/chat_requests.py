"""The body of ``POST /v1/chat/completions``, strictly.

Source: reference/api/createChatCompletion.md and WIRE A8-A11, A15.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from .messages import Message, Name, Strict, TextPart
from .refusals import Refused, invalid


class Function(Strict):
    """A function that the model may call; ``parameters`` is a JSON schema."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolFunction(Function):
    """A function of a tool, which unlike a deprecated one may be strict (WIRE A15)."""

    strict: bool | None = None


class FunctionTool(Strict):
    """A tool with arguments."""

    type: Literal["function"]
    function: ToolFunction


class Custom(Strict):
    """A tool that takes free text."""

    name: Name
    description: str | None = None
    format: dict[str, Any] | None = None


class CustomTool(Strict):
    """A tool without arguments of its own (WIRE A11)."""

    type: Literal["custom"]
    custom: Custom


class ToolName(Strict):
    """The name of a tool, where nothing else may stand."""

    name: Name


class FunctionChoice(Strict):
    """The one function that must be called."""

    type: Literal["function"]
    function: ToolName


class CustomChoice(Strict):
    """The one custom tool that must be called."""

    type: Literal["custom"]
    custom: ToolName


NamedChoice = Annotated[FunctionChoice | CustomChoice, Field(discriminator="type")]


class AllowedTools(Strict):
    """The tools that may be called in this answer."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedChoice], Field(min_length=1)]


class AllowedToolsChoice(Strict):
    """A choice among some of the tools (WIRE A10)."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


Tool = Annotated[FunctionTool | CustomTool, Field(discriminator="type")]
ToolChoice = Annotated[
    FunctionChoice | CustomChoice | AllowedToolsChoice, Field(discriminator="type")
]


class JSONSchema(Strict):
    """A schema that the answer must keep to."""

    name: Name
    description: str | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None


class TextFormat(Strict):
    """Plain text."""

    type: Literal["text"]


class ObjectFormat(Strict):
    """Any JSON object."""

    type: Literal["json_object"]


class SchemaFormat(Strict):
    """A JSON object that keeps to a schema."""

    type: Literal["json_schema"]
    json_schema: JSONSchema


class StreamOptions(Strict):
    """Accepted and without effect (WIRE A5)."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Prediction(Strict):
    """Text that the answer is likely to hold."""

    type: Literal["content"]
    content: str | list[TextPart]


Count = Annotated[int, Field(ge=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]


class ChatRequest(Strict):
    """A request for a chat completion, with tools or with the older ``functions``."""

    model: str
    messages: Annotated[list[Message], Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    reasoning_effort: Literal["low", "medium", "high"] | None = None
    max_completion_tokens: Count | None = None
    max_tokens: Count | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: dict[str, int] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    n: Count | None = None
    prediction: Prediction | None = None
    response_format: (
        Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")] | None
    ) = None
    stream: bool | None = None
    tools: Annotated[list[Tool], Field(min_length=1)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    function_call: Literal["none", "auto"] | ToolName | None = None
    functions: Annotated[list[Function], Field(min_length=1)] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    store: bool | None = None
    audio: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None
    service_tier: str | None = None
    stream_options: StreamOptions | None = None

    @property
    def limit(self) -> int | None:
        """How many tokens may be generated."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def predicted(self) -> str | None:
        """The text that the answer is likely to hold."""
        content = self.prediction.content if self.prediction else None
        return "".join(part.text for part in content) if isinstance(content, list) else content

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs to be true")
        # The page is silent; whose call an answer's were could not be told.
        if self.tools and self.functions:
            raise ValueError("tools and functions exclude each other")
        return self


# WIRE A9: documented as not supported. They are taken, and without effect, unless told otherwise.
_UNSUPPORTED = (
    "stop",
    "seed",
    "store",
    "audio",
    "web_search_options",
    "service_tier",
    "stream_options",
)


def parse_chat_request(raw: bytes, *, refuse_unsupported: bool) -> ChatRequest:
    """Parse a body or refuse it with 400, naming the first wrong field."""
    try:
        request = ChatRequest.model_validate_json(raw)
    except ValidationError as error:
        raise refused_body(error) from None
    for field in _UNSUPPORTED if refuse_unsupported else ():
        if getattr(request, field) not in (None, False):
            raise invalid(f"Parameter '{field}' is not supported", field)
    return request


def refused_body(error: ValidationError) -> Refused:
    """Turn the first finding of a validation into a refusal."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(step) for step in first["loc"])
    return invalid(f"{where}: {first['msg']}" if where else first["msg"], where or None)
