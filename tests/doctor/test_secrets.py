"""No secret is shown by the doctor, nor what a terminal would obey."""

import json
import os

import pytest

from yandex_compat.emulator import Emulator

CANARY = "AQVNcanary0123456789secret"
IAM = "/iam/v1/tokens"


@pytest.mark.parametrize("command", ["doctor", "models"])
@pytest.mark.parametrize(
    "arguments",
    [[CANARY], ["--api-key", CANARY], [f"--api-key={CANARY}"], [f"--{CANARY}"], [f"-{CANARY}"]],
)
def test_an_option_that_is_not_known_is_refused_unseen(shown_by, command, arguments):
    shown = shown_by(command, *arguments)
    assert shown.code == 2
    assert "read from the environment only" in shown.errors
    assert CANARY not in shown.everything


ECHOES = {
    "json": (401, f'{{"error":{{"message":"Unknown api key {CANARY}","code":16}}}}'),
    "plain": (500, f"no such key: {CANARY}"),
    "page": (403, f"<html><title>{CANARY}</title>{CANARY}</html>"),
    "in a 200": (200, f'{{"error":{{"message":"Unknown api key {CANARY}","code":16}}}}'),
    "no json": (200, f"Authorization: Api-Key {CANARY}"),
    "another shape": (200, f'{{"data": [["{CANARY}"]]}}'),
    "a name": (200, f'{{"data": [{{"id": "gpt://{CANARY}/{CANARY}/latest"}}]}}'),
    "quota": (429, f"too many of {CANARY}"),
}


@pytest.mark.parametrize("way", [(), ("--json",)])
@pytest.mark.parametrize("command", ["doctor", "models"])
@pytest.mark.parametrize(("status", "body"), ECHOES.values(), ids=ECHOES.keys())
def test_what_the_server_repeats_is_blotted_out(
    shown_by, monkeypatch, command, status, body, way, serving
):
    """The key of the credential, of a misspelt variable, of a proxy: a server may know each."""
    asked = []

    def answer(handler, asked_for):
        asked.append(handler.headers.get("authorization"))
        if asked[-1] is None:
            return 401, b"{}"
        return status, body.encode(), ("x-request-id", CANARY), ("x-ratelimit-key", CANARY)

    monkeypatch.setenv("YC_API_KEY", CANARY)
    with serving(answer) as host:
        shown = shown_by(command, "--base-url", f"http://{host}/v1", *way)
    assert f"Api-Key {CANARY}" in asked
    assert "***" in shown.everything
    assert CANARY not in shown.everything
    assert CANARY[4:14] not in shown.everything


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("YANDEX_API_KEY", "canary0123456789"),
        ("YC_OAUTH_TOKEN", "canary0123456789"),
        ("OPENAI_API_KEY", "canary0123456789"),
        ("HTTPS_PROXY", "http://user:canary0123456789@proxy.invalid:1"),
        ("HTTPS_PROXY", "http://canary0123456789@proxy.invalid:1"),
        ("SOMETHING_ELSE", CANARY),
    ],
)
@pytest.mark.parametrize("command", ["doctor", "models"])
def test_another_secret_of_the_environment_is_blotted_out_too(
    shown_by, monkeypatch, command, variable, value, serving
):
    secret = CANARY if value == CANARY else "canary0123456789"

    def answer(handler, body):
        has_key = handler.headers.get("authorization")
        return (400, f"no place for {secret}".encode()) if has_key else (401, b"{}")

    monkeypatch.setenv(variable, value)
    with serving(answer) as host:
        shown = shown_by(command, "--base-url", f"http://{host}/v1")
    assert "no place for ***" in shown.everything
    assert secret not in shown.everything


@pytest.mark.parametrize("way", [(), ("--json",)])
@pytest.mark.parametrize(
    "arguments",
    [
        ["--base-url", f"https://{CANARY}@h.invalid/v1"],
        ["--base-url", f"https://h.invalid/v1?key={CANARY}"],
        ["--base-url", f"https://h.invalid/{CANARY}/v1"],
        ["--base-url", "https://h.invalid/canary0123456789/v1"],
        ["--base-url", CANARY],
        ["--iam-url", f"https://u:{CANARY}@h.invalid/iam"],
        ["--model", CANARY],
        ["--model", f"gpt://{CANARY}/yandexgpt"],
        ["--api", CANARY],
    ],
)
@pytest.mark.parametrize("command", ["doctor", "models"])
def test_a_key_in_an_option_s_place_is_not_shown(shown_by, monkeypatch, command, arguments, way):
    if command == "models" and arguments[0] == "--model":
        assert shown_by(command, *arguments).code == 2  # it has no such option
        return
    if arguments[0] == "--iam-url":
        monkeypatch.delenv("YC_API_KEY")
        monkeypatch.setenv("YC_OAUTH_TOKEN", "y0_an-oauth-token")
    shown = shown_by(command, *arguments, *way)
    assert shown.code == 1
    assert CANARY not in shown.everything
    assert "canary0123456789" not in shown.everything


