"""A value that keeps to a JSON schema, filled with what texts offer.

It keeps to types, references, enums, the first branch of a union, bounds, lengths of lists and the
longest of texts; not to pattern, minLength, multipleOf, prefixItems and the rarer formats.
"""

import re
from typing import Any

from . import findings
from .words import content_words, stems

Schema = dict[str, Any]
Filled = tuple[Any, bool]  # a value, and whether a text offered it

_DEEPEST = 4
_YES, _NO = {"yes", "true", "да"}, {"no", "false", "нет"}
_FORMATS = {
    "date": (r"\d{4}-\d\d-\d\d", "2025-01-01"),
    "date-time": (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?Z?", "2025-01-01T00:00:00Z"),
    "time": (r"\d\d:\d\d(?::\d\d)?", "00:00:00"),
    "email": (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", "someone@example.com"),
    "uri": (r"https?://\S+", "https://example.com"),
}


class Filling:
    """Fills one schema from texts; what was found is used once.

    Numbers come from ``text``, ``results``, ``rest`` in this order, phrases from ``results``
    last; words of ``aside`` alone are no phrase. A property that no text offers is null where it
    may be; a ``sparse`` filling leaves it out where it is optional.
    """

    def __init__(
        self,
        schema: Schema,
        text: str,
        results: tuple[str, ...] = (),
        rest: str = "",
        *,
        aside: str = "",
        sparse: bool = False,
        depth: int = 0,
    ) -> None:
        self._root = schema
        self._sparse = sparse
        self._depth = depth
        self._first = text or rest
        self._text = "\n".join((text, *results, rest))
        self._numbers = findings.numbers(self._text)
        found = [one for part in (text, rest, *results) for one in findings.phrases(part)]
        names, dull = self._resolved(schema).get("properties") or {}, stems(aside)
        self._phrases = [
            one
            for one in dict.fromkeys(found)
            if one not in names and not set() < stems(one) <= dull
        ]

    def value(self) -> Any:  # noqa: ANN401 - any JSON
        """Return the value."""
        return self._fill(self._root, "", self._depth)[0]

    def missing(self) -> int:
        """Return for how many required properties the texts offer nothing."""
        required = self._resolved(self._root).get("required") or ()
        filled = self._fill_all(self._resolved(self._root), self._depth)
        return sum(not filled[name][1] for name in required if name in filled)

    def _fill(self, schema: Schema, name: str, depth: int) -> Filled:
        if depth > _DEEPEST and _may_be_null(schema):
            return None, False
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"], True
        if "enum" in schema:
            return self._member(schema["enum"])
        match _kind(schema):
            case "object" | "array" if depth > 2 * _DEEPEST:
                return {}, False
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer" | "number":
                found = bool(self._numbers)
                return _number(schema, self._numbers.pop(0) if found else None), found
            case "boolean":
                return self._boolean(name)
            case "null":
                return None, False
        return self._string(schema)

    def _object(self, schema: Schema, depth: int) -> Filled:
        filled = self._fill_all(schema, depth)
        kept = {
            name: value
            for name, (value, found) in filled.items()
            if found or not self._sparse or name in (schema.get("required") or ())
        }
        return kept, any(found for _, found in filled.values())

    def _fill_all(self, schema: Schema, depth: int) -> dict[str, Filled]:
        """Fill labelled properties first, lists last: no list takes what another is to have."""
        properties, required = schema.get("properties") or {}, schema.get("required") or ()
        filled: dict[str, Filled] = {}
        for name, schema in properties.items():
            if (found := self._labelled(self._resolved(schema), name)) is not None:
                filled[name] = found, True
        left = [name for name in properties if name not in filled]
        left.sort(key=lambda name: _kind(self._resolved(properties[name])) in ("array", "object"))
        left.sort(key=lambda name: self._sparse and name not in required)
        for name in left:
            if self._sparse and name not in required:
                self._keep_own()
            value, found = self._fill(properties[name], name, depth + 1)
            unsaid = not found and _may_be_null(properties[name])
            filled[name] = None if unsaid else value, found
        return {name: filled[name] for name in properties}

    def _keep_own(self) -> None:
        """Leave only what the first text offers: results never fill what is optional."""
        numbers, phrases = findings.numbers(self._first), findings.phrases(self._first)
        self._numbers = [one for one in self._numbers if one in numbers]
        self._phrases = [one for one in self._phrases if one in phrases]

    def _labelled(self, schema: Schema, name: str) -> float | str | None:
        if "enum" in schema or "const" in schema or schema.get("format") in _FORMATS:
            return None
        clues = content_words(schema.get("description") or "")
        kind = _kind(schema)
        if kind in ("integer", "number"):
            number = findings.labelled_number(self._text, (name, *clues))
            if number in self._numbers:
                self._numbers.remove(number)
            return None if number is None else _number(schema, number)
        if kind != "string":
            return None
        text = findings.labelled(self._text, name, clues) or findings.numbered(self._text, name)
        if text is not None:
            self._phrases = [one for one in self._phrases if one not in text]
        return text

    def _member(self, members: list[Any]) -> Filled:
        found = self._members(members)
        return (found or members)[0], bool(found)

    def _members(self, members: list[Any]) -> list[Any]:
        places = {
            position: member
            for member in members
            if (position := self._text.casefold().find(str(member).casefold())) >= 0
        }
        return [places[position] for position in sorted(places)]

    def _boolean(self, name: str) -> Filled:
        word = (findings.labelled(self._text, name, ()) or "").lower()
        if word in _YES | _NO:
            return word in _YES, True
        said = bool(name) and stems(name) <= stems(self._text)
        denied = re.search(rf"\b(?:no|not|without|не|без)\s+{re.escape(name)}", self._text, re.I)
        return said and not denied, said

    def _string(self, schema: Schema) -> Filled:
        if schema.get("format") in _FORMATS:
            pattern, sample = _FORMATS[schema["format"]]
            match = re.search(pattern, self._text)
            return (match[0], True) if match else (sample, False)
        longest = schema.get("maxLength")
        if self._phrases:
            return self._phrases.pop(0)[:longest], True
        default = schema.get("default")
        text = default if isinstance(default, str) else findings.gist(self._first) or "text"
        return text[:longest], False

    def _array(self, schema: Schema, name: str, depth: int) -> Filled:
        item = self._resolved(schema.get("items") or {})
        found = self._items(item, name, depth) if depth < _DEEPEST else []
        values = list(found)
        while depth < _DEEPEST and len(values) < max(1, schema.get("minItems") or 0):
            values.append(self._fill(item, name, depth + 1)[0])
        return values[: schema.get("maxItems")], bool(found)

    def _items(self, item: Schema, name: str, depth: int) -> list[Any]:
        kind = _kind(item)
        if "enum" in item:
            return self._members(item["enum"])
        if kind == "object":
            return self._objects(item, depth + 1)
        listed = findings.listed(self._text, name)
        if kind in ("integer", "number"):
            given = findings.numbers(" ".join(listed)) if listed else self._numbers
            self._numbers = [one for one in self._numbers if one not in given]
            return [_number(item, one) for one in given]
        if kind != "string":
            return []
        strings = listed or self._phrases
        self._phrases = [one for one in self._phrases if one not in strings]
        return strings

    def _objects(self, item: Schema, depth: int) -> list[Any]:
        """Return an object for each sentence that offers everything one needs."""
        shared = {key: self._root[key] for key in ("$defs", "definitions") if key in self._root}
        schema = shared | item
        return [
            Filling(schema, sentence, sparse=self._sparse, depth=depth).value()
            for sentence in findings.sentences(self._text)
            if item.get("required") and Filling(schema, sentence, depth=depth).missing() == 0
        ]

    def _resolved(self, schema: Schema) -> Schema:
        """Follow references and take the first branch of a union that is not null."""
        followed: set[str] = set()
        while isinstance(schema, dict):
            own = {
                key: value
                for key, value in schema.items()
                if key not in ("$ref", "anyOf", "oneOf", "allOf")
            }
            if "$ref" in schema:
                if schema["$ref"] in followed:
                    return own
                followed.add(schema["$ref"])
                schema = self._at(schema["$ref"]) | own
            elif union := schema.get("anyOf") or schema.get("oneOf"):
                real = [one for one in union if isinstance(one, dict) and one.get("type") != "null"]
                constants = [one["const"] for one in real if "const" in one]
                named = constants and len(constants) == len(real)
                schema = ({"enum": constants} if named else (real or [{}])[0]) | own
            elif parts := schema.get("allOf"):
                schema = {key: value for part in parts for key, value in part.items()} | own
            else:
                return own
        return {}  # a schema may be true, or false

    def _at(self, reference: str) -> Schema:
        target = self._root
        for step in filter(None, reference.lstrip("#").split("/")):
            target = target.get(step, {})
        return target


def _may_be_null(schema: Schema) -> bool:
    if not isinstance(schema, dict):
        return False
    branches = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return any("null" in str(one.get("type")) for one in branches if isinstance(one, dict))


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "string"
    return str(kind)


def _number(schema: Schema, found: float | None) -> float:
    """Return a number within the schema's bounds: the found one, the default, or 3."""
    default = schema.get("default")
    number = found if found is not None else default if default is not None else 3
    whole = _kind(schema) == "integer"
    step = 1 if whole else 0.5
    low = schema.get("minimum", schema.get("exclusiveMinimum", number - step) + step)
    high = schema.get("maximum", schema.get("exclusiveMaximum", number + step) - step)
    number = min(max(number, low), high)
    return int(number) if whole or float(number).is_integer() else number
