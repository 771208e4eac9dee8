"""YandexEmbeddings: which model is asked for what, in which order."""

import pytest
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_yandex_compat import YandexEmbeddings
from yandex_compat import ConfigurationError


@pytest.fixture
def embeddings(emulator):
    return YandexEmbeddings(api_key="test-key", folder_id="test-folder", base_url=emulator.chat_url)


def test_documents_and_queries_go_to_their_own_models(embeddings, emulator):
    vectors = embeddings.embed_documents(["one", "two"])
    query = embeddings.embed_query("one")
    *documents, question = [
        (record["body"]["model"], record["body"]["input"]) for record in emulator.requests
    ]
    # Texts are asked for at once, and arrive in any order.
    assert sorted(documents) == [
        ("emb://test-folder/text-search-doc/latest", ["one"]),
        ("emb://test-folder/text-search-doc/latest", ["two"]),
    ]
    assert question == ("emb://test-folder/text-search-query/latest", ["one"])
    assert [len(vector) for vector in (*vectors, query)] == [256, 256, 256]
    assert {type(number) for number in query} == {float}


async def test_async_gives_the_same(embeddings):
    texts = ["one", "two"]
    assert await embeddings.aembed_documents(texts) == embeddings.embed_documents(texts)
    assert await embeddings.aembed_query("one") == embeddings.embed_query("one")


def test_no_texts_cost_no_request(embeddings, emulator):
    assert embeddings.embed_documents([]) == []
    assert emulator.requests == []


def test_the_text_that_answers_is_found(embeddings):
    store = InMemoryVectorStore(embeddings)
    store.add_texts(["Cats sleep all day.", "The train leaves at noon.", "Bread is made of flour."])
    (found,) = store.similarity_search("When does the train leave?", k=1)
    assert found.page_content == "The train leaves at noon."


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"model": "gpt://f/yandexgpt/latest"}, "gpt://"),
        ({"query_model": "no such name"}, "no such name"),
        ({"temperature": 1}, "temperature"),
        ({"folder_id": None}, "YC_FOLDER_ID"),
    ],
)
def test_wrong_words_are_told_at_construction(words, named):
    with pytest.raises(ConfigurationError, match=named):
        YandexEmbeddings(**{"api_key": "k", "folder_id": "f"} | words)
