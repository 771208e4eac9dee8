"""Streamed answers of the chat format: recorded shapes, cut at every byte, ended and broken."""

import itertools
import json
from collections.abc import Iterable, Iterator

import pytest

from yandex_compat import (
    Accumulator,
    Citation,
    Completion,
    CompletionRequest,
    ConnectionFailed,
    Delta,
    MalformedAnswer,
    Message,
    RateLimitError,
    ServerError,
    StreamInterrupted,
    ToolCall,
    ToolCallDelta,
    Usage,
    framing,
    jsontext,
    tool_calls,
)
from yandex_compat.jsontext import is_object
from yandex_compat.wires.chat import StreamDecoder, stream

DONE = b"data: [DONE]\n\n"
ASKED = CompletionRequest("yandexgpt", (Message("user", "Hi"),))


def decoder(asked: CompletionRequest = ASKED) -> StreamDecoder:
    numbers = itertools.count(1)
    return StreamDecoder(asked, mint=lambda: f"minted-{next(numbers)}")


def chunk(delta: object = None, reason: str | None = None, **rest: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    event = {"id": "c1", "model": "gpt://f/m/latest", "choices": [choice], **rest}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def piece(index: int | None, id_: str | None, name: str | None, arguments: str | None) -> dict:
    made = {"index": index, "id": id_, "type": "function"}
    return made | {"function": {"name": name, "arguments": arguments}}


def calls(*pieces: dict, reason: str | None = None) -> bytes:
    return chunk({"tool_calls": list(pieces)}, reason)


def read(*parts: bytes, asked: CompletionRequest = ASKED) -> list[Delta]:
    decoding = decoder(asked)
    deltas = [delta for part in parts for delta in decoding.feed(part)]
    return deltas + decoding.close()


def total(deltas: Iterable[Delta]) -> Completion:
    folded = Accumulator()
    for delta in deltas:
        folded.add(delta)
    return folded.completion()


def told(*parts: bytes) -> Completion:
    return total(read(*parts))


def cuts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    return ((data[:at], data[at:]) for at in range(len(data) + 1))


def whole_events(data: bytes) -> bytes:
    events = data.decode(errors="replace").split("\n\n")
    whole = [event for event in events if is_object(event.removeprefix("data: "))]
    return "".join(f"{event}\n\n" for event in whole).encode()


# The recorded streams, each with what it adds up to.

YANDEX_TEXT = (  # WIRE A3
    chunk({"role": "assistant", "content": "Столица России"})
    + chunk({"content": " — Москва"})
    + chunk({"content": "."}, "stop")
    + DONE
)
YANDEX_CALL = (  # WIRE A3: all in the first delta
    chunk(
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [piece(0, "calculator", "calculator", '{"a":2,"b":3}')],
        },
        "tool_calls",
    )
    + DONE
)
OPEN_TEXT = (  # WIRE A4, A5
    chunk({"role": "assistant"})
    + chunk({"content": "При"})
    + chunk({"content": "вет 👋"})
    + chunk({}, "stop")
    + b'data: {"id":"c1","model":"gpt://m/latest","choices":[],"usage":'
    + b'{"prompt_tokens":9,"total_tokens":21,"completion_tokens":12}}\n\n'
    + DONE
)
OPEN_CALL = (  # WIRE A4
    chunk({"role": "assistant"})
    + calls(piece(0, "chatcmpl-tool-1", "weather", ""))
    + calls({"index": 0, "id": "", "type": "", "function": {"name": "", "arguments": '{"city"'}})
    + calls({"index": 0, "id": "", "type": "", "function": {"name": "", "arguments": ': "Omsk"}'}})
    + chunk({}, "tool_calls")
    + DONE
)
GEMMA_CALL = (  # WIRE A4: the first delta has arguments and an empty type
    chunk({"role": "assistant"})
    + calls(
        {
            "index": 0,
            "id": "chatcmpl-tool-2",
            "type": "",
            "function": {"name": "weather", "arguments": '{"ci'},
        }
    )
    + calls({"index": 0, "id": "", "type": "", "function": {"name": "", "arguments": 'ty":"О"}'}})
    + chunk({}, "tool_calls")
    + DONE
)
FILTERED = (  # WIRE A6
    chunk({"role": "assistant", "content": "Сначала возьми"})
    + chunk({"content": "Я не могу это обсуждать."}, "content_filter")
    + DONE
)
REASONING = (  # WIRE A7
    chunk({"role": "assistant"})
    + chunk({"reasoning_content": "two and "})
    + chunk({"reasoning_content": "two"})
    + chunk({"content": "4"})
    + chunk({}, "stop")
    + DONE
)
TWO_CALLS = (
    chunk({"role": "assistant"})
    + calls(piece(0, "id-1", "f", '{"a":'), piece(1, "id-2", "g", '{"b":'))
    + calls(piece(1, "", "", "2}"), piece(0, "", "", "1}"))
    + chunk({}, "tool_calls")
    + DONE
)
HEAD = {"model": "gpt://f/m/latest", "id": "c1"}
RECORDED = {
    "yandexgpt text": (
        YANDEX_TEXT,
        Completion(text="Столица России — Москва.", finish_reason="stop", **HEAD),
    ),
    "yandexgpt call": (
        YANDEX_CALL,
        Completion(
            tool_calls=(ToolCall("minted-1", "calculator", '{"a":2,"b":3}'),),
            finish_reason="tool_calls",
            **HEAD,
        ),
    ),
    "open model text": (
        OPEN_TEXT,
        Completion(
            text="Привет 👋",
            finish_reason="stop",
            usage=Usage(9, 12, 21),
            model="gpt://m/latest",
            id="c1",
        ),
    ),
    "open model call": (
        OPEN_CALL,
        Completion(
            tool_calls=(ToolCall("chatcmpl-tool-1", "weather", '{"city": "Omsk"}'),),
            finish_reason="tool_calls",
            **HEAD,
        ),
    ),
    "gemma call": (
        GEMMA_CALL,
        Completion(
            tool_calls=(ToolCall("chatcmpl-tool-2", "weather", '{"city":"О"}'),),
            finish_reason="tool_calls",
            **HEAD,
        ),
    ),
    "content filter": (
        FILTERED,
        Completion(text="Я не могу это обсуждать.", finish_reason="content_filter", **HEAD),
    ),
    "reasoning": (
        REASONING,
        Completion(text="4", reasoning="two and two", finish_reason="stop", **HEAD),
    ),
    "two calls at once": (
        TWO_CALLS,
        Completion(
            tool_calls=(ToolCall("id-1", "f", '{"a":1}'), ToolCall("id-2", "g", '{"b":2}')),
            finish_reason="tool_calls",
            **HEAD,
        ),
    ),
}
every_recording = pytest.mark.parametrize(
    ("data", "completion"), RECORDED.values(), ids=RECORDED.keys()
)


