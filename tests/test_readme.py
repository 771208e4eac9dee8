"""The README's Python is run as it stands, with the emulator in the service's place."""

import re
from pathlib import Path

import pytest

from yandex_compat import settings

README = Path(__file__).parents[1] / "README.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_there_is_one_for_each_framework_and_one_for_none():
    assert len(SNIPPETS) == 3


@pytest.mark.parametrize(
    ("snippet", "shown"),
    list(zip(SNIPPETS, ["Sunny in Kazan", "leaves at noon", "Hello"], strict=True)),
    ids=["langchain", "llamaindex", "client"],
)
def test_a_snippet_runs(snippet, shown, emulator, monkeypatch, capsys):
    monkeypatch.setenv("YC_API_KEY", "test-key")
    monkeypatch.setenv("YC_FOLDER_ID", "test-folder")
    monkeypatch.setitem(settings._BASE_URLS, "chat", emulator.chat_url)
    exec(compile(snippet, "README.md", "exec"), {"__name__": "snippet"})
    assert shown in capsys.readouterr().out


def test_every_test_it_names_exists():
    named = set(re.findall(r"`(tests/[\w/]+(?:\.py)?/?)`", README.read_text(encoding="utf-8")))
    assert named
    assert [path for path in named if not (README.parent / path).exists()] == []
