"""What README and CONTRIBUTING name is there: commands, targets, extras, options, words, files."""

import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from importlib.util import find_spec
from inspect import signature
from pathlib import Path

import pytest
import typer.main
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms.function_calling import FunctionCallingLLM
from packaging.requirements import Requirement
from starlette.routing import Route

from langchain_yandex_compat import ChatYandex, YandexEmbeddings
from llamaindex_yandex_compat import YandexEmbedding, YandexLLM
from yandex_compat import CompletionRequest, Message, YandexClient, cli, settings
from yandex_compat.emulator.access import Access
from yandex_compat.emulator.app import create_app
from yandex_compat.emulator.service import Service

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def spans(text: str) -> list[str]:
    """What stands in the text as inline code, each once."""
    return sorted(set(re.findall(r"`([^`\n]+)`", FENCED.sub("", text))))


def shell_lines(text: str) -> list[str]:
    """The lines of its shell blocks, without what is said beside them."""
    blocks = [found[2] for found in FENCED.finditer(text) if found[1] == "sh"]
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@cache
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@cache
def makes() -> tuple[set[str], set[str]]:
    """The targets that `make help` lists, and the variables that the Makefile reads."""
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],  # noqa: S607 -- whichever make is used here
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    listed = set(re.findall(r"^  make ([a-z-]+) ", shown.stdout, re.MULTILINE))
    return listed, set(re.findall(r"\$\((?:if )?\$?\(?([A-Z]+)\)", (ROOT / "Makefile").read_text()))