@every_recording
def test_recorded_stream_adds_up(data, completion):
    assert told(data) == completion


@every_recording
def test_cut_at_any_byte_gives_the_same_deltas(data, completion):
    whole = read(data)
    for parts in cuts(data):
        assert read(*parts) == whole


@every_recording
def test_byte_by_byte_gives_the_same_deltas(data, completion):
    assert read(*(data[at : at + 1] for at in range(len(data)))) == read(data)


@every_recording
def test_final_stands_on_the_last_delta_only(data, completion):
    finals = [delta.final for delta in read(data)]
    assert finals[-1] is not None
    assert finals[:-1] == [None] * (len(finals) - 1)


@every_recording
def test_without_done_the_finish_reason_is_an_end(data, completion):  # D10
    assert told(data.removesuffix(DONE)) == completion


@every_recording
def test_a_partial_is_what_the_whole_deltas_so_far_add_up_to(data, completion):
    for first, _ in cuts(data):
        decoding = decoder()
        deltas = decoding.feed(first)
        assert decoding.partial == total(deltas)


@every_recording
def test_every_stream_cut_off_before_its_reason_is_interrupted(data, completion):  # D10
    reason_at = data.index(f'"finish_reason": "{completion.finish_reason}"'.encode())
    for at in range(reason_at + 1):
        with pytest.raises(StreamInterrupted) as caught:
            read(data[:at])
        assert caught.value.partial == total(decoder().feed(whole_events(data[:at])))


def test_deltas_come_as_they_were_sent():
    assert read(YANDEX_TEXT)[:-1] == [
        Delta(text="Столица России"),
        Delta(text=" — Москва"),
        Delta(text="."),
    ]


def test_call_pieces_carry_id_and_name_once():
    pieces = [delta.tool_calls for delta in read(OPEN_CALL)[:-1]]
    assert pieces == [
        (ToolCallDelta(0, "chatcmpl-tool-1", "weather", ""),),
        (ToolCallDelta(0, None, None, '{"city"'),),
        (ToolCallDelta(0, None, None, ': "Omsk"}'),),
    ]


