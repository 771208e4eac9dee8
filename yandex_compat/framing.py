"""Cuts a response body into the payloads it carries: bytes in, payloads out, no I/O."""

from collections.abc import Iterable, Iterator

MAX_EVENT_BYTES = 10 * 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BARE_GOES_ON = {b" ", b"\t", b"}", b"]", b'"'}
# The search for a number is twice as fast as that for a sign.
_LF, _CR = b"\n\r"
_FIELDS = (b"event", b"id", b"retry", b"data")


class FramingError(Exception):
    """The body can't be cut into payloads."""


class SSEFraming:
    """Server-sent events: yields the data of each event, comments and other fields left out.

    Lines end in LF, CRLF or CR, and in nothing else: a JSON string may hold U+2028 and its like
    unescaped. Several `data:` lines of one event are joined with LF; an event of blank data is a
    heartbeat and left out. JSON without any field name, on one line or several, is taken for
    data: errors come so inside a 200 (WIRE C).
    """

    __slots__ = ("_bare", "_begun", "_data", "_rest", "_stray", "failure")

    def __init__(self) -> None:
        # An event is kept as bytes in a row: of a list, each short line would cost 50 bytes more.
        self._rest = bytearray()
        self._data: bytes | bytearray | None = None
        self._bare = False
        self._begun = False
        self.failure: FramingError | None = None
        """Why nothing follows what was given out."""
        self._stray: bytes | None = None

    @property
    def stray(self) -> bytes | None:
        """The first line of a body without events, such as a web page; None where there is any."""
        return None if self._begun else self._stray

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that these bytes complete.

        Raises FramingError for one larger than MAX_EVENT_BYTES, once those before it are out.
        """
        if self.failure:
            raise self.failure
        # Nearly all pieces are one event of one line, which need not be taken apart.
        if (
            self._data is None
            and not self._rest
            and data.startswith(b"data: {")
            and data.find(_LF) == len(data) - 2
            and data.endswith(b"\n\n")
            and _CR not in data
            and len(data) <= MAX_EVENT_BYTES
        ):
            self._begun = True
            return [data[6:-2]]
        return self._taken_apart(data) if data else []

    def _taken_apart(self, data: bytes) -> list[bytes]:
        payloads: list[bytes] = []
        # Pieces of one long line are joined once it is whole, not again with each of them.
        if _LF in data or _CR in data or self._rest.endswith(b"\r"):
            if self._rest:
                data = _joined(self._rest, data)
            if _CR in data:
                data = _with_plain_ends(data)
            events = data.split(b"\n\n")
            tail = events.pop()
            short = self._data is None and len(data) <= MAX_EVENT_BYTES
            for event in events:
                # Nor need several that come together, each on one line.
                if short and event.startswith(b"data: {") and _LF not in event:
                    self._begun = True
                    payloads.append(event[6:])
                else:
                    payloads += self._payloads_of((*event.split(b"\n"), b""))
                    short = len(data) <= MAX_EVENT_BYTES and not self.failure
            if tail or self._rest:
                *lines, rest = tail.split(b"\n")
                # A CR at the very end may be the first half of a CRLF: it waits for what follows.
                self._rest = bytearray(rest)
                payloads += self._payloads_of(lines)
        else:
            self._rest += data
        if self._rest:
            self._grows_too_large(len(self._rest) - self._rest.endswith(b"\r"))
        if self.failure and not payloads:
            raise self.failure
        return payloads

    def close(self) -> list[bytes]:
        """The payload of an event that the end of the body left without its blank line."""
        if self.failure:
            raise self.failure
        rest, self._rest = bytes(self._rest).removesuffix(b"\r"), bytearray()
        return [payload for line in (rest, b"") if (payload := self._line(line)) is not None]

    def _payloads_of(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            if self._grows_too_large(len(line)):
                return
            if (payload := self._line(line)) is not None:
                yield payload

    def _grows_too_large(self, size: int) -> bool:
        """Whether an event that goes on with a line of this size is, and nothing follows it."""
        if not self.failure:
            if size + len(self._data or b"") <= MAX_EVENT_BYTES:
                return False
            self.failure = FramingError(
                f"one event of the stream is larger than {MAX_EVENT_BYTES} bytes"
            )
            self._rest, self._data = bytearray(), None
        return True

    def _line(self, line: bytes) -> bytes | None:
        """Take one line in; the event's data where the line, being blank, ends an event."""
        line = line.removeprefix(_BYTE_ORDER_MARK)
        if line.startswith(b"data:"):
            self._hold(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"{") or (self._bare and line[:1] in _BARE_GOES_ON):
            self._bare = True
            self._hold(line)
        elif line == b"data":
            self._hold(b"")
        elif line and not self._begun and self._stray is None:
            self._note_stray(line)
        if line or self._data is None:
            return None
        payload, self._data = bytes(self._data), None
        self._bare = False
        return payload if payload.strip() else None

    def _hold(self, data: bytes) -> None:
        self._begun = True
        if self._data is None:
            self._data = data
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._data += b"\n"
        self._data += data

    def _note_stray(self, line: bytes) -> None:
        name, colon, _ = line.partition(b":")
        # The end of a body that was cut may be the beginning of a name, or of the mark before it.
        whole = name in {b"", *_FIELDS}
        cut = not colon and any(word.startswith(name) for word in (*_FIELDS, _BYTE_ORDER_MARK))
        if not (whole or cut):
            self._stray = line


