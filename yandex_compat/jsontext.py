"""The one place where JSON text is read and written."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic_core import from_json, to_json

# Models write line ends into strings as they are.
_LENIENT = json.JSONDecoder(strict=False)
_STRUCTURE = re.compile(r'\\.|["{}]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(data: bytes | str) -> Any:  # noqa: ANN401 -- JSON is any value
    """Decode JSON; ValueError if it is none, or is nested too deeply.

    pydantic_core refuses a byte-order mark, a lone surrogate (half an emoji in one delta, the other
    half in the next; to some versions, a TypeError) and a line end inside a string, all of which
    are sent.
    """
    try:
        return from_json(data)
    except (TypeError, ValueError):
        pass
    text = data.removeprefix("\ufeff") if isinstance(data, str) else data
    with _depth_is_a_value():
        return json.loads(text, strict=False)


def is_strict(text: str) -> bool:
    """Whether the text is JSON to any reader, and not only to a lenient one."""
    try:
        from_json(text)
    except (TypeError, ValueError):
        return False
    return True


def decode_first(text: str) -> Any:  # noqa: ANN401
    """The JSON value that the text begins with, whatever follows it; ValueError if it is cut."""
    return decode_prefix(text)[0]


def decode_prefix(text: str) -> tuple[Any, int]:
    """The JSON value that the text begins with, and where it ends; ValueError if it is cut."""
    with _depth_is_a_value():
        return _LENIENT.raw_decode(text)


@contextmanager
def _depth_is_a_value() -> Iterator[None]:
    try:
        yield
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def encode(value: object) -> bytes:
    """Encode as compact UTF-8 JSON; a lone surrogate, which has no UTF-8 form, becomes "?".

    Raises ValueError or TypeError where a value has no JSON form.
    """
    try:
        return to_json(value, inf_nan_mode="null")
    except ValueError:
        pass
    with _depth_is_a_value():
        told = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return told.encode("utf-8", "replace")


def decode_object(text: str) -> dict[str, Any] | None:
    """The JSON object that the text holds; None where it holds none, or only its beginning."""
    if not text.rstrip().endswith("}"):
        return None
    try:
        value = decode(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def is_object(text: str) -> bool:
    """Whether the text is one whole JSON object."""
    return decode_object(text) is not None


def decode_beginning(text: str) -> dict[str, Any]:
    """What the beginning of a JSON object already says, a text cut short included; else {}."""
    try:
        value = from_json(text, allow_partial="trailing-strings")
    except (TypeError, ValueError):
        return decode_object(text) or {}
    return value if isinstance(value, dict) else {}


class _OpenBraces:
    """Counts the braces of a text that comes in pieces, those inside of strings left out."""

    __slots__ = ("_escape", "_in_string", "begun", "depth")

    def __init__(self) -> None:
        self.depth = 0
        self.begun = False
        self._in_string = False
        self._escape = ""

    def feed(self, text: str) -> None:
        """Take a piece in."""
        if self._escape:
            text, self._escape = self._escape + text, ""
        last = 0
        for sign in _STRUCTURE.finditer(text):
            last = sign.end()
            if sign[0] == '"':
                self._in_string = not self._in_string
            elif not self._in_string and sign[0] in "{}":
                self.begun = True
                self.depth += 1 if sign[0] == "{" else -1
        # A backslash at the end waits for the sign that it escapes.
        if text.endswith("\\") and last < len(text):
            self._escape = "\\"

    @property
    def are_closed(self) -> bool:
        """Whether nothing is open; of a text that is no JSON, more may be closed than was open."""
        return self.begun and not self._in_string and self.depth <= 0


class BeginningDecoder:
    """Tells what a growing JSON object says so far, in time linear in its whole length.

    A text is decoded where it has grown by an eighth since the last time, and where the object is
    whole; until then, what it said the last time stands.
    """

    __slots__ = ("_braces", "_length", "_said", "_scanned")

    def __init__(self) -> None:
        self._length = self._scanned = 0
        self._said: dict[str, Any] = {}
        self._braces = _OpenBraces()

    def decode(self, text: str) -> dict[str, Any]:
        """What the text says, which was given shorter before."""
        known = self._length <= len(text) < self._length * 9 / 8
        if not known or (self._is_whole(text) and self._length != len(text)):
            self._length, self._said = len(text), decode_beginning(text)
        return self._said

    def _is_whole(self, text: str) -> bool:
        """Whether every brace is closed; each sign of the text is looked at once."""
        if len(text) < self._scanned:
            self._scanned, self._braces = 0, _OpenBraces()
        self._braces.feed(text[self._scanned :])
        self._scanned = len(text)
        return self._braces.are_closed and text.rstrip().endswith("}")


class GrowingText:
    """A text that comes in pieces, and whether it is one JSON object so far, in linear time."""

    __slots__ = ("_braces", "_new", "_pieces", "_whole", "is_blank", "length")

    def __init__(self) -> None:
        self.length = 0
        self.is_blank = True
        """Whether nothing but whitespace has come."""
        self._pieces: list[str] = []
        self._new: list[str] = []
        self._braces = _OpenBraces()
        self._whole: bool | None = None

    def add(self, piece: str) -> None:
        """Add a piece."""
        if piece:
            self.length += len(piece)
            self._pieces.append(piece)
            self._new.append(piece)
            if self.is_blank and piece.strip():
                self.is_blank = False

    @property
    def text(self) -> str:
        """All of it so far."""
        if len(self._pieces) > 1:
            self._pieces[:] = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    @property
    def is_object(self) -> bool:
        """Whether it is one whole JSON object."""
        if self._new:
            new, self._new = "".join(self._new), []
            if self._whole is None:
                self._braces.feed(new)
            elif new.strip(" \t\r\n"):
                self._whole = False
        # Once its braces are closed, a text is an object now or never; it is decoded once.
        if self._whole is None and self._braces.are_closed:
            self._whole = is_object(self.text)
        return bool(self._whole)


class SurrogateJoiner:
    """Joins the halves of a character that a server split over two deltas."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = ""

    def feed(self, text: str) -> str:
        """Text free of lone surrogates; a half at the end waits for the next text."""
        if not self._half and (text.isascii() or not _SURROGATE.search(text)):
            return text
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def close(self) -> str:
        """What stands for a half that waited in vain."""
        half, self._half = self._half, ""
        return "\ufffd" if half else ""
