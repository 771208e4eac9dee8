"""Says whether what is installed are the oldest versions that pyproject.toml allows.

`make test-lowest` runs it before the suite: a lower bound that another package's makes unreachable
would stand there untested.
"""

import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

# What no test here needs: the peers of benchmarks and comparison, what runs the notebooks, and what
# runs a model on this machine, whose oldest version is the one that `make local` installs.
UNTESTED = {"bench-langchain", "bench-llamaindex", "local", "notebooks", "peers"}
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def unreached(text: str) -> list[str]:
    """The requirements that have a lower bound which is not what is installed."""
    project = tomllib.loads(text)["project"]
    optional = project["optional-dependencies"]
    extras = [one for name in optional if name not in UNTESTED for one in optional[name]]
    found = []
    for requirement in map(Requirement, [*project["dependencies"], *extras]):
        lowest = [one.version for one in requirement.specifier if one.operator in {">=", "=="}]
        if requirement.name == project["name"]:
            continue
        installed = Version(version(requirement.name))
        if [Version(bound).release for bound in lowest] != [
            installed.release[: len(Version(bound).release)] for bound in lowest
        ]:
            found.append(f"{requirement}: {installed} is installed")
    return found


if __name__ == "__main__":
    sys.exit("\n".join(unreached(PYPROJECT.read_text())) or 0)
