"""The ledger: a row for each request served, from the first to the last, small in memory."""

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.datastructures import Headers

_LONGEST_QUESTION = 200  # characters


@dataclass(slots=True)
class LedgerRow:
    """One request. ``number`` counts arrivals from 1; ``fault`` is the kind that was drawn.

    ``question`` is what the user said last, or the text to embed or count, cut after 200
    characters. ``generating`` is how many generations of its model ran when its own began, itself
    among them, or when it was refused; 0 where no model was asked. ``text`` is the answer's text
    in full, None where no model spoke.

    ``sent_bytes`` of the body were sent, without HTTP's framing; ``whole`` tells whether that was
    all. ``sent_text`` is the text in the events or lines that were sent to their ends; ``ended``
    tells whether the answer's own end was among them (a finish reason, a final status), as it can
    be in a stream that was cut; of an answer that is no stream, it is ``whole``. ``closed_early``
    means that the client hung up.
    """

    number: int
    method: str
    path: str
    client_request_id: str | None
    question: str | None = None
    fault: str | None = None
    status: int | None = None
    generating: int = 0
    text: str | None = None
    sent_text: str | None = None
    sent_bytes: int = 0
    whole: bool = False
    ended: bool = False
    closed_early: bool = False

    def finish(self, body: object, streamed: bytes | None) -> None:
        """Note what was asked and what of the answer was sent; ``streamed`` bytes of a stream."""
        self.question = question_of(body)
        if streamed is None:
            self.sent_text = self.text if self.whole else ("" if self.text is not None else None)
            self.ended = self.whole
            return
        sent, self.ended = sent_text(streamed)
        # Once in memory where both are the same.
        self.sent_text = self.text if sent == self.text else sent


@dataclass(slots=True)
class Ledger:
    """All rows, in the order of arrival."""

    rows: list[LedgerRow] = field(default_factory=list)

    def open(self, method: str, path: str, headers: Headers) -> LedgerRow:
        """Begin the row of a request that has just arrived."""
        number, id_ = len(self.rows) + 1, headers.get("x-client-request-id")
        row = LedgerRow(number, sys.intern(method), sys.intern(path), id_)
        self.rows.append(row)
        return row

    def told(self) -> list[dict[str, Any]]:
        """Return all rows as JSON objects."""
        return [asdict(row) for row in self.rows]

    def clear(self) -> None:
        """Forget all rows and count from 1 again."""
        self.rows = []


def question_of(body: object) -> str | None:
    """Return the text that a request is about, None if there is none to be found."""
    if not isinstance(body, dict):
        return None
    for word in ("input", "text", "messages"):
        if word in body:
            said = _last_user(body[word]) if word == "messages" else body[word]
            text = "".join(_texts(said))
            return text[:_LONGEST_QUESTION]
    return None


def _last_user(messages: object) -> object:
    if not isinstance(messages, list):
        return None
    for one in reversed(messages):
        # The native API's results of tools come as a user's, who did not say them (WIRE B2).
        if isinstance(one, dict) and one.get("role") == "user" and "toolResultList" not in one:
            return one.get("content", one.get("text"))
    return None


def _texts(said: object) -> Iterator[str]:
    if isinstance(said, str):
        yield said
    elif isinstance(said, list):
        for part in said:
            yield from _texts(part.get("text") if isinstance(part, dict) else part)


def sent_text(raw: bytes) -> tuple[str, bool]:
    """Return the text that the bytes of a stream hold, and whether they hold its end.

    Of either API (WIRE A3-A6, B6, B7). Half an event says nothing; nor does one that is no JSON,
    as a script may send it.
    """
    text, ended = "", False
    for line in raw.split(b"\n")[:-1]:
        data = line.removeprefix(b"data:").strip()
        if data == b"[DONE]":
            ended = True
            continue
        with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError):
            text, ends = _joined(text, json.loads(data))
            ended = ended or ends
    return text, ended


def _joined(text: str, payload: dict[str, Any]) -> tuple[str, bool]:
    """Return the text so far together with that of an event, and whether it is the last."""
    if "result" in payload:
        said = payload["result"]["alternatives"][0]
        return said["message"].get("text", text), said["status"] != "ALTERNATIVE_STATUS_PARTIAL"
    ends = False
    for choice in payload["choices"]:
        if choice["index"] == 0:
            piece, reason = choice["delta"].get("content") or "", choice.get("finish_reason")
            text = piece if reason == "content_filter" and piece else text + piece
            ends = ends or reason is not None
    return text, ends
