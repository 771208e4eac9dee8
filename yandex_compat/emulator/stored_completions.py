"""Completions kept with ``store``: listed in pages, told, labelled anew, deleted (WIRE A14)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from .access import Access
from .answers import as_json
from .chat_requests import ChatRequest, refused_body
from .delivery import Delivery
from .messages import Strict
from .refusals import invalid, refused

JSONObject = dict[str, Any]
_KEPT = 10_000  # the latest completions, so that a server that runs for days does not grow


@dataclass(slots=True)
class _Kept:
    body: JSONObject
    messages: list[JSONObject]


@dataclass(slots=True)
class StoredCompletions:
    """The kept completions of one account, by their ids, in the order of their making."""

    _kept: dict[str, _Kept] = field(default_factory=dict)

    def keep(self, body: JSONObject, request: ChatRequest) -> None:
        """Keep a completion with what was said before it."""
        messages = [message.model_dump(exclude_none=True) for message in request.messages]
        self._kept[body["id"]] = _Kept(body | {"metadata": request.metadata or {}}, messages)
        if len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]

    def get(self, id_: str) -> _Kept:
        """Return one; refuse an id that nobody knows with 404."""
        if id_ not in self._kept:
            raise refused(5, f"Completion {id_} not found")
        return self._kept[id_]

    def delete(self, id_: str) -> None:
        """Forget one."""
        self.get(id_)
        del self._kept[id_]

    def fitting(self, model: str | None, labels: dict[str, str]) -> list[JSONObject]:
        """Return those of a model that bear all labels."""
        bodies = [kept.body for kept in self._kept.values()]
        return [
            body
            for body in bodies
            if model in (None, body["model"]) and labels.items() <= body["metadata"].items()
        ]

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()


class _Paging(Strict):
    """The words of a list of messages, all of which come as texts."""

    after: str | None = None
    limit: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}$")] = "20"
    order: Literal["asc", "desc"] = "asc"


class _Query(_Paging):
    """The words of a list of completions."""

    model: str | None = None


_Words = TypeVar("_Words", bound=_Paging)


class _Update(Strict):
    """What may be changed."""

    metadata: dict[str, str]


class StoredEndpoint:
    """Stored completions for one emulated account, unless it has none."""

    def __init__(self, stored: StoredCompletions, access: Access, *, has_none: bool) -> None:
        self._stored, self._access, self._has_none = stored, access, has_none

    async def list(self, request: Request) -> Response:
        """Return one page."""
        self._check(request)
        labels, words = _labels(request)
        query = _query(_Query, words)
        found = self._stored.fitting(query.model, labels)
        return _json(_page(found, query, lambda body: body["id"]))

    async def retrieve(self, request: Request) -> Response:
        """Return one completion."""
        self._check(request)
        if request.query_params:
            raise invalid("A completion is asked for without a query")
        return _json(self._stored.get(request.path_params["id"]).body)

    async def update(self, request: Request) -> Response:
        """Label one completion anew."""
        raw = await request.body()
        self._check(request)
        try:
            update = _Update.model_validate_json(raw)
        except ValidationError as error:
            raise refused_body(error) from None
        kept = self._stored.get(request.path_params["id"])
        kept.body["metadata"] = update.metadata
        return _json(kept.body)

    async def delete(self, request: Request) -> Response:
        """Forget one completion."""
        self._check(request)
        id_ = request.path_params["id"]
        self._stored.delete(id_)
        return _json({"object": "chat.completion.deleted", "id": id_, "deleted": True})

    async def messages(self, request: Request) -> Response:
        """Return what was said before one completion."""
        self._check(request)
        id_ = request.path_params["id"]
        said = [
            message | {"id": f"{id_}-{place}"}
            for place, message in enumerate(self._stored.get(id_).messages)
        ]
        query = _query(_Paging, dict(request.query_params))
        return _json(_page(said, query, lambda message: message["id"]))

    def _check(self, request: Request) -> None:
        self._access.check(request.headers)
        if self._has_none:
            raise refused(12, "Stored completions are not supported")


def _labels(request: Request) -> tuple[dict[str, str], dict[str, str]]:
    """Return the ``metadata[key]`` of a query, and its other words."""
    labels, words = {}, {}
    for word, value in request.query_params.items():
        if word.startswith("metadata[") and word.endswith("]"):
            labels[word[len("metadata[") : -1]] = value
        else:
            words[word] = value
    return labels, words


def _query(kind: type[_Words], words: dict[str, str]) -> _Words:
    try:
        return kind.model_validate(words)
    except ValidationError as error:
        raise refused_body(error) from None


def _page(
    found: list[JSONObject], query: _Paging, id_of: Callable[[JSONObject], str]
) -> JSONObject:
    if query.order == "desc":
        found = found[::-1]
    if query.after is not None:
        ids = [id_of(one) for one in found]
        if query.after not in ids:
            raise invalid(f"after: no completion {query.after}", "after")
        found = found[ids.index(query.after) + 1 :]
    data = found[: int(query.limit)]
    return {
        "object": "list",
        "data": data,
        "first_id": id_of(data[0]) if data else None,
        "last_id": id_of(data[-1]) if data else None,
        "has_more": len(found) > len(data),
    }


def _json(body: JSONObject) -> Response:
    return Delivery([as_json(body).encode()], "application/json")
