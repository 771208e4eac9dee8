"""One model under many event loops, threads, processes and copies, and in ingestion pipelines."""

import asyncio
import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.llms import ChatMessage
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import BaseNode, TextNode
from pydantic import BaseModel

from llamaindex_yandex_compat import YandexEmbedding, YandexLLM
from yandex_compat import ApiKeyAuth, YandexClient

HELLO = [ChatMessage("Привет, мир")]
SAID = "You said: Привет, мир"
PATH = "/v1/embeddings"
NODES = [f"text {number}" for number in range(7)]
BOTH = pytest.mark.parametrize("kind", [YandexLLM, YandexEmbedding])


async def used(model: YandexLLM | YandexEmbedding) -> Any:
    """Have either kind of model ask the service something, whole and streamed."""
    if isinstance(model, YandexEmbedding):
        return await model.aget_query_embedding("Hi"), await model.aget_text_embedding("Hi")
    streamed = [response async for response in await model.astream_chat(HELLO)]
    return (await model.achat(HELLO)).message.content, streamed[-1].message.content


@BOTH
def test_one_event_loop_after_another(kind, words):
    model = kind(**words)
    assert len({str(asyncio.run(used(model))) for _ in range(3)}) == 1


@BOTH
def test_event_loops_of_several_threads(kind, words):
    model = kind(**words)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: str(asyncio.run(used(model))), range(8)))
    assert len(set(answers)) == 1


def test_threads_do_not_mix_their_answers(llm):
    def said(number: int) -> tuple[str | None, str]:
        text = f"number {number}"
        streamed = list(llm.stream_chat([ChatMessage(text)]))[-1].message.content
        return streamed, asyncio.run(llm.acomplete(text)).text

    with ThreadPoolExecutor(4) as pool:
        for number, answers in enumerate(pool.map(said, range(8))):
            assert answers == (f"You said: number {number}",) * 2


def test_a_stream_opened_here_is_read_in_another_thread(llm):
    """As chat engines do."""
    found: list[Any] = []
    stream = llm.stream_chat(HELLO)
    thread = threading.Thread(target=lambda: found.extend(stream))
    thread.start()
    thread.join()
    assert found[-1].message.content == SAID


@pytest.mark.parametrize("way", ["default", "function", "llm"])
async def test_async_methods_never_block_the_loop(llm, embedding, emulator, monkeypatch, way):
    """None of them goes by the blocking methods of the client, as the framework's own would."""

    class Word(BaseModel):
        text: str

    for method in ("complete", "stream", "embed", "embed_all"):
        monkeypatch.setattr(YandexClient, method, lambda *_, **__: pytest.fail("it blocks"))
    said = {"text": '{"text": "a"}'}
    if way == "function":
        said = {"tool_calls": [{"name": "Word", "arguments": {"text": "a"}}]}
    emulator.script(said, said)
    llm.pydantic_program_mode = way
    asked = (Word, PromptTemplate("Say a"))
    assert await llm.astructured_predict(*asked) == Word(text="a")
    assert [one async for one in await llm.astream_structured_predict(*asked)][-1] == Word(text="a")
    assert (await llm.acomplete("Hi")).text
    assert [one async for one in await llm.astream_complete("Hi")][-1].text
    assert (await llm.achat(HELLO)).message.content
    assert [one async for one in await llm.astream_chat(HELLO)][-1].message.content
    assert await embedding.aget_text_embedding("a")
    assert await embedding.aget_query_embedding("a")
    assert await embedding.aget_text_embedding_batch(["a", "b"])


class _Stream(NamedTuple):
    """A way to begin a stream, and whether it is an async one."""

    begin: Callable[[YandexLLM], Any]
    asynchronous: bool


def _streams() -> dict[str, _Stream]:
    prompt = PromptTemplate("Hi")
    return {
        "stream_chat": _Stream(lambda llm: llm.stream_chat(HELLO), False),
        "stream_complete": _Stream(lambda llm: llm.stream_complete("Hi"), False),
        "stream_structured_predict": _Stream(
            lambda llm: llm.stream_structured_predict(FreeForm, prompt), False
        ),
        "astream_chat": _Stream(lambda llm: llm.astream_chat(HELLO), True),
        "astream_complete": _Stream(lambda llm: llm.astream_complete("Hi"), True),
        "astream_structured_predict": _Stream(
            lambda llm: llm.astream_structured_predict(FreeForm, prompt), True
        ),
    }


