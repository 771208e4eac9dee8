"""Every mapping between LangChain's messages and results and the core's."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
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
    Citation,
    Completion,
    CustomTool,
    Delta,
    ImagePart,
    Message,
    StreamEnd,
    TextPart,
    ToolCallDelta,
    UnsupportedError,
    Usage,
    jsontext,
)
from yandex_compat import ToolCall as NeutralCall
from yandex_compat.completion import CUT_SHORT
from yandex_compat.copies import Copies
from yandex_compat.messages import Part, Role, content_of
from yandex_compat.tool_calls import call_of
from yandex_compat.tools import AnyTool

PROVIDER = "yandex"

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
}

_FREE_TEXT = "__arg1"
"""What LangChain calls the one argument of a tool that takes a text."""

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


def to_neutral(
    messages: Iterable[BaseMessage], tools: Iterable[AnyTool] = ()
) -> tuple[Message, ...]:
    """The conversation in the core's terms; UnsupportedError for what has no place there.

    `tools` tell which calls were made with free text.
    """
    custom = {tool.name for tool in tools if isinstance(tool, CustomTool)}
    return tuple(
        replace(neutral, tool_calls=tuple(_as_made(call, custom) for call in neutral.tool_calls))
        if custom and neutral.tool_calls
        else neutral
        for message in messages
        for neutral in _neutral(message)
    )


def _as_made(call: NeutralCall, custom: set[str]) -> NeutralCall:
    """A call of a custom tool with the free text that it was made with (A11)."""
    if call.name not in custom:
        return call
    arguments = call.parsed_arguments or {}
    text = arguments.get(_FREE_TEXT)
    free = text if isinstance(text, str) and len(arguments) == 1 else call.arguments
    return replace(call, arguments=free, custom=True)


def _neutral(message: BaseMessage) -> Iterator[Message]:
    match message:
        case HumanMessage():
            yield from _human(message)
        case AIMessage():
            audio_id = _audio_id(message)
            refusal = message.additional_kwargs.get("refusal") or ""
            yield Message(
                "assistant",
                _standing(message, _said(message, audio_id), refusal),
                tool_calls=_calls(message),
                name=message.name,
                refusal=refusal,
                audio_id=audio_id,
            )
        case SystemMessage():
            yield Message("system", _content(message.content), name=message.name)
        case ToolMessage():
            yield _tool_result(message, message.tool_call_id, message.status == "error")
        case FunctionMessage():
            yield _tool_result(message, None)
        case ChatMessage() if message.role in _ROLES:
            role = _ROLES[message.role]
            yield Message(role, _content(message.content), name=message.name)
        case ChatMessage():
            raise UnsupportedError(
                f"A ChatMessage has the role {message.role!r}; use one of {', '.join(_ROLES)}."
            )
        case _:
            raise UnsupportedError(
                f"{type(message).__name__} can't be sent: use HumanMessage, AIMessage, "
                f"SystemMessage or ToolMessage."
            )


def _content(given: str | list[Any]) -> str | tuple[Part, ...]:
    return given if isinstance(given, str) else content_of(map(_part, given))


def _said(message: AIMessage, audio_id: str | None) -> str | tuple[Part, ...]:
    """The content of an answer, without what goes back in another place, or not at all."""
    if isinstance(message.content, str):
        return message.content
    left_out = _NOT_SENT_BACK | ({"audio"} if audio_id else set())
    parts = [
        _part(block)
        for block in message.content
        if isinstance(block, str) or block.get("type") not in left_out
    ]
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    # One text, though cut into blocks where it cites: its lines are its own.
    return "".join(texts) if len(texts) == len(parts) else content_of(parts)


def _standing(
    message: AIMessage, content: str | tuple[Part, ...], refusal: str
) -> str | tuple[Part, ...]:
    """The content of an answer, without what the service withdrew after it was given out (D10)."""
    if corrected := message.additional_kwargs.get("corrected_text"):
        return str(corrected)
    filtered = message.response_metadata.get("finish_reason") == "content_filter"
    return "" if filtered and refusal else content


def _human(message: HumanMessage) -> Iterator[Message]:
    """A user message; Anthropic-style results inside it come first, as messages of their own."""
    if isinstance(message.content, str):
        yield Message("user", message.content, name=message.name)
        return
    parts: list[Part] = []
    for block in message.content:
        if isinstance(block, dict) and block.get("type") == "tool_result":
            given = block.get("content") or ""
            content = _marked(_content(given), failed=bool(block.get("is_error")))
            yield Message("tool", content, tool_call_id=block.get("tool_use_id"))
        else:
            parts.append(_part(block))
    if parts or not message.content:
        yield Message("user", content_of(parts), name=message.name)


def _tool_result(
    message: ToolMessage | FunctionMessage, call_id: str | None, failed: bool = False
) -> Message:
    content = _marked(_content(message.content), failed=failed)
    return Message("tool", content, tool_call_id=call_id, name=message.name)


def _marked(content: str | tuple[Part, ...], *, failed: bool) -> str | tuple[Part, ...]:
    """A result's content; the service has no place for a status, so a failure reads as one."""
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
    if not (calls or invalid):
        match message.additional_kwargs.get("function_call"):
            case {"name": str(name), "arguments": str(arguments)}:
                # It answered the deprecated functions; its result is a FunctionMessage (A15).
                calls = [NeutralCall("", name, arguments)]
    listed = (*calls, *invalid)
    if isinstance(message.content, str):
        return listed
    ids = {call.id for call in listed}
    beside = [call for block in message.content if (call := _call_block(block))]
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


