"""A completion that a server has kept, and a page of them (WIRE A14)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from yandex_compat.completion import Completion


@dataclass(frozen=True, slots=True)
class StoredCompletion:
    """A completion that a server has kept (WIRE A14); `created` counts seconds since 1970."""

    id: str
    completion: Completion
    created: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A page of stored completions; the next is asked for with `after=last_id` (WIRE A14)."""

    data: tuple[StoredCompletion, ...]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False
