"""`yandex-compat demo --local` and the emulator's `--local`, as their user runs them."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from langchain_yandex_compat import ChatYandex
from yandex_compat.emulator import local_model

pytestmark = [pytest.mark.local, pytest.mark.timeout(400)]

CLI = [sys.executable, "-c", "from yandex_compat.cli import main; main()"]


def test_the_demo_over_both_apis(tmp_path: Path):
    story = tmp_path / "trains.txt"
    story.write_text("The express train leaves at noon sharp. The station stands near the river.")
    shown = subprocess.run(
        [*CLI, "demo", "--local", str(story), "--question", "When does the train leave?"],
        capture_output=True,
        text=True,
        # A credential does not lead it to the cloud.
        env={**os.environ, "COLUMNS": "120", "YC_API_KEY": "k", "YC_FOLDER_ID": "f"},
        check=False,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "that speaks through a model of this machine." in shown.stdout.splitlines()[0]
    assert "the agents' steps are left out" in shown.stdout
    rows = re.findall(r"│ \d\. (.*?) +│ (\w+) +│ [\d.]+ +│ (.*?) +│", shown.stdout)
    assert [(name, result) for name, result, _ in rows] == [
        (f"{name} ({api})", "ok")
        for api in ("chat", "native")
        for name in (
            "LangChain: a chain, streamed",
            "LangChain: an answer as an object",
            "LlamaIndex: a query engine",
        )
    ]
    # yandexgpt's streams of the chat API report no usage (WIRE A3).
    assert [tokens == "not reported" for _, _, tokens in rows] == [True, *[False] * 5]
    assert shown.stdout.count("Card(title=") == 2
    assert shown.stderr == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_model_ends_with_the_emulator_however_it_ends(number):
    with subprocess.Popen(
        [*CLI, "emulator", "--local", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        url = process.stdout.readline().strip()
        [model] = psutil.Process(process.pid).children()
        words = {"base_url": url, "api_key": "emulator-key", "folder_id": "emulator-folder"}
        assert ChatYandex(max_tokens=2, **words).invoke("Say hello.").text
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == (-number if number == signal.SIGKILL else 0)
    assert errors == ""
    psutil.wait_procs([model], timeout=60)
    assert not model.is_running() or model.status() == psutil.STATUS_ZOMBIE


def test_a_server_that_does_not_start_says_why(monkeypatch, tmp_path):
    rubbish = tmp_path / "weights.gguf"
    rubbish.write_bytes(b"no weights")
    monkeypatch.setattr(local_model, "_weights", lambda: rubbish)
    with (
        pytest.raises(local_model.LocalModelUnavailable, match=r"did not start: .*\w"),
        local_model.LocalModel(),
    ):
        pass
