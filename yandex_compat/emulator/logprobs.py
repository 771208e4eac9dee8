"""Log probabilities of a text's tokens: made up, but the same each time (WIRE A16)."""

from typing import Any

from . import tokens

_UNLIKELY = -9999.0


def logprobs_of(text: str, top: int) -> dict[str, Any]:
    """Return the shape of A16: an entry for each token, the ``top`` likeliest beside it."""
    entries = [
        _entry(token, place) | {"top_logprobs": _top(token, place, top)}
        for place, token in enumerate(tokens.pieces(text))
    ]
    return {"content": entries, "refusal": None}


def _top(token: str, place: int, top: int) -> list[dict[str, Any]]:
    others = [_entry(f"{token}{rank}", place + rank, unlikely=rank > 1) for rank in range(1, top)]
    return [_entry(token, place), *others] if top else []


def _entry(token: str, place: int, *, unlikely: bool = False) -> dict[str, Any]:
    logprob = _UNLIKELY if unlikely else -0.125 * (1 + place % 8)
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
