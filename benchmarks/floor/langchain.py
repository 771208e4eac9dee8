"""The floor of LangChain: a chat model, the same over the native format, and embeddings."""

import json
from collections.abc import AsyncIterator, Iterator
from functools import cached_property
from typing import Any

import httpx
from langchain_core.embeddings import Embeddings
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool

ROLES = {"human": "user", "ai": "assistant", "system": "system"}
HEADERS = {"Authorization": "Api-Key key"}


class FloorChat(BaseChatModel):
    """Chat over the OpenAI-compatible format."""

    url: str

    @cached_property
    def _http(self) -> httpx.Client:
        return httpx.Client(headers=HEADERS, timeout=120)

    @cached_property
    def _ahttp(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(headers=HEADERS, timeout=120)

    @property
    def _llm_type(self) -> str:
        return "floor"

    def _body(self, messages: list[BaseMessage], **words: Any) -> dict[str, Any]:
        said = [{"role": ROLES[one.type], "content": one.content} for one in messages]
        return {"model": "yandexgpt", "messages": said, **words}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._result(self._http.post(self.url, json=self._body(messages, **kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._result(await self._ahttp.post(self.url, json=self._body(messages, **kwargs)))

    def _result(self, response: httpx.Response) -> ChatResult:
        message = json.loads(response.content)["choices"][0]["message"]
        calls = [
            tool_call(
                name=call["function"]["name"],
                args=json.loads(call["function"]["arguments"]),
                id=call["id"],
            )
            for call in message.get("tool_calls") or ()
        ]
        answer = AIMessage(content=message["content"], tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=answer)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        body = self._body(messages, stream=True, **kwargs)
        with self._http.stream("POST", self.url, json=body) as response:
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    for choice in json.loads(line[6:])["choices"]:
                        yield self._chunk(choice["delta"])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        body = self._body(messages, stream=True, **kwargs)
        async with self._ahttp.stream("POST", self.url, json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    for choice in json.loads(line[6:])["choices"]:
                        yield self._chunk(choice["delta"])

    def _chunk(self, delta: dict[str, Any]) -> ChatGenerationChunk:
        text = delta.get("content") or ""
        if not (calls := delta.get("tool_calls")):
            return ChatGenerationChunk(message=AIMessageChunk(content=text))
        pieces = [
            tool_call_chunk(
                name=call["function"]["name"] or None,
                args=call["function"]["arguments"],
                id=call["id"] or None,
                index=call["index"],
            )
            for call in calls
        ]
        return ChatGenerationChunk(message=AIMessageChunk(content=text, tool_call_chunks=pieces))

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, AIMessage]:
        """The model with tools, in the form that every provider gives them."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)


class FloorNativeChat(FloorChat):
    """Chat over the native format, whose lines hold the whole text so far."""

    def _body(self, messages: list[BaseMessage], stream: bool = False, **words: Any) -> Any:
        said = [{"role": ROLES[one.type], "text": one.content} for one in messages]
        options = {"stream": stream}
        return {"modelUri": "gpt://f/yandexgpt", "completionOptions": options, "messages": said}

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        before = 0
        body = self._body(messages, stream=True)
        with self._http.stream("POST", self.url, json=body) as response:
            for line in response.iter_lines():
                text = json.loads(line)["result"]["alternatives"][0]["message"]["text"]
                yield self._chunk({"content": text[before:]})
                before = len(text)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        before = 0
        body = self._body(messages, stream=True)
        async with self._ahttp.stream("POST", self.url, json=body) as response:
            async for line in response.aiter_lines():
                text = json.loads(line)["result"]["alternatives"][0]["message"]["text"]
                yield self._chunk({"content": text[before:]})
                before = len(text)


class FloorEmbeddings(Embeddings):
    """Embeddings, one text a request (WIRE Endpoints) and one request after the other."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(headers=HEADERS, timeout=120)
        self._ahttp = httpx.AsyncClient(headers=HEADERS, timeout=120)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector a text."""
        return [
            self._vector(self._http.post(self.url, json={"model": "doc", "input": [text]}))
            for text in texts
        ]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector a text."""
        return [
            self._vector(await self._ahttp.post(self.url, json={"model": "doc", "input": [text]}))
            for text in texts
        ]

    def embed_query(self, text: str) -> list[float]:
        """The vector of one text."""
        return self.embed_documents([text])[0]

    def _vector(self, response: httpx.Response) -> list[float]:
        vector: list[float] = json.loads(response.content)["data"][0]["embedding"]
        return vector
