"""Stop sequences, done on the client: the service has none (WIRE A9)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from yandex_compat.completion import Completion, Delta, StreamEnd


class StopCutter:
    """Cuts a text, given piece by piece, before the stop sequence that is first complete in it.

    A piece's tail that may be the beginning of a stop sequence is held back until the next piece
    or the end decides. Once `stopped`, everything after is cut.
    """

    __slots__ = ("_held", "_stops", "stopped")

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """The text that can be given out."""
        if self.stopped:
            return ""
        text = self._held + text
        # The first to be complete, not the first to begin: else the cut would depend on the pieces.
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]]
        keep = self._longest_beginning(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def restart(self) -> None:
        """Forget what is held back: another text takes its place."""
        self._held = ""

    def close(self) -> str:
        """The tail that was held back and turned out to be plain text."""
        held, self._held = self._held, ""
        return held

    def _longest_beginning(self, text: str) -> int:
        return max(
            (
                length
                for stop in self._stops
                for length in range(1, min(len(stop), len(text) + 1))
                if text.endswith(stop[:length])
            ),
            default=0,
        )


class StopFilter:
    """Applies stop sequences to the deltas of one stream; once `stopped`, it is over."""

    __slots__ = ("_cutter",)

    def __init__(self, stops: Sequence[str]) -> None:
        self._cutter = StopCutter(stops)

    @property
    def stopped(self) -> bool:
        """Whether a stop sequence was met."""
        return self._cutter.stopped

    def feed(self, deltas: Iterable[Delta], end: StreamEnd) -> list[Delta]:
        """The deltas to give out; where a stop sequence is met, `end` closes them."""
        given: list[Delta] = []
        for delta in deltas:
            given += self._cut(delta)
            if self.stopped:
                # What has come beyond it depends on how the bytes were cut.
                stopped = replace(end, finish_reason="stop", trimmed_tool_calls=())
                return [*given, Delta(final=stopped)]
        return given

    def _cut(self, delta: Delta) -> list[Delta]:
        if delta.replaces_text:
            self._cutter.restart()
        if delta.filtered:
            return [replace(delta, text=self._cutter.close() + delta.text)]
        if delta.final:
            tail = self._cutter.close()
            return [Delta(text=tail), delta] if tail else [delta]
        text = self._cutter.feed(delta.text)
        if self.stopped:
            delta = replace(delta, text=text, refusal="", tool_calls=())
        elif delta.text != text:
            delta = replace(delta, text=text)
        return [] if delta.is_empty else [delta]


def cut_completion(completion: Completion, stops: Sequence[str]) -> Completion:
    """A whole answer as a service with stop sequences would have given it.

    Calls are cut with the rest of the text: a model writes them after it. The refusal of a content
    filter is not the model's text, and is left whole (WIRE A6).
    """
    if completion.finish_reason == "content_filter":
        return completion
    cutter = StopCutter(stops)
    text = cutter.feed(completion.text)
    if not cutter.stopped:
        return completion
    return replace(
        completion, text=text, tool_calls=(), trimmed_tool_calls=(), finish_reason="stop"
    )
