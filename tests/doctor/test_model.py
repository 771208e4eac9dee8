"""The doctor on the model, its answers, and the quota."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from yandex_compat.emulator import Emulator

GENERATIONS = ["chat generation", "native generation"]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("brand-new", "its family is not known.*does not list it. `yandex-compat models`"),
        ("yandex-gpt", "Did you mean 'yandexgpt'"),
        ("YandexGPT", "in small letters only"),
        ("text-search-doc", "is an embedding model, but this call takes a text model"),
        ("gpt://FOLDER/yandexgpt/latest", "holds a placeholder"),
        ("a b", "is neither a name nor a model URI"),
    ],
)
def test_a_model_that_is_none(examined, model, told):
    shown = examined("--model", model)
    assert shown.code == 1
    shown.must_tell("model", "failed", told)
    assert shown.lines["chat generation"] == ("not checked", "model failed")


def test_a_model_of_a_known_family_that_is_not_listed(examined):
    shown = examined("--model", "yandexgpt-next")
    assert shown.code == 0  # the emulator answers for each of a family
    shown.must_tell("model", "warning", "its family is known.*the service does not list it")


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("500", "^500: Internal error .*try again later, or raise max_retries"),
        ("502", "^502: a web page, not the service's own answer: 502 Bad Gateway"),
        ("503", "^503: "),
        ("504", "^504: .*The answer took too long"),
        ("reset", "^No answer from .*Check base_url and the network, or try again"),
        ("cut", "^No answer from .*RemoteProtocolError"),
    ],
)
def test_faults(examined, emulator, kind, told):
    emulator.faults(1, kinds=(kind,))
    shown = examined()
    assert shown.code == 1
    assert shown.named("failed") == GENERATIONS
    for name in GENERATIONS:
        shown.must_tell(name, "failed", told)


def test_the_quota_is_taken(shown_by):
    with Emulator(quota=1) as account, ThreadPoolExecutor(1) as pool:
        account.script({"text": "one two three", "gate": True})
        body = {
            "model": "gpt://test-folder/yandexgpt/latest",
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": True,
        }
        headers = {"authorization": "Api-Key test-key"}
        url = f"{account.chat_url}/chat/completions"
        held = pool.submit(httpx.post, url, json=body, headers=headers, timeout=30)
        account.wait_for_request()
        shown = shown_by("doctor", "--base-url", account.chat_url)
        account.release()
        assert held.result().status_code == 200
    assert shown.code == 0, shown.everything  # a warning: somebody uses what one has
    for name in GENERATIONS:
        shown.must_tell(name, "warning", "^429: .*allowed 1 requests", "Set max_concurrency=1")
    shown.must_tell(
        "quota", "warning", "all 1 places that the service allows were taken by others",
        "Wait for them to end",
    )  # fmt: skip


def test_a_quota_of_nothing(examined, emulator):
    error = {
        "error": {"grpcCode": 8, "httpCode": 429, "message": "limit exceed: allowed 0 requests"}
    }
    emulator.script(*[{"status": 429, "body": error}] * 2)
    shown = examined()
    assert shown.code == 1
    shown.must_tell("chat generation", "failed", "There is no quota at all")


def test_a_quota_that_no_number_is_told_of(examined, emulator):
    emulator.script(*[{"status": 429, "body": "busy", "headers": {"retry-after": "7"}}] * 2)
    shown = examined()
    assert shown.code == 0
    shown.must_tell("chat generation", "warning", "^429: busy", "asks for a wait of 7 s")
    shown.must_tell("quota", "warning", "a place was taken by others")


def test_a_used_up_quota_of_lists(examined, emulator):
    emulator.script({"path": "/v1/models", "status": 429, "body": "busy"})
    shown = examined()
    assert shown.code == 0, shown.everything
    shown.must_tell("access", "warning", "^429: busy")
    shown.must_tell("chat generation", "ok")


def test_limits_that_the_service_tells_are_told(examined, emulator, generation):
    headers = {"x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-requests": "7"}
    body = json.loads(generation)
    path = "/v1/chat/completions"
    emulator.script({"status": 200, "body": body, "headers": headers, "path": path})
    examined().must_tell(
        "quota", "ok",
        "tells x-ratelimit-limit-requests: 10, x-ratelimit-remaining-requests: 7; this client",
    )  # fmt: skip


def test_a_list_of_another_shape(examined, emulator):
    emulator.script({"path": "/v1/models", "status": 200, "body": {"data": 5}})
    shown = examined()
    assert shown.code == 1
    shown.must_tell("access", "failed", "^The list of models")
