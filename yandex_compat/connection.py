"""Connection: the constructor words that say how to reach the service, as both adapters take them.

A pydantic model, since both frameworks' own classes are; the core itself does without pydantic.
"""

import os
from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from functools import cache
from inspect import signature
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from yandex_compat.client import YandexClient
from yandex_compat.errors import ConfigurationError
from yandex_compat.hidden import Hidden, HiddenText, HiddenWords
from yandex_compat.limiters import check_pickle
from yandex_compat.settings import checked_folder, checked_url, refuse_unknown_words

SECRETS: Mapping[str, str] = {"api_key": "YC_API_KEY", "iam_token": "YC_IAM_TOKEN"}
"""The words that hold secrets, and the names of the environment that they are read from."""

_LIVE = ("http_client", "http_async_client")
# A key in the wrong word is still a key, and an address may hold a password.
_MAY_BE_SECRET = (*SECRETS, "auth", "base_url", "default_headers", "folder_id")


class Connection(BaseModel):
    """Credential, folder, address and patience; what is not given comes from the environment.

    Raises ConfigurationError at construction for a missing or wrong word, naming it and never its
    value; for a value of the wrong type, pydantic's ValidationError, which hides it. A pickle holds
    the credential in plain text, and no client that was passed in.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True, hide_input_in_errors=True, defer_build=True
    )

    folder_id: str | None = None
    """The folder that models are looked up in; default YC_FOLDER_ID."""
    api_key: SecretStr | None = None
    """An API key of a service account; default YC_API_KEY."""
    iam_token: SecretStr | None = None
    """An IAM token; default YC_IAM_TOKEN."""
    auth: Any = Field(default=None, exclude=True, repr=False)
    """An httpx.Auth, or a function that gives an IAM token, instead of a key or token."""
    api: str = "chat"
    """The API to talk to: "chat", the OpenAI-compatible one, or "completion", the native one."""
    base_url: str | None = None
    """The root of the API, where it is not the service's own."""
    allow_http: bool = False
    """Whether it may be plain http to a public host, by which others read the credential."""
    timeout: float | None = None
    """Seconds to wait for the next bytes; default 120."""
    connect_timeout: float | None = None
    """Seconds to wait for a connection; default 10, and no more than `timeout`."""
    first_byte_timeout: float | None = None
    """Seconds to wait for an answer to begin; default `timeout`."""
    total_timeout: float | None = None
    """Seconds after which a whole call has ended, its waits and second tries included; no default.

    A blocking one goes on while a name is looked up, or headers come byte by byte.
    """
    max_retries: int | None = None
    """How often a failed request is tried again; default 2."""
    max_concurrency: int | None = None
    """How many generations of one model run at once, of all that share its quota; 0 lets all.

    Default 10, the service's quota, and 0 for another's server. Those beyond it wait their turn;
    where none comes free for `timeout` seconds, NoFreePlace is raised.
    """
    limiter: Any = Field(default=None, exclude=True, repr=False)
    """A context manager, blocking or async, that each generation and embedding is sent within, such
    as a semaphore that several machines share; a deferred one is not. One thread may leave what
    another has entered."""
    data_logging: bool = True
    """Whether the service may log prompts and answers."""
    default_headers: dict[str, str] | None = Field(default=None, exclude=True, repr=False)
    """Headers of your own, sent with every request."""
    http_client: Any = Field(default=None, exclude=True, repr=False)
    """An httpx.Client of your own, never closed here."""
    http_async_client: Any = Field(default=None, exclude=True, repr=False)
    """An httpx.AsyncClient of your own, never closed here."""

    _made: tuple[Hidden[tuple[Any, ...]], YandexClient] | None = PrivateAttr(default=None)

    if not TYPE_CHECKING:  # the words are known by the fields
        # Words only: a key given without its word is refused before any frame holds it.
        def __init__(self, /, **words: Any) -> None:
            self._veil(words)
            try:
                super().__init__(**words)
            except ValidationError as error:
                told = _without_values(error)
            else:
                return
            raise told

    @classmethod
    def _veil(cls, words: dict[str, Any]) -> None:
        """Hide, in place, what may be secret: each frame below a constructor's holds the words."""
        for word in words:
            words[word] = _veiled(cls, word, words[word])

    @model_validator(mode="before")
    @classmethod
    def _take_words(cls, words: Any) -> Any:  # noqa: ANN401 -- pydantic hands over anything
        if not isinstance(words, dict):
            return words
        words = HiddenWords({word: _unveiled(value) for word, value in words.items()})
        # None asks for the default, also where the default is another (D8).
        words = HiddenWords({word: words[word] for word in words if words[word] is not None})
        words = HiddenWords(cls._prepared(words))
        refuse_unknown_words(cls.__name__, words, cls.model_fields)
        for word in SECRETS:
            _check_secret(word, Hidden(words.get(word)))
        # Resolved into a field, so that a cache keyed by the fields tells two folders apart.
        words["folder_id"] = words.get("folder_id") or os.environ.get("YC_FOLDER_ID") or None
        # Looked at before they are fields, which a repr shows: a key may have been put here.
        if isinstance(words["folder_id"], str):
            checked_folder(Hidden(words["folder_id"]))
        if isinstance(words.get("base_url"), str):
            checked_url(Hidden(words["base_url"]), allow_http=words.get("allow_http") is True)
        return words

    @classmethod
    def _prepared(cls, words: dict[str, Any]) -> dict[str, Any]:
        """The words under the names of the fields, with what the framework wants filled in."""
        return words

    @model_validator(mode="after")
    def _refuse_wrong_words(self) -> Self:
        self._check_words()
        return self

    def _check_words(self) -> None:
        """Raise ConfigurationError where the words can't lead to a request."""
        raise NotImplementedError

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 -- any field's value
        super().__setattr__(name, _hidden(name, value))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other words; a text given as a secret is hidden as one."""
        hidden = {name: _hidden(name, value) for name, value in (update or {}).items()}
        return super().model_copy(update=hidden, deep=deep)

    @property
    def _client(self) -> YandexClient:
        """The client for the words as they stand: fields may be assigned after construction."""
        values, made = Hidden(_values_of_client(type(self))(self.__dict__)), self._made
        if made and made[0].shown() == values.shown():
            return made[1]
        words = self._words_from(values)
        known = HiddenWords({word: _shown(value) for word, value in words.items()})
        if made and not (_credentials(words) or _credentials(self._words_from(made[0]))):
            # That of the environment, as it was found at construction.
            known["auth"] = made[1].auth
        client = YandexClient(**known)
        self._made = (values, client)
        return client

    def _words_from(self, values: Hidden[tuple[Any, ...]]) -> HiddenWords:
        return HiddenWords(zip(_words_of_client(type(self)), values.shown(), strict=True))

    def close(self) -> None:
        """Give up the shared connections; a client that was passed in stays open."""
        self._client.close()

    async def aclose(self) -> None:
        """Give up the shared connections, those of the running event loop included."""
        await self._client.aclose()

    def __getstate__(self) -> dict[Any, Any]:
        # LlamaIndex tries each value and deletes, from the living object, what has no pickle.
        check_pickle(self.limiter)
        bare = copy(self)
        bare._made = None
        for word in _LIVE:
            setattr(bare, word, None)
        return super(Connection, bare).__getstate__()

    def __copy__(self) -> Self:
        copied = super().__copy__()
        if copied._made is not None:
            # Of its own, so that to close one does not close the other's connections (D2).
            values, client = copied._made
            copied._made = (values, deepcopy(client))
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        # Clients and limiters hold locks, which have no copy, and serve all copies; a credential is
        # refreshed once for all.
        memo = {} if memo is None else memo
        for word in ("auth", "limiter", "rate_limiter", *_LIVE):
            shared = getattr(self, word, None)
            memo[id(shared)] = shared
        return super().__deepcopy__(memo)


@cache
def _words_of_client(model: type[Connection]) -> tuple[str, ...]:
    return tuple(word for word in signature(YandexClient).parameters if word in model.model_fields)


@cache
def _values_of_client(model: type[Connection]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """What finds the values of those words among a model's fields, many times a second."""
    return itemgetter(*_words_of_client(model))


