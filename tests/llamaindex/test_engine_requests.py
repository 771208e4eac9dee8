"""What each query engine and chat engine sends: how many requests, which first, with what."""

import asyncio
import itertools
import json
from collections import Counter

import pytest
from llama_index.core import (
    Document,
    PromptHelper,
    StorageContext,
    VectorStoreIndex,
    load_index_from_storage,
)
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import (
    CitationQueryEngine,
    RouterQueryEngine,
    SubQuestionQueryEngine,
)
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.selectors import (
    LLMSingleSelector,
    PydanticMultiSelector,
    PydanticSingleSelector,
)
from llama_index.core.tools import QueryEngineTool

from llamaindex_yandex_compat import YandexEmbedding, YandexLLM

FAMILIES = ("yandexgpt", "qwen3-235b-a22b-fp8")
FORMS = ("sync", "async", "streaming", "async streaming")
WHOLE = FORMS[:2]
CONTEXT = "Context information"
TEXTS = ["Столица Франции — Париж.", "Байкал — самое глубокое озеро.", "Кошки любят рыбу."]
QUESTION = "Столица Франции?"
FOLLOW_UP = "А Италии?"
STANDALONE = "Столица Италии?"


@pytest.fixture
def sent(emulator):
    """The requests in the order of their coming: of which kind each is, and its body."""

    def requests():
        emulator.settle()
        return [(kind_of(record), record["body"]) for record in emulator.requests]

    return requests


def kind_of(record):
    if record["path"] == "/v1/embeddings":
        return record["body"]["model"].split("/")[3].removeprefix("text-search-")
    return "stream" if record["body"].get("stream") else "chat"


@pytest.fixture
def index(embedding, emulator):
    """An index whose own requests are out of the log."""
    built = VectorStoreIndex.from_documents(
        [Document(text=text) for text in TEXTS], embed_model=embedding
    )
    emulator.clear()
    return built


@pytest.fixture
def tools(llm, embedding, emulator):
    """An engine over France and one over Baikal."""
    found = [
        QueryEngineTool.from_defaults(
            VectorStoreIndex.from_documents(
                [Document(text=text)], embed_model=embedding
            ).as_query_engine(llm=llm),
            name=name,
            description=f"About {name}",
        )
        for name, text in zip(("france", "baikal"), TEXTS, strict=False)
    ]
    emulator.clear()
    return found


def kinds(requests):
    return [kind for kind, _ in requests]


def chats(requests):
    return [body for kind, body in requests if kind in ("chat", "stream")]


def roles(body):
    return [message["role"] for message in body["messages"]]


def last(body):
    return body["messages"][-1]["content"]


def contexts(bodies):
    return [[text for text in TEXTS if text in last(body)] for body in bodies]


def asking(form):
    """The kind of the request that answers."""
    return "stream" if "streaming" in form else "chat"


async def query(engine, question, form):
    """The response, and its text."""
    response = await engine.aquery(question) if "async" in form else engine.query(question)
    return response, await text_of(response, form)


async def text_of(response, form):
    if form == "async streaming":
        return "".join([text async for text in response.async_response_gen()])
    return "".join(response.response_gen) if form == "streaming" else str(response)


async def chat(engine, question, form):
    method = {
        "sync": engine.chat,
        "async": engine.achat,
        "streaming": engine.stream_chat,
        "async streaming": engine.astream_chat,
    }[form]
    response = await method(question) if "async" in form else method(question)
    return await text_of(response, form)


def buffer():
    # The default memory opens a database of SQLite and never closes it.
    return ChatMemoryBuffer.from_defaults(token_limit=4000)


