"""Where settings come from, and what is said of those that are missing or wrong."""

import httpx
import pytest

from yandex_compat import ApiKeyAuth, ConfigurationError, IamTokenAuth, YandexClient
from yandex_compat.settings import Settings, refuse_unknown_words, resolve_settings


def resolved(**words: object) -> Settings:
    return resolve_settings(**{"api_key": "key", **words})


def sent_with(auth: httpx.Auth) -> str:
    request = httpx.Request("POST", "https://host/")
    next(auth.auth_flow(request))
    return request.headers["Authorization"]


def test_defaults():
    settings = resolved()
    assert settings.base_url == "https://ai.api.cloud.yandex.net/v1"  # WIRE Endpoints
    assert settings.folder_id is None
    assert (settings.timeout, settings.max_retries) == (120.0, 2)
    assert settings.data_logging is True
    assert settings.default_headers == {}


def test_arguments_win_over_the_environment(monkeypatch):
    monkeypatch.setenv("YC_API_KEY", "env-key")
    monkeypatch.setenv("YC_IAM_TOKEN", "env-token")
    monkeypatch.setenv("YC_FOLDER_ID", "env-folder")
    assert sent_with(resolve_settings(api_key="key").auth) == "Api-Key key"
    assert sent_with(resolve_settings(iam_token="token").auth) == "Bearer token"
    assert resolve_settings(folder_id="folder").folder_id == "folder"


@pytest.mark.parametrize(
    ("name", "value", "header"),
    [("YC_API_KEY", "k", "Api-Key k"), ("YC_IAM_TOKEN", "t", "Bearer t")],
)
def test_credentials_come_from_the_environment(monkeypatch, name, value, header):
    monkeypatch.setenv(name, value)
    assert sent_with(resolve_settings().auth) == header


def test_the_environments_key_wins_over_its_token(monkeypatch):
    monkeypatch.setenv("YC_API_KEY", "k")
    monkeypatch.setenv("YC_IAM_TOKEN", "t")
    assert isinstance(resolve_settings().auth, ApiKeyAuth)


def test_an_empty_environment_counts_as_none(monkeypatch):
    monkeypatch.setenv("YC_API_KEY", "")
    monkeypatch.setenv("YC_IAM_TOKEN", "t")
    monkeypatch.setenv("YC_FOLDER_ID", "")
    settings = resolve_settings()
    assert isinstance(settings.auth, IamTokenAuth)
    assert settings.folder_id is None


def test_the_folder_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("YC_FOLDER_ID", "env-folder")
    assert resolved().folder_id == "env-folder"


def test_an_auth_of_ones_own_is_taken():
    auth = httpx.BasicAuth("user", "word")
    assert resolve_settings(auth=auth).auth is auth


