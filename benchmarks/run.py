"""Measures everything of one framework, and leaves what it found for `benchmarks.tell`."""

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
from benchmarks.arithmetic import Measured
from benchmarks.measures import FULL, QUICK, Bench, Metric, Sample, metrics
from benchmarks.report import as_json
from benchmarks.server import canned_server

FOUND = Path(__file__).parents[1] / ".benchmarks"
"""Where what was found of each framework waits to be told together."""


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


def main() -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("framework", choices=machine.PACKAGES)
    parser.add_argument("--quick", action="store_true", help="try it; its figures say nothing")
    parser.add_argument("--only", default="", help="metrics whose name holds this text")
    parser.add_argument("--seed", type=int, default=7, help="of the order of the subjects")
    words = parser.parse_args()
    machine.allow_many_files()
    machine.clear_environment()
    versions = machine.versions(words.framework)
    scale = QUICK if words.quick else FULL
    chosen = [
        one for one in metrics(scale) if one.framework == words.framework and words.only in one.name
    ]
    if not chosen:
        parser.error(f"no metric of {words.framework} has a name that holds {words.only!r}")
    load, began, clock = machine.load(), datetime.now(UTC), time.monotonic()
    measured = run(chosen, words.seed)
    result = {
        "began": began.isoformat(timespec="seconds"),
        "minutes": round((time.monotonic() - clock) / 60, 1),
        "whole": not (words.quick or words.only),
        "seed": words.seed,
        "machine": machine.machine(),
        "load_before": load,
        "versions": versions,
        "metrics": as_json(measured),
    }
    FOUND.mkdir(exist_ok=True)
    told = json.dumps(result, indent=1, ensure_ascii=False)
    (FOUND / f"{words.framework}.json").write_text(f"{told}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
