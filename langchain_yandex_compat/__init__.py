"""LangChain models for Yandex Cloud AI Studio."""

from typing import TYPE_CHECKING

try:
    # Before all else of LangChain: in another order, its import takes a tenth longer.
    import langchain_core.language_models.chat_models as _chat_models  # noqa: F401
except ImportError as error:
    raise ImportError(
        "langchain_yandex_compat needs LangChain: pip install 'yandex-compat[langchain]'"
    ) from error

from langchain_yandex_compat.chat_model import ChatYandex
from langchain_yandex_compat.init import init_chat_model
from yandex_compat import __version__

if TYPE_CHECKING:
    from langchain_yandex_compat.embeddings import YandexEmbeddings

__all__ = ["ChatYandex", "YandexEmbeddings", "__version__", "init_chat_model"]


if not TYPE_CHECKING:  # a type checker would then take any name

    def __getattr__(name: str) -> object:
        if name != "YandexEmbeddings":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Who only chats does without.
        from langchain_yandex_compat.embeddings import YandexEmbeddings

        globals()[name] = YandexEmbeddings
        return YandexEmbeddings


def __dir__() -> list[str]:
    return __all__
