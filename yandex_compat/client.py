"""YandexClient: what can be asked of the service; every decision is made elsewhere, purely."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import nullcontext, suppress
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import httpx

from yandex_compat import catalogue
from yandex_compat.batches import ain_order, in_order
from yandex_compat.bodies import hung_up_after, is_shared
from yandex_compat.catalogue import Model
from yandex_compat.completion import Completion, CompletionRequest, Delta, Embedding, Token
from yandex_compat.errors import ConnectionFailed, MalformedAnswer, UnsupportedError
from yandex_compat.hidden import HiddenWords
from yandex_compat.limiters import check_pickle
from yandex_compat.logs import RequestLog
from yandex_compat.operations import (
    DEFERRED_PATH,
    Operation,
    Polling,
    checked_id,
    of_operation,
    read_operation,
)
from yandex_compat.reading import StreamReading, whole_completion
from yandex_compat.settings import Settings, checked_patience, resolve_settings
from yandex_compat.transport import Outgoing, Transport
from yandex_compat.wires import models, tokenizer
from yandex_compat.wires.apis import APIS

if TYPE_CHECKING:
    from yandex_compat.stored import StoredCompletions

_NATIVE = APIS["completion"]

# Seconds that a server gets to end the body of an answer that has ended, so that its connection
# can be used again.
_PATIENCE = 0.5

# One text takes a few tenths of a second: so many at once keep up with the quota of 10 a second.
_EMBEDDINGS_AT_ONCE = 4


class YandexClient:
    """The typed client of Yandex Cloud AI Studio, blocking and async (`a…`) alike.

    One instance serves any number of threads and event loops, and may be pickled and forked.
    Missing credentials raise ConfigurationError here; every other error is a YandexError too. Plain
    http to a public host is refused, unless `allow_http`.
    """

    def __init__(
        self,
        *,
        api: str = "chat",
        api_key: str | None = None,
        iam_token: str | None = None,
        auth: httpx.Auth | Callable[[], Any] | None = None,
        folder_id: str | None = None,
        base_url: str | None = None,
        allow_http: bool = False,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        first_byte_timeout: float | None = None,
        total_timeout: float | None = None,
        max_retries: int | None = None,
        max_concurrency: int | None = None,
        limiter: object = None,
        requests_per_second: float | None = None,
        mode: str | None = None,
        deferred_timeout: float | None = None,
        supports_store: bool = False,
        data_logging: bool = True,
        default_headers: Mapping[str, str] | None = None,
        http_client: httpx.Client | None = None,
        http_async_client: httpx.AsyncClient | None = None,
    ) -> None:
        hidden = HiddenWords(
            api_key=api_key,
            iam_token=iam_token,
            auth=auth,
            folder_id=folder_id,
            base_url=base_url,
            default_headers=default_headers,
        )
        del api_key, iam_token, auth, folder_id, base_url, default_headers
        settings = resolve_settings(
            api=api,
            allow_http=allow_http,
            timeout=timeout,
            connect_timeout=connect_timeout,
            first_byte_timeout=first_byte_timeout,
            total_timeout=total_timeout,
            max_retries=max_retries,
            max_concurrency=max_concurrency,
            limiter=limiter,
            requests_per_second=requests_per_second,
            mode=mode,
            deferred_timeout=deferred_timeout,
            supports_store=supports_store,
            data_logging=data_logging,
            **hidden,
        )
        self._settings = settings
        self._api = APIS[settings.api]
        self._transport = Transport(settings, http_client, http_async_client)

    def __repr__(self) -> str:
        # A constructor that fails shows in tracebacks before it has settings.
        return f"{type(self).__name__}({getattr(self, '_settings', None)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __getstate__(self) -> dict[str, Any]:
        check_pickle(self._settings.limiter)
        return self.__dict__

    def __copy__(self) -> Self:
        # Of its own, so that to close one does not close the other's connections (D2).
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, _transport=copy(self._transport))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return copy(self)

    @property
    def settings(self) -> Settings:
        """How the service is reached."""
        return self._settings

    @property
    def auth(self) -> httpx.Auth:
        """The credential that requests go out with."""
        return self._settings.auth

    @property
    def stored(self) -> "StoredCompletions":
        """The completions that a server has kept."""
        from yandex_compat.stored import StoredCompletions  # Yandex Cloud keeps none

        return StoredCompletions(self._transport)

    def close(self) -> None:
        """Give up the shared connections; a client that was passed in stays open."""
        self._transport.close()

    async def aclose(self) -> None:
        """Give up the shared connections, those of the running event loop included."""
        await self._transport.aclose()

    def check(self, request: CompletionRequest) -> None:
        """Raise what `complete` would raise before sending; send nothing."""
        self._outgoing_completion(request, stream=False)

    def complete(self, request: CompletionRequest) -> Completion:
        """Ask for a whole answer; in the mode "deferred", begin it and wait for it."""
        if self._settings.mode == "deferred":
            begun = self.defer(request)
            return begun.completion or self.result(begun.id, request)
        outgoing = self._outgoing_completion(request, stream=False)
        response = self._transport.send(outgoing)
        return self._completion(response, request, outgoing.log)

    async def acomplete(self, request: CompletionRequest) -> Completion:
        """Ask for a whole answer, as `complete` does."""
        if self._settings.mode == "deferred":
            begun = await self.adefer(request)
            return begun.completion or await self.aresult(begun.id, request)
        outgoing = self._outgoing_completion(request, stream=False)
        response = await self._transport.asend(outgoing)
        return self._completion(response, request, outgoing.log)

    def defer(self, request: CompletionRequest) -> Operation:
        """Begin a deferred generation, of which `result` has the answer once it is there."""
        outgoing = self._outgoing_deferred(request)
        response = self._transport.send(outgoing)
        return self._begun(response, request, outgoing.log)

    async def adefer(self, request: CompletionRequest) -> Operation:
        """Begin a deferred generation, of which `aresult` has the answer once it is there."""
        outgoing = self._outgoing_deferred(request)
        response = await self._transport.asend(outgoing)
        return self._begun(response, request, outgoing.log)

    def operation(self, operation_id: str, request: CompletionRequest | None = None) -> Operation:
        """How a deferred generation stands, and its answer if it is there.

        `request` is that of `defer`, which names of tools and integers are read by; another
        process may do without. Raises the error of an operation that failed, with its id.
        """
        with of_operation(operation_id):
            outgoing = self._outgoing_operation(operation_id)
            response = self._transport.send(outgoing)
            return self._operation(response, request, outgoing.log)

    async def aoperation(
        self, operation_id: str, request: CompletionRequest | None = None
    ) -> Operation:
        """How a deferred generation stands, as `operation` tells it."""
        with of_operation(operation_id):
            outgoing = self._outgoing_operation(operation_id)
            response = await self._transport.asend(outgoing)
            return self._operation(response, request, outgoing.log)

    def result(
        self,
        operation_id: str,
        request: CompletionRequest | None = None,
        *,
        timeout: float | None = None,
    ) -> Completion:
        """Wait for the answer of a deferred generation, `deferred_timeout` seconds at most.

        Raises RequestTimedOut where it has not come by then; it may be asked for again.
        """
        polling = self._polling(operation_id, timeout)
        outgoing = self._outgoing_operation(operation_id)
        told = outgoing.log.of_longer() if outgoing.log else nullcontext()
        with of_operation(operation_id), told:
            while True:
                response = None
                with polling.look() as deadline:
                    response = self._transport.send(outgoing, deadline)
                if response:
                    operation = self._operation(response, request, outgoing.log)
                    if operation.completion:
                        return operation.completion
                time.sleep(polling.wait())

    async def aresult(
        self,
        operation_id: str,
        request: CompletionRequest | None = None,
        *,
        timeout: float | None = None,
    ) -> Completion:
        """Wait for the answer of a deferred generation, as `result` does."""
        polling = self._polling(operation_id, timeout)
        outgoing = self._outgoing_operation(operation_id)
        told = outgoing.log.of_longer() if outgoing.log else nullcontext()
        with of_operation(operation_id), told:
            while True:
                response = None
                with polling.look() as deadline:
                    response = await self._transport.asend(outgoing, deadline)
                if response:
                    operation = self._operation(response, request, outgoing.log)
                    if operation.completion:
                        return operation.completion
                await asyncio.sleep(polling.wait())

    def stream(self, request: CompletionRequest) -> Generator[Delta, None, None]:
        """Ask for an answer in deltas; the last one has `final`.

        Raises StreamInterrupted where the answer stops before its end. Closing the generator
        closes the connection.
        """
        outgoing = self._outgoing_completion(request, stream=True)
        body, log = self._transport.open(outgoing), outgoing.log
        reading = StreamReading(request, body.response, self._api)
        failures = partial(self._transport.failures.of_reading, reading, body.deadline, log)
        with body as pieces:
            with failures():
                # A local would show, in a traceback, what the server repeats.
                for reading.piece in pieces:
                    yield from reading.feed(reading.piece)
                    if reading.done:
                        break
            if not reading.stopped:
                with failures():
                    yield from reading.close()
            if log and reading.end:
                log.completed(reading.end)
            if reading.stopped or is_shared(body.response):
                return
            # Whatever fails from here on, the answer has been given: ConnectionFailed comes where
            # no descriptor or no thread is left to watch the connection with.
            ignored = (httpx.RequestError, OSError, ConnectionFailed)
            with suppress(*ignored), hung_up_after(_PATIENCE, body.response):
                for _ in pieces:
                    pass

    async def astream(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Ask for an answer in deltas, as `stream` does."""
        outgoing = self._outgoing_completion(request, stream=True)
        body, log = await self._transport.aopen(outgoing), outgoing.log
        reading = StreamReading(request, body.response, self._api)
        failures = partial(self._transport.failures.of_reading, reading, body.deadline, log)
        async with body as pieces:
            with failures():
                async for reading.piece in pieces:
                    for delta in reading.feed(reading.piece):
                        yield delta
                    if reading.done:
                        break
            if not reading.stopped:
                with failures():
                    for delta in reading.close():
                        yield delta
            if log and reading.end:
                log.completed(reading.end)
            if reading.stopped or is_shared(body.response):
                return
            with suppress(httpx.RequestError, TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    async for _ in pieces:
                        pass

    def tokenize(self, text: str, *, model: str) -> tuple[Token, ...]:
        """The tokens of a text, as the service's tokenizer for a model counts them."""
        return self._transport.ask(self._outgoing_text_to_count(text, model), tokenizer.decode)

    async def atokenize(self, text: str, *, model: str) -> tuple[Token, ...]:
        """The tokens of a text, as `tokenize` tells them."""
        return await self._transport.aask(
            self._outgoing_text_to_count(text, model), tokenizer.decode
        )

    def tokenize_completion(self, request: CompletionRequest) -> tuple[Token, ...]:
        """The tokens of a conversation and its tools, as the model is given them."""
        return self._transport.ask(self._outgoing_talk_to_count(request), tokenizer.decode)

    async def atokenize_completion(self, request: CompletionRequest) -> tuple[Token, ...]:
        """The tokens of a conversation and its tools, as the model is given them."""
        return await self._transport.aask(self._outgoing_talk_to_count(request), tokenizer.decode)

    def models(self) -> list[Model]:
        """The models that the key can use, of generation and of embeddings."""
        return self._transport.ask(self._outgoing_models(), models.decode)

    async def amodels(self) -> list[Model]:
        """The models that the key can use, of generation and of embeddings."""
        return await self._transport.aask(self._outgoing_models(), models.decode)

    def embed(self, text: str, *, model: str) -> Embedding:
        """Ask for one text's vector."""
        return self._transport.ask(
            self._outgoing_embedding(text, model), self._api.decode_embedding
        )

    async def aembed(self, text: str, *, model: str) -> Embedding:
        """Ask for one text's vector."""
        return await self._transport.aask(
            self._outgoing_embedding(text, model), self._api.decode_embedding
        )

    def embed_all(self, texts: Sequence[str], *, model: str) -> list[Embedding]:
        """Ask for the vectors of texts, in their order, a few at a time.

        What fails first is raised at once; what is under way by then goes on, and nothing else.
        """
        ask = partial(self.embed, model=model)
        return _of_one_length(in_order(ask, texts, _EMBEDDINGS_AT_ONCE))

    async def aembed_all(self, texts: Sequence[str], *, model: str) -> list[Embedding]:
        """Ask for the vectors of texts, in their order, as `embed_all` does."""
        ask = partial(self.aembed, model=model)
        return _of_one_length(await ain_order(ask, texts, _EMBEDDINGS_AT_ONCE))

    def check_tokenizer(self, model: str) -> None:
        """Raise UnsupportedError where the service counts no tokens of a model."""
        _refuse_chat_only(model)

    def check_embedding_model(self, model: str) -> None:
        """Raise ConfigurationError where no embedding URI can be made of a model's name."""
        catalogue.model_uri(model, self._settings.folder_id, "emb")

    def _outgoing_completion(self, request: CompletionRequest, *, stream: bool) -> Outgoing:
        if stream and self._settings.mode == "deferred":
            raise UnsupportedError(
                'mode="deferred" gives whole answers: ask without streaming, or leave mode out.'
            )
        if request.store and self._api is APIS["chat"] and not self._settings.supports_store:
            raise UnsupportedError(
                "store: the service documents it as currently not supported. For a server that "
                'keeps completions, pass supports_store=True; extra_body={"store": True} sends it '
                "all the same."
            )
        uri = catalogue.model_uri(request.model, self._settings.folder_id)
        body = self._api.encode(request, uri, catalogue.profile_for(request.model), stream=stream)
        folder, name = catalogue.folder_of(uri), catalogue.bare_name(uri)
        places = self._transport.places(folder, name)
        return self._asking(self._api.completion_path, uri, body, stream=stream, places=places)

    def _outgoing_embedding(self, text: str, model: str) -> Outgoing:
        uri = catalogue.model_uri(model, self._settings.folder_id, "emb")
        body = self._api.encode_embedding(text, uri)
        pace = self._transport.pace(catalogue.folder_of(uri))
        return self._asking(self._api.embedding_path, uri, body, pace=pace)

    def _outgoing_deferred(self, request: CompletionRequest) -> Outgoing:
        uri = catalogue.model_uri(request.model, self._settings.folder_id)
        body = _NATIVE.encode(request, uri, catalogue.profile_for(request.model), stream=False)
        return self._native(DEFERRED_PATH, uri, body)

    def _outgoing_operation(self, operation_id: str) -> Outgoing:
        url = f"{self._settings.endpoints.operations}/{checked_id(operation_id)}"
        return self._transport.outgoing("GET", url, {})

    def _outgoing_text_to_count(self, text: str, model: str) -> Outgoing:
        _refuse_chat_only(model)
        uri = catalogue.model_uri(model, self._settings.folder_id)
        return self._native(tokenizer.TEXT_PATH, uri, tokenizer.encode(text, uri))

    def _outgoing_talk_to_count(self, request: CompletionRequest) -> Outgoing:
        _refuse_chat_only(request.model)
        # How the answer is generated does not count, and need not be what the native API knows.
        talk = CompletionRequest(request.model, request.messages, tools=request.tools)
        uri = catalogue.model_uri(request.model, self._settings.folder_id)
        body = _NATIVE.encode(talk, uri, catalogue.profile_for(request.model), stream=False)
        return self._native(tokenizer.CONVERSATION_PATH, uri, body)

    def _outgoing_models(self) -> Outgoing:
        headers = {APIS["chat"].folder_header: self._settings.folder_id or ""}
        return self._transport.outgoing("GET", self._settings.endpoints.chat + models.PATH, headers)

    def _native(self, path: str, uri: str, body: Mapping[str, Any]) -> Outgoing:
        """A request to the native API about a model, whichever API is talked to."""
        headers = {_NATIVE.folder_header: catalogue.folder_of(uri) or ""}
        url = self._settings.endpoints.completion + path
        name = catalogue.bare_name(uri)
        return self._transport.outgoing("POST", url, headers, body, model=name, api="completion")

    def _begun(
        self, response: httpx.Response, request: CompletionRequest, log: RequestLog | None
    ) -> Operation:
        operation = self._operation(response, request, log)
        if log and not operation.done:
            # Whoever is interrupted while it is waited for can ask for the answer by this.
            log.deferred(operation.id)
        return operation

    def _operation(
        self, response: httpx.Response, request: CompletionRequest | None, log: RequestLog | None
    ) -> Operation:
        with self._transport.failures.inside(response, log):
            operation = read_operation(response.content)
            if not operation.done:
                return operation
            asked = request or CompletionRequest("", ())
            completion = whole_completion(asked, response, _NATIVE)
        completion.operation_id = operation.id
        if log:
            log.completed(completion)
        return replace(operation, completion=completion)

    def _polling(self, operation_id: str, timeout: float | None) -> Polling:
        patience = self._settings.deferred_timeout
        if timeout is not None:
            patience = checked_patience("timeout", timeout)
        return Polling(operation_id, patience)

    def _asking(self, path: str, uri: str, body: Mapping[str, Any], **more: Any) -> Outgoing:
        """A request to the chosen API about a model."""
        headers = {self._api.folder_header: catalogue.folder_of(uri) or ""}
        more |= {"limited": True, "model": catalogue.bare_name(uri), "api": self._settings.api}
        return self._transport.outgoing(
            "POST", self._settings.base_url + path, headers, body, **more
        )

    def _completion(
        self, response: httpx.Response, request: CompletionRequest, log: RequestLog | None
    ) -> Completion:
        with self._transport.failures.inside(response, log):
            completion = whole_completion(request, response, self._api)
        if log:
            log.completed(completion)
        return completion


def _refuse_chat_only(model: str) -> None:
    if not catalogue.profile_for(model).native:
        raise UnsupportedError(
            f"The tokenizer is of the native API, and the model {catalogue.bare_name(model)!r} is "
            f"on the chat API only: leave exact_token_counts out, which estimates the tokens."
        )


def _of_one_length(found: list[Embedding]) -> list[Embedding]:
    """The vectors of one model; MalformedAnswer where their lengths tell that they are not."""
    lengths = sorted({len(embedding.vector) for embedding in found})
    if len(lengths) > 1:
        told = " and ".join(map(str, lengths))
        raise MalformedAnswer(
            f"The vectors of one model have {told} numbers, and can't be compared: check what "
            f"base_url leads to."
        )
    return found
