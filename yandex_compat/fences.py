"""Code fences that models put around JSON, taken off where JSON was asked for.

LangChain's ProviderStrategy reads the text as it is, and so does whoever parses it himself.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from yandex_compat.completion import Completion, CompletionRequest, Delta

_OPENING = re.compile(r"\s*```(json(?![\w-]))?\s*(?=[\[{\"\d-])", re.IGNORECASE)
# A model that writes nothing but whitespace (WIRE B9) is not waited for.
_LONGEST_OPENING = 100
_BEGINNING_OF_OPENING = re.compile(r"\s*(`{0,2}|```(j|js|jso|json)?\s*)", re.IGNORECASE)


def asks_for_json(request: CompletionRequest) -> bool:
    """Whether the answer is to be JSON, so that a fence around it is no part of it."""
    form = request.response_format
    return form is not None and form.type != "text"


def without_fence(completion: Completion) -> Completion:
    """A whole answer without the fence around its text, if there is one.

    A refusal is no JSON, and is left whole (WIRE A6).
    """
    if completion.finish_reason == "content_filter":
        return completion
    cutter = FenceCutter()
    text = cutter.feed(completion.text) + cutter.close()
    return completion if text == completion.text else replace(completion, text=text)


class FenceCutter:
    """Cuts the fence off a text that is given piece by piece.

    What may be a part of the fence is held back until the next piece or the end decides; a text
    that does not begin with one passes at once.
    """

    __slots__ = ("_fenced", "_held")

    def __init__(self) -> None:
        self._fenced: bool | None = None
        self._held: list[str] = []

    def feed(self, text: str) -> str:
        """The text that can be given out."""
        if self._fenced is False:
            return text
        self._held.append(text)
        # Whitespace without an end (WIRE B9) is gone through once, not again with each piece.
        if self._fenced and not text.strip():
            return ""
        text, self._held = "".join(self._held), []
        if self._fenced is None:
            if len(text) <= _LONGEST_OPENING and _BEGINNING_OF_OPENING.fullmatch(text):
                self._held = [text]
                return ""
            opening = _OPENING.match(text)
            self._fenced = opening is not None
            if opening is None:
                return text
            text = text[opening.end() :]
        inside = _without_closing(text)
        self._held = [text[len(inside) :]]
        return inside

    def close(self) -> str:
        """What was held back and turned out to be no fence."""
        held, self._held = "".join(self._held), []
        return "" if self._fenced and held.strip() == "```" else held


class FenceFilter:
    """Cuts the fence off the text of a stream's deltas."""

    __slots__ = ("_cutter",)

    def __init__(self) -> None:
        self._cutter = FenceCutter()

    def feed(self, deltas: Iterable[Delta]) -> list[Delta]:
        """The deltas to give out."""
        return [given for delta in deltas for given in self._cut(delta)]

    def _cut(self, delta: Delta) -> list[Delta]:
        if delta.replaces_text:
            self._cutter = FenceCutter()
        if delta.filtered:
            return [replace(delta, text=self._cutter.close() + delta.text)]
        text = self._cutter.feed(delta.text) if delta.text else ""
        if delta.final and (tail := self._cutter.close()):
            return [Delta(text=text + tail), replace(delta, text="")]
        cut = delta if text == delta.text else replace(delta, text=text)
        return [] if cut.is_empty else [cut]


def _without_closing(text: str) -> str:
    """The text without an end that may be, or begin, the closing of a fence."""
    end = text.rstrip()
    inside = end.rstrip("`")
    return inside.rstrip() if len(end) - len(inside) <= 3 else text