@cache
def emulator_help() -> str:
    asked = [sys.executable, "-m", "yandex_compat.emulator", "--help"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout


def check_make(words):
    targets, variables = makes()
    assert {word for word in words if "=" not in word} <= targets
    assert {word.partition("=")[0] for word in words if "=" in word} <= variables


def check_pytest(words):
    """It selects at least one test; a file of tests does by itself."""
    if all((ROOT / word).is_file() and "/test_" in word for word in words):
        return
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", *words]
    done = subprocess.run(collect, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def check_pip(words):
    """It installs what the project, or one of its extras, is or names."""
    assert words[0] == "install"
    extras = project()["optional-dependencies"]
    named = {Requirement(one).name for given in extras.values() for one in given}
    for word in words[1:]:
        wanted = Requirement(re.sub(r"^\.", project()["name"], word))
        assert wanted.name in {project()["name"], *named}
        assert wanted.extras <= set(extras)


def check_python(words):
    assert words[0] == "-m"
    assert find_spec(words[1])
    if words[1] == "yandex_compat.emulator":
        check_options(words[2:], emulator_help())
    else:
        assert words[2:] == []


def check_yandex_compat(words):
    command = typer.main.get_command(cli.app).commands[words[0]]
    taken = {name for one in command.params for name in one.opts} | {"--help"}
    check_options(words[1:], emulator_help() if words[0] == "emulator" else " ".join(taken))


def check_export(words):
    assert {word.partition("=")[0] for word in words} <= environment_names()


def check_options(words, help_text):
    for word in words:
        if word.startswith("--"):
            assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", help_text), word


def environment_names() -> set[str]:
    return {"YC_FOLDER_ID", *settings.CREDENTIALS}


CHECKS = {
    "make": check_make,
    "pytest": check_pytest,
    "pip": check_pip,
    "python": check_python,
    "yandex-compat": check_yandex_compat,
    "export": check_export,
}
INLINE = [
    text
    for text in spans(README + CONTRIBUTING)
    if " " in text and text.partition(" ")[0] in CHECKS
]
COMMANDS = sorted({*INLINE, *shell_lines(README), *shell_lines(CONTRIBUTING)})


def test_there_are_commands_of_each_kind():
    used = {command.partition(" ")[0] for command in COMMANDS}
    assert used >= {"make", "pytest", "pip", "python", "export"}
    assert len(shell_lines(README)) >= 4


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_can_be_given(command):
    program, *words = shlex.split(command.removeprefix(".venv/bin/").removesuffix(" &"))
    while "=" in program:
        assert program.partition("=")[0] in environment_names()
        program, *words = words
    assert program in CHECKS, f"write what makes a command of {program} a good one, in CHECKS"
    CHECKS[program](words)


@pytest.mark.parametrize(
    "command",
    [
        "make nothing",
        "make test NOTHING=1",
        "pytest tests/core/test_stop.py -k no_such_test",
        "pip install '.[nothing]'",
        "pip install nothing",
        "python -m yandex_compat.emulator --nothing",
        "yandex-compat demo --nothing",
        "export YC_NOTHING=1",
    ],
)
def test_one_that_cannot_is_found(command):
    program, *words = shlex.split(command)
    with pytest.raises(AssertionError):
        CHECKS[program](words)


def test_extras_can_be_installed():
    named = [re.fullmatch(r"(?:yandex-compat)?\[([a-z]+)\]", text) for text in spans(README)]
    extras = {found[1] for found in named if found}
    assert extras >= {"langchain", "llamaindex", "all"}
    assert extras <= set(project()["optional-dependencies"])


def test_options_are_those_of_the_emulator_or_a_command():
    named = [text for text in spans(README) if text.startswith("--")]
    assert named
    commands = typer.main.get_command(cli.app).commands.values()
    params = [one for command in commands for one in command.params]
    taken = {name for one in params for name in (*one.opts, *one.secondary_opts)}
    for text in named:
        check_options(text.split(), " ".join([emulator_help(), *taken]))


def test_paths_that_are_asked_of_the_emulator_are_served():
    routes = create_app(Service(Access(("k",), ("f",), ("t",)))).routes
    served = {
        f"{method} {route.path}"
        for route in routes
        if isinstance(route, Route)
        for method in route.methods or ()
    }
    named = {text for text in spans(README) if re.match(r"(GET|POST|PUT|DELETE) /_", text)}
    assert named
    assert named <= served


def test_names_of_the_environment_are_read():
    named = {name for text in spans(README) for name in re.findall(r"\bYC_[A-Z_]+", text)}
    assert named == environment_names()


def test_the_emulator_prints_the_root_that_a_model_takes():
    (command,) = (text for text in COMMANDS if text.startswith("python -m yandex_compat.emulator"))
    key, folder = re.findall(r"repeatable\s+\((\S+)\)", emulator_help())
    started = [sys.executable, *shlex.split(command)[1:]]
    with subprocess.Popen(started, stdout=subprocess.PIPE, text=True) as process:
        root = process.stdout.readline().strip()
        with YandexClient(base_url=root, api_key=key, folder_id=folder) as client:
            request = CompletionRequest(model="yandexgpt", messages=(Message("user", "Hi"),))
            assert client.complete(request).text == "You said: Hi"
        process.terminate()


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_files_that_are_named_are_there(text):
    """But for those of a recipe, which are yet to be written."""
    named = [one for one in spans(text) if re.fullmatch(r"[\w./-]+(\.py|\.toml|\.md|/)", one)]
    named = [one for one in named if "NAME" not in one]
    assert named
    core = ROOT / "yandex_compat"
    places = [ROOT, core, core / "emulator", ROOT / "tests" / "core"]
    assert [one for one in named if not any((place / one).exists() for place in places)] == []


def words_of(owners: set[str]) -> set[str]:
    """The words in the rows of README's table that belong to one of them."""
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([^|]+) \|", README, re.MULTILINE)
    return {
        word for words, owner in rows if owner in owners for word in re.findall(r"`(\w+)`", words)
    }


SHARED = words_of({"all"})
EMBEDDING = words_of({"all", "embeddings"})
WORDS = {
    ChatYandex: (BaseChatModel, words_of({"all", "chat models", "`ChatYandex`"})),
    YandexLLM: (FunctionCallingLLM, words_of({"all", "chat models", "`YandexLLM`"})),
    YandexEmbeddings: (Embeddings, EMBEDDING),
    YandexEmbedding: (BaseEmbedding, EMBEDDING),
}


@pytest.mark.parametrize("model", WORDS, ids=lambda model: model.__name__)
def test_constructor_words_are_those_that_are_listed(model):
    framework, words = WORDS[model]
    inherited = set(getattr(framework, "model_fields", ()))
    assert set(model.model_fields) - inherited == words - inherited
    assert words <= set(model.model_fields)


def test_the_client_takes_the_shared_words_but_the_model():
    assert SHARED - {"model"} <= set(signature(YandexClient).parameters)
