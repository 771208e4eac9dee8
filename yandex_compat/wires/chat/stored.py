"""Stored chat completions and pages of them (WIRE A14, Endpoints)."""

from collections.abc import Mapping
from typing import Any

from yandex_compat.completion import CompletionRequest
from yandex_compat.stored_pages import StoredCompletion, StoredPage
from yandex_compat.tool_calls import CallIds, minting_for
from yandex_compat.tool_names import ToolNames
from yandex_compat.wires.chat.decoding import completion_of
from yandex_compat.wires.values import (
    WRONG_SHAPE,
    body_of,
    count_or_none,
    misshapen,
    text_of,
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


def check_deleted(data: bytes) -> None:
    """Raise MalformedAnswer where the answer does not say that a completion is gone."""
    body = body_of("The answer to a deletion", data)
    if not isinstance(body, dict) or body.get("deleted") is not True:
        raise misshapen("The answer to a deletion", ValueError(), data)


def _stored(body: Mapping[str, Any]) -> StoredCompletion:
    id_ = text_of(body.get("id"))
    names = ToolNames(CompletionRequest("", ()))
    completion = completion_of(body, CallIds((), minting_for(id_)), names)
    created, metadata = count_or_none(body.get("created")), dict(body.get("metadata") or {})
    return StoredCompletion(id_, completion, created, metadata)
