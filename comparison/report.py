"""What a run found, as tables in Markdown for README."""

from collections.abc import Mapping
from typing import Any

from comparison.subjects import CHAT, EMBEDDINGS, OURS, Subject

_TIMED = {
    "ChatYandex": ("langchain.stream", "yandex-compat"),
    "YandexLLM": ("llamaindex.stream_chat", "yandex-compat"),
    "ChatOpenAI": ("langchain.stream", "ChatOpenAI"),
    "OpenAILike": ("llamaindex.stream_chat", "OpenAILike"),
}
"""Under which metric and name `make bench` measures who is asked here."""


def tables(result: Mapping[str, Any], benchmarks: Mapping[str, Any]) -> str:
    """A table of chat models and one of embeddings; LookupError for who was not asked."""
    times = _times(benchmarks)
    cells = [times.get(subject.name, "not measured") for subject in CHAT]
    timed = _row("Time of a streamed chunk, by `make bench`", CHAT, cells)
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    return "\n\n".join(
        [
            "\n".join([*_table(result["chat"], CHAT), timed]),
            "\n".join(_table(result["embeddings"], EMBEDDINGS)),
            f"Asked on {result['date']}, with {result['python']}: {versions}.",
        ]
    )


def _table(rows: Mapping[str, Any], subjects: tuple[Subject, ...]) -> list[str]:
    ours = " and ".join(f"`{one.name}`" for one in subjects if one.package == OURS)
    heads = ["", f"here: {ours}", *(_head(one) for one in subjects if one.package != OURS)]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for row in rows.values():
        cells = [row["subjects"][subject.name]["cell"] for subject in subjects]
        lines.append(_row(row["title"], subjects, cells))
    return lines


def _head(subject: Subject) -> str:
    name, _, _ = subject.name.partition(" ")
    return f"`{name}` of {subject.package}"


def _row(title: str, subjects: tuple[Subject, ...], cells: list[str]) -> str:
    told = list(zip(subjects, cells, strict=True))
    ours = dict.fromkeys(cell for subject, cell in told if subject.package == OURS)
    others = [cell for subject, cell in told if subject.package != OURS]
    return f"| {' | '.join([title, '; '.join(ours), *others])} |"


def _times(benchmarks: Mapping[str, Any]) -> dict[str, str]:
    metrics = {one["name"]: one["subjects"] for one in benchmarks["metrics"]}
    found = {}
    for name, (metric, subject) in _TIMED.items():
        [size] = metrics[metric][subject]["sizes"]
        found[name] = f"{size['median']:.1f} µs"  # milliseconds of 1,000 chunks
    return found
