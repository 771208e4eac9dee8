"""What every test gets: an environment without credentials, one emulator, and how long to search.

Property tests take the same few examples each time; HYPOTHESIS_PROFILE=long takes new ones, and
many more of them.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Shown:
    """What a command printed, and its exit code."""

    code: int
    output: str
    errors: str

    @property
    def everything(self) -> str:
        return self.output + self.errors

    @property
    def lines(self) -> dict[str, tuple[str, str]]:
        """The doctor's lines: status and text by check."""
        lines = self.output.splitlines()[:-1]
        return {line[13:32].strip(): (line[:13].strip(), line[32:]) for line in lines}

    @property
    def objects(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.output.splitlines()]

    def must_tell(self, check: str, status: str, *told: str) -> None:
        """Fail unless a check ended so, and its line has these patterns."""
        found, text = self.lines[check]
        assert found == status, self.everything
        for one in told:
            assert re.search(one, text), text

    def named(self, status: str) -> list[str]:
        """The checks that ended so."""
        return [name for name, (found, _) in self.lines.items() if found == status]


@pytest.fixture
def shown_by() -> Callable[..., Shown]:
    """Runs a command of the command line in this process."""
    from typer.testing import CliRunner

    from yandex_compat.cli import app

    def run(*arguments: str) -> Shown:
        result = CliRunner().invoke(app, arguments)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Shown(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def program() -> Callable[..., Shown]:
    """Runs a command as a program of its own, which finds no modules of the names given."""

    def run(*arguments: str, without: tuple[str, ...] = (), **environment: str) -> Shown:
        hidden = f"import sys; sys.modules.update(dict.fromkeys({without}))"
        script = f"{hidden}; from yandex_compat.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script, *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, "NO_COLOR": "1", **environment},
            timeout=60,
            check=False,
        )
        return Shown(done.returncode, done.stdout, done.stderr)

    return run


@dataclass(frozen=True)
class Distributions:
    """The two files that an index would be given."""

    wheel: Path
    sdist: Path


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """This checkout, built."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(build, cwd=Path(__file__).parents[1], check=True, capture_output=True)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Distributions(wheel, sdist)
