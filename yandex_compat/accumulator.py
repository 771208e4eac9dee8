"""Folds the deltas of a stream into the completion they add up to."""

from dataclasses import dataclass, field
from typing import Any

from yandex_compat.completion import CUT_SHORT, Citation, Completion, Delta, Logprobs, StreamEnd
from yandex_compat.jsontext import is_object
from yandex_compat.messages import ToolCall

# So many pieces are made one: each takes ten times as much memory as the signs that it adds.
_BLOCK = 256


class _Pieces:
    """A text that comes in pieces."""

    __slots__ = ("_blocks", "_pieces")

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._pieces: list[str] = []

    def add(self, piece: str) -> None:
        self._pieces.append(piece)
        if len(self._pieces) == _BLOCK:
            self._blocks.append("".join(self._pieces))
            self._pieces.clear()

    def joined(self) -> str:
        """All of it, which costs whoever asks after each piece the new ones only in list work."""
        if self._pieces or len(self._blocks) > 1:
            self._blocks[:] = ["".join((*self._blocks, *self._pieces))]
            self._pieces.clear()
        return self._blocks[0] if self._blocks else ""


@dataclass(slots=True)
class _OpenCall:
    """A call whose pieces may still come."""

    id: str = ""
    name: str = ""
    arguments: _Pieces = field(default_factory=_Pieces)
    custom: bool = False


class Accumulator:
    """Adds deltas up: text, reasoning and refusal in order, tool-call pieces by index."""

    __slots__ = (
        "_annotations",
        "_calls",
        "_end",
        "_logprobs",
        "_reasoning",
        "_refusal",
        "_text",
    )

    def __init__(self) -> None:
        self._text = _Pieces()
        self._reasoning = _Pieces()
        self._refusal = _Pieces()
        self._calls: dict[int, _OpenCall] = {}
        self._annotations: list[Citation] = []
        self._logprobs: dict[str, list[Any]] = {}
        self._end: StreamEnd | None = None

    def add_text(self, text: str) -> None:
        """Add a delta of text alone."""
        self._text.add(text)

    def add(self, delta: Delta) -> None:
        """Add one delta."""
        if delta.replaces_text:
            self._text = _Pieces()
        if delta.text:
            self._text.add(delta.text)
        if delta.reasoning:
            self._reasoning.add(delta.reasoning)
        if delta.refusal:
            self._refusal.add(delta.refusal)
        for piece in delta.tool_calls:
            call = self._calls.setdefault(piece.index, _OpenCall())
            call.id = piece.id or call.id
            call.name = piece.name or call.name
            if piece.arguments:
                call.arguments.add(piece.arguments)
            call.custom = call.custom or piece.custom
        if delta.annotations:
            self._annotations += delta.annotations
        if delta.logprobs:
            self._add_logprobs(delta.logprobs)
        if delta.final:
            self._end = delta.final

    @property
    def text(self) -> str:
        """All text so far."""
        return self._text.joined()

    @property
    def reasoning(self) -> str:
        """All reasoning so far."""
        return self._reasoning.joined()

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls so far, the last of which may still lack a part of its arguments.

        Once the model has ended its answer, no arguments at all are those of an empty object.
        """
        ended = self._end is not None and self._end.finish_reason not in CUT_SHORT
        nothing = "{}" if ended else ""
        return tuple(
            ToolCall(
                call.id,
                call.name,
                call.arguments.joined() or ("" if call.custom else nothing),
                call.custom,
            )
            for _, call in sorted(self._calls.items())
        )

    @property
    def calls_are_complete(self) -> bool:
        """Whether every call's arguments are a whole JSON object, or free text, which may be."""
        return all(
            call.custom or is_object(call.arguments.joined()) for call in self._calls.values()
        )

    def completion(self) -> Completion:
        """The completion as far as it has come."""
        end = self._end or StreamEnd()
        return Completion(
            text=self.text,
            reasoning=self.reasoning,
            refusal=self._refusal.joined(),
            tool_calls=self.tool_calls,
            annotations=tuple(self._annotations),
            logprobs=self._logprobs or None,
            finish_reason=end.finish_reason,
            usage=end.usage,
            model=end.model,
            model_version=end.model_version,
            id=end.id,
            system_fingerprint=end.system_fingerprint,
            service_tier=end.service_tier,
            request_id=end.request_id,
            headers=end.headers,
            trimmed_tool_calls=end.trimmed_tool_calls,
        )

    def _add_logprobs(self, logprobs: Logprobs) -> None:
        for word, tokens in logprobs.items():
            self._logprobs.setdefault(word, []).extend(tokens)
