"""A tokenizer for counting and cutting: words in pieces of six letters, single signs."""

import re

_PIECE = re.compile(r"\s*(?:\w{1,6}|[^\w\s])(?:\s+$)?|^\s+$")


def pieces(text: str) -> list[str]:
    """Split a text into tokens that join to the text again."""
    return _PIECE.findall(text)


def count(*texts: str) -> int:
    """Return how many tokens the texts hold together."""
    return sum(len(pieces(text)) for text in texts)
