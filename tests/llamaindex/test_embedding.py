import asyncio

import httpx
import pytest
from llama_index.core.storage.kvstore import SimpleKVStore

from llamaindex_yandex_compat import YandexEmbedding
from yandex_compat import AuthenticationError, InvalidRequestError

PATH = "/v1/embeddings"
TEXTS = [f"text {number}" for number in range(23)]


def test_documents_and_queries_go_to_their_models(embedding, bodies):
    document = embedding.get_text_embedding("same")
    query = embedding.get_query_embedding("same")
    assert len(document) == len(query) == 256
    assert document != query
    assert bodies(PATH) == [
        {
            "model": f"emb://test-folder/text-search-{kind}/latest",
            "input": ["same"],
            "encoding_format": "float",
        }
        for kind in ("doc", "query")
    ]


async def test_async_methods_give_the_same_vectors(embedding):
    assert await embedding.aget_text_embedding("a") == embedding.get_text_embedding("a")
    assert await embedding.aget_query_embedding("a") == embedding.get_query_embedding("a")


async def test_batches_keep_the_order_one_text_a_request(embedding, bodies):
    expected = [embedding.get_text_embedding(text) for text in TEXTS]
    assert embedding.get_text_embedding_batch(TEXTS) == expected
    assert await embedding.aget_text_embedding_batch(TEXTS) == expected
    sent = [body["input"] for body in bodies(PATH)]
    assert sent[: len(TEXTS)] == [[text] for text in TEXTS]
    for batch in (sent[len(TEXTS) : 2 * len(TEXTS)], sent[2 * len(TEXTS) :]):
        assert sorted(batch) == sorted([text] for text in TEXTS)


async def test_nothing_to_embed_is_no_request(embedding, emulator):
    assert embedding.get_text_embedding_batch([]) == []
    assert await embedding.aget_text_embedding_batch([]) == []
    assert emulator.requests == []


async def test_the_async_methods_leave_the_loop_free(embedding, emulator):
    emulator.script({"path": PATH, "status": 200, "gate": True, "body": {}})
    task = asyncio.create_task(embedding.aget_text_embedding_batch(["a"]))
    await asyncio.to_thread(emulator.wait_for_request)
    emulator.release()
    with pytest.raises(Exception, match="embedding"):
        await task


async def test_the_cache_does_not_mix_documents_and_queries(words, bodies):  # T6
    embedding = YandexEmbedding(**words, embeddings_cache=SimpleKVStore())
    plain = YandexEmbedding(**words)
    document = embedding.get_text_embedding("same")
    assert embedding.get_query_embedding("same") == plain.get_query_embedding("same") != document
    assert await embedding.aget_query_embedding("same") == plain.get_query_embedding("same")
    assert embedding.get_text_embedding("same") == document
    assert await embedding.aget_text_embedding_batch(["same"]) == [document]
    models = [body["model"].split("/")[3] for body in bodies(PATH)]
    assert models.count("text-search-doc") == 1


async def test_errors_pass_unchanged(words, embedding):
    wrong = YandexEmbedding(**{**words, "api_key": "wrong"}, max_retries=0)
    for ask in (wrong.get_text_embedding, wrong.get_query_embedding):
        with pytest.raises(AuthenticationError):
            ask("Hi")
    with pytest.raises(AuthenticationError):
        await wrong.aget_text_embedding_batch(TEXTS)
    with pytest.raises(InvalidRequestError):
        embedding.get_text_embedding("")


@pytest.mark.parametrize(("workers", "most"), [(None, 12), (2, 6)])
async def test_async_batches_go_side_by_side_as_many_as_there_are_workers(
    words, workers, most
):  # T7: four batches of three texts
    asking, at_once = [], []

    async def service(request: httpx.Request) -> httpx.Response:
        asking.append(request)
        at_once.append(len(asking))
        await asyncio.sleep(0.01)
        asking.remove(request)
        return httpx.Response(200, json={"data": [{"index": 0, "embedding": [1.0]}]})

    async with httpx.AsyncClient(transport=httpx.MockTransport(service)) as client:
        embedding = YandexEmbedding(
            **words,
            requests_per_second=0,
            http_async_client=client,
            num_workers=workers,
            embed_batch_size=3,
        )
        await embedding.aget_text_embedding_batch([str(number) for number in range(12)])
    assert max(at_once) == most
