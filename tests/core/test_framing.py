"""Server-sent events, cut anywhere."""

from collections.abc import Iterable
from itertools import product

import pytest

from yandex_compat import framing
from yandex_compat.framing import MAX_EVENT_BYTES, FramingError, JSONLinesFraming, SSEFraming


def payloads(*parts: bytes) -> list[bytes]:
    frames = SSEFraming()
    found = [payload for part in parts for payload in frames.feed(part)]
    return found + frames.close()


STREAMS = {
    "LF": (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    "CR": (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    "mixed ends": (b"data: a\r\n\ndata: b\n\r\ndata: c\r\n\r", [b"a", b"b", b"c"]),
    "no space": (b"data:a\n\ndata:  b\n\n", [b"a", b" b"]),
    "several lines": (b"data: a\ndata: b\ndata:\n\n", [b"a\nb\n"]),
    "several lines CRLF": (b"data: a\r\ndata: b\r\n\r\n", [b"a\nb"]),
    "comments": (b": hello\n\n:\n\ndata: a\n: between\n\n", [b"a"]),
    "other fields": (b"event: x\nid: 7\nretry: 1\ndata: a\n\nevent: y\n\n", [b"a"]),
    "blank lines": (b"\n\n\r\n\ndata: a\n\n\n\n", [b"a"]),
    "U+2028 and its like": (
        'data: {"a":"x\u2028y\u2029z\x85\x0b\x0c\x1c"}\n\n'.encode(),
        ['{"a":"x\u2028y\u2029z\x85\x0b\x0c\x1c"}'.encode()],
    ),
    "colons and data inside": (b"data: data: a: b\n\n", [b"data: a: b"]),
    "unterminated LF": (b"data: a\n\ndata: b", [b"a", b"b"]),
    "unterminated line end": (b"data: a\n\ndata: b\n", [b"a", b"b"]),
    "unterminated CR": (b"data: a\r\rdata: b\r", [b"a", b"b"]),
    "unterminated CRLF": (b"data: a\r\n\r\ndata: b\r\n", [b"a", b"b"]),
    "byte-order mark": (b"\xef\xbb\xbfdata: a\n\ndata: b\n\n", [b"a", b"b"]),
    "no colon": (b"data\ndata: a\n\ndata\n\n", [b"\na"]),
    "nothing": (b"", []),
    "blank data": (b"data:\n\ndata: a\n\ndata: \n\n", [b"a"]),
    "bare JSON": (b'{"error":"x"}\n\ndata: a\n\n', [b'{"error":"x"}', b"a"]),  # WIRE C
    "bare JSON, unterminated": (b'{"error":"x"}', [b'{"error":"x"}']),
    "JSON": (b'data: {"a":1}\n\ndata: {"b":2}\n\n', [b'{"a":1}', b'{"b":2}']),
    "JSON on several lines": (b'data: {"a":\ndata: 1}\n\n', [b'{"a":\n1}']),
    "JSON on lines of its own": (b'data: [\ndata: {"a":1}\n\n', [b'[\n{"a":1}']),
    "bare text": (b"<html>\n\n", []),
    "cyrillic": ("data: Привет\n\n".encode(), ["Привет".encode()]),
}
every_stream = pytest.mark.parametrize(("data", "expected"), STREAMS.values(), ids=STREAMS.keys())


@every_stream
def test_payloads(data, expected):
    assert payloads(data) == expected


PIECES = (
    b'data: {"a":1}\n\n', b'data: {"a"\n', b":2}\n\n", b"da", b'ta: {"b":1}\n\n', b"\r", b"\n",
    b"\xef\xbb\xbf", b"data: {a\rb\n\n", b'data: {"c":1}\r\n\r\n', b'{"d":', b"<p>\n\n",
    b"data: {%s}\n\n" % (b"x" * 60), b'data: {"e":1}\n\ndata: {"f":1}\n\n',
)  # fmt: skip


def fed(pieces: Iterable[bytes]) -> tuple[list[bytes], bytes | None, bool]:
    """The payloads, the stray line, and whether it failed."""
    frames, found = SSEFraming(), []
    try:
        for piece in pieces:
            found += frames.feed(piece)
        found += frames.close()
    except FramingError:
        return found, frames.stray, True
    return found, frames.stray, False


@pytest.mark.parametrize("first", PIECES)
def test_pieces_say_what_their_bytes_say_one_by_one(monkeypatch, first):
    monkeypatch.setattr(framing, "MAX_EVENT_BYTES", 50)
    for pieces in product([first], PIECES, PIECES):
        data = b"".join(pieces)
        assert fed(pieces) == fed(data[at : at + 1] for at in range(len(data))), pieces


@every_stream
def test_payloads_cut_at_every_byte(data, expected):
    for at in range(len(data) + 1):
        assert payloads(data[:at], data[at:]) == expected, at


@every_stream
def test_payloads_byte_by_byte(data, expected):
    assert payloads(*(data[at : at + 1] for at in range(len(data)))) == expected


def test_a_cr_that_waits_ends_its_line_with_whatever_sign_follows():
    framing = SSEFraming()
    assert framing.feed(b"data: a\r\r") == []
    assert framing.feed(b"data: ") == [b"a"]
    assert framing.feed(b"b\n\n") == [b"b"]


def test_an_event_comes_out_with_its_blank_line():
    frames = SSEFraming()
    assert frames.feed(b"data: a\n") == []
    assert frames.feed(b"\n") == [b"a"]
    assert frames.close() == []


@pytest.mark.parametrize(
    "part", [b"data: " + b"x" * 10, b"data: x\n", b": x"], ids=["a line", "many lines", "comment"]
)
def test_an_endless_event_is_refused(monkeypatch, part):
    monkeypatch.setattr(framing, "MAX_EVENT_BYTES", 100)
    frames = SSEFraming()
    frames.feed(part)
    with pytest.raises(FramingError, match="larger than 100 bytes"):
        list(map(frames.feed, [part] * 200))


def test_a_large_event_comes_out_whole():
    event = b"data: " + b"x" * 2_000_000 + b"\n\n"
    assert payloads(*(event[at : at + 65_536] for at in range(0, len(event), 65_536))) == [
        b"x" * 2_000_000
    ]


def test_what_came_before_an_event_too_large_is_given_out_first(monkeypatch):
    monkeypatch.setattr(framing, "MAX_EVENT_BYTES", 100)
    for frames, event, large in (
        (SSEFraming(), b"data: a\n\n", b"data: " + b"x" * 100 + b"\n\n"),
        (JSONLinesFraming(), b"a\n", b"x" * 101 + b"\n"),
    ):
        assert frames.feed(event + large + event) == [b"a"]
        for refused in (lambda: frames.feed(event), frames.close):  # noqa: B023
            with pytest.raises(FramingError, match="larger than 100 bytes"):
                refused()


def test_nothing_follows_an_event_of_lines_too_many(monkeypatch):
    monkeypatch.setattr(framing, "MAX_EVENT_BYTES", 100)
    frames = SSEFraming()
    assert frames.feed(b"data: " + b"x" * 90 + b"\n") == []
    with pytest.raises(FramingError, match="larger than 100 bytes"):
        frames.feed(b"data: " + b"x" * 10 + b"\n\ndata: {}\n\n")


def test_blank_lines_of_one_event_make_it_large(monkeypatch):
    monkeypatch.setattr(framing, "MAX_EVENT_BYTES", 100)
    frames = SSEFraming()
    with pytest.raises(FramingError, match="larger than 100 bytes"):
        list(map(frames.feed, [b"data:\n"] * 200))


@pytest.mark.parametrize(
    ("body", "stray"),
    [
        (b"<html>\r\n<b>no</b>\n\n", b"<html>"),
        (b"<html>", b"<html>"),
        (b"upstream: gone", b"upstream: gone"),
        (b": hello\n\nid: 1\nretry: 3\nevent: x\n\n", None),
        (b"dat", None),
        (b"\xef\xbb", None),
        (b"<html>\n\ndata: a\n\n", None),
        (b"data: a\n\n<html>\n", None),
        (b"data: {}\n\n<html>\n", None),
    ],
)
def test_a_body_without_events_is_told_from_one_cut_short(body, stray):
    frames = SSEFraming()
    frames.feed(body)
    frames.close()
    assert frames.stray == stray


def test_many_small_events_are_no_large_one(monkeypatch):
    monkeypatch.setattr(framing, "MAX_EVENT_BYTES", 100)
    frames = SSEFraming()
    assert sum(len(frames.feed(b"data: 0123456789\n\n")) for _ in range(100)) == 100


LINES = b'{"a":1}\n{"b":"\xe2\x80\xa8\xc2\x85"}\r\n\n \t\n{"c":3}'


def test_json_lines_end_in_lf_and_nothing_else():  # WIRE B6
    whole = [b'{"a":1}', b'{"b":"\xe2\x80\xa8\xc2\x85"}', b'{"c":3}']
    for at in range(len(LINES) + 1):
        framing = JSONLinesFraming()
        given = framing.feed(LINES[:at]) + framing.feed(LINES[at:]) + framing.close()
        assert given == whole


def test_a_json_line_of_any_size_up_to_the_largest():
    framing = JSONLinesFraming()
    assert framing.feed(b"x" * MAX_EVENT_BYTES) == []
    assert framing.feed(b"\n") == [b"x" * MAX_EVENT_BYTES]
    with pytest.raises(FramingError, match="larger"):
        framing.feed(b"x" * (MAX_EVENT_BYTES + 1))


def test_a_byte_order_mark_is_no_json():
    assert JSONLinesFraming().feed(b"\xef\xbb\xbf{}\n") == [b"{}"]