def test_filtered_text_replaces_what_came_before():  # WIRE A6
    assert [delta.replaces_text for delta in read(FILTERED)] == [False, True, False]


def test_a_filter_that_says_nothing_leaves_the_text():
    given = told(chunk({"content": "so far"}), chunk({}, "content_filter"), DONE)
    assert (given.text, given.finish_reason) == ("so far", "content_filter")


def test_a_filter_that_reasons_only_leaves_the_text():  # WIRE A6
    given = told(
        chunk({"content": "so far"}), chunk({"reasoning_content": "r"}, "content_filter"), DONE
    )
    assert (given.text, given.reasoning) == ("so far", "r")


def test_half_an_emoji_before_a_filter_goes_with_its_text():  # WIRE A6
    given = told(chunk({"content": "a\ud83d"}), chunk({"content": "No."}, "content_filter"), DONE)
    assert given.text == "No."


def test_refusals_add_up():  # WIRE A16
    assert told(chunk({"refusal": "I "}), chunk({"refusal": "won't"}, "stop")).refusal == "I won't"


def test_fingerprint_and_usage_are_kept_from_any_event():  # WIRE A5
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    given = told(
        chunk({"content": "a"}, usage=usage, system_fingerprint="fp"),
        chunk({"content": "b"}, "stop", usage=None, system_fingerprint=None),
        DONE,
    )
    assert (given.usage, given.system_fingerprint) == (Usage(1, 2, 3), "fp")


@pytest.mark.parametrize("later", [None, ""])
def test_a_reason_is_kept_where_a_later_event_has_none(later):
    given = told(chunk({"content": "a"}, "length"), chunk({}, later), DONE)
    assert (given.text, given.finish_reason) == ("a", "length")


@pytest.mark.parametrize("end", [b"", b"\n\n"], ids=["cut", "whole"])
def test_what_follows_the_end_means_nothing(end):
    after = chunk({"content": "b"}, "length").strip() + end
    for parts in ((DONE + after,), (DONE, after)):
        given = told(chunk({"content": "a"}, "stop"), *parts)
        assert (given.text, given.finish_reason) == ("a", "stop")


def test_done_without_a_reason_is_an_end():  # D10
    given = told(chunk({"content": "a"}), DONE)
    assert (given.text, given.finish_reason) == ("a", None)


def test_done_alone_is_an_empty_answer():
    (only,) = read(DONE)
    assert only.final is not None
    assert total([only]) == Completion()


def test_nothing_at_all_is_an_interruption():  # D10
    with pytest.raises(StreamInterrupted) as caught:
        read(b"")
    assert caught.value.partial == Completion()
    assert isinstance(caught.value, ConnectionFailed)
    assert caught.value.retryable


def test_reason_with_cut_arguments_is_an_interruption():  # D10: A3 has the reason in the first
    early = calls(piece(0, "f", "f", '{"a":'), reason="tool_calls")
    with pytest.raises(StreamInterrupted) as caught:
        read(early)
    assert caught.value.partial.tool_calls == (ToolCall("minted-1", "f", '{"a":'),)
    assert caught.value.partial.finish_reason is None


@pytest.mark.parametrize(
    "end", [chunk({}, "length"), chunk({}, "length") + DONE, DONE], ids=["length", "both", "done"]
)
def test_cut_arguments_of_an_ended_answer_come_as_they_are(end):  # D10, D6
    given = told(calls(piece(0, "1", "f", '{"a":')), end)
    assert given.tool_calls == (ToolCall("1", "f", '{"a":'),)


def test_a_call_without_arguments_is_complete_with_the_end_mark_only():  # D10
    begun = calls(piece(0, "1", "f", ""), reason="tool_calls")
    assert told(begun + DONE).tool_calls == (ToolCall("1", "f", "{}"),)
    with pytest.raises(StreamInterrupted):
        told(begun)


def test_a_call_cut_before_its_arguments_gets_none():  # D6
    given = told(calls(piece(0, "1", "f", ""), reason="length") + DONE)
    assert given.tool_calls == (ToolCall("1", "f", ""),)
    assert given.tool_calls[0].parsed_arguments is None


def test_events_after_the_end_mean_nothing():
    decoding = decoder()
    decoding.feed(chunk({"content": "a"}, "stop") + DONE)
    assert decoding.done
    assert decoding.feed(chunk({"content": "b"}) + b"data: rubbish\n\n" + DONE) == []
    assert decoding.close() == []


