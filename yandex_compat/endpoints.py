"""Where each part of the service is reached, from the one root a user may set (WIRE Endpoints)."""

from dataclasses import dataclass

import httpx

_SERVICE = "api.cloud.yandex.net"
DEFAULTS = {
    "chat": f"https://ai.{_SERVICE}/v1",
    "completion": f"https://llm.{_SERVICE}/foundationModels/v1",
    "operations": f"https://operation.{_SERVICE}/operations",
}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The roots of both APIs and of operations, without a slash at the end."""

    chat: str
    completion: str
    operations: str

    @property
    def are_the_service_s(self) -> bool:
        """Whether they lead to Yandex Cloud itself, and not to a server of another's."""
        return is_the_service_s(httpx.URL(self.chat))

    def root(self, api: str) -> str:
        """The root of one API."""
        return self.chat if api == "chat" else self.completion


def endpoints_of(api: str, base_url: str | None) -> Endpoints:
    """All roots, where `base_url` is that of the chosen API.

    What a user sets for another server leads there for the rest, too, by the documented paths.
    """
    if base_url is None or is_the_service_s(httpx.URL(base_url)):
        roots = dict(DEFAULTS)
    else:
        url = httpx.URL(base_url)
        origin = str(url.copy_with(raw_path=b"/")).rstrip("/")
        paths = {name: httpx.URL(root).path for name, root in DEFAULTS.items()}
        roots = {name: origin + path for name, path in paths.items()}
    if base_url is not None:
        roots[api] = base_url
    return Endpoints(**roots)


def is_the_service_s(url: httpx.URL) -> bool:
    """Whether a host is one of Yandex Cloud's."""
    return url.host == _SERVICE or url.host.endswith(f".{_SERVICE}")


def host_of(url: httpx.URL) -> str:
    """The host of an address as a resolver is asked for it."""
    return url.raw_host.decode().strip("[]")
