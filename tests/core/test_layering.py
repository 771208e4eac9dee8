"""Who may import whom, read from the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "yandex_compat"
EMULATOR = CORE / "emulator"
FRAMEWORKS = {"langchain_core", "langchain", "llama_index"}
SPEAKS_HTTP = {
    "client.py", "auth.py", "errors.py", "settings.py", "pools.py", "bodies.py", "reading.py",
    "failures.py", "transport.py", "endpoints.py", "iam.py", "exchanged_auth.py", "asked.py",
    "logs.py",
}  # fmt: skip
# What of the core an adapter may name: nothing that sends, frames or encodes.
INNER = {
    "wires", "emulator", "cli", "commands", "client", "pools", "bodies", "reading", "framing",
    "retries", "failures", "transport", "endpoints", "batches", "places", "limiters", "deadlines",
    "threads", "advice", "asked", "plain_http", "trial", "logs",
}  # fmt: skip
# The command line shows both adapters, so it stands above the core.
COMMAND_LINE = {CORE / "cli.py", CORE / "trial.py", *(CORE / "commands").glob("*.py")}
# What the classes of both adapters inherit, and no other file of the core imports.
INHERITED = {"connection.py", "generation.py", "vectorization.py"}


def core_files() -> list[Path]:
    files = [path for path in CORE.rglob("*.py") if EMULATOR not in path.parents]
    return sorted(path for path in files if path not in COMMAND_LINE)


def files_of(package: Path) -> list[Path]:
    return sorted(package.rglob("*.py"))


def module_of(path: Path) -> list[str]:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return list(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Every module a file imports, relative imports resolved; `from a import b` counts as a.b."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = module_of(path) if path.name == "__init__.py" else module_of(path)[:-1]
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def foreign(path: Path) -> set[str]:
    return roots(path) - set(sys.stdlib_module_names)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_is_something_to_read():
    assert {"client.py", "encoding.py", "__init__.py"} <= {path.name for path in core_files()}
    assert "server.py" in {path.name for path in files_of(EMULATOR)}
    assert "yandex_compat.wires.chat" in set(imported(CORE / "wires" / "apis.py"))


def test_relative_imports_are_resolved():
    assert "yandex_compat.emulator.app.create_app" in set(imported(EMULATOR / "server.py"))
    assert "yandex_compat.emulator.server.Emulator" in set(imported(EMULATOR / "__init__.py"))


@pytest.mark.parametrize("path", core_files(), ids=named)
def test_the_core_stands_on_little_and_knows_no_framework(path):  # DESIGN Layout, D14
    allowed = {"yandex_compat", "httpx", "pydantic_core", "tenacity"}
    if path.name == "tool_names.py":
        allowed.add("anyascii")
    if path.name == "limits.py":
        allowed.add("pyrate_limiter")
    if path.name == "iam.py":
        allowed.add("jwt")
        assert "jwt" not in {name.split(".")[0] for name in imported(path, top_level_only=True)}
    if path.name in INHERITED or path.name == "copies.py":  # of the adapters' own models
        allowed.add("pydantic")
    assert foreign(path) <= allowed


@pytest.mark.parametrize("path", core_files(), ids=named)
def test_few_files_know_http(path):
    assert "httpx" not in foreign(path) or path.name in SPEAKS_HTTP


@pytest.mark.parametrize("path", core_files(), ids=named)
def test_json_is_read_and_written_in_one_place(path):  # D1
    # What the classes inherit makes pydantic's own errors, and no JSON.
    known = {"json"} if path.name in INHERITED else {"json", "pydantic_core"}
    assert path.name == "jsontext.py" or not known & roots(path)


@pytest.mark.parametrize("path", core_files(), ids=named)
def test_the_core_does_not_import_the_emulator(path):
    assert not [name for name in imported(path) if name.startswith("yandex_compat.emulator")]


@pytest.mark.parametrize("path", core_files(), ids=named)
def test_the_core_does_not_import_the_command_line(path):
    above = {f"yandex_compat.{one.stem}" for one in COMMAND_LINE}
    assert not {".".join(name.split(".")[:2]) for name in imported(path)} & above


@pytest.mark.parametrize("path", core_files(), ids=named)
def test_only_the_lazy_front_imports_by_text(path):
    used = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
    assert not {"__import__", "import_module"} & used or path == CORE / "__init__.py"


@pytest.mark.parametrize("path", core_files(), ids=named)
def test_only_the_client_and_its_pools_await(
    path,
):  # DESIGN Layout: the client, with the files it is made of, alone sends or awaits
    nodes = ast.walk(ast.parse(path.read_text()))
    awaits = [node for node in nodes if isinstance(node, ast.Await | ast.AsyncFunctionDef)]
    # connection.py hands `aclose` on to the client.
    assert not awaits or path.name in {
        "client.py", "transport.py", "stored.py", "pools.py", "auth.py", "exchanged_auth.py",
        "limits.py", "connection.py", "batches.py", "iam_tokens.py", "bodies.py", "places.py",
        "limiters.py", "threads.py",
    }  # fmt: skip


@pytest.mark.parametrize("path", files_of(EMULATOR), ids=named)
def test_the_emulator_is_independent(path):  # D12
    ours = [name for name in imported(path) if name.split(".")[0].endswith("yandex_compat")]
    assert [name for name in ours if not name.startswith("yandex_compat.emulator")] == []
    assert not foreign(path) & (FRAMEWORKS | {"httpx2"})


ADAPTERS = {
    "langchain_yandex_compat": {"langchain_core", "pydantic"},
    "llamaindex_yandex_compat": {"llama_index", "pydantic"},
}


def test_every_adapter_is_known():
    packages = {path.name for path in ROOT.glob("*yandex_compat")} - {"yandex_compat"}
    assert packages == set(ADAPTERS)
    assert set().union(*ADAPTERS.values()) - {"pydantic"} <= FRAMEWORKS


def adapter_files() -> list[Path]:
    return [path for package in ADAPTERS for path in files_of(ROOT / package)]


@pytest.mark.parametrize("path", adapter_files(), ids=named)
def test_adapters_know_their_framework_and_the_cores_names_only(path):  # DESIGN Layout
    package = module_of(path)[0]
    allowed = ADAPTERS[package] | {package, "yandex_compat"}
    if path.name == "init.py":  # the only one that hands on to other providers
        allowed.add("langchain")
        top = {name.split(".")[0] for name in imported(path, top_level_only=True)}
        assert "langchain" not in top
    assert foreign(path) <= allowed
    assert "json" not in roots(path)
    for name in imported(path):
        first, *rest = name.split(".")
        if first == "yandex_compat":
            assert len(rest) <= 2
            assert rest[0] not in INNER
            assert not any(part.startswith("_") for part in rest if part != "__version__")
        if first == "llama_index":
            assert rest[0] == "core"


LOADED = "import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"


def loaded_by(module: str) -> set[str]:
    script = [sys.executable, "-c", LOADED.format(module=module)]
    return set(subprocess.run(script, capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_core_is_cheap():
    loaded = loaded_by("yandex_compat")
    assert "yandex_compat" in loaded
    heavy = {
        "anyascii",
        "httpx",
        "pydantic",
        "pydantic_core",
        "tenacity",
        "asyncio",
        "jwt",
        "starlette",
    }
    assert not loaded & (FRAMEWORKS | heavy)


def test_the_client_loads_no_framework():
    loaded = loaded_by("yandex_compat.client")
    assert "httpx" in loaded
    assert not loaded & (FRAMEWORKS | {"pydantic", "starlette", "uvicorn", "jwt", "openai"})
    assert not loaded & {"anyascii", "pyrate_limiter", "tenacity"}  # by the time they are needed


PUT_OFF = {
    "langchain_yandex_compat": {
        "langchain_core.tools.base", "langchain_yandex_compat.structured_output",
        "langchain_yandex_compat.embeddings",
    },
    "llamaindex_yandex_compat": {"llamaindex_yandex_compat.embedding"},
}  # fmt: skip


@pytest.mark.parametrize("adapter", PUT_OFF)
def test_an_adapter_loads_no_more_than_it_takes_to_ask(adapter):
    script = f"import sys, {adapter}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "yandex_compat.errors" in loaded
    asked_later = {
        f"yandex_compat.{name}" for name in ("advice", "asked", "stored", "exchanged_auth", "iam")
    }
    assert not loaded & (PUT_OFF[adapter] | asked_later | {"jwt", "pyrate_limiter", "anyascii"})
    assert "tenacity" not in loaded or adapter == "llamaindex_yandex_compat"  # LlamaIndex's own


def test_what_an_error_needs_is_loaded_with_the_client():
    # Once there is one, no descriptor may be left to load it by.
    script = (
        "import sys; from yandex_compat import YandexClient; "
        "YandexClient(api_key='k', folder_id='f'); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert {"yandex_compat.asked", "yandex_compat.advice"} <= loaded
    assert not loaded & {"yandex_compat.exchanged_auth", "yandex_compat.iam"}  # this one has a key


BUILT = """
from {module} import *
from pydantic import BaseModel

def kinds(kind):
    return {{kind, *(other for one in kind.__subclasses__() for other in kinds(one))}}

ours = [kind for kind in kinds(BaseModel) if "yandex_compat" in kind.__module__]
print(len(ours), *[kind.__name__ for kind in ours if kind.__pydantic_complete__])
"""


@pytest.mark.parametrize(
    ("module", "built"),
    [("langchain_yandex_compat", []), ("llamaindex_yandex_compat", ["_GrowingResponse"])],
)
def test_classes_that_are_only_inherited_are_not_built(module, built):
    script = [sys.executable, "-c", BUILT.format(module=module)]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    known, *found = done.stdout.split()
    assert int(known) >= 6
    assert found == built


def test_the_emulator_loads_nothing_else_of_the_project():  # D12
    script = (
        "import sys, yandex_compat.emulator; "
        "print(*[name for name in sys.modules if name.startswith('yandex_compat')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "yandex_compat.emulator.server" in loaded
    assert {name for name in loaded if not name.startswith("yandex_compat.emulator")} == {
        "yandex_compat"
    }