def test_done_is_known_only_once_it_came():
    decoding = decoder()
    decoding.feed(chunk({"content": "a"}, "stop"))
    assert not decoding.done


@pytest.mark.parametrize(
    "mark", [b"data: [DONE]", b"data: [DONE]\n", b"data:[DONE]\r\n\r\n", b"data: [DONE] \n\n"]
)
def test_end_marks_of_other_shapes(mark):
    assert told(chunk({"content": "a"}), mark).text == "a"


def test_last_event_may_lack_its_blank_line():
    assert told(chunk({"content": "a"}, "stop").rstrip()).text == "a"


def test_last_event_cut_in_its_json_is_an_interruption():
    with pytest.raises(StreamInterrupted) as caught:
        read(chunk({"content": "a"}), chunk({"content": "b"}, "stop")[:-6])
    assert caught.value.partial.text == "a"


@pytest.mark.parametrize(
    "tail",
    [
        b'data: {"choices":[],"usage":{"prom',
        b'data: {"choices":[],"usage":{"prompt_tokens":"x"}}',
        b"data: rubbish",
    ],
)
def test_a_broken_last_event_after_the_answers_end_means_nothing(tail):  # D10
    given = told(chunk({"content": "a"}, "stop") + tail)
    assert (given.text, given.finish_reason) == ("a", "stop")


WHOLE = {"message": {"role": "assistant", "content": "one"}, "finish_reason": "stop", "index": 0}


@pytest.mark.parametrize("frame", ["%s", "%s\n\n", "data: %s\n\ndata: [DONE]\n\n"])
def test_a_whole_answer_in_the_place_of_a_stream_is_malformed(frame):
    """Of a server that can't stream: its text must not be lost for an empty answer."""
    body = frame % json.dumps({"id": "c1", "choices": [WHOLE]})
    with pytest.raises(MalformedAnswer, match=r"whole answer.*without streaming"):
        read(body.encode())


def test_a_whole_message_behind_its_deltas_means_nothing():
    last = {"id": "c1", "choices": [WHOLE | {"delta": {}}]}
    deltas = read(chunk({"content": "one"}), b"data: " + json.dumps(last).encode() + b"\n\n")
    assert [delta.text for delta in deltas] == ["one", ""]


@pytest.mark.parametrize(
    "page",
    [b"<html>\n<title>502</title>\n\n</html>", b"<html>502</html>", b"upstream connect error\n"],
)
def test_a_body_that_is_no_stream_is_malformed(page):
    with pytest.raises(MalformedAnswer, match=r"is no stream: '(<html>|upstream)"):
        read(page)
    with pytest.raises(StreamInterrupted) as caught:
        read(chunk({"content": "a"}), page)
    assert caught.value.partial.text == "a"


@pytest.mark.parametrize("data", [b": hello\n\n", b"event: x\n\n", b"dat", b"data: {", b"\n"])
def test_a_stream_cut_before_its_first_event_is_an_interruption(data):
    with pytest.raises(StreamInterrupted):
        read(data)


def test_text_before_an_event_too_large_is_given_out_first(monkeypatch):
    monkeypatch.setattr(framing, "MAX_EVENT_BYTES", 200)
    large = chunk({"content": "x" * 200})
    for parts in ((chunk({"content": "a"}) + large,), (chunk({"content": "a"}), large[:-1])):
        decoding = decoder()
        assert decoding.feed(parts[0]) == [Delta("a")]
        with pytest.raises(MalformedAnswer, match="larger than 200 bytes"):
            decoding.feed(b"".join(parts[1:]))
    with pytest.raises(MalformedAnswer, match="larger than 200 bytes"):
        decoder().feed(chunk({"role": "assistant"}) + large)
    assert read(DONE + large, large)[-1].final


@pytest.mark.parametrize("name", ["f", None])
def test_arguments_without_an_end_are_malformed(monkeypatch, name):
    monkeypatch.setattr(tool_calls, "MAX_ARGUMENTS", 1_000)
    decoding = decoder()
    decoding.feed(calls(piece(0, "1", name, '{"a":"'), piece(1, "2", "g", "")))
    with pytest.raises(MalformedAnswer, match=r"arguments of a call of '\w?' are longer than 1000"):
        list(
            map(decoding.feed, [calls(piece(1, "", "", "y" * 8), piece(0, "", "", "x" * 9))] * 200)
        )
    made = decoding.partial.tool_calls
    assert [len(call.arguments) for call in made] == ([996, 880] if name else [880])