class FreeForm(BaseModel):
    text: str = ""


@pytest.mark.parametrize("name", _streams())
async def test_a_closed_stream_closes_the_client_s(qwen, emulator, monkeypatch, name):
    """Also where something else still holds the client's, so that no collection does it."""
    kept: list[Any] = []
    begin, asynchronous = _streams()[name]
    method = "astream" if asynchronous else "stream"
    real = getattr(YandexClient, method)

    def noted(self: YandexClient, request: Any) -> Any:
        kept.append(real(self, request))
        return kept[-1]

    monkeypatch.setattr(YandexClient, method, noted)
    emulator.script({"text": '{"text": "one two three four five six"}', "delay": 0.05})
    stream = begin(qwen)
    if asynchronous:
        stream = await stream
        await anext(stream)
        await stream.aclose()
        # The framework's wrapper leaves ours to the loop, which closes it in its next steps.
        del stream
        for _ in range(50):
            await asyncio.sleep(0.01)
        assert kept[0].ag_frame is None
    else:
        await asyncio.to_thread(next, stream)
        stream.close()
        assert kept[0].gi_frame is None


@BOTH
def test_copies_share_a_credential_that_is_refreshed_once(kind, words):
    plain = {word: value for word, value in words.items() if word != "api_key"}
    auth = ApiKeyAuth("test-key")
    assert copy.deepcopy(kind(**plain, auth=auth)).auth is auth


COPIES = pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        lambda model: pickle.loads(pickle.dumps(model)),
        lambda model: model.model_copy(update={"max_retries": 1}),
    ],
    ids=["copy", "deepcopy", "pickle", "model_copy"],
)


@COPIES
def test_a_copy_made_while_a_stream_is_open(llm, copied):
    stream = llm.stream_chat(HELLO)
    first = next(stream)
    again = copied(llm)
    assert again.chat(HELLO).message.content == SAID
    again.close()
    assert [first, *stream][-1].message.content == SAID


@COPIES
async def test_a_copy_made_while_an_async_stream_is_open(llm, copied):
    stream = await llm.astream_chat(HELLO)
    first = await anext(stream)
    again = copied(llm)
    assert (await again.achat(HELLO)).message.content == SAID
    await again.aclose()
    assert [first, *[response async for response in stream]][-1].message.content == SAID


PRELUDE = """
import asyncio, multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import TextNode
from llamaindex_yandex_compat import YandexEmbedding, YandexLLM
from yandex_compat import AuthenticationError

WORDS = {"base_url": sys.argv[1], "max_retries": 0}
NODES = [TextNode(text=f"text {number}", id_=str(number)) for number in range(7)]

def chat(llm):
    return llm.complete("Hi").text, asyncio.run(llm.acomplete("Hi")).text

def embed(embedding):
    return embedding.get_query_embedding("Hi")
"""


