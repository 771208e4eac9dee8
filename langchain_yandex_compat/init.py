"""A model by one text, as settings hold it: LangChain's own function knows its own providers only.

It even takes "gpt-oss-120b" for OpenAI's (S9).
"""

from typing import Any

from langchain_core.language_models import BaseChatModel

from langchain_yandex_compat.chat_model import ChatYandex
from langchain_yandex_compat.messages import PROVIDER
from yandex_compat import ConfigurationError


def init_chat_model(
    model: str, *, model_provider: str | None = None, **words: Any
) -> BaseChatModel:
    """ChatYandex for "yandex:NAME", and for any other text what LangChain's own function makes.

    `words` are those of the model's constructor. Raises ConfigurationError where the text names
    another provider and `langchain` is not installed.
    """
    provider, colon, name = model.partition(":")
    if model_provider is None and colon and provider == PROVIDER:
        model, model_provider = name, PROVIDER
    if model_provider == PROVIDER:
        ChatYandex._veil(words)  # this frame holds them as well
        return ChatYandex(model=model, **words)
    try:
        from langchain.chat_models import init_chat_model as of_other_providers
    except ImportError:
        raise ConfigurationError(
            f"model={model!r} is none of {PROVIDER}:NAME, and other providers need LangChain: "
            f"pip install langchain."
        ) from None
    made: BaseChatModel = of_other_providers(model, model_provider=model_provider, **words)
    return made