def test_calls_without_an_end_are_malformed(monkeypatch):
    monkeypatch.setattr(tool_calls, "MAX_CALLS", 3)
    decoding = decoder()
    for number in range(3):
        decoding.feed(calls(piece(number, str(number), "f", "{}")))
    with pytest.raises(MalformedAnswer, match="more than 3 tool calls"):
        decoding.feed(calls(piece(3, "3", "f", "{}")))
    assert len(decoding.partial.tool_calls) == 3


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"reasoning_content": "x"},
        {"tool_calls": [piece(0, None, "f", "{}")]},
        {"annotations": [{"url_citation": {"url": "x"}}]},
    ],
)
def test_a_stream_without_an_end_is_malformed(monkeypatch, delta):
    monkeypatch.setattr(stream, "MAX_STREAM_BYTES", 5_000)
    decoding, event = decoder(), chunk(delta)
    with pytest.raises(MalformedAnswer, match="longer than 5000 bytes") as caught:
        list(map(decoding.feed, [b": beat\n\n" * 1_000 + event] * 100))
    assert not caught.value.retryable


def test_work_is_linear_in_the_arguments(monkeypatch):
    """A call whose pieces repeat its id is decoded once: braces in its strings tell nothing."""
    decoded: list[int] = []
    real = jsontext.decode
    monkeypatch.setattr(jsontext, "decode", lambda text: decoded.append(len(text)) or real(text))
    arguments = '{"a":"' + "}" * 500 + '"}'
    parts = [calls(piece(0, "1", "f", sign)) for sign in arguments]
    assert told(*parts, chunk({}, "tool_calls"), DONE).tool_calls[0].arguments == arguments
    assert sum(decoded) < sum(map(len, parts)) + 4 * len(arguments)


@pytest.mark.parametrize("beat", [b"data:\n\n", b"data: \n\n", b"data:\ndata:\n\n", b":\n\n"])
def test_a_heartbeat_means_nothing(beat):
    parts = (chunk({"content": "a"}), chunk({"content": "b"}, "stop"), DONE)
    assert told(beat + beat.join(parts) + beat) == told(*parts)


@pytest.mark.parametrize(
    "data",
    [
        b'{"error":{"message":"quota","grpcCode":8}}\n',
        b'{"error":{"message":"quota","grpcCode":8}}',
        b'{"code":8,"message":"quota","details":[]}\n\n',
        b'event: error\ndata: {"message":"quota","code":8}\n\n' + DONE,
    ],
)
def test_an_error_in_another_frame_is_one_all_the_same(data):  # WIRE C
    with pytest.raises(RateLimitError, match="quota"):
        read(data)


def test_a_message_alone_is_an_error():  # WIRE C
    with pytest.raises(ServerError, match="overloaded"):
        read(b'event: error\ndata: {"message":"overloaded"}\n\n' + DONE)


@pytest.mark.parametrize("late", [b"", chunk({"content": "late"}), DONE])
def test_text_before_an_error_in_one_piece_is_given_out_first(late):
    decoding = decoder()
    error = b'data: {"error":{"message":"boom"}}\n\n'
    assert decoding.feed(chunk({"content": "a"}) + error + late) == [Delta("a")]
    with pytest.raises(ServerError, match="boom"):
        decoding.feed(chunk({"content": "b"})) if late else decoding.close()


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"grpcCode": 8, "httpCode": 429, "message": "quota"}, RateLimitError, 429),
        ({"code": 13, "message": "oops"}, ServerError, 500),
        ("it broke", ServerError, 500),
    ],
)
def test_error_event(error, kind, status):  # WIRE C
    data = chunk({"content": "a"}) + b"data: " + json.dumps({"error": error}).encode()
    for ending in (b"\n\n", b""):
        with pytest.raises(kind) as caught:
            read(data + ending)
        assert caught.value.status_code == status


