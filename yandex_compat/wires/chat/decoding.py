"""A whole chat answer, and what its parts share with a streamed one (WIRE A1, A2, A6, A7, A16)."""

from collections.abc import Callable, Mapping
from typing import Any

from yandex_compat import jsontext
from yandex_compat.completion import (
    CUT_SHORT,
    Citation,
    Completion,
    CompletionRequest,
    Logprobs,
    Usage,
)
from yandex_compat.errors import MalformedAnswer
from yandex_compat.messages import ToolCall
from yandex_compat.tool_calls import CallIds, mint_id
from yandex_compat.tool_names import ToolNames
from yandex_compat.wires.values import (
    WRONG_SHAPE,
    body_of,
    count_or_none,
    joined,
    misshapen,
    text_or_none,
)


def decode(
    data: bytes, request: CompletionRequest, *, mint: Callable[[], str] = mint_id
) -> Completion:
    """A whole answer; MalformedAnswer where it has no choice, APIError where it is an error."""
    body = body_of("The answer", data)
    try:
        return completion_of(body, CallIds(request.messages, mint), ToolNames(request))
    except WRONG_SHAPE as error:
        raise misshapen("The answer", error, data) from None


def completion_of(body: Mapping[str, Any], ids: CallIds, names: ToolNames) -> Completion:
    """The completion of the first choice, with the others as its alternatives."""
    first, *others = [_of_choice(body, choice, ids, names) for choice in body["choices"]]
    for other in others:
        other.usage = None  # it counts the tokens of all, and stands with the first
    first.alternatives = tuple(others)
    return first


def _of_choice(
    body: Mapping[str, Any], choice: Mapping[str, Any], ids: CallIds, names: ToolNames
) -> Completion:
    message = choice["message"]
    reason = text_or_none(choice.get("finish_reason"))
    nothing = "" if reason in CUT_SHORT else "{}"
    return Completion(
        text=joined(message.get("content")),
        reasoning=joined(message.get("reasoning_content")),
        refusal=joined(message.get("refusal")),
        tool_calls=tuple(_call(call, ids, names, nothing) for call in calls_of(message)),
        annotations=citations(message) if message.get("annotations") else (),
        logprobs=logprobs_of(choice) if choice.get("logprobs") else None,
        audio=dict(message["audio"]) if message.get("audio") else None,
        finish_reason=reason,
        usage=usage_of(body),
        model=text_or_none(body.get("model")),
        id=text_or_none(body.get("id")),
        system_fingerprint=text_or_none(body.get("system_fingerprint")),
        service_tier=text_or_none(body.get("service_tier")),
    )


def calls_of(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The calls of a message or delta, the one of the deprecated `function_call` included (A15)."""
    calls: list[Mapping[str, Any]] = message.get("tool_calls") or []
    if function := message.get("function_call"):
        return [*calls, {"type": "function", "function": function}]
    return calls


def _call(call: Mapping[str, Any], ids: CallIds, names: ToolNames, nothing: str) -> ToolCall:
    name, arguments, custom = called(call)
    if name is None:
        raise MalformedAnswer(f"A tool call of type {call.get('type')!r} names no tool.")
    arguments = joined(arguments) or ("" if custom else nothing)
    call_id = ids.assign(text_or_none(call.get("id")), name)
    return ToolCall(call_id, names.own(name), arguments, custom)


def called(call: Mapping[str, Any]) -> tuple[str | None, str, bool]:
    """The name, the arguments and whether they are free text, of a call or a piece of one (A11).

    The type says nothing: in pieces it is empty, or missing (A4).
    """
    if custom := call.get("custom"):
        return text_or_none(custom.get("name")), text_or_none(custom.get("input")) or "", True
    function = call.get("function") or {}
    if not function and call.get("type") not in (None, "", "function", "custom"):
        raise MalformedAnswer(f"A tool call is of the unknown type {call['type']!r}.")
    return text_or_none(function.get("name")), _arguments(function.get("arguments")), False


def _arguments(arguments: object) -> str:
    """The text of arguments, which some servers send as the object itself."""
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return jsontext.encode(arguments).decode()


def citations(message: Mapping[str, Any]) -> tuple[Citation, ...]:
    """The annotations of a message or delta (A16)."""
    return tuple(_citation(annotation) for annotation in message.get("annotations") or ())


def _citation(annotation: Mapping[str, Any]) -> Citation:
    cited = annotation.get("url_citation")
    if not isinstance(cited, dict) or not isinstance(cited.get("url"), str):
        raise MalformedAnswer(f"An annotation of type {annotation.get('type')!r} cites no URL.")
    return Citation(
        cited["url"],
        text_or_none(cited.get("title")),
        count_or_none(cited.get("start_index")),
        count_or_none(cited.get("end_index")),
    )


def logprobs_of(choice: Mapping[str, Any]) -> Logprobs | None:
    """The log probabilities of a choice, lists that are null left out (A16)."""
    given = choice.get("logprobs") or {}
    return {
        word: [dict(token) for token in tokens] for word, tokens in given.items() if tokens
    } or None


def usage_of(body: Mapping[str, Any]) -> Usage | None:
    """The usage that an answer or an event reports (A1, A16)."""
    usage = body.get("usage")
    if not usage:
        return None
    asked, answered = (
        count_or_none(usage.get("prompt_tokens")),
        count_or_none(usage.get("completion_tokens")),
    )
    input_tokens, output_tokens = asked or 0, answered or 0
    of_input = usage.get("prompt_tokens_details") or {}
    of_output = usage.get("completion_tokens_details") or {}
    return Usage(
        input_tokens,
        output_tokens,
        count_or_none(usage.get("total_tokens")) or input_tokens + output_tokens,
        reasoning_tokens=count_or_none(of_output.get("reasoning_tokens")),
        cached_tokens=count_or_none(of_input.get("cached_tokens")),
        audio_input_tokens=count_or_none(of_input.get("audio_tokens")),
        audio_output_tokens=count_or_none(of_output.get("audio_tokens")),
        accepted_prediction_tokens=count_or_none(of_output.get("accepted_prediction_tokens")),
        rejected_prediction_tokens=count_or_none(of_output.get("rejected_prediction_tokens")),
    )
