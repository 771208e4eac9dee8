"""Tells together what the runs of both frameworks found: results, plot, and tables with targets.

It exits with 0, also where a target is missed, and with 1 where something could not be measured.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.arithmetic import verdicts
from benchmarks.machine import PACKAGES
from benchmarks.report import from_json, plot, tables, told_targets
from benchmarks.run import FOUND
from benchmarks.targets import TARGETS

RESULTS = Path(__file__).parent / "results"


def joined(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One result of the runs by framework; ValueError for runs of different machines."""
    first, *others = runs.values()
    if any(one["machine"] != first["machine"] for one in others):
        raise ValueError("The runs are of different machines: run `make bench` for all of it.")
    return {
        "began": first["began"],
        "minutes": round(sum(one["minutes"] for one in runs.values()), 1),
        "whole": all(one["whole"] for one in runs.values()),
        "seed": first["seed"],
        "machine": first["machine"],
        "load_before": {name: one["load_before"] for name, one in runs.items()},
        "versions": {name: one["versions"] for name, one in runs.items()},
        "metrics": [metric for one in runs.values() for metric in one["metrics"]],
    }


def main() -> int:
    """Write the results, print the tables."""
    runs = {
        name: json.loads((FOUND / f"{name}.json").read_text(encoding="utf-8")) for name in PACKAGES
    }
    result = joined(runs)
    measured = from_json(result["metrics"])
    found = verdicts(TARGETS, {one.name: one for one in measured})
    # What is no whole run is no result.
    folder = RESULTS if result["whole"] else FOUND
    told = json.dumps({**result, "targets": told_targets(found)}, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(f"{told}\n", encoding="utf-8")
    plot(measured, found, result["machine"], folder / "ratios.png")
    print(tables(measured, found))
    print(f"\n{sum(one.met for one in found)} of {len(found)} targets met.")
    return 1 if any(one.failures for one in measured) else 0


if __name__ == "__main__":
    sys.exit(main())
