"""The doctor: what stands between this machine and an answer, a line each and what to do."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from rich.console import Console
from rich.text import Text

from yandex_compat import jsontext
from yandex_compat.commands import doctor_machine, doctor_service
from yandex_compat.commands.account import Account, Options
from yandex_compat.commands.doctor_service import Case
from yandex_compat.commands.finding import Finding
from yandex_compat.errors import YandexError

# What the service says is text: never markup, never the name of an emoji.
console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

_STYLES = {"ok": "green", "warning": "yellow", "failed": "red", "not checked": "dim"}
_GENERATIONS = ("chat generation", "native generation")


def run(options: Options, *, requests: bool = True, as_json: bool = False) -> int:
    """Check one thing after another and tell of each; 0 if none failed, 1 if one did.

    Without ``requests``, nothing is generated. As JSON, each check is an object on a line of its
    own: ``check``, ``status``, ``found``, ``advice``, ``details``.
    """
    account = Account(options)
    counts: Counter[str] = Counter()
    for name, finding in _findings(account, requests=requests):
        counts[finding.status] += 1
        if as_json:
            told = {
                "check": name,
                "status": finding.status,
                "found": finding.found,
                "advice": finding.advice,
                "details": finding.details,
            }
            sys.stdout.write(jsontext.encode(account.cleaned(told)).decode() + "\n")
            sys.stdout.flush()
        else:
            line = Text(f"{finding.status:<13}", _STYLES[finding.status])
            console.print(line.append(f"{name:<19}{account.clean(finding.text)}", "default"))
    if not as_json:
        console.print(", ".join(f"{counts[status]} {status}" for status in _STYLES), style="bold")
    return int(counts["failed"] > 0)


def _findings(account: Account, *, requests: bool) -> Iterator[tuple[str, Finding]]:
    """What each check found, in order; one that depends on a failed one is not run."""
    case = Case(account)
    checks: dict[str, tuple[Callable[[], Finding], tuple[str, ...]]] = {
        "python": (doctor_machine.python, ()),
        "versions": (doctor_machine.versions, ()),
        "extras": (doctor_machine.extras, ()),
        "variables": (partial(doctor_machine.variables, account), ()),
        **{
            name: (partial(check, case), needs)
            for name, (check, needs) in doctor_service.CHECKS.items()
        },
    }
    done: dict[str, Finding] = {}
    for name, (check, needs) in checks.items():
        if name in _GENERATIONS and not requests:
            done[name] = Finding("not checked", "left out by --no-request")
        else:
            done[name] = _not_to_be_checked(needs, done) or _tried(check)
        yield name, done[name]


def _not_to_be_checked(needs: tuple[str, ...], done: Mapping[str, Finding]) -> Finding | None:
    for need in needs:
        if done[need].status == "failed":
            return Finding("not checked", f"{need} failed")
        if done[need].status == "not checked":
            return Finding("not checked", f"{need} was not checked")
    return None


def _tried(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except YandexError as error:
        return Finding("failed", str(error))
    except Exception as error:
        # Whatever goes wrong, the other checks are made, and the exit code tells of it.
        return Finding(
            "failed",
            f"the doctor itself failed ({type(error).__name__}: {error})",
            "Please report it.",
        )
