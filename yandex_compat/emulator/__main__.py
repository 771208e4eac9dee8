"""``python -m yandex_compat.emulator``: the emulator in the foreground."""

import argparse
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import NoReturn
from urllib.parse import urlsplit

from .access import Access
from .faults import FAULT_KINDS, LONGEST_RETRY_AFTER, FaultPlan
from .local_model import NAME, LocalModel, LocalModelUnavailable
from .operations import Operations
from .server import Listener
from .service import Service
from .upstream import Upstream
from .upstream_failures import KEY_VARIABLE

KEY, FOLDER, IAM_TOKEN = "emulator-key", "emulator-folder", "t1.emulator-token"
OAUTH_TOKEN = "y0_emulator-oauth"  # noqa: S105 -- known to all, and good for the emulator only


def main(argv: list[str] | None = None, prog: str = "python -m yandex_compat.emulator") -> NoReturn:
    """Serve until SIGINT or SIGTERM; the first line on stdout is the root of the chat API."""
    parser = _parser(prog)
    words = parser.parse_args(argv)
    access = Access(
        tuple(words.api_key or [KEY]), tuple(words.folder or [FOLDER]), (IAM_TOKEN,), (OAUTH_TOKEN,)
    )
    operations = Operations(words.operation_delay)
    service = Service(access, words.quota, words.refuse_unsupported, words.chunk_delay, operations)
    if plan := _fault_plan(parser, words):
        service.faults.follow(plan)
    _check_upstream(parser, words)
    # uvicorn raises the signal again once it has stopped: that is an orderly end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    if words.until_eof:
        threading.Thread(target=_stop_at_eof, daemon=True).start()
    with ExitStack() as stack:
        try:
            service.upstream = _upstream(words, stack)
            listener = Listener(
                service, words.host, words.port, lambda url: print(f"{url}/v1", flush=True)
            )
        except LocalModelUnavailable as error:
            sys.exit(str(error))
        except OSError as error:
            sys.exit(f"cannot listen on {words.host}:{words.port}: {error.strerror}")
        listener.listen()
    sys.exit(0)


def _upstream(words: argparse.Namespace, stack: ExitStack) -> Upstream | None:
    """Return what speaks instead of the responder, for as long as the stack stands."""
    if words.local:
        return Upstream(stack.enter_context(LocalModel()).url, NAME)
    if words.upstream is None:
        return None
    return Upstream(words.upstream, words.upstream_model, os.environ.get(words.upstream_key_env))


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="A server that behaves like Yandex Cloud AI Studio.",
        epilog=f"The IAM token is {IAM_TOKEN}, the OAuth token {OAUTH_TOKEN}; GET /_authorized_key "
        f"is the key of a service account.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add(
        "--port",
        type=_whole(0, 65_535),
        default=8000,
        help="port, 0 for any that is free (%(default)s)",
    )
    add("--api-key", action="append", metavar="KEY", help=f"a valid key, repeatable ({KEY})")
    add("--folder", action="append", metavar="ID", help=f"a valid folder, repeatable ({FOLDER})")
    add(
        "--quota",
        type=_whole(1, 1_000_000),
        default=10,
        help="concurrent generations a model (%(default)s)",
    )
    add("--chunk-delay", type=_seconds, default=0.0, metavar="SECONDS", help="pause between chunks")
    add(
        "--operation-delay",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="how long a deferred generation takes",
    )
    add(
        "--until-eof",
        action="store_true",
        help="stop when standard input ends, as it does with the process that holds its other end",
    )
    add(
        "--refuse-unsupported",
        action="store_true",
        help="answer 400 to fields that are documented as not supported",
    )
    _add_upstream(parser)
    _add_faults(parser)
    return parser


