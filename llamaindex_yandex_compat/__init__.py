"""LlamaIndex models for Yandex Cloud AI Studio."""

from typing import TYPE_CHECKING

try:
    import llama_index.core as _llama_index_core  # noqa: F401
except ImportError as error:
    raise ImportError(
        "llamaindex_yandex_compat needs LlamaIndex: pip install 'yandex-compat[llamaindex]'"
    ) from error

from llamaindex_yandex_compat.llm import YandexLLM
from yandex_compat import __version__

if TYPE_CHECKING:
    from llamaindex_yandex_compat.embedding import YandexEmbedding

__all__ = ["YandexEmbedding", "YandexLLM", "__version__"]


if not TYPE_CHECKING:  # a type checker would then take any name

    def __getattr__(name: str) -> object:
        if name != "YandexEmbedding":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Who only chats does without.
        from llamaindex_yandex_compat.embedding import YandexEmbedding

        globals()[name] = YandexEmbedding
        return YandexEmbedding


def __dir__() -> list[str]:
    return __all__
