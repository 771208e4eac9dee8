"""What a run found, as JSON, as tables in Markdown, and as a plot."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.arithmetic import ENDS, VALUE, Measured, Verdict
from benchmarks.subjects import FLOOR, LIKE, MISTRAL, OPENAI, OPENAI_EMBEDDINGS, OURS

_ORDER = (OURS, OPENAI, LIKE, MISTRAL, OPENAI_EMBEDDINGS, FLOOR)
# Of a bar, where the room of a metric is 1: three bars fit into it.
_THICK = 0.27
_COLOURS = {
    OURS: "#1f6fb4", OPENAI: "#c9822b", MISTRAL: "#8c6bb1", LIKE: "#c9822b",
    OPENAI_EMBEDDINGS: "#c9822b",
}  # fmt: skip


def as_json(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """The metrics with every sample."""
    return [
        {
            "name": one.name,
            "title": one.title,
            "unit": one.unit,
            "counted": one.counted,
            "subjects": {name: _subject(one, name) for name in _measured_subjects(one)},
            "failures": one.failures,
        }
        for one in measured
    ]


def told_targets(found: Sequence[Verdict]) -> list[dict[str, Any]]:
    """The targets, and what was seen of them."""
    return [
        {
            "metric": one.target.metric,
            "at_most": one.target.at_most,
            "of": one.target.of,
            "beside": one.target.beside,
            "seen": one.seen if one.seen is None else round(one.seen, 4),
            "met": one.met,
        }
        for one in found
    ]


def from_json(metrics: Sequence[Mapping[str, Any]]) -> list[Measured]:
    """The metrics of a result as they were measured."""
    found = []
    for told in metrics:
        samples = {
            name: {row["size"]: row["samples"] for row in subject["sizes"]}
            for name, subject in told["subjects"].items()
        }
        sizes = tuple(next(iter(samples.values()), {}))
        found.append(
            Measured(
                told["name"], told["title"], told["unit"], "", sizes, told["counted"],
                samples, told["failures"],
            )
        )  # fmt: skip
    return found


def _subject(metric: Measured, name: str) -> dict[str, Any]:
    sizes = []
    for size in metric.sizes:
        numbers = metric.series(name, size)
        spread = metric.per_unit(name, size)
        row: dict[str, Any] = {
            "size": size,
            "median": spread.median,
            "quartiles": [spread.low, spread.high],
            "samples": [round(number, 4) for number in numbers],
        }
        if FLOOR in metric.samples:
            found = metric.ratio_to(name, FLOOR, size)
            row["ratio_to_floor"] = round(found.of_medians, 4)
            row["ratio_quartiles"] = [round(found.low, 4), round(found.high, 4)]
        sizes.append(row)
    if len(sizes) == 1:
        return {"sizes": sizes}
    ends = metric.ratio_of_ends(name)
    return {"sizes": sizes, "ratio_of_ends": round(ends.of_medians, 4)}


def _measured_subjects(metric: Measured) -> list[str]:
    return [name for name in _ORDER if name in metric.samples]


def tables(measured: Sequence[Measured], found: Sequence[Verdict]) -> str:
    """Every metric with its ratios and target, those that grow with size, and what failed."""
    by_metric = {one.target.metric: one for one in found}
    whole = [one for one in measured if len(one.sizes) == 1 and one.unit != "pieces"]
    first = [one for one in measured if one.unit == "pieces"]
    growing = [one for one in measured if len(one.sizes) > 1]
    parts = [
        _table(
            ["metric", "subject", "median", "quartiles", "ratio to floor", "quartiles", "target"],
            (row for one in whole for row in _rows(one, by_metric.get(one.name))),
        ),
        _table(
            ["growth", "subject", "sizes", "for each", "largest to smallest", "to floor", "target"],
            (row for one in growing for row in _growth_rows(one, by_metric.get(one.name))),
        ),
        _table(
            ["pieces sent by the first chunk", "of each subject", "target"],
            ([one.title, _each(one), _told(by_metric.get(one.name))] for one in first),
        ),
        _table(
            ["target of", "at most", "seen", "met"],
            (
                [_name(one), one.target.text, _seen(one), "yes" if one.met else "NO"]
                for one in found
            ),
        ),
        _table(
            ["not measured", "subject", "why"],
            ([one.name, name, why] for one in measured for name, why in one.failures.items()),
        ),
    ]
    return "\n\n".join(filter(None, parts))


def summary(measured: Sequence[Measured], found: Sequence[Verdict]) -> str:
    """A row for each metric: ours, its peers and the floor side by side, and the target.

    What grows is shown for the smallest and the largest size; the stream hooks share a row.
    """
    by_metric = {one.target.metric: one for one in found}
    hooks = [one for one in measured if one.unit == "pieces"]
    rows = [_summed(one, by_metric.get(one.name)) for one in measured if one not in hooks]
    if hooks:
        told = [by_metric[one.name] for one in hooks if one.name in by_metric]
        rows.append(_summed_hooks(hooks, told))
    return _table(["", *_ORDER, "of the floor", "target"], rows)


def _summed_hooks(hooks: Sequence[Measured], found: Sequence[Verdict]) -> list[str]:
    """The worst of a subject's hooks, and how many of ours met their target."""
    cells = []
    for name in _ORDER:
        seen = [one.per_unit(name, one.sizes[0]).median for one in hooks if name in one.samples]
        cells.append(f"{max(seen):g}" if seen else "")
    missed = ", ".join(one.target.metric for one in found if not one.met)
    told = f"{found[0].target.text}: met by all {len(found)} hooks" if found else ""
    if missed:
        told = f"{found[0].target.text}: MISSED by {missed}"
    return ["pieces sent when a stream hook gave its first chunk", *cells, "", told]


