"""Tool calls between the service, whose ids repeat, and frameworks, which need them unique.

Coming in, a call gets an id that is unique over the conversation (D3). Going out, calls and
results are put into the order and under the ids that the service can match (D4, D5).
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from uuid import NAMESPACE_URL, uuid4, uuid5

from yandex_compat.completion import (
    CUT_SHORT,
    Completion,
    CompletionRequest,
    FinishReason,
    ToolCallDelta,
)
from yandex_compat.errors import ConfigurationError, MalformedAnswer, ToolChoiceIgnored
from yandex_compat.jsontext import GrowingText, SurrogateJoiner, decode_object, encode, is_strict
from yandex_compat.messages import ImagePart, Message, TextPart, ToolCall
from yandex_compat.tool_names import ToolNames

_MINTED = re.compile(r"ycall_[0-9a-f]{32}")

MAX_ARGUMENTS = 10 * 1024 * 1024
"""Characters of one streamed call's arguments: no model's context has room for half as many.

Arguments that go on for ever would otherwise take all memory, a small piece at a time.
"""
MAX_CALLS = 1_000
"""Calls of one streamed answer: a hostile one of small pieces would take twenty times its size."""
NO_RESULT = "Error: this call was not run, so there is no result."


def mint_id() -> str:
    """A new call id, recognised by `is_minted`."""
    return f"ycall_{uuid4().hex}"


def minting_for(completion_id: str) -> Callable[[], str]:
    """Mints the ids of a stored completion's calls, the same each time it is told."""
    numbers = count()
    return lambda: f"ycall_{uuid5(NAMESPACE_URL, f'{completion_id}#{next(numbers)}').hex}"


def is_minted(call_id: str) -> bool:
    """Whether an id is one of ours, which the service has never seen."""
    return _MINTED.fullmatch(call_id) is not None


def call_of(call_id: str, name: str, arguments: Mapping[str, object]) -> ToolCall:
    """A call whose arguments are at hand; ConfigurationError where they have no JSON form."""
    try:
        return ToolCall(call_id, name, encode(arguments).decode())
    except (RecursionError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"The arguments of the call {name!r} have no JSON form ({error})."
        ) from None


class CallIds:
    """Gives each call of one answer an id that is unique over the conversation (D3).

    The service's own id is kept unless it is empty, is the function's name (WIRE A2), or is taken
    already in this answer or in the conversation before it.
    """

    __slots__ = ("_mint", "_taken")

    def __init__(self, history: Iterable[Message], mint: Callable[[], str] = mint_id) -> None:
        self._taken = {call.id for message in history for call in message.tool_calls}
        self._mint = mint

    def assign(self, server_id: str | None, name: str) -> str:
        """The id for the next call."""
        kept = server_id and server_id != name and server_id not in self._taken
        call_id = server_id if server_id and kept else self._mint()
        self._taken.add(call_id)
        return call_id


@dataclass(slots=True)
class _OpenCall:
    """A call that is not given out to its end."""

    index: int
    arguments: GrowingText = field(default_factory=GrowingText)
    name: str = ""
    server_id: str = ""
    custom: bool = False
    announced: bool = False


