"""Transport: sends one request, with its credential, once it is its turn, and its second tries."""

import logging
from collections.abc import Callable, Hashable, Mapping
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import uuid4

import httpx

from yandex_compat import __version__, jsontext
from yandex_compat.auth import identity_of
from yandex_compat.bodies import AsyncOpenBody, OpenBody, in_time
from yandex_compat.deadlines import NEVER, Deadline
from yandex_compat.errors import ConfigurationError, YandexError
from yandex_compat.failures import Failures
from yandex_compat.limiters import aholding, holding, too_late
from yandex_compat.limits import PACES, Pace
from yandex_compat.logs import LOG, RequestLog
from yandex_compat.places import Places, shared_places
from yandex_compat.pools import POOLS, CookielessClient, new_client
from yandex_compat.retries import RetryPolicy
from yandex_compat.settings import Settings

if TYPE_CHECKING:
    from tenacity import RetryCallState


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as it goes out, but for the id and the credential of each attempt.

    `model` is the name of the model that it is about, `api` that whose format it has.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    stream: bool = False
    limited: bool = False
    pace: Pace | None = None
    places: Places | None = None
    model: str | None = None
    api: str | None = None
    log: RequestLog | None = field(default=None, repr=False, compare=False)

    @property
    def origin(self) -> str:
        """Scheme, host and port that it goes to."""
        return "/".join(self.url.split("/", 3)[:3])


# Less than that, httpx would take for no time at all.
_SHORTEST_TIMEOUT = 0.001
_OF_SENDING = (
    httpx.RequestError, httpx.InvalidURL, UnicodeError, ExceptionGroup, TimeoutError
)  # fmt: skip
_Read = TypeVar("_Read")


