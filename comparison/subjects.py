"""Who is asked: ours and the peers, each made for an emulated service by its own documented words.

Nobody is imported before it is made, so that ours can be asked where no peer is installed.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from comparison.service import Service
from yandex_compat import MetadataAuth, OAuthAuth, ServiceAccountAuth

LANGCHAIN, LLAMAINDEX = "LangChain", "LlamaIndex"
OURS = "yandex-compat"
GPT = "yandexgpt"

Words = Mapping[str, Any]
Make = Callable[..., Any]


@dataclass(frozen=True)
class Subject:
    """A class that is asked.

    ``make(service, model=, **words)`` makes a model; ``package`` is the distribution it comes in.
    ``apis`` are the words for each API that it documents, the first being its default;
    ``credentials`` are words beside the API key, each found for a service. ``functions`` are the
    words that have it call tools, ``schemas`` those that have it ask for a schema, ``counts`` those
    that have it count tokens by the service. ``beside`` is what its package does by another class.
    ``grpc``: it speaks gRPC, which has no header to say when to come again. ``address`` is the word
    for another address, if it has one; ``quota`` are words that it has by itself at the service's
    own.
    """

    name: str
    package: str
    framework: str
    make: Make
    apis: Mapping[str, Words]
    credentials: Mapping[str, Callable[[Service], Words]] = field(default_factory=dict)
    functions: Words = field(default_factory=dict)
    schemas: Words = field(default_factory=dict)
    counts: Words = field(default_factory=dict)
    beside: Mapping[str, Callable[[Service], object]] = field(default_factory=dict)
    grpc: bool = False
    address: str = "base_url"
    quota: Words = field(default_factory=dict)

    @property
    def open_model(self) -> str:
        """A model that streams in small pieces and reports usage, as far as its API has one."""
        return GPT if self.grpc else "gpt-oss-120b"


def _named(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def _our_address(service: Service, words: Words) -> Words:
    native = words.get("api") == "completion"
    return {
        "base_url": service.native_url if native else service.chat_url,
        "folder_id": service.folder,
    }


def _ours(path: str, service: Service, model: str | None = GPT, **words: Any) -> Any:
    credential = {} if {"iam_token", "auth"} & {*words} else {"api_key": service.key}
    named = {} if model is None else {"model": model}
    return _named(path)(**named, **_our_address(service, words), **credential, **words)


_OUR_CREDENTIALS: Mapping[str, Callable[[Service], Words]] = {
    "an authorized key": lambda service: {
        "auth": ServiceAccountAuth(service.authorized_key(), url=service.iam_url)
    },
    "an OAuth token": lambda service: {"auth": OAuthAuth(service.oauth_token, url=service.iam_url)},
    "a virtual machine": lambda service: {"auth": MetadataAuth(url=service.root)},
    "a function of yours": lambda service: {"auth": service.iam_token},
}
_OUR_APIS: Mapping[str, Words] = {
    "chat": {},
    "native": {"api": "completion"},
    "deferred": {"api": "completion", "mode": "deferred"},
}


def _uri(service: Service, model: str, scheme: str = "gpt") -> str:
    """What the service knows a model by; whatever is no name of its own is left alone."""
    return f"{scheme}://{service.folder}/{model}/latest"


def _openai(
    path: str, address: str, service: Service, model: str | None = GPT, **words: Any
) -> Any:
    # A name beside those of the service is left as it is: that is what this class is for.
    named = model if ":" in (model or "") else _uri(service, model or GPT)
    known = {"model": named, address: service.chat_url}
    return _named(path)(**known | {"api_key": service.key} | words)


def _of_sdk(service: Service, model: str | None = GPT, **words: Any) -> Any:
    """A model of the SDK, before it becomes LangChain's."""
    auth = words.pop("auth", None) or _named("yandex_ai_studio_sdk.auth.APIKeyAuth")(service.key)
    sdk = _named("yandex_ai_studio_sdk.AIStudio")(
        folder_id=service.folder,
        auth=auth,
        endpoint=None,
        service_map={"ai-foundation-models": service.grpc, "iam": service.grpc},
        verify=service.certificate,
    )
    found = sdk.models.completions(model or GPT)
    return found.configure(**words) if words else found


