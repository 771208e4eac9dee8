"""Which tools a request asks for, in which order, by lexical overlap alone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from . import findings
from .answers import Call, as_json
from .filling import Filling
from .prompts import Prompt, ToolSpec
from .words import stems, words

_QUOTED = r"'[^'\n]+'(?!\w)|\"[^\"\n]+\"|«[^»\n]+»"
_STAGE = re.compile(
    rf"{_QUOTED}|(?P<cut>(?:,?\s+(?:and|и))?[\s,;.]+"
    r"(?:and then|then|after that|afterwards|finally|затем|потом|после этого|после чего)\b,?)",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    rf"{_QUOTED}|(?P<cut>,?\s+(?:and also|as well as|and|а также|и|also)\s+|[,;]\s+"
    r"|(?<=[.?!])\s+|\n+)",
    re.IGNORECASE,
)
_MOST_CALLS = 16  # in one turn
_SIGNS = {
    "+": "add sum plus",
    "-": "subtract minus difference",
    "*": "multiply product times",
    "/": "divide division",
    "": "calculate calculator compute arithmetic expression math",
}


@dataclass(slots=True)
class _Step:
    """A call to be made and the words that ask for it."""

    tool: ToolSpec
    clause: str
    complete: bool = False

    def wants_again(self, fragment: str) -> bool:
        """Tell whether a fragment holds arguments for a call of its own."""
        required = (self.tool.parameters or {}).get("required") or ()
        # More words never take an argument away, so once complete is complete.
        self.complete = self.complete or self._missing(self.clause) == 0
        return self.complete and self._missing(fragment) < len(required)

    def _missing(self, text: str) -> int:
        return Filling(self.tool.parameters or {}, text, aside=self.tool.name).missing()


def next_calls(prompt: Prompt) -> tuple[Call, ...]:
    """Return the calls to be made now; none if everything asked for was called already."""
    if not prompt.tools or prompt.choice == "none":
        return ()
    if prompt.turns[-1].role not in ("user", "tool"):
        return ()
    results = prompt.results()
    steps = list(_steps_left(prompt, len(results)))
    if not prompt.parallel:
        steps = steps[:1]
    return tuple(_call(step, results, prompt.question()) for step in steps)


def _steps_left(prompt: Prompt, done: int) -> list[_Step]:
    """Skip the calls that have results; what is left of a stage is called at once."""
    whole = prompt.question()
    if prompt.choice == "named" or (
        prompt.choice == "required" and len(prompt.tools) == 1 and not done
    ):
        return [_Step(prompt.tools[0], whole)]
    for stage in _cut(_STAGE, whole):
        steps = _steps(stage[1], prompt.tools)
        if done < len(steps):
            return steps[done:]
        done -= len(steps)
    if prompt.choice == "required":
        return [_Step(_uncalled(prompt), whole)]
    return []


def _uncalled(prompt: Prompt) -> ToolSpec:
    called = prompt.called()
    fresh = [tool for tool in prompt.tools if tool.name not in called]
    return (fresh or prompt.tools)[0]


def _steps(stage: str, tools: tuple[ToolSpec, ...]) -> list[_Step]:
    fragments = list(_cut(_CLAUSE, stage))
    # A comma alone opens no call, or "San Francisco, CA" were two; in a list an "and" follows.
    last_and = max((place for place, (joint, _) in enumerate(fragments) if words(joint)), default=0)
    steps: list[_Step] = []
    opening = ""
    for place, (joint, fragment) in enumerate(fragments):
        tool = _pick(fragment, tools) if len(steps) < _MOST_CALLS else None
        listed = 0 < place <= last_and and bool(joint.strip()) and len(steps) < _MOST_CALLS
        if not steps:
            opening += joint + fragment
            if tool is not None:
                steps.append(_Step(tool, opening))
        elif tool is not None and tool is not steps[-1].tool:
            steps.append(_Step(tool, fragment))
        elif (tool or listed) and steps[-1].wants_again(fragment):
            steps.append(_Step(steps[-1].tool, fragment))
        else:
            steps[-1].clause += joint + fragment
    return steps


def _pick(clause: str, tools: tuple[ToolSpec, ...]) -> ToolSpec | None:
    scores = [_overlap(clause, tool) for tool in tools]
    return tools[scores.index(max(scores))] if any(scores) else None


def _overlap(clause: str, tool: ToolSpec) -> int:
    said = stems(clause + " " + _signs(clause))
    parameters = " ".join((tool.parameters or {}).get("properties") or ())
    named = 10 * bool(re.search(rf"(?<!\w){re.escape(tool.name)}(?!\w)", clause))
    name = 3 * len(said & stems(tool.name))
    return named + name + len(said & stems(f"{tool.description} {parameters}"))


def _signs(clause: str) -> str:
    found = findings.SUM.search(clause)
    return " ".join(said for sign, said in _SIGNS.items() if found and sign in found[0])


def _call(step: _Step, results: tuple[str, ...], whole: str) -> Call:
    if step.tool.parameters is None:
        return Call(step.tool.name, step.clause.strip(), custom=True)
    rest = whole.replace(step.clause, " ")
    filling = Filling(
        step.tool.parameters, step.clause, results, rest, aside=step.tool.name, sparse=True
    )
    value = filling.value()
    return Call(step.tool.name, as_json(value if isinstance(value, dict) else {}))


def _cut(separator: re.Pattern[str], text: str) -> Iterator[tuple[str, str]]:
    """Yield (what joins it to the fragment before, fragment); quoted text is never cut."""
    joint, start = "", 0
    for match in separator.finditer(text):
        if match["cut"] is not None:
            if text[start : match.start()].strip():
                yield joint, text[start : match.start()]
            joint, start = match["cut"], match.end()
    if text[start:].strip():
        yield joint, text[start:]
