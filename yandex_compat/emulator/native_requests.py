"""The bodies of the native API, strictly.

Source: reference/api/textGenerationCompletion.md and WIRE B1-B4, B9.
"""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator

from .messages import Name, Strict
from .refusals import Refused, refused


def _of_64_bits(number: str) -> str:
    if not -(2**63) <= int(number) < 2**63:
        raise ValueError("no number of 64 bits")
    return number


Int64 = Annotated[str, Field(pattern=r"^-?[0-9]{1,19}$"), AfterValidator(_of_64_bits)]
"""Numbers of 64 bits travel as texts."""


class ReasoningOptions(Strict):
    """Whether the model thinks before it answers."""

    mode: Literal["REASONING_MODE_UNSPECIFIED", "DISABLED", "ENABLED_HIDDEN"]


class CompletionOptions(Strict):
    """How the answer is generated."""

    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    maxTokens: Int64 | None = None  # noqa: N815 -- the field's name on the wire
    reasoningOptions: ReasoningOptions | None = None  # noqa: N815

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.maxTokens is not None and int(self.maxTokens) <= 0:
            raise ValueError("maxTokens must be greater than zero")
        return self


class FunctionCall(Strict):
    """A call of a function; its arguments are an object."""

    name: Name
    arguments: dict[str, Any]


class ToolCall(Strict):
    """A call of a tool, all of which are functions."""

    functionCall: FunctionCall  # noqa: N815


class ToolCallList(Strict):
    """The calls of one message."""

    toolCalls: Annotated[list[ToolCall], Field(min_length=1)]  # noqa: N815


class FunctionResult(Strict):
    """What a function gave back."""

    name: Name
    content: str


class ToolResult(Strict):
    """The result of a tool, all of which are functions."""

    functionResult: FunctionResult  # noqa: N815


class ToolResultList(Strict):
    """The results of the calls of one message."""

    toolResults: Annotated[list[ToolResult], Field(min_length=1)]  # noqa: N815


class Message(Strict):
    """A message: exactly one of text, calls and results (B2)."""

    role: Literal["system", "assistant", "user"]
    text: str | None = None
    toolCallList: ToolCallList | None = None  # noqa: N815
    toolResultList: ToolResultList | None = None  # noqa: N815

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = (self.text, self.toolCallList, self.toolResultList)
        if sum(one is not None for one in given) != 1:
            raise ValueError("exactly one of text, toolCallList and toolResultList must be set")
        if self.toolCallList is not None and self.role != "assistant":
            raise ValueError("toolCallList belongs to the role assistant")
        if self.toolResultList is not None and self.role != "user":
            raise ValueError("toolResultList belongs to the role user")
        return self

    @property
    def calls(self) -> list[FunctionCall]:
        """The calls."""
        listed = self.toolCallList.toolCalls if self.toolCallList else []
        return [call.functionCall for call in listed]

    @property
    def results(self) -> list[FunctionResult]:
        """The results."""
        listed = self.toolResultList.toolResults if self.toolResultList else []
        return [result.functionResult for result in listed]


class Function(Strict):
    """A function that the model may call; ``parameters`` is a JSON schema."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Strict):
    """A tool, all of which are functions."""

    function: Function


class JSONSchema(Strict):
    """A schema that the answer must keep to."""

    schema_: Annotated[dict[str, Any], Field(alias="schema")]


class ToolChoice(Strict):
    """Whether a tool must be called, or which."""

    mode: Literal["NONE", "AUTO", "REQUIRED"] | None = None
    functionName: Name | None = None  # noqa: N815

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.mode is None) == (self.functionName is None):
            raise ValueError("exactly one of mode and functionName must be set")
        return self


class NativeRequest(Strict):
    """A request for a completion."""

    modelUri: str  # noqa: N815
    completionOptions: CompletionOptions = Field(default_factory=CompletionOptions)  # noqa: N815
    messages: Annotated[list[Message], Field(min_length=1)]
    tools: list[Tool] = Field(default_factory=list)
    jsonObject: bool | None = None  # noqa: N815
    jsonSchema: JSONSchema | None = None  # noqa: N815
    parallelToolCalls: bool | None = None  # noqa: N815
    toolChoice: ToolChoice | None = None  # noqa: N815

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.jsonObject is not None and self.jsonSchema is not None:
            raise ValueError("only one of jsonObject and jsonSchema may be set")
        return self

    @property
    def limit(self) -> int | None:
        """How many tokens may be generated."""
        limit = self.completionOptions.maxTokens
        return int(limit) if limit else None


class TextRequest(Strict):
    """One text and the model that is to count or to embed it."""

    modelUri: str  # noqa: N815
    text: str


_Body = TypeVar("_Body", bound=Strict)


def parse_native(kind: type[_Body], raw: bytes) -> _Body:
    """Parse a body or refuse it with 400, naming the first wrong field."""
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        raise _refused_body(error) from None


def _refused_body(error: ValidationError) -> Refused:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(step) for step in first["loc"])
    return refused(3, f"{where}: {first['msg']}" if where else first["msg"])
