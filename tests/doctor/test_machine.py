"""The doctor on this machine: Python, packages, and what is not installed."""

import pytest

from yandex_compat.commands import doctor, doctor_machine


def test_without_frameworks_the_doctor_runs_and_says_what_is_missing(program, emulator):
    missing = (
        "langchain", "langchain_core", "llama_index", "jwt", "starlette", "uvicorn"
    )  # fmt: skip
    shown = program("doctor", "--base-url", emulator.chat_url, without=missing)
    assert shown.code == 0, shown.everything
    shown.must_tell(
        "extras", "warning", "^installed: cli; missing: emulator .*iam \\(pyjwt\\)",
        r"langchain \(langchain-core\); llamaindex \(llama-index-core\)",
        r"only YandexClient works: pip install 'yandex-compat\[.*langchain,llamaindex\]'",
    )  # fmt: skip
    assert "langchain-core" not in shown.lines["versions"][1]


def test_without_one_framework(program, emulator):
    shown = program("doctor", "--base-url", emulator.chat_url, without=("llama_index",))
    assert shown.code == 0
    shown.must_tell(
        "extras", "ok", r"missing: llamaindex .*pip install 'yandex-compat\[llamaindex\]"
    )


def test_without_packaging_the_bounds_are_not_checked(program, emulator):
    shown = program("doctor", "--base-url", emulator.chat_url, without=("packaging",))
    assert shown.code == 0, shown.everything
    shown.must_tell("versions", "not checked", "httpx [0-9.]+.*packaging, which is not installed")


def test_a_key_file_without_what_signs(program, emulator, key_file):
    shown = program("doctor", "--base-url", emulator.chat_url, without=("jwt",))
    assert shown.code == 1
    shown.must_tell("credentials", "failed", r"PyJWT: pip install 'yandex-compat\[iam\]'")


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_there_is_a_line(program, missing):
    shown = program("doctor", without=(missing,))
    assert shown.code == 1
    assert shown.output == ""
    [line] = shown.errors.splitlines()
    assert "pip install 'yandex-compat[" in line


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Has the metadata of other versions found first."""

    def stand_in(name, version):
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (folder / "METADATA").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)

    return stand_in


def test_a_version_out_of_bounds(examined, packages):
    packages("httpx", "0.27.0")
    shown = examined("--no-request")
    assert shown.code == 1
    shown.must_tell(
        "versions", "failed", r"httpx 0\.27\.0 is not <1,>=0\.28\.1",
        r"pip install 'httpx<1,>=0\.28\.1'",
    )  # fmt: skip


def test_a_version_out_of_an_extra_s_bounds(examined, packages):
    packages("langchain-core", "0.1.0")
    shown = examined("--no-request")
    assert shown.code == 0
    shown.must_tell("versions", "warning", r"langchain-core 0\.1\.0 is not <2,>=1\.7")


def test_code_of_another_version_than_pip_s(examined, monkeypatch):
    monkeypatch.setattr(doctor_machine, "__version__", "9.9")
    examined("--no-request").must_tell(
        "versions", "warning", "The code is of 9.9, .*Install it anew"
    )


def test_code_that_is_not_installed(examined, monkeypatch):
    monkeypatch.setattr(doctor_machine, "_DISTRIBUTION", "yandex-compat-that-is-not-there")
    shown = examined("--no-request")
    assert shown.code == 0
    shown.must_tell("versions", "not checked", "runs from its source")
    shown.must_tell("extras", "not checked", "runs from its source")
    shown.must_tell("python", "ok")


def test_a_python_that_the_tests_did_not_run_on(examined, monkeypatch):
    monkeypatch.setattr(doctor_machine.platform, "python_version", lambda: "3.99.1")
    examined("--no-request").must_tell("python", "ok", r"^3\.99\.1 .*; the tests ran on 3\.11")


def test_a_fault_of_the_doctor_s_own_is_a_line():
    def broken():
        raise RuntimeError("a mistake")

    found = doctor._tried(broken)
    assert (found.status, found.advice) == ("failed", "Please report it.")
    assert "RuntimeError: a mistake" in found.found