@pytest.mark.parametrize("mode", ["compact", "tree_summarize", "simple_summarize"])
@pytest.mark.parametrize("form", FORMS)
async def test_chunks_that_fit_go_out_together(llm, index, emulator, sent, mode, form):
    emulator.script({"text": "Париж, конечно."})
    engine = index.as_query_engine(
        llm=llm, similarity_top_k=3, response_mode=mode, streaming="streaming" in form
    )
    _, answer = await query(engine, QUESTION, form)
    assert answer == "Париж, конечно."
    requests = sent()
    assert kinds(requests) == ["query", asking(form)]
    assert requests[0][1]["input"] == [QUESTION]
    body = requests[1][1]
    assert roles(body) == ["system", "user"]
    assert last(body).startswith(CONTEXT)
    assert all(text in last(body) for text in [*TEXTS, f"Query: {QUESTION}"])


@pytest.mark.parametrize("form", FORMS)
async def test_refine_asks_once_a_chunk(llm, index, emulator, sent, form):
    emulator.script({"text": "Первый"}, {"text": "Второй"}, {"text": "Третий"})
    engine = index.as_query_engine(
        llm=llm, similarity_top_k=3, response_mode="refine", streaming="streaming" in form
    )
    response, answer = await query(engine, QUESTION, form)
    assert answer == "Третий"
    requests = sent()
    assert kinds(requests) == ["query"] + [asking(form)] * 3
    bodies = chats(requests)
    assert [roles(body) for body in bodies] == [["system", "user"], ["user"], ["user"]]
    assert contexts(bodies) == [[found.text] for found in response.source_nodes]
    assert last(bodies[0]).startswith(CONTEXT)
    assert "Original Answer: Первый\n" in last(bodies[1])
    assert "Original Answer: Второй\n" in last(bodies[2])


@pytest.mark.parametrize("form", WHOLE)
async def test_accumulate_asks_once_a_chunk_and_numbers_the_answers(llm, index, sent, form):
    engine = index.as_query_engine(llm=llm, similarity_top_k=3, response_mode="accumulate")
    # Unscripted: the emulator answers each from its own chunk, in whichever order they come.
    response, answer = await query(engine, "Столица, озеро, кошки?", form)
    assert answer.split("\n---------------------\n") == [
        f"Response {number}: {found.text}"
        for number, found in enumerate(response.source_nodes, start=1)
    ]
    requests = sent()
    assert kinds(requests) == ["query", "chat", "chat", "chat"]
    assert [roles(body) for body in chats(requests)] == [["system", "user"]] * 3
    assert sorted(contexts(chats(requests))) == sorted([text] for text in TEXTS)


@pytest.mark.parametrize("form", FORMS[2:])
async def test_accumulate_can_not_stream_and_asks_nothing(llm, index, sent, form):
    engine = index.as_query_engine(llm=llm, response_mode="accumulate", streaming=True)
    with pytest.raises(ValueError, match="stream"):
        await query(engine, QUESTION, form)
    assert kinds(sent()) == ["query"]


@pytest.mark.parametrize("form", FORMS)
async def test_generation_sends_the_question_alone(llm, index, emulator, sent, form):
    emulator.script({"text": "Париж"})
    engine = index.as_query_engine(
        llm=llm, response_mode="generation", streaming="streaming" in form
    )
    _, answer = await query(engine, QUESTION, form)
    assert answer == "Париж"
    requests = sent()
    assert kinds(requests) == ["query", asking(form)]
    assert requests[1][1]["messages"] == [{"role": "user", "content": QUESTION}]


