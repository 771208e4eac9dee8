"""What README tells of the others: ours asked again by the same rows, and the tables."""

import json
import re
from pathlib import Path
from runpy import run_path

import pytest
from langchain_openai import ChatOpenAI

import langchain_yandex_compat
import llamaindex_yandex_compat
from comparison import chat_rows, constructor_words, embedding_rows, report, run
from comparison.facts import told
from comparison.service import Service
from comparison.subjects import CHAT, EMBEDDINGS, OURS

ROOT = Path(__file__).parents[1]
RESULTS = json.loads((ROOT / "comparison/results.json").read_text(encoding="utf-8"))
BENCHMARKS = json.loads((ROOT / "benchmarks/results/results.json").read_text(encoding="utf-8"))
TABLES = {"chat": (chat_rows.ROWS, CHAT), "embeddings": (embedding_rows.ROWS, EMBEDDINGS)}
OURS_IN = {"LangChain": langchain_yandex_compat, "LlamaIndex": llamaindex_yandex_compat}
[OPENAI] = [subject for subject in CHAT if subject.name == "ChatOpenAI"]
ASKED = [
    pytest.param(table, row, subject, id=f"{subject.name}-{row.name}")
    for table, (rows, subjects) in TABLES.items()
    for row in rows
    for subject in subjects
    if subject.package == OURS
]


@pytest.fixture
def service(emulator):
    return Service(emulator.url, "test-key", "test-folder", "y0_test-oauth")


@pytest.mark.parametrize(("table", "row", "subject"), ASKED)
def test_ours_answers_as_the_table_says(service, table, row, subject):
    found = RESULTS[table][row.name]["subjects"][subject.name]
    assert row.ask(subject, service).cell == found["cell"]


# A peer that development has anyway: a row that could say nothing else of ours would say it here.
@pytest.mark.parametrize(
    ("row", "cell"),
    [
        (chat_rows.stop, "ignored"),
        (chat_rows.forced, "an answer without a call"),
        (chat_rows.repeated, "one id for both"),
        (chat_rows.cut, "broken: raises; ended early: passes for whole"),
        (chat_rows.unknown_word, "warns; each call raises"),
        (chat_rows.any_server, "yes"),
        (chat_rows.quota, "30 answers, some refused at first"),
    ],
)
def test_a_row_says_otherwise_of_another(service, row, cell):
    assert row(OPENAI, service).cell == cell


@pytest.mark.parametrize("table", TABLES)
def test_everybody_was_asked_everything(table):
    rows, subjects = TABLES[table]
    assert [(name, found["title"]) for name, found in RESULTS[table].items()] == [
        (row.name, row.title) for row in rows
    ]
    for found in RESULTS[table].values():
        assert [*found["subjects"]] == [subject.name for subject in subjects]
        assert all(one["cell"] for one in found["subjects"].values())


def test_the_version_of_everybody_is_told():
    assert {one.package for one in (*CHAT, *EMBEDDINGS)} <= {*RESULTS["versions"]}


def test_readme_tells_what_was_found():
    made = run_path(str(ROOT / "tests/readme_tables.py"))["peers_table"]()
    assert f"\n{made}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_table_needs_everybody():
    result = json.loads(json.dumps(RESULTS))
    del result["chat"]["stop"]["subjects"]["ChatOpenAI"]
    with pytest.raises(LookupError, match="ChatOpenAI"):
        report.tables(result, BENCHMARKS)


def test_a_run_tells_which_cells_are_others_than_before():
    after = json.loads(json.dumps(RESULTS))
    assert run.changed(RESULTS, after) == []
    after["chat"]["stop"]["subjects"]["ChatOpenAI"]["cell"] = "cuts"
    told = ["chat, stop, ChatOpenAI: 'ignored' is now 'cuts'"]
    assert run.changed(RESULTS, after) == told
    before = {**RESULTS, "embeddings": {}}
    assert len(run.changed(before, after)) == 1 + len(embedding_rows.ROWS) * len(EMBEDDINGS)


def test_our_two_classes_stand_in_one_column_with_what_differs():
    result = json.loads(json.dumps(RESULTS))
    result["chat"]["stop"]["subjects"]["YandexLLM"]["cell"] = "otherwise"
    [row] = [line for line in report.tables(result, BENCHMARKS).splitlines() if "`stop`" in line]
    assert "| cuts; otherwise | ignored |" in row


def test_no_path_of_a_machine_stands_in_the_results():
    text = (ROOT / "comparison/results.json").read_text(encoding="utf-8")
    assert not re.findall(r"(?:/tmp|/home|/root|/work|/Users)/[^\"]*", text)


WORDS = [
    pytest.param(peer["ours"], word, row, id=f"{name}-{word}")
    for name, peer in constructor_words.known().items()
    for word, row in peer["words"].items()
]


@pytest.mark.parametrize(("ours", "word", "row"), WORDS)
def test_every_word_of_ours_that_stands_for_anothers_exists(ours, word, row):
    [model] = [getattr(module, ours) for module in OURS_IN.values() if hasattr(module, ours)]
    for name in row["ours"]:
        if name.endswith("()"):
            assert callable(getattr(model, name.removesuffix("()")))
        else:
            assert name in model.model_fields
    assert row["note"]
    assert bool(row["ours"]) is not row["note"].startswith(("none", "a word of a call"))


def test_the_notebook_shows_every_word():
    cells = json.loads((ROOT / "notebooks/07_migrating.ipynb").read_text(encoding="utf-8"))["cells"]
    shown = {
        "".join(cell["source"]): "".join(cell["outputs"][0]["data"]["text/markdown"])
        for cell in cells
        if "".join(cell["source"]).startswith('table("')
    }
    known = constructor_words.known()
    assert {*shown} == {f'table("{name}")' for name in known}
    for name, peer in known.items():
        lines = shown[f'table("{name}")'].splitlines()[2:]
        assert [line.split("|")[1].strip(" `") for line in lines] == [*peer["words"]]
        assert [line.split("|")[3].strip() for line in lines] == [
            row["note"] for row in peer["words"].values()
        ]


def test_a_word_without_a_row_and_a_row_without_a_word_are_told():
    known = {"A": {"words": {"old": {}, "both": {}}}}
    assert constructor_words.differences({"A": {"both", "new"}, "B": {"x"}}, known) == [
        "A has no word 'old', which has a row",
        "A has the word 'new', which has no row",
        "B has no rows",
    ]
    assert constructor_words.differences({"A": {"both", "old"}}, known) == []


def test_the_words_of_a_peer_are_those_that_its_constructor_takes():
    words = constructor_words.words_of(ChatOpenAI)
    assert {"model", "base_url", "api_key", "max_completion_tokens"} <= words
    assert not {"openai_api_base", "self", "kwargs"} & words


def test_a_fact_tells_an_error_short():
    assert told(ValueError("a\n  b" + "c" * 500)).startswith("ValueError: a bc")
    assert len(told(ValueError("c" * 500))) == 200
