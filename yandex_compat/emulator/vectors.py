"""Lexical vectors: texts that share words lie close, and nothing needs to be learned."""

import math
from collections import Counter
from hashlib import blake2b

from .words import STOP_WORDS, stem, words

SIZE = 256
_TRIGRAM_WEIGHT = 0.15
_STOP_WEIGHT = 0.1
_KIND_WEIGHT = 0.1


def vector(text: str, kind: str) -> list[float]:
    """Return 256 numbers of unit length for a text.

    ``kind`` is the model's name: vectors of documents and queries are comparable, and those of
    one text differ a little, so that a mix-up shows.
    """
    features = _features(text)
    direction = [0.0] * SIZE
    for feature, weight in features.items():
        _add(direction, feature, weight)
    direction = _unit(direction)
    _add(direction, f"kind:{kind}", _KIND_WEIGHT)
    return _unit(direction)


def _features(text: str) -> dict[str, float]:
    found = words(text)
    features = {
        f"word:{stem_}": 1 + math.log(times)
        for stem_, times in Counter(stem(word) for word in found if word not in STOP_WORDS).items()
    }
    for word in STOP_WORDS.intersection(found):
        features[f"stop:{word}"] = _STOP_WEIGHT
    trigrams = Counter(
        f" {word} "[start : start + 3] for word in found for start in range(len(word))
    )
    for trigram, times in trigrams.items():
        features[f"part:{trigram}"] = _TRIGRAM_WEIGHT * (1 + math.log(times))
    # A text of signs alone must have a direction, too.
    return features or {f"text:{text}": 1.0}


def _add(direction: list[float], feature: str, weight: float) -> None:
    # Two places for each feature: a clash in one of them leaves the other.
    digest = blake2b(feature.encode(), digest_size=6).digest()
    for place, sign in ((digest[0], digest[1]), (digest[2], digest[3])):
        direction[place] += weight if sign & 1 else -weight


def _unit(direction: list[float]) -> list[float]:
    length = math.hypot(*direction) or 1.0
    return [number / length for number in direction]