@pytest.mark.parametrize("form", FORMS)
async def test_a_tree_of_two_leaves_streams_its_root_alone(words, emulator, sent, form):
    llm = YandexLLM(**words, context_window=2_000)
    emulator.script({"text": "Лист"}, {"text": "Лист"}, {"text": "Корень"})
    synthesizer = get_response_synthesizer(
        llm=llm,
        # llama-index-core 0.14.23 takes that of Settings, which knows of another window.
        prompt_helper=PromptHelper.from_llm_metadata(llm.metadata),
        response_mode="tree_summarize",
        streaming="streaming" in form,
    )
    nodes = [NodeWithScore(node=TextNode(text=f"{word} " * 1_000)) for word in ("one", "two")]
    if "async" in form:
        response = await synthesizer.asynthesize(QUESTION, nodes)
    else:
        response = synthesizer.synthesize(QUESTION, nodes)
    assert await text_of(response, form) == "Корень"
    requests = sent()
    assert kinds(requests) == ["chat", "chat", asking(form)]
    assert [roles(body) for body in chats(requests)] == [["system", "user"]] * 3
    leaves = " ".join(last(body) for body in chats(requests)[:2]).split()
    assert leaves.count("one") >= 1_000
    assert leaves.count("two") >= 1_000
    assert last(chats(requests)[2]).count("Лист") == 2


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize(
    ("mode", "asked", "form"),
    [
        *itertools.product(["compact", "tree_summarize", "simple_summarize"], [1], FORMS),
        *itertools.product(["generation"], [1], FORMS),
        *itertools.product(["refine"], [3], FORMS),
        *itertools.product(["accumulate"], [3], WHOLE),
    ],
)
async def test_max_tokens_above_a_small_window_leave_room_for_the_prompt(
    words, index, emulator, sent, model, mode, asked, form
):
    llm = YandexLLM(**words, model=model, context_window=2_000, max_tokens=8_000)
    emulator.script(*[{"text": "Париж"}] * asked)
    engine = index.as_query_engine(
        llm=llm, similarity_top_k=3, response_mode=mode, streaming="streaming" in form
    )
    _, answer = await query(engine, QUESTION, form)
    assert answer.endswith("Париж")
    assert kinds(sent()) == ["query"] + [asking(form)] * asked
    assert [body["max_completion_tokens"] for body in chats(sent())] == [8_000] * asked


@pytest.mark.parametrize("form", FORMS)
async def test_a_simple_chat_sends_the_history_and_embeds_nothing(llm, emulator, sent, form):
    emulator.script({"text": "Париж"}, {"text": "Рим"})
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=buffer())
    assert [await chat(engine, text, form) for text in (QUESTION, FOLLOW_UP)] == ["Париж", "Рим"]
    requests = sent()
    assert kinds(requests) == [asking(form)] * 2
    first, second = chats(requests)
    assert first["messages"] == [{"role": "user", "content": QUESTION}]
    assert second["messages"] == [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "Париж"},
        {"role": "user", "content": FOLLOW_UP},
    ]


@pytest.mark.parametrize("form", FORMS)
async def test_a_context_chat_retrieves_once_a_turn(llm, index, emulator, sent, form):
    emulator.script({"text": "Париж"}, {"text": "Рим"})
    engine = index.as_chat_engine(llm=llm, chat_mode="context", memory=buffer(), similarity_top_k=3)
    assert [await chat(engine, text, form) for text in (QUESTION, FOLLOW_UP)] == ["Париж", "Рим"]
    requests = sent()
    assert kinds(requests) == ["query", asking(form)] * 2
    assert [requests[place][1]["input"] for place in (0, 2)] == [[QUESTION], [FOLLOW_UP]]
    first, second = chats(requests)
    for body in (first, second):
        assert body["messages"][0]["role"] == "system"
        assert all(text in body["messages"][0]["content"] for text in TEXTS)
    assert first["messages"][1:] == [{"role": "user", "content": QUESTION}]
    assert second["messages"][1:] == [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "Париж"},
        {"role": "user", "content": FOLLOW_UP},
    ]


@pytest.mark.parametrize("form", FORMS)
async def test_condense_question_rewrites_a_follow_up_and_queries_with_it(
    llm, index, emulator, sent, form
):
    emulator.script({"text": "Париж"}, {"text": STANDALONE}, {"text": "Рим"})
    engine = index.as_chat_engine(llm=llm, chat_mode="condense_question", memory=buffer())
    assert [await chat(engine, text, form) for text in (QUESTION, FOLLOW_UP)] == ["Париж", "Рим"]
    requests = sent()
    assert kinds(requests) == ["query", asking(form), "chat", "query", asking(form)]
    assert [requests[place][1]["input"] for place in (0, 3)] == [[QUESTION], [STANDALONE]]
    first, condensing, second = chats(requests)
    assert roles(condensing) == ["user"]
    assert "<Standalone question>" in last(condensing)
    assert f"user: {QUESTION}\nassistant: Париж" in last(condensing)
    assert FOLLOW_UP in last(condensing)
    assert roles(first) == roles(second) == ["system", "user"]
    assert f"Query: {QUESTION}" in last(first)
    assert f"Query: {STANDALONE}" in last(second)


