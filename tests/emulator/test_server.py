"""The server's life: in a thread, and as a command."""

import contextlib
import signal
import subprocess
import sys

import httpx
import pytest

from yandex_compat.emulator import Emulator

COMMAND = [sys.executable, "-m", "yandex_compat.emulator"]


@contextlib.contextmanager
def running(*words):
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_told_to_stop(number):
    with running() as (process, line):
        assert line.startswith("http://127.0.0.1:")
        assert line.endswith("/v1\n")
        headers = {"Authorization": "Api-Key emulator-key"}
        body = {
            "model": "gpt://emulator-folder/yandexgpt/latest",
            "messages": [{"role": "user", "content": "Hi"}],
        }
        answer = httpx.post(f"{line.strip()}/chat/completions", json=body, headers=headers)
        assert answer.status_code == 200
        process.send_signal(number)
        output, errors = process.communicate(timeout=5)
        assert process.returncode == 0
        assert (output, errors) == ("", "")


def test_the_command_takes_keys_and_folders_and_prints_none():
    words = ["--api-key", "k1", "--api-key", "k2", "--folder", "f1", "--folder", "f2"]
    with running(*words) as (process, line):
        url = f"{line.strip()}/models"
        for key, status in (("k1", 200), ("k2", 200), ("emulator-key", 401)):
            answer = httpx.get(url, headers={"Authorization": f"Api-Key {key}"})
            assert answer.status_code == status
        headers = {"Authorization": "Bearer k1", "OpenAI-Project": "f2"}
        assert "gpt://f2/yandexgpt/latest" in httpx.get(url, headers=headers).text
        process.terminate()
        output, errors = process.communicate(timeout=5)
        assert "k1" not in line + output + errors


def test_a_taken_port_is_said_in_one_line():
    with Emulator() as emulator:
        port = emulator.url.rsplit(":", 1)[1]
        ended = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"cannot listen on 127.0.0.1:{port}")
    assert "Traceback" not in ended.stderr


def test_the_help_names_the_defaults():
    ended = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True)
    for word in ("emulator-key", "emulator-folder", "t1.emulator-token", "--refuse-unsupported"):
        assert word in ended.stdout


def test_emulators_stand_side_by_side():
    with Emulator(api_keys=("a",)) as one, Emulator(api_keys=("b",)) as other:
        assert one.url != other.url
        assert one.chat_url == f"{one.url}/v1"
        headers = {"Authorization": "Api-Key a"}
        assert httpx.get(f"{one.chat_url}/models", headers=headers).status_code == 200
        assert httpx.get(f"{other.chat_url}/models", headers=headers).status_code == 401
    with pytest.raises(httpx.ConnectError):
        httpx.get(one.chat_url)
    assert len(one.requests) == 1


def test_leaving_lets_go_of_what_is_held_back():
    body = {
        "model": "gpt://test-folder/yandexgpt/latest",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }
    headers = {"Authorization": "Api-Key test-key"}
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(httpx.Client(headers=headers))
        with Emulator() as emulator:
            emulator.script({"text": "one two three", "gate": True})
            url = f"{emulator.chat_url}/chat/completions"
            answer = stack.enter_context(client.stream("POST", url, json=body))
            lines = answer.iter_lines()
            next(lines)
        assert "data: [DONE]" in list(lines)


def test_unknown_paths_are_not_found(client):
    assert client.get("/nothing").status_code == 404
    assert client.put("/models").status_code == 405


@pytest.mark.parametrize(
    "words",
    [["--port", "99999"], ["--port", "-1"], ["--quota", "0"], ["--chunk-delay", "nan"]],
    ids=" ".join,
)
def test_numbers_out_of_range_are_told_in_one_line(words):
    ended = subprocess.run([*COMMAND, *words], capture_output=True, text=True)
    assert ended.returncode == 2
    assert words[0] in ended.stderr.splitlines()[-1]
    assert words[1] in ended.stderr.splitlines()[-1]


def test_the_command_ends_with_what_holds_its_input():
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--until-eof"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().startswith("http://")
    process.communicate(timeout=10)  # closes the input
    assert process.returncode == 0
