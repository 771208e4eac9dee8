"""A streamed native answer: JSON lines, each of which holds the whole text so far (WIRE B6)."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from yandex_compat.accumulator import Accumulator
from yandex_compat.completion import (
    Completion,
    CompletionRequest,
    Delta,
    StreamEnd,
    ToolCallDelta,
)
from yandex_compat.errors import MalformedAnswer, StreamInterrupted, YandexError
from yandex_compat.framing import JSONLinesFraming
from yandex_compat.messages import ToolCall
from yandex_compat.tool_calls import mint_id
from yandex_compat.wires.completion.decoding import (
    PARTIAL,
    REASONS,
    UNSPECIFIED,
    Calls,
    unwrapped,
    usage_of,
)
from yandex_compat.wires.values import WRONG_SHAPE, body_of, joined, misshapen, text_or_none


class StreamDecoder:
    """Decodes the lines of one streamed answer into deltas (WIRE B5-B7).

    The last delta, and only it, has `final`. It comes with the line whose status is final, or from
    `close` where the last status is one that nobody knows. `end` is what is known of the end so
    far.
    """

    def __init__(self, request: CompletionRequest, *, mint: Callable[[], str] = mint_id) -> None:
        self._framing = JSONLinesFraming()
        self._calls = Calls(request, mint)
        self._called: Mapping[str, Any] = {}
        self._text = ""
        self._status: str | None = None
        self.end = StreamEnd()
        self._received = Accumulator()
        self._done = False
        self._failure: YandexError | None = None

    @property
    def partial(self) -> Completion:
        """What has arrived so far."""
        return self._received.completion()

    @property
    def done(self) -> bool:
        """Whether the answer has been given out to its end; bytes after that mean nothing."""
        return self._done

    @property
    def ended(self) -> bool:
        """Whether the answer is whole, so that the connection may end as it likes (D10)."""
        return self._done or self._status not in (None, PARTIAL, UNSPECIFIED)

    def feed(self, data: bytes) -> list[Delta]:
        """The deltas that these bytes complete; a failure waits until those before it are out."""
        if self._failure:
            raise self._failure
        deltas: list[Delta] = []
        for line in self._framing.feed(data):
            try:
                deltas += self._line(line)
            except YandexError as error:
                if not deltas:
                    raise
                self._failure = error
                break
        return deltas

    def close(self) -> list[Delta]:
        """The deltas left at the end of the body; StreamInterrupted where it was no end (D10)."""
        if self._failure:
            raise self._failure
        deltas: list[Delta] = []
        # The tail may be a line cut short; whether it was needed is for the rest to say.
        with suppress(MalformedAnswer):
            for line in self._framing.close():
                deltas += self._line(line)
        if not self.ended:
            raise StreamInterrupted(
                "The stream ended before the answer did: its last status was no final one. Ask "
                "again; what arrived is in the error's `partial`.",
                partial=self.partial,
            )
        return deltas if self._done else [*deltas, *self._finish()]

    def _line(self, line: bytes) -> list[Delta]:
        if self._done:
            return []
        body = body_of("A line of the stream", line)
        try:
            answer = unwrapped(body)
            alternatives = answer.get("alternatives") or ()
            self.end.usage = usage_of(answer) or self.end.usage
            version = text_or_none(answer.get("modelVersion"))
            self.end.model_version = version or self.end.model_version
            deltas = self._alternative(alternatives[0]) if alternatives else []
            return deltas + (self._finish() if self._status in REASONS else [])
        except WRONG_SHAPE as error:
            raise misshapen("A line of the stream", error, line) from None

    def _alternative(self, alternative: Mapping[str, Any]) -> list[Delta]:
        self._status = text_or_none(alternative.get("status"))
        message = alternative.get("message") or {}
        if message.get("toolCallList"):
            # Calls have no ids to go on with, so they are given out once, when they are whole.
            self._called = message
        text = text_or_none(message.get("text"))
        if text is None and REASONS.get(self._status or "") == "content_filter":
            text = ""  # what came before is withdrawn all the same
        if text is None:
            return []
        return self._given_out(self._grown(self._settled(text)))

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
        self._done = True
        status = self._status or ""
        self.end.finish_reason = REASONS.get(status, status) or None
        pieces = [_piece(number, call) for number, call in enumerate(self._calls.of(self._called))]
        return self._given_out(Delta(tool_calls=tuple(pieces), final=self.end))

    def _given_out(self, delta: Delta) -> list[Delta]:
        if delta.is_empty:
            return []
        self._received.add(delta)
        return [delta]


def _piece(index: int, call: ToolCall) -> ToolCallDelta:
    return ToolCallDelta(index, call.id, call.name, call.arguments)
