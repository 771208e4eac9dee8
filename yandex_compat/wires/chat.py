"""The OpenAI-compatible chat completions format (WIRE A).

Four names, the same in every wire: PATH, encode, decode, StreamDecoder.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from yandex_compat import jsontext
from yandex_compat.accumulator import Accumulator
from yandex_compat.catalogue import ModelProfile, bare_name
from yandex_compat.completion import (
    CUT_SHORT,
    Completion,
    CompletionRequest,
    Delta,
    StreamEnd,
    ToolCallDelta,
    Usage,
)
from yandex_compat.errors import (
    MalformedAnswer,
    StreamInterrupted,
    UnsupportedError,
    YandexError,
    error_from_response,
    is_error,
)
from yandex_compat.framing import SSEFraming
from yandex_compat.jsontext import SurrogateJoiner
from yandex_compat.messages import ImagePart, Message, Part, TextPart, ToolCall
from yandex_compat.request_checks import check_request
from yandex_compat.tool_calls import CallIds, ToolCallAssembler, for_server, mint_id
from yandex_compat.tools import ResponseFormat, Tool, ToolChoice

PATH = "/chat/completions"

_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}
_WRONG_SHAPE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_LAST_WORD = re.compile(r"[\w.~+/=-]+\Z")


def encode(
    request: CompletionRequest, uri: str, profile: ModelProfile, *, stream: bool
) -> dict[str, Any]:
    """The body of a request; what the request leaves None or empty is left out.

    Raises ConfigurationError for a value outside its documented range, UnsupportedError for
    content the model can't take.
    """
    check_request(request, _RANGES)
    messages = for_server(request.messages, calls_by_name=profile.calls_by_name)
    body: dict[str, Any] = {
        "model": uri,
        "messages": [_message(message, profile, bare_name(uri)) for message in messages],
    }
    for word in (*_RANGES, "reasoning_effort"):
        if (value := getattr(request, word)) is not None:
            body[word] = value
    if request.max_tokens is not None:
        body["max_completion_tokens"] = request.max_tokens
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice:
            body["tool_choice"] = _tool_choice(request.tool_choice)
        if request.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = request.parallel_tool_calls
    if request.response_format:
        body["response_format"] = _response_format(request.response_format)
    if stream:
        body["stream"] = True
    return body | dict(request.extra_body)


def decode(
    data: bytes, request: CompletionRequest, *, mint: Callable[[], str] = mint_id
) -> Completion:
    """A whole answer; MalformedAnswer where it has no choice, APIError where it is an error."""
    try:
        body = jsontext.decode(data)
    except ValueError:
        raise MalformedAnswer(f"The answer is no JSON: {_beginning(data)}") from None
    if is_error(body):
        raise error_from_response(200, {}, data)
    try:
        return _completion(body, CallIds(request.messages, mint))
    except _WRONG_SHAPE as error:
        raise _misshapen("The answer", error, data) from None


def _completion(body: Mapping[str, Any], ids: CallIds) -> Completion:
    choice = body["choices"][0]
    message = choice["message"]
    _refuse_function_call(message)
    reason = _text(choice.get("finish_reason"))
    nothing = "" if reason in CUT_SHORT else "{}"
    return Completion(
        text=_joined(message.get("content")),
        reasoning=_joined(message.get("reasoning_content")),
        refusal=_joined(message.get("refusal")),
        tool_calls=tuple(_call(call, ids, nothing) for call in message.get("tool_calls") or ()),
        finish_reason=reason,
        usage=_usage(body.get("usage")),
        model=_text(body.get("model")),
        id=_text(body.get("id")),
        system_fingerprint=_text(body.get("system_fingerprint")),
    )


class StreamDecoder:
    """Decodes the events of one streamed answer into deltas (WIRE A3-A7).

    The last delta, and only it, has `final`. It comes with the `[DONE]` mark, or from `close`
    where the server sends a finish reason and no mark. `end` is what is known of the end so far.
    """

    def __init__(self, request: CompletionRequest, *, mint: Callable[[], str] = mint_id) -> None:
        self._framing = SSEFraming()
        self._text, self._reasoning = SurrogateJoiner(), SurrogateJoiner()
        self._refusal = SurrogateJoiner()
        self._calls = ToolCallAssembler(CallIds(request.messages, mint))
        self.end = StreamEnd()
        self._received = Accumulator()
        self._done = False
        self._failure: YandexError | None = None

    @property
    def partial(self) -> Completion:
        """What has arrived so far."""
        return self._received.completion()

    @property
    def done(self) -> bool:
        """Whether the answer has been given out to its end; bytes after that mean nothing."""
        return self._done

    @property
    def ended(self) -> bool:
        """Whether the answer is whole, so that the connection may end as it likes (D10)."""
        reason = self.end.finish_reason
        cut = reason in CUT_SHORT
        return self._done or (reason is not None and (cut or self._received.calls_are_complete))

    def feed(self, data: bytes) -> list[Delta]:
        """The deltas that these bytes complete."""
        return self._deltas(self._framing.feed(data))

    def close(self) -> list[Delta]:
        """The deltas left at the end of the body; StreamInterrupted where it was no end (D10)."""
        if self._failure:
            raise self._failure
        deltas: list[Delta] = []
        # The tail may be an event cut short; whether it was needed is for the rest to say.
        with suppress(MalformedAnswer):
            for payload in self._framing.close():
                deltas += self._payload(payload)
        if not self.ended:
            raise self._interrupted()
        return deltas if self._done else [*deltas, *self._finish()]

    def _deltas(self, payloads: Iterable[bytes]) -> list[Delta]:
        """The deltas of these payloads; a failure waits until those before it are given out."""
        deltas: list[Delta] = []
        if self._failure:
            raise self._failure
        for payload in payloads:
            try:
                deltas += self._payload(payload)
            except YandexError as error:
                if not deltas:
                    raise
                self._failure = error
                break
        return deltas

    def _payload(self, payload: bytes) -> list[Delta]:
        if self._done:
            return []
        return self._finish() if payload.strip() == b"[DONE]" else self._event(payload)

    def _event(self, payload: bytes) -> list[Delta]:
        try:
            event = jsontext.decode(payload)
        except ValueError:
            raise MalformedAnswer(
                f"An event of the stream is no JSON: {_beginning(payload)}"
            ) from None
        if is_error(event):
            raise error_from_response(200, {}, payload)
        try:
            self._note(event)
            # More than one answer comes only where extra_body asks for it; the first is given.
            first = [choice for choice in event.get("choices") or () if not choice.get("index")]
            return self._choice(first[0]) if first else []
        except _WRONG_SHAPE as error:
            raise _misshapen("An event of the stream", error, payload) from None

    def _note(self, event: Mapping[str, Any]) -> None:
        end = self.end
        end.model = _text(event.get("model")) or end.model
        end.id = _text(event.get("id")) or end.id
        end.system_fingerprint = _text(event.get("system_fingerprint")) or end.system_fingerprint
        if event.get("usage"):
            end.usage = _usage(event["usage"])

    def _choice(self, choice: Mapping[str, Any]) -> list[Delta]:
        reason = _text(choice.get("finish_reason"))
        self.end.finish_reason = reason or self.end.finish_reason
        delta = choice.get("delta") or {}
        _refuse_function_call(delta)
        text = delta.get("content") or ""
        replaces = reason == "content_filter" and bool(text)
        if replaces:
            self._text = SurrogateJoiner()
        self._calls.begin_event()
        pieces = (self._piece(piece) for piece in delta.get("tool_calls") or ())
        decoded = Delta(
            text=self._text.feed(text),
            reasoning=self._reasoning.feed(delta.get("reasoning_content") or ""),
            refusal=self._refusal.feed(delta.get("refusal") or ""),
            tool_calls=tuple(piece for piece in pieces if piece),
            replaces_text=replaces,
        )
        return self._given_out(decoded)

    def _piece(self, piece: Mapping[str, Any]) -> ToolCallDelta | None:
        if piece.get("type") not in (None, "", "function"):
            raise MalformedAnswer(f"A tool call of type {piece.get('type')!r} has no function.")
        function = piece.get("function") or {}
        arguments = _arguments(function.get("arguments"))
        return self._calls.feed(
            piece.get("index"), _text(piece.get("id")), _text(function.get("name")), arguments
        )

    def _finish(self) -> list[Delta]:
        self._done = True
        rest = Delta(self._text.close(), self._reasoning.close(), self._refusal.close())
        last = Delta(tool_calls=tuple(self._calls.close()), final=self.end)
        return self._given_out(rest) + self._given_out(last)

    def _given_out(self, delta: Delta) -> list[Delta]:
        if not (delta.text or delta.reasoning or delta.refusal or delta.tool_calls or delta.final):
            return []
        self._received.add(delta)
        return [delta]

    def _interrupted(self) -> StreamInterrupted:
        return StreamInterrupted(
            "The stream ended before the answer did: neither [DONE] nor a finish reason with "
            "whole tool calls came. Ask again; what arrived is in the error's `partial`.",
            partial=self.partial,
        )


def _message(message: Message, profile: ModelProfile, model: str) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": _content(message, profile, model)}
    # Frameworks stamp an agent's name on its answers, a word of theirs that need not be one of the
    # service's (A15); a tool's result goes by its call.
    if message.name and message.role in {"system", "user"}:
        body["name"] = message.name
    if message.tool_calls:
        body["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if message.role == "tool":
        body["tool_call_id"] = message.tool_call_id
    return body


def _content(message: Message, profile: ModelProfile, model: str) -> str | list[dict[str, Any]]:
    if isinstance(message.content, str):
        return message.content
    if any(isinstance(part, ImagePart) for part in message.content):
        if message.role != "user":
            raise UnsupportedError(
                f"An image stands in a {message.role} message; the service takes images in user "
                f"messages only. Move it there."
            )
        if not all(
            part.url.startswith("data:") for part in message.content if isinstance(part, ImagePart)
        ):
            raise UnsupportedError(
                "An image is given by its address; the service takes images as base64 data URLs "
                "only. Download it, and pass it as data:image/…;base64,…."
            )
        if not profile.images:
            raise UnsupportedError(
                f"The model {model!r} takes no images. Use one that does, such as gemma-3-27b-it."
            )
    elif message.role != "user" or len(message.content) < 2:
        return message.text
    return [_part(part) for part in message.content]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": part.url}}


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.parameters}
    if tool.description:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> str | dict[str, Any]:
    if choice.mode == "function":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode


def _response_format(form: ResponseFormat) -> dict[str, Any]:
    if form.type != "json_schema":
        return {"type": form.type}
    name = re.sub(r"[^A-Za-z0-9_-]", "_", form.name or "answer")[:64]
    schema: dict[str, Any] = {"name": name, "schema": form.schema}
    if form.description:
        schema["description"] = form.description
    if form.strict is not None:
        schema["strict"] = form.strict
    return {"type": "json_schema", "json_schema": schema}


def _refuse_function_call(message: Mapping[str, Any]) -> None:
    """Raise MalformedAnswer for what answers the deprecated `functions` only (WIRE A15)."""
    if message.get("function_call"):
        raise MalformedAnswer(
            "The answer holds a function_call, which is not read: ask with tools, not functions."
        )


def _call(call: Mapping[str, Any], ids: CallIds, nothing: str) -> ToolCall:
    function = call.get("function")
    if not isinstance(function, dict):
        raise MalformedAnswer(f"A tool call of type {call.get('type')!r} has no function.")
    name = _text(function.get("name")) or ""
    arguments = _joined(_arguments(function.get("arguments"))) or nothing
    return ToolCall(ids.assign(_text(call.get("id")), name), name, arguments)


def _arguments(arguments: object) -> str:
    """The text of arguments, which some servers send as the object itself."""
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return jsontext.encode(arguments).decode()


def _usage(usage: Mapping[str, Any] | None) -> Usage | None:
    if not usage:
        return None
    prompt, answer = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    return Usage(
        prompt,
        answer,
        int(usage.get("total_tokens") or prompt + answer),
        None if reasoning is None else int(reasoning),
        None if cached is None else int(cached),
    )


def _text(value: object) -> str | None:
    """A value that is a text or missing; TypeError for anything else."""
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{type(value).__name__} where a text belongs")


def _joined(text: str | None) -> str:
    """A whole text free of lone surrogates."""
    joiner = SurrogateJoiner()
    return joiner.feed(text) + joiner.close() if text else ""


def _misshapen(what: str, error: Exception, data: bytes) -> MalformedAnswer:
    return MalformedAnswer(
        f"{what} has another shape than documented ({type(error).__name__}): {_beginning(data)}"
    )


def _beginning(data: bytes) -> str:
    text = data[:200].decode("utf-8", "replace")
    if len(data) <= 200:
        return repr(text)
    # The last word goes: half of a credential would not be recognised, and blotted out, as one.
    return f"{_LAST_WORD.sub('', text)!r}…"
