"""An upstream's answer, whole or in the chunks of a stream, as the answer it is."""

from dataclasses import dataclass, field
from typing import Any, get_args

from .answers import Answer, Call, FinishReason
from .upstream_failures import not_understood

JSONObject = dict[str, Any]
_REASONS = get_args(FinishReason)
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")


@dataclass(frozen=True, slots=True)
class Piece:
    """What a chunk adds to an answer."""

    text: str = ""
    reasoning: str = ""


@dataclass(slots=True)
class _Call:
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Growing:
    """An answer of the upstream at ``url`` that its chunks add up to."""

    url: str
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    finish_reason: str | None = None
    usage: JSONObject | None = None
    _calls: dict[int, _Call] = field(default_factory=dict)

    def add(self, chunk: JSONObject) -> Piece:
        """Add a chunk and return what it adds."""
        self.usage = _usage(chunk.get("usage")) or self.usage
        choices = chunk.get("choices")
        if not choices:
            return Piece()  # the last one holds the usage alone
        try:
            return self._said(choices[0].get("delta") or {}, choices[0].get("finish_reason"))
        except (LookupError, TypeError, AttributeError):
            raise not_understood(self.url, "a chunk of another shape") from None

    def answer(self) -> Answer:
        """Return what was said; a call's id is the family's affair."""
        calls = tuple(
            Call(call.name, call.arguments or "{}") for _, call in sorted(self._calls.items())
        )
        reason: Any = self.finish_reason or "stop"
        if calls and reason == "stop":  # as some servers have it
            reason = "tool_calls"
        if reason not in _REASONS:
            raise not_understood(self.url, f"the finish reason {str(reason)[:40]!r}")
        refusal = self.refusal or None
        return Answer(self.text, self.reasoning, calls, reason, refusal, usage=self.usage)

    def _said(self, delta: JSONObject, reason: str | None) -> Piece:
        # vLLM and Ollama call it reasoning, llama.cpp reasoning_content.
        thought = delta.get("reasoning_content") or delta.get("reasoning") or ""
        piece = Piece(delta.get("content") or "", thought)
        self.text += piece.text
        self.reasoning += piece.reasoning
        self.refusal += delta.get("refusal") or ""
        for call in delta.get("tool_calls") or ():
            self._add_call(call)
        self.finish_reason = reason or self.finish_reason
        return piece

    def _add_call(self, piece: JSONObject) -> None:
        # Whole calls may come without a number, or with null as one.
        number = piece.get("index")
        position = number if isinstance(number, int) else len(self._calls)
        call = self._calls.setdefault(position, _Call())
        call.name += piece["function"].get("name") or ""
        call.arguments += piece["function"].get("arguments") or ""


def answer_of(url: str, body: JSONObject) -> Answer:
    """Return a whole answer, whose message is as a delta that says all."""
    growing = Growing(url)
    try:
        choice = body["choices"][0]
        growing.add(body | {"choices": [choice | {"delta": {**choice["message"]}}]})
    except (LookupError, TypeError):
        raise not_understood(url, "no answer of the chat API") from None
    return growing.answer()


def _usage(told: object) -> JSONObject | None:
    """Return the words of a usage that the service has as well, None if a count is missing."""
    if not isinstance(told, dict) or not all(isinstance(told.get(word), int) for word in _COUNTS):
        return None
    counts = {word: told[word] for word in _COUNTS}
    return counts | {word: told[word] for word in _DETAILS if isinstance(told.get(word), dict)}
