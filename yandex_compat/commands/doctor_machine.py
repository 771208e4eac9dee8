"""What the doctor checks without asking anybody: Python, packages, and the environment."""

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec

from yandex_compat import __version__
from yandex_compat.catalogue import folder_of
from yandex_compat.commands.account import KNOWN, Account, misspelt
from yandex_compat.commands.finding import Finding, Status
from yandex_compat.hidden import Hidden
from yandex_compat.settings import CREDENTIALS, checked_folder

_DISTRIBUTION = "yandex-compat"
_EXTRAS = ("langchain", "llamaindex", "iam", "cli", "emulator")
# The distributions whose modules have another name than they.
_MODULES = {"pyjwt": "jwt", "llama-index-core": "llama_index"}
# What a report of a fault needs, and no requirement of the core names.
_TOLD_TOO = ("langchain", "pydantic")


def python() -> Finding:
    """Which Python runs this, and whether the package's tests did on it."""
    running = platform.python_version()
    found = f"{running} ({platform.python_implementation()}, {sys.platform})"
    details = {"version": running}
    try:
        classifiers = metadata(_DISTRIBUTION).get_all("Classifier") or []
    except PackageNotFoundError:
        return Finding("ok", found, details=details)
    tested = [
        one.rpartition(" ")[2]
        for one in classifiers
        if one.startswith("Programming Language :: Python :: 3.")
    ]
    if tested and running.rpartition(".")[0] not in tested:
        found += f"; the tests ran on {', '.join(tested)}"
    return Finding("ok", found, details=details)


@dataclass(frozen=True, slots=True)
class _Requirement:
    """One line of the package's metadata, and what of it is installed."""

    name: str
    extra: str | None
    bounds: str
    installed: str | None
    is_within: bool | None  # None: nothing here can tell


def versions() -> Finding:
    """Whether what is installed is within the bounds of the package's metadata."""
    try:
        known = list(_requirements())
        ours = version(_DISTRIBUTION)
    except PackageNotFoundError:
        return Finding(
            "not checked",
            f"{_DISTRIBUTION} {__version__} runs from its source, without metadata that would tell "
            f"what it needs",
            "Install it: pip install yandex-compat.",
            {_DISTRIBUTION: __version__},
        )
    told = {_DISTRIBUTION: ours, **{one.name: one.installed for one in known if one.installed}}
    told |= {name: found for name in _TOLD_TOO if (found := _installed(name))}
    listed = ", ".join(f"{name} {one}" for name, one in told.items())
    if ours != __version__:
        return Finding(
            "warning",
            f"The code is of {__version__}, and what pip knows of {ours}",
            "Install it anew: pip install --force-reinstall yandex-compat.",
            told,
        )
    wrong = {one.name: one for one in known if one.is_within is False}
    if wrong:
        outside = ", ".join(
            f"{one.name} {one.installed} is not {one.bounds}" for one in wrong.values()
        )
        needed = " ".join(f"'{one.name}{one.bounds}'" for one in wrong.values())
        of_core = any(one.extra is None for one in wrong.values())
        status: Status = "failed" if of_core else "warning"
        return Finding(status, outside, f"Run: pip install {needed}.", told)
    if any(one.is_within is None for one in known if one.installed):
        return Finding(
            "not checked",
            f"{listed}; whether they are within bounds is told by packaging, which is not "
            f"installed",
            "Install it, if you want to know: pip install packaging.",
            told,
        )
    return Finding("ok", f"{listed}: within the bounds", details=told)


