"""What is measured: the metrics, each with the act that is timed and what it must have read.

Before anything is timed, each subject does the act once and what it read is compared with what the
server sent; then come one untimed sample, for caches and connections (but where an act takes long,
and where a process measures memory, which warms up itself), and the rounds. Before each sample,
garbage is collected; the collector stays on in it, since users pay for it, too.

How long a batch takes hangs on the connections that are open when it begins, which close after
five seconds: left to chance, it would hang on how long the others took. So each batch comes right
after one that is not timed.
"""

import asyncio
import collections
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import httpx

from benchmarks import server
from benchmarks.processes import in_process
from benchmarks.subjects import GROUPS, MISTRAL, OPENAI, PROMPT, Subject
from benchmarks.targets import HOOKS

Sink = collections.deque[Any]
Act = Callable[[Sink], Awaitable[None] | None]
"""Does what is timed once, and puts what it reads into the sink."""
Sample = Callable[[], float]


@dataclass(frozen=True)
class Scale:
    """How much is measured: sizes, and how often."""

    rounds: int = 15
    heavy_rounds: int = 5
    long_rounds: int = 3
    process_rounds: int = 15
    calls: int = 50
    batch: int = 500
    concurrency: tuple[int, ...] = (10, 100, 1_000)
    texts: int = 1_000
    chunks: int = 1_000
    growth_chunks: tuple[int, ...] = (1_000, 10_000, 100_000)
    growing_chunks: tuple[int, ...] = (1_000, 10_000)
    lines: tuple[int, ...] = (250, 1_000, 4_000)
    history: tuple[int, ...] = (1, 50, 500)
    tools: tuple[int, ...] = (1, 16, 128)
    long_stream: int = 100_000
    streams: int = 1_000
    traced_chunks: tuple[int, ...] = (1_000, 20_000)
    only_own_processes: bool = False


FULL = Scale()
QUICK = Scale(
    rounds=1, heavy_rounds=1, long_rounds=1, process_rounds=1, calls=5, batch=20,
    concurrency=(10,), texts=20, chunks=200, growth_chunks=(100, 500),
    growing_chunks=(100, 500), lines=(50, 200),
    history=(1, 50), tools=(1, 16), long_stream=500, streams=20, traced_chunks=(100, 500),
    only_own_processes=True,
)  # fmt: skip
"""For trying it: what it prints is worth nothing. Processes, which cost seconds each, are started
for ours and the floor in LangChain only: those of the import."""


class WrongAnswer(Exception):
    """A subject read something else than the server sent, so that its time says nothing."""


class Bench:
    """The server's origin, the one event loop, and the models, each made once."""

    def __init__(self, origin: str, runner: asyncio.Runner) -> None:
        self.origin = origin
        self.runner = runner
        self._models: dict[tuple[Subject, str], Any] = {}

    def model(self, subject: Subject, path: str) -> Any:
        """A subject's model for a path of the server."""
        if (subject, path) not in self._models:
            self._models[subject, path] = subject.make(self.origin + path)
        return self._models[subject, path]

    def gate(self) -> str:
        """The name of a gate that nobody has used."""
        return uuid4().hex

    def do(self, act: Act, sink: Sink, times: int = 1) -> None:
        """An act so many times, one after the other."""

        async def rest(first: Awaitable[None]) -> None:
            await first
            for _ in range(times - 1):
                if following := act(sink):
                    await following

        if first := act(sink):
            self.runner.run(rest(first))
            return
        for _ in range(times - 1):
            act(sink)


@dataclass(frozen=True)
class Metric:
    """One thing that is measured, for each subject of a group at each size.

    With `counted`, a size is a number of those units, and numbers are shown for one of them.
    """

    name: str
    title: str
    unit: str
    group: str
    rounds: int
    sizes: tuple[int, ...] = (1,)
    counted: str | None = None
    without: frozenset[str] = frozenset()
    warms_up: bool = True

    @property
    def subjects(self) -> list[Subject]:
        """Those that are measured by it."""
        return [one for one in GROUPS[self.group] if one.name not in self.without]

    @property
    def framework(self) -> str:
        """The framework that its subjects are of."""
        return "llamaindex" if self.group.startswith("llamaindex") else "langchain"

    def sample(self, bench: Bench, subject: Subject, size: int) -> Sample:
        """What measures a subject once; WrongAnswer where it reads what was not sent."""
        raise NotImplementedError


