"""The words of the peers' constructors, as they are installed, beside what stands for them here."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

WORDS = Path(__file__).parent / "words.json"
"""``{peer: {"package", "ours": class, "words": {word: {"ours": [word or method()], "note"}}}}``."""

_CLASSES = {
    "ChatOpenAI": "langchain_openai",
    "OpenAIEmbeddings": "langchain_openai",
    "OpenAILike": "llama_index.llms.openai_like",
    "ChatYandexGPT": "langchain_community.chat_models",
    "YandexGPTEmbeddings": "langchain_community.embeddings",
    "YandexGPTEmbedding": "llama_index.embeddings.yandexgpt",
}


def known() -> dict[str, Any]:
    """What stands in `words.json`."""
    return dict(json.loads(WORDS.read_text(encoding="utf-8")))


def installed() -> dict[str, set[str]]:
    """The words of each peer that is installed; ModuleNotFoundError for one that is not."""
    found = {name: words_of(getattr(import_module(at), name)) for name, at in _CLASSES.items()}
    return found | {name: _named(function) for name, function in _of_sdk()}


def differences(peers: Mapping[str, set[str]], words: Mapping[str, Any]) -> list[str]:
    """A line for each word that has no row, and each row whose word is none."""
    found = [f"{peer} has no rows" for peer in peers.keys() - words.keys()]
    for peer, rows in words.items():
        has = peers.get(peer, set())
        found += [
            f"{peer} has the word {word!r}, which has no row" for word in has - {*rows["words"]}
        ]
        found += [
            f"{peer} has no word {word!r}, which has a row" for word in {*rows["words"]} - has
        ]
    return sorted(found)


def words_of(model: Any) -> set[str]:
    """The words of a pydantic class, under the names that its documentation has, and no others."""
    fields = {field.alias or name for name, field in model.model_fields.items()}
    named = {name for name in _named(model.__init__) if name not in model.model_fields}
    return fields | named


def _named(function: Callable[..., Any]) -> set[str]:
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    parameters = inspect.signature(function).parameters.values()
    return {one.name for one in parameters if one.kind not in kinds and one.name != "self"}


def _of_sdk() -> Iterator[tuple[str, Callable[..., Any]]]:
    studio = import_module("yandex_ai_studio_sdk").AIStudio
    completions = studio(folder_id="folder", auth="key").models.completions
    yield "AIStudio", studio.__init__
    yield "AIStudio.models.completions", completions.__call__
    yield "AIStudio.models.completions.configure", completions("yandexgpt").configure
    yield "AIStudio.models.completions.langchain", completions("yandexgpt").langchain
