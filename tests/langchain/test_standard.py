"""LangChain's standard suites against the emulator, for both model families."""

import base64
from functools import reduce
from importlib import import_module
from operator import add

import httpx
import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from langchain_tests.integration_tests import chat_models as suite
from langchain_tests.unit_tests import ChatModelUnitTests, EmbeddingsUnitTests

from langchain_yandex_compat import ChatYandex, YandexEmbeddings

load_module = import_module("langchain_core.load.load")

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CREDENTIALS = {"api_key": "test-key", "folder_id": "test-folder"}
ENVIRONMENT = {"YC_API_KEY": "key-of-the-environment", "YC_FOLDER_ID": "folder-of-the-environment"}


class TestChatYandexUnit(ChatModelUnitTests):
    """The unit suite."""

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

    @pytest.fixture(autouse=True)
    def _served(self, emulator, monkeypatch):
        self.emulator, self.base_url = emulator, emulator.chat_url

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


class OfTheOpenFamily(OverTheEmulator):
    """Gemma stands for the open models: it takes images, and its streams report usage."""

    model_name = "gemma-3-27b-it"
    model_override_value = "qwen3-235b-a22b-fp8"

    @property
    def supports_image_inputs(self):
        return True

    @property
    def supported_usage_metadata_details(self):
        counted = ["cache_read_input", "reasoning_output"]
        return {"invoke": counted, "stream": counted}

    def invoke_with_cache_read_input(self, *, stream=False):
        return self._counted(stream)

    def invoke_with_reasoning_output(self, *, stream=False):
        return self._counted(stream)

    def _counted(self, stream):
        usage = {
            "prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30,
            "prompt_tokens_details": {"cached_tokens": 16},
            "completion_tokens_details": {"reasoning_tokens": 4},
        }  # fmt: skip
        self.emulator.script({"text": "Hello there", "usage": usage})
        model = ChatYandex(**self.chat_model_params)
        return reduce(add, model.stream("Hi")) if stream else model.invoke("Hi")


class OfTheYandexFamily(OverTheEmulator):
    """Yandexgpt takes no images, and its streams report no usage (WIRE A3)."""

    model_name = "yandexgpt"
    model_override_value = "yandexgpt-lite"

    @pytest.fixture(autouse=True)
    def _streaming(self, request):
        self.streaming = "streaming" in request.node.name

    @property
    def returns_usage_metadata(self):
        return not self.streaming


class TestOpenFamilyBySchema(OfTheOpenFamily):
    method = "json_schema"


class TestOpenFamilyByFunction(OfTheOpenFamily):
    method = "function_calling"


class TestYandexFamilyBySchema(OfTheYandexFamily):
    method = "json_schema"


class TestYandexFamilyByFunction(OfTheYandexFamily):
    method = "function_calling"


class TestYandexEmbeddingsUnit(EmbeddingsUnitTests):
    """The unit suite of embeddings."""

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

    @pytest.fixture(autouse=True)
    def _served(self, emulator):
        self.base_url = emulator.chat_url

    @property
    def embeddings_class(self):
        return YandexEmbeddings

    @property
    def embedding_model_params(self):
        return {**CREDENTIALS, "base_url": self.base_url}
