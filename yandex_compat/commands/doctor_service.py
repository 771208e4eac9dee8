"""What the doctor checks over the network: the way to the service, and what it lets one do."""

import os
import re
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx

from yandex_compat import catalogue
from yandex_compat.advice import Asked, advice
from yandex_compat.asked import trait_of_credential
from yandex_compat.auth import ApiKeyAuth, IamTokenAuth
from yandex_compat.catalogue import Model, folder_of
from yandex_compat.commands.account import Account
from yandex_compat.commands.finding import Finding, Status
from yandex_compat.commands.reach import PORTS, NotReached, Peer, Reached, peer_of, reach
from yandex_compat.completion import Completion, CompletionRequest
from yandex_compat.endpoints import Endpoints, endpoints_of, host_of
from yandex_compat.errors import (
    APIError,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    YandexError,
    error_from_response,
)
from yandex_compat.exchanged_auth import MetadataAuth, OAuthAuth, ServiceAccountAuth
from yandex_compat.hidden import Hidden
from yandex_compat.iam import TOKENS_URL
from yandex_compat.messages import Message
from yandex_compat.plain_http import InsecureConnectionWarning, is_loopback
from yandex_compat.settings import CREDENTIALS, checked_url, kind_of_credential

_PATHS = {"chat": "/models", "completion": "/completion"}
NAMES = {"chat": "chat", "completion": "native"}
_EXCHANGED = (ServiceAccountAuth, OAuthAuth, MetadataAuth)
_KINDS: Mapping[type[httpx.Auth], str] = {
    ApiKeyAuth: "an API key",
    IamTokenAuth: "an IAM token",
    ServiceAccountAuth: "a service account's authorized key",
    OAuthAuth: "an OAuth token",
    MetadataAuth: "the service account of this machine",
}
# Seconds that an exchange for an IAM token may take.
_PATIENCE = 60.0
_WORDS = 16  # tokens, at most, that a trial generation is paid for


@dataclass(slots=True)
class Case:
    """What is examined, and what earlier checks learnt of it."""

    account: Account
    endpoints: Endpoints | None = None
    models: list[Model] | None = None
    no_models: str = "the service was not asked"
    refused_folder: YandexError | None = None
    lacks_native: bool = False
    over_quota: RateLimitError | None = None
    answers: dict[str, Completion] = field(default_factory=dict)

    @property
    def folder(self) -> str | None:
        """The folder that the model is asked for in."""
        named = folder_of(self.account.options.model)
        if named and catalogue.is_folder(named):
            return named
        return os.environ.get("YC_FOLDER_ID") or None

    def root(self, api: str) -> str:
        """The root of one API, once the address is checked."""
        if self.endpoints is None:
            raise AssertionError("the address is checked first")
        return self.endpoints.root(api)

    @property
    def is_the_service_s(self) -> bool:
        """Whether Yandex Cloud itself is asked."""
        return self.endpoints is not None and self.endpoints.are_the_service_s

    def complete(self, api: str) -> Completion:
        """A generation of a few tokens by one API."""
        asked = CompletionRequest(
            self.account.options.model, (Message("user", "Say hello."),), max_tokens=_WORDS
        )
        words = {"api": api, "base_url": self.root(api), "folder_id": self.folder}
        with self.account.client(**words) as client:
            return client.complete(asked)


def address(case: Case) -> Finding:
    """What the APIs' addresses are, and whether a key may be sent there."""
    options = case.account.options
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", InsecureConnectionWarning)
        root = None
        if options.base_url is not None:
            root = checked_url(Hidden(options.base_url), allow_http=options.allow_http)
    if options.api not in _PATHS:
        return Finding("failed", 'api must be "chat" or "completion"', "Change --api.")
    case.endpoints = endpoints_of(options.api, root)
    roots = {NAMES[api]: case.root(api) for api in _PATHS}
    found = ", ".join(f"{root} ({name})" for name, root in roots.items())
    told = [str(warning.message) for warning in warned]
    url = httpx.URL(case.root(options.api))
    if url.scheme == "http" and options.allow_http and not is_loopback(host_of(url)):
        told.append("Everyone on the way reads the credential and the prompts: write https://….")
    status: Status = "warning" if told else "ok"
    return Finding(status, found, " ".join(told), {"roots": roots})


