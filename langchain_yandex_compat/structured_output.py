"""Structured output: what a schema of any kind binds to the model."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from operator import itemgetter
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration
from langchain_core.runnables import Runnable, RunnableLambda, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel, TypeAdapter

from langchain_yandex_compat.answer_parsers import Parser, json_parser, tool_parser
from yandex_compat import ConfigurationError

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
    asked, (schema, strict) = strict, _unwrapped(schema, strict)
    if method == "json_mode":
        return _json_mode(schema, asked)
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
        tool = _tool(name, json_schema, strict)
        return Plan(tool_parser(schema, name), json_schema, (tool,), name)
    described: dict[str, Any] = {"name": name, "schema": json_schema}
    if strict is not None:
        described["strict"] = strict
    form = {"type": "json_schema", "json_schema": described}
    return Plan(
        json_parser(schema, of_objects=_is_of_objects(json_schema)),
        json_schema,
        response_format=form,
    )


def _json_mode(schema: Any, strict: bool | None) -> Plan:  # noqa: ANN401
    if strict is not None:
        raise ConfigurationError(
            "strict has no place in json_mode, which sends no schema: use the method json_schema."
        )
    json_schema = _json_schema(schema, None) if schema else None
    form = {"type": "json_object"}
    return Plan(
        json_parser(schema, of_objects=_is_of_objects(json_schema)),
        json_schema,
        response_format=form,
    )


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

    # Two parsers of one answer: in a stream, what was parsed last may stand there although the
    # answer's end is an error.
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


def _is_of_objects(json_schema: Mapping[str, Any] | None) -> bool:
    if json_schema is None:
        return False
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
