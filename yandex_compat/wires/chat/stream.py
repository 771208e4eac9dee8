"""A streamed chat answer (WIRE A3-A7)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from yandex_compat.completion import (
    CUT_SHORT,
    Completion,
    CompletionRequest,
    Delta,
    ToolCallDelta,
)
from yandex_compat.errors import MalformedAnswer, YandexError
from yandex_compat.framing import SSEFraming
from yandex_compat.jsontext import SurrogateJoiner
from yandex_compat.tool_calls import CallIds, ToolCallAssembler, mint_id
from yandex_compat.tool_names import ToolNames
from yandex_compat.wires.chat.decoding import called, calls_of, citations, logprobs_of, usage_of
from yandex_compat.wires.deltas import DeltaDecoder
from yandex_compat.wires.values import WRONG_SHAPE, body_of, misshapen, text_or_none

MAX_STREAM_BYTES = 256 * 1024 * 1024
"""Bytes of all the payloads of one answer, which hold whatever is kept of it.

The longest that a model can write, 256 000 tokens with an event each, takes a third of it. A stream
that goes on for ever would otherwise take all memory. A native one needs no bound of its own: each
of its lines holds the whole answer, and no line may be larger than MAX_EVENT_BYTES.
"""

_FIRST = (0, None)


class StreamDecoder(DeltaDecoder):
    """Decodes the events of one streamed answer into deltas (WIRE A3-A7).

    The last delta comes with the `[DONE]` mark, or from `close` where the server sends a finish
    reason and no mark.
    """

    INTERRUPTED = "neither [DONE] nor a finish reason with whole tool calls came"

    def __init__(self, request: CompletionRequest, *, mint: Callable[[], str] = mint_id) -> None:
        super().__init__(SSEFraming())
        self._text, self._reasoning = SurrogateJoiner(), SurrogateJoiner()
        self._refusal = SurrogateJoiner()
        self._size = 0
        self._said: tuple[Any, ...] = ()
        self._is_whole = False
        self._calls = ToolCallAssembler(CallIds(request.messages, mint), ToolNames(request))

    @property
    def ended(self) -> bool:
        """Whether the answer is whole, so that the connection may end as it likes (D10)."""
        reason = self.end.finish_reason
        cut = reason in CUT_SHORT
        return self.done or (reason is not None and (cut or self._received.calls_are_complete))

    def _payload(self, payload: bytes) -> list[Delta]:
        if payload.strip() == b"[DONE]":
            return self._finish()
        self._size += len(payload)
        if self._size > MAX_STREAM_BYTES:
            raise MalformedAnswer(
                f"The stream is longer than {MAX_STREAM_BYTES} bytes, and its answer has no end. "
                f"Ask again; max_tokens bounds what a model writes."
            )
        event = body_of("An event of the stream", payload)
        try:
            said = (
                event.get("id"), event.get("model"),
                event.get("service_tier"), event.get("system_fingerprint"),
            )  # fmt: skip
            if said != self._said:  # nearly every event repeats it
                self._note(*said)
                self._said = said
            if event.get("usage"):
                self.end.usage = usage_of(event)
            # More than one answer comes only where extra_body asks for it; the first is given.
            for choice in event.get("choices") or ():
                if choice.get("index") in _FIRST or _is_first(choice):
                    return self._choice(choice)
            return []
        except WRONG_SHAPE as error:
            raise misshapen("An event of the stream", error, payload) from None

    def _note(self, answer_id: object, model: object, tier: object, fingerprint: object) -> None:
        end = self.end
        end.id = text_or_none(answer_id) or end.id
        end.model = text_or_none(model) or end.model
        end.service_tier = text_or_none(tier) or end.service_tier
        end.system_fingerprint = text_or_none(fingerprint) or end.system_fingerprint

    def _choice(self, choice: Mapping[str, Any]) -> list[Delta]:
        delta = choice.get("delta") or self._nothing(choice)
        if (reason := choice.get("finish_reason")) is not None:
            self.end.finish_reason = text_or_none(reason) or self.end.finish_reason
        text = delta.get("content")
        if text and len(delta) == 1 and reason is None and not choice.get("logprobs"):
            # Nearly all deltas end here.
            text = self._text.feed(text)
            if not text:
                return []
            self._received.add_text(text)
            return [Delta(text)]
        added = Delta()
        if text:
            if reason == "content_filter":
                self._text = SurrogateJoiner()
                added.replaces_text = added.filtered = True
            added.text = self._text.feed(text)
        if len(delta) > 1 or not text:
            self._add_rest(added, delta)
        if choice.get("logprobs"):
            added.logprobs = logprobs_of(choice)
        return self._given_out(added)

    def _add_rest(self, added: Delta, delta: Mapping[str, Any]) -> None:
        """What most deltas, which hold a piece of text alone, do without."""
        if delta.get("audio"):
            raise MalformedAnswer(
                "The stream holds audio, which is read in whole answers only (WIRE A16): ask "
                "without streaming."
            )
        if reasoning := delta.get("reasoning_content"):
            added.reasoning = self._reasoning.feed(reasoning)
        if refusal := delta.get("refusal"):
            added.refusal = self._refusal.feed(refusal)
        if calls := calls_of(delta):
            added.tool_calls = self._pieces(calls)
        if delta.get("annotations"):
            added.annotations = citations(delta)

    def _nothing(self, choice: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a choice without a delta says; MalformedAnswer where it is a whole answer's."""
        if choice.get("message") and self.partial == Completion():
            self._is_whole = True
            raise self._interruption()
        return {}

    def _interruption(self) -> YandexError:
        if not self._is_whole:
            return super()._interruption()
        return MalformedAnswer(
            "A whole answer came in the place of a stream, which what base_url leads to can't "
            "send: ask without streaming."
        )

    def _pieces(self, calls: Iterable[Mapping[str, Any]]) -> tuple[ToolCallDelta, ...]:
        self._calls.begin_event()
        return tuple(piece for call in calls if (piece := self._piece(call)))

    def _piece(self, piece: Mapping[str, Any]) -> ToolCallDelta | None:
        name, arguments, custom = called(piece)
        return self._calls.feed(
            piece.get("index"), text_or_none(piece.get("id")), name, arguments, custom=custom
        )

    def _finish(self) -> list[Delta]:
        self.done = True
        rest = Delta(self._text.close(), self._reasoning.close(), self._refusal.close())
        last = Delta(tool_calls=tuple(self._calls.close()), final=self.end)
        return self._given_out(rest) + self._given_out(last)


def _is_first(choice: Mapping[str, Any]) -> bool:
    index = choice.get("index")
    if index is not None and not isinstance(index, int):
        raise TypeError(f"{type(index).__name__} where a number belongs")
    return not index
