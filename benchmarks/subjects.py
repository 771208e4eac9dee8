"""What is measured, by name: ours, the peers and the floor, made alike and imported when made.

All ask the same address for the same model with a key that the server does not look at. Retries,
timeouts and connection limits are the defaults of each, since their machinery is what a user pays
for; no request fails, so none is repeated. Differences from a default: ours has no limit of
concurrency and no pace of embeddings (neither has a peer), and OpenAIEmbeddings sends one text a
request, as the service wants it, and does not count tokens itself, for which it would download a
vocabulary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

OURS, FLOOR = "yandex-compat", "floor"
OPENAI, MISTRAL, LIKE = "ChatOpenAI", "ChatMistralAI", "OpenAILike"
OPENAI_EMBEDDINGS = "OpenAIEmbeddings"
MODEL, KEY = "yandexgpt", "bench-key"
PROMPT = "Tell me about trains in one sentence."
_ASKS: dict[str, Any] = {"api_key": KEY, "folder_id": "bench-folder"}


@dataclass(frozen=True)
class Subject:
    """One of those measured: made for an address, and what a program imports to have it.

    The address is that of the canned server, with what it is asked for, and no API's path.
    """

    name: str
    make: Callable[[str], Any]
    imports: str


def _chat_yandex(root: str) -> object:
    from langchain_yandex_compat import ChatYandex

    return ChatYandex(model=MODEL, base_url=f"{root}/v1", max_concurrency=0, **_ASKS)


def _native_yandex(root: str) -> object:
    from langchain_yandex_compat import ChatYandex

    url = f"{root}/foundationModels/v1"
    return ChatYandex(model=MODEL, api="completion", base_url=url, max_concurrency=0, **_ASKS)


def _yandex_llm(root: str) -> object:
    from llamaindex_yandex_compat import YandexLLM

    return YandexLLM(model=MODEL, base_url=f"{root}/v1", max_concurrency=0, **_ASKS)


def _native_yandex_llm(root: str) -> object:
    from llamaindex_yandex_compat import YandexLLM

    url = f"{root}/foundationModels/v1"
    return YandexLLM(model=MODEL, api="completion", base_url=url, max_concurrency=0, **_ASKS)


def _yandex_embeddings(root: str) -> object:
    from langchain_yandex_compat import YandexEmbeddings

    return YandexEmbeddings(base_url=f"{root}/v1", requests_per_second=0, **_ASKS)


def _chat_openai(root: str) -> object:
    from langchain_openai import ChatOpenAI

    words: dict[str, Any] = {"model": MODEL, "api_key": KEY, "base_url": f"{root}/v1"}
    return ChatOpenAI(**words)


def _chat_mistral(root: str) -> object:
    from langchain_mistralai import ChatMistralAI

    words: dict[str, Any] = {"model": MODEL, "api_key": KEY, "base_url": f"{root}/v1"}
    return ChatMistralAI(**words)


def _openai_embeddings(root: str) -> object:
    from langchain_openai import OpenAIEmbeddings

    words: dict[str, Any] = {"model": "text-search-doc", "api_key": KEY, "base_url": f"{root}/v1"}
    return OpenAIEmbeddings(**words, chunk_size=1, check_embedding_ctx_length=False)


def _openai_like(root: str) -> object:
    from llama_index.llms.openai_like import OpenAILike

    return OpenAILike(model=MODEL, api_key=KEY, api_base=f"{root}/v1", is_chat_model=True)


def _floor_chat(root: str) -> object:
    from benchmarks.floor.langchain import FloorChat

    return FloorChat(url=f"{root}/v1/chat/completions")


def _floor_native(root: str) -> object:
    from benchmarks.floor.langchain import FloorNativeChat

    return FloorNativeChat(url=f"{root}/foundationModels/v1/completion")


def _floor_embeddings(root: str) -> object:
    from benchmarks.floor.langchain import FloorEmbeddings

    return FloorEmbeddings(f"{root}/v1/embeddings")


def _floor_llm(root: str) -> object:
    from benchmarks.floor.llamaindex import FloorLLM

    return FloorLLM(url=f"{root}/v1/chat/completions")


_OURS_IN_LANGCHAIN = "from langchain_yandex_compat import ChatYandex"
_OURS_IN_LLAMAINDEX = "from llamaindex_yandex_compat import YandexLLM"
_FLOOR_IN_LANGCHAIN = "from benchmarks.floor.langchain import FloorChat"
_FLOOR_IN_LLAMAINDEX = "from benchmarks.floor.llamaindex import FloorLLM"

LANGCHAIN = (
    Subject(OURS, _chat_yandex, _OURS_IN_LANGCHAIN),
    Subject(OPENAI, _chat_openai, "from langchain_openai import ChatOpenAI"),
    Subject(MISTRAL, _chat_mistral, "from langchain_mistralai import ChatMistralAI"),
    Subject(FLOOR, _floor_chat, _FLOOR_IN_LANGCHAIN),
)
NATIVE = (
    Subject(OURS, _native_yandex, _OURS_IN_LANGCHAIN),
    Subject(FLOOR, _floor_native, _FLOOR_IN_LANGCHAIN),
)
EMBEDDINGS = (
    Subject(OURS, _yandex_embeddings, _OURS_IN_LANGCHAIN),
    Subject(OPENAI_EMBEDDINGS, _openai_embeddings, "from langchain_openai import OpenAIEmbeddings"),
    Subject(FLOOR, _floor_embeddings, _FLOOR_IN_LANGCHAIN),
)
LLAMAINDEX = (
    Subject(OURS, _yandex_llm, _OURS_IN_LLAMAINDEX),
    Subject(LIKE, _openai_like, "from llama_index.llms.openai_like import OpenAILike"),
    Subject(FLOOR, _floor_llm, _FLOOR_IN_LLAMAINDEX),
)
NATIVE_LLAMAINDEX = (Subject(OURS, _native_yandex_llm, _OURS_IN_LLAMAINDEX),)

GROUPS: Mapping[str, tuple[Subject, ...]] = {
    "langchain": LANGCHAIN,
    "native": NATIVE,
    "embeddings": EMBEDDINGS,
    "llamaindex": LLAMAINDEX,
    "llamaindex-native": NATIVE_LLAMAINDEX,
}
"""The subjects that are measured against each other."""


def subject_of(group: str, name: str) -> Subject:
    """The subject of a name; LookupError where the group has none."""
    for subject in GROUPS[group]:
        if subject.name == name:
            return subject
    raise LookupError(f"{group} has no subject {name!r}.")
