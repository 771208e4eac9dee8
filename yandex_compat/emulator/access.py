"""Who may ask: keys, IAM tokens and folders."""

from dataclasses import dataclass, field

from starlette.datastructures import Headers

from .authorized_keys import AuthorizedKeys
from .issued_tokens import IssuedTokens
from .refusals import refused


@dataclass(frozen=True, slots=True)
class Access:
    """The keys, tokens and folders of the one account that the emulator knows."""

    api_keys: tuple[str, ...]
    folders: tuple[str, ...]
    iam_tokens: tuple[str, ...]
    oauth_tokens: tuple[str, ...] = ()
    issued: IssuedTokens = field(default_factory=IssuedTokens)
    keys: AuthorizedKeys = field(default_factory=AuthorizedKeys)

    def check(self, headers: Headers) -> None:
        """Refuse a chat request without a known key (401) or with another's folder (400)."""
        bearers = self.api_keys + self.iam_tokens
        self._check_credential(headers, bearers)
        self.check_folder(headers.get("openai-project") or self.folders[0])

    def check_native(self, headers: Headers) -> None:
        """Refuse a native request, as ``check`` does; here a bearer is an IAM token."""
        self._check_credential(headers, self.iam_tokens)
        self.check_folder(headers.get("x-folder-id") or self.folders[0])

    def _check_credential(self, headers: Headers, bearers: tuple[str, ...]) -> None:
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        known = {"Api-Key": self.api_keys, "Bearer": bearers}
        if not secret:
            raise refused(16, "Authorization header is missing or has no key")
        if scheme not in known:
            raise refused(16, "Unknown authorization scheme, use Api-Key or Bearer")
        if scheme == "Bearer" and self.issued.is_good(secret):
            return
        if secret not in known[scheme]:
            raise refused(16, "Unknown api key" if scheme == "Api-Key" else "The token is invalid")

    def check_folder(self, folder: str) -> None:
        """Refuse a folder that is not the account's."""
        if folder not in self.folders:
            raise refused(
                3,
                f"Specified folder ID '{folder}' does not match with service account folder ID "
                f"'{self.folders[0]}'",
            )