@pytest.mark.parametrize("mode", ["condense_plus_context", "best"])
@pytest.mark.parametrize("form", FORMS)
async def test_condense_plus_context_completes_whole_then_chats_with_the_history(
    llm, index, emulator, sent, mode, form
):
    emulator.script({"text": "Париж"}, {"text": STANDALONE}, {"text": "Рим"})
    engine = index.as_chat_engine(llm=llm, chat_mode=mode, memory=buffer(), similarity_top_k=3)
    assert [await chat(engine, text, form) for text in (QUESTION, FOLLOW_UP)] == ["Париж", "Рим"]
    requests = sent()
    assert kinds(requests) == ["query", asking(form), "chat", "query", asking(form)]
    assert [requests[place][1]["input"] for place in (0, 3)] == [[QUESTION], [STANDALONE]]
    first, condensing, second = chats(requests)
    assert roles(condensing) == ["user"]
    assert last(condensing).rstrip().endswith("Standalone question:")
    assert f"user: {QUESTION}\nassistant: Париж" in last(condensing)
    assert f"Follow Up Input: {FOLLOW_UP}" in last(condensing)
    for body in (first, second):
        assert body["messages"][0]["role"] == "system"
        assert all(text in body["messages"][0]["content"] for text in TEXTS)
    assert first["messages"][1:] == [{"role": "user", "content": QUESTION}]
    assert second["messages"][1:] == [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "Париж"},
        {"role": "user", "content": FOLLOW_UP},
    ]


TEXT_CHOICE = {"text": '```json\n[{"choice": 2, "reason": "a lake"}]\n```'}
CALLED_CHOICE = {
    "tool_calls": [{"name": "SingleSelection", "arguments": {"index": 2, "reason": "a lake"}}]
}
BOTH = {
    "tool_calls": [
        {
            "name": "MultiSelection",
            "arguments": {
                "selections": [{"index": 2, "reason": "a lake"}, {"index": 1, "reason": "a city"}]
            },
        }
    ]
}


@pytest.mark.parametrize("form", WHOLE)
@pytest.mark.parametrize(
    ("selector", "choice", "names", "tool_choice"),
    [
        (LLMSingleSelector, TEXT_CHOICE, [], None),
        (PydanticSingleSelector, CALLED_CHOICE, ["SingleSelection"], "required"),
    ],
)
async def test_a_router_selects_then_asks_the_selected_engine(
    llm, tools, emulator, sent, selector, choice, names, tool_choice, form
):
    emulator.script(choice, {"text": "Глубокое"})
    engine = RouterQueryEngine(selector.from_defaults(llm=llm), tools, llm=llm)
    response, answer = await query(engine, "Какое озеро?", form)
    assert answer == "Глубокое"
    assert response.metadata["selector_result"].ind == 1
    requests = sent()
    assert kinds(requests) == ["chat", "query", "chat"]
    selecting, answering = chats(requests)
    assert roles(selecting) == ["user"]
    assert "(1) About france\n\n(2) About baikal" in last(selecting)
    assert "Какое озеро?" in last(selecting)
    assert [each["function"]["name"] for each in selecting.get("tools", ())] == names
    assert selecting.get("tool_choice") == tool_choice
    assert "tools" not in answering
    assert contexts([answering]) == [[TEXTS[1]]]


