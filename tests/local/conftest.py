"""The model of this machine, its server alone and the emulator that speaks through it.

What is missing for it fails each test, and says `make local`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from yandex_compat.emulator import Emulator
from yandex_compat.emulator.local_model import NAME, LocalModel
from yandex_compat.emulator.upstream import Upstream


class City(BaseModel):
    """A city."""

    name: str
    population: int


@pytest.fixture(scope="session")
def city() -> type[City]:
    return City


@pytest.fixture(scope="session")
def llama() -> Iterator[LocalModel]:
    with LocalModel() as model:
        yield model


@pytest.fixture(scope="session")
def calling_llama() -> Iterator[LocalModel]:
    """The same model with a template that knows tools, as its own does not."""
    template = Path(__file__).with_name("tools.jinja").read_text(encoding="utf-8")
    with LocalModel(template) as model:
        yield model


@pytest.fixture(scope="session")
def _speaking(llama: LocalModel) -> Iterator[Emulator]:
    with Emulator(upstream=Upstream(llama.url, NAME)) as emulator:
        yield emulator


@pytest.fixture
def speaking(_speaking: Emulator) -> Iterator[Emulator]:
    yield _speaking
    _speaking.clear()


@pytest.fixture
def words(speaking: Emulator) -> Callable[[str], dict[str, Any]]:
    """The words that lead a model to an API of the emulator; the answers are short and the same."""

    def words(api: str) -> dict[str, Any]:
        url = speaking.native_url if api == "completion" else speaking.chat_url
        connection = {"base_url": url, "api_key": "test-key", "folder_id": "test-folder"}
        return {**connection, "api": api, "temperature": 0, "max_tokens": 60, "max_retries": 0}

    return words
