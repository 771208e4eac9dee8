"""ChatYandex from its words and the environment, and what becomes of it: copies, dumps, changes."""

import asyncio
import copy
import pickle
import subprocess
import sys

import httpx
import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.load import dumpd, load
from langchain_core.runnables import ConfigurableField
from pydantic import SecretStr

from langchain_yandex_compat import ChatYandex, YandexEmbeddings
from yandex_compat import AuthenticationError, ConfigurationError, YandexError, __version__

BOTH = pytest.mark.parametrize("kind", [ChatYandex, YandexEmbeddings])


def used(model):
    """Have either kind of model ask the service something."""
    return model.embed_query("Hi") if isinstance(model, YandexEmbeddings) else model.invoke("Hi")


def test_no_key_is_told_at_construction():
    with pytest.raises(ConfigurationError, match=r"api_key.*YC_API_KEY"):
        ChatYandex(folder_id="f")


def test_no_folder_is_told_at_construction():
    with pytest.raises(ConfigurationError, match=r"folder_id.*YC_FOLDER_ID"):
        ChatYandex(api_key="k")


def test_a_full_uri_needs_no_folder():
    assert ChatYandex(model="gpt://f/yandexgpt/rc", api_key="k").folder_id is None


def test_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("YC_IAM_TOKEN", "t1.token")
    monkeypatch.setenv("YC_FOLDER_ID", "folder")
    model = ChatYandex()
    assert model.iam_token == SecretStr("t1.token")
    assert model.folder_id == "folder"


def test_an_argument_wins_over_the_environment(monkeypatch, make, emulator):
    monkeypatch.setenv("YC_API_KEY", "wrong")
    monkeypatch.setenv("YC_FOLDER_ID", "wrong")
    make().invoke("Hi")
    assert emulator.requests[-1]["headers"]["openai-project"] == "test-folder"


def test_two_credentials_are_one_too_many():
    with pytest.raises(ConfigurationError, match="api_key and iam_token"):
        ChatYandex(api_key="k", iam_token="t", folder_id="f")


def test_model_name_is_another_word_for_model(make):
    assert make(model_name="llama").model == "llama"


def test_importing_without_langchain_names_the_extra():
    code = (
        "import sys\n"
        "sys.modules['langchain_core'] = None\n"
        "try:\n    import langchain_yandex_compat\n"
        "except ImportError as error:\n    print(error)\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'yandex-compat[langchain]'" in shown.stdout


# langchain-core 1.7 marks its own `load` as beta, and there is no other way to read what `dumpd`
# has written; a program that calls it meets the same warning.
@pytest.mark.filterwarnings(
    "ignore:The function `load` is in beta:langchain_core._api.LangChainBetaWarning"
)
def test_a_model_survives_dumping_with_the_key_from_the_environment(monkeypatch):
    model = ChatYandex(api_key="from-code", folder_id="f", temperature=0.5)
    monkeypatch.setenv("YC_API_KEY", "from-env")
    loaded = load(
        dumpd(model),
        allowed_objects=[ChatYandex],
        valid_namespaces=["langchain_yandex_compat"],
        secrets_from_env=True,
    )
    assert (loaded.temperature, loaded.folder_id) == (0.5, "f")
    assert loaded.api_key.get_secret_value() == "from-env"


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["copy", "pickle"],
)
def test_a_used_model_can_be_copied(make, copied):
    model = make()
    model.invoke("Hi")
    assert copied(model).invoke("Hi").text


def test_clients_passed_in_are_used_shared_by_copies_and_left_open(make, emulator):
    with httpx.Client(headers={"X-Mine": "1"}) as client:
        model = make(http_client=client)
        copy.deepcopy(model).invoke("Hi")
        assert emulator.requests[-1]["headers"]["x-mine"] == "1"
        model.close()
        assert not client.is_closed
        pickle.loads(pickle.dumps(model)).invoke("Hi")
        assert "x-mine" not in emulator.requests[-1]["headers"]


