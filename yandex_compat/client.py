"""YandexClient: sends requests and awaits answers; every decision is made elsewhere, purely."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, closing, suppress
from contextvars import copy_context
from dataclasses import dataclass, replace
from hashlib import sha256
from queue import SimpleQueue
from typing import Any, Self, TypeVar
from uuid import uuid4

import httpx
from tenacity import AsyncRetrying, RetryCallState, Retrying

from yandex_compat import __version__, catalogue, jsontext
from yandex_compat.auth import secrets_of
from yandex_compat.bodies import OpenBody, hung_up_after
from yandex_compat.completion import Completion, CompletionRequest, Delta, Embedding
from yandex_compat.errors import ConfigurationError, YandexError
from yandex_compat.failures import Failures
from yandex_compat.limits import PACES, Pace
from yandex_compat.pools import POOLS
from yandex_compat.reading import StreamReading, whole_completion
from yandex_compat.retries import RetryPolicy
from yandex_compat.settings import CONNECT_TIMEOUT, resolve_settings
from yandex_compat.wires import chat, embeddings

# Seconds that a server gets to end the body of an answer that has ended, so that its connection
# can be used again.
_PATIENCE = 0.5

# One text takes a few tenths of a second: so many at once keep up with the quota of 10 a second.
_EMBEDDINGS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """A request as it goes out, but for the id and the credential of each attempt."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    stream: bool = False
    pace: Pace | None = None


