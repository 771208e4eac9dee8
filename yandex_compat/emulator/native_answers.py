"""An answer in the shapes of the native API, whole and streamed (WIRE B4-B7)."""

import json
from dataclasses import dataclass
from typing import Any

from . import tokens
from .answers import Answer, Call, as_json
from .refusals import Refused
from .upstream_answers import Piece

JSONObject = dict[str, Any]
_VERSION = "09.02.2025"
_STATUSES = {
    "stop": "FINAL",
    "length": "TRUNCATED_FINAL",
    "content_filter": "CONTENT_FILTER",
    "tool_calls": "TOOL_CALLS",
    "function_call": "TOOL_CALLS",
}


@dataclass(frozen=True, slots=True)
class NativeCompletion:
    """One completion to be sent: whole by ``body``, or as ``events``.

    ``input_tokens`` were read, unless the answer states its own usage.
    """

    answer: Answer
    input_tokens: int
    reasons: bool = False
    streamed_as: str = "application/json"

    @property
    def text(self) -> str:
        """The text that a client ends up with; there is no other place for a refusal."""
        return self.answer.refusal or self.answer.final_text

    def body(self) -> JSONObject:
        """Return the body of a whole answer, wrapped as on the wire (B5)."""
        return {"result": self.result()}

    def result(self) -> JSONObject:
        """Return a whole answer."""
        return self._result(self._last_message(), self._status, tokens.count(*self._texts()))

    def events(self) -> list[bytes]:
        """Return the lines of a stream, each with the whole text so far (B6)."""
        lines, so_far = [], ""
        pieces = tokens.large_pieces(self.answer.text)
        for piece in pieces if self._goes_on else pieces[:-1]:
            so_far += piece
            message: JSONObject = {"role": "assistant", "text": so_far}
            lines.append(self._result(message, "PARTIAL", tokens.count(so_far)))
        return [_line({"result": one}) for one in [*lines, self.result()]]

    def growing(self, piece: Piece, so_far: str, position: int) -> list[bytes]:
        """Return the line of a piece as it comes, none if it is reasoning, which is hidden."""
        message: JSONObject = {"role": "assistant", "text": so_far}
        result = self._result(message, "PARTIAL", position + 1)
        return [_line({"result": result})] if piece.text else []

    def closing(self, position: int) -> list[bytes]:
        """Return the line that ends a stream, with the whole text or the calls."""
        return [_line(self.body())]

    def failure(self, error: object) -> bytes:
        """Return the line of an error inside a stream (WIRE C)."""
        return _line({"error": error})

    @property
    def _status(self) -> str:
        return _STATUSES[self.answer.finish_reason]

    @property
    def _goes_on(self) -> bool:
        """Whether something else than the text ends the stream."""
        return bool(self.answer.calls) or self.answer.replaced_by is not None

    def _texts(self) -> list[str]:
        return self.answer.texts()

    def _last_message(self) -> JSONObject:
        answer = self.answer
        if answer.calls:
            calls = [{"functionCall": _call(call)} for call in answer.calls]
            return {"role": "assistant", "toolCallList": {"toolCalls": calls}}
        return {"role": "assistant", "text": self.text}

    def _result(self, message: JSONObject, status: str, generated: int) -> JSONObject:
        result: JSONObject = {
            "alternatives": [{"message": message, "status": f"ALTERNATIVE_STATUS_{status}"}],
        }
        if (usage := self._usage(generated)) is not None:
            result["usage"] = usage
        return result | {"modelVersion": _VERSION}

    def _usage(self, generated: int) -> JSONObject | None:
        stated = self.answer.usage
        if stated is None:
            stated = {}
        elif not stated:
            return None
        read = stated.get("prompt_tokens", self.input_tokens)
        generated = stated.get("completion_tokens", generated)
        # A part of what is generated so far, and so never more.
        thought = min(generated, tokens.count(self.answer.reasoning))
        details = {"reasoningTokens": str(thought)}
        # int64 travels as a text (B1).
        return {
            "inputTextTokens": str(read),
            "completionTokens": str(generated),
            "totalTokens": str(stated.get("total_tokens", read + generated)),
            "completionTokensDetails": details if self.reasons else {},
        }


def _line(payload: JSONObject) -> bytes:
    return as_json(payload).encode() + b"\n"


def _call(call: Call) -> JSONObject:
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict) or call.custom:
        raise Refused(500, {"error": f"the native API has no such call: {call}"})
    return {"name": call.name, "arguments": _with_doubles(arguments)}


def _with_doubles(value: Any) -> Any:  # noqa: ANN401 -- JSON is any value
    """Return the value as a protobuf struct gives it back: its numbers are doubles (B4)."""
    if isinstance(value, dict):
        return {key: _with_doubles(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_doubles(part) for part in value]
    return float(value) if type(value) is int else value
