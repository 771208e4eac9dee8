"""Where each part of the service is reached, whatever root was set (WIRE Endpoints)."""

import pytest

from yandex_compat import settings
from yandex_compat.endpoints import DEFAULTS, endpoints_of
from yandex_compat.wires.apis import APIS

HOST = "http://127.0.0.1:8000"


def test_every_api_has_a_root_and_may_be_chosen():
    assert set(settings._APIS) == set(DEFAULTS) - {"operations"} == set(APIS)


@pytest.mark.parametrize("api", APIS)
def test_by_default_the_documented_ones(api):
    endpoints = endpoints_of(api, None)
    assert endpoints.root(api) == DEFAULTS[api]
    assert endpoints.operations == "https://operation.api.cloud.yandex.net/operations"
    assert endpoints.are_the_service_s


@pytest.mark.parametrize(
    ("api", "base_url", "chat", "completion"),
    [
        ("chat", f"{HOST}/v1", f"{HOST}/v1", f"{HOST}/foundationModels/v1"),
        ("completion", f"{HOST}/foundationModels/v1", f"{HOST}/v1", f"{HOST}/foundationModels/v1"),
        (
            "chat",
            "https://gateway.ru/yc/v1",
            "https://gateway.ru/yc/v1",
            "https://gateway.ru/foundationModels/v1",
        ),
        ("completion", "http://[::1]:5/x", "http://[::1]:5/v1", "http://[::1]:5/x"),
    ],
)
def test_another_server_has_the_rest_by_the_documented_paths(api, base_url, chat, completion):
    endpoints = endpoints_of(api, base_url)
    assert (endpoints.chat, endpoints.completion) == (chat, completion)
    assert endpoints.operations == endpoints.chat.split("//")[0] + "//" + (
        endpoints.chat.split("/")[2] + "/operations"
    )
    assert not endpoints.are_the_service_s


def test_the_older_alias_leads_to_the_service_too():
    endpoints = endpoints_of("chat", "https://llm.api.cloud.yandex.net/v1")
    assert endpoints.chat == "https://llm.api.cloud.yandex.net/v1"
    assert endpoints.completion == DEFAULTS["completion"]
    assert endpoints.are_the_service_s


@pytest.mark.parametrize(
    "url", ["https://api.cloud.yandex.net.evil.ru/v1", "https://xapi.cloud.yandex.net/v1"]
)
def test_a_host_that_only_looks_like_it_is_not_the_service(url):
    assert not endpoints_of("chat", url).are_the_service_s
