"""Framing does not depend on how the bytes are cut, and holds no more than it may: any bytes.

HYPOTHESIS_PROFILE=long searches far longer than CI does.
"""

import gc
import re
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yandex_compat import framing
from yandex_compat.framing import FramingError, JSONLinesFraming, SSEFraming

Framing = SSEFraming | JSONLinesFraming
BOM = b"\xef\xbb\xbf"

# Random bytes hardly ever hold a field's name: what matters to a framer is drawn by name.
NAMED = [
    b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"\r\r", b"data:", b"data: ", b"data: {", b"data",
    b"dat",
    b":", b": keep-alive", b"event: x", b"id: 1", b"retry:3", b"{", b"}", b'{"a":', b'"x"', b"[",
    b"]", b" ", b"\t", b"\x00", b"\x0b", b"\x0c", b"\x1c", b"\xff", BOM, "\u2028".encode(),
    "\x85".encode(), "я😀".encode(), b"[DONE]", b"<html>",
]  # fmt: skip
SIGNS = st.sampled_from(NAMED) | st.binary(max_size=5)
BODIES = st.lists(SIGNS, max_size=40).map(b"".join)
SIZES = st.lists(st.integers(0, 12), min_size=1, max_size=10).filter(any)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """The data in pieces of these sizes, over and over; empty ones among them."""
    pieces, at, number = [], 0, 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        pieces.append(data[at : at + size])
        at, number = at + size, number + 1
    return pieces


def framed(frames: Framing, pieces: list[bytes]) -> tuple[list[bytes], bool]:
    """The payloads that the pieces give, and whether the framer refused what follows them."""
    given_out: list[bytes] = []
    try:
        for piece in pieces:
            given_out += frames.feed(piece)
        return given_out + frames.close(), False
    except FramingError:
        return given_out, True


def sse(data: bytes) -> list[bytes]:
    """The event stream of the HTML standard, 9.2.6, and what this project adds to it."""
    payloads: list[bytes] = []
    lines = re.split(rb"\r\n|\n|\r", data)
    held: list[bytes] = []
    bare = False
    # Added: the end of the body ends the last event as a blank line would.
    for line in [*lines, b""]:
        line = line.removeprefix(BOM)  # added: before any line, not only before the first
        if not line:
            payload = b"\n".join(held)
            # Added: an event without a payload is a heartbeat.
            payloads += [payload] if payload.strip() else []
            held, bare = [], False
            continue
        name, _, value = line.partition(b":")
        if name == b"data":
            held.append(value.removeprefix(b" "))
        elif line.startswith(b"{") or (bare and line[:1] in {b" ", b"\t", b"}", b"]", b'"'}):
            held.append(line)  # added: JSON without a field's name (WIRE C)
            bare = True
    return payloads


def json_lines(data: bytes) -> list[bytes]:
    lines = [line.removeprefix(BOM).strip(b" \t\r") for line in data.split(b"\n")]
    return [line for line in lines if line]


FRAMERS = [(SSEFraming, sse), (JSONLinesFraming, json_lines)]
every_framer = pytest.mark.parametrize(("framer", "reference"), FRAMERS, ids=["sse", "lines"])


