"""Whole numbers that arrive as doubles become integers again where a schema has them (WIRE B4)."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

JsonSchema = Mapping[str, Any]

_COMBINED = ("anyOf", "oneOf", "allOf")
_CONDITIONAL = ("then", "else")


def with_integers(value: Any, schema: JsonSchema) -> Any:  # noqa: ANN401 -- JSON is any value
    """The value with `5.0` as `5` wherever the schema says integer and not number, at any depth.

    Raises ValueError for a value that is nested too deeply.
    """
    try:
        return _repaired(value, [schema], schema)
    except RecursionError:
        raise ValueError("the value is nested too deeply") from None


def _repaired(value: Any, schemas: Iterable[Any], root: JsonSchema) -> Any:  # noqa: ANN401
    """The value that all or one of the schemas describe."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and _is_integer(value, schemas, root) else value
    if isinstance(value, dict):
        known = list(_all_of(schemas, root))
        return {
            key: _repaired(part, _of_key(key, known), root) if _may_hold_double(part) else part
            for key, part in value.items()
        }
    if isinstance(value, list):
        known = list(_all_of(schemas, root))
        return [
            _repaired(part, _of_place(place, known), root) if _may_hold_double(part) else part
            for place, part in enumerate(value)
        ]
    return value


def _may_hold_double(value: object) -> bool:
    return isinstance(value, float | dict | list)


def _is_integer(value: float, schemas: Iterable[Any], root: JsonSchema) -> bool:
    types: set[str] = set()
    for schema in _all_of(schemas, root):
        kind = schema.get("type")
        types |= {kind} if isinstance(kind, str) else set(kind or ())
        named = [*_list(schema.get("enum")), schema.get("const")]
        # Without a type, the values themselves tell what they are.
        if kind is None and any(type(one) is int and one == value for one in named):
            types.add("integer")
    return "integer" in types and "number" not in types


def _all_of(
    schemas: Iterable[Any], root: JsonSchema, seen: set[int] | None = None
) -> Iterator[JsonSchema]:
    """The schemas with those that they refer to and are combined of, each once."""
    seen = set() if seen is None else seen
    for schema in schemas:
        if not isinstance(schema, Mapping) or id(schema) in seen:
            continue
        seen.add(id(schema))
        yield schema
        beneath = [part for word in _COMBINED for part in _list(schema.get(word))]
        beneath += [schema.get(word) for word in _CONDITIONAL]
        beneath.append(_referred(schema.get("$ref"), root))
        yield from _all_of(beneath, root, seen)


def _referred(reference: object, root: JsonSchema) -> object:
    """The part of the schema that a `$ref` names, such as `#/$defs/City`; None for another."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    part: Any = root
    for step in reference[1:].split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        part = part.get(key) if isinstance(part, Mapping) else None
    return part


def _of_key(key: str, schemas: Sequence[JsonSchema]) -> Iterator[Any]:
    for schema in schemas:
        named = schema.get("properties") or {}
        fitting = [
            part
            for pattern, part in (schema.get("patternProperties") or {}).items()
            if _fits(pattern, key)
        ]
        if key in named:
            yield named[key]
        yield from fitting
        if key not in named and not fitting:
            yield schema.get("additionalProperties")


def _fits(pattern: str, key: str) -> bool:
    """Whether a key fits a pattern; one that Python can't read, being of JavaScript, fits none."""
    try:
        return re.search(pattern, key) is not None
    except re.error:
        return False


def _of_place(place: int, schemas: Sequence[JsonSchema]) -> Iterator[Any]:
    for schema in schemas:
        items = schema.get("items")
        first = _list(schema.get("prefixItems")) or _list(items)
        if place < len(first):
            yield first[place]
        else:
            yield schema.get("additionalItems") if isinstance(items, list) else items


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
