"""One streamed answer as it is read: decoding, stop sequences and request id, but no I/O."""

from dataclasses import replace

import httpx

from yandex_compat.completion import Completion, CompletionRequest, Delta
from yandex_compat.errors import MalformedAnswer
from yandex_compat.framing import FramingError
from yandex_compat.stop import StopFilter
from yandex_compat.tool_calls import refuse_ignored_choice
from yandex_compat.wires.chat import StreamDecoder


class StreamReading:
    """Turns the bytes of one open response into the deltas its reader is given."""

    def __init__(self, request: CompletionRequest, response: httpx.Response) -> None:
        self.response = response
        self._request = request
        self._decoder = StreamDecoder(request)
        self._decoder.end.request_id = response.headers.get("x-request-id")
        self._stop = StopFilter(request.stop) if request.stop else None

    @property
    def partial(self) -> Completion:
        """What has arrived so far."""
        return self._decoder.partial

    @property
    def done(self) -> bool:
        """Whether the answer has ended, so that whatever the connection does next means nothing."""
        return self._decoder.done

    @property
    def ended(self) -> bool:
        """Whether the answer is whole, even if its end mark has not come (D10)."""
        return self._decoder.ended

    @property
    def stopped(self) -> bool:
        """Whether a stop sequence was met, so that the connection should be closed."""
        return self._stop is not None and self._stop.stopped

    def feed(self, data: bytes) -> list[Delta]:
        """The deltas that these bytes complete."""
        try:
            deltas = self._decoder.feed(data)
        except FramingError as error:
            raise MalformedAnswer(f"The stream can't be read: {error}.") from None
        return self._given_out(deltas)

    def close(self) -> list[Delta]:
        """The deltas left at the end; StreamInterrupted where it was no end (D10)."""
        return self._given_out(self._decoder.close())

    def _given_out(self, deltas: list[Delta]) -> list[Delta]:
        if self._request.parallel_tool_calls is False:
            deltas = [given for delta in deltas if (given := self._with_first_call(delta))]
        if self._stop:
            deltas = self._stop.feed(deltas, self._decoder.end)
        if deltas and deltas[-1].final and not self.stopped:
            refuse_ignored_choice(self._request, self.partial)
        return deltas

    def _with_first_call(self, delta: Delta) -> Delta | None:
        """The delta without calls that were not to come beside the first (D8)."""
        if delta.final:
            delta.final.trimmed_tool_calls = self.partial.tool_calls[1:]
        kept = tuple(piece for piece in delta.tool_calls if piece.index == 0)
        if kept == delta.tool_calls:
            return delta
        rest = replace(delta, tool_calls=kept)
        return None if rest == Delta() else rest
