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
from langchain_core.runnables import Runnable, RunnableLambda, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.json import parse_json_markdown
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel, TypeAdapter, ValidationError
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
    schema, strict = _unwrapped(schema, strict)
    if method not in METHODS:
        raise ConfigurationError(f"method={method!r} must be one of {', '.join(METHODS)}.")
    if method == "json_mode":
        return _json_mode(schema, strict)
    if schema is None:
        raise ConfigurationError(f"schema is missing: the method {method} needs one.")
    json_schema = _json_schema(schema, strict)
    name = json_schema["title"]
    if method == "function_calling":
        if not _is_of_objects(json_schema):
            raise ConfigurationError(
                f"schema {name!r} is none of an object, and a function takes nothing else: use the "
                f"method json_schema, or put it into an object."
            )
        name = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64]  # generics and titles hold other signs
        tool = _tool(name, json_schema, strict)
        return Plan(_tool_parser(schema, name), json_schema, (tool,), name)
    described: dict[str, Any] = {"name": name, "schema": json_schema}
    if strict is not None:
        described["strict"] = strict
    form = {"type": "json_schema", "json_schema": described}
    return Plan(_json_parser(schema, json_schema), json_schema, response_format=form)


def _json_mode(schema: Any, strict: bool | None) -> Plan:  # noqa: ANN401
    if strict is not None:
        raise ConfigurationError(
            "strict has no place in json_mode, which sends no schema: use the method json_schema."
        )
    json_schema = _json_schema(schema, None) if schema else None
    form = {"type": "json_object"}
    return Plan(_json_parser(schema, json_schema), json_schema, response_format=form)


def parsed(model: Runnable[Any, Any], parser: Parser, *, include_raw: bool) -> Runnable[Any, Any]:
    """The model with the parser behind it, or beside it where the raw answer is kept."""
    if not include_raw:
        return model | parser

    def error(answer: AIMessage) -> Exception | None:
        try:
            parser.parse_result([ChatGeneration(message=answer)])
        except Exception as found:
            return found  # a validator of the user's may raise anything
        return None

    quiet = parser.model_copy(update={"quiet": True})
    return RunnableMap(raw=model) | RunnablePassthrough.assign(
        parsed=itemgetter("raw") | quiet, parsing_error=itemgetter("raw") | RunnableLambda(error)
    )


def _json_schema(schema: Any, strict: bool | None) -> dict[str, Any]:  # noqa: ANN401
    """The schema as it is sent, with a title, which LangChain names it by."""
    plain = _plain_schema(schema)
    if plain is not None and "properties" not in plain:
        return plain  # LangChain would send nothing but its title
    try:
        return convert_to_json_schema(schema if plain is None else plain, strict=strict)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        told = next(iter(str(error).splitlines()), "")
        raise ConfigurationError(
            f"schema can't be read as one ({type(error).__name__}: {told}): pass a pydantic "
            f"class, a dataclass, a TypedDict or a JSON schema."
        ) from None


def _unwrapped(schema: Any, strict: bool | None) -> tuple[Any, bool | None]:  # noqa: ANN401
    """The schema inside of what response_format holds, and whether it is strict."""
    match schema:
        case {"type": "json_schema", "json_schema": dict(described)}:
            return _unwrapped(described, strict)
        case {"name": str(name), "schema": dict(inner), **rest}:
            named = {"title": name, **inner}
            if "description" in rest:
                named["description"] = rest["description"]
            own = rest.get("strict")
            return named, own if strict is None and isinstance(own, bool) else strict
    return schema, strict


def _plain_schema(schema: Any) -> dict[str, Any] | None:  # noqa: ANN401
    """A plain JSON schema with a title; None for what LangChain has a form of its own for."""
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        plain = schema.model_json_schema()
        # LangChain writes out what a reference stands for, and loses what refers to itself.
        return _from_its_root(plain) if _refers_to_itself(plain) else None
    if isinstance(schema, type) and is_dataclass(schema):
        return _from_its_root(TypeAdapter(schema).json_schema())
    match schema:
        case {"name": _} | {"function": _}:
            return None
        case Mapping():
            return _from_its_root(schema)
    return None


def _from_its_root(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without a reference at its very root, which a function can't have."""
    rest = dict(schema)
    reference = rest.pop("$ref", None)
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        rest = {**rest.get("$defs", {}).get(reference[8:], {}), **rest}
    elif reference is not None:
        rest["$ref"] = reference
    return {"title": "answer", **rest}


def _refers_to_itself(schema: Mapping[str, Any]) -> bool:
    named = re.compile(r"#/\$defs/([^'\"]+)")
    found = {name: set(named.findall(repr(one))) for name, one in schema.get("$defs", {}).items()}
    for _ in found:
        for names in found.values():
            names |= {far for near in list(names) for far in found.get(near, ())}
    return any(name in names for name, names in found.items())


def _is_of_objects(json_schema: Mapping[str, Any]) -> bool:
    return "properties" in json_schema or json_schema.get("type") == "object"


def _tool(name: str, json_schema: Mapping[str, Any], strict: bool | None) -> dict[str, Any]:
    described = {"title", "description"}
    parameters = {word: value for word, value in json_schema.items() if word not in described}
    function = {
        "name": name,
        "description": json_schema.get("description", ""),
        "parameters": parameters,
    }
    if strict is not None:
        function["strict"] = strict
    return {"type": "function", "function": function}


def _json_parser(schema: Any, json_schema: Mapping[str, Any] | None) -> Parser:  # noqa: ANN401
    if _is_class(schema):
        return _ObjectParser(made=schema)
    return _JsonParser(of_objects=json_schema is not None and _is_of_objects(json_schema))


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
    """Whether an answer is whole: its reason to end, or LangChain's mark, comes with its last."""
    if not isinstance(generation, ChatGeneration):
        return False
    message = generation.message
    last = getattr(message, "chunk_position", None) == "last"
    return last or bool(message.response_metadata.get("finish_reason"))


def _only_calls(generation: Generation) -> bool:
    """Whether an answer calls tools that stand beside the schema, and says nothing else."""
    message = generation.message if isinstance(generation, ChatGeneration) else None
    return isinstance(message, AIMessage) and bool(message.tool_calls) and not message.text


def _refuse_unfinished(message: AIMessage) -> None:
    reason = message.response_metadata.get("finish_reason")
    if reason == "length":
        raise OutputParserException(
            'The answer was cut by max_tokens (finish_reason "length"), so its JSON may not be '
            "whole. Raise max_tokens, or ask for less.",
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

    of_objects: bool = False
    """Whether nothing but an object will do."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:  # noqa: ANN401
        if partial:
            return super().parse_result(result, partial=True)
        if _only_calls(result[0]):
            return None
        text = result[0].text.strip()
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