@pytest.mark.parametrize(
    "payload",
    [
        b'{"choices": [',
        b"rubbish",
        b"[]",
        b"null",
        b'{"choices": "x"}',
        b'{"choices": [null]}',
        b'{"choices": [{"delta": "x"}]}',
        b'{"choices": [{"index": "0", "delta": {"content": "x"}}]}',
        b'{"choices": [{"delta": {"content": 5}}]}',
        b'{"choices": [{"delta": {"tool_calls": [null]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": [1]}]}}]}',
        b'{"choices": [], "usage": {"prompt_tokens": "x"}}',
        b'{"choices": [], "usage": {"prompt_tokens": 1e999}}',
        b'{"choices": [], "usage": {"completion_tokens_details": {"reasoning_tokens": "7x"}}}',
        b'{"choices": [], "id": 5}',
        b'{"choices": [], "model": ["m"]}',
        b'{"choices": [{"finish_reason": ["stop"]}]}',
        b'{"choices": [{"finish_reason": false}]}',
        b'{"choices": [{"finish_reason": []}]}',
        b'{"choices": [{"index": "", "delta": {"content": "x"}}]}',
        b'{"choices": [{"index": [], "delta": {"content": "x"}}]}',
        b'{"choices": [{"delta": {"refusal": {"a": 1}}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"id": 3, "function": {"name": "f"}}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"id": "3", "function": {"name": 5}}]}}]}',
    ],
)
def test_events_of_no_known_shape_are_malformed(payload):
    with pytest.raises(MalformedAnswer):
        decoder().feed(b"data: " + payload + b"\n\n")


def test_arguments_sent_as_an_object_are_taken_as_json():
    one = {"index": 0, "id": "1", "function": {"name": "f", "arguments": {"a": 1}}}
    assert told(calls(one, reason="tool_calls")).tool_calls == (ToolCall("1", "f", '{"a":1}'),)


@pytest.mark.parametrize("choices", ["[]", "null"])
def test_events_without_choices_say_nothing(choices):  # WIRE A5
    assert decoder().feed(b'data: {"choices": ' + choices.encode() + b"}\n\n") == []


@pytest.mark.parametrize(
    ("word", "attribute"),
    [("content", "text"), ("reasoning_content", "reasoning"), ("refusal", "refusal")],
)
def test_halves_of_an_emoji_over_two_deltas_are_one(word, attribute):
    deltas = read(chunk({word: "a\ud83d"}), chunk({}), chunk({word: "\ude00b"}), chunk({}, "stop"))
    assert [getattr(delta, attribute) for delta in deltas] == ["a", "\U0001f600b", ""]


def test_halves_of_an_emoji_in_arguments_are_one():
    given = told(
        calls(piece(0, "1", "f", '{"a":"\ud83d')),
        calls(piece(0, "", "", '\ude00"}')),
        chunk({}, "tool_calls"),
    )
    assert given.tool_calls[0].arguments == '{"a":"\U0001f600"}'


def test_halves_of_emojis_in_two_calls_do_not_mix():
    given = told(
        calls(piece(0, "1", "f", '{"a":"\ud83d'), piece(1, "2", "g", '{"b":"\ud83c')),
        calls(piece(1, "", "", '\udf0d"}'), piece(0, "", "", '\ude00"}')),
        chunk({}, "tool_calls"),
    )
    assert [call.arguments for call in given.tool_calls] == ['{"a":"😀"}', '{"b":"🌍"}']


def test_half_an_emoji_alone_never_comes_out():
    data = (chunk({"content": "a\ud83d"}), chunk({"content": "b"}), chunk({"content": "\ude00"}))
    given = told(*data, chunk({}, "stop"))
    assert given.text == "a\ufffdb\ufffd"


def test_half_an_emoji_at_the_end_is_replaced_rather_than_lost():
    assert told(chunk({"content": "a\ud83d"}, "stop"), DONE).text == "a\ufffd"


# Calls as servers number, name and cut them.


@pytest.mark.parametrize("index", [0, None])
def test_two_calls_of_one_index_are_two(index):
    given = told(
        calls(piece(index, "id-1", "f", '{"a":1}')),
        calls(piece(index, "id-2", "f", '{"a":2}')),
        chunk({}, "tool_calls"),
    )
    assert given.tool_calls == (ToolCall("id-1", "f", '{"a":1}'), ToolCall("id-2", "f", '{"a":2}'))


def test_two_calls_of_one_index_and_one_name_in_one_chunk():  # WIRE A2
    both = calls(piece(0, "f", "f", '{"a":1}'), piece(0, "f", "f", '{"a":2}'), reason="tool_calls")
    given = told(both, DONE)
    assert given.tool_calls == (
        ToolCall("minted-1", "f", '{"a":1}'),
        ToolCall("minted-2", "f", '{"a":2}'),
    )


@pytest.mark.parametrize("index", [0, None])
@pytest.mark.parametrize("id_", ["now", "", None])
@pytest.mark.parametrize(
    ("first", "second"),
    [("", ""), ("{}", ""), ("", "{}"), ("{}", "{}"), (" ", "\n"), ("", '{"zone":"MSK"}')],
)
def test_two_calls_of_one_tool_in_one_event(index, id_, first, second):  # WIRE A2, A3
    both = calls(piece(index, id_, "now", first), piece(index, id_, "now", second))
    given = told(both, chunk({}, "tool_calls"), DONE)
    assert given.tool_calls == (
        ToolCall("minted-1", "now", first or "{}"),
        ToolCall("minted-2", "now", second or "{}"),
    )


