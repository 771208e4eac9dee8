"""The models that a key can use (WIRE Endpoints)."""

import asyncio

import pytest

from yandex_compat import APIError, MalformedAnswer, Model, YandexClient, profile_for
from yandex_compat.wires import models


@pytest.mark.parametrize("api", ["chat", "completion"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_models_are_listed_by_either_api(emulator, api, asynchronous):
    root = emulator.chat_url if api == "chat" else emulator.native_url
    known = {"api_key": "test-key", "folder_id": "test-folder", "base_url": root}
    client = YandexClient(**known, api=api)
    found = asyncio.run(client.amodels()) if asynchronous else client.models()
    names = [model.name for model in found]
    assert {"yandexgpt", "gemma-3-27b-it", "text-search-doc"} <= set(names)
    first = found[names.index("gemma-3-27b-it")]
    assert first == Model("gpt://test-folder/gemma-3-27b-it/latest", "Yandex", 0)
    assert first.profile == profile_for("gemma-3-27b-it")
    assert first.profile.images
    [record] = emulator.requests
    assert (record["method"], record["path"]) == ("GET", "/v1/models")
    assert record["headers"]["openai-project"] == "test-folder"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<html>", MalformedAnswer),
        (b'{"data": [{}]}', MalformedAnswer),
        (b'{"data": 5}', MalformedAnswer),
        (b'{"error": "no"}', APIError),
    ],
)
def test_another_shape(data, kind):
    with pytest.raises(kind):
        models.decode(data)


def test_a_model_of_which_little_is_said():
    assert models.decode(b'{"data": [{"id": "gpt://f/new/latest"}]}') == [
        Model("gpt://f/new/latest")
    ]


def test_a_model_of_embeddings_has_no_profile_of_generation(emulator):
    client = YandexClient(api_key="test-key", folder_id="test-folder", base_url=emulator.chat_url)
    profiles = {model.name: model.profile for model in client.models()}
    assert profiles["text-search-doc"] is None
    assert profiles["yandexgpt"].context_window == 32_000
    assert {name for name, profile in profiles.items() if profile and not profile.native} == {
        "qwen3-235b-a22b-fp8",
        "gpt-oss-120b",
        "gpt-oss-20b",
        "gemma-3-27b-it",
        "aliceai-llm",
    }
    assert {name for name, profile in profiles.items() if profile and profile.reasons} == {
        "gpt-oss-120b",
        "gpt-oss-20b",
    }
    assert Model("gpt://f/a/b/c").name == "gpt://f/a/b/c"  # no URI that is known
