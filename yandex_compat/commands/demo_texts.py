"""The texts that the demo asks about: reading them, and finding what is near to a question."""

import re
import sys
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

_PACKAGES = ("httpx", "tenacity", "starlette", "typer")
_PACKAGE_QUESTION = "What is HTTPX, and which APIs does it provide?"
_TASK_WORDS = {"count", "subtract", "word"}  # as words to be counted they would read as orders
_PIECE = 8000  # letters of a text that a model is given at once
_PASSAGE = 300  # letters of a passage that are shown


@dataclass(frozen=True)
class Texts:
    """Texts by name, and a question that suits them."""

    by_name: Mapping[str, str]
    question: str

    def counts(self) -> Counter[str]:
        """How often each word stands in all the texts."""
        return _counts(self.by_name)

    def nearest_piece(self) -> tuple[str, str]:
        """The piece of a text that shares most with the question, after the text's name."""
        spread = _beginnings(" ".join(self.by_name.values()))

        def shared(piece: tuple[str, str]) -> float:
            found = _beginnings(piece[1])
            return sum(found[one] / spread[one] for one in _beginnings(self.question) & spread)

        pieces = [
            (name, text[start : start + _PIECE])
            for name, text in self.by_name.items()
            for start in range(0, len(text), _PIECE)
        ]
        return max(pieces, key=shared)


def read_texts(files: Sequence[Path], question: str | None) -> Texts:
    """The files' texts, or what some installed packages say of themselves.

    Ends the program with one line that names the text if one holds no words.
    """
    alone = Counter(file.name for file in files)
    names = {file: file.name if alone[file.name] == 1 else str(file) for file in files}
    texts = {names[file]: _read(file) for file in files} if files else _descriptions()
    for name, text in texts.items():
        if not re.search(r"[^\W\d_]", text):
            sys.exit(f"{name} holds no words: give a file with text in it.")
    return Texts(texts, question or (_question_about(texts) if files else _PACKAGE_QUESTION))


def two_words(counts: Counter[str]) -> list[str]:
    """The two words that stand out most: they are long, and stand there often."""
    weights = {
        word: n * max(len(word) - 3, 0) * word.isalpha()
        for word, n in counts.items()
        if word not in _TASK_WORDS
    }
    return [*sorted(weights, key=lambda word: (-weights[word], word)), "the", "a"][:2]


def nearest_passage(text: str, answer: str) -> tuple[int, str]:
    """How much of an answer stands in one sentence of a text, and the text from there on."""
    parts = re.split(r"(?<=[.!?…])\s+|\n\s*\n|\n(?=[*•|-])", without_tags(text).strip())
    sought = set(_beginnings(answer))
    shared = [len(sought & set(_beginnings(part))) for part in parts]
    most = max(shared)
    # An answer of several sentences is shown from its first on, which need not be the longest.
    place = next(place for place, number in enumerate(shared) if 2 * number >= most)
    shown = textwrap.shorten(" ".join(parts[place:]), _PASSAGE, placeholder=" …")
    return most, f"… {shown}" if place else shown


def without_tags(text: str) -> str:
    """The text without HTML's tags and comments; other angle brackets stay."""
    return re.sub(r"<!--.*?-->|</?[a-zA-Z][^<>]*>", " ", text, flags=re.DOTALL)


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        sys.exit(f"{file} is no text in UTF-8: give a text file, or convert it to UTF-8 first.")
    # A NUL is valid UTF-8, but no text holds one.
    return "" if "\0" in text else text


def _descriptions() -> dict[str, str]:
    texts = {}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            texts[package] = without_tags(str(metadata(package).json["description"]))
    if not texts:
        sys.exit(f"None of {', '.join(_PACKAGES)} is installed: give a FILE to ask about.")
    return texts


def _question_about(texts: Mapping[str, str]) -> str:
    """A question that the texts can answer, in their language."""
    word = two_words(_counts(texts))[0]
    russian = re.search("[а-яё]", word)
    return f"Что сказано про «{word}»?" if russian else f"What is said about '{word}'?"


def _counts(texts: Mapping[str, str]) -> Counter[str]:
    return Counter(re.findall(r"\w+", " ".join(texts.values()).lower()))


def _beginnings(text: str) -> Counter[str]:
    # Long words are cut short, so that most forms of a word are one.
    return Counter(word[:5] for word in re.findall(r"\w+", text.lower()) if len(word) > 3)