def _sdk_chat(service: Service, model: str | None = GPT, **words: Any) -> Any:
    return _of_sdk(service, model, **words).langchain(timeout=60)


def _sdk_auth(name: str, *given: Callable[[Service], object]) -> Callable[[Service], Words]:
    def words(service: Service) -> Words:
        known = _named(f"yandex_ai_studio_sdk.auth.{name}")
        return {"auth": known(*(one(service) for one in given))}

    return words


def _sdk_variable(service: Service) -> Words:
    name = "TOKEN_OF_THE_COMPARISON"
    os.environ[name] = service.iam_token()
    return {"auth": _named("yandex_ai_studio_sdk.auth.EnvIAMTokenAuth")(name)}


def _sdk_command(service: Service) -> Words:
    """By `yc`, Yandex Cloud's own command line: one that has its tokens from the emulator."""
    folder = Path(service.certificate).parent
    body = {"yandexPassportOauthToken": service.oauth_token}
    program = folder / "yc"
    program.write_text(
        f"#!{sys.executable}\nimport httpx\n"
        f"told = httpx.post({service.iam_url!r}, json={body!r}, trust_env=False)\n"
        "print(told.json()['iamToken'])\n"
    )
    program.chmod(0o700)
    if str(folder) not in os.environ["PATH"]:
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return {"auth": _named("yandex_ai_studio_sdk.auth.YandexCloudCLIAuth")()}


def _parts_of_sdk() -> str:
    known = _named("yandex_ai_studio_sdk.AIStudio").__annotations__
    return ", ".join(name for name in known if name not in ("models", "chat", "tools"))


def _age_in_sdk() -> str:
    seconds = _named("yandex_ai_studio_sdk.auth.OAuthTokenAuth")._token_refresh_period
    return f"those it gets itself, not before they are {seconds // 60} minutes old"


def _community(path: str, service: Service, model: str | None = GPT, **words: Any) -> Any:
    credential = {} if "iam_token" in words else {"api_key": service.key}
    named = {} if model is None else {"model_name": model}
    known = {"folder_id": service.folder, "url": service.grpc}
    return _named(path)(**named, **known, **credential, **words)


def _llama_yandex(service: Service, model: str | None = None, **words: Any) -> Any:
    """Its address is fixed in its module, where alone it can be another."""
    module = import_module("llama_index.embeddings.yandexgpt.base")
    vars(module)["DEFAULT_YANDEXGPT_API_BASE"] = f"{service.native_url}/textEmbedding"
    return module.YandexGPTEmbedding(api_key=service.key, folder_id=service.folder, **words)