def _audio_id(message: AIMessage) -> str | None:
    """What an answer in sound goes back by: the service keeps the sound itself (A15)."""
    match message.additional_kwargs.get("audio"):
        case {"id": str(audio_id)}:
            return audio_id
    return None


def _part(block: str | dict[str, Any]) -> Part:
    """One content block; keys that only other providers know, such as cache_control, are left."""
    if isinstance(block, str):
        return TextPart(block)
    match block:
        case {"type": "text" | "text-plain", "text": str(text)}:
            return TextPart(text)
        case {"type": "image_url", "image_url": {"url": str(), "detail": "low" | "high"}}:
            raise UnsupportedError(
                "A content block of type 'image_url' asks for a detail, which the service does not "
                "know: leave it out."
            )
        case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
            return ImagePart(url)
        case {"type": "image", "base64": str(data), "mime_type": str(media)}:
            return ImagePart(f"data:{media};base64,{data}")
        case {"type": "image", "data": str(data), "mime_type": str(media)}:
            # LangChain's older form, which it rewrites before asking, and not before counting.
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


def from_completion(
    completion: Completion, asked_model: str, *, with_headers: bool = False
) -> ChatResult:
    """LangChain's result of a whole answer, with a generation for each alternative."""
    return ChatResult(
        generations=[
            _generation(one, asked_model, with_headers)
            for one in (completion, *completion.alternatives)
        ],
        llm_output={
            "model_name": completion.model or asked_model,
            "token_usage": _token_usage(completion.usage),
        },
    )


def _generation(completion: Completion, asked_model: str, with_headers: bool) -> ChatGeneration:
    calls, invalid = _parsed(completion)
    message = AIMessage(
        content=completion.text,
        additional_kwargs=_extras(completion, audio=completion.audio),
        tool_calls=calls,
        invalid_tool_calls=invalid,
        usage_metadata=_usage(completion.usage),
        response_metadata=(
            _metadata(completion, asked_model, with_headers) | _logprobs(completion)
        ),
    )
    info = {"finish_reason": completion.finish_reason}
    return ChatGeneration(message=message, generation_info=info)


# Nearly all chunks are a text and nothing else.
_TEXT_MESSAGES = Copies(
    AIMessageChunk(content="", response_metadata={"model_provider": PROVIDER}), "content"
)
_TEXT_CHUNKS = Copies(ChatGenerationChunk(message=AIMessageChunk(content="")), "message", "text")


class ChunkMapper:
    """Maps the deltas of one stream to LangChain's chunks.

    Chunks can only append: what replaces text already given out goes, once it is whole, to
    `additional_kwargs["refusal"]`, or to `["corrected_text"]` where it is no refusal (D10).
    LangChain completes the arguments of a call that was cut short, and agents run it: a last piece
    makes such a call an invalid one (T13).
    """

    def __init__(self, asked_model: str, *, with_headers: bool = False) -> None:
        self._asked_model, self._with_headers = asked_model, with_headers
        self._has_text = False
        self._replacement: list[str] | None = None
        self._refusal: list[str] = []
        self._received = Accumulator()
        self._free_texts: set[int] = set()

    def chunk(self, delta: Delta) -> ChatGenerationChunk:
        """The chunk of one delta; what is reported once stands on the last."""
        if delta.is_text and self._replacement is None:
            self._has_text = self._has_text or bool(delta.text)
            return _TEXT_CHUNKS.of(message=_TEXT_MESSAGES.of(content=delta.text), text=delta.text)
        text, end = self._appended(delta), delta.final
        if delta.tool_calls:
            self._received.add(delta)
        metadata: dict[str, Any] = {"model_provider": PROVIDER}
        if end:
            metadata = _metadata(end, self._asked_model, self._with_headers)
        message = AIMessageChunk(
            content=text,
            additional_kwargs=self._beside(delta),
            tool_call_chunks=[
                *map(self._piece, delta.tool_calls),
                *(self._last_pieces(end) if end else ()),
            ],
            usage_metadata=_usage(end.usage) if end else None,
            response_metadata=metadata | _logprobs(delta),
        )
        info = {"finish_reason": end.finish_reason} if end else None
        return ChatGenerationChunk(message=message, generation_info=info)

    def _appended(self, delta: Delta) -> str:
        """The text that the delta adds to what was given out."""
        if delta.replaces_text and self._has_text:
            self._replacement = []
        self._has_text = self._has_text or bool(delta.text)
        if self._replacement is None:
            return delta.text
        self._replacement.append(delta.text)
        self._refusal.append(delta.refusal)
        return ""

    def _beside(self, delta: Delta) -> dict[str, Any]:
        """What stands beside the text; on the last chunk, also what stands in its place."""
        extras, end = _extras(delta), delta.final
        if self._replacement is None:
            return extras
        extras.pop("refusal", None)  # it waits for what else is told of it
        if not end:
            return extras
        replaced, refused = "".join(self._replacement), "".join(self._refusal)
        if end.finish_reason == "content_filter":
            replaced, refused = "", "\n".join(filter(None, (replaced, refused)))
        told = {"corrected_text": replaced, "refusal": refused}
        return extras | {word: text for word, text in told.items() if text}

    def _piece(self, piece: ToolCallDelta) -> ToolCallChunk:
        arguments = piece.arguments
        if piece.custom:
            opening = "" if piece.index in self._free_texts else f'{{"{_FREE_TEXT}":"'
            self._free_texts.add(piece.index)
            arguments = opening + _inside_json(arguments)
        return _chunk(piece.index, arguments, piece.name, piece.id)

    def _last_pieces(self, end: StreamEnd) -> Iterator[ToolCallChunk]:
        """What ends the arguments of each call: nothing, a closing, or what no parser mends."""
        cut = end.finish_reason in CUT_SHORT
        calls = self._received.tool_calls
        for index, call in enumerate(calls):
            if call.custom and not (cut and call is calls[-1]):
                yield _chunk(index, '"}')
            elif call.custom:
                yield _chunk(index, _breaking(f'{{"{_FREE_TEXT}":"{_inside_json(call.arguments)}'))
            elif call.parsed_arguments is None and (call.arguments.strip() or cut):
                yield _chunk(index, _breaking(call.arguments))