@dataclass(frozen=True)
class Timed(Metric):
    """Milliseconds of an act, which `act` makes of a model and a size.

    With `follows_one`, it is done untimed right before each sample.
    """

    act: Callable[[Any, int], Act] = field(kw_only=True)
    read: Callable[[Sequence[Any]], object] = field(kw_only=True)
    expected: Callable[[int], object] = field(kw_only=True)
    path: str = ""
    calls: int = 1
    follows_one: bool = False

    def sample(self, bench: Bench, subject: Subject, size: int) -> Sample:
        """What times the act; a size that stands in the path is that of the answer."""
        act = self.act(bench.model(subject, self.path.format(size=size)), size)
        seen: Sink = collections.deque()
        bench.do(act, seen)
        read, expected = self.read(list(seen)), self.expected(size)
        if read != expected:
            raise WrongAnswer(
                f"{subject.name} read {str(read)[:60]!r}, where {str(expected)[:60]!r} was sent."
            )

        def sample() -> float:
            nowhere: Sink = collections.deque(maxlen=0)
            if self.follows_one:
                bench.do(act, nowhere)
            gc.collect()
            began = time.perf_counter()
            bench.do(act, nowhere, self.calls)
            return (time.perf_counter() - began) * 1000 / self.calls

        return sample


@dataclass(frozen=True)
class InProcess(Metric):
    """A number that a process of its own finds out."""

    kind: str = field(kw_only=True)

    def sample(self, bench: Bench, subject: Subject, size: int) -> Sample:
        """What starts the process."""
        return lambda: in_process(self.kind, self.group, subject, bench.origin, size)


@dataclass(frozen=True)
class FirstChunk(Metric):
    """How many pieces the server had sent when a stream gave out its first chunk."""

    hook: str = field(kw_only=True)

    def sample(self, bench: Bench, subject: Subject, size: int) -> Sample:
        """What asks a stream that waits, after its first piece, for the chunk to be told of."""

        def sample() -> float:
            gate = bench.gate()
            model = subject.make(f"{bench.origin}/gate/{gate}")
            asked = PROMPT if self.hook.endswith("complete") else _asked(self.group)
            found: list[float] = []

            def told() -> None:
                if not found:
                    found.append(float(httpx.post(f"{bench.origin}/gates/{gate}").text))

            if not self.hook.startswith("a"):
                for _ in getattr(model, self.hook)(asked):
                    told()
                return found[0]

            async def read() -> None:
                chunks = getattr(model, self.hook)(asked)
                async for _ in chunks if hasattr(chunks, "__aiter__") else await chunks:
                    told()

            bench.runner.run(read())
            return found[0]

        return sample


def _asked(group: str, said: Sequence[tuple[str, str]] = (("user", PROMPT),)) -> Any:
    if group.startswith("llamaindex"):
        from llama_index.core.llms import ChatMessage

        return [ChatMessage(role=role, content=text) for role, text in said]
    from langchain_core.messages import convert_to_messages

    return convert_to_messages(list(said))


def _invoke(model: Any, size: int) -> Act:
    return lambda sink: sink.append(model.invoke(PROMPT))


def _ainvoke(model: Any, size: int) -> Act:
    async def act(sink: Sink) -> None:
        sink.append(await model.ainvoke(PROMPT))

    return act


def _stream(model: Any, size: int) -> Act:
    return lambda sink: sink.extend(model.stream(PROMPT))


def _astream(model: Any, size: int) -> Act:
    async def act(sink: Sink) -> None:
        async for chunk in model.astream(PROMPT):
            sink.append(chunk)

    return act


def _stream_call(model: Any, size: int) -> Act:
    return _stream(model.bind_tools(_tools(1)), size)


def _astream_call(model: Any, size: int) -> Act:
    return _astream(model.bind_tools(_tools(1)), size)


def _invoke_with_tools(model: Any, size: int) -> Act:
    return _invoke(model.bind_tools(_tools(size)), size)


def _invoke_history(model: Any, size: int) -> Act:
    turns = [(("user", "assistant")[turn % 2], f"{PROMPT} ({turn})") for turn in range(size - 1)]
    said = _asked("langchain", [*turns, ("user", PROMPT)])
    return lambda sink: sink.append(model.invoke(said))


def _batch(count: int) -> Callable[[Any, int], Act]:
    def made(model: Any, size: int) -> Act:
        config = {"max_concurrency": size}
        return lambda sink: sink.extend(model.batch([PROMPT] * count, config))

    return made


def _abatch(count: int) -> Callable[[Any, int], Act]:
    def made(model: Any, size: int) -> Act:
        async def act(sink: Sink) -> None:
            sink.extend(await model.abatch([PROMPT] * count, {"max_concurrency": size}))

        return act

    return made


def _embed(model: Any, size: int) -> Act:
    texts = [f"text {number}" for number in range(size)]
    return lambda sink: sink.extend(model.embed_documents(texts))


def _aembed(model: Any, size: int) -> Act:
    texts = [f"text {number}" for number in range(size)]

    async def act(sink: Sink) -> None:
        sink.extend(await model.aembed_documents(texts))

    return act


