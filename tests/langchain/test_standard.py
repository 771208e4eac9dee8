"""LangChain's standard suites against the emulator, for each family of models."""

import base64
from functools import reduce
from importlib import import_module
from operator import add

import httpx
import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from langchain_tests.integration_tests import chat_models as suite
from langchain_tests.unit_tests import ChatModelUnitTests, EmbeddingsUnitTests
from vcr import VCR

from langchain_yandex_compat import ChatYandex, YandexEmbeddings

load_module = import_module("langchain_core.load.load")

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CREDENTIALS = {"api_key": "test-key", "folder_id": "test-folder"}
# What a skipped test of the suites would need, and the service or the model does not have. Off, and
# without a test to skip, are also images by address (A12: data URLs only), video (A12), and the
# count of tokens written to a cache, which the usage lacks (A16).
NOT_THERE = {
    "test_image_inputs": "images",  # WIRE Models
    "test_image_tool_message": "images in tool results",  # A12: in user messages only
    "test_pdf_inputs": "files",  # A12: parts are text or images
    "test_pdf_tool_message": "files",
    "test_audio_inputs": "sound",  # A9, A12
    "test_usage_metadata_streaming": "token counts in streams",  # A3
}
ENVIRONMENT = {"YC_API_KEY": "key-of-the-environment", "YC_FOLDER_ID": "folder-of-the-environment"}


class TestChatYandexUnit(ChatModelUnitTests):
    """The unit suite."""

    run = "chat, unit"

    @pytest.fixture(autouse=True)
    def _known_to_langchain(self, monkeypatch):
        # LangChain loads classes of its own list only, so no third party's class can pass
        # test_serdes without standing in it (LANGCHAIN T20).
        path = tuple(ChatYandex.lc_id())
        monkeypatch.setitem(load_module.ALL_SERIALIZABLE_MAPPINGS, path, path)
        monkeypatch.setattr(load_module, "_default_class_paths_cache", {})

    @property
    def chat_model_class(self):
        return ChatYandex

    @property
    def chat_model_params(self):
        return CREDENTIALS

    @property
    def init_from_env_params(self):
        expected = {"api_key": "key-of-the-environment", "folder_id": "folder-of-the-environment"}
        return ENVIRONMENT, {}, expected


class OverTheEmulator(ChatModelIntegrationTests):
    """What every run of the integration suite shares."""

    model_name: str
    method: str
    root = "chat_url"

    @property
    def run(self):
        return f"chat, integration: `{self.model_name}`, `{self.method}`"

    @pytest.fixture(autouse=True)
    def _served(self, emulator, monkeypatch):
        self.emulator, self.base_url = emulator, getattr(emulator, self.root)

        def picture(url: str, **_: object) -> httpx.Response:
            return httpx.Response(200, content=PNG)

        monkeypatch.setattr(suite.httpx, "get", picture)

    @property
    def chat_model_class(self):
        return ChatYandex

    @property
    def chat_model_params(self):
        return {**CREDENTIALS, "model": self.model_name, "base_url": self.base_url}

    @property
    def structured_output_kwargs(self):
        return {"method": self.method}

    @property
    def supports_json_mode(self):
        return True

    @property
    def supports_anthropic_inputs(self):
        return True

    @property
    def supports_model_override(self):
        return True

    @property
    def enable_vcr_tests(self):
        return True

    @pytest.fixture
    def vcr_config(self):
        return {"allow_playback_repeats": True}

    @pytest.fixture
    def default_cassette_name(self, _served, model, tmp_path):
        # Recorded anew for each run: a cassette that is kept would grow stale.
        cassette = str(tmp_path / "stream.yaml")
        with VCR().use_cassette(cassette):
            list(model.stream("Write a story about a cat."))
        return cassette


class OfAnOpenModel(OverTheEmulator):
    """The open models' streams report usage (WIRE A5), and any of its details may come (A16)."""

    @property
    def supported_usage_metadata_details(self):
        counted = ["audio_input", "audio_output", "cache_read_input", "reasoning_output"]
        return {"invoke": counted, "stream": counted}

    def _counted(self, *, stream=False):
        usage = {
            "prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30,
            "prompt_tokens_details": {"audio_tokens": 4, "cached_tokens": 16},
            "completion_tokens_details": {"audio_tokens": 6, "reasoning_tokens": 4},
        }  # fmt: skip
        self.emulator.script({"text": "Hello there", "usage": usage})
        model = ChatYandex(**self.chat_model_params)
        return reduce(add, model.stream("Hi")) if stream else model.invoke("Hi")

    invoke_with_audio_input = invoke_with_audio_output = _counted
    invoke_with_cache_read_input = invoke_with_reasoning_output = _counted


