"""Where the demo, the notebooks and the examples find a model."""

import os
import subprocess
import sys

import pytest

from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexLLM
from yandex_compat import trial


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch):
    for name in list(os.environ):
        if name.startswith("YC_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("before", [None, "example.com"])
def test_the_environment_is_left_as_it_was(monkeypatch, before):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    if before:
        monkeypatch.setenv("NO_PROXY", before)
    with trial._past_any_proxy("127.0.0.1"):
        assert os.environ["NO_PROXY"].split(",")[-1] == "127.0.0.1"
    assert os.environ.get("NO_PROXY") == before
    assert "no_proxy" not in os.environ


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("YC_API_KEY", "No YC_FOLDER_ID beside YC_API_KEY: "),
        ("YC_IAM_TOKEN", "No YC_FOLDER_ID beside YC_IAM_TOKEN: "),
        ("YC_FOLDER_ID", "No YC_API_KEY or YC_IAM_TOKEN beside YC_FOLDER_ID: "),
    ],
)
def test_half_of_what_the_cloud_needs_is_told_in_one_line(monkeypatch, capsys, given, missing):
    monkeypatch.setenv(given, "x")
    with trial.service() as words:
        assert words["base_url"].startswith("http://127.0.0.1:")
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{missing}talking to an emulator at {words['base_url']} (process ")


def test_its_words_lead_both_frameworks_to_both_apis():
    with trial.service(tell=lambda line: None) as words:
        for given in (words, trial.native(words)):
            model = ChatYandex(model="yandexgpt", **given)
            assert model.invoke("Hi").text == "You said: Hi"
            assert YandexLLM(model="yandexgpt", **given).complete("Hi").text == "You said: Hi"
            assert model.api == given.get("api", "chat")


def test_on_the_cloud_there_is_nothing_to_say_but_the_api(monkeypatch, capsys):
    monkeypatch.setenv("YC_API_KEY", "k")
    monkeypatch.setenv("YC_FOLDER_ID", "f")
    with trial.service() as words:
        assert words == {}
    assert trial.native(words) == {"api": "completion"}
    assert capsys.readouterr().out == (
        "Talking to Yandex Cloud AI Studio with YC_API_KEY and YC_FOLDER_ID.\n"
    )


def test_the_emulator_is_given_its_options():
    with trial.service(["--refuse-unsupported"], lambda line: None) as words:
        model = ChatYandex(model="yandexgpt", extra_body={"seed": 1}, **words)
        with pytest.raises(Exception, match="seed"):
            model.invoke("Hi")


@pytest.mark.parametrize("option", [["--upstream", "http://h/v1"], ["--upstream=http://h/v1"]])
def test_an_emulator_that_speaks_by_another_is_taken_before_the_cloud(monkeypatch, option):
    monkeypatch.setenv("YC_API_KEY", "k")
    monkeypatch.setenv("YC_FOLDER_ID", "f")
    told = []
    with trial.service(option, told.append) as words:
        assert words["base_url"].startswith("http://127.0.0.1:")
    assert told[0].endswith("that speaks through a server of your own.")


def test_the_words_last_as_long_as_the_process():
    program = (
        "from yandex_compat.trial import words\n"
        "from yandex_compat import CompletionRequest, Message, YandexClient\n"
        "client = YandexClient(**words())\n"
        "request = CompletionRequest(model='yandexgpt', messages=(Message('user', 'Hi'),))\n"
        "print(client.complete(request).text)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    said, process = shown.stdout.splitlines()[1], shown.stdout.split("process ")[1].split(")")[0]
    assert said == "You said: Hi"
    with pytest.raises(ProcessLookupError):
        os.kill(int(process), 0)