def test_a_key_in_the_key_file_variable_is_not_shown(examined, monkeypatch, emulator):
    key = emulator.authorized_key()
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_SERVICE_ACCOUNT_KEY_FILE", json.dumps(key)[:-1])
    shown = examined()
    assert shown.code == 1
    shown.must_tell("credentials", "failed", "has id, service_account_id and private_key")
    assert key["private_key"][40:80] not in shown.everything


@pytest.mark.usefixtures("key_file")
def test_what_iam_repeats_is_blotted_out(examined, monkeypatch, serving):
    sent = []

    def answer(handler, body):
        sent.append(json.loads(body)["jwt"])
        return 401, f'{{"code":16,"message":"no good: {sent[0]}"}}'.encode()

    with serving(answer) as host:
        shown = examined("--iam-url", f"http://{host}{IAM}")
    assert shown.code == 1
    shown.must_tell("credentials", "failed", r"401: no good: \*\*\*")
    assert sent[0] not in shown.everything


def test_an_exchanged_token_that_the_service_repeats_is_blotted_out(examined, monkeypatch, serving):
    def answer(handler, body):
        token = handler.headers.get("authorization", "").partition(" ")[2]
        return (400, f"nothing for {token}".encode()) if token else (401, b"{}")

    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_OAUTH_TOKEN", "y0_repeated")
    with serving(answer) as host, Emulator(oauth_tokens=("y0_repeated",)) as account:
        shown = examined("--iam-url", account.iam_url, base_url=f"http://{host}/v1")
    shown.must_tell("access", "warning", r"nothing for \*\*\*")
    assert "t1.issued" not in shown.everything


def test_what_a_terminal_would_obey_is_not_sent_to_it(examined, serving, generation):
    def answer(handler, body):
        generates = handler.path == "/v1/chat/completions"
        return (200, generation, ("x-ratelimit-limit", "\x9b2J 10")) if generates else (404, b"{}")

    with serving(answer) as host:
        shown = examined(base_url=f"http://{host}/v1")
    assert "x-ratelimit-limit: " in shown.output
    assert "\x9b" not in shown.output
    assert os.linesep not in shown.lines["quota"][1]


@pytest.mark.parametrize("command", ["doctor", "models"])
def test_signs_that_the_screen_lacks_end_nothing(program, command, serving):
    def answer(handler, body):
        has_key = handler.headers.get("authorization")
        return (401, "нет такого ключа".encode()) if has_key else (401, b"{}")

    with serving(answer) as host:
        shown = program(command, "--base-url", f"http://{host}/v1", PYTHONIOENCODING="ascii")
    assert shown.code == 1
    assert "401: ??? ?????? ?????" in shown.everything
    assert "Traceback" not in shown.everything


def test_some_hosts_through_a_proxy_and_some_not(examined, monkeypatch, free_port):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_OAUTH_TOKEN", "y0_nobody-asked")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port}")
    shown = examined("--iam-url", "https://iam.invalid/iam/v1/tokens")
    assert shown.code == 1
    shown.must_tell(
        "proxies", "ok",
        rf"^iam\.invalid through 127\.0\.0\.1:{free_port} \(HTTPS_PROXY\); 127\.0\.0\.1: reached",
    )  # fmt: skip


def test_the_service_itself_lists_models(shown_by, monkeypatch, serving):
    """Asked through a proxy that answers in its place."""

    def answer(handler, body):
        assert handler.path.startswith("http://ai.api.cloud.yandex.net/")
        return 404, b'{"error": "nothing here"}'

    with serving(answer) as host:
        monkeypatch.setenv("HTTP_PROXY", f"http://{host}")
        # The native API's own address is reached by https.
        monkeypatch.setenv("HTTPS_PROXY", f"http://{host}")
        shown = shown_by("doctor", "--base-url=http://ai.api.cloud.yandex.net/v1", "--allow-http")
    assert shown.code == 1
    shown.must_tell("chat API", "ok", f"^ai.api.cloud.yandex.net answers through {host}")
    shown.must_tell("access", "failed", "^404: nothing here", "Check base_url")


def test_an_answer_without_an_end_is_not_read_to_it(examined, serving):
    def answer(handler, body):
        if handler.headers.get("authorization"):
            return 401, b"{}"
        handler.wfile.write(b"HTTP/1.1 404 Not Found\r\n\r\n")
        while True:  # until the other side hangs up
            handler.wfile.write(b" " * 65_536)

    with serving(answer) as host:
        shown = examined(base_url=f"http://{host}/v1")
    assert shown.named("failed") == ["access"]
    shown.must_tell("chat API", "ok", "first byte")


@pytest.mark.parametrize("url", ["no address", "iam.invalid", f"https://iam.invalid:{CANARY}/"])
def test_an_address_of_iam_that_is_none(examined, monkeypatch, url):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_OAUTH_TOKEN", "y0_nobody-asked")
    shown = examined("--iam-url", url)
    assert shown.code == 1
    assert shown.named("failed") == ["credentials"]
    shown.must_tell("credentials", "failed", "^url is not a web address")
    assert CANARY not in shown.everything
