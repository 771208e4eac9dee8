"""A request for a completion, the completion, and the deltas of a streamed one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yandex_compat.messages import Message, TextPart, ToolCall
from yandex_compat.tools import AnyTool, ResponseFormat, ToolChoice

FinishReason = str
"""stop, length, tool_calls, content_filter or function_call (WIRE A6); others pass as they came."""

Logprobs = Mapping[str, Any]

CUT_SHORT = frozenset({"length", "content_filter"})
"""The finish reasons that end an answer before the model did: its last call may be half a call."""


def why_cut(reason: FinishReason | None, said: str) -> str | None:
    """Why an answer that was to be JSON is none, and what to do; None where nothing cut it (D9)."""
    if reason == "length":
        return (
            'The answer was cut by max_tokens (finish_reason "length"), so its JSON may not be '
            "whole. Raise max_tokens, or ask for less."
        )
    if reason == "content_filter":
        return f'The service refused to answer (finish_reason "content_filter"): {said}'
    return None


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """Everything one generation is asked with; what is None or empty is not sent.

    `model` is a name ("yandexgpt"), a name and branch ("yandexgpt/rc") or a full URI. `stop` is
    done on the client, since the service has none (WIRE A9). `n` answers come in a whole answer
    only, never in a stream. `prediction` is text that the answer is likely to hold. With
    `recover_leaked_calls`, a call that the model wrote as text becomes one (WIRE A13). With
    `store`, a server that can (`supports_store`) keeps the completion, labelled `store_metadata`.
    `extra_body` goes into the body last and untouched.
    """

    model: str
    messages: tuple[Message, ...]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    reasoning_effort: str | None = None
    stop: tuple[str, ...] = ()
    tools: tuple[AnyTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Mapping[int | str, int] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    n: int | None = None
    verbosity: str | None = None
    modalities: tuple[str, ...] = ()
    prediction: str | tuple[TextPart, ...] | None = None
    user: str | None = None
    store: bool | None = None
    store_metadata: Mapping[str, str] = field(default_factory=dict)
    recover_leaked_calls: bool = True
    extra_body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens counted by the service; a detail it did not report is None, never 0."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    accepted_prediction_tokens: int | None = None
    rejected_prediction_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """Where the characters from `start_index` to `end_index` of an answer come from (WIRE A16)."""

    url: str
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


@dataclass(slots=True)
class Completion:
    """One whole answer; what the service left out is empty or None.

    `logprobs` (lists under "content" and "refusal") and `audio` stand as they came (WIRE A16);
    `logprobs` count what `stop` cut off, too. `trimmed_tool_calls` came although parallel calls
    were switched off (D8). `alternatives` are the other answers where `n` asked for several.
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    annotations: tuple[Citation, ...] = ()
    logprobs: Logprobs | None = None
    audio: Mapping[str, Any] | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    model: str | None = None
    id: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    model_version: str | None = None
    request_id: str | None = None
    operation_id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    trimmed_tool_calls: tuple[ToolCall, ...] = ()
    alternatives: "tuple[Completion, ...]" = ()


@dataclass(slots=True)
class ToolCallDelta:
    """A piece of a streamed tool call: `id` and `name` stand on its first piece only.

    `index` counts the calls of this answer from 0, whatever the server numbered them. Of a
    `custom` tool's call, `arguments` is free text.
    """

    index: int
    id: str | None
    name: str | None
    arguments: str
    custom: bool = False


@dataclass(slots=True)
class Delta:
    """What one event of a stream adds; the last of a stream carries `final`.

    With `replaces_text`, `text` stands for all the text before it (WIRE A6). A `filtered` one is
    the refusal of a content filter, and not what the model wrote.
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    annotations: tuple[Citation, ...] = ()
    logprobs: Logprobs | None = None
    replaces_text: bool = False
    filtered: bool = False
    final: "StreamEnd | None" = None

    @property
    def is_text(self) -> bool:
        """Whether the delta adds nothing but text, if that, as nearly all do."""
        return not (
            self.tool_calls
            or self.reasoning
            or self.final
            or self.logprobs
            or self.refusal
            or self.annotations
            or self.replaces_text
        )

    @property
    def is_empty(self) -> bool:
        """Whether the delta adds nothing."""
        return not self.text and self.is_text


@dataclass(slots=True)
class StreamEnd:
    """What is known of a streamed answer once it has ended, reported exactly once."""

    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    model: str | None = None
    id: str | None = None
    system_fingerprint: str | None = None
    request_id: str | None = None
    trimmed_tool_calls: tuple[ToolCall, ...] = ()
    service_tier: str | None = None
    model_version: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text; `special` ones are the model's own, such as the mark of a beginning."""

    id: int
    text: str
    special: bool = False


@dataclass(frozen=True, slots=True)
class Embedding:
    """The vector of one text, and the tokens it cost where the service says."""

    vector: list[float]
    tokens: int | None = None
