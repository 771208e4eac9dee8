"""What the notebooks' runner keeps, compares and refuses; `make notebooks` runs them."""

import ast
import base64
import json
import re
import tempfile
from copy import deepcopy
from pathlib import Path
from runpy import run_path

import pytest

ROOT = Path(__file__).parents[1]
RUN = run_path(str(ROOT / "notebooks" / "run.py"))


def code(source, *outputs, id="a", tags=()):  # noqa: A002 -- the format's own word
    return {
        "cell_type": "code",
        "id": id,
        "source": source,
        "outputs": list(outputs),
        "metadata": {"tags": list(tags)},
    }


def printed(text):
    return {"output_type": "stream", "name": "stdout", "text": text}


def picture(data):
    return {"output_type": "display_data", "data": {"image/png": data, "text/plain": "<Figure>"}}


def notebook(*cells):
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


ID, OTHER_ID = "3f0c6c1e-6a55-4d0c-9a3e-0a7b5f1c2d3e", "00000000-1111-4222-8333-444444444444"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"request {ID}", f"request {OTHER_ID}"),
        (f"id {ID[:8]}", f"id {OTHER_ID[:8]}"),
        (f"id {ID[:8]}", "id fadedbee"),  # of 2,500 ids, one is of letters alone
        (f"ycall_{ID.replace('-', '')}", f"ycall_{OTHER_ID.replace('-', '')}"),
        ("at http://127.0.0.1:40001/v1 (process 12)", "at http://127.0.0.1:501/v1 (process 3456)"),
        ("took 0.25 s, or 250 ms", "took 11.5 s, or 3 ms"),
        ("2025-11-27 12:00:01 INFO", "2026-01-02 23:59:59 INFO"),
        ("<object at 0x7f12ab>", "<object at 0x7eff00>"),
        ("id  seconds\n--  -------\n1   0.1    ", "id  seconds \n--  --------\n1   100.1"),
    ],
)
def test_what_differs_from_run_to_run_leaves_the_kept_output(before, after):
    kept = notebook(code("show()", printed(before)))
    made = RUN["with_kept_outputs"](kept, notebook(code("show()", printed(after))))
    assert made == kept
    assert RUN["stale"](kept, made) == []


def test_outputs_are_kept_all_or_none_so_that_they_are_of_one_run():
    kept = notebook(code("ask()", printed(f"request {ID}")), code("plot()", picture("old")))
    new = notebook(code("ask()", printed(f"request {OTHER_ID}")), code("plot()", picture("new")))
    assert RUN["with_kept_outputs"](kept, deepcopy(new)) == kept
    new["cells"].append(code("print(1)", printed("1")))
    kept["cells"].append(code("print(1)"))
    assert RUN["with_kept_outputs"](kept, deepcopy(new)) == new


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("4 requests", "5 requests"),
        ("You said: Hi", "You said: Ho"),
        ("", "Warning: old"),
        ("<Figure size 1000x600>", "<Figure size 1000x500>"),
    ],
)
def test_anything_else_is_told(before, after):
    kept = notebook(code("show()", printed(before)))
    found = notebook(code("show()", printed(after)))
    [fault] = RUN["stale"](kept, found)
    assert RUN["with_kept_outputs"](kept, found)["cells"][0]["outputs"] == [printed(after)]
    assert "make notebooks" in fault
    assert f"+{after}" in fault


def test_a_volatile_cell_is_compared_by_the_kinds_of_its_outputs():
    kept = notebook(code("race()", printed("4 requests"), tags=["volatile"]))
    found = notebook(code("race()", printed("5 requests"), tags=["volatile"]))
    assert RUN["stale"](kept, found) == []
    found["cells"][0]["outputs"].append(picture("new"))
    assert RUN["stale"](kept, found)


def test_a_cell_that_raised_is_told_with_its_source():
    failed = {"output_type": "error", "ename": "KeyError", "evalue": "'x'", "traceback": []}
    [fault] = RUN["raised"](notebook(code("1"), code("words['x']", failed, id="b")))
    assert fault == "cell 2: KeyError: 'x'\nwords['x']"


@pytest.mark.parametrize(
    "path",
    [
        str(ROOT.resolve() / "x.py"),
        str(Path.home() / "x"),
        tempfile.gettempdir() + "/x",
        "/home/me/x",
        "/Users/me/x",
        "/tmp/ipykernel_1/2.py:1: UserWarning",  # noqa: S108
        r"C:\Users\me",
    ],
)
def test_paths_of_a_machine_are_refused_wherever_they_stand(path):
    find = RUN["machine_paths"]
    assert find(notebook(code(f"open('{path}')")))
    assert find(notebook(code("show()", printed(f"in {path}"))))
    shown = {"output_type": "execute_result", "data": {"text/html": [f"<i>{path}</i>"]}}
    assert find(notebook(code("show()", shown)))
    assert find(notebook({"cell_type": "markdown", "source": path}))


