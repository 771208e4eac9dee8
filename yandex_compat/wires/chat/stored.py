"""Stored chat completions and pages of them (WIRE A14, Endpoints)."""

from collections.abc import Mapping
from typing import Any

from yandex_compat.completion import CompletionRequest, StoredCompletion, StoredPage
from yandex_compat.tool_calls import CallIds
from yandex_compat.tool_names import ToolNames
from yandex_compat.wires.chat.decoding import completion_of
from yandex_compat.wires.values import (
    WRONG_SHAPE,
    body_of,
    count_or_none,
    misshapen,
    text_or_none,
)

PATH = "/chat/completions"


def decode(data: bytes) -> StoredCompletion:
    """One completion; MalformedAnswer for another shape, APIError where it is an error."""
    body = body_of("The stored completion", data)
    try:
        return _stored(body)
    except WRONG_SHAPE as error:
        raise misshapen("The stored completion", error, data) from None


def decode_page(data: bytes) -> StoredPage:
    """A page of them; MalformedAnswer for another shape, APIError where it is an error."""
    body = body_of("The list of stored completions", data)
    try:
        return StoredPage(
            tuple(map(_stored, body["data"])),
            text_or_none(body.get("first_id")),
            text_or_none(body.get("last_id")),
            has_more=bool(body.get("has_more")),
        )
    except WRONG_SHAPE as error:
        raise misshapen("The list of stored completions", error, data) from None


def decode_messages(data: bytes) -> tuple[list[Mapping[str, Any]], str | None]:
    """A page of a completion's messages, as the server tells them, and what the next comes after.

    That is None where no more are to come.
    """
    body = body_of("The list of messages", data)
    try:
        said: list[Mapping[str, Any]] = [dict(message) for message in body["data"]]
        if not said or not body.get("has_more"):
            return said, None
        return said, text_or_none(body.get("last_id")) or text_or_none(said[-1].get("id"))
    except WRONG_SHAPE as error:
        raise misshapen("The list of messages", error, data) from None


def _stored(body: Mapping[str, Any]) -> StoredCompletion:
    nothing = CompletionRequest("", ())
    ids, names = CallIds(()), ToolNames(nothing)
    completion, *others = [completion_of(body, choice, ids, names) for choice in body["choices"]]
    completion.alternatives = tuple(others)
    if completion.id is None:
        raise TypeError("a stored completion without an id")
    created, metadata = count_or_none(body.get("created")), dict(body.get("metadata") or {})
    return StoredCompletion(completion.id, completion, created, metadata)
