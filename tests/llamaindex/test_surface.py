import copy
import logging
import pickle
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from llama_index.core import Settings
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.rate_limiter import TokenBucketRateLimiter
from pydantic import BaseModel, SecretStr, ValidationError

import llamaindex_yandex_compat
from llamaindex_yandex_compat import YandexEmbedding, YandexLLM
from yandex_compat import (
    ApiKeyAuth,
    AuthenticationError,
    ConfigurationError,
    ServerError,
    UnsupportedError,
)
from yandex_compat.pools import POOLS


class _Parsed(BaseModel):
    name: str


BOTH = pytest.mark.parametrize("kind", [YandexLLM, YandexEmbedding])
SECRET = "AQVN-a-secret-key-0123456789"


def used(model):
    """Have either kind of model ask the service something."""
    if isinstance(model, YandexEmbedding):
        return model.get_text_embedding("Hi")
    return model.complete("Hi").text


def test_the_framework_finds_its_bases_by_name():
    llm = [base.__name__ for base in YandexLLM.__mro__]
    assert {BaseLLM.__name__, FunctionCallingLLM.__name__} <= set(llm)
    assert BaseEmbedding.__name__ in [base.__name__ for base in YandexEmbedding.__mro__]


def test_public_names():
    assert llamaindex_yandex_compat.__all__ == ["YandexEmbedding", "YandexLLM", "__version__"]
    assert (Path(llamaindex_yandex_compat.__file__).parent / "py.typed").exists()


def test_without_llama_index_the_import_says_what_to_install():
    code = "import sys; sys.modules['llama_index.core'] = None; import llamaindex_yandex_compat"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError" in ran.stderr
    assert "pip install 'yandex-compat[llamaindex]'" in ran.stderr


def test_importing_brings_no_tokenizer_and_no_openai():
    code = (
        "import sys, llama_index.core; before = set(sys.modules); import llamaindex_yandex_compat;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "print(new & {'tiktoken', 'transformers', 'openai', 'nltk', 'uvicorn'})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


@BOTH
def test_a_misspelt_word_is_named_and_its_value_is_not(kind):
    with pytest.raises(ConfigurationError, match=r"api_kye.*api_key") as caught:
        kind(api_kye=SECRET, folder_id="f")
    assert SECRET not in repr(caught.value)


@BOTH
@pytest.mark.parametrize("word", ["api_key", "iam_token"])
def test_a_secret_of_the_wrong_type_is_not_shown(kind, word):
    with pytest.raises(ConfigurationError, match=word) as caught:
        kind(**{word: [SECRET]}, folder_id="f")
    assert SECRET not in str(caught.value)


@BOTH
@pytest.mark.parametrize(
    "wrong",
    [
        {"default_headers": SECRET},
        {"default_headers": [("X-Token", SECRET)]},
        {"default_headers": {"X-Token": [SECRET]}},
        {"timeout": SECRET},
        {"folder_id": [SECRET]},
    ],
    ids=str,
)
def test_pydantic_s_complaint_does_not_show_the_value(kind, wrong):
    with pytest.raises(ValidationError) as caught:
        kind(**{"api_key": "k", "folder_id": "f"} | wrong)
    assert next(iter(wrong)) in str(caught.value)
    assert "AQVN" not in str(caught.value) + repr(caught.value)


@BOTH
@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"http_client": httpx.AsyncClient()}, "http_client"),
        ({"http_async_client": httpx.Client()}, "http_async_client"),
        ({"http_client": SECRET}, "http_client"),
        ({"auth": SECRET}, "auth"),
        ({"default_headers": {"Authorization": SECRET}}, "Authorization"),
        ({"default_headers": {"X-Token": SECRET + "\n"}}, "X-Token"),
    ],
)
def test_words_of_the_wrong_kind_are_named(kind, wrong, named):
    given = {"folder_id": "f"} | ({} if "auth" in wrong else {"api_key": "k"})
    with pytest.raises(ConfigurationError, match=named) as caught:
        kind(**given | wrong)
    assert SECRET not in str(caught.value)


@BOTH
def test_none_for_a_word_asks_for_its_default(kind):
    given = {"api_key": "k", "folder_id": "f"}
    nothing = dict.fromkeys(kind.model_fields.keys() - given.keys())
    model, plain = kind(**nothing, **given), kind(**given)
    assert model.to_dict() == plain.to_dict()
    own = kind.model_fields.keys() - {"callback_manager"}  # compared by identity
    assert {word: getattr(model, word) for word in own} == {
        word: getattr(plain, word) for word in own
    }
    assert model.data_logging is True


