"""The questions to embedding models: each told from what was sent and what came back."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from comparison import chat_rows
from comparison import service as paths
from comparison.facts import NO, YES, Fact, Row, told
from comparison.frameworks import FRAMEWORKS, Framework
from comparison.service import Service
from comparison.subjects import Subject, with_key

_LABELS = dict(zip(paths.EMBEDDINGS, ("chat", "native"), strict=True))
_INSTANCES, _EACH, _RATE = 3, 15, 10
"""Instances, texts that each is given, and requests that the service takes in a second."""


def _of(subject: Subject) -> Framework:
    return FRAMEWORKS[subject.framework]


def apis(subject: Subject, service: Service) -> Fact:
    """The APIs it asked, by the words that it documents."""
    for words in subject.apis.values():
        _of(subject).embed(subject.make(service, **words), ["Hi"])
    found = dict.fromkeys(_LABELS[one["path"]] for one in service.requests(*_LABELS))
    return Fact(", ".join(f"{name}, by gRPC" if subject.grpc else name for name in found))


def models(subject: Subject, service: Service) -> Fact:
    """Which models documents and queries are given to."""
    model = subject.make(service)
    _of(subject).embed(model, ["A document"])
    _of(subject).embed_query(model, "A query")
    bodies = [request["body"] for request in service.requests(*_LABELS)]
    names = [(body.get("modelUri") or body["model"]).split("/")[3] for body in bodies]
    wanted = ["text-search-doc", "text-search-query"]
    return Fact(YES if names == wanted else f"both to {names[-1]}", ", ".join(names))


def pace(subject: Subject, service: Service) -> Fact:
    """Whether several instances keep to the service's quota together, each given texts at once."""
    models = [subject.make(service) for _ in range(_INSTANCES)]
    texts = [f"text {number}" for number in range(_EACH)]
    began = time.monotonic()
    with ThreadPoolExecutor(_INSTANCES) as threads:
        list(threads.map(lambda model: _of(subject).embed(model, texts), models))
    took = time.monotonic() - began
    count = len(service.requests(*_LABELS))
    # The first ten may go at once.
    kept = took >= (count - _RATE) / _RATE
    return Fact(YES if kept else NO, f"{count} requests in {took:.2f} s")


class _Loop(asyncio.SelectorEventLoop):
    """Counts the connections that are opened in it."""

    opened = 0  # of all loops, of which one runs at a time

    async def create_connection(self, *given: Any, **words: Any) -> Any:
        _Loop.opened += 1
        return await super().create_connection(*given, **words)


def asynchronous(subject: Subject, service: Service) -> Fact:
    """Whether its async methods wait in the event loop, and not in a thread."""
    model = subject.make(service)

    async def embed() -> None:
        await _of(subject).aembed(model, ["one", "two"])
        if hasattr(model, "aclose"):
            await model.aclose()

    before = _Loop.opened
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(embed())
    opened = _Loop.opened - before
    found = "in the event loop" if opened else "in a thread"
    return Fact(found, f"{opened} connections opened in the loop")


def credentials(subject: Subject, service: Service) -> Fact:
    """The credentials beside the API key that it was asked with."""
    for words in subject.credentials.values():
        _of(subject).embed(subject.make(service, **words(service)), ["Hi"])
    return Fact(", ".join(subject.credentials) or NO, "each was answered")


def address(subject: Subject, service: Service) -> Fact:
    """Whether another address is a word of the constructor."""
    words = subject.address
    return Fact(f"`{words}`" if words else "fixed in its source", "how it was made here")


def wrong_key(subject: Subject, service: Service) -> Fact:
    """How often a key that the service does not know is sent."""
    try:
        _embed(subject)(subject.make(with_key(service, "wrong-key")))
    except Exception as error:
        return Fact(chat_rows.times(len(service.requests()), "request"), told(error))
    raise RuntimeError(f"{subject.name} raised nothing")


def retried(subject: Subject, service: Service) -> Fact:
    """Whether a refusal over the quota is asked again, and not before it is time."""
    return chat_rows.retried_by(subject, service, _embed(subject))


def unknown_word(subject: Subject, service: Service) -> Fact:
    """What becomes of a misspelt word of the constructor."""
    return chat_rows.unknown_word_by(subject, service, _embed(subject))


def pickled(subject: Subject, service: Service) -> Fact:
    """Whether a model that was pickled asks on."""
    return chat_rows.pickled_by(subject, service, _embed(subject))


def _embed(subject: Subject) -> Callable[[Any], object]:
    return lambda model: _of(subject).embed(model, ["Hi"])


ROWS: Sequence[Row] = (
    Row("version", "Version, and status as it tells it", chat_rows.version),
    Row("apis", "APIs it asks", apis),
    Row("address", "Another address", address),
    Row("credentials", "Credentials beside the API key", credentials),
    Row("models", "Documents and queries go to their own models", models),
    Row("pace", f"{_INSTANCES} instances at once keep to {_RATE} requests a second together", pace),
    Row("asynchronous", "Async methods wait", asynchronous),
    Row("retried", "A refusal with Retry-After is asked again", retried),
    Row("wrong-key", "A wrong key is sent in", wrong_key),
    Row("unknown-word", "A misspelt word of the constructor", unknown_word),
    Row("secrets", "The key in the model's repr", chat_rows.secrets),
    Row("pickled", "Pickles, and asks on", pickled),
)
