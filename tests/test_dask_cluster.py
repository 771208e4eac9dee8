"""Several machines: models on the workers of a Dask cluster, one quota, no prompt answered twice.

Two worker processes of eight threads each, so that there are more threads than places.
"""

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
import httpx
import psutil
import pytest
from distributed import Client, LocalCluster, Semaphore

from examples.dask_cluster import AnswerLedger, Asking, Prompt, ask, main
from langchain_yandex_compat import ChatYandex, YandexEmbeddings
from llamaindex_yandex_compat import YandexEmbedding, YandexLLM
from yandex_compat import AuthenticationError, RequestTimedOut, YandexClient
from yandex_compat.emulator import Emulator

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[1]
KEY = "AQVN-a-key-for-the-workers-0123456789"
QUOTA, WORKERS, THREADS = 10, 2, 16
WAIT = 60  # seconds until what never comes is told of
LOCKS = {"lease-timeout": "3s", "lease-validation-interval": "100ms"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Client]:
    """A client of two worker processes, whose leases end soon after a worker does."""
    with (
        dask.config.set({"distributed.scheduler.locks": LOCKS}),
        LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=THREADS // WORKERS,
            dashboard_address="127.0.0.1:0",
        ) as local,
        Client(local) as client,
    ):
        yield client


@pytest.fixture
def server() -> Iterator[Emulator]:
    """An emulator that would answer more at once than the cluster is to ask."""
    with Emulator(api_keys=(KEY,), quota=10 * QUOTA, chunk_delay=0.01) as emulator:
        yield emulator


@pytest.fixture
def make(server: Emulator) -> Callable[..., Any]:
    """Makes models that each process by itself would let ask ten at once."""

    def made(kind: Callable[..., Any] = ChatYandex, **words: object) -> Any:
        known = {"api_key": KEY, "folder_id": "test-folder", "base_url": server.chat_url}
        return kind(**{**known, "max_concurrency": QUOTA, **words})

    return made


@pytest.fixture
def quota(cluster: Client) -> Semaphore:
    """Ten places, or as many as a test says, under a name that no other test has."""
    return Semaphore(QUOTA)


def until(true: Callable[[], bool]) -> None:
    """Wait for something to be so; the module's timeout ends what never is."""
    pause = threading.Event()
    while not true():
        pause.wait(0.01)


def generating(server: Emulator) -> dict[str, int]:
    return server.peaks["generations"]


def pending(cluster: Client, quota: Semaphore) -> int:
    """How many callers wait for a lease, as the scheduler counts them."""
    name = quota.name

    def of(dask_scheduler: Any) -> int:
        return dask_scheduler.extensions["semaphores"].metrics["pending"][name]

    return cluster.run_on_scheduler(of)


def hold(server: Emulator, count: int) -> None:
    """Have the next answers wait for `release`."""
    server.script(*[{"text": f"held {number}", "gate": True} for number in range(count)])


def release(server: Emulator, count: int) -> None:
    for _ in range(count):
        server.release()


# --- models on workers


@pytest.mark.parametrize(
    "kind", [ChatYandex, YandexLLM, YandexEmbeddings, YandexEmbedding, YandexClient]
)
def test_models_come_to_workers_with_their_keys_hidden(cluster, make, quota, kind):
    model = make(kind, limiter=quota)

    def look(model: Any) -> tuple[int, str, str]:
        client = model if hasattr(model, "settings") else model._client
        # An httpx.Auth says in the header what it holds.
        key = next(client.auth.auth_flow(httpx.Request("GET", "https://a")))
        return os.getpid(), f"{model!r} {model!s} {client!r}", key.headers["authorization"]

    looks = [
        cluster.submit(look, model, workers=[address], pure=False)
        for address in cluster.scheduler_info()["workers"]
    ]
    processes, texts, headers = zip(*cluster.gather(looks), strict=True)
    assert len({*processes, os.getpid()}) == WORKERS + 1
    assert headers == (f"Api-Key {KEY}",) * WORKERS
    assert KEY not in str(texts)


