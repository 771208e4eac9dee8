"""No secret in any text of a model: shown, dumped, traced or complained about."""

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumps
from pydantic import SecretStr, ValidationError

from langchain_yandex_compat import ChatYandex, YandexEmbeddings
from yandex_compat import ApiKeyAuth, ConfigurationError, YandexError

SECRET = "AQVN-very-secret-key"
BOTH = pytest.mark.parametrize("kind", [ChatYandex, YandexEmbeddings])


def test_a_misspelt_word_is_named_and_its_value_is_not():
    with pytest.raises(ConfigurationError, match=r"'api_kye'.*'api_key'") as caught:
        ChatYandex(api_kye=SECRET, folder_id="f")
    assert SECRET not in repr(caught.value)


@pytest.mark.parametrize("value", [[SECRET], {"key": SECRET}, SECRET.encode()])
def test_a_key_of_the_wrong_kind_is_not_shown(value):
    with pytest.raises(ConfigurationError, match="api_key") as caught:
        ChatYandex(api_key=value, folder_id="f")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"temperature": "hot"}, {"max_retries": "many"}])
def test_no_secret_in_a_complaint_about_another_word(wrong):
    headers = {"X-Proxy": SECRET}
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- pydantic's own complaint
        ChatYandex(api_key=SECRET, folder_id="f", default_headers=headers, **wrong)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_no_secret_in_any_text_of_a_model(weather):
    headers = {"X-Proxy": SECRET + "-header"}
    model = ChatYandex(api_key=SECRET, folder_id="f", default_headers=headers)
    bound = model.bind_tools([weather]).with_config(tags=["t"])
    texts = [repr(model), str(model), dumps(model), repr(model._client), repr(bound), dumps(bound)]
    texts += [str(model._identifying_params), str(model._get_invocation_params())]
    texts += [str(model._get_ls_params()), str(model.model_dump())]
    assert not [text for text in texts if SECRET in text]


def test_no_secret_reaches_a_tracer(make, emulator):
    class Spy(BaseCallbackHandler):
        seen = ""

        def on_chat_model_start(self, serialized, messages, **kwargs):
            self.seen += f"{serialized}{kwargs}"

        def on_llm_error(self, error, **kwargs):
            self.seen += f"{error!r}{kwargs}"

    spy = Spy()
    emulator.script({"status": 401, "body": "Unknown key test-key"})
    model = make(default_headers={"X-Proxy": SECRET})
    with pytest.raises(YandexError):
        model.invoke("Hi", config={"callbacks": [spy]})
    assert "Unknown key ***" in spy.seen
    assert "test-key" not in spy.seen
    assert SECRET not in spy.seen


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
@pytest.mark.parametrize("word", ["api_key", "iam_token"])
@pytest.mark.parametrize("value", [[SECRET], {"key": SECRET}, SECRET.encode()])
def test_a_credential_of_the_wrong_kind_is_named_and_not_shown(kind, word, value):
    with pytest.raises(ConfigurationError, match=f"{word}.*SecretStr") as caught:
        kind(**{word: value, "folder_id": "f"})
    assert "AQVN" not in str(caught.value) + repr(caught.value)


@BOTH
def test_no_value_of_the_environment_is_shown(kind, monkeypatch):
    monkeypatch.setenv("YC_IAM_TOKEN", SECRET)
    model = kind(folder_id="f")
    assert model.iam_token == SecretStr(SECRET)
    assert not [text for text in shown(model) if SECRET in text]


def shown(model):
    """Every text that a model is seen as."""
    texts = [repr(model), str(model), str(model.model_dump()), model.model_dump_json()]
    texts += [dumps(model), repr(model._client), str(vars(model))]
    if isinstance(model, ChatYandex):
        texts += [str(model.to_json()), str(model._identifying_params), model._get_llm_string()]
        texts += [str(model._get_invocation_params()), str(model._get_ls_params())]
    return texts


@BOTH
@pytest.mark.parametrize("word", ["api_key", "iam_token"])
@pytest.mark.parametrize("given", [SECRET, SecretStr(SECRET)])
@pytest.mark.parametrize("way", ["construction", "assignment", "copy"])
def test_a_credential_is_shown_nowhere_whichever_way_it_came(kind, word, given, way):
    model = kind(**{word: given if way == "construction" else "old"}, folder_id="f")
    if way == "assignment":
        setattr(model, word, given)
    if way == "copy":
        model = model.model_copy(update={word: given})
    assert getattr(model, word).get_secret_value() == SECRET
    assert not [text for text in shown(model) if SECRET in text]


@BOTH
def test_an_auth_of_one_s_own_and_headers_are_shown_nowhere(kind):
    headers = {"X-Token": SECRET}
    model = kind(auth=ApiKeyAuth(SECRET), folder_id="f", default_headers=headers)
    # `vars` shows every object's insides; nobody prints it by accident.
    assert not [text for text in shown(model)[:6] if SECRET in text]


@pytest.mark.parametrize(
    ("word", "name"), [("api_key", "YC_API_KEY"), ("iam_token", "YC_IAM_TOKEN")]
)
def test_a_dump_names_the_variable_of_the_environment(word, name):
    model = ChatYandex(**{word: SECRET}, folder_id="f")
    assert model.lc_secrets[word] == name
    assert model.to_json()["kwargs"][word] == {"lc": 1, "type": "secret", "id": [name]}
