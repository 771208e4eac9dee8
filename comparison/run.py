"""`make comparison`: asks everybody every question and writes what was found.

Everything is on this machine: the emulator, its gRPC face, and whoever is asked, which may reach
nothing else. It exits with 1 where a peer's constructor has a word that `words.json` lacks.
"""

import argparse
import json
import logging
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.machine import clear_environment
from comparison import chat_rows, constructor_words, embedding_rows
from comparison.facts import Fact, Row
from comparison.service import Service
from comparison.subjects import CHAT, EMBEDDINGS, Subject

RESULTS = Path(__file__).parent / "results.json"
TABLES: Mapping[str, tuple[Sequence[Row], Sequence[Subject]]] = {
    "chat": (chat_rows.ROWS, CHAT),
    "embeddings": (embedding_rows.ROWS, EMBEDDINGS),
}
_BESIDE = ("langchain", "langchain-core", "llama-index-core", "openai", "grpcio", "yandexcloud")
_HERE = ("127.0.0.1", "::1", "localhost")
_EMULATOR = [sys.executable, "-m", "yandex_compat.emulator", "--port", "0", "--until-eof"]


@contextmanager
def emulated() -> Iterator[Service]:
    """An emulator with its gRPC face, for the block."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Read when gRPC opens its first channel: community's class takes no certificate of its own.
        os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = str(folder / "gateway.pem")
        from comparison.gateway import gateway

        process = subprocess.Popen(
            _EMULATOR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            root = (process.stdout.readline() if process.stdout else "").strip()
            if not root:
                raise RuntimeError("the emulator did not start")
            root = root.removesuffix("/v1")
            with gateway(root, folder) as (grpc, certificate):
                yield Service(
                    root, "emulator-key", "emulator-folder", "y0_emulator-oauth",
                    grpc, str(certificate),
                )  # fmt: skip
        finally:
            process.terminate()
            process.communicate()


def asked(rows: Sequence[Row], subjects: Sequence[Subject], service: Service) -> dict[str, Any]:
    """What each row found of each subject, by their names."""
    found: dict[str, Any] = {}
    for row in rows:
        facts = found[row.name] = {"title": row.title, "subjects": {}}
        for subject in subjects:
            fact = ask(row, subject, service)
            facts["subjects"][subject.name] = {"cell": fact.cell, "seen": _plain(fact.seen)}
            print(f"{row.name} | {subject.name} | {fact.cell}", file=sys.stderr)
    return found


def ask(row: Row, subject: Subject, service: Service) -> Fact:
    """What one row finds of one subject, of a service with nothing scripted or noted."""
    service.clear()
    try:
        return row.ask(subject, service)
    finally:
        service.clear()


def _plain(seen: str) -> str:
    """What was seen, short, without what is another in each run."""
    text = re.sub(r"(localhost|127\.0\.0\.1):\d+", r"\1", seen)
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)[:300]


def stay_on_this_machine() -> None:
    """Refuse, from now on, whatever leads to another machine; gRPC's own sockets excepted."""

    def check(event: str, given: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            host = given[0]
        elif event == "socket.connect" and isinstance(given[1], tuple):
            host = given[1][0]
        else:
            return
        if (host.decode() if isinstance(host, bytes) else host) not in _HERE:
            raise socket.gaierror(f"{host} is not this machine")

    sys.addaudithook(check)


def main() -> int:
    """Look at the constructors, ask, write the results."""
    parser = argparse.ArgumentParser(prog="python -m comparison.run", description=__doc__)
    parser.add_argument("--only", default="", help="try rows whose name holds this; write nothing")
    words = parser.parse_args()
    clear_environment()
    logging.disable(logging.WARNING)  # a peer tells of each try
    os.environ["GRPC_VERBOSITY"] = "NONE"
    stay_on_this_machine()
    known = constructor_words.known()
    if missing := constructor_words.differences(constructor_words.installed(), known):
        sys.exit("\n".join([*missing, f"Correct {constructor_words.WORDS.name}."]))
    with emulated() as service:
        found = {
            name: asked([row for row in rows if words.only in row.name], subjects, service)
            for name, (rows, subjects) in TABLES.items()
        }
    if words.only:
        return 0
    packages = {one.package for _, subjects in TABLES.values() for one in subjects}
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": {name: version(name) for name in sorted({*packages, *_BESIDE})},
        **found,
    }
    before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    lines = changed(before, result)
    print("\n".join(lines) or "No cell is another than it was.")
    print(f"{RESULTS.parent.name}/{RESULTS.name} is written; make tables puts it into README.")
    return 0


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """A line for each cell that is new or another than in the run before."""
    return [
        f"{table}, {row}, {subject}: {old!r} is now {cell!r}"
        for table in TABLES
        for row, facts in after[table].items()
        for subject, cell in _cells(facts).items()
        if (old := _cells(before.get(table, {}).get(row, {})).get(subject)) != cell
    ]


def _cells(facts: Mapping[str, Any]) -> dict[str, str]:
    return {name: fact["cell"] for name, fact in facts.get("subjects", {}).items()}


if __name__ == "__main__":
    sys.exit(main())