CHAT = (
    Subject(
        "ChatYandex", OURS, LANGCHAIN,
        partial(_ours, "langchain_yandex_compat.ChatYandex"), _OUR_APIS,
        {"an IAM token": lambda service: {"iam_token": service.iam_token()}, **_OUR_CREDENTIALS},
        counts={"exact_token_counts": True}, quota={"max_concurrency": 10},
    ),
    Subject(
        "YandexLLM", OURS, LLAMAINDEX,
        partial(_ours, "llamaindex_yandex_compat.YandexLLM"), _OUR_APIS,
        {"an IAM token": lambda service: {"iam_token": service.iam_token()}, **_OUR_CREDENTIALS},
        counts={"exact_token_counts": True}, quota={"max_concurrency": 10},
    ),
    Subject(
        "ChatOpenAI", "langchain-openai", LANGCHAIN,
        partial(_openai, "langchain_openai.ChatOpenAI", "base_url"),
        {"chat": {}, "responses": {"use_responses_api": True}},
        {
            "an IAM token": lambda service: {"api_key": service.iam_token()},
            "a function of yours": lambda service: {"api_key": service.iam_token},
        },
    ),
    Subject(
        "OpenAILike", "llama-index-llms-openai-like", LLAMAINDEX,
        partial(
            _openai, "llama_index.llms.openai_like.OpenAILike", "api_base", is_chat_model=True
        ),
        {"chat": {}},
        {"an IAM token": lambda service: {"api_key": service.iam_token()}},
        functions={"is_function_calling_model": True},
        schemas={"should_use_structured_outputs": True},
    ),
    Subject(
        "ChatYandexGPT of the SDK", "yandex-ai-studio-sdk", LANGCHAIN, _sdk_chat, {"native": {}},
        {
            "an IAM token": _sdk_auth("IAMTokenAuth", Service.iam_token),
            "an OAuth token": _sdk_auth("OAuthTokenAuth", lambda service: service.oauth_token),
            "a virtual machine": _sdk_auth(
                "MetadataAuth", lambda service: None, lambda service: service.metadata_url
            ),
            "the command `yc`": _sdk_command,
            "a variable read for each request": _sdk_variable,
        },
        beside={
            "deferred": lambda service: _of_sdk(service).run_deferred("Hi"),
            "tokens": lambda service: _of_sdk(service).tokenize("Hi"),
            "others": lambda service: _parts_of_sdk(),
            "renewal": lambda service: _age_in_sdk(),
        },
        grpc=True,
    ),
    Subject(
        "ChatYandexGPT of langchain-community", "langchain-community", LANGCHAIN,
        partial(_community, "langchain_community.chat_models.ChatYandexGPT"), {"native": {}},
        {"an IAM token": lambda service: {"iam_token": service.iam_token()}},
        grpc=True,
    ),
)  # fmt: skip
EMBEDDINGS = (
    Subject(
        "YandexEmbeddings", OURS, LANGCHAIN,
        partial(_ours, "langchain_yandex_compat.YandexEmbeddings", model=None),
        {"chat": {}, "native": {"api": "completion"}},
        {"an IAM token": lambda service: {"iam_token": service.iam_token()}, **_OUR_CREDENTIALS},
    ),
    Subject(
        "YandexEmbedding", OURS, LLAMAINDEX,
        partial(_ours, "llamaindex_yandex_compat.YandexEmbedding", model=None),
        {"chat": {}, "native": {"api": "completion"}},
        {"an IAM token": lambda service: {"iam_token": service.iam_token()}, **_OUR_CREDENTIALS},
    ),
    Subject(
        "OpenAIEmbeddings", "langchain-openai", LANGCHAIN,
        lambda service, **words: _named("langchain_openai.OpenAIEmbeddings")(
            **{
                "model": _uri(service, "text-search-doc", "emb"),
                "base_url": service.chat_url,
                "api_key": service.key,
                # As the service wants it: texts and not numbers of tokens, and one a request.
                "check_embedding_ctx_length": False,
                "chunk_size": 1,
                "model_kwargs": {"encoding_format": "float"},
                **words,
            }
        ),
        {"chat": {}},
        {
            "an IAM token": lambda service: {"api_key": service.iam_token()},
            "a function of yours": lambda service: {"api_key": service.iam_token},
        },
    ),
    Subject(
        "YandexGPTEmbeddings", "langchain-community", LANGCHAIN,
        partial(_community, "langchain_community.embeddings.YandexGPTEmbeddings", model=None),
        {"native": {}},
        {"an IAM token": lambda service: {"iam_token": service.iam_token()}},
        grpc=True, address="url",
    ),
    Subject(
        "YandexGPTEmbedding", "llama-index-embeddings-yandexgpt", LLAMAINDEX, _llama_yandex,
        {"native": {}}, address="",
    ),
)  # fmt: skip


def with_key(service: Service, key: str) -> Service:
    """The same service for who has another key."""
    return replace(service, key=key)
