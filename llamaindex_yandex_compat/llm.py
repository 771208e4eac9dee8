"""YandexLLM: the methods that LlamaIndex calls, each over the one builder of requests."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.constants import DEFAULT_NUM_OUTPUTS
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import BaseTool
from pydantic import Field

from llamaindex_yandex_compat.connection import YandexConnection
from llamaindex_yandex_compat.messages import (
    GrowingAnswer,
    from_completion,
    to_completion_response,
    to_neutral,
    to_selections,
)
from llamaindex_yandex_compat.structured_output import StructuredPrediction
from llamaindex_yandex_compat.tools import to_tool_choice, to_tools, tool_spec
from yandex_compat import CompletionRequest, UnsupportedError, profile_for
from yandex_compat.generation import Generation
from yandex_compat.parameters import request_from_words
from yandex_compat.token_estimate import estimated_tokens

# Others may hold what is for nobody's eyes, such as extra_body and user.
_TOLD = ("api", "temperature", "top_p", "max_tokens", "reasoning_effort")


class YandexLLM(Generation, YandexConnection, StructuredPrediction):
    """A chat model of Yandex Cloud AI Studio.

    `model` is a name ("yandexgpt"), a name and branch ("yandexgpt/rc") or a full URI
    ("gpt://FOLDER/yandexgpt/latest"). A word given to a call wins over the same word in
    `additional_kwargs`, and that one over the field of its name.

    Raises, here, ConfigurationError for a missing or wrong word; in calls, the classes of
    `yandex_compat.errors`, none of which is a ValueError, since query engines swallow those.
    """

    additional_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Words for every call, in the form that a call takes them."""
    context_window: int | None = Field(default=None, gt=0)
    """Tokens the model can take in, where the catalogue is wrong or does not know it."""
    is_function_calling_model: bool | None = None
    """Whether the model calls tools, where the catalogue is wrong or does not know it."""

    @classmethod
    def class_name(cls) -> str:
        """The name that `to_dict` writes."""
        return "YandexLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """What the framework plans prompts by: window, room for the answer, abilities."""
        profile = profile_for(self.model)
        window = self.context_window or profile.context_window
        calls = self.is_function_calling_model
        return LLMMetadata(
            context_window=window,
            # The framework takes this room off the window: an unclamped one leaves none.
            num_output=min(self.max_tokens or DEFAULT_NUM_OUTPUTS, max(1, window // 4)),
            is_chat_model=True,
            is_function_calling_model=profile.tools if calls is None else calls,
            model_name=self.model,
        )

    def to_payload(self) -> dict[str, Any]:
        """What events carry: the framework's own words, and how an answer is asked for."""
        asked = {word: getattr(self, word) for word in _TOLD}
        given = {word: value for word, value in asked.items() if value is not None}
        return {**super().to_payload(), **given}

    def tokenizer(self, text: str) -> list[int]:
        """As many numbers as a text has tokens, by an offline estimate on the high side.

        With `exact_token_counts`, they are its tokens, as the service tells them. It is for
        `Settings.tokenizer` and whatever else counts: the framework's own counts by a model of
        OpenAI, in which Russian takes more.
        """
        if self.exact_token_counts:
            return [token.id for token in self._client.tokenize(text, model=self.model)]
        return list(range(estimated_tokens(text)))

    def _check_words(self) -> None:
        self._client.check(self._completion_request((), {}))
        if self.exact_token_counts:
            self._client.check_tokenizer(self.model)

    def _completion_request(
        self, messages: Sequence[ChatMessage], given: Mapping[str, Any]
    ) -> CompletionRequest:
        """The one builder of requests, for all eight methods."""
        words = self._words(self.additional_kwargs, given)
        words["tools"] = to_tools(words.get("tools") or (), strict=self.strict)
        words["tool_choice"] = to_tool_choice(words.get("tool_choice"))
        request = request_from_words(words.pop("model"), to_neutral(messages), words)
        if request.n is not None:
            raise UnsupportedError(
                f"n={request.n}: a response of LlamaIndex holds one answer. Ask several times."
            )
        return request

    # The public methods report to callbacks and events, once each; so the private ones do not, and
    # completions go to those.

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """The answer to a conversation."""
        return self._chat(messages, kwargs)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """The answer to a conversation."""
        return await self._achat(messages, kwargs)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """The answer to a conversation as it grows; the last response has usage and reason."""
        return self._stream_chat(messages, kwargs)

    @llm_chat_callback()
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """The answer to a conversation as it grows; the last response has usage and reason."""
        return self._astream_chat(messages, kwargs)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The answer to a prompt."""
        return to_completion_response(self._chat(self._prompt(prompt, formatted), kwargs))

    @llm_completion_callback()
    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        """The answer to a prompt."""
        return to_completion_response(await self._achat(self._prompt(prompt, formatted), kwargs))

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """The answer to a prompt as it grows."""
        with closing(self._stream_chat(self._prompt(prompt, formatted), kwargs)) as responses:
            yield from map(to_completion_response, responses)

    @llm_completion_callback()
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        """The answer to a prompt as it grows."""
        return self._astream_complete(self._prompt(prompt, formatted), kwargs)

    def _prompt(self, prompt: str, formatted: bool) -> list[ChatMessage]:
        if self.completion_to_prompt and not formatted:
            prompt = self.completion_to_prompt(prompt)
        return [ChatMessage(role=MessageRole.USER, content=prompt)]

    def _chat(self, messages: Sequence[ChatMessage], words: Mapping[str, Any]) -> ChatResponse:
        request = self._completion_request(messages, words)
        return from_completion(self._client.complete(request))

    async def _achat(
        self, messages: Sequence[ChatMessage], words: Mapping[str, Any]
    ) -> ChatResponse:
        request = self._completion_request(messages, words)
        return from_completion(await self._client.acomplete(request))

    def _stream_chat(
        self, messages: Sequence[ChatMessage], words: Mapping[str, Any]
    ) -> ChatResponseGen:
        request = self._completion_request(messages, words)
        answer = GrowingAnswer()
        with closing(self._client.stream(request)) as deltas:
            for delta in deltas:
                yield answer.after(delta)

    async def _astream_chat(
        self, messages: Sequence[ChatMessage], words: Mapping[str, Any]
    ) -> ChatResponseAsyncGen:
        request = self._completion_request(messages, words)
        answer = GrowingAnswer()
        async with aclosing(self._client.astream(request)) as deltas:
            async for delta in deltas:
                yield answer.after(delta)

    async def _astream_complete(
        self, messages: Sequence[ChatMessage], words: Mapping[str, Any]
    ) -> CompletionResponseAsyncGen:
        async with aclosing(self._astream_chat(messages, words)) as responses:
            async for response in responses:
                yield to_completion_response(response)

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: str | dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The words of a chat with tools; without any, nothing is said of them."""
        messages = list(chat_history or ())
        if isinstance(user_msg, str):
            user_msg = ChatMessage(role=MessageRole.USER, content=user_msg)
        if user_msg is not None:
            messages.append(user_msg)
        words: dict[str, Any] = {"messages": messages, **kwargs}
        if tools:
            words["tools"] = [tool_spec(tool) for tool in tools]
            words["tool_choice"] = tool_choice or ("required" if tool_required else "auto")
            words["parallel_tool_calls"] = allow_parallel_tool_calls
        return words

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """The calls of a response, those of an unfinished stream as far as they go.

        Raises ValueError, as the framework expects, where there are none and that is an error.
        """
        selections = to_selections(response)
        if not selections and error_on_no_tool_call:
            raise ValueError("The answer holds no tool call, but one was expected.")
        return selections
