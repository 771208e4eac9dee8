"""Finding: what one check of the doctor found, as a line for people and as one for scripts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "warning", "failed", "not checked"]


@dataclass(frozen=True, slots=True)
class Finding:
    """How a check went, what it found, and what to do where `found` does not say so itself.

    `details` are what a script may want of it, of JSON's own types.
    """

    status: Status
    found: str
    advice: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What was found and what to do, in one line."""
        return f"{self.found.rstrip('.')}. {self.advice}" if self.advice else self.found
