"""How both LangChain classes reach the service: the shared words, as LangChain serialises them."""

import os
from collections.abc import Mapping
from typing import Any, Self

from pydantic import ConfigDict, SecretStr

from yandex_compat.connection import SECRETS, Connection


class YandexConnection(Connection):
    """The words of Connection; a secret of the environment becomes the field that it stands for."""

    model_config = ConfigDict(populate_by_name=True)

    @classmethod
    def _prepared(cls, words: dict[str, Any]) -> dict[str, Any]:
        words = super()._prepared(words)
        if any(word in words for word in (*SECRETS, "auth")):
            return words
        for word, name in SECRETS.items():
            if value := os.environ.get(name):
                return words | {word: SecretStr(value)}
        return words

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 -- any field's value
        super().__setattr__(name, value)
        self._forget_serialized()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other words."""
        copied = super().model_copy(update=update, deep=deep)
        copied._forget_serialized()
        return copied

    def _forget_serialized(self) -> None:
        # LangChain keys its cache of answers by what it serialised once: a changed model would be
        # given the answers of the one it was (T19).
        self.__dict__.pop("_serialized", None)
