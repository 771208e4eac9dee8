"""What is said in a conversation: messages, their parts, and the tool calls they hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from yandex_compat import jsontext

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text inside a message of several parts."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image inside a user message, as a `data:` URL of base64 (WIRE A12, Models)."""

    url: str


Part = TextPart | ImagePart


def content_of(parts: Iterable[Part]) -> str | tuple[Part, ...]:
    """A message's content from its parts: a lone text as itself, no parts as no text."""
    parts = tuple(parts)
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        return parts[0].text
    return parts


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool: its id, the tool's name, and the arguments as JSON text.

    `arguments` is what the model wrote, which need not be valid JSON; of a `custom` tool's call it
    is free text (WIRE A11).
    """

    id: str
    name: str
    arguments: str
    custom: bool = False

    @property
    def parsed_arguments(self) -> dict[str, Any] | None:
        """The arguments as a dict; None where the model wrote no JSON object, or was cut short.

        What a custom tool is called with is no JSON: None.
        """
        return None if self.custom else jsontext.decode_object(self.arguments)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, in the terms both APIs share.

    `tool_calls`, `refusal` and `audio_id` (of an answer in sound) belong to the assistant role,
    `tool_call_id` to the tool role; a tool message's `name` is its function's name where the
    caller knows it.
    """

    role: Role
    content: str | tuple[Part, ...] = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    refusal: str = ""
    audio_id: str | None = None

    @property
    def text(self) -> str:
        """The message's text, a line for each of several parts; images count as nothing."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))
