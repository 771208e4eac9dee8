"""Stored chat completions: listed page by page, told, labelled anew, deleted (WIRE A14)."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, TypedDict, Unpack
from urllib.parse import quote, urlencode

from yandex_compat.catalogue import model_uri
from yandex_compat.errors import ConfigurationError, MalformedAnswer, UnsupportedError
from yandex_compat.settings import refuse_unknown_words
from yandex_compat.stored_pages import StoredCompletion, StoredPage
from yandex_compat.transport import Outgoing, Transport
from yandex_compat.wires.chat.stored import (
    PATH,
    check_deleted,
    decode,
    decode_messages,
    decode_page,
)


class StoredQuery(TypedDict, total=False):
    """Which of the stored completions are listed, and how.

    Those after the id `after`, `limit` at most on a page, by `order` "asc" or "desc" in time;
    `model` (name, name and branch, or URI) and `metadata` choose those of a model, and those that
    bear all of some labels.
    """

    after: str | None
    limit: int | None
    order: str | None
    model: str | None
    metadata: Mapping[str, str] | None


class StoredCompletions:
    """The completions that a server keeps for `store=True`, blocking and async (`a…`) alike.

    Yandex Cloud documents them as currently not supported, and there UnsupportedError says so,
    unless `supports_store` is set; they work on servers that have them (`base_url`).
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, **words: Unpack[StoredQuery]) -> Iterator[StoredCompletion]:
        """All completions, asked for page by page; the words are those of StoredQuery."""
        query = self._query(words)
        return self._all(query)

    def _all(self, query: dict[str, object]) -> Iterator[StoredCompletion]:
        while True:
            page = self._transport.ask(self._page(query), decode_page)
            yield from page.data
            if not (last := _last(page, query)):
                return
            query["after"] = last

    def alist(self, **words: Unpack[StoredQuery]) -> AsyncIterator[StoredCompletion]:
        """All completions, asked for page by page; the words are those of StoredQuery."""
        query = self._query(words)
        return self._aall(query)

    async def _aall(self, query: dict[str, object]) -> AsyncIterator[StoredCompletion]:
        while True:
            page = await self._transport.aask(self._page(query), decode_page)
            for stored in page.data:
                yield stored
            if not (last := _last(page, query)):
                return
            query["after"] = last

    def page(self, **words: Unpack[StoredQuery]) -> StoredPage:
        """One page; the words are those of StoredQuery."""
        query = self._query(words)
        return self._transport.ask(self._page(query), decode_page)

    async def apage(self, **words: Unpack[StoredQuery]) -> StoredPage:
        """One page, as `page` gives it."""
        query = self._query(words)
        return await self._transport.aask(self._page(query), decode_page)

    def retrieve(self, id: str) -> StoredCompletion:  # noqa: A002 -- what the field calls it
        """One completion."""
        return self._transport.ask(self._of("GET", id), decode)

    async def aretrieve(self, id: str) -> StoredCompletion:  # noqa: A002
        """One completion."""
        return await self._transport.aask(self._of("GET", id), decode)

    def update(self, id: str, metadata: Mapping[str, str]) -> StoredCompletion:  # noqa: A002
        """Put other labels in the place of a completion's."""
        return self._transport.ask(self._relabelled(id, metadata), decode)

    async def aupdate(self, id: str, metadata: Mapping[str, str]) -> StoredCompletion:  # noqa: A002
        """Put other labels in the place of a completion's."""
        return await self._transport.aask(self._relabelled(id, metadata), decode)

    def delete(self, id: str) -> None:  # noqa: A002
        """Delete a completion."""
        self._transport.ask(self._of("DELETE", id), check_deleted)

    async def adelete(self, id: str) -> None:  # noqa: A002
        """Delete a completion."""
        await self._transport.aask(self._of("DELETE", id), check_deleted)

    def messages(self, id: str) -> tuple[Mapping[str, Any], ...]:  # noqa: A002
        """What was said before a completion, as the server tells it, if it does."""
        told: list[Mapping[str, Any]] = []
        after: str | None = None
        while True:
            said, last = self._transport.ask(self._said(id, after), decode_messages)
            told += said
            if last is None:
                return tuple(told)
            after = _moved_on(last, after)

    async def amessages(self, id: str) -> tuple[Mapping[str, Any], ...]:  # noqa: A002
        """What was said before a completion, as the server tells it, if it does."""
        told: list[Mapping[str, Any]] = []
        after: str | None = None
        while True:
            said, last = await self._transport.aask(self._said(id, after), decode_messages)
            told += said
            if last is None:
                return tuple(told)
            after = _moved_on(last, after)

    def _query(self, words: StoredQuery) -> dict[str, object]:
        self._refuse_service()
        refuse_unknown_words("A list of stored completions", words, StoredQuery.__annotations__)
        order, limit, model = words.get("order"), words.get("limit"), words.get("model")
        if order not in (None, "asc", "desc"):
            raise ConfigurationError(f'order={order!r} must be "asc" or "desc".')
        if limit is not None and not _is_count(limit):
            raise ConfigurationError(f"limit={limit!r} must be a whole number above 0.")
        if model is not None:
            model = model_uri(model, self._transport.settings.folder_id)  # as it was sent
        after = words.get("after")
        known: dict[str, object] = {"after": after, "limit": limit, "order": order, "model": model}
        labels = _labels(words.get("metadata") or {})
        known |= {f"metadata[{key}]": value for key, value in labels.items()}
        return {word: value for word, value in known.items() if value is not None}

    def _page(self, query: Mapping[str, object]) -> Outgoing:
        return self._outgoing("GET", _encoded(query))

    def _said(self, id_: str, after: str | None) -> Outgoing:
        words = {} if after is None else {"after": after}
        return self._of("GET", id_, "/messages" + _encoded(words))

    def _relabelled(self, id_: str, metadata: Mapping[str, str]) -> Outgoing:
        return self._of("POST", id_, body={"metadata": _labels(metadata)})

    def _of(
        self, method: str, id_: str, rest: str = "", body: Mapping[str, Any] | None = None
    ) -> Outgoing:
        if not isinstance(id_, str) or not id_.strip("."):
            raise ConfigurationError(f"id={id_!r} must be the id of a stored completion.")
        return self._outgoing(method, f"/{quote(id_, safe='')}{rest}", body)

    def _outgoing(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Outgoing:
        self._refuse_service()
        settings = self._transport.settings
        headers = {"OpenAI-Project": settings.folder_id or ""}
        return self._transport.outgoing(
            method, settings.endpoints.chat + PATH + path, headers, body
        )

    def _refuse_service(self) -> None:
        settings = self._transport.settings
        if settings.endpoints.are_the_service_s and not settings.supports_store:
            raise UnsupportedError(
                "Stored completions: the service documents them as currently not supported. They "
                "work on servers that have them (base_url=…); supports_store=True asks the service "
                "all the same."
            )


def _last(page: StoredPage, query: Mapping[str, object]) -> str | None:
    """The id that the next page comes after; None where there is none, or this one was empty."""
    if not page.has_more or not page.data:
        return None
    return _moved_on(page.last_id or page.data[-1].id, query.get("after"))


def _moved_on(last: str, after: object) -> str:
    if last == after:
        raise MalformedAnswer(
            f"The list goes on without end: the page after {after!r} ends with it again. The "
            f"server does not know the word `after`."
        )
    return last


def _encoded(words: Mapping[str, object]) -> str:
    return "?" + urlencode(words) if words else ""


def _labels(metadata: object) -> dict[str, str]:
    if not isinstance(metadata, Mapping) or not all(
        isinstance(part, str) for pair in metadata.items() for part in pair
    ):
        raise ConfigurationError("metadata must be a dict of texts.")
    return dict(metadata)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