class Transport:
    """Sends requests with one client's settings, blocking and async (`a…`) alike.

    Every failure is a YandexError. A pickle or copy leaves connections behind.
    """

    def __init__(
        self,
        settings: Settings,
        http_client: httpx.Client | None,
        http_async_client: httpx.AsyncClient | None,
    ) -> None:
        self.settings = settings
        self.failures = Failures(settings)
        self._policy = RetryPolicy(settings.max_retries)
        # An API has no redirects, and another host none of the key: also a user's client that
        # follows them would take the user's own headers along.
        self._sent_as: dict[str, Any] = {
            "stream": True, "auth": settings.auth, "follow_redirects": False
        }  # fmt: skip
        self._http_client = _checked_client("http_client", http_client, httpx.Client)
        self._http_async_client = _checked_client(
            "http_async_client", http_async_client, httpx.AsyncClient
        )

    def __getstate__(self) -> dict[str, Any]:
        # Clients hold locks and sockets: they are left behind, and made anew where it is loaded.
        return {**self.__dict__, "_http_client": None, "_http_async_client": None}

    def __copy__(self) -> Self:
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def close(self) -> None:
        """Give up the shared connections; a client that was passed in stays open."""
        POOLS.release(self)

    async def aclose(self) -> None:
        """Give up the shared connections, those of the running event loop included."""
        await POOLS.arelease(self)

    def outgoing(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Outgoing:
        """A request with the headers that all have; ConfigurationError where it has no JSON form.

        A user's own headers win over those given. `more` are other fields of Outgoing.
        """
        known = {"User-Agent": f"yandex-compat/{__version__}", **headers}
        if body is not None:
            known["Content-Type"] = "application/json"
        if more.get("stream"):
            # A compressing proxy would hold small events back until its window is full.
            known["Accept-Encoding"] = "identity"
        if not self.settings.data_logging:
            known["x-data-logging-enabled"] = "false"
        # Names ignore case: else a user's `user-agent` would stand beside ours.
        merged = {
            name.lower(): value
            for named in (known, self.settings.default_headers)
            for name, value in named.items()
        }
        try:
            data = None if body is None else jsontext.encode(body)
        except (RecursionError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"The request has no JSON form ({error}): a tool's schema or extra_body holds a "
                f"value that is none of dict, list, text, number, boolean and None."
            ) from None
        outgoing = Outgoing(method, url, merged, data, **more)
        if not LOG.isEnabledFor(logging.INFO):
            return outgoing
        log = RequestLog(self.failures.without_secrets, method, url, outgoing.model, outgoing.api)
        return replace(outgoing, log=log)

    def pace(self, folder: str | None) -> Pace | None:
        """The pace of the quota that a folder's embeddings count against."""
        settings = self.settings
        if not settings.requests_per_second:
            return None
        # The quota is one, whichever API is asked.
        quota = (self._credential, folder, settings.endpoints.chat)
        return PACES.of(quota, settings.requests_per_second)

    def places(self, folder: str | None, model: str) -> Places | None:
        """The places of the quota that the generations of a folder's model count against."""
        settings = self.settings
        if not settings.max_concurrency:
            return None
        return shared_places((self._credential, folder, model, settings.endpoints.chat))

    def ask(self, outgoing: Outgoing, decode: Callable[[bytes], _Read]) -> _Read:
        """What the answer to a request holds."""
        return self._read(self.send(outgoing), decode, outgoing.log)

    async def aask(self, outgoing: Outgoing, decode: Callable[[bytes], _Read]) -> _Read:
        """What the answer to a request holds."""
        return self._read(await self.asend(outgoing), decode, outgoing.log)

    def _read(
        self, response: httpx.Response, decode: Callable[[bytes], _Read], log: RequestLog | None
    ) -> _Read:
        # An error inside is completed by the answer's headers, and rid of secrets.
        with self.failures.inside(response, log):
            return decode(response.content)

    def send(self, outgoing: Outgoing, deadline: Deadline = NEVER) -> httpx.Response:
        """The whole answer to a request, after as many tries as it takes.

        It ends by the deadline given or after `total_timeout`, whichever comes first.
        """
        return self.open(outgoing, deadline).response

    async def asend(self, outgoing: Outgoing, deadline: Deadline = NEVER) -> httpx.Response:
        """The whole answer to a request, as `send` gives it."""
        return (await self.aopen(outgoing, deadline)).response

    # Each attempt is made, and failed, in one way; tenacity is entered only after a first failure,
    # since it costs as much as a tenth of a request.

    def open(self, outgoing: Outgoing, deadline: Deadline = NEVER) -> OpenBody:
        """The answer to a request, after as many tries as it takes; read, unless it is a stream.

        A stream is begun: its first piece is there, and no later failure has it asked for again.
        """
        try:
            return self._opened(outgoing, self._sooner(deadline))
        except BaseException as error:
            if outgoing.log:
                outgoing.log.failed(error)
            raise

    def _opened(self, outgoing: Outgoing, deadline: Deadline) -> OpenBody:
        try:
            return self._attempt(outgoing, deadline, 1)
        except YandexError as error:
            if self._policy.wait_after(1, error, deadline.left) is None or not _tenacity_is_there():
                raise
            first, attempts = [error], count(1)

        def attempt() -> OpenBody:
            number = next(attempts)
            if first:
                raise first.pop()
            return self._attempt(outgoing, deadline, number)

        from tenacity import Retrying

        try:
            return Retrying(**self._retry_words(deadline, outgoing.log))(attempt)
        except YandexError as error:
            # Tenacity's frames, and what they hold, would live as long as the error.
            raise error.with_traceback(None) from None

    async def aopen(self, outgoing: Outgoing, deadline: Deadline = NEVER) -> AsyncOpenBody:
        """The answer to a request, as `open` gives it."""
        try:
            return await self._aopened(outgoing, self._sooner(deadline))
        except BaseException as error:
            if outgoing.log:
                outgoing.log.failed(error)
            raise

    async def _aopened(self, outgoing: Outgoing, deadline: Deadline) -> AsyncOpenBody:
        try:
            return await self._aattempt(outgoing, deadline, 1)
        except YandexError as error:
            if self._policy.wait_after(1, error, deadline.left) is None or not _tenacity_is_there():
                raise
            first, attempts = [error], count(1)

        async def attempt() -> AsyncOpenBody:
            number = next(attempts)
            if first:
                raise first.pop()
            return await self._aattempt(outgoing, deadline, number)

        from tenacity import AsyncRetrying

        try:
            return await AsyncRetrying(**self._retry_words(deadline, outgoing.log))(attempt)
        except YandexError as error:
            # Tenacity's frames, and what they hold, would live as long as the error.
            raise error.with_traceback(None) from None

    def _attempt(self, outgoing: Outgoing, deadline: Deadline, number: int) -> OpenBody:
        failure: YandexError | None = None
        if outgoing.log:
            outgoing.log.begun(number)
        with ExitStack() as held:
            self._take_turn(outgoing, deadline, held)
            client = self._client(outgoing, held)
            request = self._request(client, outgoing, deadline, number)
            try:
                body = OpenBody(client.send(request, **self._sent_as), deadline)
                held.callback(body.response.close)
                self._hurry(request, deadline)
                if outgoing.stream and body.response.is_success:
                    body.begin(held)
                else:
                    with _body_may_break(body.response):
                        body.read()
            except httpx.HTTPStatusError as error:
                body = OpenBody(error.response)  # a hook of the user's client raised it
            except _OF_SENDING as error:
                failure = self.failures.of_sending(error, request, deadline)
                if outgoing.log:
                    outgoing.log.unanswered(failure)
        if failure:
            # Raised out here, it does not drag along an error that holds the request's headers.
            try:
                raise failure
            finally:
                del failure  # its traceback holds this frame
        if outgoing.log:
            outgoing.log.answered(body.response)
        self.failures.refuse_bad_status(body.response)
        return body

    async def _aattempt(self, outgoing: Outgoing, deadline: Deadline, number: int) -> AsyncOpenBody:
        failure: YandexError | None = None
        if outgoing.log:
            outgoing.log.begun(number)
        async with AsyncExitStack() as held:
            await self._atake_turn(outgoing, deadline, held)
            client = await self._aclient(outgoing, held)
            request = self._request(client, outgoing, deadline, number)
            try:
                async with in_time(deadline):
                    response = await client.send(request, **self._sent_as)
                body = AsyncOpenBody(response, deadline)
                held.push_async_callback(body.response.aclose)
                self._hurry(request, deadline)
                if outgoing.stream and response.is_success:
                    await body.begin(held)
                else:
                    with _body_may_break(response):
                        await body.read()
            except httpx.HTTPStatusError as error:
                body = AsyncOpenBody(error.response)
            except _OF_SENDING as error:
                failure = self.failures.of_sending(error, request, deadline)
                if outgoing.log:
                    outgoing.log.unanswered(failure)
        if failure:
            try:
                raise failure
            finally:
                del failure
        if outgoing.log:
            outgoing.log.answered(body.response)
        self.failures.refuse_bad_status(body.response)
        return body

    # What is taken first is given back last; the quota before a connection, which it would hold.

    def _take_turn(self, outgoing: Outgoing, deadline: Deadline, held: ExitStack) -> None:
        settings = self.settings
        if outgoing.pace:
            outgoing.pace.wait(deadline)
        if outgoing.places:
            limit, patience = settings.max_concurrency, settings.timeout
            held.callback(outgoing.places.take(limit, patience, deadline).give_back)
        if outgoing.limited and settings.limiter is not None:
            held.enter_context(holding(settings.limiter, deadline))

    async def _atake_turn(
        self, outgoing: Outgoing, deadline: Deadline, held: AsyncExitStack
    ) -> None:
        settings = self.settings
        if outgoing.pace:
            await outgoing.pace.await_turn(deadline)
        if outgoing.places:
            limit, patience = settings.max_concurrency, settings.timeout
            held.callback((await outgoing.places.atake(limit, patience, deadline)).give_back)
        if outgoing.limited and settings.limiter is not None:
            try:
                async with in_time(deadline):
                    await held.enter_async_context(aholding(settings.limiter))
            except TimeoutError:
                if not deadline.has_passed:
                    raise
                raise too_late(deadline) from None

    def _client(self, outgoing: Outgoing, held: ExitStack) -> httpx.Client:
        if self._http_client:
            return _open(self._http_client)
        client = POOLS.lend(self, outgoing.origin)
        held.callback(POOLS.take_back, outgoing.origin, client)
        return client

    async def _aclient(self, outgoing: Outgoing, held: AsyncExitStack) -> httpx.AsyncClient:
        if self._http_async_client:
            return _open(self._http_async_client)
        client = await POOLS.alend(self, outgoing.origin)
        held.push_async_callback(POOLS.atake_back, outgoing.origin, client)
        return client

    def _request(
        self,
        client: httpx.Client | httpx.AsyncClient,
        outgoing: Outgoing,
        deadline: Deadline,
        number: int,
    ) -> httpx.Request:
        """One attempt's request; its own id is what the service's support asks for (WIRE).

        Hooks, such as those of OpenTelemetry, find in its extension "yandex_compat" what it is.
        """
        settings, left = self.settings, max(deadline.left, _SHORTEST_TIMEOUT)
        timeouts = {
            "connect": min(settings.connect_timeout, left),
            "read": min(settings.first_byte_timeout, left),
            "write": min(settings.timeout, left),
            "pool": min(settings.timeout, left),
        }
        method, url, body = outgoing.method, _parsed(outgoing.url), outgoing.body
        headers = {"x-client-request-id": str(uuid4()), **outgoing.headers}
        about = {"model": outgoing.model, "api": outgoing.api, "attempt": number}
        extensions = {"timeout": timeouts, "yandex_compat": about}
        if client in (self._http_client, self._http_async_client):
            # It may have headers, parameters and cookies of its own.
            request = client.build_request(
                method, url, content=body, headers=headers, extensions=extensions
            )
        else:
            # To have httpx put the same together costs a twentieth of a whole request.
            known = {"host": url.netloc.decode(), **_headers_of_httpx(), **headers}
            if body is not None:
                known["content-length"] = str(len(body))
            stream = httpx.ByteStream(body or b"")
            request = httpx.Request(
                method, url, headers=known, stream=stream, extensions=extensions
            )
            # As one of httpx is: whose auth signs the body need not know who made it.
            request.read()
        if outgoing.log:
            outgoing.log.sent(request)
        return request

    def _hurry(self, request: httpx.Request, deadline: Deadline) -> None:
        """Have the next bytes come within `timeout`, now that the first have come."""
        left = max(deadline.left, _SHORTEST_TIMEOUT)
        request.extensions["timeout"]["read"] = min(self.settings.timeout, left)

    def _sooner(self, deadline: Deadline) -> Deadline:
        total = Deadline.after("total_timeout", self.settings.total_timeout)
        return min(deadline, total, key=lambda one: one.ends_at)

    @property
    def _credential(self) -> Hashable:
        """What those have in common who share a quota."""
        return identity_of(self.settings.auth)

    def _retry_words(self, deadline: Deadline, log: RequestLog | None) -> dict[str, Any]:
        """The policy in tenacity's words."""
        drawn: float | None = None

        def retries(state: "RetryCallState") -> bool:
            nonlocal drawn
            error = state.outcome.exception() if state.outcome else None
            # Drawn once: a second draw could be one that the deadline leaves no time for.
            drawn = None
            if error:
                drawn = self._policy.wait_after(state.attempt_number, error, deadline.left)
                if log and drawn is not None:
                    log.retrying(error, drawn)
            return drawn is not None

        return {"retry": retries, "wait": lambda _: drawn or 0.0, "reraise": True}


def _tenacity_is_there() -> bool:
    """Whether it can be imported: where no file descriptor is left, it can't."""
    try:
        import tenacity  # noqa: F401
    except (ImportError, OSError):
        return False
    return True


@cache
def _headers_of_httpx() -> dict[str, str]:
    """What its clients, blocking and async, add to a request."""
    with new_client(CookielessClient, trust_env=False) as client:
        return dict(client.headers)


@lru_cache(maxsize=64)
def _parsed(url: str) -> httpx.URL:
    """An address taken apart; nearly all requests go to the same few."""
    return httpx.URL(url)


def _body_may_break(response: httpx.Response) -> suppress:
    """Lets the body of a refusal break off, whose status says enough, and no other."""
    broken = () if response.is_success else (httpx.RequestError,)
    return suppress(*broken)


_Client = TypeVar("_Client", httpx.Client, httpx.AsyncClient)


def _checked_client(word: str, client: _Client | None, kind: type[_Client]) -> _Client | None:
    if client is not None and not isinstance(client, kind):
        raise ConfigurationError(
            f"{word} must be an httpx.{kind.__name__}, not {type(client).__name__}."
        )
    return client


def _open(client: _Client) -> _Client:
    if client.is_closed:
        raise ConfigurationError("The client that was passed in is closed: keep it open, or none.")
    return client
