"""The public surface: exactly these names, each of which can be had."""

import subprocess
import sys

import pytest

import langchain_yandex_compat
import llamaindex_yandex_compat
import yandex_compat

NAMES = [
    "APIError",
    "Accumulator",
    "ApiKeyAuth",
    "AuthenticationError",
    "CallableAuth",
    "Citation",
    "Completion",
    "CompletionRequest",
    "ConfigurationError",
    "ConnectionFailed",
    "ContextOverflowError",
    "CustomTool",
    "Delta",
    "Embedding",
    "IamTokenAuth",
    "ImagePart",
    "InsecureConnectionWarning",
    "InvalidRequestError",
    "MalformedAnswer",
    "Message",
    "MetadataAuth",
    "Model",
    "ModelProfile",
    "NoFreePlace",
    "NotFoundError",
    "OAuthAuth",
    "Operation",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTimedOut",
    "ResponseFormat",
    "ServerError",
    "ServiceAccountAuth",
    "StoredCompletion",
    "StoredPage",
    "StreamEnd",
    "StreamInterrupted",
    "TextPart",
    "Token",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "ToolChoiceIgnored",
    "UnsupportedError",
    "Usage",
    "YandexClient",
    "YandexError",
    "__version__",
    "profile_for",
]


def test_all_is_this_list():
    assert yandex_compat.__all__ == NAMES
    assert dir(yandex_compat) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_name_can_be_had_and_says_where_it_lives(name):
    value = getattr(yandex_compat, name)
    if name != "__version__":
        assert value.__name__ == name
        assert value.__module__.startswith("yandex_compat.")
        assert value.__doc__


def test_other_names_cannot_be_had():
    with pytest.raises(AttributeError, match="'Nothing'"):
        yandex_compat.Nothing  # noqa: B018


def test_a_star_import_brings_all_names():
    script = "from yandex_compat import *; print(sorted(set(dir()) - {'__builtins__'}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert all(repr(name) in done.stdout for name in NAMES)


def test_type_checkers_see_the_same_names():
    source = yandex_compat.__loader__.get_source("yandex_compat")
    typed = {line.split()[-1] for line in source.splitlines() if line.startswith("    from ")}
    assert typed == set(NAMES) - {"__version__"}


@pytest.mark.parametrize(
    ("adapter", "names"),
    [
        (
            langchain_yandex_compat,
            ["ChatYandex", "YandexEmbeddings", "__version__", "init_chat_model"],
        ),
        (llamaindex_yandex_compat, ["YandexEmbedding", "YandexLLM", "__version__"]),
    ],
    ids=["langchain", "llamaindex"],
)
def test_an_adapter_shows_these_names(adapter, names):
    assert dir(adapter) == adapter.__all__ == names
    for name in set(names) - {"__version__"}:
        assert getattr(adapter, name).__name__ == name
    with pytest.raises(AttributeError, match="'Nothing'"):
        adapter.Nothing  # noqa: B018
