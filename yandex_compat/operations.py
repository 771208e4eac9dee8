"""Operations: deferred generations, whose answers are fetched once they are ready."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from yandex_compat import jsontext
from yandex_compat.completion import Completion
from yandex_compat.deadlines import Deadline
from yandex_compat.errors import (
    ConfigurationError,
    MalformedAnswer,
    RequestTimedOut,
    YandexError,
    error_from_response,
    is_error,
)

DEFERRED_PATH = "/completionAsync"
_ID = re.compile(r"\w[\w.-]*", re.ASCII)
_FORGIVEN = 5
_LAST_LOOK = 5.0


@dataclass(frozen=True, slots=True)
class Operation:
    """How a deferred generation stands; `completion` is there once it is `done`."""

    id: str
    done: bool = False
    completion: Completion | None = None


def read_operation(data: bytes) -> Operation:
    """The id of an operation and whether it is done.

    Raises APIError for an error in its place (WIRE C), MalformedAnswer for another shape.
    """
    try:
        body = jsontext.decode(data)
        if isinstance(body, dict) and "id" not in body and is_error(body):
            raise error_from_response(200, {}, data)
        operation = Operation(body["id"], bool(body.get("done")))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise MalformedAnswer(f"The answer is no operation ({type(error).__name__}).") from None
    if not isinstance(operation.id, str) or not _ID.fullmatch(operation.id):
        raise MalformedAnswer("The answer is an operation without an id.")
    return operation


def checked_id(operation_id: object) -> str:
    """The id of an operation; ConfigurationError for what can't be one."""
    if not isinstance(operation_id, str) or not _ID.fullmatch(operation_id):
        raise ConfigurationError(
            f"operation_id={operation_id!r} is no operation's id: take the one that `defer` gave."
        )
    return operation_id


@contextmanager
def of_operation(operation_id: str) -> Iterator[None]:
    """Whatever is raised inside tells which operation it was about, an interrupt included."""
    try:
        yield
    except YandexError as error:
        error.operation_id = operation_id
        raise
    except BaseException as error:
        error.add_note(f"The deferred generation goes on as operation {operation_id}.")
        raise


class Polling:
    """When to look after an operation again: after waits that grow, until a deadline.

    The first wait is a second, each is half as long again as the one before, and none is longer
    than ten. Some looks in a row may fail: who gave up at the first would ask for another
    generation, and pay for both.
    """

    __slots__ = ("_clock", "_ends_at", "_failed", "_operation_id", "_wait")

    def __init__(
        self, operation_id: str, timeout: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._operation_id = operation_id
        self._clock = clock
        self._ends_at = clock() + timeout
        self._failed = 0
        self._wait = 1.0

    @contextmanager
    def look(self) -> Iterator[Deadline]:
        """One look, and by when it must have ended; a failure that may pass is forgiven.

        The last one, at the deadline, gets a few seconds still.
        """
        try:
            yield Deadline.after("deferred_timeout", max(self._left, _LAST_LOOK))
        except YandexError as error:
            self._failed += 1
            if error.retryable and self._failed <= _FORGIVEN and self._left > 0:
                return
            self._ask_later(error)
            raise
        else:
            self._failed = 0

    def wait(self) -> float:
        """Seconds until the next look; RequestTimedOut where the deadline has come."""
        left = self._left
        if left <= 0:
            error = RequestTimedOut(
                "The deferred answer has not come in time. Raise deferred_timeout to wait longer."
            )
            self._ask_later(error)
            raise error
        wait, self._wait = self._wait, min(self._wait * 1.5, 10.0)
        return min(wait, left)

    def _ask_later(self, error: YandexError) -> None:
        # Retried as a whole, another generation would begin, and be paid for.
        error.retryable = False
        told = f"{error} The generation goes on: ask for it by result({self._operation_id!r})."
        error.args = (told, *error.args[1:])

    @property
    def _left(self) -> float:
        return self._ends_at - self._clock()
