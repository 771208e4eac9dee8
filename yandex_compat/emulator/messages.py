"""Messages of a chat request, strictly: a field that the reference does not list is refused.

Source: reference/api/createChatCompletion.md and WIRE A11, A12, A15.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """A model that refuses unknown fields and does not convert types."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _json_object(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        raise ValueError("arguments must be a JSON object written as a string") from None
    if not isinstance(value, dict):
        raise ValueError("arguments must be a JSON object written as a string")
    return text


def _image_data(url: str) -> str:
    if not (url.startswith("data:image/") and ";base64," in url):
        raise ValueError("an image must be a data URL, data:image/…;base64,…")
    return url


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Arguments = Annotated[str, AfterValidator(_json_object)]


class TextPart(Strict):
    """Text in a list of parts."""

    type: Literal["text"]
    text: str


class RefusalPart(Strict):
    """A refusal in a list of parts."""

    type: Literal["refusal"]
    refusal: str


class ImageURL(Strict):
    """An image, in the URL itself."""

    url: Annotated[str, AfterValidator(_image_data)]


class ImagePart(Strict):
    """An image in a list of parts."""

    type: Literal["image_url"]
    image_url: ImageURL


TextParts = Annotated[list[TextPart], Field(min_length=1)]
UserPart = Annotated[TextPart | ImagePart, Field(discriminator="type")]
AssistantPart = Annotated[TextPart | RefusalPart, Field(discriminator="type")]


class FunctionArguments(Strict):
    """What a function was called with."""

    name: Name
    arguments: Arguments


class FunctionCall(Strict):
    """A call of a function in an assistant message."""

    id: Annotated[str, Field(min_length=1)]
    type: Literal["function"]
    function: FunctionArguments

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.name


class CustomInput(Strict):
    """What a custom tool was called with: free text."""

    name: Name
    input: str


class CustomCall(Strict):
    """A call of a custom tool in an assistant message."""

    id: Annotated[str, Field(min_length=1)]
    type: Literal["custom"]
    custom: CustomInput

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.custom.name


ToolCall = Annotated[FunctionCall | CustomCall, Field(discriminator="type")]


class InstructionMessage(Strict):
    """Instructions."""

    role: Literal["developer", "system"]
    content: str | TextParts
    name: str | None = None


class UserMessage(Strict):
    """What the user says or shows."""

    role: Literal["user"]
    content: str | Annotated[list[UserPart], Field(min_length=1)]
    name: str | None = None


class AssistantMessage(Strict):
    """What a model said; ``content`` may be missing only beside calls or a refusal."""

    role: Literal["assistant"]
    content: str | list[AssistantPart] | None = None
    refusal: str | None = None
    name: str | None = None
    audio: dict[str, Any] | None = None
    tool_calls: Annotated[list[ToolCall], Field(min_length=1)] | None = None
    function_call: FunctionArguments | None = None


class ToolMessage(Strict):
    """The result of a tool call."""

    role: Literal["tool"]
    content: str | TextParts
    tool_call_id: str


class FunctionMessage(Strict):
    """The result of a call by the older ``function_call``."""

    role: Literal["function"]
    content: str | None
    name: Name


Message = Annotated[
    InstructionMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage,
    Field(discriminator="role"),
]


def text_of(message: Message) -> str:
    """Return a message's text, its parts joined by newlines."""
    if isinstance(message.content, list):
        return "\n".join(part.text for part in message.content if isinstance(part, TextPart))
    return message.content or ""


def images_of(message: Message) -> list[ImagePart]:
    """Return the images that a message shows."""
    parts = message.content if isinstance(message.content, list) else []
    return [part for part in parts if isinstance(part, ImagePart)]
