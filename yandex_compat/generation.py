"""Generation: the constructor words that a chat model asks with by default, in both adapters.

A pydantic model, as Connection is.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from yandex_compat.parameters import named_once


class Generation(BaseModel):
    """What each answer is asked with; the word of a call wins over the same word here."""

    model_config = ConfigDict(defer_build=True)

    model: str = "yandexgpt"
    """Name, name and branch, or full URI."""
    temperature: float | None = None
    """From 0 to 2; on the native API, to 1."""
    top_p: float | None = None
    """From 0 to 1."""
    max_tokens: int | None = None
    """The most tokens an answer may have."""
    reasoning_effort: str | None = None
    """low, medium or high, for models that reason."""
    stop: list[str] | str | None = None
    """Where to cut the answer; done on the client, since the service can't."""
    frequency_penalty: float | None = None
    """From -2 to 2; not taken by all models."""
    presence_penalty: float | None = None
    """From -2 to 2; not taken by all models."""
    logit_bias: dict[int | str, int] | None = None
    """How much likelier each token is made, by its number."""
    logprobs: bool | None = None
    """Whether the answer tells how likely its tokens were; not told by all models."""
    top_logprobs: int | None = None
    """How many tokens that were as likely are told beside each, from 0 to 20; needs `logprobs`."""
    verbosity: str | None = None
    """low, medium or high."""
    user: str | None = None
    """Whom the answer is for, as an id of your own."""
    store: bool | None = None
    """Whether the server keeps the completion, if it can (`supports_store`)."""
    supports_store: bool = False
    """Whether the server keeps completions (`store`), which Yandex Cloud does not."""
    store_metadata: dict[str, str] | None = None
    """The labels that a stored completion bears."""
    recover_leaked_calls: bool = True
    """Whether a tool call that a model wrote as text becomes a call."""
    extra_body: dict[str, Any] | None = None
    """Whatever else goes into the request's body, untouched."""

    mode: str | None = None
    """"sync", or "deferred": the native API answers later, and is asked until it does."""
    deferred_timeout: float | None = None
    """Seconds to wait for a deferred answer at most; default an hour."""
    exact_token_counts: bool = False
    """Whether tokens are counted by the service's tokenizer, a request each, and not estimated."""

    def _words(self, *given: Mapping[str, Any]) -> dict[str, Any]:
        """The model's own words with those given on top, the last winning; None gives nothing."""
        own = self.__dict__
        words = {word: value for word in GENERATION_WORDS if (value := own[word]) is not None}
        for more in given:
            words |= named_once(more)
        if words.get("store") is False and not any("store_metadata" in more for more in given):
            words.pop("store_metadata", None)  # the labels of what is not kept
        return words


_NOT_OF_A_REQUEST = {"mode", "deferred_timeout", "exact_token_counts", "supports_store"}
GENERATION_WORDS = tuple(word for word in Generation.model_fields if word not in _NOT_OF_A_REQUEST)
"""The words of Generation that a request is made of, `model` first."""
