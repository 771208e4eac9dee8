"""What every test gets: an environment without credentials, one emulator, and how long to search.

Property tests take the same few examples each time; HYPOTHESIS_PROFILE=long takes new ones, and
many more of them.
"""

import asyncio
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from yandex_compat.emulator import Emulator

# Until somebody has set a loop, asyncio makes one for whoever asks: llama-index-core does, and
# leaves it unclosed. Whether it is the first to ask must not depend on which tests are run.
asyncio.set_event_loop(None)

# Everything here is on this machine, where a proxy of the environment could not reach it.
for _name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[_name]

settings.register_profile(
    "short", max_examples=30, derandomize=True, deadline=None, database=None, print_blob=False
)
settings.register_profile("long", max_examples=5_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


@pytest.fixture(autouse=True)
def no_credentials_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("YC_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def _emulator_server() -> Iterator[Emulator]:
    with Emulator() as server:
        yield server


@pytest.fixture
def emulator(_emulator_server: Emulator) -> Iterator[Emulator]:
    """The emulator, with an empty log and no script of another test."""
    _emulator_server.clear()
    yield _emulator_server
    _emulator_server.clear()