def _summed(metric: Measured, verdict: Verdict | None) -> list[str]:
    cells = [_at_ends(metric, name) if name in metric.samples else "" for name in _ORDER]
    of_floor = ""
    if {OURS, FLOOR} <= metric.samples.keys():
        of_floor = f"{metric.ratio_to(OURS, FLOOR).of_medians:.2f}"
    return [metric.title, *cells, of_floor, _told(verdict)]


def _at_ends(metric: Measured, name: str) -> str:
    scaled = 1000 if metric.counted and metric.unit == "ms" else 1
    unit = "µs" if scaled > 1 else metric.unit
    ends = dict.fromkeys((metric.sizes[0], metric.sizes[-1]))
    numbers = [_number(metric.per_unit(name, size).median * scaled) for size in ends]
    return f"{' … '.join(numbers)} {unit}"


def _rows(metric: Measured, verdict: Verdict | None) -> Iterator[list[str]]:
    for name in _measured_subjects(metric):
        spread = metric.per_unit(name, metric.sizes[0])
        row = [metric.title, name, _with_unit(spread.median, metric.unit)]
        row.append(f"{_number(spread.low)} … {_number(spread.high)}")
        if FLOOR in metric.samples:
            ratio = metric.ratio_to(name, FLOOR)
            row += [f"{ratio.of_medians:.2f}", f"{ratio.low:.2f} … {ratio.high:.2f}"]
        else:
            row += ["", ""]
        yield [*row, _told(verdict) if name == OURS else ""]


def _growth_rows(metric: Measured, verdict: Verdict | None) -> Iterator[list[str]]:
    for name in _measured_subjects(metric):
        scaled = 1000 if metric.counted and metric.unit == "ms" else 1
        unit = "µs" if scaled > 1 else metric.unit
        numbers = [metric.per_unit(name, size).median * scaled for size in metric.sizes]
        yield [
            metric.title,
            name,
            " / ".join(f"{size:,}" for size in metric.sizes),
            " / ".join(map(_number, numbers)) + f" {unit}",
            f"{metric.ratio_of_ends(name).of_medians:.2f}",
            f"{metric.ratio_to(name, FLOOR).of_medians:.2f}" if FLOOR in metric.samples else "",
            _told(verdict) if name == OURS else "",
        ]


