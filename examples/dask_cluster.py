"""1,000 prompts over a Dask cluster: one quota for all of it, each answer kept, and kept once.

Run it by `make example-dask`, or `python examples/dask_cluster.py --help`. Kill a worker with
`kill -9` while it runs: its prompts are answered by others. Kill all of it and start it again: what
the ledger holds is not sent again.

The program that hands out the prompts writes the ledger, and no worker does. Workers on other
machines share no file with it (SQLite's locks do not hold over a network), and one writer needs no
lock. What a dying worker had not handed over is not in the ledger, and is sent again; so that this
is little, no more prompts are handed out than the cluster has threads, and another one only once an
answer is in the file: whatever is killed, no more than those are sent twice, and none that is in
the file.
"""

import argparse
import os
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import dask
import httpx
from distributed import (
    CancelledError,
    Client,
    Future,
    LocalCluster,
    Semaphore,
    Worker,
    WorkerPlugin,
    as_completed,
    get_worker,
)

from yandex_compat.trial import service

# The places that a killed worker held come back after 11 seconds (40 by Dask's own defaults), and
# one that lives says five times in ten that it still holds its own, so that a busy one loses none.
# Dask's files and the environment win over this, and of a cluster that runs already, its own do.
LOCKS = {"lease-timeout": "10s", "lease-validation-interval": "1s"}
dask.config.update_defaults({"distributed": {"scheduler": {"locks": LOCKS}}})

# An answer of the emulator's takes a while, so that there is something to see.
EMULATOR = ("--chunk-delay", "0.05")


@dataclass(frozen=True)
class Prompt:
    """What is asked, under an id that is the same in each run."""

    id: str
    text: str


@dataclass
class Ended:
    """Prompts that ended: those with an answer and the worker that had it, and the others."""

    answers: dict[Prompt, tuple[str, str]] = field(default_factory=dict)
    errors: dict[Prompt, BaseException] = field(default_factory=dict)


class AnswerLedger:
    """The answers by prompt id: one table in an SQLite file, written by one process.

    What is kept at once is one transaction, so that the file is sound whenever that is killed.
    """

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path)
        with self._file:
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS answers (id TEXT PRIMARY KEY, prompt TEXT NOT NULL, "
                "answer TEXT NOT NULL, worker TEXT NOT NULL)"
            )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def unanswered(self, prompts: Iterable[Prompt]) -> list[Prompt]:
        """Those that it has no answer to; ValueError where an id stands for another text there."""
        known: dict[str, str] = dict(self._file.execute("SELECT id, prompt FROM answers"))
        found = []
        for prompt in prompts:
            if prompt.id not in known:
                found.append(prompt)
            elif known[prompt.id] != prompt.text:
                raise ValueError(
                    f"The ledger answers another text under the id {prompt.id}: give a prompt that "
                    f"changed a new id, or begin a new ledger."
                )
        return found

    def keep(self, answers: dict[Prompt, tuple[str, str]]) -> None:
        """Keep all of these answers or none; of two to one prompt, the first."""
        rows = [(prompt.id, prompt.text, *answer) for prompt, answer in answers.items()]
        with self._file:
            self._file.executemany(
                "INSERT INTO answers VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", rows
            )


def model_of(framework: str, **words: Any) -> Any:
    """A model of either framework, the only one that is imported, here and on workers."""
    if framework == "llamaindex":
        from llamaindex_yandex_compat import YandexLLM

        return YandexLLM(**words)
    from langchain_yandex_compat import ChatYandex

    return ChatYandex(**words)


class Asking(WorkerPlugin):
    """A model on each worker, also on one that comes later, and one quota for all of them.

    The model goes out pickled, its key with it, once a worker: threads share it there. The quota is
    made on the worker, where its name finds it: of a Semaphore that came in a pickle, no worker
    renews the leases (distributed 2026.8), which then end under a request that takes long.
    """

    name = "asking"

    def __init__(self, model: Any, quota: str, leases: int) -> None:
        self._model, self._quota, self._leases = model, quota, leases

    def setup(self, worker: Worker) -> None:
        """Have the model ask within the quota; Dask calls this where a worker starts."""
        self._model.limiter = Semaphore(
            self._leases, self._quota, scheduler_rpc=worker.scheduler, loop=worker.loop
        )

    def ask(self, text: str) -> str:
        """The answer to a text, by LangChain's method or LlamaIndex's."""
        of_langchain = hasattr(self._model, "invoke")
        answer = self._model.invoke(text) if of_langchain else self._model.complete(text)
        return str(answer.text)


def ask(text: str) -> tuple[str, str]:
    """The answer, and the worker that runs this; a task, in a thread of its worker's."""
    worker = get_worker()
    asking: Any = worker.plugins[Asking.name]
    return asking.ask(text), worker.address


def answer_all(cluster: Client, prompts: Iterable[Prompt], ledger: AnswerLedger) -> Iterator[Ended]:
    """Have the cluster answer the prompts; yield those that ended, once the ledger has them."""
    waiting, handed_out = iter(prompts), as_completed()
    asked: dict[Future[Any], Prompt] = {}

    def hand_out(count: int) -> None:
        for prompt in islice(waiting, count):
            # Two prompts may have one text; Dask takes a task for pure, and would run it once.
            future = cluster.submit(ask, prompt.text, pure=False)
            asked[future] = prompt
            handed_out.add(future)

    hand_out(sum(cluster.nthreads().values()))
    for batch in handed_out.batches():
        ended = Ended()
        for future in batch:
            prompt = asked.pop(future)
            try:
                # Of a worker that was killed meanwhile, it is waited for once more.
                ended.answers[prompt] = future.result()
            except (Exception, CancelledError) as error:
                ended.errors[prompt] = error
        _forget(cluster, batch)
        ledger.keep(ended.answers)
        hand_out(len(batch))
        yield ended