def _inside_json(text: str) -> str:
    """A text as it stands between the quotes of a JSON string."""
    return jsontext.encode(text).decode()[1:-1]


def _chunk(
    index: int, arguments: str, name: str | None = None, call_id: str | None = None
) -> ToolCallChunk:
    return ToolCallChunk(name=name, args=arguments, id=call_id, index=index, type="tool_call_chunk")


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
        if call.custom:
            # Only its end tells whether free text is whole, and the last call may have lost it.
            cut = completion.finish_reason in CUT_SHORT and call is completion.tool_calls[-1]
            arguments = None if cut else {_FREE_TEXT: call.arguments}
        if arguments is not None:
            calls.append(ToolCall(name=call.name, args=arguments, id=call.id, type="tool_call"))
        else:
            invalid.append(
                InvalidToolCall(
                    name=call.name,
                    args=call.arguments,
                    id=call.id,
                    error=(
                        "The text was cut short."
                        if call.custom
                        else "The arguments are no JSON object."
                    ),
                    type="invalid_tool_call",
                )
            )
    return calls, invalid


def _extras(
    answer: Completion | Delta,
    *,
    audio: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    extras = {
        "reasoning_content": answer.reasoning,
        "refusal": answer.refusal,
        "annotations": [_annotation(citation) for citation in answer.annotations],
        "audio": dict(audio or {}),
    }
    return {word: value for word, value in extras.items() if value}


def _annotation(citation: Citation) -> dict[str, Any]:
    """LangChain's standard citation."""
    words = {
        "type": "citation",
        "url": citation.url,
        "title": citation.title,
        "start_index": citation.start_index,
        "end_index": citation.end_index,
    }
    return {word: value for word, value in words.items() if value is not None}


def _logprobs(answer: Completion | Delta) -> dict[str, Any]:
    return {"logprobs": answer.logprobs} if answer.logprobs else {}


def _metadata(
    answer: Completion | StreamEnd, asked_model: str, with_headers: bool
) -> dict[str, Any]:
    metadata = {
        "model_provider": PROVIDER,
        "model_name": answer.model or asked_model,
        "finish_reason": answer.finish_reason,
        "id": answer.id,
        "system_fingerprint": answer.system_fingerprint,
        "service_tier": answer.service_tier,
        "model_version": answer.model_version,
        "request_id": answer.request_id,
        "operation_id": answer.operation_id if isinstance(answer, Completion) else None,
        "headers": dict(answer.headers) if with_headers else None,
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
    of_input = _reported(cache_read=usage.cached_tokens, audio=usage.audio_input_tokens)
    of_output = _reported(
        reasoning=usage.reasoning_tokens,
        audio=usage.audio_output_tokens,
        accepted_prediction=usage.accepted_prediction_tokens,
        rejected_prediction=usage.rejected_prediction_tokens,
    )
    if of_input:
        metadata["input_token_details"] = InputTokenDetails(**of_input)  # type: ignore[typeddict-item]
    if of_output:
        metadata["output_token_details"] = OutputTokenDetails(**of_output)  # type: ignore[typeddict-item]
    return metadata


def _reported(**details: int | None) -> dict[str, int]:
    """The details that were reported: LangChain adds usages up, and knows no None (T10)."""
    return {word: tokens for word, tokens in details.items() if tokens is not None}


def _token_usage(usage: Usage | None) -> dict[str, int]:
    if usage is None:
        return {}
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
