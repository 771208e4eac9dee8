"""YandexEmbedding: vectors of documents and of queries, each from the model made for it."""

from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding

from llamaindex_yandex_compat.connection import YandexConnection
from yandex_compat import ConfigurationError


class YandexEmbedding(YandexConnection, BaseEmbedding):
    """Embeddings of Yandex Cloud AI Studio: 256 numbers a text, 2,000 tokens of input at most.

    Documents go to `model` and queries to `query_model`, one text a request, in order (WIRE
    Endpoints). A batch is sent one text after another; async, the framework sends all batches
    together unless `num_workers` is above 1. Raises what YandexLLM raises.
    """

    model: str = "text-search-doc"
    """The model of documents: name, name and branch, or full `emb://` URI; also `model_name`."""
    query_model: str = "text-search-query"
    """The model of queries."""

    @classmethod
    def class_name(cls) -> str:
        """The name that `to_dict` writes."""
        return "YandexEmbedding"

    @classmethod
    def _prepared(cls, words: dict[str, Any]) -> dict[str, Any]:
        # The framework's own word, which its events show, stands for the model of documents.
        words = super()._prepared(words)
        names = {words[word] for word in ("model", "model_name") if words.get(word) is not None}
        if len(names) > 1:
            raise ConfigurationError("model and model_name differ: pass one of them.")
        name = names.pop() if names else cls.model_fields["model"].default
        return words | {"model": name, "model_name": name}

    def _check_model(self) -> None:
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
        return [self._get_text_embedding(text) for text in texts]

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        # The framework starts its batches together; each of them stays one request at a time.
        return [await self._aget_text_embedding(text) for text in texts]
