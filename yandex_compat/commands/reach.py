"""One request without a credential, told by its steps: where it went, how far, and how long."""

import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import httpx

from yandex_compat.endpoints import host_of
from yandex_compat.hangups import HANG_UPS
from yandex_compat.pools import CookielessClient, new_client

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""Seconds for a connection, and between the bytes of an answer."""
_LONGEST = 60.0
_ENOUGH = 65_536  # bytes of an answer, which may be a page
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Peer:
    """The host and port that are connected to; a proxy's, where they are not the address's own."""

    host: str
    port: int
    is_proxy: bool


@dataclass(frozen=True, slots=True)
class Reached:
    """The answer's status, headers and beginning, and the seconds that each step took.

    The steps are "DNS", "connect", "TLS" and "first byte"; "connect" looks the name up once more,
    which a resolver has at hand by then.
    """

    peer: Peer
    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: Mapping[str, float]
    tls: str | None


class NotReached(Exception):
    """How far a request came: the step that failed, and httpx's or the system's own words."""

    def __init__(self, step: str, peer: Peer | None, error: Exception) -> None:
        super().__init__(str(error) or type(error).__name__)
        self.step = step
        self.peer = peer
        self.error = error


class _FarEnough(Exception):
    """Ends a request before it connects."""


class _Watch:
    """Follows one request by what its transport tells of itself."""

    def __init__(self, url: httpx.URL, held: ExitStack, *, connects: bool = True) -> None:
        self._own = (host_of(url), url.port or PORTS[url.scheme])
        self._secure = url.scheme == "https"
        self._held, self._connects = held, connects
        self._since = time.perf_counter()
        self.step = "DNS"
        self.peer: Peer | None = None
        self.seconds: dict[str, float] = {}

    def __call__(self, event: str, told: Mapping[str, Any]) -> None:
        name = event.partition(".")[2]
        if name == "connect_tcp.started":
            host, port = str(told["host"]), int(told["port"])
            self.peer = Peer(host, port, is_proxy=(host, port) != self._own)
            if not self._connects:
                raise _FarEnough
            self._since = time.perf_counter()
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            self._note("DNS", "connect")
        elif name == "connect_tcp.complete":
            connection = told["return_value"].get_extra_info("socket")
            # Bytes that come one by one would keep the doctor for ever.
            self._held.enter_context(HANG_UPS.after(_LONGEST, connection))
            proxied = self.peer is not None and self.peer.is_proxy and self._secure
            self._note("connect", "proxy" if proxied else "answer")
        elif name == "start_tls.started":
            self.step, self._since = "TLS", time.perf_counter()
        elif name == "start_tls.complete":
            self._note("TLS", "answer")
        elif name == "send_request_headers.started":
            self._since = time.perf_counter()
        elif name == "receive_response_headers.complete" and self.step == "answer":
            self._note("first byte", "answer")

    def _note(self, step: str, following: str) -> None:
        now = time.perf_counter()
        self.seconds[step] = now - self._since
        self._since, self.step = now, following


def peer_of(url: str) -> Peer:
    """Whom a request would be sent to, proxies of the environment considered; nothing is sent.

    Raises ConfigurationError where the environment allows no client.
    """
    with ExitStack() as held:
        watch = _Watch(httpx.URL(url), held, connects=False)
        client = held.enter_context(new_client(CookielessClient))
        with suppress(_FarEnough):
            client.get(url, extensions={"trace": watch})
        if watch.peer is None:
            raise AssertionError("nothing is answered without a connection")
        return watch.peer


def reach(url: str) -> Reached:
    """Ask for an address without a credential; NotReached where no answer comes."""
    with ExitStack() as held:
        watch = _Watch(httpx.URL(url), held)
        client = held.enter_context(new_client(CookielessClient))
        try:
            words: dict[str, Any] = {"timeout": TIMEOUT, "extensions": {"trace": watch}}
            with client.stream("GET", url, follow_redirects=False, **words) as response:
                connection = response.extensions["network_stream"].get_extra_info("ssl_object")
                body = b""
                for piece in response.iter_raw():
                    body += piece
                    if len(body) >= _ENOUGH:
                        break
        except (httpx.HTTPError, OSError, UnicodeError) as error:
            raise NotReached(watch.step, watch.peer, error) from None
        if watch.peer is None:
            raise AssertionError("nothing is answered without a connection")
        tls = connection.version() if connection is not None else None
        return Reached(watch.peer, response.status_code, response.headers, body, watch.seconds, tls)
