"""The formats of embeddings: one text a request."""

import json

import pytest

from yandex_compat import ConfigurationError, Embedding, MalformedAnswer, RateLimitError
from yandex_compat.wires import embeddings, text_embedding


def test_body():  # WIRE Endpoints
    assert embeddings.encode("text", "emb://f/text-search-doc/latest") == {
        "model": "emb://f/text-search-doc/latest",
        "input": ["text"],
        "encoding_format": "float",
    }


@pytest.mark.parametrize(
    ("rest", "tokens"),
    [
        ({"usage": {"prompt_tokens": 3}}, 3),
        ({}, None),
        ({"usage": None}, None),
        ({"usage": {}}, None),
    ],
)
def test_answer(rest, tokens):
    data = {"object": "list", "data": [{"index": 0, "embedding": [1, -0.5]}], **rest}
    assert embeddings.decode(json.dumps(data).encode()) == Embedding([1.0, -0.5], tokens)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"data": []}',
        b'{"data": [null]}',
        b'{"data": [{}]}',
        b'{"data": [{"embedding": null}]}',
        b'{"data": [{"embedding": [[1]]}]}',
        b'{"data": [{"embedding": ["x"]}]}',
        b'{"data": [{"embedding": [1]}], "usage": [1]}',
        b'{"data": [{"embedding": [1]}], "usage": {"prompt_tokens": "x"}}',
        b'{"data": [{"embedding": [1]}], "usage": {"prompt_tokens": 1e999}}',
        b'{"data": [{"embedding": []}]}',
        b'{"data": [{"embedding": "123"}]}',
        b'{"data": [{"embedding": {"1": 2}}]}',
        b'{"data": [{"embedding": ["1"]}]}',
        b'{"data": [{"embedding": [1, null]}]}',
        b'{"data": [{"embedding": [NaN]}]}',
        b'{"data": [{"embedding": [-Infinity]}]}',
        b'{"data": [{"embedding": [1e999]}]}',
        b'{"data": [{"embedding": [1' + b"0" * 400 + b"]}]}",
    ],
)
def test_what_holds_no_vector_is_malformed(data):
    with pytest.raises(MalformedAnswer, match="embedding"):
        embeddings.decode(data)


def test_an_error_inside_a_200():  # WIRE C
    with pytest.raises(RateLimitError, match="quota"):
        embeddings.decode(b'{"error":{"message":"quota","httpCode":429}}')


@pytest.mark.parametrize("text", [None, 5, b"text", ["text"]])
def test_what_is_no_text_is_refused_unsent(text):
    with pytest.raises(ConfigurationError, match=type(text).__name__):
        embeddings.encode(text, "emb://f/text-search-doc/latest")


# The native format.

NATIVE = {"embedding": [0.5, -1, 2.0], "numTokens": "3", "modelVersion": "06.12.2023"}


def test_a_native_request_is_a_text_and_a_model():
    uri = "emb://f/text-search-doc/latest"
    assert text_embedding.encode("Привет", uri) == {"modelUri": uri, "text": "Привет"}
    with pytest.raises(ConfigurationError, match="list"):
        text_embedding.encode(["a"], uri)


def test_a_native_answer_counts_in_texts():
    told = text_embedding.decode(json.dumps(NATIVE).encode())
    assert told == Embedding([0.5, -1.0, 2.0], 3)
    assert text_embedding.decode(b'{"embedding": [1]}') == Embedding([1.0])


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"embedding": []}', b'{"embedding": ["a"]}', b'{"embedding": [null]}'],
)
def test_a_native_answer_without_a_vector_is_malformed(data):
    with pytest.raises(MalformedAnswer):
        text_embedding.decode(data)


def test_a_native_error_inside_a_200_is_typed():  # WIRE C
    with pytest.raises(RateLimitError):
        text_embedding.decode(b'{"error": {"grpcCode": 8, "httpCode": 429, "message": "quota"}}')