def test_an_address_is_no_path_of_a_machine():
    text = "https://yandex.cloud/home/x and texts/tmp/x"
    assert RUN["machine_paths"](notebook(code(text, printed(text)))) == []


NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_what_is_kept_was_run_from_the_first_cell_to_the_last(path):
    kept = json.loads(path.read_text(encoding="utf-8"))
    cells = RUN["code_cells"](kept)
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    assert RUN["raised"](kept) == RUN["machine_paths"](kept) == []
    assert RUN["written"](kept) == path.read_text(encoding="utf-8")


def joined(text):
    return text if isinstance(text, str) else "".join(text)


def kept_cells(path):
    """The code cells of a notebook, each as (source, outputs)."""
    cells = RUN["code_cells"](json.loads(path.read_text(encoding="utf-8")))
    return [(joined(cell["source"]), cell["outputs"]) for cell in cells]


def shows(source):
    """Whether a cell prints, or ends in a value; of what it calls nothing is known."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    statements = compile(source, "cell", "exec", flags, dont_inherit=True).body
    match statements[-1]:
        case ast.Expr(value=value) if not isinstance(value, ast.Call | ast.Await):
            return not source.rstrip().endswith(";")
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    run = [part for one in statements if not isinstance(one, defined) for part in ast.walk(one)]
    return any(
        isinstance(part, ast.Call) and getattr(part.func, "id", None) == "print" for part in run
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1", False),
        ("x", True),
        ("x;", False),
        ("table.add(1)", False),
        ("await f()", False),
        ("def f():\n    print(1)", False),
        ("for x in await f():\n    print(x)", True),
    ],
)
def test_what_shows_something_is_known_by_its_source(source, expected):
    assert shows(source) is expected


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_what_a_cell_shows_is_kept(path):
    assert [source for source, outputs in kept_cells(path) if shows(source) and not outputs] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_begins_with_the_words_of_the_service_and_without_credentials(path):
    source, [output] = kept_cells(path)[0]
    assert source.startswith("from yandex_compat.trial import words\n")
    assert re.search(r"^service = words\(", source, re.MULTILINE)
    told = "No YC_API_KEY and YC_FOLDER_ID: talking to an emulator at http://127.0.0.1:"
    assert joined(output["text"]).startswith(told)


# As the service's keys, its IAM and OAuth tokens, and authorized keys begin (WIRE Headers).
SECRETS = re.compile(
    r"AQVN[\w-]{20}|\bt1\.[\w-]{20}|\by[0-3]_[\w-]{20}|PRIVATE KEY|(?:Api-Key|Bearer) [\w.-]{8}"
)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_no_key_stands_in_it(path):
    assert SECRETS.findall(path.read_text(encoding="utf-8")) == []
    # Who shows the emulator's key would show the user's in its place.
    assert [source for source, outputs in kept_cells(path) if "emulator-key" in str(outputs)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_holds_what_the_format_asks_for_and_nothing_of_the_day(path):
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert (kept["nbformat"], kept["nbformat_minor"]) == (4, 5)
    assert kept.keys() == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert kept["metadata"].keys() == {"kernelspec", "language_info"}
    ids = [cell["id"] for cell in kept["cells"]]
    assert len(set(ids)) == len(ids)
    assert [one for one in ids if not re.fullmatch(r"[\w-]{1,64}", one, re.ASCII)] == []
    for cell in kept["cells"]:
        more = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert cell.keys() == {"cell_type", "id", "metadata", "source"} | more
        assert cell["metadata"] in ({}, {"tags": ["volatile"]})


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_is_small_enough_to_be_read_on_a_page(path):
    shown = [output for _, outputs in kept_cells(path) for output in outputs]
    pictures = [one["data"]["image/png"] for one in shown if "image/png" in one.get("data", {})]
    assert all(len(base64.b64decode(joined(one))) < 100_000 for one in pictures)
    longest = max(len(joined(one.get("text", "")).splitlines()) for one in shown)
    assert longest <= 100  # a progress bar is one line, not one for each step
    assert path.stat().st_size < 250_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_files_that_it_leads_to_exist(path):
    text = "".join(joined(c["source"]) for c in json.loads(path.read_text("utf-8"))["cells"])
    named = re.findall(r"\]\((?!https?://|#)([^)#]+)", text)
    assert [one for one in named if not (path.parent / one).exists()] == []
