"""Limiter: a context manager of the user's own, blocking or async, held while a request runs."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from contextvars import copy_context
from threading import Thread
from typing import Any, TypeVar

from yandex_compat.errors import ConfigurationError, ConnectionFailed

_Result = TypeVar("_Result")


def checked_limiter(limiter: object) -> object:
    """The limiter; ConfigurationError where it is no context manager."""
    if limiter is not None and not (_is_blocking(limiter) or _is_async(limiter)):
        raise ConfigurationError(
            f"limiter must be a context manager, blocking or async, such as a semaphore, not "
            f"{type(limiter).__name__}."
        )
    return limiter


@contextmanager
def holding(limiter: Any) -> Generator[None, None, None]:  # noqa: ANN401 -- any context manager
    """Enter and leave a limiter in blocking code; its own errors pass as they are."""
    if not _is_blocking(limiter):
        raise ConfigurationError(
            f"limiter is an async context manager only ({type(limiter).__name__}), which blocking "
            f"calls can't enter: call the async methods, or pass one that is both."
        )
    with limiter:
        yield


@asynccontextmanager
async def aholding(limiter: Any) -> AsyncGenerator[None, None]:  # noqa: ANN401 -- as above
    """Enter and leave a limiter in async code; a blocking one in threads, beside the event loop."""
    if _is_async(limiter):
        async with limiter:
            yield
        return
    entering = _in_thread(limiter.__enter__)
    try:
        await asyncio.wait([asyncio.wrap_future(entering)])
    except BaseException:
        # Its thread waits on, and may get in when nobody needs it any more.
        entering.add_done_callback(lambda entered: _leave_unneeded(limiter, entered))
        raise
    entering.result()
    try:
        yield
    finally:
        leaving = _in_thread(limiter.__exit__, None, None, None)
        # Whoever gives up waiting does not take it back.
        await asyncio.wait([asyncio.wrap_future(leaving)])
        leaving.result()


def _leave_unneeded(limiter: Any, entered: "Future[Any]") -> None:  # noqa: ANN401 -- as above
    if not entered.exception():
        limiter.__exit__(None, None, None)


def _in_thread(work: Callable[..., _Result], *words: object) -> "Future[_Result]":
    """What work done in a thread of its own comes to.

    Not asyncio's own pool: those who wait in it for their turn would keep out those who leave.
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
        Thread(target=copy_context().run, args=(run,), daemon=True).start()
    except RuntimeError:
        raise ConnectionFailed(
            "No thread can be started to enter the limiter, since the program ends or has too "
            "many. Pass a limiter that is an async context manager."
        ) from None
    return outcome


def _is_blocking(limiter: object) -> bool:
    return hasattr(type(limiter), "__enter__") and hasattr(type(limiter), "__exit__")


def _is_async(limiter: object) -> bool:
    return hasattr(type(limiter), "__aenter__") and hasattr(type(limiter), "__aexit__")