def test_fields_may_change_after_construction(make, emulator, body):
    model = make()
    model.invoke("Hi")
    model.temperature = 0.1
    model.data_logging = False
    model.invoke("Hi")
    assert body()["temperature"] == 0.1
    assert emulator.requests[-1]["headers"]["x-data-logging-enabled"] == "false"
    other = model.model_copy(update={"base_url": "http://127.0.0.1:9", "max_retries": 0})
    with pytest.raises(YandexError):
        other.invoke("Hi")


def test_one_model_under_several_event_loops(make):
    model = make(max_retries=0)
    for _ in range(3):
        assert asyncio.run(model.ainvoke("Hi")).text


def test_model_and_model_name_that_differ_are_refused():
    words = {"api_key": "k", "folder_id": "f", "model_name": "yandexgpt-lite"}
    with pytest.raises(ConfigurationError, match="differ"):
        ChatYandex(model="yandexgpt", **words)
    assert ChatYandex(model="yandexgpt-lite", **words).model == "yandexgpt-lite"


@BOTH
def test_none_for_a_word_asks_for_its_default(kind):
    given = {"api_key": "k", "folder_id": "f"}
    nothing = dict.fromkeys(kind.model_fields.keys() - given.keys())
    model = kind(**nothing, **given)
    assert dict(model) == dict(kind(**given))
    assert model.data_logging is True


def test_none_for_the_words_of_an_answer_is_not_sent(make, body, emulator):
    make(data_logging=None, stop=None, temperature=None, model=None, model_name=None).invoke("Hi")
    assert body().keys() == {"model", "messages"}
    assert body()["model"] == "gpt://test-folder/yandexgpt/latest"
    assert "x-data-logging-enabled" not in emulator.requests[-1]["headers"]


@BOTH
@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"http_client": httpx.AsyncClient()}, "http_client"),
        ({"http_async_client": httpx.Client()}, "http_async_client"),
        ({"auth": "key"}, "auth"),
        ({"timeout": -1}, "timeout"),
        ({"default_headers": {"Authorization": "Bearer x"}}, "Authorization"),
        ({"default_headers": {"authorization": "Bearer x"}}, "authorization"),
    ],
)
def test_words_of_the_wrong_kind_are_named(kind, words, named):
    with pytest.raises(ConfigurationError, match=named):
        kind(**{"api_key": "k", "folder_id": "f"} | words)


@BOTH
@pytest.mark.parametrize(
    ("word", "value"), [("api_key", "test-key"), ("iam_token", "t1.test-token")]
)
@pytest.mark.parametrize("by_assignment", [True, False])
def test_a_new_credential_is_the_one_that_is_sent(kind, emulator, word, value, by_assignment):
    given = {"folder_id": "test-folder", "base_url": emulator.chat_url}
    model = kind(**{word: "worn-out"}, **given)
    with pytest.raises(AuthenticationError):
        used(model)
    if by_assignment:
        setattr(model, word, value)
    else:
        model = model.model_copy(update={word: value})
    assert used(model)


@BOTH
async def test_aclose_gives_up_the_connections_and_the_model_serves_on(kind, emulator):
    words = {"api_key": "test-key", "folder_id": "test-folder", "base_url": emulator.chat_url}
    async with httpx.AsyncClient(headers={"X-Mine": "1"}) as client:
        model = kind(http_async_client=client, **words)
        for _ in range(2):
            if kind is ChatYandex:
                await model.ainvoke("Hi")
            else:
                await model.aembed_query("Hi")
            assert emulator.requests[-1]["headers"]["x-mine"] == "1"
            await model.aclose()
        assert not client.is_closed
    own = kind(**words)
    released: list[object] = []
    own._client.aclose = _recorded(own._client.aclose, released)
    await own.aclose()
    assert released == ["aclose"]
    assert used(own)
    own.close()


def _recorded(method, calls):
    async def recorded():
        calls.append("aclose")
        await method()

    return recorded


def test_the_version_is_traced():
    model = ChatYandex(api_key="k", folder_id="f")
    versions = model.metadata["lc_versions"]
    assert versions["yandex-compat"] == __version__
    assert "langchain-core" in versions  # M8


