"""Every mapping between LlamaIndex's messages and responses and the core's."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from io import IOBase
from typing import Any

from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    ChatResponse,
    CitableBlock,
    CitationBlock,
    CompletionResponse,
    DocumentBlock,
    ImageBlock,
    LogProb,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.llms.llm import ToolSelection
from pydantic import BaseModel, PrivateAttr

from yandex_compat import (
    Accumulator,
    Completion,
    Delta,
    ImagePart,
    MalformedAnswer,
    Message,
    TextPart,
    ToolCall,
    UnsupportedError,
    Usage,
)
from yandex_compat.completion import CUT_SHORT
from yandex_compat.copies import Copies
from yandex_compat.jsontext import BeginningDecoder, decode_beginning
from yandex_compat.messages import Part, Role, content_of
from yandex_compat.tool_calls import call_of

_ROLES: Mapping[MessageRole, Role] = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.CHATBOT: "assistant",
    MessageRole.TOOL: "tool",
    MessageRole.FUNCTION: "tool",
}


def to_neutral(messages: Iterable[ChatMessage]) -> tuple[Message, ...]:
    """The conversation in the core's terms; UnsupportedError for what has no place there.

    Thoughts and cache points are left out: the service takes neither back.
    """
    return tuple(map(_neutral, messages))


def _neutral(message: ChatMessage) -> Message:
    role, extras = _ROLES[message.role], message.additional_kwargs
    calls = _calls(message) if role == "assistant" else ()
    blocks: Iterable[Any] = message.blocks
    if role == "assistant":
        blocks = (block for block in blocks if not isinstance(block, ToolCallBlock))
    return Message(
        role,
        content_of(part for block in blocks for part in _parts(block, role)),
        tool_calls=calls,
        # After return_direct an agent stamps the id on its answer too, where it means nothing.
        tool_call_id=extras.get("tool_call_id") if role == "tool" else None,
        name=extras.get("name"),
    )


def _parts(block: object, role: Role) -> Iterator[Part]:
    match block:
        case TextBlock():
            yield TextPart(block.text)
        case ImageBlock():
            yield ImagePart(_image_url(block))
        case DocumentBlock():
            yield TextPart(_document_text(block))
        case CitableBlock():
            for inner in block.content:
                yield from _parts(inner, role)
        case CitationBlock():
            yield from _parts(block.cited_content, role)
        case ThinkingBlock() | CachePoint():
            return
        case _:
            kind = getattr(block, "block_type", type(block).__name__)
            raise UnsupportedError(
                f"A content block of type {kind!r} can't be sent in a message of the {role}: the "
                f"service takes text, and images from the user. Turn it into text first."
            )


def _image_url(block: ImageBlock) -> str:
    if block.detail in {"low", "high"}:
        raise UnsupportedError(
            "A content block of type 'image' asks for a detail, which the service does not know: "
            "leave it out."
        )
    if isinstance(block.image, IOBase):
        # The framework encodes bytes only.
        block.image.seek(0)
        mimetype, image = block.image_mimetype, block.image.read()
        block = ImageBlock(image=image, image_mimetype=mimetype)
    if block.url and not block.image and not block.path:
        return str(block.url)
    if not block.image_mimetype:
        raise UnsupportedError("An image of unknown kind: set the block's image_mimetype.")
    try:
        return block.inline_url()
    except (OSError, ValueError) as error:
        raise UnsupportedError(
            f"A content block of type 'image' holds no image: {error}."
        ) from None


def _document_text(block: DocumentBlock) -> str:
    mimetype = block.document_mimetype or "text/plain"
    if (block.data or block.path) and (mimetype.startswith("text/") or "json" in mimetype):
        try:
            return str(block.resolve_document().read(), "utf-8")
        except (OSError, ValueError) as error:
            raise UnsupportedError(
                f"A content block of type 'document' ({block.title}) holds no UTF-8 text: {error}."
            ) from None
    raise UnsupportedError(
        f"A content block of type 'document' ({block.title}, {mimetype}) can't be sent: the "
        f"service takes text. Give the document's text in a TextBlock."
    )


def _calls(message: ChatMessage) -> tuple[ToolCall, ...]:
    """The calls of an assistant message, from its blocks, else from where they used to be."""
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if blocks:
        return tuple(
            _call(block.tool_call_id, block.tool_name, block.tool_kwargs) for block in blocks
        )
    return tuple(map(_legacy_call, message.additional_kwargs.get("tool_calls") or ()))


def _legacy_call(call: Any) -> ToolCall:  # noqa: ANN401 -- dicts, or the classes of an SDK
    call = call.model_dump() if isinstance(call, BaseModel) else call
    function = call.get("function") if isinstance(call, dict) else None
    if isinstance(function, dict) and function.get("name"):
        return _call(call.get("id"), function["name"], function.get("arguments"))
    raise UnsupportedError(
        f"additional_kwargs['tool_calls'] holds a {type(call).__name__} that is no OpenAI tool "
        f"call: give the call as a ToolCallBlock."
    )


def _call(call_id: str | None, name: str, arguments: Mapping[str, Any] | str | None) -> ToolCall:
    if isinstance(arguments, str):
        return ToolCall(call_id or "", name, arguments)
    return call_of(call_id or "", name, arguments or {})


def from_completion(completion: Completion) -> ChatResponse:
    """LlamaIndex's response of a whole answer."""
    return ChatResponse(
        message=_message(completion),
        raw=_raw(completion),
        logprobs=_logprobs(completion),
        additional_kwargs=_reported(completion),
    )


