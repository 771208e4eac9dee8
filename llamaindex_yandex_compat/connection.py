"""How both LlamaIndex classes reach the service: the shared words, as `to_dict` writes them."""

from typing import Any

from llama_index.core.schema import BaseComponent
from pydantic import Field, SecretStr

from yandex_compat.connection import Connection


class YandexConnection(Connection, BaseComponent):
    """The words of Connection; `to_dict` and repr leave secrets out.

    Secrets of the environment are no fields: copies keep them, a pickle does not, so that they are
    read again where it is loaded.
    """

    api_key: SecretStr | None = Field(default=None, exclude=True, repr=False)
    """An API key of a service account; default YC_API_KEY."""
    iam_token: SecretStr | None = Field(default=None, exclude=True, repr=False)
    """An IAM token; default YC_IAM_TOKEN."""

    @classmethod
    def _prepared(cls, words: dict[str, Any]) -> dict[str, Any]:
        words = super()._prepared(words)
        words.pop("class_name", None)  # `from_dict` hands it over with the words
        return words