def _each(metric: Measured) -> str:
    names = _measured_subjects(metric)
    return ", ".join(f"{name} {metric.per_unit(name, metric.sizes[0]).median:g}" for name in names)


def _with_unit(number: float, unit: str) -> str:
    return f"{_number(number)} {unit}"


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:.4g}"


def _told(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    return f"{verdict.target.text}: {_seen(verdict)}, {'met' if verdict.met else 'MISSED'}"


def _seen(verdict: Verdict) -> str:
    return "not measured" if verdict.seen is None else f"{verdict.seen:.2f}"


def _name(verdict: Verdict) -> str:
    return f"`{verdict.target.metric}`"


def _table(heads: Sequence[str], rows: Iterable[list[str]]) -> str:
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *lines])


def plot(
    measured: Sequence[Measured], found: Sequence[Verdict], machine: Mapping[str, Any], path: Path
) -> None:
    """Draw the ratios to the floor, a bar for each subject, with the targets marked."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shown = [one for one in measured if FLOOR in one.samples and OURS in one.samples]
    shown = [one for one in shown if one.unit != "pieces"][::-1]
    figure, axes = pyplot.subplots(figsize=(10, 1.5 + 0.55 * len(shown)), layout="constrained")
    for place, metric in enumerate(shown):
        names = [name for name in _measured_subjects(metric) if name != FLOOR]
        for number, name in enumerate(names):
            ratio = metric.ratio_to(name, FLOOR)
            at = place + _THICK * ((len(names) - 1) / 2 - number)
            # From the floor: on a scale of ratios, a bar has no other beginning.
            axes.barh(at, ratio.of_medians - 1, _THICK * 0.92, left=1, color=_COLOURS[name])
            axes.plot([ratio.low, ratio.high], [at, at], color="#333333", linewidth=1)
            left = ratio.of_medians < 1
            end = min(ratio.low, ratio.of_medians) if left else max(ratio.high, ratio.of_medians)
            axes.annotate(
                f"{ratio.of_medians:.2f}", (end, at), xytext=(-3 if left else 3, 0),
                textcoords="offset points", fontsize=7, va="center",
                ha="right" if left else "left",
            )  # fmt: skip
        if (most := _mark(metric, found)) is not None:
            axes.plot([most, most], [place - 0.45, place + 0.45], color="#c0392b", linewidth=2)
    axes.set_xscale("log")
    axes.axvline(1, color="#333333", linewidth=0.8)
    ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20]
    low, high = axes.get_xlim()
    axes.set_xticks([tick for tick in ticks if low <= tick <= high])
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(low / 1.15, high * 1.15)
    axes.set_yticks(range(len(shown)), [_label(one) for one in shown], fontsize=8)
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.set_xlabel("ratio to the floor, less is better; thin lines: quartiles of the rounds")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(
        handles=[
            Patch(color=_COLOURS[OURS], label=OURS),
            Patch(color=_COLOURS[OPENAI], label=f"{OPENAI}, {LIKE}, {OPENAI_EMBEDDINGS}"),
            Patch(color=_COLOURS[MISTRAL], label=MISTRAL),
            Line2D([], [], color="#c0392b", linewidth=2, label="our target, at most"),
        ],
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, fontsize=8, frameon=False,
    )  # fmt: skip
    axes.set_title(f"{machine['cpu']}, {machine['cores']} cores, {machine['python']}", pad=28)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _label(metric: Measured) -> str:
    if len(metric.sizes) == 1:
        return metric.title
    return f"{metric.title}: {metric.sizes[-1]:,}"


def _mark(metric: Measured, found: Sequence[Verdict]) -> float | None:
    """Where a target stands on the scale of ratios to the floor."""
    for one in found:
        if one.target.metric != metric.name or one.target.of in (VALUE, ENDS):
            continue
        if one.target.of == FLOOR:
            return one.target.at_most
        if one.target.of in metric.samples:
            return one.target.at_most * metric.ratio_to(one.target.of, FLOOR).of_medians
    return None
