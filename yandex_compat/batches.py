"""Many requests of one kind, a few at a time, and their answers in order."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from typing import TypeVar

_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")


def in_order(
    ask: Callable[[_Asked], _Answer], questions: Sequence[_Asked], at_once: int
) -> list[_Answer]:
    """The answers to all questions, asked in so many threads.

    What fails first is raised at once; what is under way by then goes on, and nothing else.
    """
    found: dict[int, _Answer] = {}
    ended: SimpleQueue[tuple[int, Future[_Answer]]] = SimpleQueue()
    waiting, stopped = iter(enumerate(questions)), threading.Event()
    lock = threading.Lock()

    def work() -> None:
        while not stopped.is_set():
            with lock:
                following = next(waiting, None)
            if following is None:
                return
            place, question = following
            answer: Future[_Answer] = Future()
            try:
                answer.set_result(ask(question))
            except BaseException as error:
                answer.set_exception(error)
            ended.put((place, answer))

    if not _started(work, min(at_once, len(questions))):
        return [ask(question) for question in questions]
    try:
        while len(found) < len(questions):
            place, answer = ended.get()
            found[place] = answer.result()
    finally:
        stopped.set()
    return [found[place] for place in range(len(questions))]


async def ain_order(
    ask: Callable[[_Asked], Awaitable[_Answer]], questions: Sequence[_Asked], at_once: int
) -> list[_Answer]:
    """The answers to all questions, as `in_order` gives them, asked in so many tasks."""
    found: dict[int, _Answer] = {}
    waiting = iter(enumerate(questions))

    async def work() -> None:
        for place, question in waiting:
            found[place] = await ask(question)

    workers = [asyncio.ensure_future(work()) for _ in range(min(at_once, len(questions)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [found[place] for place in range(len(questions))]


def _started(work: Callable[[], None], count: int) -> bool:
    """Whether threads do the work, for more than one of it.

    They are daemons, so that an interrupt or the end of the program need not wait for them. Where
    the program is ending already, Python starts none.
    """
    if count < 2:
        return False
    started = 0
    with suppress(RuntimeError):
        for _ in range(count):
            # What tracing and logging keep in context variables goes along.
            threading.Thread(target=copy_context().run, args=(work,), daemon=True).start()
            started += 1
    return started > 0
