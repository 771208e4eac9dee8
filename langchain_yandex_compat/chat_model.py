"""ChatYandex: the hooks that LangChain calls, each over the one builder of requests."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Literal, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput, ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import BaseModel, model_validator

from langchain_yandex_compat import content_blocks as content_blocks  # registers them
from langchain_yandex_compat.connection import YandexConnection
from langchain_yandex_compat.errors import langchain_errors
from langchain_yandex_compat.messages import PROVIDER, ChunkMapper, from_completion, to_neutral
from langchain_yandex_compat.profile import profile_of
from langchain_yandex_compat.tools import (
    name_of,
    openai_tool,
    to_tool_choice,
    to_tools,
    tool_choice_word,
)
from yandex_compat import (
    Completion,
    CompletionRequest,
    ConfigurationError,
    __version__,
)
from yandex_compat.connection import SECRETS
from yandex_compat.generation import GENERATION_WORDS, Generation
from yandex_compat.parameters import request_from_words
from yandex_compat.token_estimate import estimated_tokens, tokens_of

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool  # for annotations only


class ChatYandex(BaseChatModel, Generation, YandexConnection):
    """A chat model of Yandex Cloud AI Studio.

    `model` is a name ("yandexgpt"), a name and branch ("yandexgpt/rc") or a full URI
    ("gpt://FOLDER/yandexgpt/latest"), also taken as `model_name`. A word given to a call wins over
    the same word given here.

    Raises, here, ConfigurationError for a missing or wrong word and pydantic's ValidationError for
    a value of the wrong type; in calls, the classes of `langchain_yandex_compat.errors`, which are
    LangChain's as well.
    """

    streaming: bool | None = None
    """True: `invoke` streams as well. False: `stream` does not stream either."""
    n: int | None = None
    """How many answers `generate` gives; not given by all models, and never streamed."""
    include_response_headers: bool = False
    """Whether the headers of answers stand in `response_metadata["headers"]`."""

    if not TYPE_CHECKING:  # the words are known by the fields

        def __init__(self, /, **words: Any) -> None:
            self._veil(words)  # before LangChain's own constructor holds them
            super().__init__(**words)

    @classmethod
    def _prepared(cls, words: dict[str, Any]) -> dict[str, Any]:
        words = super()._prepared(words)
        if "model_name" in words:
            name = words.pop("model_name")
            if words.setdefault("model", name) != name:
                raise ConfigurationError("model and model_name differ: pass one of them.")
        return words

    @model_validator(mode="after")
    def _set_yandex_compat_version(self) -> Self:
        self._add_version("yandex-compat", __version__)
        return self

    def _check_words(self) -> None:
        self._client.check(self._completion_request([]))
        if self.exact_token_counts and not self.custom_get_token_ids:
            self._client.check_tokenizer(self.model)

    @property
    def _llm_type(self) -> str:
        return "yandex-chat"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        words = ("folder_id", "base_url", "api", "n", *GENERATION_WORDS[1:])
        given = {word: getattr(self, word) for word in words}
        return {
            "model_name": self.model,
            **{word: value for word, value in given.items() if value is not None},
        }

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """True: `dumps` writes the words, with names of environment variables for secrets."""
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        """The words that hold secrets, and where they are read from."""
        return dict(SECRETS)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        words = {**self._words(kwargs), **({} if stop is None else {"stop": stop})}
        params = LangSmithParams(
            ls_provider=PROVIDER, ls_model_type="chat", ls_model_name=words["model"]
        )
        if (temperature := words.get("temperature")) is not None:
            params["ls_temperature"] = temperature
        if (most := words.get("max_tokens")) is not None:
            params["ls_max_tokens"] = most
        if stops := words.get("stop"):
            params["ls_stop"] = [stops] if isinstance(stops, str) else stops
        return params

    def _resolve_model_profile(self) -> ModelProfile | None:
        return profile_of(self.model)

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 -- any field's value
        before = profile_of(self.model) if name == "model" else None
        super().__setattr__(name, value)
        if name == "model" and self.profile == before:
            self.profile = profile_of(value)  # LangChain's stays that of the first model (T21)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other words; with another model, the profile is that one's.

        A profile that the user gave stays.
        """
        copied = super().model_copy(update=update, deep=deep)
        if "profile" not in (update or {}) and self.profile == profile_of(self.model):
            copied.profile = profile_of(copied.model)
        return copied

    def _should_stream(self, **words: Any) -> bool:
        # A stream gives one answer (M17), and none that is deferred: who asks for those by `invoke`
        # gets them whole, whatever watches; who asks by `stream` is told.
        whole = (words.get("n") or self.n or 1) > 1 or self.mode == "deferred"
        return super()._should_stream(**words) and (not whole or bool(words.get("stream")))

    def get_num_tokens(self, text: str) -> int:
        """The tokens of a text, counted, or estimated offline.

        `custom_get_token_ids` counts them, or with `exact_token_counts` the service.
        """
        if self.custom_get_token_ids or self.exact_token_counts:
            return len(self.get_token_ids(text))
        return estimated_tokens(text)

    def get_token_ids(self, text: str) -> list[int]:
        """The tokens of a text, by `custom_get_token_ids`, else asked of the service."""
        if self.custom_get_token_ids:
            return self.custom_get_token_ids(text)
        with langchain_errors():
            return [token.id for token in self._client.tokenize(text, model=self.model)]

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """The tokens of a conversation and its tools, counted as `get_num_tokens` counts."""
        with langchain_errors():
            known = to_tools(tools or ())
            if not messages and not known:
                return 0  # which no request need be made for, and none can
            if self.exact_token_counts and not self.custom_get_token_ids:
                talk = CompletionRequest(self.model, to_neutral(messages, known), tools=known)
                return len(self._client.tokenize_completion(talk))
            return tokens_of(to_neutral(messages, known), known, self.get_num_tokens)

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        total: dict[str, int] = {}
        name = self.model
        for output in filter(None, llm_outputs):
            name = output.get("model_name", name)
            for word, tokens in output.get("token_usage", {}).items():
                total[word] = total.get(word, 0) + tokens
        return {"token_usage": total, "model_name": name}

    def _completion_request(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> CompletionRequest:
        """The one builder of requests, for all four hooks."""
        words = self._words(kwargs or {})
        words.pop("stream", None)
        if stop is not None:
            words["stop"] = stop
        words.setdefault("n", self.n)
        tools = words["tools"] = to_tools(words.get("tools") or ())
        words["tool_choice"] = to_tool_choice(words.get("tool_choice"), tools)
        return request_from_words(words.pop("model"), to_neutral(messages, tools), words)

    def _result(self, completion: Completion, request: CompletionRequest) -> ChatResult:
        with_headers = self.include_response_headers
        return from_completion(completion, request.model, with_headers=with_headers)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with langchain_errors():
            request = self._completion_request(messages, stop, kwargs)
            return self._result(self._client.complete(request), request)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with langchain_errors():
            request = self._completion_request(messages, stop, kwargs)
            return self._result(await self._client.acomplete(request), request)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with langchain_errors():
            request = self._completion_request(messages, stop, kwargs)
            mapper = ChunkMapper(request.model, with_headers=self.include_response_headers)
            with closing(self._client.stream(request)) as deltas:
                for delta in deltas:
                    chunk = mapper.chunk(delta)
                    if run_manager:
                        run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        with langchain_errors():
            request = self._completion_request(messages, stop, kwargs)
            mapper = ChunkMapper(request.model, with_headers=self.include_response_headers)
            async with aclosing(self._client.astream(request)) as deltas:
                async for delta in deltas:
                    chunk = mapper.chunk(delta)
                    if run_manager:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    def bind_tools(
        self,
        tools: "Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool]",
        *,
        tool_choice: dict[str, Any] | str | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        response_format: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """This model with tools it may call.

        `tool_choice`: "auto", "none", "any" or "required" or True, a tool's name, or the OpenAI
        dict. Raises ConfigurationError for a word that names no tool.
        """
        with langchain_errors():
            formatted = [openai_tool(tool, strict=strict) for tool in tools]
            tool_choice_word(tool_choice, [name_of(tool) for tool in formatted])
        words = {
            "tools": formatted or None,
            "tool_choice": tool_choice,
            "parallel_tool_calls": parallel_tool_calls if formatted else None,
            "response_format": response_format,
            **kwargs,
        }
        return self.bind(**{word: value for word, value in words.items() if value is not None})

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: Literal["json_schema", "function_calling", "json_mode"] = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        tools: "Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None" = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """This model with its answers parsed into a schema.

        `schema`: a pydantic class (v2 or v1), a dataclass, a TypedDict, a JSON schema or an OpenAI
        function; the first two give instances, the others dicts. `method`: "json_schema" has the
        service keep to the schema, "function_calling" calls it as a tool, "json_mode" asks for any
        JSON, described in the prompt. `include_raw` gives a dict of raw, parsed and parsing_error.
        """
        from langchain_yandex_compat import structured_output  # its parsers take long to import

        with langchain_errors():
            plan = structured_output.plan(schema, method=method, strict=strict)
        model = self.bind_tools(
            [*plan.tools, *(tools or ())],
            tool_choice=plan.tool_choice,
            strict=strict,
            response_format=plan.response_format,
            ls_structured_output_format={"kwargs": {"method": method}, "schema": plan.json_schema},
            **kwargs,
        )
        return structured_output.parsed(model, plan.parser, include_raw=include_raw)