def test_no_credential_names_every_way_to_give_one():
    with pytest.raises(ConfigurationError, match=r"api_key.*iam_token.*YC_API_KEY.*YC_IAM_TOKEN"):
        resolve_settings()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"api_key": "secret-1", "iam_token": "secret-2"}, "api_key and iam_token"),
        ({"api_key": "secret-1", "auth": ApiKeyAuth("secret-2")}, "api_key and auth"),
        ({"iam_token": "secret-1", "auth": ApiKeyAuth("secret-2")}, "iam_token and auth"),
    ],
)
def test_two_credentials_are_refused_by_name(words, named):
    with pytest.raises(ConfigurationError, match=named) as caught:
        resolve_settings(**words)
    assert "secret-" not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("api", "completions"),
        ("timeout", float("inf")),
        ("data_logging", "false"),
        ("base_url", "https://host/v1?token=1"),
        ("base_url", "user:secret@host/v1"),
        ("base_url", ""),
        ("base_url", "http://127.0.0.1:99999/v1"),
        ("default_headers", [("a", "b")]),
        ("default_headers", {"bad name": "x"}),
        ("default_headers", {"Authorization": "x"}),
        ("default_headers", {"x-proxy": "blank "}),
        ("timeout", 0),
        ("timeout", -1.0),
        ("timeout", float("nan")),
        ("timeout", "5"),
        ("timeout", True),
        ("max_retries", -1),
        ("max_retries", "2"),
        ("max_retries", 1.5),
        ("max_retries", True),
        ("base_url", "ai.api.cloud.yandex.net/v1"),
        ("base_url", "ftp://host/v1"),
        ("base_url", "http://"),
        ("base_url", "http://host:port/v1"),
        ("base_url", "http://[::1/v1"),
        ("base_url", 5),
        ("base_url", httpx.URL("https://host/v1")),
        ("base_url", "https://host/v1#secret"),
        ("base_url", "https://host?"),
        ("base_url", "http://a..b/v1"),
        ("base_url", f"http://{'a' * 64}.example/v1"),
        ("api", ["chat"]),
        ("timeout", 86_401),
        ("data_logging", 0),
        ("default_headers", "x-a: 1"),
        ("default_headers", {"": "x"}),
        ("default_headers", {5: "x"}),
        ("default_headers", {"ключ": "x"}),
        ("default_headers", {"Content-Length": "3"}),
        ("default_headers", {"HOST": "x"}),
        ("default_headers", {"Transfer-Encoding": "chunked"}),
        ("default_headers", {"x-proxy": "\tblank"}),
        ("folder_id", "b1g\n"),
        ("folder_id", "b1 g"),
        ("folder_id", "папка"),
        ("folder_id", "a/b"),
        ("folder_id", 5),
    ],
)
def test_wrong_values_are_refused_by_word_and_never_shown(word, value):
    with pytest.raises(ConfigurationError) as caught:
        resolved(**{word: value})
    assert str(caught.value).startswith(word)
    assert f"{word}={value!r}" not in str(caught.value)  # D11: it may be a key in the wrong word


def test_the_longest_waits_are_taken():
    words = {"timeout": 86_400, "total_timeout": 86_400, "deferred_timeout": 7 * 86_400}
    settings = resolve_settings(api_key="k", folder_id="f", **words)
    assert {word: getattr(settings, word) for word in words} == words


def test_a_folder_of_the_environment_is_checked_too(monkeypatch):
    monkeypatch.setenv("YC_FOLDER_ID", "b1g\n")
    with pytest.raises(ConfigurationError, match="folder_id"):
        resolved()


def test_an_auth_that_is_none_says_what_to_pass():
    with pytest.raises(ConfigurationError, match=r"auth must be.*str.*api_key=") as caught:
        resolve_settings(auth="secret-1")
    assert "secret-1" not in str(caught.value)


SECRET = "AQVN-secret-1"


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{SECRET}@host/v1",
        f"https://{SECRET}@host/v1",
        f"ftp://user:{SECRET}@host/v1",
        f"user:{SECRET}@host/v1",
        f"https://host/v1?token={SECRET}",
        f"https://host/v1#{SECRET}",
        f"http://a..b/{SECRET}",
        SECRET,
    ],
)
def test_a_secret_in_the_url_is_refused_unseen(url):  # D11
    with pytest.raises(ConfigurationError, match=r"^base_url") as caught:
        resolved(base_url=url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("api", SECRET),
        ("timeout", SECRET),
        ("max_retries", SECRET),
        ("data_logging", SECRET),
        ("folder_id", f"{SECRET}\n"),
        ("default_headers", SECRET),
        ("default_headers", {"x-token": f"{SECRET} "}),
        ("default_headers", {"authorization": SECRET}),
        ("default_headers", {f"{SECRET} ": "x"}),
    ],
)
def test_a_secret_in_another_word_is_refused_unseen(word, value):  # D11
    with pytest.raises(ConfigurationError, match=f"^{word}") as caught:
        resolved(**{word: value})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://[::1]:8000/v1", "https://host.:80/v1", "https://пример.рф/v1", "https://h/v1 "]
)
def test_addresses_of_other_forms_are_taken(url):
    assert resolved(base_url=url).base_url == url.strip()