def multi_router(llm, tools, emulator):
    emulator.script(BOTH, {"text": "Одно"}, {"text": "Другое"}, {"text": "Вместе"})
    return RouterQueryEngine(PydanticMultiSelector.from_defaults(llm=llm), tools, llm=llm)


def check_combined(requests, response):
    """The first and the last request of a router over several engines, whatever is between."""
    assert str(response) == "Вместе"
    assert response.metadata["selector_result"].inds == [1, 0]
    selecting, *_, combining = [body for _, body in requests]
    assert [each["function"]["name"] for each in selecting["tools"]] == ["MultiSelection"]
    assert selecting["tool_choice"] == "required"
    assert roles(combining) == ["system", "user"]
    assert all(text in last(combining) for text in ("multiple sources", "Одно", "Другое"))


def test_a_router_asks_the_selected_engines_in_turn_and_combines(llm, tools, emulator, sent):
    response = multi_router(llm, tools, emulator).query("Озеро и город?")
    requests = sent()
    check_combined(requests, response)
    # The engines share the query, and with it its vector.
    assert kinds(requests) == ["chat", "query", "chat", "chat", "chat"]
    assert contexts(chats(requests)[1:-1]) == [[TEXTS[1]], [TEXTS[0]]]


async def test_a_router_asks_the_selected_engines_at_once_and_combines(llm, tools, emulator, sent):
    response = await multi_router(llm, tools, emulator).aquery("Озеро и город?")
    requests = sent()
    check_combined(requests, response)
    assert Counter(kinds(requests)) == {"chat": 4, "query": 2}
    assert sorted(contexts(chats(requests)[1:-1])) == [[TEXTS[1]], [TEXTS[0]]]


SUB_QUESTIONS = [("france", "Какая столица?"), ("baikal", "Какое озеро?")]
ITEMS = [{"sub_question": text, "tool_name": name} for name, text in SUB_QUESTIONS]
GENERATED = {"text": f"```json\n{json.dumps({'items': ITEMS})}\n```"}


def sub_question_engine(llm, tools, emulator, *answers, use_async):
    emulator.script(GENERATED, *answers)
    return SubQuestionQueryEngine.from_defaults(
        tools,
        llm=llm,
        question_gen=LLMQuestionGenerator.from_defaults(llm=llm),
        use_async=use_async,
        verbose=False,
    )


def check_sub_questions(bodies, answers):
    generating, *answering, combining = bodies
    assert roles(generating) == ["user"]
    assert '"france": "About france"' in last(generating)
    assert "Сравни" in last(generating)
    for body in answering:
        assert roles(body) == ["system", "user"]
        [of] = [
            about
            for (_, text), about in zip(SUB_QUESTIONS, TEXTS[:2], strict=True)
            if text in last(body)
        ]
        assert contexts([body]) == [[of]]
    assert roles(combining) == ["system", "user"]
    assert "Query: Сравни" in last(combining)
    for (_, text), answer in zip(SUB_QUESTIONS, answers, strict=True):
        assert f"Sub question: {text}\nResponse: {answer}" in last(combining)


def test_sub_questions_are_asked_in_turn_and_their_answers_combined(llm, tools, emulator, sent):
    answers = ["Столица", "Озеро", "Несравнимо"]
    engine = sub_question_engine(
        llm, tools, emulator, *[{"text": text} for text in answers], use_async=False
    )
    assert str(engine.query("Сравни")) == "Несравнимо"
    requests = sent()
    assert kinds(requests) == ["chat", "query", "chat", "query", "chat", "chat"]
    assert [requests[place][1]["input"] for place in (1, 3)] == [
        [text] for _, text in SUB_QUESTIONS
    ]
    check_sub_questions(chats(requests), answers[:2])


def test_a_sub_question_that_fails_is_dropped_by_the_framework(llm, tools, emulator, sent):
    error = {"status": 401, "body": {"error": {"message": "Unknown api key"}}}
    engine = sub_question_engine(
        llm, tools, emulator, error, {"text": "Озеро"}, {"text": "Одно"}, use_async=False
    )
    assert str(engine.query("Сравни")) == "Одно"
    *_, combining = chats(sent())
    assert SUB_QUESTIONS[0][1] not in last(combining)
    assert f"Sub question: {SUB_QUESTIONS[1][1]}\nResponse: Озеро" in last(combining)


