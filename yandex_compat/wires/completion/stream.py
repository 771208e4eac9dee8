"""A streamed native answer: JSON lines, each of which holds the whole text so far (WIRE B6)."""

from collections.abc import Callable, Mapping
from typing import Any

from yandex_compat import jsontext
from yandex_compat.completion import (
    CompletionRequest,
    Delta,
    ToolCallDelta,
)
from yandex_compat.framing import JSONLinesFraming
from yandex_compat.messages import ToolCall
from yandex_compat.tool_calls import mint_id
from yandex_compat.wires.completion.decoding import (
    PARTIAL,
    REASONS,
    UNSPECIFIED,
    Calls,
    reason_of,
    unwrapped,
    usage_of,
)
from yandex_compat.wires.deltas import DeltaDecoder
from yandex_compat.wires.values import WRONG_SHAPE, body_of, joined, misshapen, text_or_none


class StreamDecoder(DeltaDecoder):
    """Decodes the lines of one streamed answer into deltas (WIRE B5-B7).

    The last delta comes with the line whose status is final, or from `close` where the last status
    is one that nobody knows.
    """

    INTERRUPTED = "its last status was no final one"

    def __init__(self, request: CompletionRequest, *, mint: Callable[[], str] = mint_id) -> None:
        super().__init__(JSONLinesFraming())
        self._calls = Calls(request, mint)
        self._called: Mapping[str, Any] = {}
        self._text = ""
        self._status: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the answer is whole, so that the connection may end as it likes (D10)."""
        return self.done or self._status not in (None, PARTIAL, UNSPECIFIED)

    def _payload(self, payload: bytes) -> list[Delta]:
        # An error may come as an event, as in the chat format (WIRE C).
        body = body_of("A line of the stream", payload.removeprefix(b"data:"))
        try:
            answer = unwrapped(body)
            alternatives = answer.get("alternatives") or ()
            self.end.usage = usage_of(answer) or self.end.usage
            version = text_or_none(answer.get("modelVersion"))
            self.end.model_version = version or self.end.model_version
            deltas = self._alternative(alternatives[0]) if alternatives else []
            return deltas + (self._finish() if self._status in REASONS else [])
        except WRONG_SHAPE as error:
            raise misshapen("A line of the stream", error, payload) from None

    def _alternative(self, alternative: Mapping[str, Any]) -> list[Delta]:
        self._status = text_or_none(alternative.get("status"))
        message = alternative.get("message") or {}
        if message.get("toolCallList"):
            # Calls have no ids to go on with, so they are given out once, when they are whole.
            self._called = message
        text = text_or_none(message.get("text"))
        filtered = reason_of(self._status) == "content_filter"
        if filtered:
            self._called = {}  # calls are withdrawn with the rest
        if text is None and not filtered:
            return []
        # A filter that says nothing withdraws the text all the same.
        delta = self._grown(self._settled(text or ""))
        delta.filtered = filtered
        return self._given_out(delta)

    def _settled(self, text: str) -> str:
        """The text without half a character at its end, whose other half comes with more text."""
        if self._status == PARTIAL and "\ud800" <= text[-1:] <= "\udbff":
            text = text[:-1]
        return joined(text)

    def _grown(self, text: str) -> Delta:
        """What the whole text so far adds to the one before, or puts in its place (D10)."""
        before, self._text = self._text, text
        if text.startswith(before):
            return Delta(text[len(before) :])
        return Delta(text, replaces_text=True)

    def _finish(self) -> list[Delta]:
        reason = self.end.finish_reason = reason_of(self._status)
        try:
            called = self._calls.of(self._called, reason)
        except WRONG_SHAPE as error:
            # A stream that ends with its body is out of reach of what catches those of a line.
            raise misshapen("A line of the stream", error, jsontext.encode(self._called)) from None
        self.done = True
        pieces = [_piece(number, call) for number, call in enumerate(called)]
        return self._given_out(Delta(tool_calls=tuple(pieces), final=self.end))


def _piece(index: int, call: ToolCall) -> ToolCallDelta:
    return ToolCallDelta(index, call.id, call.name, call.arguments)
