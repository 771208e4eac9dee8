"""StructuredProgram: asks for an object, and makes it of the answer."""

import re
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing, suppress
from copy import deepcopy
from itertools import islice
from typing import Any, Generic, Protocol

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.program.utils import FlexibleModel, create_flexible_model
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.types import BasePydanticProgram, Model
from pydantic import BaseModel, RootModel, ValidationError

from yandex_compat import ConfigurationError, MalformedAnswer
from yandex_compat.completion import why_cut
from yandex_compat.jsontext import BeginningDecoder, decode_prefix, encode

Words = dict[str, Any]

_ITS_OWN = {"messages", "chat_history", "user_msg", "tools"}
# A model writes little before its JSON; a text full of braces is not searched to its end.
_MOST_BEGINNINGS = 50
_BRACKET = re.compile(r"[{\[]")


class Way(Protocol):
    """A way of asking for an object."""

    def words(self, messages: list[ChatMessage], given: Words) -> Words:
        """The words of the chat that asks for it: those given, the messages, and its own."""

    def text(self, response: ChatResponse) -> str:
        """Where the object stands in an answer, whole or unfinished."""


class StructuredProgram(BasePydanticProgram[Model]):
    """Asks for an object and makes it of the answer.

    `llm_kwargs` are words of the call, and stay the caller's. Raises MalformedAnswer where the
    answer is no such object, or was cut: a ValueError would be swallowed by query engines.
    """

    def __init__(
        self,
        llm: FunctionCallingLLM,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        way: Way,
    ) -> None:
        self._llm = llm
        self._output_cls = output_cls
        self._prompt = prompt
        self._way = way

    @property
    def output_cls(self) -> type[Model]:
        """The class of the object."""
        return self._output_cls

    def __call__(self, *args: Any, llm_kwargs: Words | None = None, **prompt_args: Any) -> Model:
        """The object."""
        return self._object(self._llm.chat(**self._words(llm_kwargs, prompt_args)))

    async def acall(self, *args: Any, llm_kwargs: Words | None = None, **prompt_args: Any) -> Model:
        """The object."""
        return self._object(await self._llm.achat(**self._words(llm_kwargs, prompt_args)))

    def stream_call(
        self, *args: Any, llm_kwargs: Words | None = None, **prompt_args: Any
    ) -> Generator[Model | FlexibleModel, None, None]:
        """What is known of the object as it grows; the last is the object."""
        growing = _GrowingObject(self._output_cls)
        response = None
        responses = self._llm.stream_chat(**self._words(llm_kwargs, prompt_args))
        with closing(responses):
            for response in responses:
                if (known := growing.after(self._way.text(response))) is not None:
                    yield known
        yield self._object(response)

    async def astream_call(
        self, *args: Any, llm_kwargs: Words | None = None, **prompt_args: Any
    ) -> AsyncGenerator[Model | FlexibleModel, None]:
        """What is known of the object as it grows; the last is the object."""
        return self._astream(self._words(llm_kwargs, prompt_args))

    async def _astream(self, words: Words) -> AsyncGenerator[Model | FlexibleModel, None]:
        growing = _GrowingObject(self._output_cls)
        response = None
        responses = await self._llm.astream_chat(**words)
        async with aclosing(responses):
            async for response in responses:
                if (known := growing.after(self._way.text(response))) is not None:
                    yield known
        yield self._object(response)

    def _words(self, given: Mapping[str, Any] | None, prompt_args: Words) -> Words:
        for word in _ITS_OWN & (given or {}).keys():
            raise ConfigurationError(
                f"{word} is what structured prediction asks with: leave it out of llm_kwargs."
            )
        messages = self._prompt.format_messages(llm=self._llm, **prompt_args)
        return self._way.words(self._llm._extend_messages(messages), dict(given or {}))

    def _object(self, response: ChatResponse | None) -> Model:
        name = self._output_cls.__name__
        if response is None:
            raise MalformedAnswer(f"The stream ended without an answer, where {name} was expected.")
        reason = response.additional_kwargs.get("finish_reason")
        if cut := why_cut(reason, response.message.content or ""):
            raise MalformedAnswer(f"The answer is no {name}. {cut}")
        text = self._way.text(response)
        wrong: str | None = None
        for value in _values(text):
            try:
                return self._output_cls.model_validate_json(encode(value))
            except ValidationError as error:
                wrong = wrong or _told(error)
        if wrong:
            raise MalformedAnswer(f"The answer is no {name}: {wrong}.")
        raise MalformedAnswer(
            f"The answer holds no whole JSON, where {name} was expected: {text[:200]!r}. Try "
            f"another model, or another pydantic_program_mode."
        )


def _values(text: str) -> Iterator[Any]:
    """The JSON that a text is, or else what it holds: each value that begins with a bracket."""
    text = text.strip()
    brackets = (found.start() for found in _BRACKET.finditer(text))
    end = 0
    for start in (0, *islice(brackets, _MOST_BEGINNINGS)):
        if start and start < end:
            continue  # it stands inside a value that was given
        with suppress(ValueError):
            value, length = decode_prefix(text[start:])
            end = start + length
            yield value


class _GrowingObject(Generic[Model]):
    """What is known of an object while its JSON comes in."""

    def __init__(self, output_cls: type[Model]) -> None:
        self._output_cls = output_cls
        self._flexible = create_flexible_model(output_cls)
        self._decoder = BeginningDecoder()
        self._known: Words = {}

    def after(self, text: str) -> Model | FlexibleModel | None:
        """The object as far as the text tells it; None where it tells nothing new."""
        known = self._decoder.decode(_from_its_beginning(text, self._output_cls))
        if known == self._known:
            return None
        self._known = known
        try:
            # Validators may change what they are given, and fail on a part in any way of theirs.
            return self._output_cls.model_validate(deepcopy(known))
        except Exception:
            return self._flexible.model_validate(known)


def _from_its_beginning(text: str, output_cls: type[BaseModel]) -> str:
    """The text without what a model wrote before its object, or whatever a root model is."""
    if issubclass(output_cls, RootModel):
        return text.lstrip()
    start = text.find("{")
    return text[start:] if start >= 0 else ""


def _told(error: ValidationError) -> str:
    return "; ".join(f"{_place(one['loc'])}: {one['msg']}" for one in error.errors()[:5])


def _place(location: Sequence[int | str]) -> str:
    return ".".join(map(str, location)) or "the whole"