def proxies(case: Case) -> Finding:
    """Which of the hosts are reached through a proxy of the environment."""
    urls = [case.root(api) for api in _PATHS]
    iam_url = case.account.options.iam_url or TOKENS_URL
    # Of one that is none, the line of the credential tells.
    if _kind_of_credential() in (ServiceAccountAuth, OAuthAuth) and _is_address(iam_url):
        urls.append(iam_url)
    peers = {host_of(httpx.URL(url)): peer_of(url) for url in urls}
    caught = {host: peer for host, peer in peers.items() if peer.is_proxy}
    set_here = sorted({name for name in os.environ if _is_proxy(name) and os.environ[name]})
    direct = ", ".join(host for host in peers if host not in caught)
    details = {"through": {host: f"{one.host}:{one.port}" for host, one in caught.items()}}
    named = f"{', '.join(set_here)} set" if set_here else "none set"
    if not caught:
        return Finding("ok", f"{named}; {direct}: reached directly", details=details)
    found = "; ".join(
        f"{host} through {peer.host}:{peer.port}{_whose(peer)}" for host, peer in caught.items()
    )
    if direct:
        found += f"; {direct}: reached directly"
    own = [host for host in caught if is_loopback(host)]
    if own:
        return Finding(
            "warning",
            found,
            f"No proxy reaches this machine itself: add {','.join(own)} to NO_PROXY.",
            details,
        )
    return Finding("ok", found, details=details)


def _kind_of_credential() -> object:
    """The class of the environment's credential; None where there is none."""
    name = next((name for name in CREDENTIALS if os.environ.get(name)), None)
    return kind_of_credential(name) if name else None


def _is_address(text: str) -> bool:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return False
    return url.scheme in PORTS and bool(url.host)


def _is_proxy(name: str) -> bool:
    return name.lower().endswith("_proxy")


def _whose(peer: Peer) -> str:
    """The variables that name a proxy; without the user and the password in their values."""
    names = [
        name
        for name, value in sorted(os.environ.items())
        if _is_proxy(name) and name.lower() != "no_proxy" and _leads_to(peer, Hidden(value))
    ]
    return f" ({', '.join(names)})" if names else ""


def _leads_to(peer: Peer, proxy: Hidden[str]) -> bool:
    address = proxy.shown() if "://" in proxy.shown() else f"http://{proxy.shown()}"
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return False
    return (host_of(url), url.port or PORTS.get(url.scheme)) == (peer.host, peer.port)


def credentials(case: Case) -> Finding:
    """Of which kind the credential is, where it comes from, and when it ends."""
    credential = case.account.credential
    auth, source = credential.auth, credential.source
    kind = _KINDS[type(auth)]
    details: dict[str, Any] = {"kind": type(auth).__name__, "source": source, "ends": None}
    found = f"{kind}, from {source}"
    if isinstance(auth, _EXCHANGED):
        seconds = auth.seconds_left(_PATIENCE)
        ends = datetime.now(UTC) + timedelta(seconds=seconds)
        details["ends"] = ends.isoformat(timespec="seconds")
        found += (
            f"; exchanged for an IAM token that ends in {_told(seconds)}, at "
            f"{ends:%Y-%m-%d %H:%M} UTC, and is had anew before"
        )
        return Finding("ok", found, details=details)
    trait = trait_of_credential(Hidden(os.environ[source]), auth)
    if " as " in trait:
        return Finding("warning", found, advice(401, "", Asked(frozenset({trait}))), details)
    if isinstance(auth, IamTokenAuth):
        found += (
            "; it lives 12 hours at most, the service does not tell how many are left, and nothing "
            "has it anew"
        )
        advised = "For a program that runs longer, set YC_SERVICE_ACCOUNT_KEY_FILE instead."
        return Finding("ok", found, advised, details)
    found += "; the service does not tell whether and when it ends"
    return Finding("ok", found, details=details)


def _told(seconds: float) -> str:
    minutes = int(seconds) // 60
    return f"{minutes // 60} h {minutes % 60} min" if minutes else f"{seconds:.0f} s"


def reached(case: Case, api: str) -> Finding:
    """Whether an API can be reached, and how long each step took, which is told and not judged."""
    url = case.root(api) + _PATHS[api]
    try:
        answer = reach(url)
    except NotReached as stopped:
        return _not_reached(stopped, httpx.URL(url))
    milliseconds = {step: round(one * 1000, 1) for step, one in answer.seconds.items()}
    through = f" through {answer.peer.host}:{answer.peer.port}" if answer.peer.is_proxy else ""
    told = ", ".join(f"{step} {one:g} ms" for step, one in milliseconds.items())
    found = f"{host_of(httpx.URL(url))} answers{through}: {told}"
    found += f", {answer.tls}" if answer.tls else ", plain http"
    details = {"ms": milliseconds, "tls": answer.tls, "status": answer.status}
    if api == "completion" and answer.status == 404 and not case.is_the_service_s:
        case.lacks_native = True
        if case.account.options.api != api:
            return Finding("ok", f"{found}; this server has no native API", details=details)
    if answer.status == 407:
        return Finding(
            "failed",
            f"{found}; but the proxy wants to know who asks",
            "Write the proxy's address as http://USER:PASSWORD@HOST:PORT.",
            details,
        )
    asked = Asked(address=f"GET {url}")
    if answer.status < 300 and _is_page(answer):
        told = advice(404, "a web page", asked)
        return Finding("failed", f"{found}; but with a web page", told, details)
    if _is_not_the_service(answer):
        error = error_from_response(answer.status, answer.headers, answer.body, asked=asked)
        return Finding("failed", f"{found}; but {error}", details=details)
    return Finding("ok", found, details=details)


