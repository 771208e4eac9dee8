"""What the responder is asked, whichever API asked it."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Turn:
    """One message's text; ``calls`` names the tools that an assistant called."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool on offer; without ``parameters`` it takes free text."""

    name: str
    description: str
    parameters: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation and what the answer may look like.

    ``choice`` named means that the only tool of ``tools`` must be called once.
    ``schema`` is a JSON schema; with ``json_object`` any object will do.
    """

    turns: tuple[Turn, ...]
    tools: tuple[ToolSpec, ...] = ()
    choice: Literal["none", "auto", "required", "named"] = "auto"
    parallel: bool = True
    schema: dict[str, Any] | None = None
    json_object: bool = False
    reasons: bool = False

    def question(self) -> str:
        """Return the last thing that the user said."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user"), "")

    def results(self) -> tuple[str, ...]:
        """Return the tool results since then, in order."""
        return tuple(turn.text for turn in self._since_question() if turn.role == "tool")

    def called(self) -> set[str]:
        """Return the names of the tools called since then."""
        return {name for turn in self._since_question() for name in turn.calls}

    def context(self, question: str) -> str:
        """Return everything that was said to the model except ``question``."""
        said = [turn.text for turn in self.turns if turn.role in ("system", "user")]
        return "\n".join(said).replace(question, "\n")

    def _since_question(self) -> tuple[Turn, ...]:
        places = [place for place, turn in enumerate(self.turns) if turn.role == "user"]
        return self.turns[places[-1] + 1 :] if places else self.turns
