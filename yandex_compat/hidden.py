"""Hidden: a secret that shows itself in no repr, as tracebacks with locals show their values."""


class Hidden:
    """Holds a secret text; `shown` is the only way to it."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def shown(self) -> str:
        """The secret itself."""
        return self._secret

    def __repr__(self) -> str:
        return "***"
