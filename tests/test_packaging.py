"""The wheel as pip would install it."""

import email
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ["yandex_compat", "langchain_yandex_compat", "llamaindex_yandex_compat"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as opened:
        yield opened


def test_every_package_is_typed(wheel):
    names = wheel.namelist()
    assert [f"{package}/py.typed" in names for package in PACKAGES] == [True] * 3
    assert {name.split("/")[0] for name in names if name.endswith(".py")} == set(PACKAGES)


def test_name_version_and_extras(wheel):
    (path,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
    metadata = email.message_from_bytes(wheel.read(path))
    assert (metadata["Name"], metadata["Version"]) == ("yandex-compat", "0.1.0")
    assert metadata["Requires-Python"] == ">=3.11"
    assert (metadata["License-Expression"], metadata["License-File"]) == ("Apache-2.0", "LICENSE")
    extras = {"langchain", "llamaindex", "iam", "cli", "emulator", "all"}
    extras |= {"bench", "notebooks", "dev"}
    assert set(metadata.get_all("Provides-Extra")) == extras