class YandexClient:
    """The typed client of Yandex Cloud AI Studio, blocking and async (`a…`) alike.

    One instance serves any number of threads and event loops, and may be pickled and forked.
    Missing credentials raise ConfigurationError here; every other error is a YandexError too.
    """

    def __init__(
        self,
        *,
        api: str = "chat",
        api_key: str | None = None,
        iam_token: str | None = None,
        auth: httpx.Auth | None = None,
        folder_id: str | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        requests_per_second: float | None = None,
        data_logging: bool = True,
        default_headers: Mapping[str, str] | None = None,
        http_client: httpx.Client | None = None,
        http_async_client: httpx.AsyncClient | None = None,
    ) -> None:
        self._settings = resolve_settings(
            api=api,
            api_key=api_key,
            iam_token=iam_token,
            auth=auth,
            folder_id=folder_id,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            requests_per_second=requests_per_second,
            data_logging=data_logging,
            default_headers=default_headers,
        )
        self._failures = Failures(self._settings)
        self._policy = RetryPolicy(self._settings.max_retries)
        self._http_client = _checked_client("http_client", http_client, httpx.Client)
        self._http_async_client = _checked_client(
            "http_async_client", http_async_client, httpx.AsyncClient
        )

    def __repr__(self) -> str:
        return f"YandexClient({self._settings!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __getstate__(self) -> dict[str, Any]:
        # Clients hold locks and sockets: they are left behind, and made anew where it is loaded.
        return {**self.__dict__, "_http_client": None, "_http_async_client": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    @property
    def auth(self) -> httpx.Auth:
        """The credential that requests go out with."""
        return self._settings.auth

    def close(self) -> None:
        """Give up the shared connections; a client that was passed in stays open."""
        POOLS.release(self)

    async def aclose(self) -> None:
        """Give up the shared connections, those of the running event loop included."""
        await POOLS.arelease(self)

    def check(self, request: CompletionRequest) -> None:
        """Raise what `complete` would raise before sending; send nothing."""
        self._outgoing_completion(request, stream=False)

    def complete(self, request: CompletionRequest) -> Completion:
        """Ask for a whole answer."""
        response = self._send(self._outgoing_completion(request, stream=False))
        return self._completion(response, request)

    async def acomplete(self, request: CompletionRequest) -> Completion:
        """Ask for a whole answer."""
        response = await self._asend(self._outgoing_completion(request, stream=False))
        return self._completion(response, request)

    def stream(self, request: CompletionRequest) -> Generator[Delta, None, None]:
        """Ask for an answer in deltas; the last one has `final`.

        Raises StreamInterrupted where the answer stops before its end. Closing the generator
        closes the connection.
        """
        response = self._send(self._outgoing_completion(request, stream=True))
        reading = StreamReading(request, response)
        with OpenBody(response) as pieces:
            with self._failures.of_reading(reading):
                for data in pieces:
                    yield from reading.feed(data)
                    if reading.stopped:
                        return
                    if reading.done:
                        break
            with self._failures.of_reading(reading):
                yield from reading.close()
            if _is_shared(response):
                return
            # Whatever fails from here on, the answer has been given: OSError and RuntimeError come
            # where no descriptor or no thread is left to watch the connection with.
            failures = (httpx.RequestError, OSError, RuntimeError)
            with suppress(*failures), hung_up_after(_PATIENCE, response):
                for _ in pieces:
                    pass

    async def astream(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Ask for an answer in deltas, as `stream` does."""
        response = await self._asend(self._outgoing_completion(request, stream=True))
        reading = StreamReading(request, response)
        async with aclosing(response):
            pieces = response.aiter_bytes()
            with self._failures.of_reading(reading):
                async for data in pieces:
                    for delta in reading.feed(data):
                        yield delta
                    if reading.stopped:
                        return
                    if reading.done:
                        break
            with self._failures.of_reading(reading):
                for delta in reading.close():
                    yield delta
            if _is_shared(response):
                return
            with suppress(httpx.RequestError, TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    async for _ in pieces:
                        pass

    def embed(self, text: str, *, model: str) -> Embedding:
        """Ask for one text's vector."""
        return self._embedding(self._send(self._outgoing_embedding(text, model)))

    async def aembed(self, text: str, *, model: str) -> Embedding:
        """Ask for one text's vector."""
        return self._embedding(await self._asend(self._outgoing_embedding(text, model)))

    def embed_all(self, texts: Sequence[str], *, model: str) -> list[Embedding]:
        """Ask for the vectors of texts, in their order, a few at a time.

        What fails first is raised at once; what is under way by then goes on, and nothing else.
        """
        found: dict[int, Embedding] = {}
        ended: SimpleQueue[tuple[int, Embedding | BaseException]] = SimpleQueue()
        waiting, stopped = iter(enumerate(texts)), threading.Event()
        lock = threading.Lock()

        def work() -> None:
            while not stopped.is_set():
                with lock:
                    place, text = next(waiting, (-1, ""))
                if place < 0:
                    return
                try:
                    ended.put((place, self.embed(text, model=model)))
                except BaseException as error:
                    ended.put((place, error))

        if not _started(work, min(_EMBEDDINGS_AT_ONCE, len(texts))):
            return [self.embed(text, model=model) for text in texts]
        try:
            while len(found) < len(texts):
                place, outcome = ended.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                found[place] = outcome
        finally:
            stopped.set()
        return [found[place] for place in range(len(texts))]

    async def aembed_all(self, texts: Sequence[str], *, model: str) -> list[Embedding]:
        """Ask for the vectors of texts, in their order, as `embed_all` does."""
        found: dict[int, Embedding] = {}
        waiting = iter(enumerate(texts))

        async def work() -> None:
            for place, text in waiting:
                found[place] = await self.aembed(text, model=model)

        workers = [
            asyncio.ensure_future(work()) for _ in range(min(_EMBEDDINGS_AT_ONCE, len(texts)))
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return [found[place] for place in range(len(texts))]

    def check_embedding_model(self, model: str) -> None:
        """Raise ConfigurationError where no embedding URI can be made of a model's name."""
        catalogue.model_uri(model, self._settings.folder_id, "emb")

    def _outgoing_completion(self, request: CompletionRequest, *, stream: bool) -> _Outgoing:
        uri = catalogue.model_uri(request.model, self._settings.folder_id)
        body = chat.encode(request, uri, catalogue.profile_for(request.model), stream=stream)
        return self._outgoing(chat.PATH, uri, body, stream=stream)

    def _outgoing_embedding(self, text: str, model: str) -> _Outgoing:
        uri = catalogue.model_uri(model, self._settings.folder_id, "emb")
        outgoing = self._outgoing(embeddings.PATH, uri, embeddings.encode(text, uri))
        return replace(outgoing, pace=self._pace(uri))

    def _pace(self, uri: str) -> Pace | None:
        """The pace of the quota that an embedding counts against."""
        settings = self._settings
        if not settings.requests_per_second:
            return None
        # Of a secret, no more than a digest is kept.
        secret = "\0".join(secrets_of(settings.auth)).encode()
        credential = sha256(secret).digest() if secret else _Same(settings.auth)
        quota = (credential, catalogue.folder_of(uri), settings.base_url)
        return PACES.of(quota, settings.requests_per_second)

    def _outgoing(
        self, path: str, uri: str, body: Mapping[str, Any], *, stream: bool = False
    ) -> _Outgoing:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"yandex-compat/{__version__}",
            "OpenAI-Project": catalogue.folder_of(uri) or "",
        }
        if stream:
            # A compressing proxy would hold small events back until its window is full.
            headers["Accept-Encoding"] = "identity"
        if not self._settings.data_logging:
            headers["x-data-logging-enabled"] = "false"
        # Header names ignore case: in a dict, `user-agent` would stand beside `User-Agent`.
        merged = httpx.Headers(headers)
        merged.update(self._settings.default_headers)
        try:
            data = jsontext.encode(body)
        except (RecursionError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"The request has no JSON form ({error}): a tool's schema or extra_body holds a "
                f"value that is none of dict, list, text, number, boolean and None."
            ) from None
        return _Outgoing(self._settings.base_url + path, merged, data, stream)

    def _completion(self, response: httpx.Response, request: CompletionRequest) -> Completion:
        with self._failures.inside(response):
            return whole_completion(request, response)

    def _embedding(self, response: httpx.Response) -> Embedding:
        with self._failures.inside(response):
            return embeddings.decode(response.content)

    # Sending: each attempt is made, and failed, in one way; tenacity is entered only after a
    # first failure, since it costs as much as a tenth of a request.

    def _send(self, outgoing: _Outgoing) -> httpx.Response:
        try:
            return self._attempt(outgoing)
        except YandexError as error:
            if self._policy.wait_after(1, error) is None:
                raise
            first = [error]

        def attempt() -> httpx.Response:
            if first:
                raise first.pop()
            return self._attempt(outgoing)

        try:
            return Retrying(**self._retry_words())(attempt)
        except YandexError as error:
            # Tenacity's frames, and what they hold, would live as long as the error.
            raise error.with_traceback(None) from None

    async def _asend(self, outgoing: _Outgoing) -> httpx.Response:
        try:
            return await self._aattempt(outgoing)
        except YandexError as error:
            if self._policy.wait_after(1, error) is None:
                raise
            first = [error]

        async def attempt() -> httpx.Response:
            if first:
                raise first.pop()
            return await self._aattempt(outgoing)

        try:
            return await AsyncRetrying(**self._retry_words())(attempt)
        except YandexError as error:
            # Tenacity's frames, and what they hold, would live as long as the error.
            raise error.with_traceback(None) from None

    def _attempt(self, outgoing: _Outgoing) -> httpx.Response:
        if outgoing.pace:
            outgoing.pace.wait()
        client = _open(self._http_client or POOLS.client(self))
        request = self._request(client, outgoing)
        failure: YandexError | None = None
        try:
            response = client.send(request, stream=True, auth=self._settings.auth)
            if not (outgoing.stream and response.is_success):
                with closing(response), _body_may_break(response):
                    response.read()
        except httpx.HTTPStatusError as error:
            response = error.response  # a hook of the user's client raised it
        except (httpx.RequestError, httpx.InvalidURL, UnicodeError, ExceptionGroup) as error:
            failure = self._failures.of_sending(error, request)
        if failure:
            # Raised out here, it does not drag along an error that holds the request's headers.
            try:
                raise failure
            finally:
                del failure  # its traceback holds this frame
        self._failures.refuse_bad_status(response)
        return response

    async def _aattempt(self, outgoing: _Outgoing) -> httpx.Response:
        if outgoing.pace:
            await outgoing.pace.await_turn()
        client = _open(self._http_async_client or await POOLS.aclient(self))
        request = self._request(client, outgoing)
        failure: YandexError | None = None
        try:
            response = await client.send(request, stream=True, auth=self._settings.auth)
            if not (outgoing.stream and response.is_success):
                async with aclosing(response):
                    with _body_may_break(response):
                        await response.aread()
        except httpx.HTTPStatusError as error:
            response = error.response
        except (httpx.RequestError, httpx.InvalidURL, UnicodeError, ExceptionGroup) as error:
            failure = self._failures.of_sending(error, request)
        if failure:
            try:
                raise failure
            finally:
                del failure
        self._failures.refuse_bad_status(response)
        return response

    def _request(
        self, client: httpx.Client | httpx.AsyncClient, outgoing: _Outgoing
    ) -> httpx.Request:
        """One attempt's request; its own id is what the service's support asks for (WIRE)."""
        return client.build_request(
            "POST",
            outgoing.url,
            content=outgoing.body,
            headers={"x-client-request-id": str(uuid4()), **outgoing.headers},
            timeout=httpx.Timeout(
                self._settings.timeout, connect=min(CONNECT_TIMEOUT, self._settings.timeout)
            ),
        )

    def _retry_words(self) -> dict[str, Any]:
        """The policy in tenacity's words."""

        def wait(state: RetryCallState) -> float | None:
            error = state.outcome.exception() if state.outcome else None
            return None if error is None else self._policy.wait_after(state.attempt_number, error)

        return {
            "retry": lambda state: wait(state) is not None,
            "wait": lambda state: wait(state) or 0.0,
            "reraise": True,
        }


class _Same:
    """Stands in a key for one object, whatever it takes for its equals."""

    __slots__ = ("_one",)

    def __init__(self, one: object) -> None:
        self._one = one

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other._one is self._one

    def __hash__(self) -> int:
        return id(self._one)


def _started(work: Callable[[], None], count: int) -> bool:
    """Whether threads do the work, for more than one of it.

    They are daemons, so that an interrupt or the end of the program need not wait for them. Where
    the program is ending already, Python starts none.
    """
    if count < 2:
        return False
    started = 0
    with suppress(RuntimeError):
        for _ in range(count):
            # What tracing and logging keep in context variables goes along.
            threading.Thread(target=copy_context().run, args=(work,), daemon=True).start()
            started += 1
    return started > 0


def _is_shared(response: httpx.Response) -> bool:
    """Whether other answers travel on the same connection, so that it needs no end of this one."""
    return response.http_version == "HTTP/2"


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