def _veiled(model: type[Connection], word: str, value: Any) -> Any:  # noqa: ANN401
    """A word's value so that no repr shows it, if it may be a secret.

    A word that is unknown may be one misspelt; whatever else holds none, or hides it itself. Texts
    and dicts stay such, for the validators of a user's own class.
    """
    if word in SECRETS and isinstance(value, str):
        return SecretStr(value)
    if word == "default_headers" and type(value) is dict:
        return HiddenWords(value)
    if word in _MAY_BE_SECRET or word not in model.model_fields:
        if isinstance(value, str):
            return HiddenText(value)
        hides_itself = value is None or isinstance(value, Hidden | HiddenWords | SecretStr)
        return value if hides_itself else Hidden(value)
    return value


def _unveiled(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, HiddenText):
        return str(value)
    return value.shown() if isinstance(value, Hidden) else value


def _without_values(error: ValidationError) -> ValidationError:
    """The same error with the kinds of the values only, which its `errors()` and pickle hold."""
    lines: list[InitErrorDetails] = []
    for line in error.errors(include_url=False):
        kind: Any = line["type"]
        told = PydanticCustomError(kind, "{told}", {"told": line["msg"]})
        lines.append({"type": told, "loc": line["loc"], "input": type(line["input"]).__name__})
    return ValidationError.from_exception_data(error.title, lines, hide_input=True)


def _check_secret(word: str, value: Hidden[Any]) -> None:
    # Left to pydantic, the refusal of a wrong type would hold the value.
    if value.shown() is not None and not isinstance(value.shown(), str | SecretStr):
        raise ConfigurationError(
            f"{word} must be a text or a SecretStr, not {type(value.shown()).__name__}."
        )


def _credentials(words: Mapping[str, Any]) -> list[Any]:
    return [words[word] for word in (*SECRETS, "auth") if words[word] is not None]


def _shown(value: Any) -> Any:  # noqa: ANN401 -- any field's value
    return value.get_secret_value() if isinstance(value, SecretStr) else _unveiled(value)


def _hidden(name: str, value: object) -> object:
    """What a field is set to; a secret of the wrong type is told of once it is used."""
    if name not in SECRETS or value is None or isinstance(value, SecretStr):
        return value
    return SecretStr(value) if isinstance(value, str) else Hidden(value)
