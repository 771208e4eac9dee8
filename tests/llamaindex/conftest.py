"""Models over the emulator, and what the framework reports of them."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.tools import FunctionTool
from pydantic import Field

from llamaindex_yandex_compat import YandexEmbedding, YandexLLM
from yandex_compat.emulator import Emulator

FAMILIES = ("yandexgpt", "qwen3-235b-a22b-fp8")


@pytest.fixture
def words(emulator: Emulator) -> dict[str, str]:
    """The words that lead to the emulator."""
    return {"api_key": "test-key", "folder_id": "test-folder", "base_url": emulator.chat_url}


@pytest.fixture(params=FAMILIES)
def llm(request: pytest.FixtureRequest, words: dict[str, str]) -> Iterator[YandexLLM]:
    """A model of each family: ids are names and streams are coarse, or neither (WIRE A2-A5)."""
    model = YandexLLM(model=request.param, **words)
    yield model
    model.close()


@pytest.fixture
def yandexgpt(words: dict[str, str]) -> YandexLLM:
    return YandexLLM(**words)


@pytest.fixture
def qwen(words: dict[str, str]) -> YandexLLM:
    return YandexLLM(model="qwen3-235b-a22b-fp8", **words)


@pytest.fixture
def embedding(words: dict[str, str]) -> YandexEmbedding:
    return YandexEmbedding(**words, requests_per_second=0)


class Events(BaseEventHandler):
    """Every event of the instrumentation, in order."""

    seen: list[BaseEvent] = Field(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Events"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self.seen.append(event)

    @property
    def counts(self) -> Counter[str]:
        return Counter(type(event).__name__ for event in self.seen)


@pytest.fixture
def events() -> Iterator[Events]:
    handler = Events()
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(handler)
    yield handler
    dispatcher.event_handlers.remove(handler)


@pytest.fixture
def bodies(emulator: Emulator) -> Callable[[], list[dict[str, Any]]]:
    """The bodies that went over the wire so far."""

    def sent(path: str = "/v1/chat/completions") -> list[dict[str, Any]]:
        emulator.settle()
        return [record["body"] for record in emulator.requests if record["path"] == path]

    return sent


def multiply(a: int, b: int) -> int:
    """Multiply two whole numbers."""
    return a * b


@pytest.fixture
def calculator() -> FunctionTool:
    return FunctionTool.from_defaults(multiply)