class ToolCallAssembler:
    """Turns a stream's pieces of tool calls into deltas with one id, name and index each.

    A piece begins a new call where its index is new, or where it has a name or an id of its own
    while the open call of that index already has whole arguments: some servers number every call
    0, others repeat id and name in every piece. Within one event, a name given again without an
    id of its own begins a new call even where there are no arguments to tell.
    """

    __slots__ = ("_calls", "_ids", "_joiners", "_named", "_names", "_open")

    def __init__(self, ids: CallIds, names: ToolNames) -> None:
        self._ids, self._names = ids, names
        self._calls: list[_OpenCall] = []
        self._open: dict[int, _OpenCall] = {}
        self._joiners: dict[int, SurrogateJoiner] = defaultdict(SurrogateJoiner)
        self._named: set[int] = set()

    def begin_event(self) -> None:
        """Say that the pieces to come stand in another event of the stream."""
        self._named.clear()

    def feed(
        self,
        index: int | None,
        server_id: str | None,
        name: str | None,
        arguments: str | None,
        *,
        custom: bool = False,
    ) -> ToolCallDelta | None:
        """The delta of one piece; None while the call's name has yet to come.

        Raises MalformedAnswer for a call whose arguments grow beyond MAX_ARGUMENTS, and for one
        more than MAX_CALLS.
        """
        key = index or 0
        call = self._open.get(key)
        named_again = bool(name) and key in self._named
        if call is None or self._begins_another(call, server_id, name, arguments, named_again):
            if len(self._calls) == MAX_CALLS:
                raise MalformedAnswer(
                    f"The answer holds more than {MAX_CALLS} tool calls. Ask again; max_tokens "
                    f"bounds what a model writes."
                )
            call = self._open[key] = _OpenCall(index=len(self._calls))
            self._calls.append(call)
        if name:
            self._named.add(key)
        text = self._joiners[call.index].feed(arguments or "")
        call.arguments.add(text)
        if call.arguments.length > MAX_ARGUMENTS:
            raise MalformedAnswer(
                f"The arguments of a call of {(call.name or name or '')!r} are longer than "
                f"{MAX_ARGUMENTS} characters. Ask again; max_tokens bounds what a model writes."
            )
        call.custom = call.custom or custom
        if call.announced:
            return ToolCallDelta(call.index, None, None, text, call.custom) if text else None
        call.name = name or call.name
        call.server_id = server_id or call.server_id
        return self._announced(call) if call.name else None

    def close(self) -> list[ToolCallDelta]:
        """Calls that never got a name, given out all the same: nothing is dropped."""
        return [self._announced(call) for call in self._calls if not call.announced]

    def _announced(self, call: _OpenCall) -> ToolCallDelta:
        call.announced = True
        call_id = self._ids.assign(call.server_id, call.name)
        name = self._names.own(call.name)
        return ToolCallDelta(call.index, call_id, name, call.arguments.text, call.custom)

    @staticmethod
    def _begins_another(
        call: _OpenCall,
        server_id: str | None,
        name: str | None,
        arguments: str | None,
        named_again: bool,
    ) -> bool:
        if not (server_id or name):
            return False
        begun = not call.arguments.is_blank
        if begun and not (call.custom or call.arguments.is_object):
            return False
        if named_again and server_id in {None, "", name}:
            return True
        other_id = bool(server_id) and server_id != call.server_id
        if not begun:
            return other_id and bool(name) and call.announced
        other_name = bool(name) and bool(call.name) and name != call.name
        # Free text may go on for ever, so that more of it tells nothing.
        return other_id or other_name or (not call.custom and bool((arguments or "").strip()))


def refuse_ignored_choice(
    request: CompletionRequest, reason: FinishReason | None, *, called: bool
) -> None:
    """Raise ToolChoiceIgnored where a call was required and a finished answer has none (D8).

    An agent would take the text for the end of its work, or ask again for ever.
    """
    choice = request.tool_choice
    if choice is None or choice.mode in {"auto", "none"} or called or reason in CUT_SHORT:
        return
    asked = f"a call of {choice.name!r}" if choice.name else "a tool call"
    raise ToolChoiceIgnored(
        f"tool_choice asked for {asked}, and the model answered without one. Take another model, "
        f"leave tool_choice to auto, or ask for JSON of a schema instead (response_format, the "
        f"method json_schema of structured output)."
    )


def trimmed(completion: Completion) -> Completion:
    """An answer with its first call only; the others are listed as trimmed (D8)."""
    return replace(
        completion,
        tool_calls=completion.tool_calls[:1],
        trimmed_tool_calls=completion.tool_calls[1:],
    )