@pytest.mark.parametrize("kind", [ChatYandex, YandexLLM])
def test_the_error_of_a_worker_is_the_client_s_and_tells_no_key(cluster, make, kind):
    wrong = "AQVN-a-key-that-is-not-known-987654321"
    cluster.register_plugin(Asking(make(kind, api_key=wrong), "wrong", QUOTA))
    with pytest.raises(AuthenticationError, match="401") as caught:
        cluster.submit(ask, "Hi", pure=False).result(WAIT)
    told = "".join(traceback.format_exception(caught.value))
    logs = f"{cluster.get_worker_logs()} {cluster.get_scheduler_logs()}"
    assert "401" in logs
    assert wrong not in told + logs


# --- one quota


def test_without_a_limiter_each_process_has_a_quota_of_its_own(cluster, make, server):
    """What the limiter is for: by itself, each worker lets as many ask as the whole may."""
    hold(server, THREADS)
    model = make()
    futures = cluster.map(lambda n: model.invoke(f"{n}").text, range(THREADS), pure=False)
    until(lambda: generating(server)["now"] == THREADS)
    release(server, THREADS)
    assert sorted(cluster.gather(futures)) == sorted(f"held {n}" for n in range(THREADS))


@pytest.mark.parametrize("kind", [ChatYandex, YandexLLM])
@pytest.mark.parametrize("way", ["made on the worker", "pickled"])
def test_no_more_than_the_quota_at_once_in_all(cluster, make, server, quota, kind, way):
    hold(server, QUOTA)
    if way == "pickled":
        model = make(kind, limiter=quota)
        hook = "invoke" if kind is ChatYandex else "complete"

        def task(text: str) -> str:
            return getattr(model, hook)(text).text
    else:
        cluster.register_plugin(Asking(make(kind), quota.name, QUOTA))

        def task(text: str) -> str:
            return ask(text)[0]

    texts = [f"Number {n}." for n in range(100)]
    futures = cluster.map(task, texts, pure=False)
    # Ten are with the server, and all others that have a thread wait for a lease.
    until(lambda: generating(server)["now"] == QUOTA)
    until(lambda: pending(cluster, quota) == THREADS - QUOTA)
    assert generating(server) == {"now": QUOTA, "peak": QUOTA}
    assert len(server.ledger) == QUOTA
    release(server, QUOTA)
    answers = cluster.gather(futures)
    assert generating(server) == {"now": 0, "peak": QUOTA}
    assert {row["status"] for row in server.ledger} == {200}
    assert Counter(row["question"] for row in server.ledger) == Counter(texts)
    assert sum(answer.startswith("held") for answer in answers) == QUOTA
    for text, answer in zip(texts, answers, strict=True):
        assert answer.startswith("held") or answer == f"You said: {text}"
    until(lambda: quota.get_value() == 0)


def test_async_tasks_keep_to_it_in_whichever_event_loop(cluster, make, server, quota):
    model = make(limiter=quota)

    async def in_the_worker_s_own_loop(n: int) -> str:
        return (await model.ainvoke(f"Number {n}.")).text

    def in_a_loop_of_its_thread(n: int) -> str:
        return asyncio.run(in_the_worker_s_own_loop(n))

    async def many_in_one(n: int) -> str:
        return [message.text for message in await model.abatch([f"Number {n}."] * 3)][-1]

    def many_in_threads(n: int) -> str:
        return [message.text for message in model.batch([f"Number {n}."] * 3)][-1]

    hold(server, QUOTA)
    tasks = [in_the_worker_s_own_loop, in_a_loop_of_its_thread, many_in_one, many_in_threads]
    futures = [cluster.submit(task, n, pure=False) for n in range(10) for task in tasks]
    until(lambda: generating(server)["now"] == QUOTA)
    until(lambda: pending(cluster, quota) > 0)
    release(server, QUOTA)
    cluster.gather(futures)
    assert len(server.ledger) == 10 * (1 + 1 + 3 + 3)
    assert generating(server) == {"now": 0, "peak": QUOTA}
    until(lambda: quota.get_value() == 0)


async def test_the_client_s_own_process_keeps_to_it_too(make, server, quota):
    """An event loop that is not Dask's, as a notebook's is not: each gives its lease back."""
    model = make(limiter=quota)
    answers = await model.abatch([f"Number {n}." for n in range(20)])
    assert [answer.text for answer in answers] == [f"You said: Number {n}." for n in range(20)]
    assert generating(server)["peak"] <= QUOTA
    assert await asyncio.to_thread(quota.get_value) == 0


