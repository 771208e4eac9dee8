"""Names of tools between the user, who may write any, and the service, which takes few (WIRE A15).

A name of other signs than A-Z, a-z, 0-9, _ and -, or of more than 64, goes out transliterated, and
comes back as it was: frameworks look tools up by the name they know.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from yandex_compat.completion import CompletionRequest
from yandex_compat.messages import Message
from yandex_compat.tools import ToolChoice

_LONGEST = 64
_SENDABLE = re.compile(rf"[A-Za-z0-9_-]{{1,{_LONGEST}}}")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")


class ToolNames:
    """The names of one request's tools, past calls and results, one to one with what is sent."""

    __slots__ = ("_own", "_sent")

    def __init__(self, request: CompletionRequest) -> None:
        self._sent: dict[str, str] = {}
        self._own: dict[str, str] = {}
        names = dict.fromkeys(_names(request))
        if not names:
            return
        taken = {name for name in names if _SENDABLE.fullmatch(name)}
        for name in names:
            if name not in taken:
                self._sent[name] = sent = _free(sendable_name(name), taken)
                taken.add(sent)
        self._own = {sent: name for name, sent in self._sent.items()}

    def sent(self, name: str) -> str:
        """The name that goes out for a tool's own."""
        return self._sent.get(name, name)

    def own(self, name: str) -> str:
        """The tool's own name for one that came in."""
        return self._own.get(name, name)

    def outgoing(self, request: CompletionRequest) -> CompletionRequest:
        """The request with every name as it goes out."""
        if not self._sent:
            return request
        choice = request.tool_choice
        return replace(
            request,
            tools=tuple(replace(tool, name=self.sent(tool.name)) for tool in request.tools),
            tool_choice=choice and self._choice(choice),
            messages=tuple(map(self._message, request.messages)),
        )

    def _choice(self, choice: ToolChoice) -> ToolChoice:
        name = None if choice.name is None else self.sent(choice.name)
        return replace(choice, name=name, allowed=tuple(map(self.sent, choice.allowed)))

    def _message(self, message: Message) -> Message:
        if message.tool_calls:
            calls = (replace(call, name=self.sent(call.name)) for call in message.tool_calls)
            return replace(message, tool_calls=tuple(calls))
        if message.role == "tool" and message.name:
            return replace(message, name=self.sent(message.name))
        return message


def sendable_name(name: str) -> str:
    """A name of signs that the service takes, as close to the given one as they allow."""
    if not name.isascii():
        from anyascii import anyascii  # its tables are read for who needs them

        name = anyascii(name)
    return _FOREIGN.sub("_", name).strip("_")[:_LONGEST] or "unnamed"


def _names(request: CompletionRequest) -> Iterator[str]:
    for tool in request.tools:
        yield tool.name
    for message in request.messages:
        for call in message.tool_calls:
            if call.name:
                yield call.name
        if message.role == "tool" and message.name:
            yield message.name


def _free(name: str, taken: set[str]) -> str:
    """The name, with a number behind it where others have it already."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name[: _LONGEST - len(str(number)) - 1]}_{number}"
    return free
