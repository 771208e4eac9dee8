import pytest
from llama_index.core import (
    Document,
    VectorStoreIndex,
)
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.selectors import PydanticSingleSelector
from llama_index.core.tools import QueryEngineTool

from llamaindex_yandex_compat import YandexLLM
from yandex_compat import AuthenticationError, ContextOverflowError

DOCUMENTS = ["Столица Франции — Париж.", "Байкал — самое глубокое озеро.", "Кошки любят рыбу."]


@pytest.fixture
def index(embedding):
    return VectorStoreIndex.from_documents(
        [Document(text=text) for text in DOCUMENTS],
        embed_model=embedding,
        transformations=[SentenceSplitter(chunk_size=256)],
    )


def embeddings_of(bodies):
    return [body["model"].split("/")[3] for body in bodies("/v1/embeddings")]


@pytest.mark.parametrize("mode", ["sync", "async", "streaming", "async streaming"])
async def test_a_query_engine_end_to_end(llm, index, emulator, bodies, mode):
    emulator.script({"text": "Париж, конечно."})
    engine = index.as_query_engine(llm=llm, similarity_top_k=2, streaming="streaming" in mode)
    if "async" in mode:
        response = await engine.aquery("Столица Франции?")
    else:
        response = engine.query("Столица Франции?")
    if mode == "streaming":
        assert "".join(response.response_gen) == "Париж, конечно."
    elif mode == "async streaming":
        assert "".join([text async for text in response.response_gen]) == "Париж, конечно."
    else:
        assert str(response) == "Париж, конечно."
    assert len(response.source_nodes) == 2
    assert embeddings_of(bodies) == ["text-search-doc"] * 3 + ["text-search-query"]
    [body] = bodies()
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert "Столица Франции?" in body["messages"][1]["content"]


def test_an_index_built_async_has_the_same_vectors(embedding, index):
    documents = [Document(text=text) for text in DOCUMENTS]
    other = VectorStoreIndex.from_documents(documents, embed_model=embedding, use_async=True)

    def vectors(index):
        return sorted(index.vector_store.data.embedding_dict.values())

    assert vectors(other) == vectors(index)


@pytest.mark.parametrize(
    "mode", [ResponseMode.COMPACT, ResponseMode.REFINE, ResponseMode.TREE_SUMMARIZE]
)
@pytest.mark.parametrize("streaming", [True, False])
def test_an_unknown_key_raises_and_is_no_empty_response(words, index, mode, streaming):  # T4
    llm = YandexLLM(**{**words, "api_key": "wrong"}, max_retries=0)
    engine = index.as_query_engine(llm=llm, response_mode=mode, streaming=streaming)

    def ask():
        response = engine.query("Столица?")
        return "".join(response.response_gen) if streaming else str(response)

    with pytest.raises(AuthenticationError):
        ask()


def test_any_error_raises_and_is_no_empty_response(llm, index, emulator):  # T4
    emulator.script({"status": 400, "body": {"error": {"message": "maximum context length is 8"}}})
    with pytest.raises(ContextOverflowError):
        index.as_query_engine(llm=llm).query("Столица?")


@pytest.mark.parametrize("max_tokens", [None, 8_000, 32_000])
def test_engines_work_whatever_max_tokens_is(words, index, max_tokens):
    llm = YandexLLM(**words, model="llama", max_tokens=max_tokens)
    assert str(index.as_query_engine(llm=llm).query("Столица?"))


def test_use_async_inside_a_sync_query(llm, index):
    engine = index.as_query_engine(
        llm=llm, response_mode=ResponseMode.TREE_SUMMARIZE, use_async=True
    )
    assert str(engine.query("Столица?"))
    assert str(engine.query("Столица?"))


def buffer():
    # The default memory opens a database of SQLite and never closes it.
    return ChatMemoryBuffer.from_defaults(token_limit=4000)


@pytest.mark.parametrize("mode", ["best", "condense_plus_context", "context", "condense_question"])
@pytest.mark.parametrize("streaming", [True, False])
def test_chat_engines_over_two_turns(llm, index, emulator, mode, streaming):
    engine = index.as_chat_engine(llm=llm, chat_mode=mode, memory=buffer())
    answers = []
    for question in ("Столица Франции?", "А Италии?"):
        if streaming:
            answers.append("".join(engine.stream_chat(question).response_gen))
        else:
            answers.append(str(engine.chat(question)))
    assert all(answers)
    assert len(engine.chat_history) == 4
    assert engine.chat_history[-1].content == answers[-1]


@pytest.mark.parametrize("streaming", [True, False])
async def test_async_chat_engines(llm, streaming):
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=buffer())
    for question in ("Привет", "Ещё раз"):
        if streaming:
            response = await engine.astream_chat(question)
            answer = "".join([text async for text in response.async_response_gen()])
        else:
            answer = str(await engine.achat(question))
        assert answer == f"You said: {question}"


def test_a_router_picks_by_function_calling(llm, index, emulator, bodies):
    tools = [
        QueryEngineTool.from_defaults(index.as_query_engine(llm=llm), name=name, description=name)
        for name in ("one", "two")
    ]
    selector = PydanticSingleSelector.from_defaults(llm=llm)
    engine = RouterQueryEngine(selector=selector, query_engine_tools=tools, llm=llm)
    emulator.script(
        {"tool_calls": [{"name": "SingleSelection", "arguments": {"index": 2, "reason": "x"}}]},
        {"text": "Париж"},
    )
    response = engine.query("Столица?")
    assert str(response) == "Париж"
    assert response.metadata["selector_result"].ind == 1
    assert bodies()[0]["tool_choice"] == "required"


def test_an_answer_that_a_filter_replaced_stands_beside_its_beginning_for_a_chat_engine(
    llm, emulator
):
    """Engines join deltas, which can't be taken back; `message.content` is the refusal alone."""
    emulator.script(
        {"text": "One two", "finish_reason": "content_filter", "replaced_by": "I can't."}
    )
    engine = SimpleChatEngine.from_defaults(llm=llm)
    assert "".join(engine.stream_chat("Hi").response_gen) == "One twoI can't."
