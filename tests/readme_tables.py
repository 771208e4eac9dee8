"""The tables of README and docs: suites, models, the service's references, speed, and peers.

It stands beside the tests, since it reads what they leave behind; the packages have no use for it.
"""

import argparse
import difflib
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from runpy import run_path
from xml.etree import ElementTree

from benchmarks import arithmetic, report
from benchmarks.targets import TARGETS
from comparison import report as comparison
from yandex_compat import catalogue

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
COVERAGE = ROOT / "docs" / "coverage.md"
SUITES = "tests/langchain/test_standard.py"

_HEADINGS = {
    "context_window": "context, tokens",
    "images": "images",
    "tools": "tools",
    "reasons": "reasoning",
    "calls_by_name": "calls known by the tool's name only",
    "native": "on the native API",
}
_STATES = {"failure": "failed", "error": "failed", "skipped": "skipped"}


def models_table() -> str:
    """A row for each family; LookupError for a field of ModelProfile that has no heading."""
    names = [field.name for field in fields(catalogue.ModelProfile)]
    if missing := [name for name in names if name not in _HEADINGS]:
        raise LookupError(f"ModelProfile has fields without a heading: {', '.join(missing)}.")
    rows = [(f"`{prefix}…`", profile) for prefix, profile in catalogue._PROFILES.items()]
    return _table(
        ["model", *(_HEADINGS[name] for name in names)],
        (
            [label, *(_cell(getattr(profile, name)) for name in names)]
            for label, profile in [*rows, ("any other", catalogue.UNKNOWN)]
        ),
    )


def suites_table(results: Path) -> str:
    """A row for each run in a JUnit file; LookupError for a skipped test without a reason."""
    suites = run_path(str(ROOT / SUITES))
    states: defaultdict[str, Counter[str]] = defaultdict(Counter)
    missing: defaultdict[str, set[str]] = defaultdict(set)
    tests = ElementTree.parse(results)  # noqa: S314 -- pytest's own file, of a run of ours
    for case in tests.iter("testcase"):
        module, _, class_name = case.attrib["classname"].rpartition(".")
        if module != SUITES.removesuffix(".py").replace("/", "."):
            continue
        run, test = suites[class_name]().run, case.attrib["name"].partition("[")[0]
        state = next((_STATES[child.tag] for child in case if child.tag in _STATES), "passed")
        states[run][state] += 1
        if state == "skipped":
            if test not in suites["NOT_THERE"]:
                raise LookupError(f"{class_name}.{test} is skipped, and {SUITES} says no reason.")
            missing[run].add(suites["NOT_THERE"][test])
    if not states:
        raise LookupError(f"{results} holds no results of {SUITES}.")
    return _table(
        ["suite", "passed", "failed", "skipped", "for want of"],
        (
            [
                run,
                *(str(states[run][state]) for state in ("passed", "failed", "skipped")),
                ", ".join(sorted(missing[run])),
            ]
            for run in sorted(states)
        ),
    )


def reference_table() -> str:
    """A row for each field of the service's references."""
    parts = run_path(str(ROOT / "tests/reference_rows.py"))["PARTS"]
    return _table(
        ["of", "endpoint or field", "here"],
        (
            [part, f"`{field}`", place]
            for part, rows in parts.items()
            for field, place in rows.items()
        ),
    )


def speed_table() -> str:
    """What the last full run of `make bench` found, and where."""
    result = json.loads((ROOT / "benchmarks/results/results.json").read_text(encoding="utf-8"))
    measured = report.from_json(result["metrics"])
    found = arithmetic.verdicts(TARGETS, {one.name: one for one in measured})
    told = result["machine"]
    machine = (
        f"{told['cores']} cores of {told['cpu']}, {told['memory_gib']} GiB, {told['system']}, "
        f"{told['python']}, {result['began'][:10]}, {result['minutes']:.0f} minutes"
    )
    met = sum(one.met for one in found)
    versions = "; ".join(
        ", ".join(f"{name} {number}" for name, number in found.items() if name != "yandex-compat")
        for found in result["versions"].values()
    )
    return (
        f"{report.summary(measured, found)}\n\n"
        f"{met} of {len(found)} targets met. Measured on {machine}, with {versions}."
    )


def peers_table() -> str:
    """What the last run of `make comparison` found, with the times of `make bench`."""
    found, measured = (
        json.loads((ROOT / name / "results.json").read_text(encoding="utf-8"))
        for name in ("comparison", "benchmarks/results")
    )
    return comparison.tables(found, measured)


def updated(document: str, tables: Mapping[str, str]) -> str:
    """A document with each table between its marks."""
    for name, table in tables.items():
        begin, end = f"<!-- {name}: written by `make tables` -->", f"<!-- end of {name} -->"
        marked = f"(?<={re.escape(begin)}).*?(?={re.escape(end)})"
        parts = re.split(marked, document, flags=re.DOTALL)
        if len(parts) != 2:
            raise LookupError(f"There need to be the marks {begin} and {end}, once each.")
        document = f"\n\n{table}\n\n".join(parts)
    return document


def check(name: str, document: str, made: str) -> None:
    """Exit with what differs, if anything does."""
    old, new = document.splitlines(keepends=True), made.splitlines(keepends=True)
    if found := "".join(difflib.unified_diff(old, new, name, "made", n=0)):
        sys.exit(f"{found}\nThe tables of {name} are out of date. Run `make tables` and commit it.")


def main() -> int:
    """Write the tables, or check them; the status is that of the suites."""
    parser = argparse.ArgumentParser(description="Run the suites and write the documents' tables.")
    parser.add_argument("--check", type=Path, metavar="JUNIT", help="compare them to results")
    if results := parser.parse_args().check:
        for path, made in _made(results):
            check(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"), made)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        command = ["pytest", "-q", "-n", "2", f"--junitxml={results}", SUITES]
        status = subprocess.run([sys.executable, "-m", *command], cwd=ROOT).returncode
        for path, made in _made(results):
            path.write_text(made, encoding="utf-8")
    return status


def _made(results: Path) -> Iterator[tuple[Path, str]]:
    """The documents as they are to be."""
    for path, tables in _tables(results).items():
        yield path, updated(path.read_text(encoding="utf-8"), tables)


def _tables(results: Path) -> dict[Path, dict[str, str]]:
    return {
        README: {"models": models_table(), "speed": speed_table(), "peers": peers_table()},
        COVERAGE: {"standard suites": suites_table(results), "references": reference_table()},
    }


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    raise TypeError(f"There is no way yet to show {value!r}.")


if __name__ == "__main__":
    sys.exit(main())
