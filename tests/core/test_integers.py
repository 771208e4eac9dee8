"""Doubles of the native API as the integers that a tool's schema has (WIRE B4)."""

import pytest
from pydantic import BaseModel

from yandex_compat.integers import with_integers

INTEGER = {"type": "integer"}


def in_object(schema: object) -> dict:
    return {"type": "object", "properties": {"a": schema}}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (INTEGER, "5"),
        ({"type": ["integer", "null"]}, "5"),
        ({"type": "number"}, "5.0"),
        ({"type": ["integer", "number"]}, "5.0"),
        ({}, "5.0"),
        (True, "5.0"),
        ({"anyOf": [INTEGER, {"type": "null"}]}, "5"),
        ({"oneOf": [{"type": "string"}, INTEGER]}, "5"),
        ({"allOf": [INTEGER, {"minimum": 1}]}, "5"),
        ({"anyOf": [INTEGER, {"type": "number"}]}, "5.0"),
        ({"enum": [1, 5]}, "5"),
        ({"enum": [1.0, 5.5]}, "5.0"),
        ({"const": 5}, "5"),
        ({"enum": [True, "5"]}, "5.0"),
        ({"$ref": "#/$defs/Count"}, "5"),
        ({"$ref": "#/$defs/Twice"}, "5"),
        ({"$ref": "#/$defs/with~1slash"}, "5"),
        ({"$ref": "#/$defs/missing"}, "5.0"),
        ({"$ref": "https://example.com/count"}, "5.0"),
        ({"$ref": "#/$defs/Round"}, "5.0"),
        ({"if": {}, "then": INTEGER}, "5"),
        ({"if": {}, "else": INTEGER}, "5"),
        ({"enum": [1, 2]}, "5.0"),
        ({"type": "number", "enum": [1, 5]}, "5.0"),
        ({"$ref": "#/$defs/with~0tilde"}, "5"),
        ({"$ref": "x#/$defs/Count"}, "5.0"),
    ],
)
def test_a_schema_says_whether_a_double_is_an_integer(schema, expected):
    root = in_object(schema) | {
        "$defs": {
            "Count": INTEGER,
            "Twice": {"$ref": "#/$defs/Count"},
            "with/slash": INTEGER,
            "with~tilde": INTEGER,
            "Round": {"$ref": "#/$defs/Round"},
        }
    }
    assert repr(with_integers({"a": 5.0}, root)) == f"{{'a': {expected}}}"


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"items": INTEGER}, [1.0, 2.0], [1, 2]),
        ({"prefixItems": [{"type": "number"}], "items": INTEGER}, [1.0, 2.0], [1.0, 2]),
        ({"items": [INTEGER], "additionalItems": {"type": "number"}}, [1.0, 2.0], [1, 2.0]),
        ({"additionalProperties": INTEGER}, {"x": 1.0}, {"x": 1}),
        (
            {"patternProperties": {"^x": {"type": "number"}}, "additionalProperties": INTEGER},
            {"x": 1.0, "y": 1.0},
            {"x": 1.0, "y": 1},
        ),
        ({"patternProperties": {"^n_": INTEGER}}, {"n_x": 1.0, "x": 1.0}, {"n_x": 1, "x": 1.0}),
        ({"items": {"items": INTEGER}}, [[1.0]], [[1]]),
        (in_object({"items": in_object(INTEGER)}), {"a": [{"a": 1.0}]}, {"a": [{"a": 1}]}),
        ({"properties": {"a": INTEGER}, "additionalProperties": True}, {"b": 1.0}, {"b": 1.0}),
    ],
)
def test_at_any_depth(schema, value, expected):
    assert repr(with_integers(value, schema)) == repr(expected)


@pytest.mark.parametrize("value", [5.5, float("inf"), float("nan"), "5.0", True, None, 5])
def test_nothing_else_changes(value):
    assert repr(with_integers({"a": value}, in_object(INTEGER))) == repr({"a": value})


def test_what_pydantic_writes():
    class Stop(BaseModel):
        minutes: int
        next: "Stop | None" = None

    class Route(BaseModel):
        stops: list[Stop]
        length: float
        marks: dict[str, int]

    given = {
        "stops": [{"minutes": 1.0, "next": {"minutes": 2.0, "next": None}}],
        "length": 3.0,
        "marks": {"x": 4.0},
    }
    assert repr(with_integers(given, Route.model_json_schema())) == repr(
        {
            "stops": [{"minutes": 1, "next": {"minutes": 2, "next": None}}],
            "length": 3.0,
            "marks": {"x": 4},
        }
    )


def test_a_schema_that_refers_to_itself_in_several_ways_is_walked_once():
    class Number(BaseModel):
        value: int

    class Sum(BaseModel):
        left: "Sum | Product | Number"
        right: "Sum | Product | Number"

    class Product(BaseModel):
        left: "Sum | Product | Number"
        right: "Sum | Product | Number"

    Sum.model_rebuild(_types_namespace={"Sum": Sum, "Product": Product, "Number": Number})

    def deep(levels: int) -> dict:
        if not levels:
            return {"value": 5.0}
        return {"left": deep(levels - 1), "right": {"value": 5.0}}

    told = repr(with_integers(deep(60), Sum.model_json_schema()))
    assert "5.0" not in told
    assert told.count("'value': 5}") == 61


def test_a_pattern_of_another_language_fits_nothing():
    schema = {"patternProperties": {"^\\p{L}+$": INTEGER}, "additionalProperties": INTEGER}
    assert repr(with_integers({"a": 1.0}, schema)) == "{'a': 1}"


def test_what_is_nested_too_deeply_is_a_value_error():
    value: object = 1.0
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="deeply"):
        with_integers(value, {})
    while isinstance(value, list):  # unwound here, or its end would be as deep
        value = value.pop()
