"""Structured prediction: the methods LlamaIndex asks for objects by, and the ways they ask.

The ways are those of `pydantic_program_mode`: JSON of the class's schema, which the service keeps
to (WIRE A8), for "default"; a call of a function, for "function"; plain text, for "llm".
"""

from collections.abc import AsyncGenerator, Generator
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.llm import (
    LLMStructuredPredictEndEvent,
    LLMStructuredPredictStartEvent,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.program.function_program import get_function_tool
from llama_index.core.program.utils import FlexibleModel, get_program_for_llm
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.types import BasePydanticProgram, Model, PydanticProgramMode
from pydantic import BaseModel, ConfigDict

from llamaindex_yandex_compat.program import StructuredProgram, Words
from llamaindex_yandex_compat.tools import closed, tool_spec, with_root
from yandex_compat import ConfigurationError, UnsupportedError

dispatcher = get_dispatcher(__name__)


class StructuredPrediction(FunctionCallingLLM):
    """The four methods that all of LlamaIndex's structured output goes through.

    Raises MalformedAnswer where an answer is no object of the class, or was cut.
    """

    model_config = ConfigDict(defer_build=True)

    strict: bool | None = None
    """Whether the model is held to the schemas of tools and objects by the letter."""

    @dispatcher.span
    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: Words | None = None,
        **prompt_args: Any,
    ) -> Model:
        """An object of a class, asked for as `pydantic_program_mode` says."""
        _report_start(output_cls, prompt, prompt_args)
        program = _program(self, output_cls, prompt)
        predicted = program(llm_kwargs=llm_kwargs, **prompt_args)
        dispatcher.event(LLMStructuredPredictEndEvent(output=predicted))
        return predicted  # type: ignore[return-value] # one, since parallel calls are off

    @dispatcher.span
    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: Words | None = None,
        **prompt_args: Any,
    ) -> Model:
        """An object of a class, asked for as `pydantic_program_mode` says."""
        _report_start(output_cls, prompt, prompt_args)
        program = _program(self, output_cls, prompt)
        predicted = await program.acall(llm_kwargs=llm_kwargs, **prompt_args)
        dispatcher.event(LLMStructuredPredictEndEvent(output=predicted))
        return predicted  # type: ignore[return-value]

    # The framework's streaming methods report to events themselves, and call these.

    def _structured_stream_call(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: Words | None = None,
        **prompt_args: Any,
    ) -> Generator[Model | list[Model] | FlexibleModel | list[FlexibleModel], None, None]:
        program = _program(self, output_cls, prompt)
        return program.stream_call(llm_kwargs=llm_kwargs, **prompt_args)

    async def _structured_astream_call(
        self,
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: Words | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Model | list[Model] | FlexibleModel | list[FlexibleModel], None]:
        program = _program(self, output_cls, prompt)
        return await program.astream_call(llm_kwargs=llm_kwargs, **prompt_args)


def _report_start(
    output_cls: type[BaseModel], prompt: BasePromptTemplate, prompt_args: Words
) -> None:
    dispatcher.event(
        LLMStructuredPredictStartEvent(
            output_cls=output_cls, template=prompt, template_args=prompt_args
        )
    )


def _program(
    llm: StructuredPrediction, output_cls: type[Model], prompt: BasePromptTemplate
) -> BasePydanticProgram[Model]:
    """The program that a model's `pydantic_program_mode` asks for."""
    match llm.pydantic_program_mode:
        case PydanticProgramMode.DEFAULT:
            return StructuredProgram(llm, output_cls, prompt, _AsJson(llm, output_cls))
        case PydanticProgramMode.FUNCTION:
            return StructuredProgram(llm, output_cls, prompt, _AsCall(llm, output_cls))
        case PydanticProgramMode.LLM:
            return StructuredProgram(llm, output_cls, prompt, _AsText(output_cls))
        case mode:
            return get_program_for_llm(output_cls, prompt, llm, pydantic_program_mode=mode)


# What is said of functions, which asks for nothing where none is called.
_OF_FUNCTIONS = {"tool_choice", "tool_required", "allow_parallel_tool_calls"}


def _without_words_of_functions(given: Words) -> Words:
    return {word: value for word, value in given.items() if word not in _OF_FUNCTIONS}


class _AsJson:
    """By JSON of the schema."""

    def __init__(self, llm: StructuredPrediction, output_cls: type[BaseModel]) -> None:
        schema = with_root(output_cls.model_json_schema())
        described: Words = {"name": output_cls.__name__, "schema": schema}
        if llm.strict is not None:
            described |= {"schema": closed(schema) if llm.strict else schema, "strict": llm.strict}
        self._form = {"type": "json_schema", "json_schema": described}

    def words(self, messages: list[ChatMessage], given: Words) -> Words:
        if "response_format" in given:
            raise ConfigurationError(
                "response_format is what structured prediction asks with: leave it out of "
                "llm_kwargs, or call chat."
            )
        own = _without_words_of_functions(given)
        return {**own, "messages": messages, "response_format": self._form}

    def text(self, response: ChatResponse) -> str:
        return response.message.content or ""


class _AsCall:
    """By the call of a function whose arguments make the object."""

    def __init__(self, llm: FunctionCallingLLM, output_cls: type[BaseModel]) -> None:
        metadata = llm.metadata
        if not metadata.is_function_calling_model:
            raise UnsupportedError(
                f"The model {metadata.model_name!r} calls no functions, which "
                f'pydantic_program_mode="function" asks with: leave the mode out.'
            )
        self._llm = llm
        self._tool = get_function_tool(output_cls)
        if tool_spec(self._tool)["function"]["parameters"].get("type") != "object":
            raise UnsupportedError(
                f"{output_cls.__name__} is no object, and a function takes nothing else: leave "
                f"pydantic_program_mode out, or wrap it in a class with a field."
            )

    def words(self, messages: list[ChatMessage], given: Words) -> Words:
        asked: Words = {"tool_required": True, **given, "chat_history": messages}
        return self._llm._prepare_chat_with_tools([self._tool], **asked)

    def text(self, response: ChatResponse) -> str:
        calls = response.message.additional_kwargs.get("tool_calls")
        return calls[0]["function"]["arguments"] if calls else ""


class _AsText:
    """By a text whose schema stands in the prompt."""

    def __init__(self, output_cls: type[BaseModel]) -> None:
        self._parser = _SchemaInPrompt(output_cls)

    def words(self, messages: list[ChatMessage], given: Words) -> Words:
        own = [message.model_copy(deep=True) for message in messages]  # the parser writes into them
        words = _without_words_of_functions(given)
        return {**words, "messages": self._parser.format_messages(own)}

    def text(self, response: ChatResponse) -> str:
        return response.message.content or ""


class _SchemaInPrompt(PydanticOutputParser[Any]):
    """Writes the schema into a message as it is; the framework's own doubles its braces."""

    def format(self, query: str) -> str:
        return f"{query}\n\n{self.get_format_string(escape_json=False)}"