def test_three_calls_of_one_tool_in_one_event():
    one = piece(None, "now", "now", "")
    assert [call.id for call in told(calls(one, one, one), DONE).tool_calls] == [
        "minted-1",
        "minted-2",
        "minted-3",
    ]


@pytest.mark.parametrize("id_", ["now", "", None])
def test_a_name_repeated_in_a_later_event_is_the_same_call(id_):
    pieces = ["", "", '{"a"', ":1}", ""]
    given = told(*(calls(piece(0, id_, "now", text)) for text in pieces), DONE)
    assert given.tool_calls == (ToolCall("minted-1", "now", '{"a":1}'),)


@pytest.mark.parametrize(
    ("id_", "texts"), [("call_1", ("", '{"a":1}')), ("f", ('{"a"', ":1}")), ("call_1", ("", ""))]
)
def test_pieces_of_one_call_in_one_event_are_one(id_, texts):
    given = told(calls(*(piece(0, id_, "f", text) for text in texts)), DONE)
    assert [call.arguments for call in given.tool_calls] == ["".join(texts) or "{}"]


def test_two_calls_of_one_index_without_arguments():
    given = told(calls(piece(0, "1", "f", "")), calls(piece(0, "2", "g", "")), DONE)
    assert given.tool_calls == (ToolCall("1", "f", "{}"), ToolCall("2", "g", "{}"))


def test_two_calls_of_one_index_whose_pieces_follow_each_other():
    given = told(
        calls(piece(0, "1", "f", "")),
        calls(piece(0, "", "", '{"a":1}')),
        calls(piece(0, "2", "g", "")),
        calls(piece(0, "", "", '{"b":2}')),
        DONE,
    )
    assert given.tool_calls == (ToolCall("1", "f", '{"a":1}'), ToolCall("2", "g", '{"b":2}'))


def test_a_second_call_of_one_index_may_begin_with_its_id_or_its_name_alone():
    given = told(
        calls(piece(0, "1", "f", '{"a":1}')),
        calls(piece(0, "2", None, "")),
        calls(piece(0, None, "g", '{"b":2}')),
        calls(piece(0, None, "h", "")),
        DONE,
    )
    assert given.tool_calls == (
        ToolCall("1", "f", '{"a":1}'),
        ToolCall("2", "g", '{"b":2}'),
        ToolCall("minted-1", "h", "{}"),
    )


def test_id_and_name_repeated_in_every_piece():
    pieces = ["", '{"a"', ": [1", "]}", ""]
    given = told(*(calls(piece(0, "1", "f", text)) for text in pieces), DONE)
    assert given.tool_calls == (ToolCall("1", "f", '{"a": [1]}'),)


def test_whitespace_after_whole_arguments_begins_no_call():
    given = told(calls(piece(0, "1", "f", '{"a":1}')), calls(piece(0, "1", "f", "\n")), DONE)
    assert [call.id for call in given.tool_calls] == ["1"]


def test_missing_indexes_of_one_call_are_one():
    given = told(calls(piece(None, "1", "f", '{"a"')), calls(piece(None, None, None, ":1}")), DONE)
    assert given.tool_calls == (ToolCall("1", "f", '{"a":1}'),)


def test_indexes_are_counted_anew_from_zero():
    deltas = read(calls(piece(7, "1", "f", "{}"), piece(3, "2", "g", "{}")), DONE)
    assert [part.index for delta in deltas for part in delta.tool_calls] == [0, 1]


def test_a_name_that_comes_late_is_waited_for():
    deltas = read(calls(piece(0, "1", None, '{"a"')), calls(piece(0, None, "f", ":1}")), DONE)
    assert [delta.tool_calls for delta in deltas] == [(ToolCallDelta(0, "1", "f", '{"a":1}'),), ()]


def test_a_name_that_comes_after_whole_arguments_belongs_to_them():
    given = told(calls(piece(0, "1", None, '{"a":1}')), calls(piece(0, None, "f", "")), DONE)
    assert given.tool_calls == (ToolCall("1", "f", '{"a":1}'),)


