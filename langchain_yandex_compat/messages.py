"""Every mapping between LangChain's messages and results and the core's."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    InvalidToolCall,
    SystemMessage,
    ToolCall,
    ToolCallChunk,
    ToolMessage,
)
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.json import parse_partial_json

from yandex_compat import (
    Accumulator,
    Completion,
    Delta,
    ImagePart,
    Message,
    StreamEnd,
    TextPart,
    ToolCallDelta,
    UnsupportedError,
    Usage,
)
from yandex_compat import ToolCall as NeutralCall
from yandex_compat.completion import CUT_SHORT
from yandex_compat.messages import Part, Role, content_of
from yandex_compat.tool_calls import call_of

PROVIDER = "yandex"

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
}

_WRONG_ENDS = ("]", "}", '"]', '"}', '\\"]', '\\"}', "0]", "0}", "]]}}")

# What an AI message's content repeats of its tool_calls, and thoughts, which do not go back (A15).
_NOT_SENT_BACK = {
    "function_call", "invalid_tool_call", "non_standard", "reasoning", "redacted_thinking",
    "thinking", "tool_call", "tool_call_chunk", "tool_use",
}  # fmt: skip

# Where the blocks of calls hold their id, name and arguments.
_CALL_BLOCKS = {
    "tool_use": ("id", "name", "input"),
    "tool_call": ("id", "name", "args"),
    "function_call": ("call_id", "name", "arguments"),
}


def to_neutral(messages: Iterable[BaseMessage]) -> tuple[Message, ...]:
    """The conversation in the core's terms; UnsupportedError for what has no place there."""
    return tuple(neutral for message in messages for neutral in _neutral(message))


def _neutral(message: BaseMessage) -> Iterator[Message]:
    match message:
        case HumanMessage():
            yield from _human(message)
        case AIMessage():
            parts = [part for block in _blocks(message) for part in _ai_parts(block)]
            if all(isinstance(part, TextPart) for part in parts):
                # One text, though cut into blocks where it cites: its lines are its own.
                parts = [
                    TextPart("".join(part.text for part in parts if isinstance(part, TextPart)))
                ]
            yield Message(
                "assistant", content_of(parts), tool_calls=_calls(message), name=message.name
            )
        case SystemMessage():
            yield Message("system", content_of(map(_part, _blocks(message))), name=message.name)
        case ToolMessage():
            yield _tool_result(message, message.tool_call_id, message.status == "error")
        case FunctionMessage():
            yield _tool_result(message, None)
        case ChatMessage() if message.role in _ROLES:
            role = _ROLES[message.role]
            yield Message(role, content_of(map(_part, _blocks(message))), name=message.name)
        case ChatMessage():
            raise UnsupportedError(
                f"A ChatMessage has the role {message.role!r}; use one of {', '.join(_ROLES)}."
            )
        case _:
            raise UnsupportedError(
                f"{type(message).__name__} can't be sent: use HumanMessage, AIMessage, "
                f"SystemMessage or ToolMessage."
            )


def _human(message: HumanMessage) -> Iterator[Message]:
    """A user message; Anthropic-style results inside it come first, as messages of their own."""
    parts: list[Part] = []
    for block in _blocks(message):
        if isinstance(block, dict) and block.get("type") == "tool_result":
            given = map(_part, _as_list(block.get("content") or ""))
            content = _marked(given, failed=bool(block.get("is_error")))
            yield Message("tool", content, tool_call_id=block.get("tool_use_id"))
        else:
            parts.append(_part(block))
    if parts or not message.content:
        yield Message("user", content_of(parts), name=message.name)


def _tool_result(
    message: ToolMessage | FunctionMessage, call_id: str | None, failed: bool = False
) -> Message:
    content = _marked(map(_part, _blocks(message)), failed=failed)
    return Message("tool", content, tool_call_id=call_id, name=message.name)


