"""The command line: `yandex-compat demo` and `yandex-compat emulator`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

try:
    import typer
except ImportError:
    sys.exit("The command line needs typer and rich: pip install 'yandex-compat[all]'")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@contextmanager
def _needed(what: str, extra: str) -> Iterator[None]:
    """End the program with one line instead of a traceback if an import fails."""
    try:
        yield
    except ImportError as error:
        # Our packages raise their own ImportError from that of the module that is missing.
        missing = error.name or getattr(error.__cause__, "name", None) or "more"
        needed = missing.partition(".")[0]
        sys.exit(f"{what} needs {needed}: pip install 'yandex-compat[{extra}]'")


@app.callback()
def yandex_compat() -> None:
    """Models of Yandex Cloud AI Studio for LangChain and LlamaIndex."""


@app.command()
def demo(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="Texts to ask about; by default, descriptions of installed packages.",
        ),
    ] = None,
    question: Annotated[
        str | None, typer.Option(help="What to ask the texts.", show_default=False)
    ] = None,
    model: Annotated[str, typer.Option(help="Which model to talk to.")] = "yandexgpt",
) -> None:
    """Run the main job: a chain, an agent, a parsed answer, a query engine, a FunctionAgent.

    Talks to the cloud where YC_API_KEY (or YC_IAM_TOKEN) and YC_FOLDER_ID are set, else to an
    emulator of its own.
    """
    with _needed("The demo", "all"):
        import yandex_compat.emulator  # noqa: F401 -- the demo starts it as a process
        from yandex_compat.demo import run

    raise typer.Exit(run(files or [], question, model))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def emulator(context: typer.Context) -> None:
    """Serve an emulator of the service on this machine (--help lists its options)."""
    with _needed("The emulator", "emulator"):
        from yandex_compat.emulator.__main__ import main as serve
    serve(context.args, "yandex-compat emulator")


def main() -> None:
    """The console script."""
    app()
