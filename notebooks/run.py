"""Runs every notebook beside it, each in a kernel of its own, and keeps what they show.

A notebook whose cells show what they showed before, but for ids, times and the like, keeps its old
outputs, so that a second run changes no file; clear them to have new ones, as of a plot. The kernel
gets no credentials, unless `--cloud` leaves them.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from difflib import unified_diff
from itertools import islice
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
# A cell that bears it shows something else each time, so that nothing is compared.
VOLATILE = "volatile"
# Seconds that one cell may take.
_PATIENCE = 300
# Lines of a difference that are told.
_SHOWN = 20
# How names of the environment begin that hold credentials, or have a library show or send more.
_OWN_SETTINGS = ("YC_", "UPSTREAM_", "LANGCHAIN_", "LANGSMITH_", "OTEL_")
_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}

# What differs from run to run, and says nothing.
_MASKS = [
    (re.compile(pattern), mask)
    for pattern, mask in (
        (r"(127\.0\.0\.1):\d+", r"\1:PORT"),
        (r"process \d+", "process ID"),
        (r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d", "TIME"),
        (r"(?<![.\d])\d+\.\d+(?:e[+-]?\d+)?(?![.\d])|\d+ ?(?=m?s\b|it/s)", "NUMBER "),
        (r"[0-9a-f]{8}(-?)[0-9a-f]{4}(?:\1[0-9a-f]{4}){2}\1[0-9a-f]{12}", "ID"),
        (r"\b(?:0x[0-9a-f]+|[0-9a-f]{8,})\b", "ID"),
        # A table is as wide as what stands in it.
        (r"[ \-─━═]+", " "),
        (r" *(\n|$)", r"\1"),
    )
]
_OWN = {str(FOLDER.parent.resolve()), sys.prefix, str(Path.home()), tempfile.gettempdir()} - {"/"}
_MACHINE = re.compile(
    rf"(?<![\w.])(?:{'|'.join(map(re.escape, _OWN))}|/(?:home|root|Users|tmp|var/folders)/)\S*"
    r"|\b[A-Z]:\\+Users"
)


def main() -> None:
    """Run the notebooks named, or all; exit with what is wrong with them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="how the files' names begin; all without any")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where a kept output is no more so"
    )
    parser.add_argument(
        "--cloud", action="store_true", help="leave the kernel the credentials; write nothing"
    )
    given = parser.parse_args()
    paths = [path for path in sorted(FOLDER.glob("*.ipynb")) if _is_named(path, given.names)]
    if not paths:
        sys.exit(f"No notebook has a name that begins with {' or '.join(given.names) or 'any'}.")
    # The kernels take the packages beside this folder, whatever else is installed.
    known = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(FOLDER.parent), known]))
    if not given.cloud:
        for name in [name for name in os.environ if name.startswith(_OWN_SETTINGS)]:
            del os.environ[name]
    wrong = []
    for path in paths:
        kept = json.loads(path.read_text(encoding="utf-8"))
        found = executed(kept)
        faults = [*raised(found), *machine_paths(found)]
        if not faults and not given.cloud:
            if given.check:
                faults = [*machine_paths(kept), *stale(kept, found)]
            else:
                path.write_text(written(with_kept_outputs(kept, found)), encoding="utf-8")
        print(f"{path.name}: {'FAILED' if faults else 'as it should'}", flush=True)
        wrong += [f"{path.name}, {fault}" for fault in faults]
    sys.exit("\n".join(wrong) or 0)


def _is_named(path: Path, names: list[str]) -> bool:
    return not names or path.name.startswith(tuple(names))


def executed(notebook: dict[str, Any], folder: Path = FOLDER) -> dict[str, Any]:
    """The notebook as a new kernel runs it in a folder, to its end or to the cell that raises."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    node = nbformat.reads(json.dumps(notebook), as_version=4)
    client = NotebookClient(
        node,
        kernel_name=_KERNEL["name"],
        # Warns that the kernel listens on this machine's loopback, each time.
        extra_arguments=["--log-level=ERROR"],
        timeout=_PATIENCE,
        resources={"metadata": {"path": str(folder)}},
        force_raise_errors=True,
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,
    )
    with suppress(CellExecutionError):  # its cell holds it
        client.execute()
    node.metadata = {"kernelspec": _KERNEL, "language_info": {"name": "python"}}
    nbformat.validate(node)
    made: dict[str, Any] = json.loads(nbformat.writes(node))
    return made


def with_kept_outputs(kept: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """The notebook as found; with the old outputs, all of one run, where all show the same."""
    if not stale(kept, found):
        for before, cell in zip(code_cells(kept), code_cells(found), strict=True):
            cell["outputs"] = before["outputs"]
    return found


def shows_the_same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether two runs of a cell differ only in what differs from run to run."""
    if VOLATILE in after.get("metadata", {}).get("tags", ()):
        return [kinds(output) for output in before["outputs"]] == [
            kinds(output) for output in after["outputs"]
        ]
    return shown(before) == shown(after)


def shown(cell: dict[str, Any]) -> str:
    """What a cell shows, in text, without what differs from run to run; of a picture, its kind."""
    texts = []
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "text/html" in data:  # beside it, a table in text is broken where its numbers are wide
            data = {kind: text for kind, text in data.items() if kind != "text/plain"}
        texts += ["/".join(kinds(output)), *_texts({**output, "data": data})]
    return "\n".join(map(_masked, texts))


def kinds(output: dict[str, Any]) -> list[str]:
    """What an output is: its type, and the forms of its data."""
    return [output["output_type"], *sorted(output.get("data", ()))]


def _texts(output: dict[str, Any]) -> Iterator[str]:
    yield _joined(output.get("text", ""))
    for kind, data in sorted(output.get("data", {}).items()):
        if not kind.startswith("image/"):
            yield _joined(data) if isinstance(data, str | list) else json.dumps(data)


def _masked(text: str) -> str:
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells that run."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def raised(notebook: dict[str, Any]) -> list[str]:
    """The errors that cells ended in."""
    return [
        f"cell {number}: {output['ename']}: {output['evalue']}\n{_joined(cell['source'])}"
        for number, cell in enumerate(code_cells(notebook), 1)
        for output in cell["outputs"]
        if output["output_type"] == "error"
    ]


def machine_paths(notebook: dict[str, Any]) -> list[str]:
    """The paths of this machine, or of any other, that sources and outputs hold."""
    faults = []
    for number, cell in enumerate(notebook["cells"], 1):
        texts = [_joined(cell["source"])]
        texts += [text for output in cell.get("outputs", ()) for text in _texts(output)]
        held = sorted({path for text in texts for path in _MACHINE.findall(text)})
        faults += [f"{cell['cell_type']} cell {number} of all holds {one}" for one in held]
    return faults


def stale(kept: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Where the outputs kept in the file are not what its cells show now."""
    faults = []
    cells = zip(code_cells(kept), code_cells(found), strict=True)
    for number, (before, cell) in enumerate(cells, 1):
        if not shows_the_same(before, cell):
            texts = shown(before).splitlines(), shown(cell).splitlines()
            lines = islice(unified_diff(*texts, "kept", "now", n=1, lineterm=""), _SHOWN)
            told = "\n".join(lines)
            faults.append(f"cell {number} shows something else now: run make notebooks.\n{told}")
    return faults


def written(notebook: dict[str, Any]) -> str:
    """The notebook as its file has it."""
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    main()
