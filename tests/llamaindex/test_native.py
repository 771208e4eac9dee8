"""YandexLLM and YandexEmbedding on the native API: what only it has, and what it has not."""

import json

import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ImageBlock
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool

from llamaindex_yandex_compat import YandexEmbedding, YandexLLM
from yandex_compat import ConfigurationError, UnsupportedError

PATH = "/foundationModels/v1/completion"
PNG = bytes.fromhex("89504e470d0a1a0a")


@pytest.fixture
def native_words(words, emulator):
    return {**words, "api": "completion", "base_url": emulator.native_url}


@pytest.fixture
def native(native_words):
    return YandexLLM(**native_words)


def line(text, status):
    message = {"role": "assistant", "text": text}
    alternative = {"message": message, "status": f"ALTERNATIVE_STATUS_{status}"}
    return json.dumps({"result": {"alternatives": [alternative]}}) + "\n"


def test_a_correction_replaces_the_text(native, emulator):  # WIRE B6, D10
    lines = [line("one twu", "PARTIAL"), line("one two", "PARTIAL"), line("one two.", "FINAL")]
    emulator.script({"chunks": lines, "content_type": "application/json"})
    responses = list(native.stream_chat([ChatMessage("Hi")]))
    assert [response.message.content for response in responses] == [
        "one twu", "one two", "one two.", "one two.",
    ]  # fmt: skip
    assert [response.delta for response in responses] == ["one twu", "one two", ".", ""]


def test_what_the_answer_reports(native):  # WIRE B5
    raw = native.chat([ChatMessage("Hi")]).raw
    assert raw["model_version"] == "09.02.2025"
    assert all(type(number) is int for number in raw["usage"].values())


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_agent_calls_one_function_twice(native, emulator, streaming):  # WIRE B3, B4, D5
    ran = []

    def half(number: int) -> float:
        """Halve a number."""
        ran.append(number)
        return number / 2

    def call(number):
        return {"name": "half", "arguments": {"number": number}}

    emulator.script({"tool_calls": [call(4), call(6)]}, {"text": "2 and 3"})
    agent = FunctionAgent(llm=native, tools=[FunctionTool.from_defaults(half)], streaming=streaming)
    memory = ChatMemoryBuffer.from_defaults(token_limit=4000)
    assert str(await agent.run("Halve 4 and 6", memory=memory)) == "2 and 3"
    assert sorted(ran) == [4, 6]
    assert {type(number) for number in ran} == {int}
    sent = emulator.requests[-1]["body"]["messages"]
    assert [set(message) - {"role"} for message in sent] == [
        {"text"}, {"toolCallList"}, {"toolResultList"}, {"toolCallList"}, {"toolResultList"},
    ]  # fmt: skip


def test_an_index_by_the_native_api_alone(native, native_words, emulator):
    embedding = YandexEmbedding(**native_words, requests_per_second=0)
    documents = [Document(text=text) for text in ("Столица Франции — Париж.", "Кошки едят рыбу.")]
    index = VectorStoreIndex.from_documents(documents, embed_model=embedding)
    engine = index.as_query_engine(llm=native, similarity_top_k=1)
    assert "Париж" in str(engine.query("Столица Франции?"))
    paths = [record["path"].rpartition("/")[2] for record in emulator.requests]
    assert paths == ["textEmbedding"] * 3 + ["completion"]


def test_what_the_api_lacks_is_refused_before_any_request(native, native_words, emulator):
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        native.chat([ChatMessage("Hi")], temperature=1.5)
    with pytest.raises(UnsupportedError, match="image"):
        native.chat([ChatMessage(blocks=[ImageBlock(image=PNG, image_mimetype="image/png")])])
    with pytest.raises(UnsupportedError, match="chat API only"):
        YandexLLM(**native_words, model="gpt-oss-120b")
    assert emulator.requests == []