def _is_not_the_service(answer: Reached) -> bool:
    return answer.status >= 500 or 300 <= answer.status < 400 or _is_page(answer)


def _is_page(answer: Reached) -> bool:
    return answer.body.lstrip()[:1] == b"<"


def _not_reached(error: NotReached, url: httpx.URL) -> Finding:
    peer = error.peer
    through = f" through the proxy {peer.host}:{peer.port}" if peer and peer.is_proxy else ""
    where = f"{host_of(url)}:{url.port or PORTS[url.scheme]}"
    found = f"{where} can't be reached{through} ({error.step}: {error})"
    advised = {
        "DNS": "Check the network and its name server, and that the name is right.",
        "connect": "Check that something listens there, and firewalls between.",
        "proxy": "Check the user and password in the proxy's address, and what it lets through.",
        "TLS": "If a proxy or an antivirus reads along, set SSL_CERT_FILE to its certificate; if "
        "the server speaks plain http, write http://….",
        "answer": "Check base_url and the proxies between, or try again.",
    }[error.step]
    if peer and peer.is_proxy and is_loopback(host_of(url)):
        advised = f"Add {host_of(url)} to NO_PROXY: no proxy reaches this machine itself."
    elif error.step == "connect" and is_loopback(host_of(url)):
        advised = "Start what is to listen there, such as `yandex-compat emulator`."
    return Finding("failed", found, advised, {"step": error.step})


def access(case: Case) -> Finding:
    """Whether the service takes the credential, by asking for the list of models."""
    try:
        with case.account.client(folder_id=case.folder) as client:
            case.models = client.models()
    except AuthenticationError as error:
        return Finding("failed", str(error))
    except (InvalidRequestError, PermissionDeniedError) as error:
        if isinstance(error, PermissionDeniedError) or "folder id" in str(error).lower():
            case.refused_folder = error
            case.no_models = "the folder was refused"
            return Finding("ok", "the credential is taken, and the folder is not")
        return _unlisted(case, error)
    except NotFoundError as error:
        return _unlisted(case, error)
    except RateLimitError as error:
        case.no_models = "a quota is used up"
        return Finding("warning", str(error))
    return Finding("ok", f"the credential is taken; {len(case.models)} models are listed")


def _unlisted(case: Case, error: APIError) -> Finding:
    case.no_models = "the server lists no models"
    if case.is_the_service_s:
        return Finding("failed", str(error))
    return Finding("warning", f"this server lists no models ({error})", "A generation tells more.")


def folder(case: Case) -> Finding:
    """Whether the credential may use the folder."""
    if case.folder is None:
        return Finding(
            "failed",
            "there is none",
            "Set YC_FOLDER_ID to the id of the key's folder, or give --model as a full URI.",
        )
    if case.refused_folder:
        return Finding("failed", str(case.refused_folder), details={"folder": case.folder})
    details = {"folder": case.folder}
    if case.models is None:
        return Finding(
            "warning", f"{case.folder}: whether the credential may use it is not known, since "
            f"{case.no_models}", details=details,
        )  # fmt: skip
    others = {folder_of(one.id) for one in case.models} - {case.folder, None}
    if others:
        listed = ", ".join(sorted(map(str, others)))
        return Finding(
            "warning",
            f"{case.folder}; the models listed are of {listed}",
            "Check that YC_FOLDER_ID is the folder you mean.",
            details,
        )
    set_here = os.environ.get("YC_FOLDER_ID")
    of_model = ", which --model names; YC_FOLDER_ID is another"
    source = of_model if set_here and set_here != case.folder else ""
    return Finding(
        "ok", f"{case.folder}{source}: the credential may list its models", details=details
    )


