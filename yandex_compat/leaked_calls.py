"""Calls that a model wrote into its text, and that are made calls again (WIRE A13, D6)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from yandex_compat.completion import (
    CUT_SHORT,
    Completion,
    CompletionRequest,
    Delta,
    StreamEnd,
    ToolCallDelta,
)
from yandex_compat.jsontext import is_object
from yandex_compat.messages import ToolCall
from yandex_compat.tool_calls import mint_id
from yandex_compat.tool_names import ToolNames
from yandex_compat.tools import Tool

_MARKER = "[TOOL_CALL_START]"
# Marker, name, and some whitespace: a model that writes nothing else (WIRE B9) is not waited for.
_LONGEST_OPENING = 200


def callable_names(request: CompletionRequest) -> Mapping[str, str]:
    """The functions that a leaked call may name, as they went out or by their own names.

    There are none where none may be called.
    """
    choice = request.tool_choice
    if not request.recover_leaked_calls or (choice and choice.mode == "none"):
        return {}
    own = {tool.name for tool in request.tools if isinstance(tool, Tool)}
    if choice and choice.mode == "tool":
        own &= {choice.name or ""}
    elif choice and choice.allowed:
        own &= set(choice.allowed)
    if not own:
        return {}
    names = ToolNames(request)
    # A prompt may have told the model the names that its user knows.
    return {name: name for name in own} | {names.sent(name): name for name in own}


def with_leaked_call(
    completion: Completion, names: Mapping[str, str], mint: Callable[[], str] = mint_id
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

    __slots__ = ("_called", "_held", "_mint", "_names", "_open", "_sure")

    def __init__(self, names: Mapping[str, str], mint: Callable[[], str] = mint_id) -> None:
        self._names, self._mint = names, mint
        self._held: list[str] = []
        self._open = True
        self._sure = False
        self._called = False

    def feed(self, deltas: Iterable[Delta]) -> list[Delta]:
        """The deltas to give out."""
        return [given for delta in deltas for given in self._filtered(delta)]

    def _filtered(self, delta: Delta) -> list[Delta]:
        self._called = self._called or bool(delta.tool_calls)
        if delta.replaces_text:
            self._held, self._sure = [], False
            self._open = not self._called
        if not self._open:
            return [delta]
        if delta.filtered:
            return [replace(delta, text=self._released() + delta.text)]
        self._held.append(delta.text)
        if delta.final:
            return self._ended(delta, delta.final)
        if delta.tool_calls or not self._may_be_leaked():
            return [replace(delta, text=self._released())]
        rest = replace(delta, text="")
        return [] if rest.is_empty else [rest]

    def _may_be_leaked(self) -> bool:
        # Once the arguments have begun, only the end can tell: to look again at each delta of long
        # ones would take time that grows with their square.
        if self._sure:
            return True
        text = "".join(self._held)
        begun = _has_begun(text, self._names)
        self._sure = begun is True
        return self._sure or (begun is None and len(text) <= _LONGEST_OPENING)

    def _ended(self, delta: Delta, end: StreamEnd) -> list[Delta]:
        held = self._released()
        cut = bool(delta.tool_calls) or end.finish_reason in CUT_SHORT
        call = None if cut else _leaked(held, self._names)
        if call is None:
            return [Delta(text=held), replace(delta, text="")] if held else [delta]
        piece = ToolCallDelta(0, self._mint(), call.name, call.arguments)
        ended = replace(end, finish_reason="tool_calls")
        return [Delta(tool_calls=(piece,)), replace(delta, text="", final=ended)]

    def _released(self) -> str:
        held, self._held, self._open = "".join(self._held), [], False
        return held


def _leaked(text: str, names: Mapping[str, str]) -> ToolCall | None:
    """The call that the whole of a text is: marker, name of a tool, JSON object."""
    text = text.strip()
    if not text.startswith(_MARKER):
        return None
    name, _, arguments = text[len(_MARKER) :].strip().partition("\n")
    if name.strip() not in names or not is_object(arguments):
        return None
    return ToolCall("", names[name.strip()], arguments.strip())


def _has_begun(text: str, names: Mapping[str, str]) -> bool | None:
    """Whether a text begins as a leaked call, as far as its arguments; None while it may yet."""
    text = text.lstrip()
    if len(text) <= len(_MARKER):
        return None if _MARKER.startswith(text) else False
    if not text.startswith(_MARKER):
        return False
    name, line_end, arguments = text[len(_MARKER) :].lstrip().partition("\n")
    if not line_end:
        return None if any(known.startswith(name.strip()) for known in names) else False
    if name.strip() not in names:
        return False
    return arguments.lstrip()[0] == "{" if arguments.strip() else None
