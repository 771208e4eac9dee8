"""What the notebooks' runner keeps, compares and refuses; `make notebooks` runs them."""

import json
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
    [("4 requests", "5 requests"), ("You said: Hi", "You said: Ho"), ("", "Warning: old")],
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
