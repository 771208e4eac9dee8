"""Structured output: what a schema binds to the model, and the parser of the answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from operator import itemgetter
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
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.json import parse_json_markdown
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import TypeAdapter, ValidationError
from pydantic.v1 import BaseModel as BaseModelV1
from pydantic.v1 import ValidationError as ValidationErrorV1

from yandex_compat import ConfigurationError
from yandex_compat.jsontext import decode_first

Parser = BaseOutputParser[Any] | BaseGenerationOutputParser[Any]

METHODS = ("json_schema", "function_calling", "json_mode")


@dataclass(frozen=True, slots=True)
class Plan:
    """What `with_structured_output` binds, and what it puts behind the model.

    `json_schema` is None only for json_mode without a schema.
    """

    parser: Parser
    json_schema: dict[str, Any] | None
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: str | None = None
    response_format: dict[str, Any] | None = None


def plan(schema: Any, *, method: str, strict: bool | None) -> Plan:  # noqa: ANN401 -- any schema kind
    """The plan for a schema of any kind; ConfigurationError for one that is none."""
    if method not in METHODS:
        raise ConfigurationError(f"method={method!r} must be one of {', '.join(METHODS)}.")
    if method == "json_mode":
        form = {"type": "json_object"}
        return Plan(
            _json_parser(schema), schema and _json_schema(schema, None), response_format=form
        )
    if schema is None:
        raise ConfigurationError(f"schema is missing: the method {method} needs one.")
    json_schema = _json_schema(schema, strict)
    name = json_schema["title"]
    if method == "function_calling":
        name = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64]  # generics and titles hold other signs
        return Plan(_tool_parser(schema, name), json_schema, (_tool(name, json_schema),), name)
    described: dict[str, Any] = {"name": name, "schema": json_schema}
    if strict is not None:
        described["strict"] = strict
    form_of_schema = {"type": "json_schema", "json_schema": described}
    return Plan(_json_parser(schema), json_schema, response_format=form_of_schema)


def parsed(model: Runnable[Any, Any], parser: Parser, *, include_raw: bool) -> Runnable[Any, Any]:
    """The model with the parser behind it, or beside it where the raw answer is kept."""
    if not include_raw:
        return model | parser
    succeeded = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parser, parsing_error=lambda _: None
    )
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=model) | succeeded.with_fallbacks(
        [failed], exception_key="parsing_error"
    )


def _json_schema(schema: Any, strict: bool | None) -> dict[str, Any]:  # noqa: ANN401
    if isinstance(schema, type) and is_dataclass(schema):
        schema = TypeAdapter(schema).json_schema()
    elif isinstance(schema, Mapping) and not {"title", "name", "function"} & schema.keys():
        # LangChain names a schema by its title; one of plain JSON Schema need not have any.
        schema = {"title": "answer", **schema}
    try:
        return convert_to_json_schema(schema, strict=strict)
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"schema can't be read as one ({type(error).__name__}: {error}): pass a pydantic "
            f"class, a dataclass, a TypedDict or a JSON schema."
        ) from None


def _tool(name: str, json_schema: Mapping[str, Any]) -> dict[str, Any]:
    described = {"title", "description"}
    parameters = {word: value for word, value in json_schema.items() if word not in described}
    function = {
        "name": name,
        "description": json_schema.get("description", ""),
        "parameters": parameters,
    }
    return {"type": "function", "function": function}


def _json_parser(schema: Any) -> Parser:  # noqa: ANN401
    if _is_class(schema):
        return _ObjectParser(made=schema)
    return _JsonParser()


def _tool_parser(schema: Any, name: str) -> Parser:  # noqa: ANN401
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
    """Whether an answer is whole: its reason to end comes once, with the last of it."""
    return isinstance(generation, ChatGeneration) and bool(
        generation.message.response_metadata.get("finish_reason")
    )


def _refuse_unfinished(message: AIMessage) -> None:
    reason = message.response_metadata.get("finish_reason")
    if reason == "length":
        raise OutputParserException(
            'The answer was cut by max_tokens (finish_reason "length"), so its JSON is not whole. '
            "Raise max_tokens, or ask for less.",
            llm_output=message.text,
        )
    if reason == "content_filter":
        refusal = message.additional_kwargs.get("refusal") or message.text
        raise OutputParserException(
            f'The service refused to answer (finish_reason "content_filter"): {refusal}',
            llm_output=message.text,
        )


class _WholeJson(JsonOutputParser):
    """Parses JSON strictly where the answer is whole: LangChain's own mends what was cut."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:  # noqa: ANN401
        if partial:
            return super().parse_result(result, partial=True)
        text = result[0].text.strip()
        try:
            return parse_json_markdown(text, parser=decode_first)
        except ValueError as error:
            raise OutputParserException(
                f"The answer is no whole JSON ({error}): {text}", llm_output=text
            ) from None


class _JsonParser(_WholeAnswer, _WholeJson):
    pass


class _ToolParser(_WholeAnswer, JsonOutputKeyToolsParser):
    pass


class _Object(_WholeAnswer):
    """Makes an instance of a class; a streamed object that is none yet gives none."""

    made: Any

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:  # noqa: ANN401
        value = super().parse_result(result, partial=partial)
        if value is None and partial and not _has_ended(result[0]):
            return None
        try:
            return _instance(self.made, value)
        except (ValidationError, ValidationErrorV1) as error:
            if partial and not _has_ended(result[0]):
                return None
            raise OutputParserException(
                f"The answer is no {self.made.__name__}: {error}", llm_output=result[0].text
            ) from None


def _instance(made: Any, value: object) -> object:  # noqa: ANN401
    if issubclass(made, BaseModelV1):
        return made.parse_obj(value)
    return TypeAdapter(made).validate_python(value)


class _ObjectParser(_Object, _WholeJson):
    made: Any


class _ObjectToolParser(_Object, JsonOutputKeyToolsParser):
    made: Any
