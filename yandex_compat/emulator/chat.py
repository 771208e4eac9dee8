"""An answer in the shapes of the chat API, whole and streamed (WIRE A1-A7, A11, A15, A16)."""

import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from . import tokens
from .answers import Answer, Call, as_json
from .families import Family
from .logprobs import logprobs_of
from .upstream_answers import Piece

JSONObject = dict[str, Any]
DONE = b"data: [DONE]\n\n"

_ids = itertools.count(1)


def new_id() -> str:
    """Return the id of a completion."""
    return f"chatcmpl-{next(_ids):08x}"


def now() -> int:
    """Return the time in seconds, as completions state it."""
    return int(time.time())


@dataclass(frozen=True, slots=True)
class Completion:
    """One completion to be sent: whole by ``body``, or as ``events``.

    With ``top_logprobs``, be it 0, the tokens' log probabilities are told. With ``functions``, the
    deprecated ones were asked with, so that the call is a ``function_call``.
    """

    answer: Answer
    family: Family
    model: str
    choices: int = 1
    usage: JSONObject | None = None
    top_logprobs: int | None = None
    functions: bool = False
    id: str = field(default_factory=new_id)
    created: int = field(default_factory=now)
    streamed_as: str = "text/event-stream"

    @property
    def text(self) -> str:
        """The text that a client ends up with."""
        return self.answer.final_text

    def body(self) -> JSONObject:
        """Return the body of a whole answer (A1)."""
        whole: JSONObject = {
            "message": _message(self.answer, self.family),
            "finish_reason": self.answer.finish_reason,
        }
        if self.family.streams_tokens:
            whole["logprobs"] = None
        whole = self._told(whole, "message")
        choices = [{"index": index} | whole for index in range(self.choices)]
        body = self._head("chat.completion") | {"choices": choices}
        return body | {"usage": self.usage} if self.usage else body

    def events(self) -> list[bytes]:
        """Return the events of a stream, ``[DONE]`` included (A3, A4, A5)."""
        chunks = [
            self._chunk(choice, index)
            for index in range(self.choices)
            for choice in _stream(self.answer, self.family)
        ]
        return [*chunks, *self._end()]

    def growing(self, piece: Piece, so_far: str, position: int) -> list[bytes]:
        """Return the events of a piece as it comes (A3, A4)."""
        deltas: list[JSONObject] = []
        if piece.reasoning:
            deltas.append({"reasoning_content": piece.reasoning})
        if piece.text:
            deltas.append({"content": piece.text})
        if not position:
            deltas = _opened(deltas, self.family)
        reason: JSONObject = {"finish_reason": None} if self.family.streams_tokens else {}
        return [self._chunk({"delta": delta} | reason) for delta in deltas]

    def closing(self, position: int) -> list[bytes]:
        """Return the events that end a stream whose text and reasoning came before."""
        choices = _stream(replace(self.answer, text="", reasoning=""), self.family)
        if position:  # the role was told
            del choices[0]["delta"]["role"]
            choices = [
                choice for choice in choices if choice["delta"] or choice.get("finish_reason")
            ]
        return [*map(self._chunk, choices), *self._end()]

    def failure(self, error: object) -> bytes:
        """Return the event of an error inside a stream (WIRE C)."""
        return event({"error": error})

    def _chunk(self, choice: JSONObject, index: int = 0) -> bytes:
        choices = [{"index": index} | self._told(choice, "delta")]
        return event(self._head("chat.completion.chunk") | {"choices": choices})

    def _end(self) -> list[bytes]:
        if not (self.family.usage_in_streams and self.usage):
            return [DONE]
        head = self._head("chat.completion.chunk")
        return [event(head | {"choices": [], "usage": self.usage}), DONE]

    def _told(self, choice: JSONObject, said: str) -> JSONObject:
        """Return a choice, whole or of a stream, with what only some requests ask for."""
        if self.functions:
            choice = _as_function_call(choice, said)
        if self.top_logprobs is not None and (text := choice[said].get("content")):
            choice = choice | {"logprobs": logprobs_of(text, self.top_logprobs)}
        return choice

    def _head(self, kind: str) -> JSONObject:
        head = {"id": self.id, "object": kind, "created": self.created, "model": self.model}
        tier = self.answer.service_tier
        return head if tier is None else head | {"service_tier": tier}


def event(payload: JSONObject) -> bytes:
    """Frame a payload as a server-sent event."""
    return f"data: {as_json(payload)}\n\n".encode()


def usage_of(
    answer: Answer, prompt_tokens: int, choices: int, family: Family, predicted: str | None
) -> JSONObject:
    """Count an answer's tokens: those of reasoning apart, and how many were ``predicted``."""
    completion = tokens.count(*answer.texts()) * choices
    usage: JSONObject = {
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens + completion,
        "completion_tokens": completion,
    }
    details = {}
    if family.reasons:
        details["reasoning_tokens"] = tokens.count(answer.reasoning) * choices
    if predicted is not None:
        said, expected = Counter(tokens.pieces(answer.text)), Counter(tokens.pieces(predicted))
        details["accepted_prediction_tokens"] = (said & expected).total()
        details["rejected_prediction_tokens"] = (expected - said).total()
    return usage | {"completion_tokens_details": details} if details else usage