def _chat(model: Any, size: int) -> Act:
    asked = _asked("llamaindex")
    return lambda sink: sink.append(model.chat(asked))


def _achat(model: Any, size: int) -> Act:
    asked = _asked("llamaindex")

    async def act(sink: Sink) -> None:
        sink.append(await model.achat(asked))

    return act


def _stream_chat(model: Any, size: int) -> Act:
    asked = _asked("llamaindex")
    return lambda sink: sink.extend(model.stream_chat(asked))


def _astream_chat(model: Any, size: int) -> Act:
    asked = _asked("llamaindex")

    async def act(sink: Sink) -> None:
        async for response in await model.astream_chat(asked):
            sink.append(response)

    return act


def _tools(count: int) -> list[dict[str, Any]]:
    """Tools in the form of OpenAI, of which the first is the one that the server calls."""
    properties = {
        "text": {"type": "string", "description": "What to look up"},
        "limit": {"type": "integer", "description": "How many results to give"},
        "languages": {"type": "array", "items": {"type": "string"}},
    }
    parameters = {"type": "object", "properties": properties, "required": ["text"]}
    names = [server.TOOL, *(f"{server.TOOL}_{number}" for number in range(1, count))]
    about = "Looks a text up in the catalogue and tells what is known of it."
    return [
        {
            "type": "function",
            "function": {"name": name, "description": about, "parameters": parameters},
        }
        for name in names
    ]


# What was read, and what was to be.


def _text(seen: Sequence[Any]) -> str:
    return "".join(one.text for one in seen)


def _last_text(seen: Sequence[Any]) -> object:
    return seen[-1].message.content


def _calls(seen: Sequence[Any]) -> object:
    whole = seen[0]
    for chunk in seen[1:]:
        whole += chunk
    return [(call["name"], call["args"]["text"]) for call in whole.tool_calls]


def _text_of(size: int) -> str:
    return "".join(server.words(size))


def _short_text(size: int) -> str:
    return _text_of(server.CHUNKS)


def _call_of(size: int) -> object:
    return [(server.TOOL, "".join(server.arguments(size)[1:-1]))]


def _short_call(size: int) -> object:
    return _call_of(server.CHUNKS)


_CHUNKS = "/chunks/{size}"


def metrics(scale: Scale) -> list[Metric]:
    """All metrics, the quick ones first."""
    return [
        *_of_langchain(scale),
        *_of_llamaindex(scale),
        *_of_many(scale),
        *_of_processes(scale),
        *_of_growth(scale),
        *map(_first_chunk, HOOKS),
    ]


def _of_langchain(scale: Scale) -> list[Metric]:
    found: list[Metric] = [
        Timed(
            f"langchain.{name}", f"LangChain {name}", "ms", "langchain", scale.rounds,
            act=act, read=_text, expected=_short_text, calls=scale.calls,
        )
        for name, act in (("invoke", _invoke), ("ainvoke", _ainvoke))
    ]  # fmt: skip
    found += [
        Timed(
            f"{group}.{name}", f"{title} {name}, {scale.chunks:,} chunks", "ms", group,
            scale.rounds, (scale.chunks,), act=act, read=_text, expected=_text_of, path=_CHUNKS,
        )
        for group, title in (("langchain", "LangChain"), ("native", "native"))
        for name, act in (("stream", _stream), ("astream", _astream))
    ]  # fmt: skip
    # ChatMistralAI takes each piece of a call for a whole one: that format is not its own.
    found += [
        Timed(
            f"langchain.{name}_tool_call",
            f"LangChain {name}, tool call in {scale.chunks:,} chunks", "ms", "langchain",
            scale.rounds, (scale.chunks,), without=frozenset({MISTRAL}), act=act, read=_calls,
            expected=_call_of, path=_CHUNKS,
        )
        for name, act in (("stream", _stream_call), ("astream", _astream_call))
    ]  # fmt: skip
    return found


def _of_llamaindex(scale: Scale) -> list[Metric]:
    whole = [
        Timed(
            f"llamaindex.{name}", f"LlamaIndex {name}", "ms", "llamaindex", scale.rounds,
            act=act, read=_last_text, expected=_short_text, calls=scale.calls,
        )
        for name, act in (("chat", _chat), ("achat", _achat))
    ]  # fmt: skip
    streamed = [
        Timed(
            f"llamaindex.{name}", f"LlamaIndex {name}, {scale.chunks:,} chunks", "ms",
            "llamaindex", scale.rounds, (scale.chunks,),
            act=act, read=_last_text, expected=_text_of, path=_CHUNKS,
        )
        for name, act in (("stream_chat", _stream_chat), ("astream_chat", _astream_chat))
    ]  # fmt: skip
    return [*whole, *streamed]


