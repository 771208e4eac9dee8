"""Model URIs: ``gpt://FOLDER/NAME/BRANCH``, ``gpt://FOLDER/NAME/VERSION@SUFFIX``, ``emb://…``."""

import re
from dataclasses import dataclass

from .families import EMBEDDING_MODELS, FAMILIES, Family, family_of
from .refusals import refused

_URI = re.compile(
    r"(?P<scheme>gpt|emb)://(?P<folder>[^/\s]+)/(?P<name>[^/\s@]+)"
    r"(?:/(?P<branch>[^/\s@]+(?:@[^/\s@]+)?))?"
)
_BRANCHES = {"latest", "rc", "deprecated"}


@dataclass(frozen=True, slots=True)
class ModelURI:
    """A parsed model URI; ``branch`` is a branch or ``VERSION@SUFFIX``."""

    scheme: str
    folder: str
    name: str
    branch: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.folder}/{self.name}/{self.branch}"

    def without_folder(self) -> str:
        """Return the URI as open models give it back (WIRE A1)."""
        return f"{self.scheme}://{self.name}/{self.branch}"


def parse_model_uri(text: str) -> ModelURI:
    """Parse a model URI or refuse it with 400, in the service's words."""
    match = _URI.fullmatch(text)
    if match is None:
        raise refused(3, f"Failed to parse model URI {text}")
    uri = ModelURI(**{**match.groupdict(), "branch": match["branch"] or "latest"})
    if uri.branch not in _BRANCHES and "@" not in uri.branch:
        raise refused(3, f"invalid model_uri {text}: unknown branch {uri.branch}")
    return uri


def generation_family(uri: ModelURI) -> Family:
    """Return the family of a model that generates, or refuse the URI with 400."""
    family = family_of(uri.name)
    if uri.scheme != "gpt" or family is None:
        raise refused(3, f"invalid model_uri {uri}")
    return family


def native_family(uri: ModelURI) -> Family:
    """Return the family of a model that generates on the native API, or refuse the URI with 400."""
    family = generation_family(uri)
    if not family.native:
        raise refused(3, f"invalid model_uri {uri}: the model is not available in this API")
    return family


def check_embedding_model(uri: ModelURI) -> None:
    """Refuse a URI that names no embedding model."""
    if uri.scheme != "emb" or uri.name not in EMBEDDING_MODELS:
        raise refused(3, f"invalid model_uri {uri}")


def models_of(folder: str) -> list[ModelURI]:
    """Return what a folder can call, as the model list names it."""
    generating = [ModelURI("gpt", folder, name, "latest") for name in FAMILIES]
    return generating + [ModelURI("emb", folder, name, "latest") for name in EMBEDDING_MODELS]
