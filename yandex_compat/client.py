"""YandexClient: what can be asked of the service; every decision is made elsewhere, purely."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, suppress
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any

import httpx

from yandex_compat import catalogue
from yandex_compat.bodies import OpenBody, hung_up_after
from yandex_compat.completion import Completion, CompletionRequest, Delta, Embedding
from yandex_compat.reading import StreamReading, whole_completion
from yandex_compat.settings import resolve_settings
from yandex_compat.transport import Outgoing, Transport
from yandex_compat.wires.apis import APIS

# Seconds that a server gets to end the body of an answer that has ended, so that its connection
# can be used again.
_PATIENCE = 0.5

# One text takes a few tenths of a second: so many at once keep up with the quota of 10 a second.
_EMBEDDINGS_AT_ONCE = 4


class YandexClient(Transport):
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
        settings = resolve_settings(
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
        super().__init__(settings, http_client, http_async_client)
        self._api = APIS[settings.api]

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
        reading = StreamReading(request, response, self._api)
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
        reading = StreamReading(request, response, self._api)
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

    def _outgoing_completion(self, request: CompletionRequest, *, stream: bool) -> Outgoing:
        uri = catalogue.model_uri(request.model, self._settings.folder_id)
        body = self._api.encode(request, uri, catalogue.profile_for(request.model), stream=stream)
        return self._asking(self._api.completion_path, uri, body, stream=stream)

    def _outgoing_embedding(self, text: str, model: str) -> Outgoing:
        uri = catalogue.model_uri(model, self._settings.folder_id, "emb")
        body = self._api.encode_embedding(text, uri)
        pace = self._pace(catalogue.folder_of(uri))
        return self._asking(self._api.embedding_path, uri, body, pace=pace)

    def _asking(self, path: str, uri: str, body: Mapping[str, Any], **more: Any) -> Outgoing:
        """A request to the chosen API about a model."""
        headers = {self._api.folder_header: catalogue.folder_of(uri) or ""}
        return self._outgoing("POST", self._settings.base_url + path, headers, body, **more)

    def _completion(self, response: httpx.Response, request: CompletionRequest) -> Completion:
        with self._failures.inside(response):
            return whole_completion(request, response, self._api)

    def _embedding(self, response: httpx.Response) -> Embedding:
        with self._failures.inside(response):
            return self._api.decode_embedding(response.content)


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