def _of_many(scale: Scale) -> list[Metric]:
    count = scale.batch
    batches = [
        Timed(
            f"langchain.{name}.{width}", f"{name} of {count}, {width:,} at once", "ms",
            "langchain", scale.heavy_rounds, (width,),
            act=made(count), read=_text, expected=lambda _: _short_text(0) * count,
            follows_one=True,
        )
        for name, made in (("batch", _batch), ("abatch", _abatch))
        for width in scale.concurrency
    ]  # fmt: skip
    embeddings = [
        Timed(
            f"embeddings.{name}", f"{name} of {scale.texts:,} texts", "ms", "embeddings",
            scale.heavy_rounds, (scale.texts,), act=act,
            read=lambda seen: (len(seen), {len(vector) for vector in seen}),
            expected=lambda size: (size, {server.NUMBERS}),
        )
        for name, act in (("embed_documents", _embed), ("aembed_documents", _aembed))
    ]  # fmt: skip
    return [*batches, *embeddings]


def _of_processes(scale: Scale) -> list[Metric]:
    names = (("langchain", "LangChain"), ("llamaindex", "LlamaIndex"))
    starts = [
        InProcess(
            f"{group}.{word}", f"{title} {told}", "ms", group, scale.process_rounds, kind=kind
        )
        for word, told, kind in (
            ("import", "import", "import"),
            ("first_answer", "import, make and first answer", "first-answer"),
        )
        for group, title in names
    ]
    memory = [
        InProcess(
            "langchain.memory.stream", f"memory of a stream of {scale.long_stream:,} chunks",
            "KiB", "langchain", scale.long_rounds, (scale.long_stream,), warms_up=False,
            kind="stream-memory",
        ),
        InProcess(
            "langchain.memory.streams", f"memory of each of {scale.streams:,} streams at once",
            "KiB", "langchain", scale.long_rounds, (scale.streams,), warms_up=False,
            kind="streams-memory",
        ),
        InProcess(
            "langchain.memory.hook", "memory of the hook _stream, by chunks", "KiB", "langchain",
            scale.long_rounds, scale.traced_chunks, warms_up=False, kind="hook-memory",
        ),
    ]  # fmt: skip
    if not scale.only_own_processes:
        return [*starts, *memory]
    peers = frozenset({OPENAI, MISTRAL})
    return [replace(one, without=peers) for one in starts[:1]]


def _of_growth(scale: Scale) -> list[Metric]:
    return [
        Timed(
            "langchain.growth.chunks", "LangChain stream, by chunks", "ms", "langchain",
            scale.long_rounds, scale.growth_chunks, "chunk",
            warms_up=False, act=_stream, read=_text, expected=_text_of, path=_CHUNKS,
        ),
        Timed(
            "llamaindex.growth.chunks", "LlamaIndex stream_chat, by chunks", "ms", "llamaindex",
            scale.long_rounds, scale.growing_chunks, "chunk",
            warms_up=False, act=_stream_chat, read=_last_text, expected=_text_of, path=_CHUNKS,
        ),
        NativeGrowth(
            "native.growth.bytes", "native stream, by bytes", "ms", "native",
            scale.long_rounds, tuple(map(native_bytes, scale.lines)), "byte",
            warms_up=False, act=_stream, read=_text, expected=_text_of, path=_CHUNKS,
            lines={native_bytes(count): count for count in scale.lines},
        ),
        Timed(
            "langchain.growth.history", "LangChain invoke, by messages of history", "ms",
            "langchain", scale.long_rounds, scale.history, "message",
            warms_up=False, act=_invoke_history, read=_text, expected=_short_text,
            calls=scale.calls,
        ),
        Timed(
            "langchain.growth.tools", "LangChain invoke, by tools", "ms", "langchain",
            scale.long_rounds, scale.tools, "tool",
            warms_up=False, act=_invoke_with_tools, read=_calls, expected=_short_call,
            calls=scale.calls,
        ),
    ]  # fmt: skip


def native_bytes(lines: int) -> int:
    """The bytes of a streamed native answer of so many lines."""
    return sum(map(len, server.native_lines(lines)))


@dataclass(frozen=True)
class NativeGrowth(Timed):
    """A native stream by its bytes, of which an answer of so many `lines` has so many."""

    lines: dict[int, int] = field(kw_only=True)

    def sample(self, bench: Bench, subject: Subject, size: int) -> Sample:
        """What times the answer that has so many bytes."""
        return super().sample(bench, subject, self.lines[size])


def _first_chunk(name: str) -> Metric:
    group, hook = name.split(".")
    title = f"pieces sent when {group} {hook} gave its first chunk"
    return FirstChunk(f"{name}.first", title, "pieces", group, 1, hook=hook)