@BOTH
@pytest.mark.parametrize(
    ("word", "value"), [("api_key", "test-key"), ("iam_token", "t1.test-token")]
)
@pytest.mark.parametrize("by_assignment", [True, False])
def test_a_new_credential_is_sent_and_shown_nowhere(kind, words, word, value, by_assignment):
    model = kind(**{**words, "api_key": None, word: "worn-out"}, max_retries=0)
    with pytest.raises(AuthenticationError):
        used(model)
    if by_assignment:
        setattr(model, word, value)
    else:
        model = model.model_copy(update={word: value})
    assert used(model)
    shown = [repr(model), str(model), str(model.model_dump()), model.model_dump_json()]
    shown += [model.to_json(), str(model.to_dict()), str(model.to_payload()), str(vars(model))]
    assert not [text for text in shown if value in text]
    assert getattr(model, word) == SecretStr(value)


@BOTH
def test_credential_and_folder_are_resolved_at_construction(kind, monkeypatch):
    with pytest.raises(ConfigurationError, match="YC_API_KEY"):
        kind(folder_id="f")
    monkeypatch.setenv("YC_API_KEY", SECRET)
    with pytest.raises(ConfigurationError, match="YC_FOLDER_ID"):
        kind()
    monkeypatch.setenv("YC_FOLDER_ID", "from-environment")
    assert kind().folder_id == "from-environment"
    with pytest.raises(ConfigurationError, match="one credential"):
        kind(api_key="k", iam_token="t")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"temperature": 3}, "temperature=3"),
        ({"top_p": -1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"model": "emb://f/text-search-doc"}, "emb://"),
        ({"model": "yandex gpt"}, "model"),
        ({"timeout": 0}, "timeout"),
        ({"api": "soap"}, "api"),
        ({"base_url": "nowhere"}, "base_url"),
        ({"additional_kwargs": {"temprature": 1}}, "temprature"),
    ],
)
def test_bad_words_raise_at_construction(words, named):
    with pytest.raises(ConfigurationError, match=named):
        YandexLLM(api_key="k", folder_id="f", **words)


def test_a_word_that_the_service_lacks_is_refused_at_construction():
    with pytest.raises(UnsupportedError, match="extra_body"):
        YandexLLM(api_key="k", folder_id="f", additional_kwargs={"seed": 1})


def test_the_embedding_models_are_checked_at_construction():
    for words in ({"model": "gpt://f/yandexgpt"}, {"query_model": "gpt://f/yandexgpt"}):
        with pytest.raises(ConfigurationError, match="gpt://"):
            YandexEmbedding(api_key="k", folder_id="f", **words)


def test_model_name_is_another_word_for_the_model_of_documents():
    named = YandexEmbedding(api_key="k", folder_id="f", model_name="text-search-doc/rc")
    assert (named.model, named.model_name) == ("text-search-doc/rc", "text-search-doc/rc")
    with pytest.raises(ConfigurationError, match="differ"):
        YandexEmbedding(api_key="k", folder_id="f", model="a", model_name="b")


@BOTH
@pytest.mark.parametrize(
    "given",
    [
        {"api_key": SECRET},
        {"iam_token": SecretStr(SECRET)},
        {"auth": ApiKeyAuth(SECRET)},
        {"api_key": "k", "default_headers": {"X-Token": SECRET}},
    ],
)
def test_no_secret_is_shown_or_serialized(kind, given, words):
    model = kind(**{**words, "api_key": None, **given})
    shown = [repr(model), model.to_json(), str(model.to_dict()), str(model.to_payload())]
    assert not any(SECRET in text for text in shown)


@BOTH
def test_from_dict_reads_the_key_again(kind, words, monkeypatch):  # T18
    kept = {"query_model": "text-search-query/rc"} if kind is YandexEmbedding else {"stop": ["x"]}
    model = kind(**words, **kept, timeout=7)
    written = model.to_dict()
    assert written == kind(**words, **kept, timeout=7).to_dict()
    with pytest.raises(ConfigurationError):
        kind.from_dict(written)
    monkeypatch.setenv("YC_API_KEY", "test-key")
    assert kind.from_dict(written).to_dict() == written
    assert used(kind(**written)) == used(model)
    assert kind.from_json(model.to_json()).timeout == 7


def test_to_dict_tells_models_and_folders_apart(words, monkeypatch):
    def written(**more):
        return str(YandexEmbedding(**{**words, "folder_id": None, **more}).to_dict())

    monkeypatch.setenv("YC_FOLDER_ID", "one")
    one = written()
    monkeypatch.setenv("YC_FOLDER_ID", "two")
    assert len({one, written(), written(query_model="text-search-query/rc")}) == 3


@BOTH
def test_pickle_works_after_use_and_says_nothing(kind, words, caplog):
    model = kind(**words)
    answer = used(model)
    with caplog.at_level(logging.WARNING):
        again = pickle.loads(pickle.dumps(model))
    assert caplog.records == []
    assert used(again) == answer == used(model)
    assert again.to_dict() == model.to_dict()