@pytest.fixture
def in_processes(tmp_path: Path, words) -> Callable[[str], str]:
    """Run code in a program of its own, which may have processes of its own.

    The key is in the environment, so that each process finds it there.
    """

    def ran(code: str) -> str:
        program = tmp_path / "program.py"
        main = textwrap.indent(textwrap.dedent(code), "    ")
        program.write_text(f"{PRELUDE}\nif __name__ == '__main__':\n{main}", encoding="utf-8")
        environment = {
            **os.environ,
            "YC_API_KEY": words["api_key"],
            "YC_FOLDER_ID": words["folder_id"],
        }
        done = subprocess.run(
            [sys.executable, str(program), words["base_url"]],
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return ran


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes_take_a_model_that_was_used(in_processes, method):
    """Their errors come back as they are."""
    code = f"""
        llm, embedding = YandexLLM(**WORDS), YandexEmbedding(**WORDS)
        here = chat(llm), embed(embedding)
        context = multiprocessing.get_context({method!r})
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            there = pool.submit(chat, llm).result(), pool.submit(embed, embedding).result()
            assert there == here
            for task, kind in ((chat, YandexLLM), (embed, YandexEmbedding)):
                error = pool.submit(task, kind(**WORDS, api_key="wrong")).exception()
                assert type(error) is AuthenticationError
                assert error.status_code == 401 and "wrong" not in repr(error)
        assert (chat(llm), embed(embedding)) == here
        print("All is well.")
    """
    assert in_processes(code) == "All is well.\n"


@pytest.mark.parametrize("form", ["run", "arun"])
def test_a_pipeline_in_several_processes(in_processes, embedding, form, bodies):
    code = f"""
        pipeline = IngestionPipeline(transformations=[YandexEmbedding(**WORDS)])
        nodes = pipeline.{form}(nodes=NODES, num_workers=2)
        nodes = asyncio.run(nodes) if {form!r} == "arun" else nodes
        for node in nodes:
            print(node.id_, *node.embedding)
    """
    lines = [line.split() for line in in_processes(code).splitlines()]
    assert len(bodies(PATH)) == len(NODES)
    found = {int(number): [float(part) for part in vector] for number, *vector in lines}
    assert [found[number] for number in range(len(NODES))] == [
        embedding.get_text_embedding(text) for text in NODES
    ]


# Ingestion pipelines in one process


async def ingested(pipeline: IngestionPipeline, form: str, **words: Any) -> Sequence[BaseNode]:
    nodes = [TextNode(text=text, id_=text) for text in NODES]
    if form == "arun":
        return await pipeline.arun(nodes=nodes, **words)
    return await asyncio.to_thread(pipeline.run, nodes=nodes, **words)


FORMS = pytest.mark.parametrize("form", ["run", "arun"])


@FORMS
async def test_a_pipeline_embeds_each_node_once(embedding, form, bodies):
    pipeline = IngestionPipeline(transformations=[embedding])
    nodes = await ingested(pipeline, form)
    assert sorted(body["input"][0] for body in bodies(PATH)) == NODES
    assert [node.embedding for node in nodes] == embedding.get_text_embedding_batch(NODES)
    again = await ingested(pipeline, form)
    assert [node.embedding for node in again] == [node.embedding for node in nodes]
    assert len(bodies(PATH)) == 2 * len(NODES)  # the second time, for the comparison above


@FORMS
@pytest.mark.parametrize("word", [{"model": "text-search-query"}, {"query_model": "mine"}])
async def test_a_pipeline_s_cache_tells_models_apart(words, embedding, form, bodies, word):
    cache = IngestionCache()
    first = IngestionPipeline(transformations=[embedding], cache=cache)
    await ingested(first, form)
    assert len(bodies(PATH)) == len(NODES)
    same = YandexEmbedding(**words, requests_per_second=0)
    await ingested(IngestionPipeline(transformations=[same], cache=cache), form)
    assert len(bodies(PATH)) == len(NODES)
    other = YandexEmbedding(**{**words, "requests_per_second": 0, **word})
    await ingested(IngestionPipeline(transformations=[other], cache=cache), form)
    assert len(bodies(PATH)) == 2 * len(NODES)


def test_a_pipeline_s_cache_is_written_and_read_again(embedding, tmp_path, bodies):
    transformations = [SentenceSplitter(chunk_size=64, chunk_overlap=0), embedding]
    documents = [Document(text=text, id_=text) for text in NODES]
    pipeline = IngestionPipeline(transformations=transformations)
    nodes = pipeline.run(documents=documents)
    pipeline.persist(str(tmp_path))
    again = IngestionPipeline(transformations=transformations)
    again.load(str(tmp_path))
    read = again.run(documents=documents)
    assert [node.embedding for node in read] == [node.embedding for node in nodes]
    assert len(bodies(PATH)) == len(NODES)


# Progress


@pytest.mark.parametrize("form", ["sync", "async", "index", "async index", "workers"])
async def test_progress_is_shown(words, form, capfd):
    embedding = YandexEmbedding(
        **words,
        requests_per_second=0,
        embed_batch_size=2,
        num_workers=2 if form == "workers" else None,
    )
    if "index" in form:
        documents = [Document(text=text) for text in NODES]
        await asyncio.to_thread(
            VectorStoreIndex.from_documents,
            documents,
            embed_model=embedding,
            show_progress=True,
            use_async=form == "async index",
        )
    elif form == "sync":
        embedding.get_text_embedding_batch(NODES, show_progress=True)
    else:
        await embedding.aget_text_embedding_batch(NODES, show_progress=True)
    shown = capfd.readouterr().err
    assert "Generating embeddings" in shown
    assert "100%" in shown
