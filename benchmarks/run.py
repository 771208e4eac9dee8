"""`make bench`: measures everything in one run and tells what it found.

It exits with 0, also where a target is missed, and with 1 where something could not be measured.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from benchmarks.arithmetic import Measured, verdicts
from benchmarks.measures import FULL, QUICK, Bench, Metric, Sample, metrics
from benchmarks.report import as_json, plot, tables
from benchmarks.server import canned_server
from benchmarks.targets import TARGETS

RESULTS = Path(__file__).parent / "results"
TRIED = Path(__file__).parents[1] / ".benchmarks"
"""Where runs go that are no results: quick ones, and those of a few metrics."""


def measure(bench: Bench, metric: Metric, shuffle: random.Random) -> Measured:
    """All rounds of a metric, in each of which every subject is measured once at every size.

    A subject that fails is told of and left out.
    """
    found = Measured(
        metric.name, metric.title, metric.unit, metric.group, metric.sizes, metric.counted
    )
    samplers: dict[tuple[str, int], Sample] = {}
    for subject in metric.subjects:
        for size in metric.sizes:
            try:
                sampler = metric.sample(bench, subject, size)
                if metric.warms_up and metric.rounds > 1:
                    sampler()
            except Exception as error:
                _failed(found, subject.name, error)
                break
            samplers[subject.name, size] = sampler
    for _ in range(metric.rounds):
        turns = [turn for turn in samplers if turn[0] not in found.failures]
        shuffle.shuffle(turns)
        for name, size in turns:
            try:
                number = samplers[name, size]()
            except Exception as error:
                _failed(found, name, error)
                continue
            found.samples.setdefault(name, {}).setdefault(size, []).append(number)
    for name in found.failures:
        found.samples.pop(name, None)
    return found


def _failed(found: Measured, name: str, error: Exception) -> None:
    told = " ".join(f"{type(error).__name__}: {error}".split())
    found.failures[name] = told[:300]


def run(chosen: Sequence[Metric], seed: int) -> list[Measured]:
    """Measure the metrics chosen, one after the other."""
    shuffle = random.Random(seed)
    with canned_server() as origin, asyncio.Runner() as runner:
        bench, found = Bench(origin, runner), []
        for number, metric in enumerate(chosen, start=1):
            began = time.monotonic()
            found.append(measure(bench, metric, shuffle))
            took = time.monotonic() - began
            print(f"{number}/{len(chosen)} {metric.title}: {took:.1f} s", file=sys.stderr)
    return found


def main() -> int:
    """Measure, write the results, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="try it; its figures say nothing")
    parser.add_argument("--only", default="", help="metrics whose name holds this text")
    parser.add_argument("--seed", type=int, default=7, help="of the order of the subjects")
    words = parser.parse_args()
    machine.allow_many_files()
    machine.clear_environment()
    versions = machine.versions()
    scale = QUICK if words.quick else FULL
    chosen = [one for one in metrics(scale) if words.only in one.name]
    if not chosen:
        parser.error(f"no metric's name holds {words.only!r}")
    load, began, clock = machine.load(), datetime.now(UTC), time.monotonic()
    measured = run(chosen, words.seed)
    found = verdicts(TARGETS, {one.name: one for one in measured})
    result = {
        "began": began.isoformat(timespec="seconds"),
        "minutes": round((time.monotonic() - clock) / 60, 1),
        "quick": words.quick,
        "seed": words.seed,
        "machine": machine.machine(),
        "load_before": load,
        "versions": versions,
        **as_json(measured, found),
    }
    folder = TRIED if words.quick or words.only else RESULTS
    folder.mkdir(exist_ok=True)
    (folder / "results.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    plot(measured, found, machine.machine(), folder / "ratios.png")
    print(tables(measured, found))
    missed = [one for one in found if not one.met]
    print(f"\n{len(found) - len(missed)} of {len(found)} targets met.")
    return 1 if any(one.failures for one in measured) else 0


if __name__ == "__main__":
    sys.exit(main())