def test_sub_questions_are_asked_whole_and_their_combination_is_streamed(
    llm, tools, emulator, sent
):
    emulator.script(GENERATED, {"text": "Столица"}, {"text": "Озеро"}, {"text": "Несравнимо они"})
    engine = SubQuestionQueryEngine.from_defaults(
        tools,
        llm=llm,
        question_gen=LLMQuestionGenerator.from_defaults(llm=llm),
        response_synthesizer=get_response_synthesizer(llm=llm, streaming=True),
        use_async=False,
        verbose=False,
    )
    assert "".join(engine.query("Сравни").response_gen) == "Несравнимо они"
    assert kinds(sent()) == ["chat", "query", "chat", "query", "chat", "stream"]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_router_streams_what_the_selected_engine_streams(
    llm, embedding, emulator, sent, asynchronous
):
    streaming = [
        QueryEngineTool.from_defaults(
            VectorStoreIndex.from_documents(
                [Document(text=text)], embed_model=embedding
            ).as_query_engine(llm=llm, streaming=True),
            description=text,
        )
        for text in TEXTS[:2]
    ]
    emulator.clear()
    emulator.script(CALLED_CHOICE, {"text": "Глубокое озеро"})
    selector = PydanticSingleSelector.from_defaults(llm=llm)
    engine = RouterQueryEngine(selector, streaming, llm=llm)
    form = "async streaming" if asynchronous else "streaming"
    _, answer = await query(engine, "Какое озеро?", form)
    assert answer == "Глубокое озеро"
    assert kinds(sent()) == ["chat", "query", "stream"]


@pytest.mark.parametrize("form", WHOLE)
async def test_sub_questions_are_asked_at_once_and_each_keeps_its_answer(
    llm, tools, emulator, sent, form
):
    engine = sub_question_engine(llm, tools, emulator, use_async=True)
    # Unscripted: the emulator answers each from its own context, in whichever order they come.
    if form == "sync":
        response = await asyncio.to_thread(engine.query, "Сравни")
    else:
        response = await engine.aquery("Сравни")
    assert str(response)
    requests = sent()
    assert kinds(requests)[0] == kinds(requests)[-1] == "chat"
    assert Counter(kinds(requests)) == {"chat": 4, "query": 2}
    check_sub_questions(chats(requests), TEXTS[:2])


@pytest.mark.parametrize("form", FORMS)
async def test_a_citation_engine_numbers_its_sources(llm, index, emulator, sent, form):
    emulator.script({"text": "Париж [1]."})
    engine = CitationQueryEngine.from_args(
        index, llm=llm, similarity_top_k=3, streaming="streaming" in form
    )
    response, answer = await query(engine, QUESTION, form)
    assert answer == "Париж [1]."
    requests = sent()
    assert kinds(requests) == ["query", asking(form)]
    [body] = chats(requests)
    assert roles(body) == ["user"]
    assert f"Query: {QUESTION}\nAnswer:" in last(body)
    for number, found in enumerate(response.source_nodes, start=1):
        assert found.text.startswith(f"Source {number}:\n")
        assert found.text.strip() in last(body)
    assert len(response.source_nodes) == len(TEXTS)
    assert contexts([body]) == [TEXTS]


