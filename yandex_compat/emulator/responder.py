"""A small deterministic stand-in for a model: calls, JSON, or text from what it was given."""

import re
from collections import Counter

from . import findings
from .answers import Answer, as_json
from .filling import Filling
from .planning import next_calls
from .prompts import Prompt
from .words import stems

_MOST_SENTENCES = 3
_NEAR_BEST = 0.7
_MUCH_SHARED = 0.5
_BESIDE_FENCE = 1000
_FENCED = re.compile(r"^(([-=*~_\"'])\2{2,})[^\S\n]*\n(.+)\n\1[^\S\n]*$", re.DOTALL | re.MULTILINE)
_APART = re.compile(r"\n[\W_]*\n")


def respond(prompt: Prompt) -> Answer:
    """Answer a prompt: the calls it still asks for, else JSON if it must be, else text."""
    asked = _question(_request(prompt.question()))
    reasoning = f"The user asks: {asked}" if prompt.reasons else ""
    if calls := next_calls(prompt):
        return Answer(reasoning=reasoning, calls=calls, finish_reason="tool_calls")
    return Answer(_json(prompt) or _text(prompt), reasoning)


def _json(prompt: Prompt) -> str:
    schema = prompt.schema
    if schema is None and prompt.json_object:
        keys = findings.keys("\n".join(turn.text for turn in prompt.turns)) or ["answer"]
        schema = {"type": "object", "properties": {key: {"type": "string"} for key in keys}}
    if schema is None:
        return ""
    return as_json(Filling(schema, prompt.question(), prompt.results()).value())


def _text(prompt: Prompt) -> str:
    if results := prompt.results():
        return f"Here is what I found: {'; '.join(results)}"
    message = prompt.question()
    request = _request(message)
    question = _question(request)
    if fenced := _fenced(message):
        return _passage(fenced[3], question) or _opening(fenced[3])
    # The paragraphs beside the request are what it is about. Its own other sentences, and what was
    # said elsewhere, may be instructions: beside such paragraphs they must share much with it.
    beside, within = message.replace(request, "\n"), request.replace(question, "\n")
    shared = _MUCH_SHARED if stems(beside) else 0
    passage = (
        _passage(beside, question)
        or _passage(within, question, shared)
        or _passage(prompt.context(message), question, shared)
    )
    return passage or f"You said: {question or 'nothing'}"


def _fenced(message: str) -> re.Match[str] | None:
    """Find what two rules alike set apart (group 3), if little else stands in the message."""
    found = _FENCED.search(message)
    return found if found and len(message) - len(found[3]) < _BESIDE_FENCE else None


def _request(message: str) -> str:
    """Return the last paragraph; one that is a single question, if that one asks nothing."""
    if fenced := _fenced(message):
        message = f"{message[: fenced.start()]}\n\n{message[fenced.end() :]}"
    paragraphs = [part for part in _APART.split(message) if re.search(r"\w", part)] or [""]
    if "?" in paragraphs[-1]:
        return paragraphs[-1]
    found = [part for part in paragraphs if len(findings.sentences(part)) == 1]
    return ([part for part in found if part.rstrip().endswith("?")] or paragraphs)[-1]


def _question(request: str) -> str:
    """Return the last sentence that asks, else the last line that is more than a label."""
    parts = findings.sentences(request)
    asking = [part for part in parts if part.endswith("?")]
    saying = [part for part in parts if re.search(r"\w", part) and not part.endswith(":")]
    return (asking or saying or [""])[-1]


def _opening(context: str) -> str:
    """Return the first whole sentence, else the longest line: titles and labels are short."""
    parts = findings.sentences(context)
    whole = (part for part in parts if part.endswith((".", "!", "…")))
    return next(whole, max(parts, key=len, default=""))


def _passage(context: str, question: str, least: float = 0) -> str:
    """Return the sentences nearest to the question, in their order; rare words weigh more.

    ``least`` is the part of the question's words that a sentence must share.
    """
    sentences = [part for part in findings.sentences(context) if not part.endswith(("?", ":"))]
    found = [stems(sentence) for sentence in sentences]
    spread = Counter(stem for one in found for stem in one)
    asked = stems(question)
    scores = [
        sum(1 / spread[stem] for stem in one & asked)
        if len(one & asked) >= least * len(asked)
        else 0
        for one in found
    ]
    enough = max(max(scores, default=0) * _NEAR_BEST, 1e-9)
    best = sorted(range(len(scores)), key=lambda place: -scores[place])[:_MOST_SENTENCES]
    return " ".join(
        dict.fromkeys(sentences[place] for place in sorted(best) if scores[place] >= enough)
    )
