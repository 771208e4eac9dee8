"""Measures that need a process of their own: imports, first answers, and memory.

`SCRIPTS` and `KINDS` say which there are, and their units.
"""

import asyncio
import collections
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.machine import allow_many_files
from benchmarks.subjects import PROMPT, Subject, subject_of

ROOT = Path(__file__).parents[1]
LONGEST = 600.0
DELAY = 50
"""Milliseconds between the chunks of streams that are to be open together."""
_KIB = 1024
_BETWEEN_LOOKS = 0.002


def in_process(kind: str, group: str, subject: Subject, origin: str, size: int) -> float:
    """One number of a new process; RuntimeError with the end of what it said where it failed."""
    words = [group, subject.name, origin, str(size)]
    if kind in SCRIPTS:
        # Without this module, whose own imports would be missing from what is measured.
        command = [sys.executable, "-c", SCRIPTS[kind].format(imports=subject.imports), *words]
    else:
        command = [sys.executable, "-m", "benchmarks.processes", kind, *words]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{kind} of {subject.name} failed: {done.stderr.strip()[-500:]}")
    return float(done.stdout.split()[-1])


def _stream_memory(subject: Subject, origin: str, size: int) -> float:
    model = subject.make(f"{origin}/chunks/{size}")
    _exhaust(subject.make(f"{origin}/chunks/10").stream(PROMPT))
    with _peak() as peak:
        _exhaust(model.stream(PROMPT))
    return peak[0] / _KIB


def _streams_memory(subject: Subject, origin: str, size: int) -> float:
    # Where a pool has fewer connections (httpx's own has 100), the other streams wait for one, so
    # that fewer are open at once, and each of all takes less.
    model = subject.make(f"{origin}/delay/{DELAY}")

    async def one() -> None:
        async for _ in model.astream(PROMPT):
            pass

    async def many(count: int) -> None:
        await asyncio.gather(*(one() for _ in range(count)))

    with asyncio.Runner() as runner:
        runner.run(many(1))
        with _peak() as peak:
            runner.run(many(size))
    return peak[0] / _KIB / size


def _hook_memory(subject: Subject, origin: str, size: int) -> float:
    from langchain_core.messages import HumanMessage

    said = [HumanMessage(PROMPT)]
    _exhaust(subject.make(f"{origin}/chunks/10")._stream(said))
    model = subject.make(f"{origin}/chunks/{size}")
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    _exhaust(model._stream(said))
    _, peak = tracemalloc.get_traced_memory()
    return (peak - before) / _KIB


def _exhaust(chunks: Iterator[Any]) -> None:
    collections.deque(chunks, maxlen=0)


@contextmanager
def _peak() -> Iterator[list[int]]:
    """The most bytes of resident memory above those at the start, once it is left."""
    import psutil

    process, ended, found = psutil.Process(), threading.Event(), [0]
    before = process.memory_info().rss

    def look() -> None:
        while not ended.wait(_BETWEEN_LOOKS):
            found[0] = max(found[0], process.memory_info().rss - before)

    looking = threading.Thread(target=look)
    looking.start()
    yield found
    ended.set()
    looking.join()
    found[0] = max(found[0], process.memory_info().rss - before)


SCRIPTS = {
    # Milliseconds.
    "import": """
import time
began = time.perf_counter()
{imports}
print((time.perf_counter() - began) * 1000)
""",
    # Milliseconds: import, make, ask, read.
    "first-answer": """
import sys, time
began = time.perf_counter()
from benchmarks.subjects import PROMPT, subject_of
model = subject_of(*sys.argv[1:3]).make(sys.argv[3])
if sys.argv[1] == "llamaindex":
    from llama_index.core.llms import ChatMessage
    model.chat([ChatMessage(role="user", content=PROMPT)])
else:
    model.invoke(PROMPT)
print((time.perf_counter() - began) * 1000)
""",
}

KINDS: dict[str, Callable[[Subject, str, int], float]] = {
    "stream-memory": _stream_memory,  # KiB of resident memory at most
    "streams-memory": _streams_memory,  # KiB of resident memory a stream
    "hook-memory": _hook_memory,  # KiB that Python allocated at most, in the provider's own hook
}


def main() -> None:
    """Measure once and print the number."""
    kind, group, name, origin, size = sys.argv[1:]
    allow_many_files()
    print(KINDS[kind](subject_of(group, name), origin, int(size)))


if __name__ == "__main__":
    main()
