"""What is known of the models, as rows; and the URI that a model's name stands for."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from yandex_compat.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What a family of models can do; `context_window` counts tokens (WIRE Models).

    `reasons`: an answer comes with its reasoning (WIRE A7). `calls_by_name`: the service matches a
    tool's result to its call by the function's name, and issues that name as the call's id (WIRE
    A2), so one list must not name a function twice. `native`: the model is on the native API as
    well as on the chat API (WIRE Models).
    """

    context_window: int = 32_000
    images: bool = True
    tools: bool = True
    reasons: bool = False
    calls_by_name: bool = False
    native: bool = True


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a key can use: its full URI, and what the service says of it beside that."""

    id: str
    owned_by: str | None = None
    created: int | None = None

    @property
    def name(self) -> str:
        """The name alone, without branch and version."""
        return bare_name(self.id)

    @property
    def profile(self) -> ModelProfile | None:
        """What the catalogue knows of it; None for a model of embeddings."""
        return None if self.id.startswith("emb:") else profile_for(self.id)

    @property
    def known(self) -> bool:
        """Whether the catalogue knows its family; of another, the profile is a permissive guess."""
        if self.id.startswith("emb:"):
            return self.name in _MODELS["emb"]
        return self.profile is not UNKNOWN


UNKNOWN = ModelProfile()

_PROFILES = {
    "yandexgpt": ModelProfile(context_window=32_000, images=False, calls_by_name=True),
    "llama": ModelProfile(context_window=8_192, images=False, calls_by_name=True),
    "qwen3": ModelProfile(context_window=256_000, images=False, native=False),
    "gpt-oss": ModelProfile(context_window=128_000, images=False, reasons=True, native=False),
    "gemma-3": ModelProfile(context_window=128_000, images=True, native=False),
    # Known to be on the chat API only; the rest is taken to be as of the service's own models.
    "aliceai-llm": ModelProfile(
        context_window=32_000, images=False, calls_by_name=True, native=False
    ),
}

# The names that the service gives out (WIRE Models); others may come any day.
_MODELS = {
    "gpt": (
        "yandexgpt", "yandexgpt-lite", "llama", "llama-lite", "aliceai-llm", "gemma-3-27b-it",
        "gpt-oss-120b", "gpt-oss-20b", "qwen3-235b-a22b-fp8",
    ),
    "emb": ("text-search-doc", "text-search-query"),
}  # fmt: skip
_BRANCHES = ("latest", "rc", "deprecated")
_KNOWN = {*_MODELS["gpt"], *_MODELS["emb"], *_BRANCHES}

# NAME and BRANCH, or NAME and VERSION@SUFFIX of a fine-tuned model.
_NAMED = r"(?P<name>[\w.-]+)(/(?P<branch>[\w.-]+(@[\w.-]+)?))?"
_NAME = re.compile(_NAMED, re.ASCII)
# A folder travels in a header too, which takes printable ASCII only.
_FOLDER = r"[!-.0-~]+"
_URI = re.compile(rf"(?P<scheme>\w+)://(?P<folder>{_FOLDER})/{_NAMED}", re.ASCII)
_KIND = {"gpt": "a text model", "emb": "an embedding model"}
# What a page's example has in the place of a folder's id.
_PLACEHOLDER = re.compile(r".*[][<>{}$].*|FOLDER|(?i:(your[_-])?folder[_-]?id)")


@lru_cache
def profile_for(model: str) -> ModelProfile:
    """The profile of a model's family, by the longest prefix; an unknown model gets UNKNOWN."""
    name = bare_name(model)
    known = [prefix for prefix in _PROFILES if name.startswith(prefix)]
    return _PROFILES[max(known, key=len)] if known else UNKNOWN


@lru_cache
def bare_name(model: str) -> str:
    """The name alone: "yandexgpt" for "yandexgpt/rc" and for "gpt://FOLDER/yandexgpt/latest"."""
    uri = _URI.fullmatch(model)
    if uri:
        return uri["name"]
    return model if "://" in model else model.split("/", 1)[0]


