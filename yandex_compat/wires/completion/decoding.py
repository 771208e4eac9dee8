"""A whole native answer, and what its parts share with a streamed one (WIRE B3-B5, B7)."""

from collections.abc import Callable, Mapping
from typing import Any

from yandex_compat import jsontext
from yandex_compat.completion import (
    CUT_SHORT,
    Completion,
    CompletionRequest,
    FinishReason,
    Usage,
)
from yandex_compat.errors import MalformedAnswer
from yandex_compat.integers import with_integers
from yandex_compat.messages import ToolCall
from yandex_compat.tool_calls import CallIds, mint_id
from yandex_compat.tool_names import ToolNames
from yandex_compat.tools import Tool
from yandex_compat.wires.values import (
    WRONG_SHAPE,
    body_of,
    count_or_none,
    joined,
    misshapen,
    text_or_none,
)

PARTIAL = "ALTERNATIVE_STATUS_PARTIAL"
"""The status of an answer that goes on."""
UNSPECIFIED = "ALTERNATIVE_STATUS_UNSPECIFIED"
"""The status of which nothing was said (B9)."""
REASONS: Mapping[str, FinishReason] = {
    "ALTERNATIVE_STATUS_FINAL": "stop",
    "ALTERNATIVE_STATUS_TRUNCATED_FINAL": "length",
    "ALTERNATIVE_STATUS_CONTENT_FILTER": "content_filter",
    "ALTERNATIVE_STATUS_TOOL_CALLS": "tool_calls",
}
"""The finish reasons that the statuses of ended answers stand for (B7)."""


def reason_of(status: str | None) -> FinishReason | None:
    """The finish reason that a status stands for; an unknown one is its own (D10)."""
    return None if status in (None, "", UNSPECIFIED) else REASONS.get(status, status)


def decode(
    data: bytes, request: CompletionRequest, *, mint: Callable[[], str] = mint_id
) -> Completion:
    """A whole answer, wrapped in `result` or not, or in an operation's `response` (B5).

    Raises MalformedAnswer where it has no alternative, APIError where it is an error.
    """
    calls = Calls(request, mint)
    body = body_of("The answer", data)
    try:
        answer = unwrapped(body)
        first, *others = [_completion(answer, one, calls) for one in answer["alternatives"]]
    except WRONG_SHAPE as error:
        raise misshapen("The answer", error, data) from None
    for other in others:
        other.usage = None  # it counts the tokens of all, and stands with the first
    first.alternatives = tuple(others)
    return first


def unwrapped(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer inside what wraps it on the wire, which the reference does not show (B5)."""
    answer: Mapping[str, Any] = body.get("result") or body.get("response") or body
    return answer


def _completion(
    answer: Mapping[str, Any], alternative: Mapping[str, Any], calls: "Calls"
) -> Completion:
    message = alternative.get("message") or {}
    status = text_or_none(alternative.get("status"))
    if status == PARTIAL:
        raise MalformedAnswer(
            "The answer is a part of one: its status says that more is to come, and nothing does. "
            "Ask again."
        )
    reason = reason_of(status)
    return Completion(
        text=joined(text_or_none(message.get("text"))),
        tool_calls=() if reason == "content_filter" else calls.of(message, reason),
        finish_reason=reason,
        usage=usage_of(answer),
        model_version=text_or_none(answer.get("modelVersion")),
    )


class Calls:
    """Reads the calls of one answer, which have no ids, and doubles for integers (B3, B4)."""

    __slots__ = ("_ids", "_names", "_schemas")

    def __init__(self, request: CompletionRequest, mint: Callable[[], str] = mint_id) -> None:
        self._ids, self._names = CallIds(request.messages, mint), ToolNames(request)
        self._schemas = {
            tool.name: tool.parameters for tool in request.tools if isinstance(tool, Tool)
        }

    def of(self, message: Mapping[str, Any], reason: FinishReason | None) -> tuple[ToolCall, ...]:
        """The calls that a message holds; one without arguments may be cut short (D6)."""
        listed = (message.get("toolCallList") or {}).get("toolCalls") or ()
        nothing = "" if reason in CUT_SHORT else "{}"
        return tuple(self._call(call["functionCall"], nothing) for call in listed)

    def _call(self, call: Mapping[str, Any], nothing: str) -> ToolCall:
        sent = call["name"]
        if not isinstance(sent, str) or not sent:
            raise TypeError("a call that names no function")
        name = self._names.own(sent)
        arguments = call.get("arguments")
        if not isinstance(arguments, dict | None):
            raise TypeError(f"arguments that are a {type(arguments).__name__}")
        repaired = with_integers(arguments or {}, self._schemas.get(name, {}))
        text = jsontext.encode(repaired).decode() if repaired else nothing
        return ToolCall(self._ids.assign(None, name), name, text)


def usage_of(answer: Mapping[str, Any]) -> Usage | None:
    """The usage that an answer or a line of a stream reports; its numbers are texts (B1, B5)."""
    usage = answer.get("usage")
    if not usage:
        return None
    input_tokens = count_or_none(usage.get("inputTextTokens")) or 0
    output_tokens = count_or_none(usage.get("completionTokens")) or 0
    details = usage.get("completionTokensDetails") or {}
    return Usage(
        input_tokens,
        output_tokens,
        count_or_none(usage.get("totalTokens")) or input_tokens + output_tokens,
        reasoning_tokens=count_or_none(details.get("reasoningTokens")),
    )