def _marked(parts: Iterable[Part], *, failed: bool) -> str | tuple[Part, ...]:
    """A result's content; the service has no place for a status, so a failure reads as one."""
    content = content_of(parts)
    if not failed:
        return content
    if isinstance(content, tuple):
        return (TextPart("Error:"), *content)
    return content if content.lower().startswith("error") else f"Error: {content}"


def _calls(message: AIMessage) -> tuple[NeutralCall, ...]:
    calls = [
        call_of(call.get("id") or "", call["name"], call["args"]) for call in message.tool_calls
    ]
    invalid = [
        NeutralCall(call.get("id") or "", call.get("name") or "", call.get("args") or "")
        for call in message.invalid_tool_calls
    ]
    listed = (*calls, *invalid)
    ids = {call.id for call in listed}
    beside = [call for block in _blocks(message) if (call := _call_block(block))]
    return (*listed, *(call for call in beside if (call.id not in ids if call.id else not listed)))


def _call_block(block: str | dict[str, Any]) -> NeutralCall | None:
    """A call that another provider wrote into the content, and its message need not list."""
    words = _CALL_BLOCKS.get(block.get("type", "")) if isinstance(block, dict) else None
    if words is None or isinstance(block, str):
        return None
    call_id, name, arguments = (block.get(word) for word in words)
    if not isinstance(name, str):
        raise UnsupportedError(f"A content block of type {block['type']!r} names no tool.")
    if isinstance(arguments, str):
        return NeutralCall(call_id or "", name, arguments)
    return call_of(call_id or "", name, arguments or {})


def _blocks(message: BaseMessage) -> Sequence[str | dict[str, Any]]:
    return _as_list(message.content)


def _as_list(content: str | list[Any]) -> Sequence[str | dict[str, Any]]:
    if isinstance(content, str):
        return [content] if content else []
    return content


def _ai_parts(block: str | dict[str, Any]) -> Iterator[Part]:
    if isinstance(block, dict) and block.get("type") in _NOT_SENT_BACK:
        return
    yield _part(block)


def _part(block: str | dict[str, Any]) -> Part:
    """One content block; keys that only other providers know, such as cache_control, are left."""
    if isinstance(block, str):
        return TextPart(block)
    match block:
        case {"type": "text" | "text-plain", "text": str(text)}:
            return TextPart(text)
        case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
            return ImagePart(url)
        case {"type": "image", "base64": str(data), "mime_type": str(media)}:
            return ImagePart(f"data:{media};base64,{data}")
        case {"type": "image", "url": str(url)}:
            return ImagePart(url)
        case {"type": "image", "source": {"data": str(data), "media_type": str(media)}}:
            return ImagePart(f"data:{media};base64,{data}")
        case {"type": "image", "source": {"url": str(url)}}:
            return ImagePart(url)
    raise UnsupportedError(
        f"A content block of type {block.get('type')!r} with the keys {sorted(block)} can't be "
        f"sent: the service takes text, and images as base64."
    )


def from_completion(completion: Completion, asked_model: str) -> ChatResult:
    """LangChain's result of a whole answer."""
    calls, invalid = _parsed(completion)
    message = AIMessage(
        content=completion.text,
        additional_kwargs=_extras(completion.reasoning, completion.refusal),
        tool_calls=calls,
        invalid_tool_calls=invalid,
        usage_metadata=_usage(completion.usage),
        response_metadata=_metadata(completion, asked_model),
    )
    info = {"finish_reason": completion.finish_reason}
    return ChatResult(
        generations=[ChatGeneration(message=message, generation_info=info)],
        llm_output={
            "model_name": completion.model or asked_model,
            "token_usage": _token_usage(completion.usage),
        },
    )


