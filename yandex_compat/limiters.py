"""Limiter: a context manager of the user's own, blocking or async, held while a request runs."""

import pickle
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import Future, wait
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from yandex_compat.deadlines import NEVER, Deadline
from yandex_compat.errors import ConfigurationError, ConnectionFailed, RequestTimedOut
from yandex_compat.threads import in_thread, until_done


def checked_limiter(limiter: object) -> object:
    """The limiter; ConfigurationError where it is no context manager."""
    if limiter is not None and not (_is_blocking(limiter) or _is_async(limiter)):
        raise ConfigurationError(
            f"limiter must be a context manager, blocking or async, such as a semaphore, not "
            f"{type(limiter).__name__}."
        )
    return limiter


def check_pickle(limiter: object) -> None:
    """Raise ConfigurationError where another process could not have the limiter."""
    # Left out, it would let more requests pass than it was to.
    try:
        pickle.dumps(limiter)
    except Exception as error:
        kind = type(error).__name__
    else:
        return
    raise ConfigurationError(
        f"limiter has no pickle ({kind}), so that another process could not keep to it: pass one "
        f"that processes can share, or pickle a copy without one."
    )


@contextmanager
def holding(limiter: Any, deadline: Deadline) -> Generator[None, None, None]:  # noqa: ANN401 -- any context manager
    """Enter and leave a limiter in blocking code; its own errors pass as they are.

    RequestTimedOut at the deadline, until which it is entered in a thread.
    """
    if not _is_blocking(limiter):
        raise ConfigurationError(
            f"limiter is an async context manager only ({type(limiter).__name__}), which blocking "
            f"calls can't enter: call the async methods, or pass one that is both."
        )
    if deadline is NEVER:
        with limiter:
            yield
        return
    entering = in_thread("to enter the limiter", limiter.__enter__)
    with _given_up(limiter, entering):
        wait([entering], deadline.left)
        if not entering.done():
            raise too_late(deadline)
    entering.result()
    try:
        yield
    finally:
        limiter.__exit__(None, None, None)


@asynccontextmanager
async def aholding(limiter: Any) -> AsyncGenerator[None, None]:  # noqa: ANN401 -- as above
    """Enter and leave a limiter in async code; a blocking one in threads, beside the event loop.

    One that is both is entered as an async one, unless it says by `asynchronous` that it can't be
    awaited in this event loop.
    """
    if _is_async(limiter) and not (_is_blocking(limiter) and _is_of_another_loop(limiter)):
        async with limiter:
            yield
        return
    entering = in_thread("to enter the limiter", limiter.__enter__)
    with _given_up(limiter, entering):
        await until_done(entering)
    entering.result()
    try:
        yield
    finally:
        try:
            leaving = in_thread("to leave the limiter", limiter.__exit__, None, None, None)
        except ConnectionFailed:
            # That others wait for it is better than that nobody is let in any more.
            limiter.__exit__(None, None, None)
        else:
            # Whoever gives up waiting does not take it back.
            await until_done(leaving)
            leaving.result()


def too_late(deadline: Deadline) -> RequestTimedOut:
    """The error of a call that was not let in by its deadline."""
    return RequestTimedOut(f"The limiter let it in too late ({deadline.word}): nothing was sent.")


@contextmanager
def _given_up(limiter: Any, entering: "Future[Any]") -> Generator[None, None, None]:  # noqa: ANN401 -- as above
    """Has a limiter left again that is entered after its waiter went away."""
    try:
        yield
    except BaseException:
        # Its thread waits on, and may get in when nobody needs it any more.
        entering.add_done_callback(lambda entered: _leave_unneeded(limiter, entered))
        raise


def _leave_unneeded(limiter: Any, entered: "Future[Any]") -> None:  # noqa: ANN401 -- as above
    if not entered.exception():
        limiter.__exit__(None, None, None)


def _is_blocking(limiter: object) -> bool:
    return hasattr(type(limiter), "__enter__") and hasattr(type(limiter), "__exit__")


def _is_async(limiter: object) -> bool:
    return hasattr(type(limiter), "__aenter__") and hasattr(type(limiter), "__aexit__")


def _is_of_another_loop(limiter: Any) -> bool:  # noqa: ANN401 -- as above
    # The word of Dask's, whose methods block in any loop but the cluster's, and can't be awaited.
    return not getattr(limiter, "asynchronous", True)
