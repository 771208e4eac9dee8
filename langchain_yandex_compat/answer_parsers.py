"""The parsers of structured output: of whole answers what the schema asks for, or an error."""

from dataclasses import is_dataclass
from typing import Any

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import (
    BaseOutputParser,
    JsonOutputKeyToolsParser,
    JsonOutputParser,
)
from langchain_core.output_parsers.base import BaseGenerationOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.utils.json import parse_json_markdown
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import TypeAdapter, ValidationError
from pydantic.v1 import BaseModel as BaseModelV1
from pydantic.v1 import ValidationError as ValidationErrorV1

from yandex_compat.completion import why_cut
from yandex_compat.jsontext import decode_first

Parser = BaseOutputParser[Any] | BaseGenerationOutputParser[Any]


def json_parser(schema: Any, *, of_objects: bool) -> Parser:  # noqa: ANN401 -- any schema kind
    """The parser of an answer that is JSON; with `of_objects`, nothing but an object will do."""
    return _ObjectParser(made=schema) if _is_class(schema) else _JsonParser(of_objects=of_objects)


def tool_parser(schema: Any, name: str) -> Parser:  # noqa: ANN401
    """The parser of an answer that calls the tool of a name."""
    if _is_class(schema):
        return _ObjectToolParser(made=schema, key_name=name, first_tool_only=True)
    return _ToolParser(key_name=name, first_tool_only=True)


def _is_class(schema: object) -> bool:
    """Whether the answer is to be an instance: of a pydantic class, v2 or v1, or a dataclass."""
    return isinstance(schema, type) and (is_basemodel_subclass(schema) or is_dataclass(schema))


class _WholeAnswer:
    """Refuses an answer that was cut or filtered, which a lenient parser would complete.

    LangChain parses streams as partial to their end: one that has ended is parsed as whole here, so
    that it raises what `invoke` would, and does not end in silence.
    """

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:  # noqa: ANN401
        generation = result[0]
        partial = partial and not _has_ended(generation)
        if isinstance(generation, ChatGeneration) and isinstance(generation.message, AIMessage):
            _refuse_unfinished(generation.message)
        value = super().parse_result(result, partial=partial)  # type: ignore[misc]
        if value is None and not partial and isinstance(self, JsonOutputKeyToolsParser):
            raise OutputParserException(
                f"The answer holds no call of {self.key_name!r} with arguments that are an object.",
                llm_output=repr(getattr(generation, "message", generation.text)),
            )
        return value


def _has_ended(generation: Generation) -> bool:
    """Whether an answer is whole: its reason to end, or LangChain's mark, comes with its last."""
    if not isinstance(generation, ChatGeneration):
        return False
    message = generation.message
    last = getattr(message, "chunk_position", None) == "last"
    return last or bool(message.response_metadata.get("finish_reason"))


def _was_corrected(generation: Generation) -> bool:
    message = generation.message if isinstance(generation, ChatGeneration) else None
    return message is not None and "corrected_text" in message.additional_kwargs


def _corrected(generation: Generation) -> str:
    """The text of an answer, or what the service put in its place after it was given out (D10)."""
    if isinstance(generation, ChatGeneration) and _was_corrected(generation):
        return str(generation.message.additional_kwargs["corrected_text"])
    return generation.text


def _only_calls(generation: Generation) -> bool:
    """Whether an answer calls tools that stand beside the schema, and says nothing else."""
    message = generation.message if isinstance(generation, ChatGeneration) else None
    return isinstance(message, AIMessage) and bool(message.tool_calls) and not message.text


def _refuse_unfinished(message: AIMessage) -> None:
    said = message.additional_kwargs.get("refusal") or message.text
    if cut := why_cut(message.response_metadata.get("finish_reason"), said):
        raise OutputParserException(cut, llm_output=message.text)


class _WholeJson(JsonOutputParser):
    """Parses JSON strictly where the answer is whole: LangChain's own mends what was cut."""

    of_objects: bool = False
    """Whether nothing but an object will do."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:  # noqa: ANN401
        if partial and not _was_corrected(result[0]):
            return super().parse_result(result, partial=True)
        if _only_calls(result[0]):
            return None
        text = _corrected(result[0]).strip()
        try:
            value = parse_json_markdown(text, parser=decode_first)
        except ValueError as error:
            raise OutputParserException(
                f"The answer is no whole JSON ({error}): {text}", llm_output=text
            ) from None
        if self.of_objects and not isinstance(value, dict):
            raise OutputParserException(f"The answer is no JSON object: {text}", llm_output=text)
        return value


class _Object(_WholeAnswer):
    """Makes an instance of a class; a streamed object that is none yet gives none."""

    made: Any

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:  # noqa: ANN401
        value = super().parse_result(result, partial=partial)
        unfinished = partial and not _has_ended(result[0])
        if value is None and (unfinished or _only_calls(result[0])):
            return None
        try:
            return _instance(self.made, value)
        except (ValidationError, ValidationErrorV1) as error:
            if unfinished:
                return None
            raise OutputParserException(
                f"The answer is no {self.made.__name__}: {error}", llm_output=result[0].text
            ) from None


def _instance(made: Any, value: object) -> object:  # noqa: ANN401
    if issubclass(made, BaseModelV1):
        return made.parse_obj(value)
    return TypeAdapter(made).validate_python(value)


class _Quiet:
    """Gives None where the answer can't be parsed, for whom the raw answer is kept beside."""

    quiet: bool

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:  # noqa: ANN401
        try:
            return super().parse_result(result, partial=partial)  # type: ignore[misc]
        except Exception:
            if self.quiet:
                return None
            raise


class _JsonParser(_Quiet, _WholeAnswer, _WholeJson):
    quiet: bool = False


class _ToolParser(_Quiet, _WholeAnswer, JsonOutputKeyToolsParser):
    quiet: bool = False


class _ObjectParser(_Quiet, _Object, _WholeJson):
    made: Any
    quiet: bool = False


class _ObjectToolParser(_Quiet, _Object, JsonOutputKeyToolsParser):
    made: Any
    quiet: bool = False
