"""What a text offers as values: labelled values, numbers, phrases."""

import re
from collections.abc import Iterable
from math import isfinite

from .words import STOP_WORDS, content_words, words

_QUOTED = r"(?<!\w)'([^'\n]+)'(?!\w)|\"([^\"\n]+)\"|«([^»\n]+)»|“([^”\n]+)”"
_NUMBER = r"(?<![\w.])-?\d{1,3}(?:,\d{3})+(?!\d)|(?<![\w.])-?\d+(?:\.\d+)?"
_MOMENT = r"(?<![\w.-])\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?Z?)?(?![\w-])"
_SUM = r"\(?\d[\d.]*(?:\s*[-+*/^×÷]\s*\(?\d[\d.]*\)?)+"
_CODE = r"(?<!\w)[^\W\d_]+[-_]?\d[\w-]*"
_CAPITAL = r"[A-ZÀ-ÞА-ЯЁ][^\W\d_](?:[^\W\d_]|['’-])+"
_NAME = rf"{_CAPITAL}(?: {_CAPITAL})*(?:, [A-Z]{{2}}\b)?(?![\w]*\s*[:=])"
_PLAIN = r"(?:[^\n;,.?!]|[.,](?=\S))+"
_CODED = r"[^\W\d_]{0,5}-?\d[\w-]*"
_START = r"(?<![^\W_])"
_END = r"\s(?:and|и)\s|[\n;,.?!]|$"
_SHORT = 3
_ORDER_WORDS = """
    add answer ask book calculate check compare compute convert create describe do extract find
    generate list look make multiply name open order read say search send show subtract sum
    summarise summarize translate write найди напиши переведи покажи посчитай назови создай сложи
    умножь вычисли сравни узнай составь отправь проверь извлеки
"""
_ORDERS = frozenset(_ORDER_WORDS.split())

SUM = re.compile(_SUM)
_PHRASE = re.compile(f"(?:{_QUOTED})|(?P<sum>{_SUM})|(?P<code>{_CODE})|(?P<name>{_NAME})")


def sentences(text: str) -> list[str]:
    """Split a text after the signs that end a sentence, and at line ends.

    A line that goes on in lower case is the same sentence, folded.
    """
    unfolded = re.sub(r"(?<=[\w,]) *\n(?=[^\W\d_A-ZА-ЯЁ])", " ", text)
    return [part.strip() for part in re.split(r"(?<=[.!?…])\s+|\n+", unfolded) if part.strip()]


def numbers(text: str) -> list[float]:
    """Return the numbers of a text in order; a date, and its time, hold none."""
    text = re.sub(_MOMENT, " ", text)
    # A minus after a digit is an operator: 3-2 holds 3 and 2.
    apart = re.sub(r"(?<=\d) *- *(?=\d)", " ", text)
    found = [float(one.replace(",", "")) for one in re.findall(_NUMBER, apart)]
    return [one for one in found if isfinite(one)]


def phrases(text: str) -> list[str]:
    """Return what is quoted, then sums, codes and capitalised names, each in order."""
    quoted, plain = [], []
    for match in _PHRASE.finditer(text):
        if match.lastgroup is None:
            quoted.append(next(filter(None, match.groups())))
            continue
        before = text[max(0, match.start() - 2) : match.start()].rstrip(" ")
        opens = not before or before[-1] in ".!?:\n"
        phrase = _without_orders(match[0]) if opens else match[0]
        if not set(words(phrase)) <= STOP_WORDS:
            plain.append(phrase)
    return quoted + plain


def labelled(text: str, label: str, clues: Iterable[str]) -> str | None:
    """Return what follows ``label:``, ``label =`` or ``label is``; of a clue, only ``clue:``."""
    name = _pattern(label)
    openings = [rf"{name}[\"')]*(?:\s*[:=]\s*|\s+[-–—]\s+)"]
    openings += [rf"{_pattern(clue)}[\"')]*\s*[:=]\s*" for clue in clues]
    for opening in openings:
        if found := re.search(rf"{_START}{opening}(?:{_QUOTED}|({_PLAIN}))", text, re.IGNORECASE):
            return _first(found)
    said = rf"{name}\s+(?:is|are|это|равен|равна|равно)\s+(?:{_QUOTED}|({_PLAIN}?)(?={_END}))"
    found = re.search(_START + said, text, re.IGNORECASE)
    return _first(found) if found else None


def labelled_number(text: str, labels: Iterable[str]) -> float | None:
    """Return the number that stands right beside a label."""
    for label in map(_pattern, labels):
        after = rf"{_START}{label}[\"')]*\s*(?:[:=–—]|is\b|равен|равна)?\s*({_NUMBER})"
        before = rf"({_NUMBER})\s+{label}\b"
        if found := re.search(f"{after}|{before}", text, re.IGNORECASE):
            return numbers(_first(found))[0]
    return None


def numbered(text: str, label: str) -> str | None:
    """Return the number or code that follows a word of the label: ``order #42``."""
    for word in content_words(label):
        pattern = rf"{_START}{_pattern(word)}\s*(?:id\b|number\b|no\.|номер\b|№)?\s*#?({_CODED})"
        if found := re.search(pattern, text, re.IGNORECASE):
            return found[1]
    return None


def listed(text: str, label: str) -> list[str]:
    """Return the items of a labelled list: ``tags: red, green and blue``."""
    found = re.search(rf"{_START}{_pattern(label)}\s*[:=]\s*([^\n.;]+)", text, re.IGNORECASE)
    items = re.split(r",\s*|\s+(?:and|и)\s+", found[1]) if found else []
    return [item.strip("[]\"' ") for item in items if item.strip("[]\"' ")]


def keys(text: str) -> list[str]:
    """Return the quoted words of a text."""
    return list(dict.fromkeys(re.findall(r"['\"«“`](\w+)['\"»”`]", text)))


def gist(text: str) -> str:
    """Return a phrase of the words that say something."""
    return " ".join(content_words(text)[:8])


def _pattern(label: str) -> str:
    """Match a label however its words are joined, and with a short ending."""
    name = r"[ _-]?".join(map(re.escape, words(label))) or r"(?!)"
    return name + (r"\w{0,3}" if len(label) > _SHORT else "")


def _first(match: re.Match[str]) -> str:
    value: str = next(filter(None, match.groups()))
    return value.strip(" \"'")


def _without_orders(phrase: str) -> str:
    """Drop the capitalised words that only begin a sentence."""
    found = phrase.split(" ")
    first = (place for place, word in enumerate(found) if not _is_order(word))
    return " ".join(found[next(first, len(found)) :])


def _is_order(word: str) -> bool:
    return all(one in STOP_WORDS or one in _ORDERS for one in words(word))
