"""Both frameworks over llama.cpp's own OpenAI-compatible server, which nobody here wrote."""

import asyncio
import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from llama_index.core.prompts import PromptTemplate

from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexLLM
from yandex_compat import ContextOverflowError, InvalidRequestError, NotFoundError, YandexClient
from yandex_compat.emulator import Emulator
from yandex_compat.emulator.local_model import NAME
from yandex_compat.emulator.upstream import Upstream

pytestmark = pytest.mark.local

WITH_USAGE = {"stream_options": {"include_usage": True}}  # which the service takes no notice of


@pytest.fixture
def words(llama):
    connection = {"base_url": llama.url, "api_key": "x", "folder_id": "none", "max_retries": 0}
    return {**connection, "temperature": 0, "max_tokens": 60}


async def test_langchain_streams(words):
    model = ChatYandex(extra_body=WITH_USAGE, **words)
    for chunks in (
        await asyncio.to_thread(lambda: list(model.stream("Say hello to Tver.", max_tokens=6))),
        [chunk async for chunk in model.astream("Say hello to Tver.", max_tokens=6)],
    ):
        assert 2 <= len([chunk for chunk in chunks if chunk.text]) <= 6
        whole = sum(chunks[1:], chunks[0])
        assert whole.response_metadata["finish_reason"] == "length"
        assert whole.response_metadata["model_name"] == NAME
        assert whole.usage_metadata["output_tokens"] == 6


async def test_llama_index_streams(words):
    llm = YandexLLM(extra_body=WITH_USAGE, **words)
    grown = await asyncio.to_thread(lambda: list(llm.stream_complete("Say hello.", max_tokens=6)))
    asynchronous = [one async for one in await llm.astream_complete("Say hello.", max_tokens=6)]
    for answers in (grown, asynchronous):
        assert 2 <= len([one for one in answers if one.delta]) <= 6
        assert answers[-1].text == "".join(one.delta or "" for one in answers)
        assert answers[-1].additional_kwargs["completion_tokens"] == 6


def test_a_stream_without_usage_says_none(words):
    chunks = list(ChatYandex(**words).stream("Say hello to Tver.", max_tokens=3))
    assert [chunk.usage_metadata for chunk in chunks] == [None] * len(chunks)


def test_whole_answers(words):
    answer = ChatYandex(**words).invoke("Say hello to Tver.", max_tokens=6)
    assert answer.usage_metadata["output_tokens"] == 6
    assert YandexLLM(**words).complete("Say hello to Tver.", max_tokens=6).text == answer.text


def test_answers_keep_to_a_schema(words, city):
    model = ChatYandex(**words).with_structured_output(city)
    assert isinstance(model.invoke("Tell of a city."), city)
    prompt = PromptTemplate("Tell of the city {name}.")
    assert isinstance(YandexLLM(**words).structured_predict(city, prompt, name="Tver"), city)


def test_stop_cuts_on_the_client(words):
    answer = ChatYandex(**words).invoke("Count: one, two, three", stop=["two"])
    assert "two" not in answer.text
    assert answer.response_metadata["finish_reason"] == "stop"


def test_its_errors_are_understood(words):
    model = ChatYandex(**words)
    with pytest.raises(ContextOverflowError, match="9031 tokens"):
        model.invoke("word " * 9_000)
    schema = {"title": "odd", "type": "objekt"}
    format_ = {"type": "json_schema", "json_schema": {"name": "odd", "schema": schema}}
    with pytest.raises(InvalidRequestError, match="unrecognized type objekt"):
        model.invoke("Hi", extra_body={"response_format": format_})
    with pytest.raises(NotFoundError, match="base_url"):
        ChatYandex(**words | {"base_url": words["base_url"] + "/nowhere"}).invoke("Hi")


def test_its_models_are_listed(words):
    address = {word: words[word] for word in ("base_url", "api_key", "folder_id")}
    with YandexClient(**address) as client:
        assert [model.id for model in client.models()] == [NAME]


def get_weather(city: str) -> str:
    """Weather in a city."""
    return "Sunny"


# The model is small: three rounds to imitate, and the mark that opens a call.
TALK = [
    message
    for number, (city, weather) in enumerate([("Tver", "Sun"), ("Omsk", "Rain"), ("Perm", "Snow")])
    for message in (
        HumanMessage(f"What is the weather in {city}?"),
        AIMessage(
            "", tool_calls=[{"id": f"c{number}", "name": "get_weather", "args": {"city": city}}]
        ),
        ToolMessage(weather, tool_call_id=f"c{number}"),
        AIMessage(f"{weather} in {city}."),
    )
]
ASKED = [*TALK, HumanMessage("What is the weather in Kazan?"), AIMessage("<tool_call>\n")]


def test_a_tool_is_called(words, calling_llama):
    model = ChatYandex(**words | {"base_url": calling_llama.url}).bind_tools([get_weather])
    chunks = list(model.stream(ASKED))
    pieces = [piece for chunk in chunks for piece in chunk.tool_call_chunks]
    assert len(pieces) > 2  # its arguments come in many pieces, without ids but in the first
    for answer in (model.invoke(ASKED), sum(chunks[1:], chunks[0])):
        [call] = answer.tool_calls
        assert (call["name"], call["args"]) == ("get_weather", {"city": "Kazan"})
        assert call["id"]
        assert answer.response_metadata["finish_reason"] == "tool_calls"


def test_a_tool_is_called_through_the_emulator(words, calling_llama):
    with Emulator(upstream=Upstream(calling_llama.url, NAME)) as emulator:
        known = words | {"api_key": "test-key", "folder_id": "test-folder"}
        chat = ChatYandex(**known | {"base_url": emulator.chat_url})
        native = ChatYandex(**known | {"base_url": emulator.native_url}, api="completion")
        for model in (chat, native):
            [call] = model.bind_tools([get_weather]).invoke(ASKED).tool_calls
            assert (call["name"], call["args"]) == ("get_weather", {"city": "Kazan"})
        emulator.settle()
        sent = json.dumps([record["body"] for record in emulator.requests])
        assert sent.count("Kazan") == 2