class ChunkMapper:
    """Maps the deltas of one stream to LangChain's chunks.

    Chunks can only append: a refusal that replaces text already given out goes to
    `additional_kwargs["refusal"]` (D10). LangChain completes the arguments of a call that was cut
    short, and agents run it: a last piece makes such a call an invalid one (T13).
    """

    def __init__(self, asked_model: str) -> None:
        self._asked_model = asked_model
        self._has_text = False
        self._received = Accumulator()

    def chunk(self, delta: Delta) -> ChatGenerationChunk:
        """The chunk of one delta; what is reported once stands on the last."""
        text, refusal = delta.text, delta.refusal
        if delta.replaces_text and self._has_text:
            text, refusal = "", delta.text
        self._has_text = self._has_text or bool(text)
        if delta.tool_calls:
            self._received.add(delta)
        end = delta.final
        message = AIMessageChunk(
            content=text,
            additional_kwargs=_extras(delta.reasoning, refusal),
            tool_call_chunks=[_piece(piece) for piece in delta.tool_calls]
            + (self._breaking_pieces(end) if end else []),
            usage_metadata=_usage(end.usage) if end else None,
            response_metadata=(
                _metadata(end, self._asked_model) if end else {"model_provider": PROVIDER}
            ),
        )
        info = {"finish_reason": end.finish_reason} if end else None
        return ChatGenerationChunk(message=message, generation_info=info)

    def _breaking_pieces(self, end: StreamEnd) -> list[ToolCallChunk]:
        """A piece for each call whose arguments are no object, so that no parser mends them."""
        cut = end.finish_reason in CUT_SHORT
        return [
            _piece(ToolCallDelta(index, None, None, _breaking(call.arguments)))
            for index, call in enumerate(self._received.tool_calls)
            if call.parsed_arguments is None and (call.arguments.strip() or cut)
        ]


def _piece(piece: ToolCallDelta) -> ToolCallChunk:
    return ToolCallChunk(
        name=piece.name,
        args=piece.arguments,
        id=piece.id,
        index=piece.index,
        type="tool_call_chunk",
    )


def _breaking(arguments: str) -> str:
    """What, put behind arguments cut short, no parser takes for their end."""
    return next(end for end in _WRONG_ENDS if not _is_mended(arguments + end))


def _is_mended(arguments: str) -> bool:
    try:
        return isinstance(parse_partial_json(arguments), dict)
    except ValueError:
        return False


def _parsed(completion: Completion) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    calls: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for call in completion.tool_calls:
        arguments = call.parsed_arguments
        if arguments is not None:
            calls.append(ToolCall(name=call.name, args=arguments, id=call.id, type="tool_call"))
        else:
            invalid.append(
                InvalidToolCall(
                    name=call.name,
                    args=call.arguments,
                    id=call.id,
                    error="The arguments are no JSON object.",
                    type="invalid_tool_call",
                )
            )
    return calls, invalid


def _extras(reasoning: str, refusal: str) -> dict[str, Any]:
    extras = {"reasoning_content": reasoning, "refusal": refusal}
    return {word: text for word, text in extras.items() if text}


def _metadata(answer: Completion | StreamEnd, asked_model: str) -> dict[str, Any]:
    metadata = {
        "model_provider": PROVIDER,
        "model_name": answer.model or asked_model,
        "finish_reason": answer.finish_reason,
        "id": answer.id,
        "system_fingerprint": answer.system_fingerprint,
        "request_id": answer.request_id,
        "trimmed_tool_calls": [
            {"name": call.name, "args": call.arguments, "id": call.id}
            for call in answer.trimmed_tool_calls
        ]
        or None,
    }
    return {word: value for word, value in metadata.items() if value is not None}


def _usage(usage: Usage | None) -> UsageMetadata | None:
    if usage is None:
        return None
    metadata = UsageMetadata(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
    )
    if usage.cached_tokens is not None:
        metadata["input_token_details"] = InputTokenDetails(cache_read=usage.cached_tokens)
    if usage.reasoning_tokens is not None:
        metadata["output_token_details"] = OutputTokenDetails(reasoning=usage.reasoning_tokens)
    return metadata


def _token_usage(usage: Usage | None) -> dict[str, int]:
    if usage is None:
        return {}
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
