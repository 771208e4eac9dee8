"""Hang-ups: connections are shut down when their time is over, by one thread, and not before."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from math import inf
from types import SimpleNamespace

import psutil
import pytest

from yandex_compat import ConnectionFailed, hangups
from yandex_compat.hangups import HangUps

SOON, LONG = 0.05, 30.0


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of one connection."""
    own, other = socket.socketpair()
    other.settimeout(LONG)
    with own, other:
        yield own, other


@pytest.fixture
def hang_ups(monkeypatch) -> HangUps:
    """Those of another process, whose watcher ends as soon as it has nothing to watch."""
    monkeypatch.setattr(hangups, "_IDLE", SOON)
    return HangUps()


def watcher_of(hang_ups: HangUps) -> threading.Thread:
    assert hang_ups._watcher
    return hang_ups._watcher


def test_a_connection_is_shut_down_in_time(hang_ups, pair):
    own, other = pair
    with hang_ups.after(SOON, own):
        assert other.recv(1) == b""
    watcher_of(hang_ups).join(LONG)


def test_what_is_done_in_time_leaves_it_as_it_was(hang_ups, pair):
    own, other = pair
    with hang_ups.after(SOON, own):
        pass
    time.sleep(2 * SOON)
    own.send(b"x")
    assert other.recv(1) == b"x"


def test_a_sooner_one_does_not_wait_for_a_later(hang_ups, pair, monkeypatch):
    monkeypatch.setattr(hangups, "_IDLE", 4 * LONG)
    own, other = pair
    with hang_ups.after(2 * LONG, other):
        watcher = watcher_of(hang_ups)
        while hang_ups._looks_at == inf:
            time.sleep(0.001)
        with hang_ups.after(SOON, own):
            assert other.recv(1) == b""
        assert watcher.is_alive()


def test_each_is_shut_down_at_its_own_time_by_one_thread(hang_ups):
    with ExitStack() as held:
        pairs = [socket.socketpair() for _ in range(20)]
        for own, other in pairs:
            held.enter_context(own)
            held.enter_context(other).settimeout(LONG)
        before = threading.active_count()
        for number, (own, _) in enumerate(pairs):
            held.enter_context(hang_ups.after(LONG if number % 2 else SOON, own))
        assert threading.active_count() == before + 1
        for number, (own, other) in enumerate(pairs):
            if number % 2:
                own.send(b"x")
            assert other.recv(1) == (b"x" if number % 2 else b"")


def test_the_watcher_ends_and_another_follows(hang_ups, pair):
    own, other = pair
    with hang_ups.after(LONG, own):
        first = watcher_of(hang_ups)
    first.join(LONG)
    # Not found out by its thread, which is alive for a while after it has stopped to watch.
    assert hang_ups._watcher is None
    with hang_ups.after(SOON, own):
        assert watcher_of(hang_ups) is not first
        assert other.recv(1) == b""


def test_a_watcher_that_died_is_followed_by_another(hang_ups, pair):
    own, other = pair
    hang_ups._watcher = threading.Thread()
    with hang_ups.after(SOON, own):
        assert other.recv(1) == b""


def test_a_connection_that_is_gone_by_then_keeps_no_other_open(hang_ups, pair):
    own, other = pair
    with (
        socket.socket() as unconnected,
        hang_ups.after(SOON, unconnected),
        hang_ups.after(2 * SOON, own),
    ):
        assert other.recv(1) == b""


def test_no_descriptor_is_left_open(hang_ups, pair):
    own, other = pair
    before = psutil.Process().num_fds()
    for seconds in (LONG, 0):
        with hang_ups.after(seconds, own):
            if not seconds:
                assert other.recv(1) == b""
    assert psutil.Process().num_fds() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_watches_its_own(pair):
    own, other = pair
    forked, held = threading.Event(), threading.Event()

    def hold() -> None:
        with hangups.HANG_UPS._changed:
            held.set()
            forked.wait(LONG)

    with hangups.HANG_UPS.after(LONG, own):
        holder = threading.Thread(target=hold)
        holder.start()
        held.wait(LONG)
        child = os.fork()
        if not child:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(10)  # rather than wait for ever for what nobody gives back here
            mine, yours = socket.socketpair()
            yours.settimeout(LONG)
            with hangups.HANG_UPS.after(SOON, mine):
                os._exit(0 if yours.recv(1) == b"" else 1)
        forked.set()
        holder.join(LONG)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        own.send(b"x")
        assert other.recv(1) == b"x"


@pytest.mark.parametrize("lacking", ["descriptor", "thread"])
def test_where_nothing_is_left_to_do_it_with_it_is_told(hang_ups, pair, monkeypatch, lacking):
    def none_left(*_: object) -> int:
        raise OSError(24, "Too many open files")

    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    if lacking == "descriptor":
        monkeypatch.setattr(socket, "dup", none_left)
    else:
        monkeypatch.setattr(hangups, "threading", SimpleNamespace(Thread=NoThread))
    own, other = pair
    with pytest.raises(ConnectionFailed, match="thread or file descriptor"), hang_ups.after(1, own):
        pass
    own.send(b"x")
    assert other.recv(1) == b"x"
