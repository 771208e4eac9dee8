"""Hang-ups: shuts down the connections whose time is over, one thread for all of a process."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf

from yandex_compat.errors import ConnectionFailed

# Seconds until a watcher with nothing to watch ends.
_IDLE = 5.0


class HangUps:
    """Connections in use and when each is to be shut down, unless it is done by then."""

    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        """Also in a forked child, where nobody is left who watched."""
        self._changed = threading.Condition()
        self._due: dict[socket.socket, float] = {}
        self._looks_at = inf
        self._watcher: threading.Thread | None = None

    @contextmanager
    def after(self, seconds: float, own: socket.socket) -> Iterator[None]:
        """Shuts a connection down if what is done here takes longer.

        ConnectionFailed where no thread or descriptor is left to do so with.
        """
        try:
            # A socket of its own: to shut a TLS socket down under its reader would unwrap it.
            twin = socket.socket(fileno=socket.dup(own.fileno()))
        except OSError as error:
            raise _nothing_left(error) from None
        with twin:
            try:
                self._add(twin, time.monotonic() + seconds)
            except RuntimeError as error:
                raise _nothing_left(error) from None
            try:
                yield
            finally:
                # Gone before it is closed: another would have its number then.
                with self._changed:
                    self._due.pop(twin, None)

    def _add(self, twin: socket.socket, due: float) -> None:
        with self._changed:
            if self._watcher is None or not self._watcher.is_alive():
                # A thread for each would cost as much as a quarter of a short answer.
                watcher = threading.Thread(target=self._watch, daemon=True)
                watcher.start()
                self._watcher = watcher
            self._due[twin] = due
            if due < self._looks_at:
                self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                # The collector may close a forgotten stream here, whose connection is let go then.
                for twin, due in self._due.copy().items():
                    if due <= now:
                        self._due.pop(twin, None)
                        with suppress(OSError):
                            twin.shutdown(socket.SHUT_RDWR)
                self._looks_at = min(self._due.copy().values(), default=inf)
                wait = min(self._looks_at - now, _IDLE)
                if not self._changed.wait(wait) and not self._due:
                    self._watcher = None
                    return


def _nothing_left(error: Exception) -> ConnectionFailed:
    return ConnectionFailed(
        f"No thread or file descriptor is left to end the request in time with "
        f"({type(error).__name__}): the program ends, or has too many."
    )


HANG_UPS = HangUps()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=HANG_UPS.start_anew)
