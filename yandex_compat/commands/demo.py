"""The main job in steps, told to the screen: the demo of `yandex-compat demo`."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent
from llama_index.core.node_parser import SentenceSplitter
from llama_index_instrumentation import get_dispatcher
from pydantic import BaseModel, Field
from rich.console import Console
from rich.table import Table
from rich.text import Text

from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexEmbedding, YandexLLM
from yandex_compat.commands.demo_texts import (
    Texts,
    nearest_passage,
    read_texts,
    two_words,
    without_tags,
)
from yandex_compat.trial import native, service

# What models and files say is text: never markup, never the name of an emoji.
console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


class JobNotDone(Exception):
    """A step went through without an error, and yet its job was not done."""


@dataclass
class Tokens:
    """What a step cost, as far as the service said."""

    sent: int = 0
    received: int = 0

    def __str__(self) -> str:
        known = self.sent or self.received
        return f"{self.sent} in, {self.received} out" if known else "not reported"


@dataclass
class Job:
    """What the steps work on: texts, how to reach a model, and how it is to answer."""

    texts: Texts
    words: Mapping[str, Any]
    model: str
    answering: Mapping[str, Any] = field(default_factory=dict)
    tokens: Tokens = field(default_factory=Tokens)

    @property
    def model_words(self) -> dict[str, Any]:
        """The words of a model that answers."""
        return {"model": self.model, **self.words, **self.answering}

    def count_word(self, word: str) -> int:
        """Count how often one word stands in all the texts."""
        return self.texts.counts()[word.lower()]

    def task(self) -> str:
        """A task of three calls: the first two go to one tool and need not wait for each other."""
        first, second = two_words(self.texts.counts())
        return (
            f"Count the word '{first}' and count the word '{second}'. "
            f"Then subtract the second count from the first."
        )


_Step = tuple[str, Callable[[Job], None], Job]
# The same each time, and no longer than a reader waits for.
_SHORTLY = {"temperature": 0, "max_tokens": 100}


def subtract(a: int, b: int) -> int:
    """Subtract the number b from the number a."""
    return a - b


class Card(BaseModel):
    """What a catalogue says of a text."""

    title: str = Field(description="The text's title")
    words: int = Field(description="How many words it has")
    opening: str = Field(description="The words it begins with")


def run(
    files: Sequence[Path], question: str | None, model: str, options: Sequence[str] = ()
) -> int:
    """Run the steps and print a table of them; 0 if all went well, 1 if one failed.

    ``options`` are the emulator's; with ``--local``, the steps are those of a small model.
    """
    texts = read_texts(files, question)
    table = Table("step", "result", "seconds", "tokens", title="The main job")
    failed = False
    with service(options, tell=console.print) as words:
        job = Job(texts, words, model)
        steps = _text_steps(job) if "--local" in options else _steps(job)
        names = texts.by_name
        console.print(f"{model} on {_told_number(len(names), 'text')}: {', '.join(names)}")
        for number, (name, step, job) in enumerate(steps, 1):
            console.rule(Text(f"{number}. {name}", "bold"), align="left")
            error, seconds = _tried(step, job)
            failed = failed or error is not None
            result = Text("failed", "red") if error else Text("ok")
            table.add_row(f"{number}. {name}", result, f"{seconds:.2f}", str(job.tokens))
    console.print()
    console.print(table)
    return int(failed)


def _steps(job: Job) -> list[_Step]:
    return [
        ("LangChain: a chain, streamed", _chain, job),
        ("LangChain: an agent and its tools", _agent, job),
        ("LangChain: an answer as an object", _parsed_answer, job),
        ("LlamaIndex: a query engine", _query_engine, job),
        ("LlamaIndex: a FunctionAgent", _function_agent, job),
    ]


def _text_steps(job: Job) -> list[_Step]:
    """The steps that a model of 135 million parameters manages, over both APIs."""
    console.print(
        "A model this small writes text, true or not, and keeps to a schema, but it calls no "
        "tools: the agents' steps are left out, and the others go over both APIs."
    )
    return [
        (f"{name} ({api})", step, replace(job, words=words, answering=_SHORTLY))
        for api, words in (("chat", job.words), ("native", native(dict(job.words))))
        for name, step in (
            ("LangChain: a chain, streamed", _chain),
            ("LangChain: an answer as an object", _parsed_answer),
            ("LlamaIndex: a query engine", _query_engine),
        )
    ]


def _tried(step: Callable[[Job], None], job: Job) -> tuple[Exception | None, float]:
    job.tokens = Tokens()
    started = time.perf_counter()
    failure = None
    try:
        step(job)
    except Exception as error:
        # Whatever went wrong, the other steps are tried, and the table and exit code tell of it.
        console.print(Text("failed: ", "red").append(f"{type(error).__name__}: {error}", "default"))
        failure = error
    return failure, time.perf_counter() - started


def _chain(job: Job) -> None:
    prompt = ChatPromptTemplate.from_messages(
        [
            ("system", "Answer from the text that the user gives, in a few sentences."),
            ("human", '"""\n{text}\n"""\n\n{question}'),
        ]
    )
    usage = UsageMetadataCallbackHandler()
    chain = prompt | ChatYandex(**job.model_words) | StrOutputParser()
    name, text = job.texts.nearest_piece()
    console.print(f"{job.texts.question} (asked of {name})", style="dim")
    pieces = chain.stream(
        {"text": text, "question": job.texts.question}, config={"callbacks": [usage]}
    )
    length = 0
    try:
        for piece in pieces:
            console.print(piece, end="")
            length += len(piece.strip())
    finally:
        console.print()
    _note_langchain(job, usage)
    if not length:
        raise JobNotDone("the answer holds no text")


def _agent(job: Job) -> None:
    usage = UsageMetadataCallbackHandler()
    agent = create_agent(ChatYandex(**job.model_words), [job.count_word, subtract])
    console.print(job.task(), style="dim")
    state = agent.invoke(
        {"messages": [{"role": "user", "content": job.task()}]}, config={"callbacks": [usage]}
    )
    results = {m.tool_call_id: m.text for m in state["messages"] if isinstance(m, ToolMessage)}
    answers = [message for message in state["messages"] if isinstance(message, AIMessage)]
    for turn, answer in enumerate(answers, 1):
        for call in answer.tool_calls:
            _show_call(turn, call["name"], call["args"], results[str(call["id"])])
    console.print(answers[-1].text)
    _note_langchain(job, usage)
    _check_calls([call["name"] for answer in answers for call in answer.tool_calls])


def _parsed_answer(job: Job) -> None:
    usage = UsageMetadataCallbackHandler()
    name, text = next(iter(job.texts.by_name.items()))
    opening = " ".join(re.sub(r"[^\w' -]", " ", without_tags(text)).split()[:8])
    model = ChatYandex(**job.model_words).with_structured_output(Card)
    card = model.invoke(
        f"Make a card of this text. Title: {name}. Words: {len(text.split())}. Opening: {opening}.",
        config={"callbacks": [usage]},
    )
    console.print(repr(card))
    _note_langchain(job, usage)


def _query_engine(job: Job) -> None:
    documents = [
        Document(text=text, metadata={"file": name}) for name, text in job.texts.by_name.items()
    ]
    index = VectorStoreIndex.from_documents(
        documents,
        transformations=[SentenceSplitter(chunk_size=256, chunk_overlap=20)],
        embed_model=YandexEmbedding(**job.words),
    )
    with _noted_llamaindex(job):
        engine = index.as_query_engine(llm=YandexLLM(**job.model_words), similarity_top_k=2)
        console.print(job.texts.question, style="dim")
        response = engine.query(job.texts.question)
    answer = str(response).strip()
    console.print(answer)
    passages = [
        (nearest_passage(one.node.get_content(), answer), one) for one in response.source_nodes
    ]
    (_, passage), source = max(passages, key=lambda found: found[0][0])
    name, score = source.node.metadata["file"], source.score
    console.print(Text("source: ", "dim").append(f"{name} (score {score:.2f})", "default"))
    console.print(Text("passage: ", "dim").append(passage, "default"))


def _function_agent(job: Job) -> None:
    console.print(job.task(), style="dim")
    with _noted_llamaindex(job):
        asyncio.run(_run_function_agent(job))


async def _run_function_agent(job: Job) -> None:
    agent = FunctionAgent(
        tools=[job.count_word, subtract],
        llm=YandexLLM(**job.model_words),
        streaming=False,
    )
    handler = agent.run(job.task())
    called = []
    async for event in handler.stream_events():
        if isinstance(event, ToolCallResult):
            called.append(event.tool_name)
            output = str(event.tool_output.content)
            _show_call(None, event.tool_name, event.tool_kwargs, output)
    console.print(str(await handler))
    _check_calls(called)


def _show_call(turn: int | None, name: str, arguments: Mapping[str, Any], result: str) -> None:
    when = f"turn {turn}: " if turn else ""
    told = ", ".join(f"{word}={value!r}" for word, value in arguments.items())
    console.print(Text(f"  {when}").append(name, "bold").append(f"({told}) → {result}"))


def _check_calls(called: Sequence[str]) -> None:
    """Raise JobNotDone unless the three calls were made that the task needs."""
    counted = called.count("count_word")
    if len(called) < 3 or counted < 2:
        raise JobNotDone(
            f"the task needs three calls, two of them of count_word; the model made "
            f"{_told_number(len(called), 'call')}, {counted} of count_word"
        )


def _told_number(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _note_langchain(job: Job, usage: UsageMetadataCallbackHandler) -> None:
    for tokens in usage.usage_metadata.values():
        job.tokens.sent += tokens["input_tokens"]
        job.tokens.received += tokens["output_tokens"]


class _UsageHandler(BaseEventHandler):
    tokens: Any

    @classmethod
    def class_name(cls) -> str:
        return "DemoUsageHandler"

    def handle(self, event: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- the framework's event
        if isinstance(event, LLMChatEndEvent) and event.response and event.response.raw:
            usage = event.response.raw.get("usage") or {}
            self.tokens.sent += usage.get("prompt_tokens", 0)
            self.tokens.received += usage.get("completion_tokens", 0)


@contextmanager
def _noted_llamaindex(job: Job) -> Iterator[None]:
    dispatcher = get_dispatcher()
    handler = _UsageHandler(tokens=job.tokens)
    dispatcher.add_event_handler(handler)
    try:
        yield
    finally:
        dispatcher.event_handlers.remove(handler)