@lru_cache
def folder_of(model: str) -> str | None:
    """The folder that a full URI names; None for a name."""
    uri = _URI.fullmatch(model)
    return uri["folder"] if uri else None


def is_folder(text: str) -> bool:
    """Whether a folder id can be one at all, and no placeholder for one."""
    return re.fullmatch(_FOLDER, text) is not None and not _PLACEHOLDER.fullmatch(text)


def close_name(model: str) -> str | None:
    """The name of a known model that an unknown one is most like."""
    name = bare_name(model).lower()
    known = _MODELS["emb" if model.startswith("emb:") else "gpt"]
    close = get_close_matches(name, known, n=1, cutoff=0.65)
    return close[0] if close and name not in known else None


def model_uri(model: str, folder: str | None, scheme: str = "gpt") -> str:
    """The full URI of a model: `gpt://FOLDER/NAME/BRANCH`, `emb://…` for embeddings (WIRE).

    Raises ConfigurationError for a malformed URI, for the wrong scheme, for a name without a folder
    to look it up in, and for the mistakes that a model's text shows by itself.
    """
    if not isinstance(model, str):
        raise ConfigurationError(f"model must be a text, not {type(model).__name__}.")
    return _checked_uri(model, folder, scheme)


@lru_cache
def _checked_uri(model: str, folder: str | None, scheme: str) -> str:
    uri = _URI.fullmatch(model)
    named = uri or _NAME.fullmatch(model)
    if named:
        _refuse_mistaken(model, named["name"], named["branch"], scheme)
    if uri:
        if uri["scheme"] != scheme:
            raise ConfigurationError(
                f"model={model!r} is a {uri['scheme']}:// URI, but this call takes "
                f"{_KIND[scheme]}: give a {scheme}:// URI, or the model's name alone."
            )
        if not is_folder(uri["folder"]):
            raise ConfigurationError(
                f"model={model!r} holds a placeholder: put the id of your folder in the place of "
                f"{uri['folder']!r}, or give the model's name alone."
            )
        return model if uri["branch"] else f"{model}/latest"
    if not named:
        raise ConfigurationError(
            f"model={model!r} is neither a name nor a model URI: write it like "
            f'"NAME", "NAME/BRANCH" or "{scheme}://FOLDER/NAME/BRANCH".'
        )
    if not folder:
        raise ConfigurationError(
            f"model={model!r} needs a folder: pass folder_id=… or set YC_FOLDER_ID, or give the "
            f"full URI {scheme}://FOLDER/{model}."
        )
    return f"{scheme}://{folder}/{model}" if "/" in model else f"{scheme}://{folder}/{model}/latest"


def _refuse_mistaken(model: str, name: str, branch: str | None, scheme: str) -> None:
    """Raise ConfigurationError for what the service would answer "invalid model_uri" (WIRE C)."""
    for part in (name, branch or ""):
        if part not in _KNOWN and part.lower() in _KNOWN:
            raise ConfigurationError(
                f"model={model!r}: the service knows {part!r} in small letters only, as "
                f"{part.lower()!r}."
            )
    if name in _BRANCHES:
        raise ConfigurationError(
            f"model={model!r} lacks its folder or its name, since {name!r} is a branch: write "
            f'"{scheme}://FOLDER/NAME/{name}", or the model\'s name alone.'
        )
    if branch in _KNOWN and branch not in _BRANCHES:
        raise ConfigurationError(
            f"model={model!r} has a model's name in the place of a branch: write "
            f'"{scheme}://FOLDER/NAME/BRANCH", with the scheme, or the name alone, {branch!r}.'
        )
    other = "emb" if scheme == "gpt" else "gpt"
    if name in _MODELS[other]:
        raise ConfigurationError(
            f"model={model!r}: {name!r} is {_KIND[other]}, but this call takes "
            f"{_KIND[scheme]}, such as {_MODELS[scheme][0]!r}."
        )
