"""What a model says, before any API gives it a shape."""

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from . import tokens

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool; ``arguments`` is JSON text, or free text if the tool is ``custom``.

    Without an ``id`` the family's way of making ids applies.
    """

    name: str
    arguments: str
    id: str | None = None
    custom: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: reasoning, text, calls.

    ``replaced_by`` is the text that a content filter puts in place of ``text`` (WIRE A6);
    ``annotations``, ``audio`` and ``service_tier`` stand as they are sent (A16). ``usage``, in the
    words of the chat API, stands for what would be counted here, and an empty one for none.
    """

    text: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    finish_reason: FinishReason = "stop"
    refusal: str | None = None
    replaced_by: str | None = None
    annotations: tuple[dict[str, Any], ...] = ()
    audio: dict[str, Any] | None = None
    service_tier: str | None = None
    usage: dict[str, Any] | None = None

    @property
    def final_text(self) -> str:
        """The text, or what a content filter puts in its place."""
        return self.text if self.replaced_by is None else self.replaced_by

    def texts(self) -> list[str]:
        """Return everything that was generated, in order."""
        calls = [text for call in self.calls for text in (call.name, call.arguments)]
        return [self.reasoning, self.text, *calls]

    def limited(self, limit: int | None) -> "Answer":
        """Cut at ``limit`` generated tokens, in the middle of arguments if need be."""
        if limit is None or tokens.count(*self.texts()) <= limit:
            return self
        budget = _Budget(limit)
        reasoning, text = budget.take(self.reasoning), budget.take(self.text)
        calls = tuple(
            replace(call, arguments=budget.take(call.arguments))
            for call in self.calls
            if budget.take(call.name)
        )
        return replace(self, reasoning=reasoning, text=text, calls=calls, finish_reason="length")


class _Budget:
    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, text: str) -> str:
        taken = tokens.pieces(text)[: self._left]
        self._left -= len(taken)
        return "".join(taken)


def as_json(value: object) -> str:
    """Write JSON as the service does: compact, raw UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
