"""Answers drawn at random are read as they are, whole or streamed; broken ones raise in the tree.

HYPOTHESIS_PROFILE=long searches far longer than CI does.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yandex_compat import (
    Accumulator,
    Completion,
    CompletionRequest,
    Delta,
    MalformedAnswer,
    Message,
    ResponseFormat,
    StreamInterrupted,
    Tool,
    ToolCall,
    ToolChoice,
    Usage,
    YandexError,
)
from yandex_compat.reading import StreamReading, whole_completion
from yandex_compat.wires.apis import APIS

PLAIN = CompletionRequest("yandexgpt", (Message("user", "Hi"),))
ASKED = httpx.Request("POST", "https://h.test/v1/chat/completions")
# Everything that is done to an answer on its way out.
TREATED = replace(
    PLAIN,
    stop=("END", "\n\n"),
    tools=(Tool("f"), Tool("g", "", {"properties": {"a": {"type": "integer"}}})),
    tool_choice=ToolChoice("required"),
    parallel_tool_calls=False,
    response_format=ResponseFormat("json_object"),
)

REQUESTS = {"plain": PLAIN, "treated": TREATED}

SIZES = st.lists(st.integers(1, 400), min_size=1, max_size=10) | st.just([1])
TEXTS = st.text('ab \n\r\t"\\{}:я\u2028\x85\x0b\x1c😀👩🏽\u200d\x7f', max_size=10)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
ARGUMENTS = st.dictionaries(TEXTS, VALUES, max_size=3)
COUNTS = st.integers(0, 10**6)


@dataclass(repr=False)
class Drawn:
    """The bytes of a stream, what has been said after each of its payloads, and its payloads.

    A stream cut at `end` or later is whole, but for its usage where it is cut before `usage_end`.
    """

    data: bytes = b""
    said: Completion = field(default_factory=Completion)
    known: list[tuple[int, Completion]] = field(
        default_factory=lambda: [(0, Completion())], repr=False
    )
    bodies: list[Any] = field(default_factory=list)
    end: int = 0
    usage_end: int = 0

    def __repr__(self) -> str:
        return f"Drawn({self.data!r}, {self.said!r})"


def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """The text in pieces, cut anywhere, inside of an emoji too."""
    units = [text.encode("utf-16-le")[at : at + 2] for at in range(0, 2 * utf_16_length(text), 2)]
    given_out, rest = [], units
    while rest:
        size = draw(st.integers(1, len(rest)))
        given_out.append(b"".join(rest[:size]).decode("utf-16-le", "surrogatepass"))
        rest = rest[size:]
    return given_out


def utf_16_length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def settled(so_far: str) -> str:
    """What can be said of a text so far: half a character at its end waits for the other half."""
    whole = so_far[:-1] if "\ud800" <= so_far[-1:] <= "\udbff" else so_far
    return whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def told(completion: Completion) -> tuple:
    """What an answer says, but for ids, which are made anew."""
    calls = tuple((call.name, call.arguments, call.custom) for call in completion.tool_calls)
    trimmed = tuple(call.arguments for call in completion.trimmed_tool_calls)
    said = (completion.text, completion.reasoning, completion.refusal)
    return (*said, calls, trimmed, completion.finish_reason, completion.usage)


def call_of(name: str, arguments: str) -> ToolCall:
    return ToolCall("", name, arguments)


class Rendering:
    """Writes the payloads of a stream down, with whatever may stand between them."""

    NOISE = st.sampled_from(
        [b"", b"", b"", b": keep-alive", b":", b"event: message", b"id: 7", b"retry: 3000",
         b"data:", b": data: {}", "event: \u2028".encode()]
    )  # fmt: skip

    def __init__(self, draw: st.DrawFn, *, lines: bool) -> None:
        self.draw, self.lines = draw, lines
        self.drawn = Drawn(draw(st.sampled_from([b"", b"\xef\xbb\xbf"])))

    def payload(self, body: object, said: Completion) -> None:
        """One payload, after which the answer so far is what is said."""
        text = json.dumps(
            body,
            ensure_ascii=self.draw(st.booleans())
            or '"\\ud' in json.dumps(body)
            or self._halved(body),
            indent=None if self.lines else self.draw(st.sampled_from([None, None, 1])),
        )
        self.drawn.bodies.append(body)
        self._written(text.encode(), said)

    def done(self, said: Completion) -> None:
        """The end mark of a chat stream."""
        self._written(b"[DONE]", said)

    @staticmethod
    def _halved(body: object) -> bool:
        try:
            json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return True
        return False

    def _written(self, text: bytes, said: Completion) -> None:
        drawn = self.drawn
        if self.lines:
            drawn.data += self.draw(st.sampled_from([b"", b"\n", b" \r\n"])) + text
            drawn.known.append((len(drawn.data), said))
            drawn.data += self.draw(st.sampled_from([b"\n", b"\r\n"]))
            return
        end = self.draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
        begin = self.draw(st.sampled_from([b"data: ", b"data:"]))
        noise = self.draw(self.NOISE)
        drawn.data += noise + (end * 2 if noise == b"data:" else end)
        drawn.data += end.join(begin + line for line in text.split(b"\n"))
        drawn.known.append((len(drawn.data), said))
        drawn.data += end * 2


class Chat:
    """Draws a chat stream, and notes what has been said by each of its events."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw, self.out = draw, Rendering(draw, lines=False)
        self.text = self.reasoning = ""
        self.calls: dict[int, tuple[str, str]] = {}

    def now(self, **more: object) -> Completion:
        calls = tuple(call_of(name, settled(text)) for name, text in self.calls.values())
        said = Completion(settled(self.text), settled(self.reasoning), tool_calls=calls)
        return replace(said, **more)

    def event(self, delta: dict, reason: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        self.out.payload({"id": "c", "model": "m", "choices": [choice]}, self.now())

    def say(self) -> None:
        for piece in pieces(self.draw, self.draw(TEXTS)):
            self.reasoning += piece
            self.event({"reasoning_content": piece})
        for piece in pieces(self.draw, self.draw(TEXTS)):
            self.text += piece
            self.event({"content": piece})

    def call(self, names: list[str], texts: list[str]) -> None:
        """Calls begin in order; their pieces may come mixed."""
        left = {number: pieces(self.draw, text) or [""] for number, text in enumerate(texts)}
        while left:
            begun = [number for number in left if number in self.calls]
            first = [number for number in left if number not in self.calls][:1]
            number = self.draw(st.sampled_from(begun + first))
            piece, name = left[number].pop(0), names[number]
            function: dict[str, object] = {"name": name, "arguments": piece}
            part = {"index": number, "id": f"call_{number}", "type": "function"}
            if number in self.calls and self.draw(st.booleans()):
                part, function = part | {"id": "", "type": ""}, function | {"name": ""}
            self.calls[number] = (name, self.calls.get(number, ("", ""))[1] + piece)
            self.event({"tool_calls": [part | {"function": function}]})
            left = {number: rest for number, rest in left.items() if rest}

    def count(self) -> Usage:
        asked, answered = self.draw(COUNTS), self.draw(COUNTS)
        words = {"prompt_tokens": asked, "completion_tokens": answered}
        body = {"choices": [], "usage": words | {"total_tokens": asked + answered}}
        self.out.payload(body, self.now())
        return Usage(asked, answered, asked + answered)


@st.composite
def chat_streams(draw: st.DrawFn) -> Drawn:
    chat = Chat(draw)
    drawn = chat.out.drawn
    if draw(st.booleans()):
        chat.event({"role": "assistant", "content": ""})
    chat.say()
    names = draw(st.lists(st.sampled_from("fgh"), max_size=3))
    texts = [draw(ARGUMENTS.map(spelled) | st.just("")) for _ in names]
    reason = draw(st.sampled_from(["stop", "length", "content_filter", "tool_calls"]))
    cut_short = reason in {"length", "content_filter"}
    if reason == "length" and texts:
        texts[-1] = texts[-1][: draw(st.integers(0, len(texts[-1])))]
    chat.call(names, texts)
    if reason == "content_filter":
        chat.text = draw(TEXTS.filter(bool))
    chat.event({"content": chat.text} if reason == "content_filter" else {}, reason)
    drawn.end = drawn.known[-1][0]
    usage = chat.count() if draw(st.booleans()) else None
    drawn.usage_end = drawn.known[-1][0]
    if not (cut_short or all(texts)):
        chat.out.done(chat.now())
        drawn.end = drawn.known[-1][0]  # D10: arguments that never came are whole with it only
    elif draw(st.booleans()):
        chat.out.done(chat.now())
    calls = [call_of(*call) for call in zip(names, texts, strict=True)]
    ended = tuple(replace(call, arguments=call.arguments or "{}") for call in calls)
    drawn.said = chat.now(
        tool_calls=tuple(calls) if cut_short else ended, finish_reason=reason, usage=usage
    )
    return drawn


def spelled(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


STATUSES = {
    "stop": "FINAL",
    "length": "TRUNCATED_FINAL",
    "content_filter": "CONTENT_FILTER",
    "tool_calls": "TOOL_CALLS",
}


@st.composite
def native_streams(draw: st.DrawFn) -> Drawn:
    out = Rendering(draw, lines=True)
    text = draw(TEXTS)
    calls = draw(st.lists(st.tuples(st.sampled_from("fgh"), ARGUMENTS), max_size=3))
    reason = draw(st.sampled_from(list(STATUSES)))
    wrapped, tokens = draw(st.booleans()), draw(COUNTS)

    def line(message: dict, status: str, number: int, said: Completion) -> None:
        usage = {"inputTextTokens": str(tokens), "completionTokens": str(number)}
        body = {
            "alternatives": [{"message": message, "status": f"ALTERNATIVE_STATUS_{status}"}],
            "usage": usage | {"totalTokens": str(tokens + number), "completionTokensDetails": {}},
            "modelVersion": "1",
        }
        out.payload({"result": body} if wrapped else body, said)

    so_far, number = "", 0
    for number, piece in enumerate(pieces(draw, text), 1):
        so_far += piece
        line({"role": "assistant", "text": so_far}, "PARTIAL", number, Completion(settled(so_far)))
    so_far = text
    message: dict[str, object] = {"role": "assistant", "text": so_far}
    if reason == "content_filter":
        so_far = message["text"] = draw(TEXTS)
    if not so_far and draw(st.booleans()):
        del message["text"]
    listed = [{"functionCall": {"name": name, "arguments": made}} for name, made in calls]
    if listed:
        message["toolCallList"] = {"toolCalls": listed}
    usage = Usage(tokens, number, tokens + number)
    nothing = "" if reason == "length" else "{}"
    made = [call_of(name, compact(made) if made else nothing) for name, made in calls]
    kept = () if reason == "content_filter" else tuple(made)
    out.drawn.said = Completion(so_far, tool_calls=kept, finish_reason=reason, usage=usage)
    line(message, STATUSES[reason], number, out.drawn.said)
    out.drawn.end = out.drawn.usage_end = out.drawn.known[-1][0]
    return out.drawn


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


STREAMS = {"chat": chat_streams(), "completion": native_streams()}
every_api = pytest.mark.parametrize("api", APIS)


def read(
    api: str, data: bytes, sizes: list[int], request: CompletionRequest = PLAIN
) -> tuple[Completion, YandexError | None]:
    """What is given out of a stream, and the error that ends it; any other exception passes."""
    reading, folded = (
        StreamReading(request, httpx.Response(200, request=ASKED), APIS[api]),
        Accumulator(),
    )
    ends: list[bool] = []

    def take(deltas: list[Delta]) -> None:
        ends.extend(delta.final is not None for delta in deltas)
        for delta in deltas:
            folded.add(delta)

    try:
        for piece in cut(data, sizes):
            take(reading.feed(piece))
            if reading.stopped or reading.done:
                break
        if not reading.stopped:
            take(reading.close())
    except YandexError as error:
        assert not any(ends)
        return folded.completion(), error
    assert ends.index(True) == len(ends) - 1
    return folded.completion(), None


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = number = 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        yield data[at : at + size]
        at, number = at + size, number + 1


# Never a wrong answer.


@every_api
@given(random=st.data(), sizes=SIZES)
def test_a_stream_is_read_as_the_answer_it_is(api, random, sizes):
    drawn = random.draw(STREAMS[api])
    completion, error = read(api, drawn.data, sizes)
    assert error is None
    assert told(completion) == told(drawn.said)


@every_api
@given(random=st.data(), sizes=SIZES)
def test_a_stream_cut_short_is_whole_or_interrupted_with_what_came(api, random, sizes):
    drawn = random.draw(STREAMS[api])
    for _ in range(10):
        at = random.draw(st.integers(0, len(drawn.data)))
        completion, error = read(api, drawn.data[:at], sizes)
        if at >= drawn.end:
            expected = drawn.said if at >= drawn.usage_end else replace(drawn.said, usage=None)
            assert (error, told(completion)) == (None, told(expected))
            continue
        assert type(error) is StreamInterrupted
        known = [said for end, said in drawn.known if end <= at]
        assert told(error.partial) == told(known[-1])
        # A last payload whose JSON is whole, but not its line end, can't be given out any more.
        assert told(completion) in map(told, known[-2:])


def whole_body(api: str, drawn: Drawn) -> bytes:
    """The drawn answer as the body of one that is not streamed."""
    said = drawn.said
    if api == "completion":
        return json.dumps(drawn.bodies[-1]).encode()
    calls = [
        {"id": "", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in said.tool_calls
    ]
    message = {"content": said.text, "reasoning_content": said.reasoning, "tool_calls": calls}
    usage = said.usage and {
        "prompt_tokens": said.usage.input_tokens,
        "completion_tokens": said.usage.output_tokens,
    }
    choice = {"message": message, "finish_reason": said.finish_reason}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


def read_whole(api: str, data: bytes, request: CompletionRequest = PLAIN) -> Completion:
    return whole_completion(request, httpx.Response(200, content=data, request=ASKED), APIS[api])


@every_api
@given(random=st.data())
def test_a_whole_answer_is_read_as_it_is_and_never_in_part(api, random):
    drawn = random.draw(STREAMS[api])
    data = whole_body(api, drawn)
    assert told(read_whole(api, data)) == told(drawn.said)
    at = random.draw(st.integers(0, len(data) - 1))
    with pytest.raises(MalformedAnswer):
        read_whole(api, data[:at])


# Never another exception.

# The last ones are about as deep as Python can follow.
DEPTHS = st.sampled_from([3, 190, 210, 600, 5_000]) | st.integers(900, 1_000)
RAW = st.one_of(
    st.sampled_from(
        ["null", "true", "false", "0", "-1", "7", "1.5", "1e999", "-1e999", "NaN", "9" * 30,
         "9" * 5_000, '""', '"x"', '"7"', '"\\ud83d"', '"\\ud83d\\ude00"', "[]", "{}", "[[]]",
         "[null]", "[{}]", '{"": null}', '"[DONE]"', '{"message": "x"}', "[", "}", ",", '"']
    ),
    DEPTHS.map(lambda depth: "[" * depth + "]" * depth),
    DEPTHS.map(lambda depth: '{"a":' * depth + "1.0" + "}" * depth),
)  # fmt: skip
HOLE = "@hole@"


def paths(value: object, path: tuple = ()) -> Iterator[tuple]:
    yield path
    listed = list(enumerate(value)) if isinstance(value, list) else []
    for key, part in value.items() if isinstance(value, dict) else listed:
        yield from paths(part, (*path, key))


def with_hole(value: Any, path: tuple, *, added: str | None = None) -> Any:
    """The value with a hole at a path, or, in the dict there, under an added key."""
    if not path:
        return {**value, added: HOLE} if added and isinstance(value, dict) else HOLE
    key, *rest = path
    changed = with_hole(value[key], tuple(rest), added=added)
    if isinstance(value, dict):
        return {**value, key: changed}
    return [*value[:key], changed, *value[key + 1 :]]


ADDED = st.none() | st.sampled_from(
    ["error", "message", "choices", "index", "usage", "id", "delta", "content", "tool_calls",
     "function_call", "custom", "function", "name", "arguments", "type", "finish_reason", "refusal",
     "audio", "annotations", "logprobs", "model", "result", "response", "alternatives", "status",
     "text", "toolCallList", "toolCalls", "functionCall", "modelVersion", "service_tier",
     "prompt_tokens_details", "system_fingerprint", "completionTokensDetails", "code", "grpcCode"]
)  # fmt: skip


def broken(random: st.DataObject, body: object) -> bytes:
    """A body of which one value, at any depth, is another."""
    path = random.draw(st.sampled_from(list(paths(body))))
    holed = json.dumps(with_hole(body, path, added=random.draw(ADDED)))
    return holed.replace(json.dumps(HOLE), random.draw(RAW)).encode()


def check_is_told_well(completion: Completion) -> None:
    """Every value is of the kind that its type promises, and can be written down as UTF-8."""
    for text in (completion.text, completion.reasoning, completion.refusal):
        text.encode()
    for call in (*completion.tool_calls, *completion.trimmed_tool_calls):
        f"{call.id}{call.name}{call.arguments}".encode()
        assert isinstance(call.id, str)
        assert isinstance(call.name, str)
        assert isinstance(call.arguments, str)
    for word in ("finish_reason", "model", "id", "system_fingerprint", "service_tier"):
        assert isinstance(getattr(completion, word), str | None)
    if usage := completion.usage:
        assert type(usage.input_tokens) is type(usage.output_tokens) is type(usage.total_tokens)
        assert isinstance(usage.total_tokens, int)


def check_ends_well(api: str, data: bytes, sizes: list[int], asked: str) -> None:
    """The stream ends as an answer or as an error of ours, the same however it is cut."""
    request = REQUESTS[asked]
    completion, error = read(api, data, sizes, request)
    check_is_told_well(completion)
    if error:
        str(error).encode()
    if isinstance(error, StreamInterrupted):
        check_is_told_well(error.partial)
    again, other = read(api, data, [max(1, len(data))], request)
    assert (type(other), str(other)) == (type(error), str(error))
    if request.stop and completion.finish_reason == "stop":
        completion.usage = again.usage  # what has come when the text is stopped
    assert told(again) == told(completion)


requests = st.sampled_from(["plain", "treated"])


@every_api
@given(random=st.data(), sizes=SIZES, request=requests)
def test_a_stream_with_a_wrong_value_ends_well(api, random, sizes, request):
    bodies = random.draw(STREAMS[api]).bodies
    number = random.draw(st.integers(0, len(bodies) - 1))
    texts = [json.dumps(body).encode() for body in bodies]
    texts[number] = broken(random, bodies[number])
    begin, end = (b"data: ", b"\n\n") if api == "chat" else (b"", b"\n")
    check_ends_well(api, b"".join(begin + text + end for text in texts), sizes, request)


@every_api
@given(random=st.data(), sizes=SIZES, request=requests)
def test_a_stream_with_wrong_bytes_ends_well(api, random, sizes, request):
    data = random.draw(STREAMS[api]).data
    for _ in range(random.draw(st.integers(1, 3))):
        at = random.draw(st.integers(0, len(data)))
        until = min(len(data), at + random.draw(st.integers(0, 20)))
        put = random.draw(st.sampled_from([b"", data[at:until] * 2]) | st.binary(max_size=4))
        data = data[:at] + put + data[until:]
    check_ends_well(api, data, sizes, request)


SIGNS = st.binary(max_size=6) | st.sampled_from(
    [b"data: ", b"\n", b"\n\n", b"\r", b"{", b"}", b'{"choices":[]}', b"[DONE]", b'{"result":{}}',
     b'{"error":"x"}', b"null", b"[]", b'""', b"1"]
)  # fmt: skip


@every_api
@given(data=st.lists(SIGNS, max_size=20).map(b"".join), sizes=SIZES, request=requests)
def test_any_bytes_end_well(api, data, sizes, request):
    check_ends_well(api, data, sizes, request)


@every_api
@given(random=st.data(), request=requests)
def test_a_whole_answer_with_a_wrong_value_ends_well(api, random, request):
    body = json.loads(whole_body(api, random.draw(STREAMS[api])))
    try:
        completion = read_whole(api, broken(random, body), REQUESTS[request])
    except YandexError as error:
        str(error).encode()
    else:
        check_is_told_well(completion)
