"""Limiter: a context manager of the user's own, blocking or async, held while a request runs."""

from collections.abc import AsyncGenerator, Generator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from yandex_compat.errors import ConfigurationError
from yandex_compat.threads import in_thread, until_done


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
    entering = in_thread("to enter the limiter", limiter.__enter__)
    try:
        await until_done(entering)
    except BaseException:
        # Its thread waits on, and may get in when nobody needs it any more.
        entering.add_done_callback(lambda entered: _leave_unneeded(limiter, entered))
        raise
    entering.result()
    try:
        yield
    finally:
        leaving = in_thread("to leave the limiter", limiter.__exit__, None, None, None)
        # Whoever gives up waiting does not take it back.
        await until_done(leaving)
        leaving.result()


def _leave_unneeded(limiter: Any, entered: "Future[Any]") -> None:  # noqa: ANN401 -- as above
    if not entered.exception():
        limiter.__exit__(None, None, None)


def _is_blocking(limiter: object) -> bool:
    return hasattr(type(limiter), "__enter__") and hasattr(type(limiter), "__exit__")


def _is_async(limiter: object) -> bool:
    return hasattr(type(limiter), "__aenter__") and hasattr(type(limiter), "__aexit__")
