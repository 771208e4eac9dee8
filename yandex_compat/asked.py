"""What a request asked for, read from the request, so that its error can say what to change."""

import re
from collections.abc import Collection

import httpx

from yandex_compat import catalogue
from yandex_compat.advice import Asked
from yandex_compat.auth import KnownAuth, looks_like
from yandex_compat.errors import without_secrets
from yandex_compat.hidden import Hidden
from yandex_compat.settings import Settings

# How the path ends, and what was asked for there (WIRE Endpoints).
_PATHS = (
    (r"/chat/completions", "generation"),
    (r"/chat/completions/.+", "stored"),
    (r"/completion", "generation", "native generation"),
    (r"/(embeddings|textEmbedding)", "embedding"),
    (r"/operations/.+", "operation"),
)
# Every format names the model first, so that no long body is searched.
_MODEL = re.compile(rb'\{"model(?:Uri)?": ?"([^"\\]*)"')
_BEGINNING = 500
_OF_WORD = {"api_key": "API key", "iam_token": "IAM token"}


def asked_of(request: httpx.Request, settings: Settings, secrets: Collection[str]) -> Asked:
    """What a request asked for, and where; `secrets` are blotted out of its texts."""
    sent = Hidden(request.headers.get("authorization", "").rpartition(" ")[2])
    traits = {*_traits_of_path(request.url.path), trait_of_credential(sent, settings.auth)}
    known = {
        "address": f"{request.method} {request.url.copy_with(query=None)}",
        "credential": f"auth={type(settings.auth).__name__}(…)",
        "other_api": "chat" if "native generation" in traits else "completion",
    }
    found = _MODEL.match(request.read()[:_BEGINNING])
    model = found[1].decode(errors="replace") if found else ""
    if model:
        profile, close = catalogue.profile_for(model), catalogue.close_name(model)
        traits.add("of a model")
        if profile.native and "generation" in traits:
            traits.add("on both")
        known["model"] = model
        known["close"] = f" (did you mean {close!r}?)" if close else ""
        if profile is not catalogue.UNKNOWN:
            known["window"] = f" than its {profile.context_window} tokens"
    folder = catalogue.folder_of(model) or settings.folder_id
    if folder:
        known["folder"] = f"the folder {folder}"
    if folder != settings.folder_id:
        known["folder_word"] = "the folder in model's URI"
    clean = {name: without_secrets(secrets, text) for name, text in known.items()}
    return Asked(frozenset(traits), **clean)


def _traits_of_path(path: str) -> tuple[str, ...]:
    found = [traits for pattern, *traits in _PATHS if re.search(f"{pattern}$", path)]
    return tuple(found[0]) if found else ()


def trait_of_credential(secret: Hidden[str], auth: httpx.Auth) -> str:
    """What is sent as a credential, in Asked's words; nothing of the credential itself."""
    trait = auth.trait if isinstance(auth, KnownAuth) else "auth of one's own"
    kind = looks_like(secret) if trait in _OF_WORD else None
    return f"{kind} as {trait}" if kind not in {None, _OF_WORD.get(trait)} else trait