def for_server(messages: Sequence[Message], *, calls_by_name: bool) -> list[Message]:
    """The conversation as it goes out: ids the service issued, each call beside its result.

    A list that would hold one id twice, or one function twice where `calls_by_name`, becomes
    several rounds of calls and results. Results stand in the order of their calls. A call without
    a result gets an error text, a result without a call becomes user text (D4, D5).
    """
    results = _results(messages)
    answered = set(results.values())
    outgoing: list[Message] = []
    for position, message in enumerate(messages):
        if message.tool_calls:
            own = [results.get((position, n)) for n in range(len(message.tool_calls))]
            found = [None if at is None else messages[at] for at in own]
            outgoing.extend(_rounds(message, found, calls_by_name))
        elif position not in answered:
            outgoing.append(_orphan(message) if message.role == "tool" else message)
    return outgoing


def _results(messages: Sequence[Message]) -> dict[tuple[int, int], int]:
    """Where each call's result stands: (message, call) to the place of the tool message.

    Where an id stands for several calls, the newest message that made one counts, and in it the
    first call that has no result yet. A result without an id is matched by its function's name.
    """
    results: dict[tuple[int, int], int] = {}
    waiting: list[tuple[int, int, ToolCall]] = []
    for place, message in enumerate(messages):
        waiting += [(place, number, call) for number, call in enumerate(message.tool_calls)]
        if message.role != "tool":
            continue
        fitting = [entry for entry in waiting if _answers(message, entry[2])]
        if fitting:
            newest = max(entry[0] for entry in fitting)
            entry = next(entry for entry in fitting if entry[0] == newest)
            waiting.remove(entry)
            results[entry[:2]] = place
    return results


def _answers(result: Message, call: ToolCall) -> bool:
    if result.tool_call_id:
        return result.tool_call_id == call.id
    return result.name == call.name


def _rounds(
    message: Message, results: Sequence[Message | None], calls_by_name: bool
) -> Iterator[Message]:
    """The message's calls and results, as many rounds as repeated ids or names ask for."""
    said = message
    for numbers in _without_repeats(message.tool_calls, calls_by_name):
        calls = [_outgoing(message.tool_calls[number]) for number in numbers]
        yield replace(said, tool_calls=tuple(calls))
        for call, number in zip(calls, numbers, strict=True):
            yield _result(call, results[number])
        said = replace(said, content="", refusal="", audio_id=None)


def _without_repeats(calls: Sequence[ToolCall], calls_by_name: bool) -> list[list[int]]:
    rounds: list[list[int]] = [[]]
    seen: set[tuple[str, str]] = set()
    for number, call in enumerate(calls):
        marks = {("id", _server_id(call))} | ({("name", call.name)} if calls_by_name else set())
        if marks & seen:
            rounds.append([])
            seen.clear()
        rounds[-1].append(number)
        seen |= marks
    return rounds


def _server_id(call: ToolCall) -> str:
    return call.name if is_minted(call.id) or not call.id else call.id


def _outgoing(call: ToolCall) -> ToolCall:
    arguments = call.arguments if call.custom else _object_text(call.arguments)
    return replace(call, id=_server_id(call), arguments=arguments)


def _object_text(arguments: str) -> str:
    """Arguments the service can read: text that is no JSON object is wrapped in one."""
    if not arguments.strip():
        return "{}"
    value = decode_object(arguments)
    if value is None:
        return encode({"INVALID_JSON": arguments}).decode()
    if is_strict(arguments):
        return arguments
    try:
        return encode(value).decode()
    except ValueError:  # a number that JSON has not
        return encode({"INVALID_JSON": arguments}).decode()


def _result(call: ToolCall, result: Message | None) -> Message:
    content = NO_RESULT if result is None else result.content
    return Message("tool", content, tool_call_id=call.id, name=call.name)


def _orphan(message: Message) -> Message:
    name = message.name or message.tool_call_id or "a tool"
    text = f"Result of {name}: {message.text}"
    images = tuple(part for part in message.content if isinstance(part, ImagePart))
    return Message("user", (TextPart(text), *images) if images else text)