@pytest.mark.parametrize("end", [DONE, chunk({}, "tool_calls")])
def test_a_call_that_never_gets_a_name_is_not_dropped(end):
    deltas = read(calls(piece(0, "1", None, '{"a":1}')), end)
    assert deltas[-1].tool_calls == (ToolCallDelta(0, "1", "", '{"a":1}'),)
    assert deltas[-1].final


def test_a_nameless_call_is_not_dropped_for_another_of_its_index():
    given = told(calls(piece(0, "1", None, '{"a":1}')), calls(piece(0, "2", "g", '{"b":2}')), DONE)
    assert sorted(given.tool_calls, key=lambda call: call.name) == [
        ToolCall("1", "", '{"a":1}'),
        ToolCall("2", "g", '{"b":2}'),
    ]


def test_pieces_without_a_function_say_nothing():
    given = told(calls(piece(0, "1", "f", "{}")), calls({"index": 0}), DONE)
    assert given.tool_calls == (ToolCall("1", "f", "{}"),)


def test_ids_taken_in_the_history_are_minted():  # D3
    history = Message("assistant", tool_calls=(ToolCall("old", "f", "{}"),))
    asked = CompletionRequest("qwen3", (history,))
    given = total(read(calls(piece(0, "old", "f", "{}")), DONE, asked=asked))
    assert given.tool_calls[0].id == "minted-1"


# What only some models send (A11, A15, A16).


def custom(text: str, id_: str = "", name: str = "", kind: str = "") -> dict:
    return {"index": 0, "id": id_, "type": kind, "custom": {"name": name, "input": text}}


@pytest.mark.parametrize("kind", ["custom", ""])  # WIRE A4: gemma's first piece names no type
def test_a_custom_call_in_pieces(kind):  # WIRE A11
    first, second = custom("select", "c1", "sql", kind), custom(" 1")
    deltas = read(calls(first), calls(second), chunk({}, "tool_calls"), DONE)
    assert total(deltas).tool_calls == (ToolCall("c1", "sql", "select 1", custom=True),)
    assert all(piece.custom for delta in deltas for piece in delta.tool_calls)


def test_a_custom_call_whose_every_piece_repeats_its_id_is_one():
    parts = [calls(custom(text, "c1", "sql")) for text in ("select", " 1")]
    assert told(*parts, DONE).tool_calls == (ToolCall("c1", "sql", "select 1", custom=True),)


def test_free_text_may_be_whole_whenever_a_finish_reason_comes():  # D10
    assert told(calls(custom("select 1", "c1", "sql"), reason="tool_calls")).tool_calls


def test_the_deprecated_function_call_in_pieces():  # WIRE A15
    pieces = [{"name": "f", "arguments": '{"a"'}, {"arguments": ":1}"}]
    parts = [chunk({"function_call": piece}) for piece in pieces]
    answer = told(*parts, chunk({}, "function_call"), DONE)
    assert answer.tool_calls == (ToolCall("minted-1", "f", '{"a":1}'),)
    assert answer.finish_reason == "function_call"


def test_citations_and_log_probabilities_add_up():  # WIRE A16
    cited = {"type": "url_citation", "url_citation": {"url": "https://ya.ru"}}
    tokens = [{"token": text, "logprob": -0.5} for text in "ab"]

    def event(token: dict, **rest: object) -> bytes:
        choice = {"delta": {"content": token["token"], **rest}, "logprobs": {"content": [token]}}
        return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"

    answer = told(event(tokens[0]), event(tokens[1], annotations=[cited]), DONE)
    assert answer.text == "ab"
    assert answer.logprobs == {"content": tokens}
    assert answer.annotations == (Citation("https://ya.ru"),)


def test_log_probabilities_without_text_are_given_out():
    event = {"choices": [{"delta": {}, "logprobs": {"refusal": [{"token": "x"}]}}]}
    answer = told(b"data: " + json.dumps(event).encode() + b"\n\n", DONE)
    assert answer.logprobs == {"refusal": [{"token": "x"}]}


def test_the_service_tier_is_told_at_the_end():
    assert told(chunk({"content": "a"}, service_tier="flex"), DONE).service_tier == "flex"


def test_streamed_sound_is_refused():  # no page says what it looks like
    with pytest.raises(MalformedAnswer, match="ask without streaming"):
        read(chunk({"audio": {"data": "AAAA"}}), DONE)


@pytest.mark.parametrize("kind", ["web_search", "computer"])
def test_a_call_of_an_unknown_kind_is_malformed(kind):
    with pytest.raises(MalformedAnswer, match=kind):
        read(calls({"index": 0, "id": "x", "type": kind}), DONE)
