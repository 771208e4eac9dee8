"""DeltaDecoder: what decoding a stream is in every format, from bytes to an end or an error."""

from contextlib import suppress
from typing import ClassVar

from yandex_compat.accumulator import Accumulator
from yandex_compat.completion import Completion, Delta, StreamEnd
from yandex_compat.errors import MalformedAnswer, StreamInterrupted, YandexError
from yandex_compat.framing import FramingError, JSONLinesFraming, SSEFraming
from yandex_compat.wires.values import beginning


class DeltaDecoder:
    """Decodes the bytes of one streamed answer into deltas; each format says how (D10).

    The last delta, and only it, has `final`; `end` is what is known of the end so far.
    """

    INTERRUPTED: ClassVar[str]
    """Why a stream without an end is none."""

    def __init__(self, framing: SSEFraming | JSONLinesFraming) -> None:
        self._framing = framing
        self.end = StreamEnd()
        self._received = Accumulator()
        self.done = False
        """Whether the answer has been given out to its end; bytes after that mean nothing."""
        self._failure: YandexError | None = None

    @property
    def partial(self) -> Completion:
        """What has arrived so far."""
        return self._received.completion()

    @property
    def ended(self) -> bool:
        """Whether the answer is whole, so that the connection may end as it likes (D10)."""
        raise NotImplementedError

    def feed(self, data: bytes) -> list[Delta]:
        """The deltas that these bytes complete; a failure waits until those before it are out."""
        if self._failure:
            raise self._failure
        deltas: list[Delta] = []
        try:
            for payload in self._framing.feed(data):
                if not self.done:
                    deltas += self._payload(payload)
            if self._framing.failure:
                raise self._framing.failure
        except FramingError as error:
            if self.done:
                return deltas
            failure: YandexError = MalformedAnswer(f"The stream can't be read: {error}.")
        except YandexError as error:
            failure = error
        else:
            return deltas
        if not deltas:
            raise failure
        self._failure = failure
        return deltas

    def close(self) -> list[Delta]:
        """The deltas left at the end of the body; StreamInterrupted where it was no end (D10).

        Raises MalformedAnswer for a body that was no stream at all, such as a web page.
        """
        if self._failure:
            raise self._failure
        deltas: list[Delta] = []
        # The tail may be a payload cut short; whether it was needed is for the rest to say.
        with suppress(MalformedAnswer, FramingError):
            for payload in self._framing.close():
                if not self.done:
                    deltas += self._payload(payload)
        if not self.ended:
            raise self._interruption()
        return deltas if self.done else [*deltas, *self._finish()]

    def _interruption(self) -> YandexError:
        stray = self._framing.stray
        if stray and self.partial == Completion():
            return MalformedAnswer(f"The answer is no stream: {beginning(stray)}")
        return StreamInterrupted(
            f"The stream ended before the answer did: {self.INTERRUPTED}. Ask again; what "
            f"arrived is in the error's `partial`.",
            partial=self.partial,
        )

    def _payload(self, payload: bytes) -> list[Delta]:
        """The deltas of one payload of an answer that goes on."""
        raise NotImplementedError

    def _finish(self) -> list[Delta]:
        """The deltas at the end of an answer, the last of which has `final`."""
        raise NotImplementedError

    def _given_out(self, delta: Delta) -> list[Delta]:
        if not delta.text and delta.is_empty:
            return []
        self._received.add(delta)
        return [delta]
