"""`yandex-compat models` over real sockets: the table, the lines, the objects, and its refusals."""

import json
import os
import pty
import re
import socket
import subprocess
import sys
from contextlib import suppress

import pytest

from yandex_compat import plain_http

HEADER = ["model", "context", "images", "tools", "reasoning", "native API", "known"]


@pytest.fixture(autouse=True)
def account(monkeypatch):
    monkeypatch.setenv("YC_API_KEY", "test-key")
    monkeypatch.setenv("YC_FOLDER_ID", "test-folder")
    monkeypatch.setattr(plain_http, "_warned_of", set())


@pytest.fixture
def listed(shown_by, emulator):
    """The command on the emulator, or on the address given."""

    def listed(*options, base_url=None):
        return shown_by("models", "--base-url", base_url or emulator.chat_url, *options)

    return listed


def rows_of(output):
    """The words of each line, which two blanks part at least."""
    return [[word.strip() for word in line.split("  ") if word] for line in output.splitlines()]


def test_a_line_a_model_where_others_read(listed, emulator):
    shown = listed()
    assert (shown.code, shown.errors) == (0, "")
    header, *rows = rows_of(shown.output)
    assert header == HEADER
    assert [row for row in rows if "/yandexgpt/" in row[0] or "gpt-oss-120b" in row[0]] == [
        ["gpt://test-folder/yandexgpt/latest", "32000", "no", "yes", "no", "yes", "yes"],
        ["gpt://test-folder/gpt-oss-120b/latest", "128000", "no", "yes", "yes", "no", "yes"],
    ]
    assert rows[-1] == [
        "emb://test-folder/text-search-query/latest", "-", "-", "-", "-", "yes", "yes"
    ]  # fmt: skip
    assert len(rows) == 11
    assert all(line == line.rstrip() for line in shown.output.splitlines())
    [asked] = emulator.requests
    assert (asked["method"], asked["path"]) == ("GET", "/v1/models")


def test_a_long_name_stays_on_its_line(listed, emulator, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    name = f"gpt://test-folder/{'long-' * 60}/latest"
    emulator.script({"path": "/v1/models", "status": 200, "body": {"data": [{"id": name}]}})
    [_, row] = rows_of(listed().output)
    assert row == [name, "?", "?", "?", "?", "?", "no"]


def test_of_a_model_that_is_not_known_nothing_is_made_up(listed, emulator):
    rows = [{"id": "gpt://test-folder/brand-new/latest"}, {"id": "emb://test-folder/new/latest"}]
    emulator.script(*[{"path": "/v1/models", "status": 200, "body": {"data": rows}}] * 2)
    _, text, embedding = rows_of(listed().output)
    assert text[1:] == ["?", "?", "?", "?", "?", "no"]
    assert embedding[1:] == ["-", "-", "-", "-", "?", "no"]
    [first, second] = listed("--json").objects
    assert first == {
        "id": "gpt://test-folder/brand-new/latest", "name": "brand-new", "kind": "text",
        "known": False, "context_window": None, "images": None, "tools": None, "reasons": None,
        "native": None,
    }  # fmt: skip
    assert second["kind"] == "embeddings"


def test_scripts_get_an_object_a_line(listed):
    shown = listed("--json")
    assert shown.code == 0
    found = {one["name"]: one for one in shown.objects}
    assert len(found) == 11
    gemma = found["gemma-3-27b-it"]
    assert (gemma["context_window"], gemma["images"], gemma["native"]) == (128_000, True, False)
    assert found["text-search-doc"]["context_window"] is None


def test_a_terminal_gets_a_table(emulator):
    """A real one, of 120 columns."""
    screen, end = pty.openpty()
    script = "from yandex_compat.cli import main; main()"
    command = [sys.executable, "-c", script, "models", "--base-url", emulator.chat_url]
    environment = {**os.environ, "COLUMNS": "120", "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(command, stdout=end, env=environment) as process:
        os.close(end)
        shown = b""
        with suppress(OSError):  # Linux says so where the other end is closed
            while piece := os.read(screen, 65_536):
                shown += piece
    os.close(screen)
    assert process.returncode == 0
    lines = re.sub(r"\x1b\[\d*m", "", shown.decode()).splitlines()
    assert lines[0].startswith("╭")
    assert [word.strip() for word in lines[1].split("│")[1:-1]] == HEADER
    assert sum("yandexgpt" in line for line in lines) == 2


def test_either_api_will_do(listed, emulator):
    shown = listed("--api", "completion", base_url=emulator.native_url)
    assert shown.code == 0
    assert shown.output == listed().output


def test_a_credential_that_is_exchanged(listed, emulator, monkeypatch, tmp_path):
    path = tmp_path / "key.json"
    path.write_text(json.dumps(emulator.authorized_key()), encoding="utf-8")
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_SERVICE_ACCOUNT_KEY_FILE", str(path))
    assert listed("--iam-url", emulator.iam_url).code == 0
    monkeypatch.delenv("YC_SERVICE_ACCOUNT_KEY_FILE")
    monkeypatch.setenv("YC_METADATA_ADDR", emulator.url)
    assert listed("--metadata").code == 0


def test_no_folder_is_no_fault(listed, monkeypatch):
    monkeypatch.delenv("YC_FOLDER_ID")
    assert listed().code == 0


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("YC_API_KEY", "another-key", r"401: Unknown api key"),
        ("YC_API_KEY", "", "No credential: set YC_API_KEY"),
        ("YC_API_KEY", "a b", "api_key is empty or holds blanks"),
        ("YC_FOLDER_ID", "b1gother", "Set folder_id (YC_FOLDER_ID) to test-folder"),
        ("YC_FOLDER_ID", "<folder>", "folder_id (YC_FOLDER_ID) is no folder's id"),
    ],
)
def test_what_goes_wrong_is_a_line(listed, monkeypatch, name, value, told):
    monkeypatch.setenv(name, value)
    shown = listed()
    assert (shown.code, shown.output) == (1, "")
    [line] = shown.errors.splitlines()
    assert told in line


def test_nothing_listens(listed):
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    shown = listed(base_url=f"http://127.0.0.1:{port}/v1")
    assert shown.code == 1
    [line] = shown.errors.splitlines()
    assert line.startswith(f"No answer from http://127.0.0.1:{port}/v1/models")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--base-url", "http://models.invalid/v1"], "over plain http"),
        (["--base-url", "no address"], "base_url is not a web address"),
        (["--api", "other"], "api must be"),
    ],
)
def test_wrong_options_are_a_line(shown_by, arguments, told):
    shown = shown_by("models", *arguments)
    assert (shown.code, shown.output) == (1, "")
    [line] = shown.errors.splitlines()
    assert told in line


def test_a_private_host_over_plain_http_is_warned_of(shown_by, monkeypatch):
    shown = shown_by("models", "--base-url", "http://models.internal/v1")
    assert shown.code == 1
    warning, line = shown.errors.splitlines()
    assert "whoever shares that network reads the credential" in warning
    assert line.startswith("No answer from http://models.internal/v1/models")


def test_as_a_program_without_frameworks(program, emulator):
    missing = ("langchain", "langchain_core", "llama_index", "jwt", "starlette", "uvicorn")
    shown = program("models", "--base-url", emulator.chat_url, without=missing)
    assert (shown.code, shown.errors) == (0, "")
    assert len(shown.output.splitlines()) == 12


def test_the_help_tells_the_exit_codes(program):
    told = program("models", "--help", COLUMNS="200").output
    assert "0 for a list, 1 with a line on stderr for none" in told
    assert "--json" in told
