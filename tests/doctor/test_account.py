"""The doctor on the credential, whose it is, the folder, and the variables that name them."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from yandex_compat.emulator import Emulator

CANARY = "AQVNcanary0123456789secret"
IAM = "/iam/v1/tokens"


# The credential, and whose it is


def test_a_wrong_key(examined, monkeypatch):
    monkeypatch.setenv("YC_API_KEY", "another-key")
    shown = examined()
    assert shown.code == 1
    assert shown.named("failed") == ["access"]
    shown.must_tell("access", "failed", "^401: Unknown api key", r"Check api_key \(YC_API_KEY\)")
    assert shown.lines["folder"] == ("not checked", "access failed")
    assert shown.lines["chat generation"] == ("not checked", "access failed")
    shown.must_tell("model", "ok", "not looked up, since the service was not asked")


def test_an_expired_iam_token(examined, emulator, monkeypatch):
    asked = {"yandexPassportOauthToken": "y0_test-oauth"}
    token = httpx.post(emulator.iam_url, json=asked).json()["iamToken"]
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_IAM_TOKEN", token)
    shown = examined()
    assert shown.code == 0, shown.everything
    shown.must_tell(
        "credentials", "ok", "^an IAM token, from YC_IAM_TOKEN; it lives 12 hours at most",
        "set YC_SERVICE_ACCOUNT_KEY_FILE",
    )  # fmt: skip
    emulator.expire_tokens()
    shown = examined()
    assert shown.code == 1
    assert shown.named("failed") == ["access"]
    shown.must_tell("access", "failed", "^401: ", "it may have expired; get a new one")
    assert token not in shown.everything


def told_end(shown):
    [details] = [one["details"] for one in shown.objects if one["check"] == "credentials"]
    return datetime.fromisoformat(details["ends"]) - datetime.now(UTC)


@pytest.mark.usefixtures("key_file")
def test_an_authorized_key_is_exchanged_and_its_token_s_end_told(examined, emulator):
    emulator.expire_tokens()
    shown = examined("--iam-url", emulator.iam_url)
    assert shown.code == 0, shown.everything
    shown.must_tell(
        "credentials", "ok",
        "^a service account's authorized key, from YC_SERVICE_ACCOUNT_KEY_FILE; exchanged",
        r"ends in \d+ h \d+ min, at \d{4}-\d\d-\d\d \d\d:\d\d UTC",
    )  # fmt: skip
    assert [one["path"] for one in emulator.requests].count(IAM) == 1


def test_an_oauth_token_is_exchanged(examined, emulator, monkeypatch):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_OAUTH_TOKEN", "y0_doctor")
    with Emulator(oauth_tokens=("y0_doctor",)) as account:
        account.token_lifetime(600)
        shown = examined("--iam-url", account.iam_url, "--json", base_url=account.chat_url)
    assert shown.code == 0, shown.everything
    assert timedelta(seconds=500) < told_end(shown) < timedelta(seconds=610)


def test_the_credential_of_a_machine(examined, emulator, monkeypatch):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_METADATA_ADDR", emulator.url)
    shown = examined("--metadata")
    assert shown.code == 0, shown.everything
    shown.must_tell("credentials", "ok", "^the service account of this machine, from --metadata")


def test_an_oauth_token_that_is_not_taken(examined, emulator, monkeypatch):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_OAUTH_TOKEN", "y0_unknown-canary")
    shown = examined("--iam-url", emulator.iam_url)
    assert shown.code == 1
    shown.must_tell("credentials", "failed", "No IAM token from .*OAuth token is invalid", "Check")
    assert shown.lines["access"] == ("not checked", "credentials failed")
    assert "unknown-canary" not in shown.everything


def test_iam_that_does_not_answer(examined, monkeypatch, free_port):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_OAUTH_TOKEN", "y0_nobody-asked")
    shown = examined("--iam-url", f"http://127.0.0.1:{free_port}{IAM}")
    assert shown.code == 1
    shown.must_tell("credentials", "failed", r"no answer from http://127\.0\.0\.1.*ConnectError")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, r"can't be read \(FileNotFoundError\): give the path of what `yc iam key create`"),
        ("no JSON", "has id, service_account_id and private_key"),
        ('{"id": "a"}', "has id, service_account_id and private_key"),
        (
            json.dumps({"id": "a", "service_account_id": "b", "private_key": CANARY}),
            "private_key of the service account's key can't sign",
        ),
    ],
)
def test_a_key_file_that_is_none(examined, key_file, content, told):
    key_file.unlink()
    if content:
        key_file.write_text(content)
    shown = examined()
    assert shown.code == 1
    shown.must_tell("credentials", "failed", told)
    assert CANARY not in shown.everything


def test_no_credential_at_all(examined, monkeypatch):
    monkeypatch.delenv("YC_API_KEY")
    shown = examined()
    assert shown.code == 1
    assert shown.named("failed") == ["credentials"]
    shown.must_tell(
        "credentials", "failed", "No credential: set YC_API_KEY", "pass --metadata",
        "`yandex-compat emulator`, and beside it `YC_API_KEY=emulator-key",
    )  # fmt: skip
    shown.must_tell("variables", "warning", "no credential beside YC_FOLDER_ID. Set YC_API_KEY")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("YC_API_KEY", "t1.canary-0123456789", "looks like an IAM token: pass it as iam_token"),
        ("YC_API_KEY", "y0_canary-0123456789", "looks like an OAuth token"),
        ("YC_IAM_TOKEN", CANARY, "looks like an API key: pass it as api_key"),
    ],
)
def test_a_credential_under_another_s_name(examined, monkeypatch, name, value, told):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv(name, value)
    shown = examined()
    assert shown.code == 1
    shown.must_tell("credentials", "warning", told)
    shown.must_tell("access", "failed", told)
    assert value not in shown.everything


def test_a_credential_that_is_none(examined, monkeypatch):
    monkeypatch.setenv("YC_API_KEY", f'"{CANARY}"')
    shown = examined()
    assert shown.code == 1
    shown.must_tell("credentials", "failed", "^api_key .*copy it again, without the quotes")
    assert CANARY not in shown.everything


# The folder


def test_a_folder_of_another_account(examined, monkeypatch):
    monkeypatch.setenv("YC_FOLDER_ID", "b1gother")
    shown = examined()
    assert shown.code == 1
    assert shown.named("failed") == ["folder"]
    shown.must_tell("access", "ok", "the credential is taken, and the folder is not")
    shown.must_tell(
        "folder", "failed", "Specified folder ID 'b1gother' does not match",
        r"Set folder_id \(YC_FOLDER_ID\) to test-folder, the folder of the key's service account",
    )  # fmt: skip
    assert shown.lines["chat generation"] == ("not checked", "folder failed")
    shown.must_tell("model", "ok", "not looked up, since the folder was refused")


def test_a_folder_without_the_role(examined, emulator):
    error = {"error": {"grpcCode": 7, "httpCode": 403, "message": "Permission denied"}}
    emulator.script({"path": "/v1/models", "status": 403, "body": error})
    shown = examined()
    assert shown.code == 1
    shown.must_tell(
        "folder", "failed", "^403: ", "role ai.languageModels.user in the folder test-f"
    )


def test_no_folder(examined, monkeypatch):
    monkeypatch.delenv("YC_FOLDER_ID")
    shown = examined()
    assert shown.code == 1
    shown.must_tell("variables", "warning", "no YC_FOLDER_ID beside YC_API_KEY. Set YC_FOLDER_ID")
    shown.must_tell("folder", "failed", "^there is none. Set YC_FOLDER_ID")
    shown.must_tell("model", "failed", "needs a folder: .*set YC_FOLDER_ID")


def test_the_folder_of_a_whole_uri_is_enough(examined, monkeypatch, checks):
    monkeypatch.delenv("YC_FOLDER_ID")
    shown = examined("--model", "gpt://test-folder/yandexgpt/rc")
    assert shown.code == 0, shown.everything
    assert shown.named("ok") == checks
    shown.must_tell("model", "ok", "^gpt://test-folder/yandexgpt/rc; .*listed .* in another branch")


def test_the_folder_of_a_whole_uri_wins(examined, monkeypatch):
    monkeypatch.setenv("YC_FOLDER_ID", "b1gother")
    shown = examined("--model", "gpt://test-folder/yandexgpt")
    assert shown.code == 0, shown.everything
    shown.must_tell("folder", "ok", "^test-folder, which --model names; YC_FOLDER_ID is another")


def test_models_of_another_folder_are_told(examined, emulator):
    rows = {"data": [{"id": "gpt://b1gother/yandexgpt/latest"}]}
    emulator.script({"path": "/v1/models", "status": 200, "body": rows})
    shown = examined()
    shown.must_tell("folder", "warning", "the models listed are of b1gother")


@pytest.mark.parametrize("folder", ["<folder>", "b1g abc", "'b1g'\n", CANARY])
def test_a_folder_that_is_none(examined, monkeypatch, folder):
    monkeypatch.setenv("YC_FOLDER_ID", folder)
    shown = examined()
    assert shown.code == 1
    shown.must_tell("variables", "failed", r"^folder_id \(YC_FOLDER_ID\) ")
    assert shown.lines["access"] == ("not checked", "variables failed")
    assert CANARY not in shown.everything


# Variables


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("YANDEX_API_KEY", "YC_API_KEY"),
        ("YANDEX_CLOUD_API_KEY", "YC_API_KEY"),
        ("YANDEXGPT_API_KEY", "YC_API_KEY"),
        ("YC_APIKEY", "YC_API_KEY"),
        ("YC_API_KEI", "YC_API_KEY"),
        ("yc_api_key", "YC_API_KEY"),
        ("YC_TOKEN", "YC_IAM_TOKEN"),
        ("IAM_TOKEN", "YC_IAM_TOKEN"),
        ("YANDEX_OAUTH_TOKEN", "YC_OAUTH_TOKEN"),
        ("YC_SERVICE_ACCOUNT_KEY", "YC_SERVICE_ACCOUNT_KEY_FILE"),
    ],
)
def test_a_misspelt_variable(examined, monkeypatch, name, meant):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv(name, CANARY)
    shown = examined()
    assert shown.code == 1
    shown.must_tell(
        "variables", "warning", rf"{name} is set, and nothing reads it.*Name it {meant}"
    )
    assert CANARY not in shown.everything


@pytest.mark.parametrize("name", ["YC_FOLDER", "YANDEX_FOLDER_ID", "FOLDER_ID", "YC_FOLDERID"])
def test_a_misspelt_folder(examined, monkeypatch, name):
    monkeypatch.delenv("YC_FOLDER_ID")
    monkeypatch.setenv(name, "test-folder")
    examined().must_tell("variables", "warning", f"{name} is set, .*Name it YC_FOLDER_ID")


@pytest.mark.parametrize("name", ["YC_CLOUD_ID", "YC_ZONE", "API_KEY", "OPENAI_API_KEY", "FOLDER"])
def test_variables_of_others_are_nobody_s_mistake(examined, monkeypatch, name):
    monkeypatch.setenv(name, "something-of-theirs")
    examined("--no-request").must_tell("variables", "ok", "^set: YC_API_KEY, YC_FOLDER_ID$")


def test_a_name_that_another_package_reads_is_none_where_ours_is_set(examined, monkeypatch):
    monkeypatch.setenv("YANDEX_API_KEY", "test-key")
    examined("--no-request").must_tell("variables", "ok")


def test_of_two_credentials_the_one_that_is_taken_is_told(examined, monkeypatch):
    monkeypatch.setenv("YC_IAM_TOKEN", "t1.another")
    shown = examined("--no-request")
    assert shown.code == 0
    shown.must_tell(
        "variables", "warning", "of YC_API_KEY and YC_IAM_TOKEN, YC_API_KEY is taken",
        "Unset YC_IAM_TOKEN",
    )  # fmt: skip


def test_an_empty_variable_is_told(examined, monkeypatch):
    monkeypatch.setenv("YC_IAM_TOKEN", "")
    examined("--no-request").must_tell(
        "variables", "warning", "empty, which counts as not set: YC_IAM"
    )
