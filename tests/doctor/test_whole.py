"""`yandex-compat doctor` where all is well: its lines, its objects, the exit code."""

import httpx

from yandex_compat.emulator import Emulator


def test_all_is_well_over_the_emulator(examined, emulator, checks):
    shown = examined()
    assert shown.code == 0, shown.everything
    assert list(shown.lines) == checks
    assert shown.named("ok") == checks
    assert shown.output.splitlines()[-1] == "15 ok, 0 warning, 0 failed, 0 not checked"
    shown.must_tell("credentials", "ok", "^an API key, from YC_API_KEY; the service does not tell")
    shown.must_tell("chat API", "ok", r"DNS [\d.]+ ms, connect [\d.]+ ms, first byte [\d.]+ ms")
    shown.must_tell("access", "ok", "11 models are listed")
    shown.must_tell("folder", "ok", "^test-folder: the credential may list its models")
    shown.must_tell("model", "ok", "gpt://test-folder/yandexgpt/latest; .*32000 tokens.*both APIs")
    shown.must_tell("quota", "ok", "the service tells no limit; .*max_concurrency=0")
    paths = [record["path"] for record in emulator.requests]
    assert paths == [
        "/v1/models",
        "/foundationModels/v1/completion",
        "/v1/models",
        "/v1/chat/completions",
        "/foundationModels/v1/completion",
    ]
    assert "authorization" not in emulator.requests[0]["headers"]  # what only looks sends no key
    assert emulator.requests[3]["body"]["max_completion_tokens"] <= 16
    assert emulator.ledger[-1]["status"] == 200


def test_as_the_help_says(program, checks):
    with Emulator(api_keys=("emulator-key",), folders=("emulator-folder",)) as account:
        shown = program(
            "doctor", "--base-url", account.chat_url,
            YC_API_KEY="emulator-key", YC_FOLDER_ID="emulator-folder",
        )  # fmt: skip
    assert shown.code == 0, shown.everything
    assert shown.named("ok") == checks
    assert shown.errors == ""
    told = program("doctor", "--help", COLUMNS="200", TERMINAL_WIDTH="200").output
    for one in (
        "YC_API_KEY=emulator-key YC_FOLDER_ID=emulator-folder yandex-compat doctor",
        "--base-url http://127.0.0.1:8000/v1",
        "0 if nothing failed",
        "1 if something did",
        "--no-request",
    ):
        assert one in told


def test_scripts_get_an_object_a_line(examined, checks):
    shown = examined("--json")
    assert shown.code == 0
    assert [one["check"] for one in shown.objects] == checks
    assert all(
        list(one) == ["check", "status", "found", "advice", "details"] for one in shown.objects
    )
    details = {one["check"]: one["details"] for one in shown.objects}
    assert details["model"] == {
        "uri": "gpt://test-folder/yandexgpt/latest", "known": True, "listed": True
    }  # fmt: skip
    assert details["credentials"] == {"kind": "ApiKeyAuth", "source": "YC_API_KEY", "ends": None}
    assert details["chat API"]["ms"].keys() == {"DNS", "connect", "first byte"}
    assert details["versions"]["httpx"] == httpx.__version__


def test_the_exit_code_is_the_same_as_json(examined, monkeypatch):
    monkeypatch.setenv("YC_API_KEY", "another-key")
    shown = examined("--json")
    assert shown.code == 1
    assert {one["check"] for one in shown.objects if one["status"] == "failed"} == {"access"}


def test_nothing_is_generated_without_a_request(examined, emulator):
    shown = examined("--no-request")
    assert shown.code == 0
    assert shown.named("not checked") == ["chat generation", "native generation"]
    assert shown.lines["chat generation"][1] == "left out by --no-request"
    shown.must_tell("quota", "ok", "the service was not asked")
    assert not [one for one in emulator.requests if one["method"] == "POST"]


def test_the_native_api_may_be_the_chosen_one(examined, emulator, checks):
    shown = examined("--api", "completion", base_url=emulator.native_url)
    assert shown.code == 0, shown.everything
    assert shown.named("ok") == checks


def test_a_model_of_the_chat_api_only(examined):
    shown = examined("--model", "gpt-oss-120b")
    assert shown.code == 0
    assert shown.named("not checked") == ["native generation"]
    assert shown.lines["native generation"][1] == "gpt-oss-120b is on the chat API only"
    shown.must_tell("model", "ok", "128000 tokens of context, on the chat API only")


def test_a_model_of_the_chat_api_only_asked_of_the_native_one(examined, emulator):
    shown = examined("--api=completion", "--model=gpt-oss-120b", base_url=emulator.native_url)
    assert shown.code == 1
    shown.must_tell("native generation", "failed", "chat")
