"""The soak: thousands of requests of both frameworks under faults, and what became of each.

`make soak` runs it in full, tests/test_soak.py a short one. The emulator, a process of its own,
enforces the quota, draws the faults by a seed, and keeps the ledger that outcomes are held against.
"""

import argparse
import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import httpx
import psutil

from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexLLM
from yandex_compat import StreamInterrupted
from yandex_compat.emulator.faults import FAULT_KINDS

QUOTA = 10
# These end a stream that has begun; all others are to be absorbed.
BREAKS = {"cut", "stall"}
WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho"

# Seconds: what watches connections ends once it has had none to watch for a while.
_ENDS_BY_ITSELF = 10.0


@dataclass(frozen=True)
class Plan:
    """How much is asked, by how many at once, and how often it fails."""

    whole: int
    streamed: int
    threads: int = 20
    tasks: int = 40
    fault_rate: float = 0.3
    seed: int = 7
    timeout: float = 3.0
    growth: float = 0.05
    spare_sockets: int = 2

    @property
    def count(self) -> int:
        return self.whole + self.streamed

    def is_streamed(self, number: int) -> bool:
        """Spread evenly over the whole."""
        before, after = (one * self.streamed // self.count for one in (number, number + 1))
        return after > before


@dataclass
class Outcome:
    """How a request ended for its caller."""

    text: str | None = None
    error: str | None = None


@dataclass
class Run:
    """What was seen while the requests ran."""

    outcomes: dict[int, list[Outcome]] = field(default_factory=dict)
    sockets: list[int] = field(default_factory=list)
    memory: list[tuple[int, int]] = field(default_factory=list)  # requests ended, bytes
    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    left_open: int = 0
    threads_left: list[str] = field(default_factory=list)
    emulator_exit: int | None = None

    def end(self, number: int, outcome: Outcome) -> None:
        self.outcomes.setdefault(number, []).append(outcome)


def question(number: int) -> str:
    return f"Item {number} of the soak carries the words {WORDS} and no others."


@contextmanager
def emulator(plan: Plan) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The emulator as a process; the root of its chat API."""
    command = [
        sys.executable, "-m", "yandex_compat.emulator", "--port", "0", "--until-eof",
        "--quota", str(QUOTA), "--fault-rate", str(plan.fault_rate),
        "--fault-seed", str(plan.seed),
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        yield process, process.stdout.readline().strip()
        process.stdin.close()
        process.wait(30)


class Callers:
    """Both frameworks on both APIs, each asked in turn."""

    def __init__(self, root: str, plan: Plan) -> None:
        words: dict[str, Any] = {
            "api_key": "emulator-key", "folder_id": "emulator-folder", "max_retries": 10,
            "max_concurrency": QUOTA, "timeout": plan.timeout,
        }  # fmt: skip
        native = root.removesuffix("/v1") + "/foundationModels/v1"
        apis = ({"base_url": root}, {"base_url": native, "api": "completion"})
        self.chats = [ChatYandex(**words, **api) for api in apis]
        self.llms = [YandexLLM(**words, **api) for api in apis]
        self._turns = cycle([*self.chats, *self.llms])
        self._lock = threading.Lock()

    def _next(self) -> Any:
        with self._lock:
            return next(self._turns)

    def ask(self, prompt: str, streamed: bool) -> str:
        model = self._next()
        if isinstance(model, ChatYandex):
            if streamed:
                return "".join(chunk.text for chunk in model.stream(prompt))
            return model.invoke(prompt).text
        if streamed:
            return [part.text for part in model.stream_complete(prompt)][-1]
        return model.complete(prompt).text

    async def aask(self, prompt: str, streamed: bool) -> str:
        model = self._next()
        if isinstance(model, ChatYandex):
            if streamed:
                return "".join([chunk.text async for chunk in model.astream(prompt)])
            return (await model.ainvoke(prompt)).text
        if streamed:
            return [part.text async for part in await model.astream_complete(prompt)][-1]
        return (await model.acomplete(prompt)).text

    async def aclose(self) -> None:
        for model in (*self.chats, *self.llms):
            await model.aclose()


def outcome_of(error: BaseException) -> Outcome:
    partial = error.partial.text if isinstance(error, StreamInterrupted) else None
    kind = "StreamInterrupted" if isinstance(error, StreamInterrupted) else repr(error)
    return Outcome(partial, kind)


def threads_beside(known: set[threading.Thread]) -> list[str]:
    """The names of threads that do not end by themselves."""
    for thread in set(threading.enumerate()) - known:
        thread.join(_ENDS_BY_ITSELF)
    return [one.name for one in set(threading.enumerate()) - known]


def run(plan: Plan) -> Run:
    """Ask everything, by threads and tasks at once, and look at the process meanwhile."""
    found, process = Run(), psutil.Process()
    threads_before = set(threading.enumerate())
    with emulator(plan) as (server, root):
        callers, numbers, lock = Callers(root, plan), iter(range(plan.count)), threading.Lock()
        port, began = httpx.URL(root).port, time.monotonic()

        def following() -> int | None:
            with lock:
                return next(numbers, None)

        def work() -> None:
            while (number := following()) is not None:
                try:
                    text = callers.ask(question(number), plan.is_streamed(number))
                    outcome = Outcome(text)
                except Exception as error:
                    outcome = outcome_of(error)
                with lock:
                    found.end(number, outcome)

        async def awork() -> None:
            while (number := following()) is not None:
                try:
                    text = await callers.aask(question(number), plan.is_streamed(number))
                    outcome = Outcome(text)
                except Exception as error:
                    outcome = outcome_of(error)
                with lock:
                    found.end(number, outcome)

        async def tasks() -> None:
            await asyncio.gather(*(awork() for _ in range(plan.tasks)))
            await callers.aclose()

        def open_sockets() -> int:
            connections = process.net_connections("tcp")
            return sum(1 for one in connections if one.raddr and one.raddr.port == port)

        workers = [threading.Thread(target=work) for _ in range(plan.threads)]
        workers.append(threading.Thread(target=asyncio.run, args=(tasks(),)))
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            found.sockets.append(open_sockets())
            found.memory.append((len(found.outcomes), process.memory_info().rss))
            time.sleep(0.02)
        found.seconds = time.monotonic() - began
        asyncio.run(callers.aclose())
        gc.collect()
        found.left_open = open_sockets()
        found.rows = httpx.get(f"{root.removesuffix('/v1')}/_ledger", timeout=60).json()["rows"]
    found.emulator_exit = server.returncode
    found.threads_left = threads_beside(threads_before)
    return found


@dataclass
class Finding:
    """One promise, what was seen of it, and whether it was kept."""

    promise: str
    seen: str
    kept: bool


def findings(plan: Plan, seen: Run) -> list[Finding]:
    """Hold the outcomes against the ledger."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in seen.rows:
        rows.setdefault(row["question"], []).append(row)
    ends = {number: outcomes[0] for number, outcomes in seen.outcomes.items()}
    asked = [
        (number, ends.get(number), rows.get(question(number), [])) for number in range(plan.count)
    ]
    answered = [one for one in asked if one[1] and one[1].error is None]
    broken = [one for one in asked if one[1] and one[1].error == "StreamInterrupted"]
    other = Counter(end.error for _, end, _ in asked if end and end.error)
    other.pop("StreamInterrupted", None)
    faults = Counter(row["fault"] for row in seen.rows if row["fault"])

    def is_whole(one: tuple[int, Outcome | None, list[dict[str, Any]]]) -> bool:
        _, end, served = one
        *before, last = served
        right = end is not None and end.text == last["text"] == f"You said: {question(one[0])}"
        return right and _is_answer(last) and not any(map(_is_answer, before))

    def is_prefix(one: tuple[int, Outcome | None, list[dict[str, Any]]]) -> bool:
        _, end, served = one
        last = served[-1]
        exact = end is not None and end.text == last["sent_text"] != last["text"]
        return exact and last["fault"] in BREAKS and not any(map(_is_answer, served))

    cut = sum(1 for one in asked if plan.is_streamed(one[0]) and _was_broken(one[2]))
    once = sum(1 for outcomes in seen.outcomes.values() if len(outcomes) == 1)
    second, last = _memory(plan, seen, 1), _memory(plan, seen, 4)
    own = sum(1 for row in seen.rows if row["status"] == 429 and not row["fault"])
    # Of one who hangs up, the emulator may hear after the next request has come.
    left = sum(1 for row in seen.rows if row["closed_early"])
    share = faults.total() / len(seen.rows)
    return [
        Finding("every request ends exactly once", f"{once} of {plan.count}", once == plan.count),
        Finding(
            "as a whole answer, as the ledger has it",
            f"{len(answered)}",
            all(map(is_whole, answered)),
        ),
        Finding(
            "or, a stream that was cut, as StreamInterrupted with its exact prefix",
            f"{len(broken)} of {cut}",
            len(broken) == cut and all(map(is_prefix, broken)),
        ),
        Finding("and in no other way", str(dict(other) or "none"), not other),
        Finding(
            "requests that were faulted, in each way",
            f"{faults.total()} of {len(seen.rows)} ({share:.0%})",
            abs(share - plan.fault_rate) < 0.1 and set(faults) == set(FAULT_KINDS),
        ),
        Finding(
            f"generations at once, of a quota of {QUOTA}",
            f"{max(row['generating'] for row in seen.rows)} at most, {own} refused",
            max(row["generating"] for row in seen.rows) <= QUOTA and own <= left,
        ),
        Finding(
            f"open sockets, quota plus {plan.spare_sockets} at most",
            str(max(seen.sockets)),
            max(seen.sockets) <= QUOTA + plan.spare_sockets,
        ),
        Finding(
            "memory in the last fifth against the second",
            f"{last / second - 1:+.1%} of {second / 2**20:.0f} MiB",
            last <= second * (1 + plan.growth),
        ),
        Finding(
            "clean shutdown",
            f"{seen.left_open} sockets and {len(seen.threads_left)} threads left, the emulator's "
            f"exit code is {seen.emulator_exit}",
            (seen.left_open, seen.threads_left, seen.emulator_exit) == (0, [], 0),
        ),
    ]


def _is_answer(row: dict[str, Any]) -> bool:
    """Whether an answer was sent to its end."""
    return row["status"] == 200 and row["ended"]


def _was_broken(served: list[dict[str, Any]]) -> bool:
    """Whether a stream was broken, for good: its first byte had been sent, so it is the last."""
    broken = [row for row in served if row["status"] == 200 and row["fault"] in BREAKS]
    return not all(row["ended"] for row in broken)


def _memory(plan: Plan, seen: Run, fifth: int) -> float:
    """Mean bytes while that fifth of the requests ended, counted from 0."""
    low, high = (plan.count * one / 5 for one in (fifth, fifth + 1))
    samples = [size for ended, size in seen.memory if low <= ended <= high]
    return sum(samples) / len(samples)


def main() -> int:
    """Run the soak and print what it found; 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--whole", type=int, default=10_000)
    parser.add_argument("--streamed", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--growth", type=float, default=0.05, help="of memory, that is kept to")
    parser.add_argument("--spare-sockets", type=int, default=2, help="beside the quota's")
    words = parser.parse_args()
    plan = Plan(
        words.whole,
        words.streamed,
        seed=words.seed,
        growth=words.growth,
        spare_sockets=words.spare_sockets,
    )
    seen = run(plan)
    found = findings(plan, seen)
    asked = plan.count / seen.seconds
    print(
        f"{plan.whole} whole and {plan.streamed} streamed requests, by {plan.threads} threads and "
        f"{plan.tasks} tasks, LangChain and LlamaIndex, both APIs: {seen.seconds:.0f} s, "
        f"{asked:.0f} a second"
    )
    kinds = Counter(row["fault"] for row in seen.rows if row["fault"])
    print("faults:", ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))
    for one in found:
        print(f"{'ok  ' if one.kept else 'FAIL'}  {one.promise}: {one.seen}")
    return 0 if all(one.kept for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
