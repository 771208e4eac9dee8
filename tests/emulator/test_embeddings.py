"""Vectors that make retrieval work, and one text a request."""

import math

import pytest

DOC, QUERY = (f"emb://test-folder/text-search-{kind}/latest" for kind in ("doc", "query"))
CORPUS = [
    "Orders can be returned for a refund within fourteen days after delivery.",
    "Our office is open from nine to six on weekdays.",
    "The battery lasts ten hours and charges by cable.",
    "Кошки спят по шестнадцать часов в день.",
    "Доставка по Москве занимает два дня.",
    "Anna Petrova leads the billing team in Kazan.",
]
QUESTIONS = {
    "How do I get a refund?": 0,
    "When is the office open?": 1,
    "battery life and charging": 2,
    "Сколько спит кошка?": 3,
    "Сколько занимает доставка в Москву?": 4,
    "Who leads billing?": 5,
}


@pytest.fixture
def embed(client):
    def embed(text, model=DOC, **fields):
        return client.post("/embeddings", json={"model": model, "input": text, **fields})

    return embed


def vector_of(answer):
    return answer.json()["data"][0]["embedding"]


def cosine(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_shape(embed):
    body = embed("Hello").json()
    assert body["object"] == "list"
    [entry] = body["data"]
    assert entry["index"] == 0
    assert len(entry["embedding"]) == 256
    assert math.hypot(*entry["embedding"]) == pytest.approx(1)
    assert embed(["Hello"]).json() == body


@pytest.mark.parametrize(("question", "place"), QUESTIONS.items())
def test_a_query_lies_closest_to_its_answer(embed, question, place):
    documents = [vector_of(embed(text)) for text in CORPUS]
    query = vector_of(embed(question, QUERY))
    scores = [cosine(query, document) for document in documents]
    assert scores.index(max(scores)) == place


def test_document_and_query_of_one_text_differ_a_little(embed):
    one, other = vector_of(embed("Hello there")), vector_of(embed("Hello there", QUERY))
    assert one != other
    assert 0.9 < cosine(one, other) < 0.999


@pytest.mark.parametrize(
    "fields",
    [
        {"input": ["one", "two"]},
        {"input": []},
        {"input": ""},
        {"input": [[1, 2]]},
        {"input": "word " * 2_001},
        {"input": "x", "encoding_format": "base64"},
        {"input": "x", "dimensions": 128},
        {"input": "x", "surprise": 1},
        {"input": "x", "model": "gpt://test-folder/yandexgpt/latest"},
        {"input": "x", "model": "emb://other/text-search-doc/latest"},
        {"input": "x", "model": "text-search-doc"},
    ],
)
def test_400(client, fields):
    answer = client.post("/embeddings", json={"model": DOC} | fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("text", ["?!", "и в на", "word " * 2_000])
def test_every_text_has_a_direction(embed, text):
    assert math.hypot(*vector_of(embed(text))) == pytest.approx(1)


def test_a_script_for_embeddings(embed, ask, emulator):
    emulator.script({"status": 429, "path": "/v1/embeddings", "body": {"error": "slow down"}})
    assert ask().status_code == 200
    assert embed("Hello").status_code == 429
    assert embed("Hello").status_code == 200