def _add_upstream(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("words", "Whose words are spoken, but for scripted answers.")
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--local",
        action="store_true",
        help=f"those of {NAME}, which llama.cpp runs on this machine (make local)",
    )
    either.add_argument(
        "--upstream",
        type=_root,
        metavar="URL",
        help="those of an OpenAI-compatible server, such as http://127.0.0.1:11434/v1 of Ollama",
    )
    group.add_argument(
        "--upstream-model", metavar="NAME", help="its model (the only one that it lists)"
    )
    group.add_argument(
        "--upstream-key-env",
        metavar="VARIABLE",
        help=f"environment variable that holds a key of it ({KEY_VARIABLE})",
    )


def _check_upstream(parser: argparse.ArgumentParser, words: argparse.Namespace) -> None:
    for name in ("upstream_model", "upstream_key_env"):
        if getattr(words, name) is not None and words.upstream is None:
            parser.error(f"--{name.replace('_', '-')} goes with --upstream")
    if words.upstream_key_env is None:
        words.upstream_key_env = KEY_VARIABLE
    elif words.upstream_key_env not in os.environ:
        parser.error(f"--upstream-key-env: there is no variable {words.upstream_key_env}")
    key = os.environ.get(words.upstream_key_env, "")
    if words.upstream is not None and not re.fullmatch("[!-~]*", key):
        parser.error(
            f"{words.upstream_key_env} holds a sign that no key has, such as a space or a line end"
        )


def _add_faults(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group(
        "faults", "What goes wrong, by a seeded plan; POST /_faults sets another while it serves."
    ).add_argument
    add(
        "--fault-rate",
        type=_share,
        metavar="SHARE",
        help="share of the requests that fail, 0 to 1 (without it, none)",
    )
    add(
        "--fault-seed",
        type=_integer,
        metavar="NUMBER",
        help="the same seed draws the same faults in the same order (0)",
    )
    add(
        "--fault-kinds",
        type=_kinds,
        metavar="KIND,...",
        help=f"what goes wrong, by default any of {', '.join(FAULT_KINDS)}",
    )
    add(
        "--fault-retry-after",
        type=_whole(0, LONGEST_RETRY_AFTER),
        metavar="SECONDS",
        help="what 429-retry-after and 429-retry-date ask to wait, in whole seconds (1)",
    )
    add(
        "--fault-stall",
        type=_seconds,
        metavar="SECONDS",
        help="how long a stalled answer is held before it goes on (until the client hangs up)",
    )
    add(
        "--fault-pause",
        type=_seconds,
        metavar="SECONDS",
        help="pause between the pieces of a slow answer (0.005)",
    )


def _fault_plan(parser: argparse.ArgumentParser, words: argparse.Namespace) -> FaultPlan | None:
    given = {
        name.removeprefix("fault_"): value
        for name, value in vars(words).items()
        if name.startswith("fault_") and value is not None
    }
    if given and "rate" not in given:
        named = ", ".join(f"--fault-{name.replace('_', '-')}" for name in given)
        parser.error(f"{named}: without --fault-rate nothing goes wrong")
    return FaultPlan(**given) if given else None


def _root(text: str) -> str:
    if "@" in text or "?" in text:
        raise argparse.ArgumentTypeError(f"no key in the address: set {KEY_VARIABLE}")
    try:
        parts = urlsplit(text)
        is_root = parts.scheme in ("http", "https") and parts.port != 0 and bool(parts.hostname)
    except ValueError:  # of a port that is none, or half a bracket
        is_root = False
    if not is_root or " " in text:
        raise argparse.ArgumentTypeError(f"{text} is no address such as http://HOST:PORT/v1")
    return text


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share from 0 to 1")
    return share


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no whole number") from None


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(kind.strip() for kind in text.split(","))
    for kind in kinds:
        if kind not in FAULT_KINDS:
            raise argparse.ArgumentTypeError(
                f"there is no fault {kind!r}: take some of {', '.join(FAULT_KINDS)}"
            )
    return kinds


def _whole(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text} is no whole number from {low} to {high}")
        return int(text)

    return number


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds, 0 or more")
    return seconds


def _stop_at_eof() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
