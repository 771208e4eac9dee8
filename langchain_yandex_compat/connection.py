"""How both LangChain classes reach the service: the shared words, as LangChain serialises them."""

import os
from typing import Any

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