def _message(answer: Answer, family: Family) -> JSONObject:
    text: str | None = answer.final_text
    if family.streams_tokens and answer.calls and not text:
        text = None
    message: JSONObject = {"role": "assistant", "content": text}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.refusal is not None or family.streams_tokens:
        message["refusal"] = answer.refusal
    if answer.calls:
        message["tool_calls"] = [
            _call(call, index, family) for index, call in enumerate(answer.calls)
        ]
    return message | _beside(answer)


def _beside(answer: Answer) -> JSONObject:
    """Return what A16 puts beside the text."""
    beside: JSONObject = {}
    if answer.annotations:
        beside["annotations"] = list(answer.annotations)
    if answer.audio is not None:
        beside["audio"] = answer.audio
    return beside


def _as_function_call(choice: JSONObject, said: str) -> JSONObject:
    """Put the call of a message or delta where answers to ``functions`` have it (A15)."""
    rest = {key: value for key, value in choice[said].items() if key != "tool_calls"}
    if calls := choice[said].get("tool_calls"):
        rest["function_call"] = {key: text for key, text in calls[0]["function"].items() if text}
    reason = choice.get("finish_reason")
    ended = {"finish_reason": "function_call"} if reason == "tool_calls" else {}
    return choice | {said: rest} | ended


def _call(call: Call, index: int, family: Family) -> JSONObject:
    shape = _named_call(call, family)
    # vLLM numbers calls in streams only; yandexgpt numbers them everywhere (A2).
    return shape if family.streams_tokens else {"index": index} | shape


def _named_call(call: Call, family: Family) -> JSONObject:
    id_ = call.id
    if id_ is None:
        id_ = call.name if family.ids_are_names else f"chatcmpl-tool-{next(_ids):08x}"
    if call.custom:
        return {
            "id": id_,
            "type": "custom",
            "custom": {"name": call.name, "input": call.arguments},
        }
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": id_, "type": "function", "function": function}


def _stream(answer: Answer, family: Family) -> list[JSONObject]:
    if family.streams_tokens:
        return _small_deltas(answer, family)
    return _large_deltas(answer, family)


def _large_deltas(answer: Answer, family: Family) -> list[JSONObject]:
    """A3: few deltas; calls come whole in the first, with role and finish reason."""
    if answer.calls:
        delta = _message(answer, family)
        return [{"delta": delta, "finish_reason": answer.finish_reason}]
    deltas: list[JSONObject] = [{"content": text} for text in _texts(answer, _large_pieces)]
    if answer.reasoning:
        deltas.insert(0, {"reasoning_content": answer.reasoning})
    if answer.refusal is not None:
        deltas.append({"refusal": answer.refusal})
    deltas = _opened(deltas, family)
    deltas[-1] |= _beside(answer)
    choices: list[JSONObject] = [{"delta": delta} for delta in deltas]
    choices[-1]["finish_reason"] = answer.finish_reason
    return choices


def _opened(deltas: list[JSONObject], family: Family) -> list[JSONObject]:
    """Put the role before the first delta, or into it."""
    role: JSONObject = {"role": "assistant"}
    return [role, *deltas] if family.streams_tokens else [role | deltas[0], *deltas[1:]]


def _small_deltas(answer: Answer, family: Family) -> list[JSONObject]:
    """A4: the role alone, a delta for each token, and a finish reason beside ``{}``."""
    deltas: list[JSONObject] = [{"role": "assistant"}]
    deltas += [{"reasoning_content": piece} for piece in tokens.pieces(answer.reasoning)]
    deltas += [{"content": piece} for piece in _texts(answer, tokens.pieces)]
    if answer.refusal is not None:
        deltas.append({"refusal": answer.refusal})
    for index, call in enumerate(answer.calls):
        deltas += [{"tool_calls": [piece]} for piece in _call_pieces(call, index, family)]
    # A6: what replaces the answer stands in the delta that holds the reason.
    last = deltas.pop() if answer.finish_reason == "content_filter" else _beside(answer)
    choices: list[JSONObject] = [{"delta": delta, "finish_reason": None} for delta in deltas]
    return [*choices, {"delta": last, "finish_reason": answer.finish_reason}]


def _texts(answer: Answer, split: Callable[[str], list[str]]) -> list[str]:
    """Split the text into deltas; what a content filter says is never split (A6)."""
    if answer.finish_reason != "content_filter":
        return split(answer.text)
    if answer.replaced_by is None:
        return [answer.text]
    return [*split(answer.text), answer.replaced_by]


def _large_pieces(text: str) -> list[str]:
    return tokens.large_pieces(text) or [text]


def _call_pieces(call: Call, index: int, family: Family) -> list[JSONObject]:
    whole = _named_call(call, family)
    kind = whole["type"]
    text_key = "input" if call.custom else "arguments"
    pieces = tokens.pieces(call.arguments)
    opening = pieces.pop(0) if family.opens_with_arguments and pieces else ""
    first: JSONObject = {"index": index} | whole | {kind: {"name": call.name, text_key: opening}}
    if family.opens_with_arguments:
        first["type"] = ""
    later = [
        {"index": index, "id": "", "type": "", kind: {"name": "", text_key: piece}}
        for piece in pieces
    ]
    return [first, *later]
