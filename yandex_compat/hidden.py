"""Values that show themselves in no repr, as tracebacks with locals show those of every frame.

A function that is handed a secret hides it first of all, and deletes its own name for it.
"""

from typing import Any, Generic, TypeVar

_Value = TypeVar("_Value", covariant=True)


class Hidden(Generic[_Value]):
    """Holds a secret; `shown` is the only way to it."""

    __slots__ = ("_secret",)

    def __init__(self, secret: _Value) -> None:
        self._secret = secret

    def shown(self) -> _Value:
        """The secret itself."""
        return self._secret

    def __repr__(self) -> str:
        return "***"


class HiddenText(str):
    """A text whose repr does not tell it, for those who expect a text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"


class HiddenWords(dict[str, Any]):
    """A dict whose repr tells the names and none of the values."""

    def __repr__(self) -> str:
        return f"{{{', '.join(map(str, self))}: ***}}"
