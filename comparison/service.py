"""Service: the emulator as a row sees it, over loopback: where it is, what it got, what it says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
NATIVE = "/foundationModels/v1/completion"
DEFERRED = "/foundationModels/v1/completionAsync"
TOKENIZE = ("/foundationModels/v1/tokenize", "/foundationModels/v1/tokenizeCompletion")
EMBEDDINGS = ("/v1/embeddings", "/foundationModels/v1/textEmbedding")


@dataclass(frozen=True)
class Service:
    """An emulated account.

    ``grpc`` is the address of its gRPC face and ``certificate`` the path of that one's certificate,
    both empty where there is none.
    """

    root: str
    key: str
    folder: str
    oauth_token: str
    grpc: str = ""
    certificate: str = ""

    @property
    def chat_url(self) -> str:
        """The root of the chat API."""
        return f"{self.root}/v1"

    @property
    def native_url(self) -> str:
        """The root of the native API."""
        return f"{self.root}/foundationModels/v1"

    @property
    def iam_url(self) -> str:
        """Where IAM tokens are given out."""
        return f"{self.root}/iam/v1/tokens"

    @property
    def metadata_url(self) -> str:
        """Where a virtual machine finds its token."""
        return f"{self.root}/computeMetadata/v1/instance/service-accounts/default/token"

    def clear(self) -> None:
        """Forget requests, scripts, faults and the ledger."""
        for path in ("_requests", "_script", "_faults", "_ledger"):
            self._asked("DELETE", path)

    def script(self, *answers: Mapping[str, Any]) -> None:
        """Queue what it answers next."""
        self._asked("POST", "_script", {"answers": answers})

    def faults(self, **plan: Any) -> None:
        """Let requests fail by a plan."""
        self._asked("POST", "_faults", plan)

    def expire_tokens(self) -> None:
        """Let all IAM tokens end that were given out."""
        self._asked("DELETE", "_tokens")

    def authorized_key(self) -> Any:
        """The key file of the account's service account."""
        return self._asked("GET", "_authorized_key")

    def iam_token(self) -> str:
        """An IAM token, had for the OAuth token."""
        body = {"yandexPassportOauthToken": self.oauth_token}
        return str(self._asked("POST", "iam/v1/tokens", body)["iamToken"])

    def requests(self, *paths: str) -> list[dict[str, Any]]:
        """The requests so far, of these paths or of all."""
        found = self._asked("GET", "_requests")
        return [one for one in found if not paths or one["path"] in paths]

    def ledger(self) -> dict[str, Any]:
        """The rows of all requests so far, and the peaks."""
        return dict(self._asked("GET", "_ledger"))

    def _asked(self, method: str, path: str, body: object = None) -> Any:
        with httpx.Client(trust_env=False, timeout=30) as client:
            answer = client.request(method, f"{self.root}/{path}", json=body)
        answer.raise_for_status()
        return answer.json()
