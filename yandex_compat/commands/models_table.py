"""The models that a key can use, as a table: the command `yandex-compat models`."""

import sys
import warnings
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from yandex_compat import jsontext
from yandex_compat.catalogue import Model
from yandex_compat.commands.account import Account, Options
from yandex_compat.errors import YandexError
from yandex_compat.plain_http import InsecureConnectionWarning

_COLUMNS = ("model", "context", "images", "tools", "reasoning", "native API", "known")


def run(options: Options, *, as_json: bool = False) -> int:
    """Print the models; 0 if they could be had, 1 with one line on stderr if not."""
    account = Account(options)
    models = None
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", InsecureConnectionWarning)
        try:
            with account.client() as client:
                models = client.models()
        except YandexError as error:
            told = [str(error)]
        else:
            told = []
    for line in [*(str(warning.message) for warning in warned), *told]:
        sys.stderr.write(f"{account.clean(line)}\n")
    if models is None:
        return 1
    rows = [account.cleaned(_row(model)) for model in models]
    if as_json:
        sys.stdout.writelines(jsontext.encode(row).decode() + "\n" for row in rows)
    else:
        _print(rows)
    return 0


def _row(model: Model) -> dict[str, Any]:
    """What is known of a model; None where nobody tells."""
    profile = model.profile if model.known else None
    return {
        "id": model.id,
        "name": model.name,
        "kind": "embeddings" if model.id.startswith("emb:") else "text",
        "known": model.known,
        "context_window": profile.context_window if profile else None,
        "images": profile.images if profile else None,
        "tools": profile.tools if profile else None,
        "reasons": profile.reasons if profile else None,
        "native": profile.native if profile else None,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    lines = [_COLUMNS, *map(_line, rows)]
    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        table = Table(*_COLUMNS, box=box.ROUNDED)
        for line in lines[1:]:
            table.add_row(*map(Text, line))
        console.print(table)
        return
    # Other programs read it: a model is a line, whatever its length, with nothing drawn.
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (word.ljust(width) for word, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    context = row["context_window"]
    told = ["?" if context is None else str(context)]
    told += [_word(row[name]) for name in ("images", "tools", "reasons", "native")]
    if row["kind"] == "embeddings":
        told = ["-", "-", "-", "-", "yes" if row["known"] else "?"]
    return (row["id"], *told, _word(row["known"]))


def _word(value: bool | None) -> str:
    return "?" if value is None else "yes" if value else "no"
