"""YandexEmbeddings: vectors of documents and of queries, each from the model made for it."""

from langchain_core.embeddings import Embeddings

from langchain_yandex_compat.connection import YandexConnection
from langchain_yandex_compat.errors import langchain_errors
from yandex_compat.vectorization import Vectorization


class YandexEmbeddings(Vectorization, YandexConnection, Embeddings):
    """Embeddings of Yandex Cloud AI Studio: 256 numbers a text, 2,000 tokens of input at most.

    Documents go to `model` and queries to `query_model`, one text a request, a few at once (WIRE
    Endpoints). Raises what ChatYandex raises.
    """

    def _check_words(self) -> None:
        for model in (self.model, self.query_model):
            self._client.check_embedding_model(model)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector a text, in order; no request for no texts."""
        with langchain_errors():
            found = self._client.embed_all(texts, model=self.model)
        return [embedding.vector for embedding in found]

    def embed_query(self, text: str) -> list[float]:
        """The vector of one query."""
        with langchain_errors():
            return self._client.embed(text, model=self.query_model).vector

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector a text, in order; no request for no texts."""
        with langchain_errors():
            found = await self._client.aembed_all(texts, model=self.model)
        return [embedding.vector for embedding in found]

    async def aembed_query(self, text: str) -> list[float]:
        """The vector of one query."""
        with langchain_errors():
            return (await self._client.aembed(text, model=self.query_model)).vector