def verdict(satisfied, answer):
    arguments = {"query_satisfied": satisfied, "answer": answer}
    return {"tool_calls": [{"name": "StructuredRefineResponse", "arguments": arguments}]}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("mode", "verdicts"),
    [
        ("compact", [(True, "Париж")]),
        ("refine", [(False, "Не знаю"), (True, "Лион"), (True, "Париж")]),
    ],
)
async def test_an_answer_that_does_not_satisfy_is_not_refined(
    llm, index, emulator, sent, mode, verdicts, form
):
    emulator.script(*[verdict(*each) for each in verdicts])
    synthesizer = get_response_synthesizer(
        llm=llm,
        response_mode=mode,
        structured_answer_filtering=True,
        streaming="streaming" in form,
    )
    engine = index.as_query_engine(llm=llm, similarity_top_k=3, response_synthesizer=synthesizer)
    _, answer = await query(engine, QUESTION, form)
    assert answer == "Париж"
    requests = sent()
    assert kinds(requests) == ["query"] + [asking(form)] * len(verdicts)
    bodies = chats(requests)
    for body in bodies:
        assert [tool["function"]["name"] for tool in body["tools"]] == ["StructuredRefineResponse"]
        if form in WHOLE:
            assert body["tool_choice"] == "required"
    assert roles(bodies[0]) == ["system", "user"]
    if mode == "refine":
        assert [roles(body) for body in bodies[1:]] == [["system", "user"], ["user"]]
        assert "Original Answer: Лион" in last(bodies[2])
        assert not any("Не знаю" in last(body) for body in bodies)


@pytest.mark.parametrize("form", WHOLE)
async def test_no_satisfying_answer_is_an_empty_response(llm, index, emulator, sent, form):
    emulator.script(verdict(False, "Не знаю"))
    synthesizer = get_response_synthesizer(llm=llm, structured_answer_filtering=True)
    engine = index.as_query_engine(llm=llm, response_synthesizer=synthesizer)
    _, answer = await query(engine, QUESTION, form)
    assert answer == "Empty Response"
    assert kinds(sent()) == ["query", "chat"]


MANY = [f"text {number:02}" for number in range(12)]


@pytest.mark.parametrize("use_async", [False, True])
def test_an_index_is_built_with_one_request_a_text(embedding, sent, use_async):
    built = VectorStoreIndex.from_documents(
        [Document(text=text) for text in MANY], embed_model=embedding, use_async=use_async
    )
    requests = sent()
    assert kinds(requests) == ["doc"] * len(MANY)
    inputs = [text for _, body in requests for text in body["input"]]
    assert sorted(inputs) == MANY
    vectors = built.vector_store.data.embedding_dict
    nodes = built.docstore.docs
    assert {nodes[name].text: vector for name, vector in vectors.items()} == {
        text: embedding.get_text_embedding(text) for text in MANY
    }


@pytest.mark.parametrize("form", WHOLE)
async def test_a_retrieval_is_one_request_to_the_model_of_queries(index, embedding, sent, form):
    retriever = index.as_retriever(similarity_top_k=3)
    found = retriever.retrieve(QUESTION) if form == "sync" else await retriever.aretrieve(QUESTION)
    [(kind, body)] = sent()
    assert (kind, body["input"]) == ("query", [QUESTION])
    near = embedding.get_query_embedding(QUESTION)
    assert [node.text for node in found] == sorted(
        TEXTS, key=lambda text: -embedding.similarity(near, embedding.get_text_embedding(text))
    )


@pytest.mark.parametrize("form", FORMS)
async def test_a_persisted_index_is_queried_without_embedding_anew(
    llm, words, index, emulator, sent, tmp_path, form
):
    before = index.as_retriever(similarity_top_k=2).retrieve(QUESTION)
    index.storage_context.persist(tmp_path)
    emulator.clear()
    loaded = load_index_from_storage(
        StorageContext.from_defaults(persist_dir=str(tmp_path)),
        embed_model=YandexEmbedding(**words),
    )
    assert sent() == []
    emulator.script({"text": "Париж"})
    engine = loaded.as_query_engine(llm=llm, similarity_top_k=2, streaming="streaming" in form)
    response, answer = await query(engine, QUESTION, form)
    assert answer == "Париж"
    assert kinds(sent()) == ["query", asking(form)]
    assert [(found.node_id, found.score) for found in response.source_nodes] == [
        (found.node_id, found.score) for found in before
    ]