# Nearly all responses of a stream are a text and nothing else.
_ANSWERS = Copies(ChatMessage(role=MessageRole.ASSISTANT), "blocks")
_RESPONSES = Copies(
    ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT)), "message", "delta"
)


class GrowingAnswer:
    """The answer of one stream, as LlamaIndex is given it: whole so far, after every delta."""

    __slots__ = ("_arguments", "_received", "_text")

    def __init__(self) -> None:
        self._text: str | None = ""
        self._received = Accumulator()
        self._arguments: dict[str, BeginningDecoder] = defaultdict(BeginningDecoder)

    def after(self, delta: Delta) -> ChatResponse:
        """The response after one delta: all that was received, and what the delta added.

        The last response repeats the whole answer beside what is reported once. Where a content
        filter replaces the text, `delta` is the text that replaces it.
        """
        if self._text is not None:
            if delta.is_text:
                self._text += delta.text
                message = _ANSWERS.of(blocks=[TextBlock(text=self._text)])
                return _RESPONSES.of(message=message, delta=delta.text)
            # There is more than text from here on.
            self._received.add(Delta(self._text))
            self._text = None
        self._received.add(delta)
        completion = self._received.completion()
        if delta.final:
            response = from_completion(completion)
        else:
            response = _GrowingResponse(message=_message(completion))
            response._arguments = self._arguments
        response.delta = delta.text if completion.text else delta.refusal
        if delta.reasoning:
            response.additional_kwargs["thinking_delta"] = delta.reasoning
        return response


class _GrowingResponse(ChatResponse):
    """A response of an unfinished stream; agents ask each one what its calls' arguments say."""

    _arguments: dict[str, BeginningDecoder] = PrivateAttr()


def to_completion_response(response: ChatResponse) -> CompletionResponse:
    """The response of a completion, from that of a chat."""
    return CompletionResponse(
        text=response.message.content or "",
        additional_kwargs=response.message.additional_kwargs | response.additional_kwargs,
        raw=response.raw,
        logprobs=response.logprobs,
        delta=response.delta,
    )


def to_selections(response: ChatResponse) -> list[ToolSelection]:
    """The calls of a response, arguments parsed: those of an unfinished stream as far as they go.

    Arguments that are no JSON object in the end make whatever tool fail: it never runs on them.
    """
    calls = _calls(response.message)
    if "finish_reason" not in response.additional_kwargs:
        if not isinstance(response, _GrowingResponse):
            return [
                _selection(call, call.parsed_arguments or decode_beginning(call.arguments))
                for call in calls
            ]
        so_far = response._arguments
        return [_selection(call, so_far[call.id].decode(call.arguments)) for call in calls]
    cut = response.additional_kwargs["finish_reason"] in CUT_SHORT
    return [_selection(call, _arguments(call, cut=cut)) for call in calls]


