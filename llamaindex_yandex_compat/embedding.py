"""YandexEmbedding: vectors of documents and of queries, each from the model made for it."""

from collections.abc import Mapping
from typing import Any, Self

from llama_index.core.base.embeddings.base import BaseEmbedding

from llamaindex_yandex_compat.connection import YandexConnection
from yandex_compat import ConfigurationError
from yandex_compat.vectorization import Vectorization

_NAMES = ("model", "model_name")
_ONE_WORD = dict.fromkeys(_NAMES, _NAMES)


class YandexEmbedding(Vectorization, YandexConnection, BaseEmbedding):
    """Embeddings of Yandex Cloud AI Studio: 256 numbers a text, 2,000 tokens of input at most.

    Documents go to `model`, which is also `model_name`, and queries to `query_model`, one text a
    request (WIRE Endpoints). Of a batch, a few texts are sent at once; async, the framework sends
    all batches together unless `num_workers` is above 1. Raises what YandexLLM raises.
    """

    @classmethod
    def class_name(cls) -> str:
        """The name that `to_dict` writes."""
        return "YandexEmbedding"

    @classmethod
    def _prepared(cls, words: dict[str, Any]) -> dict[str, Any]:
        # The framework's own word, which its events show, stands for the model of documents.
        words = super()._prepared(words)
        name = words.get("model", words.get("model_name", cls.model_fields["model"].default))
        if words.get("model_name", name) != name:
            raise ConfigurationError("model and model_name differ: pass one of them.")
        return words | {"model": name, "model_name": name}

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 -- any field's value
        for both in _ONE_WORD.get(name, (name,)):
            super().__setattr__(both, value)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other words, `model` and `model_name` being one."""
        named = {
            both: value
            for name, value in (update or {}).items()
            for both in _ONE_WORD.get(name, (name,))
        }
        return super().model_copy(update=named, deep=deep)

    def _check_words(self) -> None:
        for model in (self.model, self.query_model):
            self._client.check_embedding_model(model)

    def to_payload(self) -> dict[str, Any]:
        """What events carry: the framework's own words and both models."""
        models = {"model_name": self.model, "query_model": self.query_model}
        return {**super().to_payload(), **models}

    def get_query_embedding(self, query: str) -> list[float]:
        """The vector of one query, past the cache.

        The cache knows a text by itself alone: it would answer with the document's vector.
        """
        return super(YandexEmbedding, self._uncached()).get_query_embedding(query)

    async def aget_query_embedding(self, query: str) -> list[float]:
        """The vector of one query, past the cache, as `get_query_embedding` does."""
        return await super(YandexEmbedding, self._uncached()).aget_query_embedding(query)

    def _uncached(self) -> "YandexEmbedding":
        if self.embeddings_cache is None:
            return self
        return self.model_copy(update={"embeddings_cache": None})

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._client.embed(query, model=self.query_model).vector

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return (await self._client.aembed(query, model=self.query_model)).vector

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._client.embed(text, model=self.model).vector

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._client.aembed(text, model=self.model)).vector

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return [found.vector for found in self._client.embed_all(texts, model=self.model)]

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        found = await self._client.aembed_all(texts, model=self.model)
        return [embedding.vector for embedding in found]