@BOTH
def test_pickle_leaves_http_clients_behind(kind, words, caplog):
    with httpx.Client() as client:
        model = kind(**words, http_client=client)
        again = pickle.loads(pickle.dumps(model))
        assert caplog.records == []
        assert again.http_client is None
        assert model.http_client is client
        assert used(again) == used(model)


@BOTH
def test_a_key_of_the_environment_is_not_pickled(kind, words, monkeypatch):
    monkeypatch.setenv("YC_API_KEY", SECRET)
    model = kind(folder_id="f")
    assert SECRET.encode() not in pickle.dumps(model)


@BOTH
@pytest.mark.parametrize("deep", [True, False])
def test_copies_work_after_use(kind, words, deep):
    with httpx.Client() as client:
        model = kind(**words, http_client=client)
        answer = used(model)
        again = copy.deepcopy(model) if deep else copy.copy(model)
        assert again.http_client is client
        assert used(again) == answer


@BOTH
def test_a_client_that_was_passed_in_stays_open(kind, words):
    with httpx.Client() as client:
        model = kind(**words, http_client=client)
        used(model)
        model.close()
        assert not client.is_closed


@BOTH
async def test_models_close_and_open_again(kind, words):
    model = kind(**words)
    answer = used(model)
    model.close()
    await model.aclose()
    assert used(model) == answer


@BOTH
async def test_aclose_leaves_a_client_that_was_passed_in_open(kind, words, emulator):
    async with httpx.AsyncClient(headers={"X-Mine": "1"}) as client:
        model = kind(**words, http_async_client=client)
        for _ in range(2):
            if kind is YandexLLM:
                await model.acomplete("Hi")
            else:
                await model.aget_query_embedding("Hi")
            assert emulator.requests[-1]["headers"]["x-mine"] == "1"
            await model.aclose()
        assert not client.is_closed


@BOTH
async def test_closing_gives_up_the_client_s_connections(kind, words, monkeypatch):
    model, given_up = kind(**words), []

    async def released():
        given_up.append("aclose")

    monkeypatch.setattr(model._client, "close", lambda: given_up.append("close"))
    monkeypatch.setattr(model._client, "aclose", released)
    model.close()
    await model.aclose()
    assert given_up == ["close", "aclose"]


@BOTH
def test_fields_may_be_assigned_after_construction(kind, words):
    model = kind(**{**words, "base_url": "http://127.0.0.1:9/v1"}, max_retries=0)
    model.base_url = words["base_url"]
    model.callback_manager = CallbackManager([])
    assert used(model)


@BOTH
def test_the_words_of_the_connection_reach_the_wire(kind, words, emulator):
    used(kind(**words, data_logging=False, default_headers={"X-Team": "search"}))
    headers = emulator.requests[-1]["headers"]
    assert headers["x-data-logging-enabled"] == "false"
    assert headers["x-team"] == "search"
    assert headers["authorization"] == "Api-Key ***"
    used(kind(**{**words, "api_key": None}, iam_token="t1.test-token"))
    assert emulator.requests[-1]["headers"]["authorization"] == "Bearer ***"


@BOTH
def test_max_retries_counts_the_second_tries(kind, words, emulator):
    path = "/v1/embeddings" if kind is YandexEmbedding else "/v1/chat/completions"
    emulator.script({"status": 503, "path": path}, {"status": 503, "path": path})
    with pytest.raises(ServerError):
        used(kind(**words, max_retries=0))
    assert len(emulator.requests) == 1
    assert used(kind(**words, max_retries=1))
    assert len(emulator.requests) == 3


def test_the_framework_takes_them_as_its_defaults(words, monkeypatch):
    monkeypatch.setattr(Settings, "_llm", None)
    monkeypatch.setattr(Settings, "_embed_model", None)
    Settings.llm, Settings.embed_model = YandexLLM(**words), YandexEmbedding(**words)
    assert Settings.llm.complete("Hi").text
    assert Settings.llm.callback_manager is Settings.callback_manager


def test_metadata_of_known_and_unknown_models(words):
    metadata = YandexLLM(**words).metadata
    assert (metadata.context_window, metadata.num_output) == (32_000, 256)
    assert metadata.is_chat_model
    assert metadata.is_function_calling_model
    assert metadata.model_name == "yandexgpt"
    unknown = YandexLLM(**words, model="gpt://other/model-of-2031/rc").metadata
    assert unknown.context_window >= 8_000
    told = YandexLLM(**words, context_window=5_000, is_function_calling_model=False).metadata
    assert (told.context_window, told.is_function_calling_model) == (5_000, False)


