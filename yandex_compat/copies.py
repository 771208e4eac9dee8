"""Copies: many instances of a pydantic model that differ in a few values, validated once."""

from typing import Any, Generic, TypeVar

from pydantic import BaseModel

# A model's own way to set knows its fields only, and object's takes half as long again.
_set_values, _set_fields_set, _set_extra, _set_private = (
    vars(BaseModel)[slot].__set__
    for slot in (
        "__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__"
    )
)  # fmt: skip
_Model = TypeVar("_Model", bound=BaseModel)


class Copies(Generic[_Model]):
    """Makes instances like one that was validated, the way that loading a pickle does.

    Each differs in the same words, which are given: a stream makes thousands, of values that are of
    the right type by then. Containers are copied, so that no two instances share one.
    """

    __slots__ = ("_containers", "_fields_set", "_has_more", "_kind", "_model", "_open", "_values")

    def __init__(self, model: _Model, *given: str) -> None:
        state = model.__getstate__()
        self._model, self._kind = model, type(model)
        self._has_more = bool(state["__pydantic_private__"] or state["__pydantic_extra__"])
        self._values: dict[str, Any] = state["__dict__"]
        # What is given is set, as validation has it: some write out nothing else.
        self._fields_set: set[str] = state["__pydantic_fields_set__"] | set(given)
        self._open = state["__pydantic_extra__"] is not None
        self._containers = [
            (word, value)
            for word, value in self._values.items()
            if isinstance(value, dict | list | set)
        ]

    def of(self, **values: Any) -> _Model:
        """An instance with the values of all words that differ, which are not validated."""
        own = self._values | values
        for word, container in self._containers:
            if word not in values:
                own[word] = container.copy()
        if self._has_more:  # a framework's next version may have it
            made = self._model.model_copy(update=own, deep=True)
        else:
            made = self._kind.__new__(self._kind)
            _set_values(made, own)
            _set_extra(made, {} if self._open else None)
            _set_private(made, None)
        _set_fields_set(made, self._fields_set.copy())
        return made
