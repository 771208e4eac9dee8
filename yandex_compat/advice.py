"""What to change after an error of the service: one row for each kind of it (WIRE C)."""

import re
from collections.abc import Collection
from dataclasses import asdict, dataclass

_OVERFLOW = (
    r"context (length|window|size)|maximum context|(too many|number of) (input )?tokens|"
    r"tokens.{0,40}(exceed|limit|too)|(exceed|longer).{0,40}tokens"
)
# What the request asks for is too much, not what it says.
_TOO_MUCH = r"max_?(completion_?)?tokens|tokens to generate"
_PAGE = r"^(a web page\b|<)"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asked for, as far as advice depends on it; each text stands in a sentence.

    `traits` are words that rows are chosen by: what was asked for, of which API, and what was sent
    as a credential.
    """

    traits: frozenset[str] = frozenset()
    model: str = "what the message names"
    folder: str = "the folder asked for"
    folder_word: str = "folder_id (YC_FOLDER_ID)"
    address: str = "another address"
    credential: str = "auth"
    other_api: str = "chat"
    close: str = ""
    window: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    """Advice for errors of these statuses, that say this, on a request that has this trait.

    The advice is a template of Asked's fields and of the named groups of `says`.
    """

    statuses: Collection[int]
    says: str
    trait: str
    advice: str


_REFUSED = range(400, 500)
_TOO_LONG = (400, 413, 422)
_ANEW = "get a new one, or pass auth=ServiceAccountAuth(…), which keeps it fresh"
_SUPPORT = "tell support the id of the client request"

# The first row that fits is taken, so that the particular stand before the general.
_ROWS = (
    # The two mistakes that users report most (WIRE Endpoints).
    _Row(
        _REFUSED, r"folder id.*match.*folder id '(?P<own>[^']+)'", "",
        "Set {folder_word} to {own}, the folder of the key's service account, or take the key of a "
        "service account of {folder}.",
    ),
    _Row(
        _REFUSED, "folder id.*match", "",
        "Set {folder_word} to the folder of the key's service account, or take the key of a "
        "service account of {folder}.",
    ),
    _Row(
        _REFUSED, "model[_ ]?uri", "embedding",
        "Check model: it was sent as {model}{close}. A URI is written emb://FOLDER/NAME/BRANCH, "
        "and client.models() lists those there are.",
    ),
    _Row(
        _REFUSED, "model[_ ]?uri", "",
        "Check model: it was sent as {model}{close}. A URI is written gpt://FOLDER/NAME/BRANCH, "
        "and client.models() lists those there are.",
    ),
    # What is too long.
    _Row(_TOO_LONG, _TOO_MUCH, "", "Change max_tokens as the message says."),
    _Row(
        _TOO_LONG, _OVERFLOW, "embedding",
        "Split the text: a model of embeddings takes 2000 tokens at once.",
    ),
    _Row(
        _TOO_LONG, _OVERFLOW, "",
        "Shorten what is sent, or take a model with a larger context{window}.",
    ),
    _Row(
        range(400, 429), _PAGE, "",
        "Check base_url and the proxies between: {address} was asked, and what answered is not "
        "the service.",
    ),
    _Row((413,), "", "", "Send less at once: fewer or shorter messages, fewer or smaller images."),
    # Who asks, by what was sent as a credential.
    _Row(
        (401,), "", "IAM token as api_key",
        "What api_key (YC_API_KEY) holds looks like an IAM token: pass it as iam_token "
        "(YC_IAM_TOKEN).",
    ),
    _Row(
        (401,), "", "OAuth token as api_key",
        "What api_key (YC_API_KEY) holds looks like an OAuth token: pass it as "
        "auth=OAuthAuth(…), or set YC_OAUTH_TOKEN.",
    ),
    _Row(
        (401,), "", "API key as iam_token",
        "What iam_token (YC_IAM_TOKEN) holds looks like an API key: pass it as api_key "
        "(YC_API_KEY).",
    ),
    _Row(
        (401,), "", "OAuth token as iam_token",
        "What iam_token (YC_IAM_TOKEN) holds looks like an OAuth token: pass it as "
        "auth=OAuthAuth(…), or set YC_OAUTH_TOKEN.",
    ),
    _Row(
        (401,), "", "api_key",
        "Check api_key (YC_API_KEY): copy the key again, or create a new one for the service "
        "account; an IAM token is passed as iam_token.",
    ),
    _Row(
        (401,), "", "iam_token",
        "Check iam_token (YC_IAM_TOKEN): an IAM token lives 12 hours at most, so that it may have "
        f"expired; {_ANEW}.",
    ),
    _Row(
        (401,), "", "exchanged token",
        "A new IAM token from {credential} was refused as well: check that its account still "
        "exists and is not blocked.",
    ),
    _Row(
        (401,), "", "function",
        "The function of auth was asked twice, and what it gave was refused twice: have it give an "
        "IAM token that has not expired.",
    ),
    _Row(
        (401,), "", "",
        "Check what auth sends: Authorization must be `Api-Key KEY` or `Bearer IAM_TOKEN`, "
        "as api_key (YC_API_KEY) and iam_token (YC_IAM_TOKEN) send it.",
    ),
    _Row(
        (403,), "", "of a model",
        "Give the account the role ai.languageModels.user in {folder}, where {model} was asked "
        "for, or set {folder_word} to a folder where it has the role.",
    ),
    _Row(
        (403,), "", "",
        "Give the account the role ai.languageModels.user in {folder}, or set {folder_word} to a "
        "folder where it has the role.",
    ),
    # What is not there.
    _Row(
        (404,), "", "operation",
        "Check the operation's id, and that the credential is of the account that began it: "
        "{address} was asked.",
    ),
    _Row(
        (404,), "", "stored",
        "Check the id that was asked for, and base_url: {address} was asked.",
    ),
    _Row(
        (404,), "", "of a model",
        "Check model: it was sent as {model}{close}, and client.models() lists those there are. "
        "If none is found, check base_url: {address} was asked.",
    ),
    _Row((404, 405), "", "", "Check base_url: {address} was asked."),
    _Row(
        range(300, 400), "", "",
        "Check base_url: {address} was asked, and no redirect is followed, since a key must not "
        "go to another host.",
    ),
    # Quotas (WIRE Quotas).
    _Row(
        # As a limit, 0 would let all pass.
        (429,), r"allowed 0\b", "",
        "There is no quota at all: ask for one, or take another model.",
    ),
    _Row(
        (429,), r"allowed (?P<allowed>\d+)", "generation",
        "Set max_concurrency={allowed}, or less where other processes share the quota, so that "
        "requests wait for their turn; or ask for a larger quota.",
    ),
    _Row(
        (429,), "", "generation",
        "Set max_concurrency to fewer generations at once, so that requests wait for their turn; "
        "or ask for a larger quota.",
    ),
    _Row(
        (429,), r"allowed (?P<allowed>\d+)", "embedding",
        "Set requests_per_second={allowed}, or less where other processes share the quota; or ask "
        "for a larger quota.",
    ),
    _Row(
        (429,), "", "embedding",
        "Set requests_per_second lower (it is 10 by default), as other processes share the quota; "
        "or ask for a larger quota.",
    ),
    _Row(
        (429,), "", "",
        "Send fewer requests at once, raise max_retries to wait longer, or ask for a larger quota.",
    ),
    # What the service does not do, or not in time.
    _Row(
        (501,), "", "on both",
        "The service does not do this: leave out what the message names, or ask by its other API, "
        'api="{other_api}".',
    ),
    _Row((501,), "", "", "The service does not do this: leave out what the message names."),
    _Row(
        (504,), "", "native generation",
        'The answer took too long: pass mode="deferred", or a smaller max_tokens.',
    ),
    _Row(
        (504,), "", "on both",
        'The answer took too long: pass a smaller max_tokens, or api="completion" with '
        'mode="deferred".',
    ),
    _Row((504,), "", "generation", "The answer took too long: pass a smaller max_tokens."),
    _Row(
        range(500, 1000), _PAGE, "",
        "This came from what stands before the service: check base_url, or try again later; if it "
        f"stays so, {_SUPPORT}.",
    ),
    _Row(
        range(500, 1000), "", "",
        "The failure is the service's own: try again later, or raise max_retries; if it stays so, "
        f"{_SUPPORT}.",
    ),
    _Row(range(1000), "", "", "Change the request as the message says."),
)  # fmt: skip


def is_overflow(status: int, message: str) -> bool:
    """Whether an error says that the messages are longer than the model's context."""
    said, too_much = _says(_OVERFLOW, message), _says(_TOO_MUCH, message)
    return status in _TOO_LONG and said is not None and too_much is None


def advice(status: int, message: str, asked: Asked) -> str:
    """One line that says what to change after an error of this status that says this."""
    for row in _ROWS:
        said = _says(row.says, message)
        if said and status in row.statuses and (not row.trait or row.trait in asked.traits):
            return row.advice.format(**asdict(asked), **said.groupdict())
    raise AssertionError("the last row fits all")


def _says(pattern: str, message: str) -> re.Match[str] | None:
    return re.search(pattern, message, re.IGNORECASE)