@pytest.mark.parametrize(
    ("words", "call", "traced"),
    [
        ({}, {}, {"ls_model_name": "yandexgpt"}),
        (
            {"temperature": 0.0, "max_tokens": 5, "stop": "END", "model": "llama"},
            {},
            {
                "ls_model_name": "llama",
                "ls_temperature": 0.0,
                "ls_max_tokens": 5,
                "ls_stop": ["END"],
            },
        ),
        (
            {"temperature": 0.1, "max_tokens": 5, "stop": ["a"]},
            {"temperature": 0.9, "max_tokens": 7, "stop": ["b", "c"], "model": "llama"},
            {
                "ls_model_name": "llama",
                "ls_temperature": 0.9,
                "ls_max_tokens": 7,
                "ls_stop": ["b", "c"],
            },
        ),
    ],
)
def test_what_is_traced_of_a_call(words, call, traced):  # M7
    model = ChatYandex(api_key="k", folder_id="f", **words)
    fixed = {"ls_provider": "yandex", "ls_model_type": "chat"}
    assert model._get_ls_params(**call) == fixed | traced


def test_a_cache_tells_models_apart():  # M6, T19
    words = {"api_key": "k", "folder_id": "f"}
    models = [
        ChatYandex(**words | more)
        for more in (
            {},
            {"folder_id": "g"},
            {"base_url": "http://127.0.0.1/v1"},
            {"model": "llama"},
            {"temperature": 0.5},
            {"logit_bias": {"1": 1}},
            {"logprobs": True},
            {"n": 2},
            {"recover_leaked_calls": False},
            {"extra_body": {"seed": 1}},
        )
    ]
    assert len({str(model._identifying_params) for model in models}) == len(models)
    assert len({model._get_llm_string() for model in models}) == len(models)
    plain = models[0]
    assert len({plain._get_llm_string(n=n) for n in (2, 3)}) == 2


def test_one_cache_serves_models_that_differ(make, emulator):  # T19
    cache = InMemoryCache()

    def asked(call=None, **words):
        make(cache=cache, **words).invoke("Hi", **call or {})
        return len(emulator.requests)

    assert (asked(), asked()) == (1, 1)
    assert (asked(temperature=0.1), asked(temperature=0.1)) == (2, 2)
    assert (asked({"temperature": 0.1}), asked({"temperature": 0.2})) == (3, 4)
    assert asked(model="yandexgpt-lite") == 5
    assert asked() == 5


def test_a_word_of_zero_is_told_to_tracers():
    model = ChatYandex(api_key="k", folder_id="f", temperature=0, top_p=0)
    told = model._identifying_params
    assert (told["temperature"], told["top_p"]) == (0, 0)
    assert "max_tokens" not in told


@pytest.mark.parametrize("by_copy", [False, True])
def test_a_changed_model_is_not_given_the_answers_of_the_one_it_was(make, emulator, by_copy):  # T19
    model = make(cache=InMemoryCache())
    emulator.script({"text": "first"}, {"text": "second"})
    assert [model.invoke("Hi").text, model.invoke("Hi").text] == ["first", "first"]
    if by_copy:
        model = model.model_copy(update={"model": "llama"})
    else:
        model.temperature = 1.5
    assert model.invoke("Hi").text == "second"
    assert len(emulator.requests) == 2


def test_a_model_streams_unless_it_is_told_not_to(make, emulator):
    text = {"text": "one two three four five six"}
    emulator.script(*[text] * 3)
    plain = make().configurable_fields(temperature=ConfigurableField(id="t"))
    assert len(list(make().stream("Hi"))) > 1
    assert len(list(plain.with_config(configurable={"t": 0.3}).stream("Hi"))) > 1
    assert len(list(make(streaming=False).stream("Hi"))) == 1


def test_no_stop_sequences_are_traced_where_the_call_takes_them_off(make):
    model = make(stop=["a"])
    assert model._get_ls_params()["ls_stop"] == ["a"]
    assert "ls_stop" not in model._get_ls_params(stop=[])
    assert model._get_ls_params(max_completion_tokens=7)["ls_max_tokens"] == 7
