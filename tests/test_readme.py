"""The README's Python is run as it stands, over the emulator, and its tables are what was found."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from runpy import run_path

import httpx
import pytest

from yandex_compat import catalogue, endpoints, errors

README = Path(__file__).parents[1] / "README.md"
TABLES = run_path(str(Path(__file__).parent / "readme_tables.py"))
SNIPPETS = run_path(str(Path(__file__).parent / "readme_snippets.py"))
tunnel = run_path(str(Path(__file__).parent / "tunnel.py"))["tunnel"]


def test_every_snippet_is_found_and_every_row_is_of_one():
    text = README.read_text(encoding="utf-8")
    found = SNIPPETS["snippets"]()
    assert len(found) == len(re.findall(r"^\s*```py", text, re.MULTILINE)) > 0
    shown = sorted(snippet.shown for snippet in found)
    assert shown == sorted(SNIPPETS["SHOWN"].values())


def test_a_snippet_that_nothing_is_known_of_is_named():
    text = "A\n```python\nfrom os import path\nimport dask.array\n```\nB\n"
    (snippet,) = SNIPPETS["snippets"](text)
    assert (snippet.line, snippet.needs) == (2, {"dask"})
    with pytest.raises(LookupError, match="line 2 of README has 0 rows"):
        _ = snippet.shown


PROGRAMS = [one for one in SNIPPETS["snippets"]() if "__main__" in one.code]
LINES = [one for one in SNIPPETS["snippets"]() if one not in PROGRAMS]


@pytest.mark.parametrize("snippet", LINES, ids=lambda snippet: snippet.line)
def test_lines_as_they_are_pasted(snippet, emulator, monkeypatch, capsys):
    monkeypatch.setenv("YC_API_KEY", "test-key")
    monkeypatch.setenv("YC_FOLDER_ID", "test-folder")
    monkeypatch.setitem(endpoints.DEFAULTS, "chat", emulator.chat_url)
    program = compile(snippet.code, f"README.md, line {snippet.line}", "exec")
    exec(program, {"__name__": "snippet"})  # noqa: S102 -- README's own code
    assert snippet.shown in capsys.readouterr().out


@pytest.mark.parametrize("snippet", PROGRAMS, ids=lambda snippet: snippet.line)
def test_a_program_with_processes_of_its_own(snippet, emulator, tmp_path):
    file = tmp_path / "program.py"
    file.write_text(snippet.code, encoding="utf-8")
    url = httpx.URL(emulator.chat_url)
    with tunnel((url.host, url.port), tmp_path) as opened:
        keys = {"YC_API_KEY": "test-key", "YC_FOLDER_ID": "test-folder"}
        done = subprocess.run(
            [sys.executable, str(file)],
            env={**os.environ, **keys, **opened.environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert snippet.shown in done.stdout


def test_every_test_it_names_exists():
    named = set(re.findall(r"`(tests/[\w/]+(?:\.py)?/?)`", README.read_text(encoding="utf-8")))
    assert named
    assert [path for path in named if not (README.parent / path).exists()] == []


def test_the_errors_are_all_that_there_are():
    section = README.read_text(encoding="utf-8").partition("\n## Errors\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    listed = re.findall(r"`(\w+)`", "".join(rows))
    known = {
        name
        for name, one in vars(errors).items()
        if getattr(one, "__module__", "") == errors.__name__
    }
    kinds = {name for name in known if isinstance(vars(errors)[name], type)}
    assert sorted(listed) == sorted(kinds - {"YandexError", "APIError"})


def test_what_it_leads_to_is_there():
    """Files beside it, and headings in them and in itself."""
    text = README.read_text(encoding="utf-8")
    links = set(re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)", text))
    assert {name for name, _ in links} > {"", "docs/coverage.md", "LICENSE"}
    for name, anchor in links:
        path = README.parent / name if name else README
        assert path.exists(), name
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
            assert anchor in slugs, f"{name}#{anchor}"


def test_the_models_are_those_of_the_catalogue():
    assert f"\n{TABLES['models_table']()}\n" in README.read_text(encoding="utf-8")


def test_the_references_are_those_of_their_rows():
    assert f"\n{TABLES['reference_table']()}\n" in TABLES["COVERAGE"].read_text(encoding="utf-8")


def test_what_the_catalogue_learns_needs_a_heading(monkeypatch):
    @dataclass(frozen=True, slots=True)
    class Profile(catalogue.ModelProfile):
        hears: bool = False

    monkeypatch.setattr(catalogue, "ModelProfile", Profile)
    with pytest.raises(LookupError, match="hears"):
        TABLES["models_table"]()


@pytest.fixture
def results(tmp_path):
    """Writes a JUnit file of the standard suites, from (class, test, what befell it)."""

    def written(*cases):
        inner = "".join(
            f'<testcase classname="{classname}" name="{name}">{befell}</testcase>'
            for classname, name, befell in cases
        )
        path = tmp_path / "results.xml"
        path.write_text(f"<testsuites><testsuite>{inner}</testsuite></testsuites>")
        return path

    return written


GEMMA = "tests.langchain.test_standard.TestGemmaBySchema"


def test_the_suites_are_counted(results):
    path = results(
        (GEMMA, "test_invoke", ""),
        (GEMMA, "test_stream[model0]", ""),
        (GEMMA, "test_stream[model1]", "<failure/>"),
        (GEMMA, "test_ainvoke", "<error/>"),
        (GEMMA, "test_audio_inputs", "<skipped/>"),
        (GEMMA, "test_pdf_inputs", "<skipped/>"),
        (GEMMA, "test_pdf_tool_message", "<skipped/>"),
        ("tests.langchain.test_standard.TestYandexEmbeddings", "test_embed_query", ""),
        ("tests.langchain.test_standard", "test_the_profile", "<failure/>"),
        ("tests.core.test_stop.TestGemmaBySchema", "test_invoke", "<failure/>"),
    )
    assert TABLES["suites_table"](path).splitlines()[2:] == [
        "| chat, integration: `gemma-3-27b-it`, `json_schema` | 2 | 2 | 3 | files, sound |",
        "| embeddings, integration | 1 | 0 | 0 |  |",
    ]


def test_a_skip_needs_a_reason(results):
    path = results((GEMMA, "test_invoke", "<skipped/>"))
    with pytest.raises(LookupError, match=r"TestGemmaBySchema\.test_invoke"):
        TABLES["suites_table"](path)


def test_no_results_are_not_taken_for_good_ones(results):
    with pytest.raises(LookupError, match="no results"):
        TABLES["suites_table"](results(("tests.core.test_stop", "test_a_cut", "")))


def test_a_table_takes_the_place_of_the_old_one():
    begin, end = "<!-- a: written by `make tables` -->", "<!-- end of a -->"
    readme = f"before\n{begin}\n\nold\n\n{end}\nafter"
    made = TABLES["updated"](readme, {"a": r"new \1"})
    assert made == readme.replace("old", r"new \1")
    with pytest.raises(LookupError, match="end of b"):
        TABLES["updated"](readme, {"b": "new"})


def test_an_old_table_fails_the_check_and_names_the_remedy():
    TABLES["check"]("README.md", "the same", "the same")
    with pytest.raises(SystemExit, match=r"(?s)-old.*\+new.*make tables"):
        TABLES["check"]("README.md", "old", "new")