@pytest.mark.parametrize("value", ["a\nb", "ключ", "x ", " x", "a\tb", None, 5, b"x"])
def test_default_headers_that_cannot_be_sent_are_refused_by_name_only(value):
    with pytest.raises(ConfigurationError, match=r"default_headers.*'x-token'") as caught:
        resolved(default_headers={"x-fine": "1", "x-token": value})
    assert str(value) not in str(caught.value).replace("'x-token'", "")


@pytest.mark.parametrize("url", ["https://host/v1", "https://host/v1/", "https://host/v1//"])
def test_slashes_at_the_end_of_the_url_do_not_count(url):
    assert resolved(base_url=url).base_url == "https://host/v1"


@pytest.mark.parametrize(("word", "value"), [("timeout", 0.5), ("timeout", 1), ("max_retries", 0)])
def test_small_values_are_taken(word, value):
    assert getattr(resolved(**{word: value}), word) == value


def test_given_headers_are_copied():
    headers = {"x-a": "1"}
    settings = resolved(default_headers=headers)
    headers["x-a"] = "2"
    assert settings.default_headers == {"x-a": "1"}


def test_the_client_resolves_at_construction():
    with pytest.raises(ConfigurationError, match="No credential"):
        YandexClient()


# Words nobody knows.


def refused(*words: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        refuse_unknown_words("ChatYandex", words, ["temperature", "api_key", "model"])
    return str(caught.value)


def test_known_words_pass():
    refuse_unknown_words("ChatYandex", ["model", "api_key"], iter(["api_key", "model"]))
    refuse_unknown_words("ChatYandex", [], [])


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("seed", r"'seed'.*documents it as not supported.*extra_body={\"seed\": …}"),  # WIRE A9
        ("prediction", "'prediction'.*a word of a call"),
        ("tools", "'tools'.*a word of a call"),
        ("model_kwargs", "'model_kwargs'.*extra_body"),
        ("stopp", "'stopp'.*'stop'"),
    ],
)
def test_a_word_that_belongs_elsewhere_is_told_where(word, told):
    with pytest.raises(ConfigurationError, match=told):
        refuse_unknown_words("ChatYandex", [word], ["stop", "extra_body"])
    with pytest.raises(ConfigurationError, match=f"'{word}'. (Did you mean|It knows)"):
        refuse_unknown_words("YandexEmbeddings", [word], ["stop", "model"])


def test_a_misspelt_word_is_named_with_its_neighbour():
    told = refused("model", "temprature")
    assert told == ("ChatYandex does not know the word 'temprature'. Did you mean 'temperature'?")


def test_a_strange_word_is_named_with_all_there_are():
    assert refused("zzz").endswith("'zzz'. It knows: api_key, model, temperature.")


# Clients of one's own.


@pytest.mark.parametrize(
    ("word", "value", "kind"),
    [
        ("http_client", httpx.AsyncClient, "httpx.Client, not AsyncClient"),
        ("http_client", lambda: "x", "httpx.Client, not str"),
        ("http_async_client", httpx.Client, "httpx.AsyncClient, not Client"),
        ("http_async_client", lambda: httpx.Client, "httpx.AsyncClient, not type"),
    ],
)
def test_an_http_client_of_another_kind_is_refused(word, value, kind):
    with pytest.raises(ConfigurationError, match=f"^{word} must be an {kind}"):
        YandexClient(api_key="key", **{word: value()})


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("AQVN-a-key-in-the-wrong-place", "API key"),
        ("t1.a-token-in-the-wrong-place", "IAM token"),
        ("y0_a-token-in-the-wrong-place", "OAuth token"),
    ],
)
@pytest.mark.parametrize("of_environment", [False, True])
def test_a_key_in_the_place_of_the_folder_is_refused_unseen(monkeypatch, key, kind, of_environment):
    """As a folder it would stand in model URIs, and so in every error and log."""
    if of_environment:
        monkeypatch.setenv("YC_FOLDER_ID", key)
    with pytest.raises(ConfigurationError, match=f"looks like an {kind}") as caught:
        YandexClient(api_key="k", folder_id=None if of_environment else key)
    assert key not in repr(caught.value)
