"""Model profiles, and the URIs that names stand for."""

import pytest

from yandex_compat import ConfigurationError, Model, ModelProfile, catalogue, profile_for
from yandex_compat.catalogue import bare_name, folder_of, model_uri


@pytest.mark.parametrize(
    ("model", "context", "images", "by_name"),
    [
        ("yandexgpt", 32_000, False, True),
        ("yandexgpt-lite", 32_000, False, True),
        ("llama", 8_192, False, True),
        ("llama-lite", 8_192, False, True),
        ("qwen3-235b-a22b-fp8", 256_000, False, False),
        ("gpt-oss-120b", 128_000, False, False),
        ("gpt-oss-20b", 128_000, False, False),
        ("gemma-3-27b-it", 128_000, True, False),
    ],
)
@pytest.mark.parametrize("form", ["{}", "{}/rc", "gpt://b1g/{}", "gpt://b1g/{}/latest"])
def test_profiles(model, context, images, by_name, form):  # WIRE Models, A2
    profile = profile_for(form.format(model))
    assert profile.context_window == context
    assert profile.images is images
    assert profile.calls_by_name is by_name
    assert profile.tools


@pytest.mark.parametrize("model", ["brand-new", "", "gpt://b1g/brand-new/latest", "my-yandexgpt"])
def test_an_unknown_model_gets_a_permissive_profile(model):  # D13
    assert profile_for(model) == ModelProfile()
    assert ModelProfile().images
    assert ModelProfile().tools
    assert not ModelProfile().calls_by_name


def test_the_longest_prefix_wins(monkeypatch):  # D13
    small, large = ModelProfile(1), ModelProfile(2)
    monkeypatch.setattr(catalogue, "_PROFILES", {"ab": small, "abcd": large, "a": small})
    assert profile_for("abcde") is large
    assert profile_for("abc") is small


@pytest.mark.parametrize(
    ("model", "uri"),
    [
        ("yandexgpt", "gpt://b1g/yandexgpt/latest"),
        ("yandexgpt/rc", "gpt://b1g/yandexgpt/rc"),
        ("yandexgpt/v1@suffix", "gpt://b1g/yandexgpt/v1@suffix"),
        ("gemma-3-27b-it", "gpt://b1g/gemma-3-27b-it/latest"),
        ("gpt://other/yandexgpt/rc", "gpt://other/yandexgpt/rc"),
        ("gpt://other/yandexgpt", "gpt://other/yandexgpt/latest"),
        ("gpt://other/yandexgpt/v1@suffix", "gpt://other/yandexgpt/v1@suffix"),
    ],
)
def test_uris(model, uri):  # WIRE Endpoints
    assert model_uri(model, "b1g") == uri


def test_a_full_uri_needs_no_folder():
    assert model_uri("gpt://other/yandexgpt", None) == "gpt://other/yandexgpt/latest"


def test_embedding_uris():
    assert model_uri("text-search-doc", "b1g", "emb") == "emb://b1g/text-search-doc/latest"


@pytest.mark.parametrize("folder", [None, ""])
def test_a_name_without_a_folder_says_where_to_give_one(folder):
    with pytest.raises(ConfigurationError, match=r"'yandexgpt'.*folder_id.*YC_FOLDER_ID.*gpt://"):
        model_uri("yandexgpt", folder)


@pytest.mark.parametrize(
    "model",
    [
        "",
        "yandex gpt",
        "яндекс",
        "yandexgpt/",
        "yandexgpt/rc/x",
        "gpt://",
        "gpt://b1g",
        "gpt://b1g/",
        "gpt://b1g/yandexgpt/rc/x",
        "gpt://папка/yandexgpt",
        "gpt://b\n1g/yandexgpt",
        "yandexgpt\n",
        "gpt://b1g/яндекс",
        "gpt://b1g/yandexgpt/nightly@",
        "yandexgpt/@x",
    ],
)
def test_what_is_neither_name_nor_uri_is_refused_with_the_forms(model):
    with pytest.raises(ConfigurationError, match="FOLDER/NAME/BRANCH"):
        model_uri(model, "b1g")


@pytest.mark.parametrize(
    ("model", "scheme", "told"),
    [
        ("emb://b1g/text-search-doc/latest", "gpt", "text model"),
        ("gpt://b1g/yandexgpt/latest", "emb", "embedding model"),
    ],
)
def test_a_uri_of_the_other_kind_is_refused(model, scheme, told):
    with pytest.raises(ConfigurationError, match=told):
        model_uri(model, "b1g", scheme)


