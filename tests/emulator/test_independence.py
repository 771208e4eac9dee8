"""The emulator shares no belief with what it tests: it imports nothing else of the project."""

import ast
import sys
from pathlib import Path

import pytest

import yandex_compat.emulator

FILES = sorted(Path(yandex_compat.emulator.__file__).parent.rglob("*.py"))
ALLOWED = {"pydantic", "starlette", "uvicorn"} | sys.stdlib_module_names
MORE = {
    "authorized_keys.py": {"cryptography", "jwt"},
    "upstream.py": {"httpx"},
    "upstream_failures.py": {"httpx"},
    "local_model.py": {"httpx", "xllamacpp"},
}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_imports(file):
    for level, name in imported(ast.parse(file.read_text())):
        assert level <= 1
        if level == 0:
            assert name.split(".")[0] in ALLOWED | MORE.get(file.name, set())


def test_the_responder_is_small():
    [responder] = [file for file in FILES if file.name == "responder.py"]
    assert len(responder.read_text().splitlines()) < 200