def extras() -> Finding:
    """Which extras are installed, and how those that are not would be."""
    needs: dict[str, list[str]] = {}
    try:
        for one in _requirements():
            if one.extra and not one.installed:
                needs.setdefault(one.extra, []).append(one.name)
    except PackageNotFoundError:
        return Finding("not checked", f"{_DISTRIBUTION} runs from its source, without metadata")
    there = [extra for extra in _EXTRAS if extra not in needs]
    found = f"installed: {', '.join(there) or 'none'}"
    details = {"installed": there, "missing": needs}
    if not needs:
        return Finding("ok", found, details=details)
    lacking = "; ".join(f"{extra} ({', '.join(names)})" for extra, names in needs.items())
    wanted = f"'yandex-compat[{','.join(needs)}]'"
    neither = {"langchain", "llamaindex"} <= needs.keys()
    return Finding(
        "warning" if neither else "ok",
        f"{found}; missing: {lacking}",
        f"{'Without a framework, only YandexClient works' if neither else 'Where you need them'}: "
        f"pip install {wanted}.",
        details,
    )


def _requirements() -> Iterator[_Requirement]:
    """What the core and its extras need; PackageNotFoundError where there are no metadata."""
    seen = set()
    for line in requires(_DISTRIBUTION) or []:
        needed, _, marker = (part.strip() for part in line.partition(";"))
        extra = marker.partition("==")[2].strip(" '\"") or None
        name = _name_in(needed)
        if (extra is None or extra in _EXTRAS) and (name, extra) not in seen:
            seen.add((name, extra))
            installed = _installed(name)
            bounds = _bounds_in(needed)
            yield _Requirement(name, extra, bounds, installed, _is_within(needed, installed))


def _name_in(needed: str) -> str:
    signs = (sign if sign.isalnum() or sign in "-_." else " " for sign in needed)
    return "".join(signs).split()[0].lower()


def _bounds_in(needed: str) -> str:
    return needed[len(_name_in(needed)) :].rpartition("]")[2].strip()


def _installed(name: str) -> str | None:
    """The version of what can be imported."""
    module = _MODULES.get(name, name.replace("-", "_"))
    try:
        return version(name) if find_spec(module) else None
    except PackageNotFoundError:
        return None


def _is_within(needed: str, installed: str | None) -> bool | None:
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return None
    if installed is None:
        return None
    return Requirement(needed).specifier.contains(installed, prereleases=True)


def variables(account: Account) -> Finding:
    """Which variables are set, by half, twice, or under a name that nothing reads."""
    checked_folder(Hidden(os.environ.get("YC_FOLDER_ID") or None))
    given = [name for name in KNOWN if os.environ.get(name)]
    found = [f"set: {', '.join(given)}" if given else "none is set"]
    advice = []
    empty = [name for name in KNOWN if os.environ.get(name) == ""]
    if empty:
        found.append(f"empty, which counts as not set: {', '.join(empty)}")
        advice.append(f"Set or unset {' and '.join(empty)}.")
    for name, meant in misspelt(os.environ).items():
        if meant not in given:
            found.append(f"{name} is set, and nothing reads it")
            advice.append(f"Name it {meant}.")
    credentials = [name for name in CREDENTIALS if name in given]
    if len(credentials) > 1:
        found.append(f"of {' and '.join(credentials)}, {credentials[0]} is taken")
        advice.append(f"Unset {' and '.join(credentials[1:])}, or what is taken.")
    half = _half(account, credentials, os.environ)
    if half:
        found.append(half[0])
        advice.append(half[1])
    status: Status = "warning" if advice else "ok"
    return Finding(status, "; ".join(found), " ".join(advice), {"set": given})


def _half(
    account: Account, credentials: list[str], environment: Mapping[str, str]
) -> tuple[str, str] | None:
    """What lacks its other half, and what to do; None where both are there, or neither."""
    options = account.options
    has_folder = bool(environment.get("YC_FOLDER_ID") or folder_of(options.model))
    if credentials and not has_folder:
        return (
            f"there is no YC_FOLDER_ID beside {credentials[0]}",
            "Set YC_FOLDER_ID to the id of the key's folder.",
        )
    if environment.get("YC_FOLDER_ID") and not credentials and not options.metadata:
        return "there is no credential beside YC_FOLDER_ID", "Set YC_API_KEY, or another of them."
    return None
