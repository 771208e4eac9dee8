"""LangChain models for Yandex Cloud AI Studio."""

try:
    import langchain_core as _langchain_core  # noqa: F401
except ImportError as error:
    raise ImportError(
        "langchain_yandex_compat needs LangChain: pip install 'yandex-compat[langchain]'"
    ) from error

from langchain_yandex_compat.chat_model import ChatYandex
from langchain_yandex_compat.embeddings import YandexEmbeddings
from langchain_yandex_compat.init import init_chat_model
from yandex_compat import __version__

__all__ = ["ChatYandex", "YandexEmbeddings", "__version__", "init_chat_model"]
