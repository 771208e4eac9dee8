"""A model over the emulator, what it sent, two tools, and every way to run an agent."""

import asyncio
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


@pytest.fixture
def run() -> Callable[..., dict[str, Any]]:
    """Runs an agent on inputs, one after the other, in one way; gives its last state."""
    # An agent that would never end fails by name, and soon.
    config: Any = {"configurable": {"thread_id": "one"}, "recursion_limit": 30}
    modes = ["values", "messages"]  # the second makes the model stream its tokens

    def ran(agent: Any, way: str, *inputs: Any) -> dict[str, Any]:
        if way in ("ainvoke", "astream"):
            return asyncio.run(aran(agent, way, inputs))
        if way == "stream":
            runs = [list(agent.stream(given, config, stream_mode=modes)) for given in inputs]
            return last_state(runs[-1])
        return [agent.invoke(given, config) for given in inputs][-1]

    async def aran(agent: Any, way: str, inputs: tuple[Any, ...]) -> dict[str, Any]:
        if way == "ainvoke":
            return [await agent.ainvoke(given, config) for given in inputs][-1]
        streams = [agent.astream(given, config, stream_mode=modes) for given in inputs]
        return last_state([[event async for event in stream] for stream in streams][-1])

    def last_state(events: list[Any]) -> dict[str, Any]:
        return [state for mode, state in events if mode == "values"][-1]

    return ran
