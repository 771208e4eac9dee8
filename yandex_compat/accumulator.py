"""Folds the deltas of a stream into the completion they add up to."""

from dataclasses import dataclass, field
from typing import Any

from yandex_compat.completion import CUT_SHORT, Citation, Completion, Delta, Logprobs, StreamEnd
from yandex_compat.jsontext import is_object
from yandex_compat.messages import ToolCall


@dataclass(slots=True)
class _OpenCall:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
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
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, _OpenCall] = {}
        self._annotations: list[Citation] = []
        self._logprobs: dict[str, list[Any]] = {}
        self._end: StreamEnd | None = None

    def add(self, delta: Delta) -> None:
        """Add one delta."""
        if delta.replaces_text:
            self._text.clear()
        if delta.text:
            self._text.append(delta.text)
        if delta.reasoning:
            self._reasoning.append(delta.reasoning)
        if delta.refusal:
            self._refusal.append(delta.refusal)
        for piece in delta.tool_calls:
            call = self._calls.setdefault(piece.index, _OpenCall())
            call.id = piece.id or call.id
            call.name = piece.name or call.name
            if piece.arguments:
                call.arguments.append(piece.arguments)
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
        return self._joined(self._text)

    @property
    def reasoning(self) -> str:
        """All reasoning so far."""
        return self._joined(self._reasoning)

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
                self._joined(call.arguments) or ("" if call.custom else nothing),
                call.custom,
            )
            for _, call in sorted(self._calls.items())
        )

    @property
    def calls_are_complete(self) -> bool:
        """Whether every call's arguments are a whole JSON object, or free text, which may be."""
        return all(
            call.custom or is_object(self._joined(call.arguments)) for call in self._calls.values()
        )

    def completion(self) -> Completion:
        """The completion as far as it has come."""
        end = self._end or StreamEnd()
        return Completion(
            text=self.text,
            reasoning=self.reasoning,
            refusal=self._joined(self._refusal),
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

    @staticmethod
    def _joined(pieces: list[str]) -> str:
        # Kept joined, so that asking after every chunk costs the new pieces only in list work.
        if len(pieces) > 1:
            pieces[:] = ["".join(pieces)]
        return pieces[0] if pieces else ""
