"""A streamed chat answer (WIRE A3-A7)."""

from collections.abc import Callable, Mapping
from typing import Any

from yandex_compat.completion import (
    CUT_SHORT,
    CompletionRequest,
    Delta,
    ToolCallDelta,
)
from yandex_compat.errors import MalformedAnswer
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
        self._calls = ToolCallAssembler(CallIds(request.messages, mint), ToolNames(request))

    @property
    def ended(self) -> bool:
        """Whether the answer is whole, so that the connection may end as it likes (D10)."""
        reason = self.end.finish_reason
        cut = reason in CUT_SHORT
        return self._done or (reason is not None and (cut or self._received.calls_are_complete))

    def _payload(self, payload: bytes) -> list[Delta]:
        return self._finish() if payload.strip() == b"[DONE]" else self._event(payload)

    def _event(self, payload: bytes) -> list[Delta]:
        self._size += len(payload)
        if self._size > MAX_STREAM_BYTES:
            raise MalformedAnswer(
                f"The stream is longer than {MAX_STREAM_BYTES} bytes, and its answer has no end. "
                f"Ask again; max_tokens bounds what a model writes."
            )
        event = body_of("An event of the stream", payload)
        try:
            self._note(event)
            # More than one answer comes only where extra_body asks for it; the first is given.
            first = [choice for choice in event.get("choices") or () if _is_first(choice)]
            return self._choice(first[0]) if first else []
        except WRONG_SHAPE as error:
            raise misshapen("An event of the stream", error, payload) from None

    def _note(self, event: Mapping[str, Any]) -> None:
        end = self.end
        end.model = text_or_none(event.get("model")) or end.model
        end.id = text_or_none(event.get("id")) or end.id
        fingerprint = text_or_none(event.get("system_fingerprint"))
        end.system_fingerprint = fingerprint or end.system_fingerprint
        end.service_tier = text_or_none(event.get("service_tier")) or end.service_tier
        if event.get("usage"):
            end.usage = usage_of(event)

    def _choice(self, choice: Mapping[str, Any]) -> list[Delta]:
        reason = text_or_none(choice.get("finish_reason"))
        self.end.finish_reason = reason or self.end.finish_reason
        delta = choice.get("delta") or {}
        if delta.get("audio"):
            raise MalformedAnswer(
                "The stream holds audio, which is read in whole answers only (WIRE A16): ask "
                "without streaming."
            )
        text = delta.get("content") or ""
        replaces = reason == "content_filter" and bool(text)
        if replaces:
            self._text = SurrogateJoiner()
        decoded = Delta(
            text=self._text.feed(text),
            reasoning=self._reasoning.feed(delta.get("reasoning_content") or ""),
            refusal=self._refusal.feed(delta.get("refusal") or ""),
            tool_calls=self._pieces(delta),
            annotations=citations(delta) if delta.get("annotations") else (),
            logprobs=logprobs_of(choice) if choice.get("logprobs") else None,
            replaces_text=replaces,
            filtered=replaces,
        )
        return self._given_out(decoded)

    def _pieces(self, delta: Mapping[str, Any]) -> tuple[ToolCallDelta, ...]:
        calls = calls_of(delta)
        if not calls:
            return ()
        self._calls.begin_event()
        return tuple(piece for call in calls if (piece := self._piece(call)))

    def _piece(self, piece: Mapping[str, Any]) -> ToolCallDelta | None:
        name, arguments, custom = called(piece)
        return self._calls.feed(
            piece.get("index"), text_or_none(piece.get("id")), name, arguments, custom=custom
        )

    def _finish(self) -> list[Delta]:
        self._done = True
        rest = Delta(self._text.close(), self._reasoning.close(), self._refusal.close())
        last = Delta(tool_calls=tuple(self._calls.close()), final=self.end)
        return self._given_out(rest) + self._given_out(last)


def _is_first(choice: Mapping[str, Any]) -> bool:
    index = choice.get("index")
    if not isinstance(index, int | None):
        raise TypeError(f"{type(index).__name__} where a number belongs")
    return not index
