"""A model over the emulator, what it sent, and two tools."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool

from langchain_yandex_compat import ChatYandex
from yandex_compat.emulator import Emulator


@pytest.fixture
def make(emulator: Emulator) -> Callable[..., ChatYandex]:
    """Makes a model that leads to the emulator."""

    def made(**words: Any) -> ChatYandex:
        given = {"api_key": "test-key", "folder_id": "test-folder", "base_url": emulator.chat_url}
        return ChatYandex(**given | words)

    return made


@pytest.fixture
def body(emulator: Emulator) -> Callable[[], dict[str, Any]]:
    """Gives the body that went over the wire last."""

    def sent() -> dict[str, Any]:
        return emulator.requests[-1]["body"]

    return sent


@pytest.fixture
def weather() -> BaseTool:
    @tool
    def weather(city: str) -> str:
        """Tell the weather in a city."""
        return f"{city}: sunny"

    return weather


@pytest.fixture
def distance() -> BaseTool:
    @tool
    def distance(km: int) -> int:
        """Convert a distance."""
        return km

    return distance
