"""What a newcomer's pip makes of the wheel: each half without the other, and the core by itself.

Nothing of the development's environment is there, and nothing is patched: the programs ask the
service by its own name, and the environment's proxy is the emulator.
"""

import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from runpy import run_path

import httpx
import pytest

ROOT = Path(__file__).parents[1]
SNIPPETS = run_path(str(ROOT / "tests" / "readme_snippets.py"))
tunnel = run_path(str(ROOT / "tests" / "tunnel.py"))["tunnel"]

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(600)]

# What each extra brings of what a snippet may import.
EXTRAS = {
    "": {"yandex_compat"},
    "langchain": {"yandex_compat", "langchain_yandex_compat", "langchain_core"},
    "llamaindex": {"yandex_compat", "llamaindex_yandex_compat", "llama_index"},
}
HALVES = {
    "langchain": "langchain_yandex_compat needs LangChain: pip install 'yandex-compat[langchain]'",
    "llamaindex": "llamaindex_yandex_compat needs LlamaIndex: "
    "pip install 'yandex-compat[llamaindex]'",
}
FRAMEWORKS = {"langchain", "langchain_core", "llama_index"}


def test_every_adapter_has_an_environment():
    packages = {path.name for path in ROOT.glob("*yandex_compat")} - {"yandex_compat"}
    assert {f"{half}_yandex_compat" for half in HALVES} == packages
    assert {"", *HALVES} == set(EXTRAS)


@dataclass(frozen=True)
class Environment:
    """A virtual environment, in which programs see only what was installed there."""

    folder: Path
    extra: str

    def pip(self, *arguments: str) -> None:
        """Run pip, whose errors are those of the test."""
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [str(self.folder / "bin" / "python"), "-m", "pip", "-q", *arguments]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]

    def run(
        self, program: str, *arguments: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, elsewhere than in the checkout."""
        home = str(self.folder)
        return subprocess.run(
            [str(self.folder / "bin" / program), *arguments],
            cwd=home,
            env={"PATH": "/usr/bin:/bin", "HOME": home, "LANG": "C.UTF-8", **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def printed(self, code: str, **variables: str) -> str:
        """What Python code prints; it must neither fail nor warn."""
        done = self.run("python", "-c", code, **variables)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


@pytest.fixture(scope="module", params=EXTRAS, ids=lambda extra: extra or "core")
def environment(request, distributions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
    made = Environment(folder, request.param)
    extra = f"[{request.param}]" if request.param else ""
    made.pip("install", f"{distributions.wheel}{extra}")
    return made


@pytest.fixture
def cloud(emulator, tmp_path):
    """The variables that README has the user set, and those that lead to the emulator."""
    url = httpx.URL(emulator.chat_url)
    with tunnel((url.host, url.port), tmp_path) as opened:
        keys = {"YC_API_KEY": "test-key", "YC_FOLDER_ID": "test-folder"}
        yield {**keys, **opened.environment}
        assert opened.hosts == {"ai.api.cloud.yandex.net"}


def test_only_what_was_asked_for_is_installed(environment):
    environment.pip("check")
    found = environment.printed(
        "from importlib.util import find_spec\n"
        f"print(*[name for name in {sorted(FRAMEWORKS)} if find_spec(name)])"
    )
    assert set(found.split()) == FRAMEWORKS & EXTRAS[environment.extra]


def test_the_other_half_says_what_it_wants(environment):
    for half, told in HALVES.items():
        done = environment.run("python", "-c", f"import {half}_yandex_compat")
        if half == environment.extra:
            assert (done.returncode, done.stderr) == (0, "")
        else:
            assert done.returncode == 1
            assert done.stderr.splitlines()[-1] == f"ImportError: {told}"


def test_the_core_loads_no_framework(environment):
    loaded = environment.printed(
        "import sys, yandex_compat\nfrom yandex_compat import *\nYandexClient\n"
        "print(yandex_compat.__file__)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    file, names = loaded.splitlines()
    assert Path(file).is_relative_to(environment.folder)
    assert "yandex_compat" in names.split()
    assert not (FRAMEWORKS | {"pydantic", "jwt", "starlette"}) & set(names.split())


def test_programs_that_want_more_say_so(environment):
    done = environment.run("yandex-compat", "demo")
    told = "The command line needs typer and rich: pip install 'yandex-compat[all]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told)
    done = environment.run("python", "-m", "yandex_compat.emulator")
    told = "ImportError: The emulator needs uvicorn: pip install 'yandex-compat[emulator]'"
    assert (done.returncode, done.stdout, done.stderr.splitlines()[-1]) == (1, "", told)


def test_the_snippets_of_the_readme(environment, cloud):
    found = [one for one in SNIPPETS["snippets"]() if one.needs <= EXTRAS[environment.extra]]
    assert found
    for snippet in found:
        assert snippet.shown in environment.printed(snippet.code, **cloud)


def test_a_model_answers(environment, cloud):
    answers = {
        "": "from yandex_compat import *; print(YandexClient().complete(CompletionRequest("
        "model='yandexgpt', messages=(Message('user', 'Hi'),))).text)",
        "langchain": "from langchain_yandex_compat import ChatYandex; "
        "print(ChatYandex(model='yandexgpt').invoke('Hi').text)",
        "llamaindex": "from llamaindex_yandex_compat import YandexLLM; "
        "print(YandexLLM(model='yandexgpt').complete('Hi'))",
    }
    assert environment.printed(answers[environment.extra], **cloud) == "You said: Hi\n"


@pytest.mark.parametrize("environment", ["langchain"], indirect=True)
def test_the_snippets_with_langchain_s_agents(environment, cloud):
    environment.pip("install", "langchain")
    known = EXTRAS["langchain"]
    found = [one for one in SNIPPETS["snippets"]() if "langchain" in one.needs - known]
    assert found
    for snippet in found:
        assert snippet.needs <= known | {"langchain"}
        assert snippet.shown in environment.printed(snippet.code, **cloud)


@pytest.mark.parametrize("environment", [""], indirect=True)
def test_the_sdist_becomes_the_same_wheel(environment, distributions, tmp_path):
    environment.pip("wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(distributions.sdist))
    (file,) = tmp_path.glob("*.whl")
    assert file.name == distributions.wheel.name
    with zipfile.ZipFile(file) as made, zipfile.ZipFile(distributions.wheel) as built:
        assert sorted(made.namelist()) == sorted(built.namelist())
        for name in built.namelist():
            # These tell of the tool that built it, which pip takes in the newest version.
            if name.endswith(("/RECORD", "/WHEEL")):
                continue
            one, other = (
                re.sub(rb"\AMetadata-Version: .*\n", b"", opened.read(name))
                for opened in (made, built)
            )
            assert one == other, name
