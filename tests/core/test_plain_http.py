"""Which hosts are talked to over plain http: one's own, private ones with a warning, no others."""

import warnings

import pytest

from langchain_yandex_compat import ChatYandex, YandexEmbeddings
from llamaindex_yandex_compat import YandexEmbedding, YandexLLM
from yandex_compat import (
    ConfigurationError,
    InsecureConnectionWarning,
    MetadataAuth,
    OAuthAuth,
    ServiceAccountAuth,
    YandexClient,
    plain_http,
)

CLASSES = (YandexClient, ChatYandex, YandexEmbeddings, YandexLLM, YandexEmbedding)
WORDS = {"api_key": "key", "folder_id": "f"}
every_class = pytest.mark.parametrize("kind", CLASSES)

OWN = [
    "localhost", "LOCALHOST", "app.localhost", "127.0.0.1", "127.8.8.8", "[::1]",
    "0.0.0.0",  # noqa: S104 -- nothing is bound to it
    "[::ffff:127.0.0.1]", "localhost.",
]  # fmt: skip
PRIVATE = [
    "vllm", "vllm.", "VLLM", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.2",
    "169.254.169.254", "100.64.0.1", "[fe80::1]", "[fd00::1]", "[fc00::1]", "[::ffff:10.0.0.1]",
    "mac.local", "llm.default.svc", "llm.default.svc.cluster.local", "host.docker.internal",
    "gpu.home.arpa",
]  # fmt: skip
PUBLIC = [
    "example.com", "ai.api.cloud.yandex.net", "8.8.8.8", "172.32.0.1", "172.15.0.1", "11.0.0.1",
    "192.169.0.1", "100.128.0.1", "[2001:4860:4860::8888]", "[::ffff:8.8.8.8]", "пример.рф",
    "local.example.com", "internal.example.com", "svc.com", "notlocal.com",
    "10.0.0.1.example.com", "localhost.example.com", "169.254.169.254.nip.io",
    "134744072", "0x8080808", "8.8.2056", "vllm.default",
]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_warned_of(monkeypatch):
    monkeypatch.setattr(plain_http, "_warned_of", set())


@pytest.mark.parametrize("host", OWN)
def test_one_s_own_machine_is_talked_to_by_plain_http(host):
    YandexClient(**WORDS, base_url=f"http://{host}:8000/v1")  # a warning would be an error


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_host_makes_one_warning(host):
    url = f"http://{host}:8000/v1"
    with pytest.warns(InsecureConnectionWarning, match="base_url.*plain http.*allow_http"):
        YandexClient(**WORDS, base_url=url)
    YandexClient(**WORDS, base_url=url)  # a second one would be an error


@every_class
def test_the_warning_points_at_the_line_that_made_the_model(kind):
    with pytest.warns(InsecureConnectionWarning) as told:
        kind(**WORDS, base_url="http://vllm:8000/v1")
    assert [one.filename for one in told] == [__file__]


def test_a_warning_that_is_an_error_comes_each_time():
    for _ in range(2):
        with pytest.raises(InsecureConnectionWarning):
            YandexClient(**WORDS, base_url="http://vllm:8000/v1")


@pytest.mark.parametrize("host", PUBLIC)
def test_a_public_host_is_refused(host):
    with pytest.raises(ConfigurationError, match=r"^base_url .*https://.*allow_http=True"):
        YandexClient(**WORDS, base_url=f"http://{host}/v1")
    YandexClient(**WORDS, base_url=f"https://{host}/v1")


@every_class
def test_every_class_refuses_a_public_host_unless_it_is_allowed(kind):
    with pytest.raises(ConfigurationError, match="allow_http"):
        kind(**WORDS, base_url="http://example.com/v1")
    model = kind(**WORDS, base_url="http://example.com/v1", allow_http=True)
    kind(**WORDS, base_url="http://vllm:8000/v1", allow_http=True)  # and warns of none
    if kind is not YandexClient:
        model.allow_http = False
        with pytest.raises(ConfigurationError, match="allow_http"):
            model.close()


@pytest.mark.parametrize("value", ["yes", 1])
def test_allowed_is_true_or_false(value):
    with pytest.raises(ConfigurationError, match="allow_http"):
        YandexClient(**WORDS, allow_http=value)


@pytest.fixture
def by_url(emulator):
    return {
        "account": lambda **words: ServiceAccountAuth(emulator.authorized_key(), **words),
        "oauth": lambda **words: OAuthAuth("y0_token", **words),
        "metadata": lambda **words: MetadataAuth(**words),
    }


@pytest.mark.parametrize("kind", ["account", "oauth", "metadata"])
def test_no_credential_is_exchanged_over_plain_http_with_a_public_host(by_url, kind):
    make = by_url[kind]
    with pytest.raises(ConfigurationError, match=r"url leads to a public host.*allow_http"):
        make(url="http://example.com/iam/v1/tokens")
    make(url="http://example.com/iam/v1/tokens", allow_http=True)
    make(url="https://example.com/iam/v1/tokens")
    make(url="http://127.0.0.1:1/iam/v1/tokens")
    if kind != "metadata":
        with pytest.warns(InsecureConnectionWarning):
            make(url="http://iam:8000/iam/v1/tokens")


@pytest.mark.parametrize("kind", ["account", "oauth"])
@pytest.mark.parametrize("url", ["", "example.com", "ftp://example.com", "http://", 5])
def test_an_address_that_is_none_is_refused(by_url, kind, url):
    with pytest.raises(ConfigurationError, match="url is not a web address"):
        by_url[kind](url=url)


@pytest.mark.parametrize("address", ["169.254.169.254", "http://169.254.169.254", "metadata:80"])
def test_a_machine_s_own_metadata_are_asked_for_unwarned(address, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MetadataAuth(url=address)
        monkeypatch.setenv("YC_METADATA_ADDR", address)
        MetadataAuth()
