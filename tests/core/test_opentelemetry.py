"""OpenTelemetry's instrumentation of httpx sees every request that our clients send."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from yandex_compat import RateLimitError, YandexClient

WAYS = ("complete", "acomplete", "stream", "astream", "embed", "aembed")


class Traced:
    """Instruments httpx until closed; `spans` are those that have ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def start(self) -> None:
        async def ahook(span, request):
            self.hook(span, request)

        HTTPXClientInstrumentor().instrument(
            tracer_provider=self.provider, request_hook=self.hook, async_request_hook=ahook
        )

    @staticmethod
    def hook(span, request):
        span.set_attributes(request.extensions["yandex_compat"])

    @property
    def spans(self):
        return self._exporter.get_finished_spans()


@pytest.fixture
def traced() -> Iterator[Traced]:
    yield Traced()
    if HTTPXClientInstrumentor().is_instrumented_by_opentelemetry:
        HTTPXClientInstrumentor().uninstrument()


async def ask(made, way, asked):
    if way in {"complete", "embed"}:
        words = {} if way == "complete" else {"model": "text-search-doc"}
        getattr(made, way)("Hi" if words else asked, **words)
    elif way in {"acomplete", "aembed"}:
        words = {} if way == "acomplete" else {"model": "text-search-doc"}
        await getattr(made, way)("Hi" if words else asked, **words)
    elif way == "stream":
        assert list(made.stream(asked))[-1].final
    else:
        assert [delta async for delta in made.astream(asked)][-1].final


def sent_ids(emulator):
    """The trace and span that each request came with."""
    headers = [request["headers"].get("traceparent", "") for request in emulator.requests]
    return [tuple(header.split("-")[1:3]) for header in headers]


def ids(spans):
    return [(f"{one.context.trace_id:032x}", f"{one.context.span_id:016x}") for one in spans]


@pytest.mark.parametrize("pooled", ["before", "after"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_span_for_each_request(emulator, client, request_of, traced, way, pooled):
    if pooled == "before":  # a connection lies idle, of a client that knows of no tracing
        await ask(client, way, request_of())
    traced.start()
    await ask(client, way, request_of())
    [span] = traced.spans
    assert sent_ids(emulator)[-1] == ids([span])[0]
    model = "text-search-doc" if "embed" in way else "yandexgpt"
    assert {name: span.attributes[name] for name in ("model", "api", "attempt")} == {
        "model": model, "api": "chat", "attempt": 1,
    }  # fmt: skip
    assert span.attributes["http.status_code"] == 200


@pytest.mark.parametrize("way", WAYS)
async def test_it_stands_under_the_span_that_it_was_asked_in(client, request_of, traced, way):
    traced.start()
    with traced.provider.get_tracer("test").start_as_current_span("chain") as chain:
        await ask(client, way, request_of())
    [span, _] = traced.spans
    assert span.parent.span_id == chain.get_span_context().span_id


@pytest.mark.parametrize("way", WAYS)
async def test_a_span_for_each_retry(emulator, client, request_of, traced, waits, way):
    traced.start()
    emulator.faults(1.0, kinds=["429"])
    with pytest.raises(RateLimitError):
        await ask(client, way, request_of())
    assert len(waits) == 2
    assert sent_ids(emulator) == ids(traced.spans)
    assert [span.attributes["attempt"] for span in traced.spans] == [1, 2, 3]
    assert [span.attributes["http.status_code"] for span in traced.spans] == [429] * 3


@pytest.mark.parametrize("way", WAYS)
async def test_clients_of_the_user_s(emulator, client, request_of, traced, way):
    traced.start()
    async with httpx.AsyncClient() as asynchronous:
        with httpx.Client() as blocking:
            made = YandexClient(
                api_key="test-key",
                folder_id="test-folder",
                base_url=emulator.chat_url,
                http_client=blocking,
                http_async_client=asynchronous,
            )
            await ask(made, way, request_of())
    assert sent_ids(emulator) == ids(traced.spans)


def test_many_at_once_have_traces_of_their_own(emulator, client, request_of, traced):
    async def scenario() -> None:
        await asyncio.gather(*(client.acomplete(request_of()) for _ in range(8)))

    traced.start()
    asyncio.run(scenario())
    assert sorted(sent_ids(emulator)) == sorted(ids(traced.spans))
    assert len(set(sent_ids(emulator))) == 8


def test_no_span_holds_a_secret_or_a_text(client, request_of, traced):
    traced.start()
    client.complete(request_of())
    shown = traced.spans[0].to_json()
    assert "test-key" not in shown
    assert '"Hi"' not in shown