@every_framer
@given(data=BODIES, sizes=SIZES)
@example(data=b"data\ndata: a\n\n", sizes=[1])
@example(data=b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", sizes=[1, 0, 2])
@example(data=b'{"a":[\n{}\n]\n}\n\n', sizes=[3])
@example(data=b'{"a":1}\n\ndata: b\n}\n\n', sizes=[3])
@example(data=b"data:   \n\n", sizes=[3])
def test_any_cuts_give_what_the_reference_gives(framer, reference, data, sizes):
    expected = (reference(data), False)
    assert framed(framer(), [data]) == expected
    assert framed(framer(), cut(data, sizes)) == expected


@pytest.fixture(scope="module")
def small_events():
    """Events of 40 bytes at most: small enough to be outgrown in every way there is."""
    patch = pytest.MonkeyPatch()
    patch.setattr(framing, "MAX_EVENT_BYTES", 40)
    yield 40
    patch.undo()


@every_framer
@given(data=st.lists(SIGNS, max_size=80).map(b"".join), sizes=SIZES)
@example(data=b"data: a\n\ndata: " + b"x" * 60 + b"\n\ndata: b\n\n", sizes=[200])
@example(data=b"data: " + b"x" * 34 + b"\r\n\r\n", sizes=[41, 3])
@example(data=b'{"a":1}\n' + b"x" * 60 + b"\n{}\n", sizes=[200])
def test_what_is_too_large_is_so_wherever_it_is_cut(small_events, framer, reference, data, sizes):
    """What came whole before it is given out first, and nothing after it."""
    whole = framed(framer(), [data])
    assert framed(framer(), cut(data, sizes)) == whole
    payloads, refused = whole
    assert payloads == reference(data)[: len(payloads)]
    assert refused or payloads == reference(data)
    assert all(len(payload) <= small_events for payload in payloads)


def held(frames: Framing) -> int:
    """The bytes of memory that a framer keeps, its lists and empty objects included."""
    seen: dict[int, int] = {}
    waiting = [getattr(frames, name) for name in type(frames).__slots__]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, type) and id(one) not in seen and not isinstance(one, Exception):
            seen[id(one)] = sys.getsizeof(one)
            waiting += gc.get_referents(one)
    return sum(seen.values())


ENDLESS = {
    "one line": b"data: x",
    "a line that never ends": b"x" * 7,
    "lines of one event": b"data: x\n",
    "two signs a line": b"data:ab\n",
    "blank lines of one event": b"data:\n",
    "no colon": b"data\n",
    "bare JSON": b'{"a":\n',
    "comment lines": b": x\n",
    "blank lines": b"\n",
    "carriage returns": b"data:a\r",
    "two signs": b"ab",
    "nothing": b"",
}


@every_framer
@pytest.mark.parametrize("part", ENDLESS.values(), ids=ENDLESS.keys())
def test_what_is_held_is_bounded(monkeypatch, framer, reference, part):
    monkeypatch.setattr(framing, "MAX_EVENT_BYTES", 4_000)
    frames, most = framer(), 0
    for _ in range(5_000):
        try:
            frames.feed(part)
        except FramingError:
            break
        most = max(most, held(frames))
    # An array that grows has room to spare, an eighth and a little.
    assert most <= 4_000 * 9 / 8 + len(part) + 500


@every_framer
@pytest.mark.parametrize("part", [b"x" * 1_000, b"data: " + b"x" * 1_000 + b"\n"])
def test_what_is_refused_is_let_go(monkeypatch, framer, reference, part):
    monkeypatch.setattr(framing, "MAX_EVENT_BYTES", 10_000)
    frames = framer()
    with suppress(FramingError):
        for _ in range(20):
            frames.feed(part)
    assert held(frames) < 2_000


@every_framer
@given(parts=st.lists(SIGNS, min_size=1, max_size=40), sizes=SIZES)
def test_each_byte_is_copied_a_few_times_at_most(framer, reference, parts, sizes):
    """With its piece, with the line end that comes later, and with what follows a CR."""
    data = b"".join(parts)
    copied = counted_copies(lambda: framed(framer(), cut(data * 20, sizes)))
    assert copied <= 3 * len(data) * 20


@every_framer
@pytest.mark.parametrize("part", ENDLESS.values(), ids=ENDLESS.keys())
def test_work_is_linear_in_what_comes(framer, reference, part):
    copied = counted_copies(lambda: framed(framer(), [part] * 3_000))
    assert copied <= 3 * len(part) * 3_000


def counted_copies(run: Callable[[], object]) -> int:
    """How many bytes are put together for the search of line ends, which is all there is to do."""
    copied: list[int] = []
    real = framing._joined
    with pytest.MonkeyPatch.context() as patch:

        def joined(rest: bytearray, data: bytes) -> bytes:
            copied.append(len(rest) + len(data))
            return real(rest, data)

        patch.setattr(framing, "_joined", joined)
        run()
    return sum(copied)
