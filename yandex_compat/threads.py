"""Work in a thread of its own, for those who wait for it beside an event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Any, TypeVar

from yandex_compat.errors import ConnectionFailed

_Result = TypeVar("_Result")


def in_thread(what: str, work: Callable[..., _Result], *words: object) -> "Future[_Result]":
    """What work comes to; ConnectionFailed, which says `what` it was, where no thread starts.

    Not asyncio's own pool: those who wait in it for their turn would keep out those who end it.
    """
    outcome: Future[_Result] = Future()
    outcome.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = work(*words)
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    try:
        # What tracing and logging keep in context variables goes along.
        Thread(target=copy_context().run, args=(run,), daemon=True).start()
    except RuntimeError:
        raise ConnectionFailed(
            f"No thread can be started {what}, since the program ends or has too many."
        ) from None
    return outcome


async def until_done(outcome: "Future[Any]") -> None:
    """Wait beside others of an event loop for an outcome, which stays where it is.

    asyncio.wrap_future would copy it: an exception that nobody asks the copy for is reported as
    forgotten, with its traceback, and a StopIteration can't be copied, so that the wait never ends.
    """
    loop, known = asyncio.get_running_loop(), asyncio.Event()

    def tell(_: object) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(known.set)

    outcome.add_done_callback(tell)
    await known.wait()
