"""LlamaIndex models for Yandex Cloud AI Studio."""

try:
    import llama_index.core as _llama_index_core  # noqa: F401
except ImportError as error:
    raise ImportError(
        "llamaindex_yandex_compat needs LlamaIndex: pip install 'yandex-compat[llamaindex]'"
    ) from error

from llamaindex_yandex_compat.embedding import YandexEmbedding
from llamaindex_yandex_compat.llm import YandexLLM
from yandex_compat import __version__

__all__ = ["YandexEmbedding", "YandexLLM", "__version__"]
