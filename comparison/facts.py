"""Fact: what a row found of one who was asked, and the row itself."""

from collections.abc import Callable
from dataclasses import dataclass

from comparison.service import Service
from comparison.subjects import Subject

YES, NO = "yes", "no"


@dataclass(frozen=True)
class Fact:
    """What stands in the table, and what was seen that says so."""

    cell: str
    seen: str = ""


@dataclass(frozen=True)
class Row:
    """A question to each subject. It is asked of a service that has nothing scripted or noted."""

    name: str
    title: str
    ask: Callable[[Subject, Service], Fact]


def told(error: BaseException) -> str:
    """An error in one line, short."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
