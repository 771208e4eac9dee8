"""The wheel as pip would install it, and the sdist as whoever runs its tests unpacks it."""

import email
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*yandex_compat/__init__.py"))


@pytest.fixture(scope="module")
def wheel(distributions):
    with zipfile.ZipFile(distributions.wheel) as opened:
        yield opened


@pytest.fixture(scope="module")
def unpacked(distributions, tmp_path_factory):
    """The directory that an sdist becomes."""
    folder = tmp_path_factory.mktemp("unpacked")
    shutil.unpack_archive(distributions.sdist, folder)
    (inner,) = folder.iterdir()
    return inner


@pytest.fixture(scope="module")
def metadata(wheel):
    (path,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
    return email.message_from_bytes(wheel.read(path))


def test_every_package_is_typed(wheel):
    names = wheel.namelist()
    assert [f"{package}/py.typed" in names for package in PACKAGES] == [True] * len(PACKAGES)
    assert {name.split("/")[0] for name in names if name.endswith(".py")} == set(PACKAGES)


def test_every_package_is_packed_checked_and_measured():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    targets = tools["hatch"]["build"]["targets"]
    assert sorted(targets["wheel"]["packages"]) == PACKAGES
    assert {f"/{package}" for package in PACKAGES} <= set(targets["sdist"]["include"])
    assert set(PACKAGES) <= set(tools["mypy"]["packages"])
    assert sorted(tools["coverage"]["run"]["source"]) == PACKAGES


def test_name_version_and_extras(metadata):
    assert (metadata["Name"], metadata["Version"]) == ("yandex-compat", "0.1.0")
    assert metadata["Requires-Python"] == ">=3.11"
    assert (metadata["License-Expression"], metadata["License-File"]) == ("Apache-2.0", "LICENSE")
    extras = {"langchain", "llamaindex", "iam", "cli", "emulator", "all"}
    extras |= {"bench-langchain", "bench-llamaindex", "dask", "local", "notebooks", "peers", "dev"}
    assert set(metadata.get_all("Provides-Extra")) == extras


def test_python_is_declared_as_far_as_the_suite_ran(metadata):
    declared = "Programming Language :: Python :: 3."
    minors = [one for one in metadata.get_all("Classifier") if one.startswith(declared)]
    assert minors == [f"{declared}11"]


def test_the_license_is_the_one_that_stands_beside_it(wheel):
    (path,) = (name for name in wheel.namelist() if name.endswith("licenses/LICENSE"))
    assert wheel.read(path) == (ROOT / "LICENSE").read_bytes()


def test_an_index_would_take_both_files(distributions):
    files = [str(distributions.wheel), str(distributions.sdist)]
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count("PASSED") == 2


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an unpacked sdist tracks nothing")
def test_the_sdist_holds_all_that_is_tracked(unpacked):
    listed = subprocess.run(
        ["git", "-c", "core.quotePath=false", "ls-files"],  # noqa: S607 -- the git of whoever works here
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    tracked = [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]
    assert "README.md" in tracked
    assert [name for name in tracked if not (unpacked / name).exists()] == []


@pytest.mark.packaging
def test_the_suite_is_collected_from_the_sdist(unpacked):
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", ""],
        cwd=unpacked,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert collected.returncode == 0, collected.stdout[-2000:] + collected.stderr[-2000:]
    found = {line.partition("::")[0] for line in collected.stdout.splitlines() if "::" in line}
    here = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/**/test_*.py")}
    assert found == here