class OfGemma(OfAnOpenModel):
    """Gemma takes images."""

    model_name = "gemma-3-27b-it"
    model_override_value = "qwen3-235b-a22b-fp8"

    @property
    def supports_image_inputs(self):
        return True


class OfGptOss(OfAnOpenModel):
    """Gpt-oss reasons: its thoughts come before every answer, whole or streamed (WIRE A7)."""

    model_name = "gpt-oss-120b"
    model_override_value = "gpt-oss-20b"


class OfYandexGPT(OverTheEmulator):
    """Yandexgpt takes no images, and its streams report no usage (WIRE A3)."""

    model_name = "yandexgpt"
    model_override_value = "yandexgpt-lite"

    @pytest.fixture(autouse=True)
    def _streaming(self, request):
        self.streaming = "streaming" in request.node.name

    @property
    def returns_usage_metadata(self):
        return not self.streaming


class OfTheNativeAPI(OverTheEmulator):
    """On the native API, streams report usage, which grows with each line (WIRE B6)."""

    model_name = "yandexgpt"
    model_override_value = "yandexgpt-lite"
    root = "native_url"

    @property
    def run(self):
        return f"{super().run}, native API"

    @property
    def chat_model_params(self):
        return {**super().chat_model_params, "api": "completion"}


class TestGemmaBySchema(OfGemma):
    method = "json_schema"


class TestGemmaByFunction(OfGemma):
    method = "function_calling"


class TestGptOssBySchema(OfGptOss):
    method = "json_schema"


class TestGptOssByFunction(OfGptOss):
    method = "function_calling"


class TestYandexGPTBySchema(OfYandexGPT):
    method = "json_schema"


class TestYandexGPTByFunction(OfYandexGPT):
    method = "function_calling"


class TestNativeBySchema(OfTheNativeAPI):
    method = "json_schema"


class TestNativeByFunction(OfTheNativeAPI):
    method = "function_calling"


@pytest.mark.parametrize("family", [OfGemma, OfGptOss, OfYandexGPT, OfTheNativeAPI])
@pytest.mark.parametrize(
    ("claim", "switch"),
    [
        ("image_inputs", "supports_image_inputs"),
        ("image_url_inputs", "supports_image_urls"),
        ("image_tool_message", "supports_image_tool_message"),
        ("pdf_inputs", "supports_pdf_inputs"),
        ("pdf_tool_message", "supports_pdf_tool_message"),
        ("audio_inputs", "supports_audio_inputs"),
        ("video_inputs", "supports_video_inputs"),
        ("tool_calling", "has_tool_calling"),
    ],
)
def test_the_profile_claims_what_the_suite_tries(family, claim, switch):
    profile = ChatYandex(**CREDENTIALS, model=family.model_name).profile
    assert profile[claim] is getattr(family(), switch)


class TestYandexEmbeddingsUnit(EmbeddingsUnitTests):
    """The unit suite of embeddings."""

    run = "embeddings, unit"

    @property
    def embeddings_class(self):
        return YandexEmbeddings

    @property
    def embedding_model_params(self):
        return CREDENTIALS

    @property
    def init_from_env_params(self):
        expected = {"api_key": "key-of-the-environment", "folder_id": "folder-of-the-environment"}
        return ENVIRONMENT, {}, expected


class TestYandexEmbeddings(EmbeddingsIntegrationTests):
    """The integration suite of embeddings."""

    run = "embeddings, integration"
    root = "chat_url"

    @pytest.fixture(autouse=True)
    def _served(self, emulator):
        self.base_url = getattr(emulator, self.root)

    @property
    def embeddings_class(self):
        return YandexEmbeddings

    @property
    def embedding_model_params(self):
        return {**CREDENTIALS, "base_url": self.base_url}


class TestNativeEmbeddings(TestYandexEmbeddings):
    """The same on the native API."""

    run = "embeddings, integration, native API"
    root = "native_url"

    @property
    def embedding_model_params(self):
        return {**super().embedding_model_params, "api": "completion"}
