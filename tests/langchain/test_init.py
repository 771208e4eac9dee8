"""Models by one text: ours by our prefix, all others as LangChain makes them (S9)."""

import sys

import pytest
from langchain_openai import ChatOpenAI

from langchain_yandex_compat import ChatYandex, init_chat_model
from yandex_compat import ConfigurationError

WORDS = {"api_key": "k", "folder_id": "f"}


@pytest.mark.parametrize(
    ("text", "provider", "model"),
    [
        ("yandex:yandexgpt", None, "yandexgpt"),
        ("yandex:yandexgpt/rc", None, "yandexgpt/rc"),
        ("yandex:gpt://f/gpt-oss-120b/latest", None, "gpt://f/gpt-oss-120b/latest"),
        ("gpt-oss-120b", "yandex", "gpt-oss-120b"),
        ("gpt://f/yandexgpt/latest", "yandex", "gpt://f/yandexgpt/latest"),
    ],
)
def test_ours_by_our_prefix(text, provider, model):
    made = init_chat_model(text, model_provider=provider, temperature=0.5, **WORDS)
    assert isinstance(made, ChatYandex)
    assert (made.model, made.temperature) == (model, 0.5)


@pytest.mark.parametrize(("text", "provider"), [("openai:gpt-5", None), ("gpt-5", "openai")])
def test_others_as_langchain_makes_them(text, provider):
    made = init_chat_model(text, model_provider=provider, api_key="k")
    assert isinstance(made, ChatOpenAI)
    assert made.model_name == "gpt-5"


def test_others_without_langchain_are_refused_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "langchain.chat_models", None)
    with pytest.raises(ConfigurationError, match=r"'openai:gpt-5'.*pip install langchain"):
        init_chat_model("openai:gpt-5")
    assert init_chat_model("yandex:yandexgpt", **WORDS).model == "yandexgpt"


def test_unknown_words_are_refused():
    with pytest.raises(ConfigurationError, match="temprature"):
        init_chat_model("yandex:yandexgpt", temprature=1, **WORDS)
