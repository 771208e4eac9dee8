"""Plain http, by which everyone on the way reads the key: where it is taken, and where refused."""

import re
import sys
import warnings
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from yandex_compat.errors import ConfigurationError


class InsecureConnectionWarning(UserWarning):
    """A key or a token goes over plain http to a host of a private network."""


_LOOPBACK = ("127.0.0.0/8", "::1/128", "0.0.0.0/32", "::/128")  # the last two lead to oneself
_PRIVATE = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",  # RFC 1918
    "100.64.0.0/10",  # RFC 6598, and what private overlays number their machines with
    "169.254.0.0/16", "fe80::/10",  # link-local, the metadata service of a machine among them
    "fc00::/7",  # RFC 4193
)  # fmt: skip
# Names that lead nowhere outside of one's own network, and those of Kubernetes and Docker.
_PRIVATE_NAMES = (".local", ".internal", ".svc", ".home.arpa")
_LABEL = re.compile(r"[\w-]+", re.ASCII)
_NUMBER = re.compile(r"\d+|0x[\da-f]*", re.ASCII)
# The frames that a warning looks past, for the line that made the client.
_NOT_THE_USER_S = {
    "yandex_compat", "langchain_yandex_compat", "llamaindex_yandex_compat", "pydantic",
    "langchain_core", "llama_index",
}  # fmt: skip

_warned_of: set[str] = set()


def check_plain_http(word: str, host: str, *, allowed: bool, warns: bool = True) -> None:
    """Raise ConfigurationError for a public host, and warn once of a private one.

    Nothing is looked up: a name is told by its form. `allowed` has any host taken, unwarned.
    """
    if allowed or is_loopback(host):
        return
    if not _is_private(host):
        raise ConfigurationError(
            f"{word} leads to a public host over plain http, by which everyone on the way reads "
            f"the credential and the prompts: write https://…, or pass allow_http=True if the way "
            f"there is private."
        )
    if not warns or host in _warned_of:
        return
    warnings.warn(
        f"{word} leads to {host} over plain http: whoever shares that network reads the credential "
        f"and the prompts. Write https://…, or pass allow_http=True if that is all right.",
        InsecureConnectionWarning,
        stacklevel=_depth_of_user(),
    )
    _warned_of.add(host)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    name = _name(host)
    return name == "localhost" or name.endswith(".localhost") or _is_within(name, _LOOPBACK)


def _is_private(host: str) -> bool:
    name = _name(host)
    if _is_within(name, _PRIVATE) or name.endswith(_PRIVATE_NAMES):
        return True
    # To a resolver, "134744072" and "0x8080808" are the public address 8.8.8.8.
    return bool(_LABEL.fullmatch(name)) and not _NUMBER.fullmatch(name)


def _name(host: str) -> str:
    return host.lower().removesuffix(".")


def _is_within(host: str, networks: tuple[str, ...]) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    known: list[IPv4Network | IPv6Network] = [ip_network(network) for network in networks]
    return any(address in network for network in known)


def _depth_of_user() -> int:
    """How many frames above `check_plain_http` the first one stands that is nobody's library."""
    depth, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _NOT_THE_USER_S:
        depth, frame = depth + 1, frame.f_back
    return depth
