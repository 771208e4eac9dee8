"""Both frameworks over both APIs of the emulator, which speaks through a real model."""

import asyncio

import httpx
import pytest
from langchain_core.messages import HumanMessage
from llama_index.core.prompts import PromptTemplate

from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexLLM
from yandex_compat import CompletionRequest, ContextOverflowError, Message, YandexClient

pytestmark = pytest.mark.local

APIS = ("chat", "completion")
HELLO = "Say hello to Tver."
QWEN = "qwen3-235b-a22b-fp8"
# yandexgpt reports no usage in streams of the chat API (WIRE A3).
STREAMED = [("yandexgpt", "chat", False), (QWEN, "chat", True), ("yandexgpt", "completion", True)]


@pytest.mark.parametrize(("name", "api", "usage"), STREAMED)
async def test_langchain_streams(words, name, api, usage):
    model = ChatYandex(model=name, **words(api))
    for chunks in (
        await asyncio.to_thread(lambda: list(model.stream(HELLO, max_tokens=6))),
        [chunk async for chunk in model.astream(HELLO, max_tokens=6)],
    ):
        texts = [chunk.text for chunk in chunks if chunk.text]
        assert 2 <= len(texts) <= 6
        whole = sum(chunks[1:], chunks[0])
        assert whole.text == "".join(texts)
        assert whole.response_metadata["finish_reason"] == "length"
        assert (whole.usage_metadata or {}).get("output_tokens") == (6 if usage else None)


@pytest.mark.parametrize(("name", "api", "usage"), STREAMED)
async def test_llama_index_streams(words, name, api, usage):
    llm = YandexLLM(model=name, **words(api))
    grown = await asyncio.to_thread(lambda: list(llm.stream_complete(HELLO, max_tokens=6)))
    asynchronous = [one async for one in await llm.astream_complete(HELLO, max_tokens=6)]
    for answers in (grown, asynchronous):
        deltas = [one.delta for one in answers if one.delta]
        assert 2 <= len(deltas) <= 6
        assert answers[-1].text == "".join(deltas)
        assert answers[-1].additional_kwargs["finish_reason"] == "length"
        assert answers[-1].additional_kwargs.get("completion_tokens") == (6 if usage else None)


@pytest.mark.parametrize("api", APIS)
def test_a_whole_answer_and_its_usage(words, api):
    answer = ChatYandex(**words(api)).invoke(HELLO, max_tokens=6)
    assert answer.text
    assert answer.usage_metadata["output_tokens"] == 6
    assert answer.response_metadata["finish_reason"] == "length"


@pytest.mark.parametrize("api", APIS)
def test_answers_keep_to_a_schema(words, city, api):
    model = ChatYandex(**words(api)).with_structured_output(city)
    assert isinstance(model.invoke("Tell of a city."), city)
    llm = YandexLLM(**words(api))
    prompt = PromptTemplate("Tell of the city {name}.")
    assert isinstance(llm.structured_predict(city, prompt, name="Tver"), city)
    *_, last = llm.stream_structured_predict(city, prompt, name="Tver")
    assert isinstance(last, city)


@pytest.mark.parametrize("api", APIS)
def test_json_without_a_schema_is_an_object(words, api):
    model = ChatYandex(**words(api)).with_structured_output(
        {"title": "City", "type": "object", "properties": {"name": {"type": "string"}}},
        method="json_mode",
        include_raw=True,
    )
    answer = model.invoke("Name a city in JSON, as {name: …}.")
    assert answer["raw"].text.startswith("{")


@pytest.mark.parametrize("api", APIS)
def test_stop_cuts_on_the_client(words, api):
    answer = ChatYandex(**words(api)).invoke("Count: one, two, three", stop=["two"])
    assert "two" not in answer.text
    assert answer.response_metadata["finish_reason"] == "stop"


def test_stop_is_passed_on_to_the_model(speaking):
    body = {
        "model": "gpt://test-folder/yandexgpt/latest",
        "messages": [{"role": "user", "content": "Count: one, two, three"}],
        "temperature": 0,
        "max_tokens": 30,
        "stop": ["two"],
    }
    headers = {"Authorization": "Api-Key test-key"}
    url = f"{speaking.chat_url}/chat/completions"
    [choice] = httpx.post(url, json=body, headers=headers, timeout=60).json()["choices"]
    assert choice["finish_reason"] == "stop"
    assert "two" not in choice["message"]["content"]


def test_tokens_are_counted_as_the_model_reads_them(words):
    said = (Message("system", "Be short."), Message("user", "Скажи: привет, Tver 😀"))
    request = CompletionRequest(model="yandexgpt", messages=said, max_tokens=1)
    wanted = {"base_url", "api_key", "folder_id", "api", "max_retries"}
    with YandexClient(**{k: v for k, v in words("completion").items() if k in wanted}) as client:
        counted = len(client.tokenize_completion(request))
        assert counted == client.complete(request).usage.input_tokens
        tokens = client.tokenize("Hello, Tver", model="yandexgpt")
        assert "".join(token.text for token in tokens) == "Hello, Tver"
    model = ChatYandex(exact_token_counts=True, **words("chat"))
    asked = [HumanMessage(HELLO)]
    usage = model.invoke(asked, max_tokens=1).usage_metadata
    assert model.get_num_tokens_from_messages(asked) == usage["input_tokens"]


@pytest.mark.parametrize("api", APIS)
def test_more_than_the_model_can_read(words, api):
    with pytest.raises(ContextOverflowError, match="no more than 8192, got 90"):
        ChatYandex(**words(api)).invoke("word " * 9_000)
