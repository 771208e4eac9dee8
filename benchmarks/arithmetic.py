"""Medians, quartiles, ratios and targets: what is made of the samples, with no clock and no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from benchmarks.subjects import FLOOR, OURS


@dataclass(frozen=True)
class Spread:
    """The median of some numbers, and the quartiles about it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Spread":
        """The spread of one number or more; ValueError for none."""
        if not numbers:
            raise ValueError("No number, so no median.")
        if len(numbers) == 1:
            return cls(numbers[0], numbers[0], numbers[0])
        low, middle, high = quantiles(numbers, n=4, method="inclusive")
        return cls(middle, low, high)


@dataclass(frozen=True)
class Ratio:
    """The ratio of two medians, and the quartiles of the ratios of single rounds."""

    of_medians: float
    low: float
    high: float


def ratio(numbers: Sequence[float], base: Sequence[float]) -> Ratio:
    """The ratio of two series that were measured in the same rounds, in their order."""
    rounds = Spread.of([one / other for one, other in zip(numbers, base, strict=True)])
    return Ratio(median(numbers) / median(base), rounds.low, rounds.high)


@dataclass
class Measured:
    """What one metric gave: for each subject and size, one number a round.

    `counted` says that the numbers are to be seen for each of so many units, the sizes being
    numbers of them.
    """

    name: str
    title: str
    unit: str
    group: str
    sizes: tuple[int, ...]
    counted: str | None = None
    samples: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def series(self, subject: str, size: int | None = None) -> list[float]:
        """A subject's numbers at a size, the largest by default; LookupError for none."""
        size = self.sizes[-1] if size is None else size
        numbers = self.samples.get(subject, {}).get(size)
        if not numbers:
            raise LookupError(f"{self.name} was not measured for {subject} at {size}.")
        return numbers

    def per_unit(self, subject: str, size: int) -> Spread:
        """A subject's spread at a size, for each unit where units are counted."""
        units = size if self.counted else 1
        return Spread.of([number / units for number in self.series(subject, size)])

    def ratio_to(self, subject: str, base: str, size: int | None = None) -> Ratio:
        """A subject against another, of the same rounds."""
        return ratio(self.series(subject, size), self.series(base, size))

    def ratio_of_ends(self, subject: str, beside: float = 0) -> Ratio:
        """The largest size against the smallest, for each unit where units are counted.

        `beside` is not counted, for each unit of the size.
        """
        first, last = (self._own(subject, size, beside) for size in (self.sizes[0], self.sizes[-1]))
        return ratio(last, first)

    def _own(self, subject: str, size: int, beside: float) -> list[float]:
        units = size if self.counted else 1
        return [(number - beside * size) / units for number in self.series(subject, size)]


VALUE, ENDS = "value", "ends"


@dataclass(frozen=True)
class Target:
    """The most that a metric of ours may be.

    `of` names the subject that it is a ratio to, or is VALUE for the number itself, or ENDS for the
    ratio of the largest size to the smallest. `beside` is what a promise costs for each unit of a
    size, in the metric's unit: it is left out of the ratio of the ends.
    """

    metric: str
    at_most: float
    of: str = FLOOR
    beside: float = 0

    @property
    def text(self) -> str:
        """The target in words."""
        against = {VALUE: "", ENDS: " of the smallest size"}.get(self.of, f" of {self.of}")
        kept = ", beside the text that is kept" if self.beside else ""
        return f"at most {self.at_most:g}{against}{kept}"


@dataclass(frozen=True)
class Verdict:
    """What was seen of a target; None where it could not be measured."""

    target: Target
    seen: float | None

    @property
    def met(self) -> bool:
        """Whether the target was reached; what could not be measured was not."""
        return self.seen is not None and self.seen <= self.target.at_most


def verdict(target: Target, measured: Mapping[str, Measured]) -> Verdict:
    """Hold one metric against its target."""
    try:
        metric = measured[target.metric]
        if target.of == VALUE:
            return Verdict(target, Spread.of(metric.series(OURS)).median)
        if target.of == ENDS:
            return Verdict(target, metric.ratio_of_ends(OURS, target.beside).of_medians)
        return Verdict(target, metric.ratio_to(OURS, target.of).of_medians)
    except LookupError:
        return Verdict(target, None)


def verdicts(targets: Iterable[Target], measured: Mapping[str, Measured]) -> list[Verdict]:
    """The verdicts of those targets whose metrics were asked for."""
    return [verdict(target, measured) for target in targets if target.metric in measured]