def model(case: Case) -> Finding:
    """What the model's name becomes, and who knows it."""
    given = case.account.options.model
    uri = catalogue.model_uri(given, case.folder)
    found = Model(uri)
    profile = catalogue.profile_for(uri)
    listed = None if case.models is None else uri in {one.id for one in case.models}
    names = {one.name for one in case.models or ()}
    details = {"uri": uri, "known": found.known, "listed": listed}
    told = uri if given == uri else f"{given} becomes {uri}"
    apis = "both APIs" if profile.native else "the chat API only"
    told += (
        f"; its family is known ({profile.context_window} tokens of context, on {apis})"
        if found.known
        else "; its family is not known, and taken to have images, tools and both APIs"
    )
    if listed:
        return Finding("ok", f"{told}; listed by the service", details=details)
    if listed is None:
        return Finding("ok", f"{told}; not looked up, since {case.no_models}", details=details)
    if found.name in names:
        return Finding("ok", f"{told}; listed by the service in another branch", details=details)
    close = catalogue.close_name(given)
    meant = f"Did you mean {close!r}? " if close else ""
    return Finding(
        "warning" if found.known else "failed",
        f"{told}; the service does not list it",
        f"{meant}`yandex-compat models` shows those there are.",
        details,
    )


def generated(case: Case, api: str) -> Finding:
    """Whether a generation of a few tokens comes."""
    chosen = case.account.options.api == api
    if not chosen and api == "completion":
        if case.lacks_native:
            return Finding("not checked", "this server has no native API")
        if not catalogue.profile_for(case.account.options.model).native:
            return Finding("not checked", f"{case.account.options.model} is on the chat API only")
    began = time.perf_counter()
    try:
        answer = case.complete(api)
    except RateLimitError as error:
        case.over_quota = error
        return Finding("failed" if _allowed(error) == 0 else "warning", str(error))
    seconds = round(time.perf_counter() - began, 2)
    case.answers[api] = answer
    usage = answer.usage
    tokens = (
        f"{usage.input_tokens} tokens in, {usage.output_tokens} out" if usage else "usage untold"
    )
    return Finding(
        "ok",
        f"{case.account.options.model} answered in {seconds:g} s ({tokens}, finish reason "
        f"{answer.finish_reason or 'untold'})",
        details={"seconds": seconds, "finish_reason": answer.finish_reason},
    )


def quota(case: Case) -> Finding:
    """How many generations may run at once, by what the service told, else by what is kept to."""
    with case.account.client(folder_id=case.folder) as client:
        kept = client.settings.max_concurrency
    keeps = (
        f"this client keeps to {kept} generations of a model at once (max_concurrency), and 10 "
        f"embeddings a second"
        if kept
        else "this client lets any number through (max_concurrency=0), as the server is not Yandex "
        "Cloud's"
    )
    details: dict[str, Any] = {"max_concurrency": kept, "allowed": None}
    if case.over_quota:
        allowed = details["allowed"] = _allowed(case.over_quota)
        told = "a place" if allowed is None else f"all {allowed} places that the service allows"
        return Finding(
            "warning",
            f"no generation could begin, since {told} {'was' if allowed is None else 'were'} "
            f"taken by others; {keeps}",
            "Wait for them to end, or give each process that shares the quota a smaller "
            "max_concurrency.",
            details,
        )
    limits = {
        name: value
        for answer in case.answers.values()
        for name, value in answer.headers.items()
        if "ratelimit" in name
    }
    details["headers"] = limits
    told = ", ".join(f"{name}: {value}" for name, value in limits.items())
    if told:
        return Finding("ok", f"the service tells {told}; {keeps}", details=details)
    told = "the service tells no limit" if case.answers else "the service was not asked"
    return Finding("ok", f"{told}; {keeps}", details=details)


def _allowed(error: RateLimitError) -> int | None:
    found = re.search(r"allowed (\d+)", str(error))  # WIRE C
    return int(found[1]) if found else None


CHECKS: Mapping[str, tuple[Callable[[Case], Finding], tuple[str, ...]]] = {
    "address": (address, ()),
    "proxies": (proxies, ("address",)),
    "credentials": (credentials, ()),
    "chat API": (partial(reached, api="chat"), ("proxies",)),
    "native API": (partial(reached, api="completion"), ("proxies",)),
    "access": (access, ("variables", "credentials", "chat API")),
    "folder": (folder, ("access",)),
    "model": (model, ("variables",)),
    "chat generation": (partial(generated, api="chat"), ("chat API", "access", "folder", "model")),
    "native generation": (
        partial(generated, api="completion"), ("native API", "access", "folder", "model"),
    ),
    "quota": (quota, ("variables", "address", "credentials")),
}  # fmt: skip
"""The checks by name, in their order, each with those that it depends on."""