@pytest.mark.parametrize(
    ("model", "max_tokens", "room"),
    [("yandexgpt", 32_000, 8_000), ("llama", 8_000, 2_048), ("yandexgpt", 100, 100)],
)
def test_num_output_leaves_room_for_the_prompt(words, model, max_tokens, room):
    assert YandexLLM(**words, model=model, max_tokens=max_tokens).metadata.num_output == room


def test_the_tokenizer_counts_for_the_framework(words, monkeypatch):
    llm = YandexLLM(**words)
    monkeypatch.setattr(Settings, "_tokenizer", None)
    monkeypatch.setattr("llama_index.core.global_tokenizer", None)
    Settings.tokenizer = llm.tokenizer
    russian = "Съешь ещё этих мягких французских булок. " * 40
    parts = SentenceSplitter(chunk_size=200, chunk_overlap=0).split_text(russian)
    assert len(parts) > 2
    assert all(0 < len(llm.tokenizer(part)) <= 200 for part in parts)
    assert llm.tokenizer("") == []


def test_a_window_of_nothing_is_refused(words):
    with pytest.raises(ValidationError, match="context_window"):
        YandexLLM(**words, context_window=0)
    assert YandexLLM(**words, context_window=2).metadata.num_output == 1


def test_core_words_pass_through(words):
    parser = PydanticOutputParser(_Parsed)
    llm = YandexLLM(
        **words,
        output_parser=parser,
        system_prompt="Be brief.",
        completion_to_prompt=lambda prompt: f"<{prompt}>",
        messages_to_prompt=lambda messages: "joined",
        pydantic_program_mode="llm",
    )
    assert llm.system_prompt == "Be brief."
    assert llm.output_parser is parser
    assert llm.pydantic_program_mode.value == "llm"
    assert llm.complete("Hi").text.endswith("<Hi>")
    assert llm.complete("Hi", formatted=True).text.endswith("Hi")
    assert llm.messages_to_prompt([ChatMessage("Hi")]) == "joined"


def test_namespace_packages_of_the_framework_are_untouched():
    assert find_spec("llama_index").origin is None


@BOTH
@pytest.mark.parametrize("change", [copy.deepcopy, copy.copy, None], ids=["deep", "shallow", "set"])
def test_a_key_of_the_environment_is_the_one_found_at_construction(
    kind, words, monkeypatch, emulator, change
):
    monkeypatch.setenv("YC_API_KEY", words.pop("api_key"))
    model = kind(**words)
    answer = used(model)
    monkeypatch.delenv("YC_API_KEY")
    if change:
        model = change(model)
    model.timeout = 5
    assert used(model) == answer


@BOTH
def test_a_credential_taken_off_is_not_used_on(kind, words):
    model = kind(**words)
    used(model)
    model.api_key = None
    with pytest.raises(ConfigurationError, match="No credential"):
        used(model)


@BOTH
@pytest.mark.parametrize("word", ["api_key", "iam_token"])
def test_an_empty_credential_is_told_as_one(kind, word):
    with pytest.raises(ConfigurationError, match=f"{word} is empty"):
        kind(**{word: ""}, folder_id="f")


def test_a_deep_copy_shares_the_rate_limiter(words):
    limiter = TokenBucketRateLimiter(requests_per_minute=600)
    llm = YandexLLM(**words, rate_limiter=limiter)
    assert copy.deepcopy(llm).rate_limiter is limiter


@pytest.mark.parametrize("word", ["model", "model_name"])
@pytest.mark.parametrize("by_copy", [False, True])
def test_model_and_model_name_of_embeddings_are_one_word(words, emulator, word, by_copy):
    model, name = YandexEmbedding(**words), "text-search-doc/rc"
    if by_copy:
        model = model.model_copy(update={word: name})
    else:
        setattr(model, word, name)
    assert (model.model, model.model_name) == (name, name)
    model.get_text_embedding("Hi")
    assert emulator.requests[-1]["body"]["model"] == "emb://test-folder/text-search-doc/rc"
    again = YandexEmbedding.from_dict({**model.to_dict(), **words})
    assert (again.model, again.model_name) == (name, name)


def test_models_of_the_wrong_kind_are_named(words):
    with pytest.raises((ConfigurationError, ValidationError), match="model"):
        YandexEmbedding(**words, model=["a"])


@BOTH
@pytest.mark.parametrize("shallow", [copy.copy, lambda model: model.model_copy()])
def test_closing_a_copy_leaves_the_original_s_connections_open(kind, words, shallow):  # D2
    model = kind(**words)
    used(model)
    origin = words["base_url"].removesuffix("/v1")
    shared = POOLS.lend(model._client, origin)
    POOLS.take_back(origin, shared)
    other = shallow(model)
    used(other)
    other.close()
    assert not shared.is_closed
    assert POOLS._blocking.take(origin) is shared
    POOLS.take_back(origin, shared)