@pytest.mark.parametrize(
    ("model", "name", "folder"),
    [
        ("yandexgpt", "yandexgpt", None),
        ("yandexgpt/rc", "yandexgpt", None),
        ("gpt://b1g/yandexgpt/rc", "yandexgpt", "b1g"),
        ("gpt://b1g/yandexgpt", "yandexgpt", "b1g"),
    ],
)
def test_parts_of_a_model(model, name, folder):
    assert (bare_name(model), folder_of(model)) == (name, folder)


@pytest.mark.parametrize("model", [None, 5, b"yandexgpt"])
def test_a_model_that_is_no_text_is_refused(model):
    with pytest.raises(ConfigurationError, match=f"model must be.*{type(model).__name__}"):
        model_uri(model, "folder")


# The mistakes that users make with URIs, each refused before any request (WIRE Endpoints).


@pytest.mark.parametrize(
    ("model", "scheme", "told"),
    [
        ("YandexGPT", "gpt", "'YandexGPT' in small letters only, as 'yandexgpt'"),
        ("gpt://b1g/YandexGPT-Lite/rc", "gpt", "as 'yandexgpt-lite'"),
        ("yandexgpt/Latest", "gpt", "as 'latest'"),
        ("Text-Search-Doc", "emb", "as 'text-search-doc'"),
        # As the service itself tells the model of an answer (WIRE A1).
        ("gpt://qwen3-235b-a22b-fp8/latest", "gpt", '"gpt://FOLDER/NAME/latest"'),
        ("gpt://b1g/rc", "gpt", "lacks its folder or its name"),
        ("emb://text-search-doc/latest", "emb", '"emb://FOLDER/NAME/latest"'),
        ("latest", "gpt", "'latest' is a branch"),
        ("b1g/yandexgpt", "gpt", "the name alone, 'yandexgpt'"),
        ("text-search-doc", "gpt", "'text-search-doc' is an embedding model.*such as 'yandexgpt'"),
        ("text-search-query/latest", "gpt", "takes a text model"),
        ("yandexgpt", "emb", "'yandexgpt' is a text model.*such as 'text-search-doc'"),
        ("emb://b1g/yandexgpt/latest", "emb", "takes an embedding model"),
        ("gpt://FOLDER/yandexgpt/latest", "gpt", "in the place of 'FOLDER'"),
        ("gpt://<folder_ID>/yandexgpt/latest", "gpt", "holds a placeholder.*'<folder_ID>'"),
        ("gpt://{folder_id}/yandexgpt", "gpt", "the id of your folder"),
        ("gpt://$YC_FOLDER_ID/yandexgpt", "gpt", "the id of your folder"),
        ("gpt://your-folder-id/yandexgpt", "gpt", "the id of your folder"),
    ],
)
def test_a_mistaken_model_is_refused_with_what_to_change(model, scheme, told):
    with pytest.raises(ConfigurationError, match=told) as caught:
        model_uri(model, "b1g", scheme)
    assert repr(model) in str(caught.value)


@pytest.mark.parametrize(
    ("model", "scheme", "uri"),
    [
        ("yandexgpt-lite-32k", "gpt", "gpt://b1g/yandexgpt-lite-32k/latest"),
        ("My-Own/V1@Suffix", "gpt", "gpt://b1g/My-Own/V1@Suffix"),
        ("text-search-new", "emb", "emb://b1g/text-search-new/latest"),
        ("gpt://folder/yandexgpt", "gpt", "gpt://folder/yandexgpt/latest"),
    ],
)
def test_names_that_nobody_knows_are_sent(model, scheme, uri):  # D13
    assert model_uri(model, "b1g", scheme) == uri


@pytest.mark.parametrize(
    ("model", "close"),
    [
        ("yandexgtp", "yandexgpt"),
        ("gpt://b1g/yandex-gpt-lite/latest", "yandexgpt-lite"),
        ("YandexGPT", None),
        ("qwen3-235b", "qwen3-235b-a22b-fp8"),
        ("emb://b1g/text-search-docs/latest", "text-search-doc"),
        ("yandexgpt", None),
        ("claude", None),
    ],
)
def test_the_known_name_that_is_close(model, close):
    assert catalogue.close_name(model) == close


@pytest.mark.parametrize(
    ("uri", "known"),
    [
        ("gpt://f/yandexgpt/rc", True),
        ("gpt://f/qwen3-next/latest", True),
        ("gpt://f/brand-new/latest", False),
        ("emb://f/text-search-doc/latest", True),
        ("emb://f/brand-new/latest", False),
    ],
)
def test_a_model_tells_whether_its_family_is_known(uri, known):
    assert Model(uri).known is known
