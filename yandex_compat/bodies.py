"""The body of an open blocking response: how it is closed, and how its end is hurried."""

import socket
import threading
from _thread import start_new_thread
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx

# Seconds that the closer of a stream waits to see it closed.
_CLOSED_SOON = 0.02
_REACHABLE: dict[int, tuple[httpx.Response, Iterator[bytes]]] = {}


class OpenBody:
    """Gives the pieces of a response's body, and closes it, wherever its reader is dropped.

    httpcore closes a response under a lock that can't be taken twice, and Python's collector may
    drop a forgotten stream at any moment, under that very lock too: closed there, the thread would
    wait for itself for ever. So what is closed half-read is closed in a thread of its own. Until
    then it stays reachable, since httpcore's own generators would close it just the same.
    """

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    def __enter__(self) -> Iterator[bytes]:
        pieces = self._response.iter_bytes()
        _REACHABLE[id(self._response)] = (self._response, pieces)
        return pieces

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not GeneratorExit:
            _close(self._response)
            return
        closed = threading.Event()
        try:
            # threading.Thread has locks of its own, under which the collector may run as well.
            start_new_thread(_close, (self._response, closed))
        except RuntimeError:
            _close(self._response)
        else:
            closed.wait(_CLOSED_SOON)


def _close(response: httpx.Response, closed: threading.Event | None = None) -> None:
    try:
        response.close()
    finally:
        _REACHABLE.pop(id(response), None)
        if closed:
            closed.set()


@contextmanager
def hung_up_after(seconds: float, response: httpx.Response) -> Iterator[None]:
    """Shuts a response's connection down if what is done here takes longer.

    httpx fixes the read timeout when a request is sent, so a blocking read can't be hurried else.
    """
    stream = response.extensions.get("network_stream")
    own = stream.get_extra_info("socket") if stream and not response.is_closed else None
    if own is None or own.fileno() < 0:
        yield
        return
    # A socket of its own: to shut a TLS socket down under its reader would unwrap it.
    with socket.socket(fileno=socket.dup(own.fileno())) as twin:
        timer = threading.Timer(seconds, _shut_down, [twin])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # else it might meet another socket under the number of this one


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
