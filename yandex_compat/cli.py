"""The command line: `yandex-compat demo`, `doctor`, `models` and `emulator`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

try:
    import typer
except ImportError:
    sys.exit("The command line needs typer and rich: pip install 'yandex-compat[all]'")

# Options that are not known are refused here: typer would repeat them, and one may be a key.
_ANYTHING = {"allow_extra_args": True, "ignore_unknown_options": True}
_BaseURL = Annotated[
    str | None,
    typer.Option(help="The root of the API, where it is not the service's.", show_default=False),
]
_API = Annotated[
    str, typer.Option(metavar="chat|completion", help="Of which API, completion is the native one.")
]
_IamURL = Annotated[
    str | None,
    typer.Option(help="Where IAM tokens are given out, if elsewhere.", show_default=False),
]
_Metadata = Annotated[
    bool, typer.Option("--metadata", help="Take the credential of this virtual machine.")
]
_AllowHTTP = Annotated[bool, typer.Option("--allow-http", help="Take plain http to a public host.")]

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


def _refuse_more(context: typer.Context) -> None:
    """End the program for an option or argument that is not known, unseen."""
    if context.args:
        typer.echo(
            f"yandex-compat {context.info_name} does not know one of its options or arguments: see "
            f"--help. A key or token is read from the environment only (YC_API_KEY, YC_IAM_TOKEN), "
            f"as a list of processes shows what stands on a command line.",
            err=True,
        )
        raise typer.Exit(2)


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
    local: Annotated[
        bool,
        typer.Option(
            "--local", help="Run the text steps over a small model of this machine (make local)."
        ),
    ] = False,
    upstream: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Let the emulator speak through this OpenAI-compatible server, such as "
            "http://127.0.0.1:11434/v1; the key of one that wants it: UPSTREAM_API_KEY.",
            show_default=False,
        ),
    ] = None,
    upstream_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The model of that server; by default the only one that it lists.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run the main job: a chain, an agent, a parsed answer, a query engine, a FunctionAgent.

    Talks to the cloud where YC_API_KEY (or YC_IAM_TOKEN) and YC_FOLDER_ID are set, else, or with
    --local or --upstream, to an emulator of its own.
    """
    with _needed("The demo", "all"):
        import yandex_compat.emulator  # noqa: F401 -- the demo starts it as a process
        from yandex_compat.commands.demo import run

    if local and upstream:
        raise typer.BadParameter("take one of --local and --upstream")
    if upstream_model and not upstream:
        raise typer.BadParameter("--upstream-model goes with --upstream")
    options = ["--local"] if local else []
    options += ["--upstream", upstream] if upstream else []
    options += ["--upstream-model", upstream_model] if upstream_model else []
    raise typer.Exit(run(files or [], question, model, options))


@app.command(context_settings=_ANYTHING)
def doctor(
    context: typer.Context,
    model: Annotated[str, typer.Option(help="Which model is to answer.")] = "yandexgpt",
    base_url: _BaseURL = None,
    api: _API = "chat",
    iam_url: _IamURL = None,
    metadata: _Metadata = False,
    allow_http: _AllowHTTP = False,
    request: Annotated[
        bool,
        typer.Option("--request/--no-request", help="Whether to ask the model for a few tokens."),
    ] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="For scripts: an object a line for each check.")
    ] = False,
) -> None:
    """Check what stands between this machine and an answer: a line each, and what to do.

    Each line begins with ok, warning, failed or not checked. No secret is shown.

    Exit codes: 0 if nothing failed (warnings do not), 1 if something did, 2 for unknown options.

    Without an account, run `yandex-compat emulator`, and beside it:

    YC_API_KEY=emulator-key YC_FOLDER_ID=emulator-folder yandex-compat doctor
    --base-url http://127.0.0.1:8000/v1
    """
    _refuse_more(context)
    with _needed("The doctor", "cli"):
        from yandex_compat.commands.account import Options
        from yandex_compat.commands.doctor import run

    options = Options(model, api, base_url, iam_url, metadata, allow_http)
    raise typer.Exit(run(options, requests=request, as_json=as_json))


@app.command(context_settings=_ANYTHING)
def models(
    context: typer.Context,
    base_url: _BaseURL = None,
    api: _API = "chat",
    iam_url: _IamURL = None,
    metadata: _Metadata = False,
    allow_http: _AllowHTTP = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="For scripts: an object a line for each model.")
    ] = False,
) -> None:
    """List the models that the key can use, with context and capabilities.

    A ? stands for what neither the service nor this package's catalogue tells.

    Where the output is no terminal, each model is a line, without borders.

    Exit codes: 0 for a list, 1 with a line on stderr for none, 2 for unknown options.
    """
    _refuse_more(context)
    with _needed("The list of models", "cli"):
        from yandex_compat.commands.account import Options
        from yandex_compat.commands.models_table import run

    options = Options("", api, base_url, iam_url, metadata, allow_http)
    raise typer.Exit(run(options, as_json=as_json))


@app.command(context_settings=_ANYTHING, add_help_option=False)
def emulator(context: typer.Context) -> None:
    """Serve an emulator of the service on this machine (--help lists its options)."""
    with _needed("The emulator", "emulator"):
        from yandex_compat.emulator.__main__ import main as serve
    serve(context.args, "yandex-compat emulator")


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        # A model or a server may say what this screen has no signs for.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()
