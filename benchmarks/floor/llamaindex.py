"""The floor of LlamaIndex: an LLM, decorated as every provider's must be."""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import httpx
from llama_index.core.base.llms.generic_utils import (
    chat_response_to_completion_response,
    stream_chat_response_to_completion_response,
)
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.custom import CustomLLM

HEADERS = {"Authorization": "Api-Key key"}


class FloorLLM(CustomLLM):
    """Chat over the OpenAI-compatible format."""

    url: str

    @cached_property
    def _http(self) -> httpx.Client:
        return httpx.Client(headers=HEADERS, timeout=120)

    @cached_property
    def _ahttp(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(headers=HEADERS, timeout=120)

    @property
    def metadata(self) -> LLMMetadata:
        """What the framework must be told."""
        return LLMMetadata(is_chat_model=True, model_name="yandexgpt")

    def _body(self, messages: Sequence[ChatMessage], **words: Any) -> dict[str, Any]:
        said = [{"role": one.role.value, "content": one.content} for one in messages]
        return {"model": "yandexgpt", "messages": said, **words}

    def _response(self, text: str, delta: str | None = None) -> ChatResponse:
        message = ChatMessage(role=MessageRole.ASSISTANT, content=text)
        return ChatResponse(message=message, delta=delta)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """The answer."""
        response = self._http.post(self.url, json=self._body(messages))
        return self._response(json.loads(response.content)["choices"][0]["message"]["content"])

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """The answer."""
        response = await self._ahttp.post(self.url, json=self._body(messages))
        return self._response(json.loads(response.content)["choices"][0]["message"]["content"])

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """The answer as it grows."""
        text, body = "", self._body(messages, stream=True)
        with self._http.stream("POST", self.url, json=body) as response:
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    for choice in json.loads(line[6:])["choices"]:
                        delta = choice["delta"].get("content") or ""
                        text += delta
                        yield self._response(text, delta)

    @llm_chat_callback()
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """The answer as it grows."""
        return self._astream_chat(messages)

    async def _astream_chat(self, messages: Sequence[ChatMessage]) -> ChatResponseAsyncGen:
        text, body = "", self._body(messages, stream=True)
        async with self._ahttp.stream("POST", self.url, json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    for choice in json.loads(line[6:])["choices"]:
                        delta = choice["delta"].get("content") or ""
                        text += delta
                        yield self._response(text, delta)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The answer to a prompt, which the framework has a provider tell how to give."""
        return chat_response_to_completion_response(self.chat([ChatMessage(content=prompt)]))

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """The answer to a prompt as it grows."""
        responses = self.stream_chat([ChatMessage(content=prompt)])
        return stream_chat_response_to_completion_response(responses)
