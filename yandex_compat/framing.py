"""Cuts a response body into the payloads it carries: bytes in, payloads out, no I/O."""

MAX_EVENT_BYTES = 10 * 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


_BARE_GOES_ON = {b" ", b"\t", b"}", b"]", b'"'}


class FramingError(Exception):
    """The body can't be cut into payloads."""


class SSEFraming:
    """Server-sent events: yields the data of each event, comments and other fields left out.

    Lines end in LF, CRLF or CR, and in nothing else: a JSON string may hold U+2028 and its like
    unescaped. Several `data:` lines of one event are joined with LF; an event of blank data is a
    heartbeat and left out. JSON without any field name, on one line or several, is taken for
    data: errors come so inside a 200 (WIRE C).
    """

    __slots__ = ("_bare", "_data", "_data_size", "_rest", "_rest_size")

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._rest_size = 0
        self._data: list[bytes] = []
        self._data_size = 0
        self._bare = False

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that these bytes complete.

        Raises FramingError for one larger than MAX_EVENT_BYTES.
        """
        after_cr = self._rest[-1:] == [b"\r"]
        self._rest.append(data)
        self._rest_size += len(data)
        payloads: list[bytes] = []
        # Pieces of one long line are joined once it is whole, not again with each of them.
        if after_cr or b"\n" in data or b"\r" in data:
            *lines, rest = self._with_plain_ends(b"".join(self._rest)).split(b"\n")
            payloads = [payload for line in lines if (payload := self._line(line)) is not None]
            # A CR at the very end may be the first half of a CRLF: it waits with what follows.
            self._rest = [rest[:-1], b"\r"] if rest.endswith(b"\r") else [rest]
            self._rest_size = len(rest)
        if self._rest_size + self._data_size > MAX_EVENT_BYTES:
            raise FramingError(f"one event of the stream is larger than {MAX_EVENT_BYTES} bytes")
        return payloads

    def close(self) -> list[bytes]:
        """The payload of an event that the end of the body left without its blank line."""
        rest, self._rest = b"".join(self._rest).removesuffix(b"\r"), []
        return [payload for line in (rest, b"") if (payload := self._line(line)) is not None]

    def _line(self, line: bytes) -> bytes | None:
        """Take one line in; the event's data where the line, being blank, ends an event."""
        line = line.removeprefix(_BYTE_ORDER_MARK)
        if line.startswith(b"data:"):
            self._hold(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"{") or (self._bare and line[:1] in _BARE_GOES_ON):
            self._bare = True
            self._hold(line)
        if line or not self._data:
            return None
        payload = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data.clear()
        self._bare = False
        self._data_size = 0
        return payload if payload.strip() else None

    def _hold(self, data: bytes) -> None:
        self._data.append(data)
        self._data_size += len(data)

    @staticmethod
    def _with_plain_ends(data: bytes) -> bytes:
        if b"\r" not in data:
            return data
        held = b"\r" if data.endswith(b"\r") else b""
        body = data[: len(data) - len(held)]
        return body.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held


class JSONLinesFraming:
    """JSON lines: yields each line that is not blank (WIRE B6).

    Lines end in LF or CRLF, and in nothing else: a JSON string may hold U+2028 and its like
    unescaped, and no CR.
    """

    __slots__ = ("_rest", "_rest_size")

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._rest_size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that these bytes complete; FramingError for one over MAX_EVENT_BYTES."""
        self._rest.append(data)
        self._rest_size += len(data)
        lines: list[bytes] = []
        if b"\n" in data:
            *lines, rest = b"".join(self._rest).split(b"\n")
            self._rest, self._rest_size = [rest], len(rest)
        if self._rest_size > MAX_EVENT_BYTES:
            raise FramingError(f"one line of the stream is larger than {MAX_EVENT_BYTES} bytes")
        return _without_blanks(lines)

    def close(self) -> list[bytes]:
        """The line that the end of the body left without its line end."""
        rest, self._rest = b"".join(self._rest), []
        return _without_blanks([rest])


def _without_blanks(lines: list[bytes]) -> list[bytes]:
    bare = (line.removeprefix(_BYTE_ORDER_MARK).strip(b" \t\r") for line in lines)
    return [line for line in bare if line]