def _forget(cluster: Client, futures: Sequence[Future[Any]]) -> None:
    """Have the scheduler forget tasks that ended, and return once it has.

    Their results lie on workers: of one that is killed, the scheduler runs again what it knows.
    """
    keys = {future.key for future in futures}
    for future in futures:
        future.release()
    while cluster.run_on_scheduler(_knows, keys):
        pass


def _knows(keys: set[Any], dask_scheduler: Any) -> bool:
    return not keys.isdisjoint(dask_scheduler.tasks)


@dataclass(frozen=True)
class Served:
    """What an emulator has counted: requests so far, and generations at once at most."""

    requests: int
    most: int


def served(base_url: str | None) -> Served | None:
    """What the server has counted; None for one that does not tell, as the cloud."""
    if base_url is None:
        return None
    answer = httpx.get(f"{base_url.removesuffix('/v1')}/_ledger", trust_env=False)
    if answer.status_code != httpx.codes.OK:
        return None
    told = answer.json()
    return Served(len(told["rows"]), told["generations"]["peak"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer what has no answer yet; 1 where that failed of some."""
    parser = _parser()
    words, options = parser.parse_known_args(arguments)
    if options and words.base_url:
        parser.error(f"{' '.join(options)}: the server of --base-url runs already")
    prompts = [
        Prompt(f"prompt-{number:05}", f"Write one line about the number {number}.")
        for number in range(1, words.prompts + 1)
    ]
    with ExitStack() as held:
        ledger = held.enter_context(closing(AnswerLedger(words.ledger)))
        to_send = ledger.unanswered(prompts)
        if words.base_url:
            known: dict[str, Any] = {"base_url": words.base_url}
        else:
            known = held.enter_context(service((*EMULATOR, *options)))
        # Workers may lack the environment's key, and LlamaIndex's classes leave it out of pickles.
        known.setdefault("api_key", os.environ.get("YC_API_KEY"))
        model = model_of(words.framework, model=words.model, max_retries=5, **known)
        cluster = held.enter_context(_cluster(words))
        before = served(known.get("base_url"))
        for address, process in cluster.run(os.getpid).items():
            print(f"Worker {address} (process {process})", flush=True)
        cluster.register_plugin(Asking(model, words.model, words.leases))
        errors = _follow(answer_all(cluster, to_send, ledger), len(prompts), len(to_send))
        after = served(known.get("base_url"))
    for prompt, error in list(errors.items())[:5]:
        print(f"{prompt.id} failed: {type(error).__name__}: {error}")
    rows: dict[str, int | None] = {
        "prompts": len(prompts),
        "answered before": len(prompts) - len(to_send),
        "sent": len(to_send),
        "failed": len(errors),
        "requests seen by the server": None,
        "retries": None,
        "most at once": None,
    }
    if before and after:
        rows["requests seen by the server"] = seen = after.requests - before.requests
        rows["retries"] = seen - len(to_send)
        rows["most at once"] = after.most
    print()
    for name, number in rows.items():
        print(f"{name:<28}{'not told' if number is None else f'{number:,}':>10}")
    print(f"\nThe answers are in {words.ledger}; what is not, the next run sends.")
    return 1 if errors else 0


def _follow(answering: Iterable[Ended], prompts: int, to_send: int) -> dict[Prompt, BaseException]:
    """Tell how far it is, twenty times; return the errors."""
    errors: dict[Prompt, BaseException] = {}
    answered, step, began = prompts - to_send, max(1, to_send // 20), time.monotonic()
    print(f"{answered:>7,} of {prompts:,} answered before", flush=True)
    next_told = answered + step
    for ended in answering:
        answered += len(ended.answers)
        errors |= ended.errors
        if answered >= next_told:
            seconds = time.monotonic() - began
            print(f"{answered:>7,} of {prompts:,} answered, {seconds:.1f} s", flush=True)
            next_told = answered + step
    return errors


@contextmanager
def _cluster(words: argparse.Namespace) -> Iterator[Client]:
    """A client of the cluster that runs already, or of one for as long as the block lasts."""
    with ExitStack() as held:
        cluster: Any = words.scheduler
        if not cluster:
            cluster = held.enter_context(
                LocalCluster(
                    n_workers=words.workers,
                    threads_per_worker=words.threads,
                    dashboard_address="127.0.0.1:0",
                )
            )
        yield held.enter_context(Client(cluster))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Have a Dask cluster answer prompts, once each, within one quota.",
        epilog="Other options are the emulator's, such as --fault-rate 0.2; it is started where "
        "the environment has no key and folder of the cloud.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--prompts", type=int, default=1_000, help="how many (%(default)s)")
    add("--ledger", type=Path, default=Path("answers.sqlite"), help="file (%(default)s)")
    add("--framework", choices=["langchain", "llamaindex"], default="langchain")
    add("--model", default="yandexgpt", help="whose quota it is, too (%(default)s)")
    add("--leases", type=int, default=10, help="generations at once in all (%(default)s)")
    add("--workers", type=int, default=2, help="processes (%(default)s)")
    add("--threads", type=int, default=8, help="of each worker (%(default)s)")
    add("--scheduler", help="address of a cluster that runs already, instead of workers here")
    add("--base-url", help="root of a server that runs already, instead of the cloud")
    return parser


if __name__ == "__main__":
    sys.exit(main())
