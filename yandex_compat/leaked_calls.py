"""Calls that a model wrote into its text, and that are made calls again (WIRE A13, D6)."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from yandex_compat.completion import (
    CUT_SHORT,
    Completion,
    CompletionRequest,
    Delta,
    ToolCallDelta,
)
from yandex_compat.jsontext import is_object
from yandex_compat.messages import ToolCall
from yandex_compat.tool_calls import mint_id
from yandex_compat.tools import Tool

_MARKER = "[TOOL_CALL_START]"


def callable_names(request: CompletionRequest) -> frozenset[str]:
    """The functions that a leaked call of this request may name; none where none may be called."""
    choice = request.tool_choice
    if not request.recover_leaked_calls or (choice and choice.mode == "none"):
        return frozenset()
    return frozenset(tool.name for tool in request.tools if isinstance(tool, Tool))


def with_leaked_call(
    completion: Completion, names: frozenset[str], mint: Callable[[], str] = mint_id
) -> Completion:
    """A whole answer with its leaked call, if it is one, among its calls."""
    if completion.tool_calls or completion.finish_reason in CUT_SHORT:
        return completion
    call = _leaked(completion.text, names)
    if call is None:
        return completion
    calls = (replace(call, id=mint()),)
    return replace(completion, text="", tool_calls=calls, finish_reason="tool_calls")


class LeakedCallFilter:
    """Makes the leaked call of a stream a call; text that can't be one passes at once."""

    __slots__ = ("_held", "_mint", "_names", "_open")

    def __init__(self, names: frozenset[str], mint: Callable[[], str] = mint_id) -> None:
        self._names, self._mint = names, mint
        self._held = ""
        self._open = True

    def feed(self, deltas: Iterable[Delta]) -> list[Delta]:
        """The deltas to give out."""
        if not self._open:
            return list(deltas)
        return [given for delta in deltas for given in self._filtered(delta)]

    def _filtered(self, delta: Delta) -> list[Delta]:
        if not self._open:
            return [delta]
        if delta.replaces_text:
            self._held, self._open = "", False
            return [delta]
        self._held += delta.text
        if delta.final:
            return self._ended(delta)
        if delta.tool_calls or not _may_be_leaked(self._held, self._names):
            return [replace(delta, text=self._released())]
        rest = replace(delta, text="")
        return [] if rest.is_empty else [rest]

    def _ended(self, delta: Delta) -> list[Delta]:
        end = delta.final
        call = None if not end or end.finish_reason in CUT_SHORT else self._call(delta)
        held = self._released()
        if call is None or end is None:
            return [Delta(text=held), replace(delta, text="")] if held else [delta]
        piece = ToolCallDelta(0, self._mint(), call.name, call.arguments)
        return [
            Delta(tool_calls=(piece,)),
            replace(delta, text="", final=replace(end, finish_reason="tool_calls")),
        ]

    def _call(self, delta: Delta) -> ToolCall | None:
        return None if delta.tool_calls else _leaked(self._held, self._names)

    def _released(self) -> str:
        held, self._held, self._open = self._held, "", False
        return held


def _leaked(text: str, names: frozenset[str]) -> ToolCall | None:
    """The call that the whole of a text is: marker, name of a tool, JSON object."""
    text = text.strip()
    if not text.startswith(_MARKER):
        return None
    name, _, arguments = text[len(_MARKER) :].strip().partition("\n")
    if name.strip() not in names or not is_object(arguments):
        return None
    return ToolCall("", name.strip(), arguments.strip())


def _may_be_leaked(text: str, names: frozenset[str]) -> bool:
    """Whether a text may be the beginning of a leaked call."""
    text = text.lstrip()
    if len(text) <= len(_MARKER):
        return _MARKER.startswith(text)
    if not text.startswith(_MARKER):
        return False
    name, line_end, arguments = text[len(_MARKER) :].lstrip().partition("\n")
    if not line_end:
        return any(known.startswith(name.strip()) for known in names)
    return name.strip() in names and arguments.lstrip()[:1] in {"", "{"}