@pytest.mark.parametrize("way", ["blocking", "worker's loop", "own loop"])
def test_who_gets_no_lease_in_time_is_told_and_sends_nothing(cluster, make, server, way):
    quota = Semaphore(1)
    model = make(limiter=quota, total_timeout=0.3)

    async def awaited() -> str:
        return (await model.ainvoke("Hi")).text

    tasks = {
        "blocking": lambda: model.invoke("Hi").text,
        "worker's loop": awaited,
        "own loop": lambda: asyncio.run(awaited()),
    }
    with quota:
        future = cluster.submit(tasks[way], pure=False)
        with pytest.raises(RequestTimedOut, match=r"limiter.*total_timeout=0\.3 s.*nothing"):
            future.result(WAIT)
        assert server.ledger == []
    # Whoever was given up got in at some time: its lease comes back, by itself or by its end.
    assert quota.acquire(timeout=WAIT)
    quota.release()
    until(lambda: quota.get_value() == 0)


# --- leases


@pytest.mark.parametrize(
    "way",
    [
        "made on the worker",
        pytest.param(
            "pickled",
            marks=pytest.mark.xfail(
                reason="distributed renews no lease of a Semaphore that came in a pickle"
            ),
        ),
    ],
)
def test_a_request_that_takes_long_keeps_its_lease(cluster, make, server, quota, way):
    hold(server, 1)
    if way == "pickled":
        model = make(limiter=quota)
        future = cluster.submit(lambda: model.invoke("Hi").text, pure=False)
    else:
        cluster.register_plugin(Asking(make(), quota.name, QUOTA))
        future = cluster.submit(lambda: ask("Hi")[0], pure=False)
    until(lambda: generating(server)["now"] == 1)
    # Taken later and not renewed, it ends no sooner than the other would.
    forgotten = Semaphore(1)
    forgotten.refresh_leases = False
    forgotten.acquire()
    until(lambda: forgotten.get_value() == 0)
    held = quota.get_value()
    release(server, 1)
    assert future.result(WAIT) == "held 0"
    assert held == 1


def test_the_lease_of_a_killed_worker_comes_back(cluster, make, server):
    quota = Semaphore(1)
    hold(server, 1)
    cluster.register_plugin(Asking(make(), quota.name, 1))
    address, process = next(iter(cluster.run(os.getpid).items()))
    future = cluster.submit(ask, "Hi", workers=[address], pure=False)
    until(lambda: generating(server)["now"] == 1)
    assert quota.get_value() == 1
    os.kill(process, signal.SIGKILL)
    assert quota.acquire(timeout=WAIT)
    quota.release()
    future.cancel()
    # One that came later has the model, too.
    until(lambda: address not in cluster.scheduler_info()["workers"])
    cluster.wait_for_workers(WORKERS)
    for later in cluster.scheduler_info()["workers"]:
        answer = cluster.submit(ask, "Hi again", workers=[later], pure=False)
        assert answer.result(WAIT) == ("You said: Hi again", later)


# --- the example, over processes


@dataclass
class Program:
    """The example as it runs: what it has told so far, and the processes of its workers."""

    process: subprocess.Popen[str]
    told: list[str] = field(default_factory=list)

    @property
    def workers(self) -> dict[str, int]:
        """The process of each worker that it began with, by its address."""
        found = re.findall(r"Worker (\S+) \(process (\d+)\)", "".join(self.told))
        return {address: int(process) for address, process in found}

    def read_until(self, word: str) -> str:
        """The line with a word; an error, with all it told, where it ends without one."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.told.append(line)
            if word in line:
                return line
        raise AssertionError(f"it ended without {word!r}: {''.join(self.told)}")

    def read_until_answered(self, count: int) -> None:
        """Until so many are in the ledger."""
        while int(self.read_until("answered").split()[0].replace(",", "")) < count:
            pass

    def ended(self) -> dict[str, int]:
        """The table at its end."""
        assert self.process.stdout
        self.told += self.process.stdout
        self.process.wait(WAIT)
        return table_of("".join(self.told))


def table_of(told: str) -> dict[str, int]:
    """The numbers by their names; without those that were not told."""
    table = re.findall(r"^([a-z ]+?) +([\d,]+)$", told, re.MULTILINE)
    return {name: int(number.replace(",", "")) for name, number in table}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "answers.sqlite"


@pytest.fixture
def start(ledger: Path) -> Iterator[Callable[..., Program]]:
    """Starts the example with a ledger of the test's own; over its own emulator, or one given."""
    with ExitStack() as running:

        def started(*options: object, server: Emulator | None = None) -> Program:
            known = {**os.environ}
            if server:
                known |= {"YC_API_KEY": KEY, "YC_FOLDER_ID": "test-folder"}
                options = (*options, "--base-url", server.chat_url)
            program = Path("examples", "dask_cluster.py")
            command = [sys.executable, "-W", "error", program, "--ledger", ledger, *options]
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=ROOT,
                env=known,
                stdout=subprocess.PIPE,
                text=True,
            )
            running.callback(end, process)
            return Program(process)

        yield started