class JSONLinesFraming:
    """JSON lines: yields each line that is not blank (WIRE B6).

    Lines end in LF or CRLF, and in nothing else: a JSON string may hold U+2028 and its like
    unescaped, and no CR.
    """

    __slots__ = ("_rest", "failure", "stray")

    def __init__(self) -> None:
        self._rest = bytearray()
        self.failure: FramingError | None = None
        """Why nothing follows what was given out."""
        self.stray: bytes | None = None
        """The end of a body where it is no beginning of an object."""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that these bytes complete.

        Raises FramingError for one larger than MAX_EVENT_BYTES, once those before it are out.
        """
        if self.failure:
            raise self.failure
        lines: list[bytes] = []
        if _LF in data:
            *whole, rest = _joined(self._rest, data).split(b"\n")
            self._rest = bytearray(rest)
            for line in whole:
                if self._is_too_large(len(line)):
                    break
                lines.append(line)
        else:
            self._rest += data
        self._is_too_large(len(self._rest))
        lines = _without_blanks(lines)
        if self.failure and not lines:
            raise self.failure
        return lines

    def close(self) -> list[bytes]:
        """The line that the end of the body left without its line end."""
        if self.failure:
            raise self.failure
        rest, self._rest = bytes(self._rest), bytearray()
        lines = _without_blanks([rest])
        if lines and not (lines[0].startswith(b"{") or _BYTE_ORDER_MARK.startswith(lines[0])):
            self.stray = lines[0]
        return lines

    def _is_too_large(self, size: int) -> bool:
        """Whether a line of this size is, and nothing follows it."""
        if not self.failure:
            if size <= MAX_EVENT_BYTES:
                return False
            self.failure = FramingError(
                f"one line of the stream is larger than {MAX_EVENT_BYTES} bytes"
            )
            self._rest = bytearray()
        return True


def _joined(rest: bytearray, data: bytes) -> bytes:
    return b"".join((rest, data)) if rest else data


def _with_plain_ends(data: bytes) -> bytes:
    held = b"\r" if data.endswith(b"\r") else b""
    body = data[: len(data) - len(held)]
    return body.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held


def _without_blanks(lines: list[bytes]) -> list[bytes]:
    bare = (line.removeprefix(_BYTE_ORDER_MARK).strip(b" \t\r") for line in lines)
    return [line for line in bare if line]