def _selection(call: ToolCall, arguments: dict[str, Any]) -> ToolSelection:
    return ToolSelection(tool_id=call.id, tool_name=call.name, tool_kwargs=arguments)


def _arguments(call: ToolCall, *, cut: bool) -> dict[str, Any]:
    arguments = call.parsed_arguments
    if arguments is not None:
        return arguments
    if not call.arguments.strip() and not cut:
        return {}
    # No function takes a second `self`, not even one of `**kwargs`, so that none runs on this; and
    # of a single word the framework would hand the value over as if it were the argument.
    return {"INVALID_JSON": call.arguments, "self": "the arguments are no JSON object"}


def _message(completion: Completion) -> ChatMessage:
    calls = completion.tool_calls
    blocks: list[Any] = [TextBlock(text=completion.text or completion.refusal)]
    if completion.reasoning:
        blocks.insert(0, ThinkingBlock(content=completion.reasoning))
    blocks += [
        ToolCallBlock(tool_call_id=call.id, tool_name=call.name, tool_kwargs=call.arguments)
        for call in calls
    ]
    # Streamed structured output looks for calls here only. They cost memory tokens, so that an
    # answer without calls must not have the key.
    extras = {"tool_calls": [_openai_call(call) for call in calls]} if calls else {}
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs=extras)


def _openai_call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _logprobs(completion: Completion) -> list[list[LogProb]] | None:
    """A list for each token: the likeliest in its place, or itself where those were not asked."""
    if not completion.logprobs:
        return None
    try:
        return [
            [
                LogProb(
                    token=one.get("token") or "",
                    logprob=one.get("logprob") or 0.0,
                    bytes=one.get("bytes") or [],
                )
                for one in token.get("top_logprobs") or [token]
            ]
            for token in completion.logprobs.get("content", ())
        ]
    except (AttributeError, TypeError, ValueError) as error:  # pydantic's is a ValueError
        kind = type(error).__name__
    raise MalformedAnswer(
        f"The answer's log probabilities have another shape than documented ({kind}): leave "
        f"logprobs out, or ask again."
    )


def _raw(completion: Completion) -> dict[str, Any]:
    """What the service reported. Without usage, its key is missing: zeros would count as none."""
    raw: dict[str, Any] = {
        "id": completion.id,
        "model": completion.model,
        "finish_reason": completion.finish_reason,
        "system_fingerprint": completion.system_fingerprint,
        "service_tier": completion.service_tier,
        "model_version": completion.model_version,
        "request_id": completion.request_id,
        "operation_id": completion.operation_id,
        "logprobs": completion.logprobs,
        "annotations": [asdict(citation) for citation in completion.annotations] or None,
        "audio": completion.audio,
    }
    if completion.usage:
        raw["usage"] = _tokens(completion.usage) | _details(completion.usage)
    return {word: value for word, value in raw.items() if value is not None}


def _details(usage: Usage) -> dict[str, Any]:
    details = {
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.audio_output_tokens,
            "accepted_prediction_tokens": usage.accepted_prediction_tokens,
            "rejected_prediction_tokens": usage.rejected_prediction_tokens,
        },
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "audio_tokens": usage.audio_input_tokens,
        },
    }
    reported = {
        side: {word: tokens for word, tokens in of_it.items() if tokens is not None}
        for side, of_it in details.items()
    }
    return {side: of_it for side, of_it in reported.items() if of_it}


def _reported(completion: Completion) -> dict[str, Any]:
    extras: dict[str, Any] = {"finish_reason": completion.finish_reason}
    if completion.usage:
        extras |= _tokens(completion.usage)
    if completion.refusal:
        extras["refusal"] = completion.refusal
    if completion.trimmed_tool_calls:
        calls = completion.trimmed_tool_calls
        extras["trimmed_tool_calls"] = [_openai_call(call) for call in calls]
    return extras


def _tokens(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