def end(process: subprocess.Popen[str]) -> None:
    """Kill it and wait for its workers, which end with it."""
    try:
        workers = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        workers = []
    process.kill()
    process.wait(WAIT)
    assert process.stdout
    process.stdout.close()
    until(lambda: not any(map(runs, workers)))


def runs(process: psutil.Process) -> bool:
    """Whether it does; one that ended may stay a zombie, whose parent is gone."""
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def kept(ledger: Path) -> dict[str, tuple[str, str, str]]:
    """Prompt, answer and worker by id; from whatever a killed process left behind."""
    with closing(sqlite3.connect(ledger)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = file.execute("SELECT id, prompt, answer, worker FROM answers").fetchall()
    assert len({id_ for id_, *_ in rows}) == len(rows)
    return {id_: (prompt, answer, worker) for id_, prompt, answer, worker in rows}


def check_answers(answers: dict[str, tuple[str, str, str]], count: int) -> None:
    """Each prompt has the one answer that is its own."""
    assert len(answers) == count
    for prompt, answer, _ in answers.values():
        assert answer == f"You said: {prompt}"


def asked(server: Emulator) -> Counter[str]:
    """How many requests each prompt came by."""
    server.settle()
    return Counter(row["question"] for row in server.ledger)


def test_a_thousand_prompts_as_the_makefile_runs_it(start, ledger):
    """Over an emulator in a process of its own, which refuses more than ten at once."""
    program = start("--chunk-delay", 0.01)
    assert "talking to an emulator" in program.read_until("emulator")
    table = program.ended()
    assert program.process.returncode == 0
    most = table.pop("most at once")
    assert 1 < most <= QUOTA
    assert table == {
        "prompts": 1000,
        "answered before": 0,
        "sent": 1000,
        "failed": 0,
        "requests seen by the server": 1000,
        "retries": 0,
    }
    answers = kept(ledger)
    check_answers(answers, 1000)
    assert {worker for *_, worker in answers.values()} == set(program.workers)
    assert len({*program.workers.values(), program.process.pid}) == WORKERS + 1


def test_the_prompts_of_a_killed_worker_are_answered_and_no_others_twice(start, ledger, server):
    program = start("--prompts", 400, server=server)
    program.read_until_answered(120)
    address, process = next(iter(program.workers.items()))
    before = kept(ledger)  # all of it was there when the worker was killed
    os.kill(process, signal.SIGKILL)
    table = program.ended()
    assert program.process.returncode == 0
    answers, requests = kept(ledger), asked(server)
    check_answers(answers, 400)
    assert {id_: answers[id_] for id_ in before} == before
    assert len(before) >= 120
    assert Counter(requests.values()).keys() <= {1, 2}
    twice = {id_ for id_, (prompt, *_) in answers.items() if requests[prompt] == 2}
    assert not twice & before.keys()
    assert len(twice) <= THREADS
    assert {worker for *_, worker in answers.values()} - {address}
    assert len(requests) == 400
    assert table["retries"] == len(twice)
    assert table["most at once"] <= QUOTA


def test_what_was_answered_before_all_was_killed_is_not_sent_again(start, ledger, server):
    program = start("--prompts", 300, server=server)
    assert program.read_until("before").split()[:3] == ["0", "of", "300"]
    program.read_until_answered(100)
    end(program.process)
    before = kept(ledger)
    assert 100 <= len(before) < 300
    assert {asked(server)[prompt] for prompt, *_ in before.values()} == {1}
    again = start("--prompts", 300, server=server)
    table = again.ended()
    assert again.process.returncode == 0
    assert (table["answered before"], table["sent"]) == (len(before), 300 - len(before))
    assert (table["retries"], table["failed"]) == (0, 0)
    answers, requests = kept(ledger), asked(server)
    check_answers(answers, 300)
    assert {id_: answers[id_] for id_ in before} == before
    assert Counter(requests.values()).keys() <= {1, 2}
    twice = {id_ for id_, (prompt, *_) in answers.items() if requests[prompt] == 2}
    assert not twice & before.keys()
    assert len(twice) <= THREADS
    assert len(requests) == 300


def test_workers_of_a_cluster_that_runs_already(start, ledger, server, cluster):
    """As they would be on other machines: they have the packages, and not this program."""
    address = cluster.scheduler.address
    program = start("--prompts", 50, "--scheduler", address, server=server)
    assert program.ended()["failed"] == 0
    answers = kept(ledger)
    check_answers(answers, 50)
    assert {worker for *_, worker in answers.values()} <= cluster.scheduler_info()["workers"].keys()


# --- the example, in this process


@pytest.fixture
def run(cluster, server, ledger, monkeypatch, capsys) -> Callable[..., tuple[int, str]]:
    """Runs it over the module's workers; how it ended, and what it told."""

    def ran(*options: object, key: str = KEY) -> tuple[int, str]:
        monkeypatch.setenv("YC_API_KEY", key)
        monkeypatch.setenv("YC_FOLDER_ID", "test-folder")
        known = ("--ledger", ledger, "--scheduler", cluster.scheduler.address)
        words = [*known, "--base-url", server.chat_url, *options]
        return main([str(word) for word in words]), capsys.readouterr().out

    return ran


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_faults_are_absorbed_and_counted(run, ledger, server, framework):
    kinds = ("429", "500", "502", "503", "504", "reset", "reset-after-head", "cut", "slow")
    server.faults(0.2, seed=3, kinds=kinds)
    code, told = run("--framework", framework, "--prompts", 200)
    table = table_of(told)
    check_answers(kept(ledger), 200)
    assert (code, table["failed"]) == (0, 0)
    assert table["retries"] >= 20
    assert table["requests seen by the server"] == 200 + table["retries"] == len(server.ledger)
    assert 1 < table["most at once"] <= QUOTA


def test_what_fails_is_told_and_left_for_the_next_run(run, ledger, server):
    code, told = run("--prompts", 20, key="AQVN-a-key-that-is-not-known")
    table = table_of(told)
    assert (code, table["failed"], table["sent"]) == (1, 20, 20)
    assert "failed: YandexAuthenticationError: 401" in told
    assert "AQVN" not in told
    assert kept(ledger) == {}
    code, told = run("--prompts", 20)
    table = table_of(told)
    assert (code, table["failed"], table["sent"]) == (0, 0, 20)
    answers = kept(ledger)
    check_answers(answers, 20)
    # Nothing is left to send.
    code, told = run("--prompts", 20)
    table = table_of(told)
    assert (code, table["answered before"], table["sent"]) == (0, 20, 0)
    assert (kept(ledger), len(server.ledger)) == (answers, 40)


def test_an_id_that_stands_for_another_text_is_refused(ledger):
    with closing(AnswerLedger(ledger)) as kept_before:
        kept_before.keep({Prompt("1", "a"): ("an answer", "a worker")})
        assert kept_before.unanswered([Prompt("1", "a"), Prompt("2", "b")]) == [Prompt("2", "b")]
        with pytest.raises(ValueError, match=r"another text under the id 1"):
            kept_before.unanswered([Prompt("1", "b")])


def test_what_is_kept_at_once_is_kept_whole_or_not_at_all(ledger):
    with closing(AnswerLedger(ledger)) as opened:
        opened.keep({Prompt("1", "a"): ("first", "a worker")})
        opened.keep({Prompt("1", "a"): ("second", "another")})
        broken: Any = ("no text", None)
        with pytest.raises(sqlite3.IntegrityError):
            opened.keep({Prompt("2", "b"): ("whole", "a worker"), Prompt("3", "c"): broken})
    assert kept(ledger) == {"1": ("a", "first", "a worker")}
