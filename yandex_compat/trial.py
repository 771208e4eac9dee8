"""Where the demo, the notebooks and the examples find a model: the cloud, or an emulator."""

import atexit
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from yandex_compat.settings import CREDENTIALS

_SPEAKERS = {"--local": "a model of this machine", "--upstream": "a server of your own"}


@contextmanager
def service(
    options: Sequence[str] = (), tell: Callable[[str], object] = print
) -> Iterator[dict[str, Any]]:
    """Yield the words that lead a model to the cloud, or to an emulator that lives for the block.

    The cloud is taken where the environment has a credential and YC_FOLDER_ID; there are no words
    then. ``options`` are the emulator's own, such as ``("--quota", "5")``; with one that says
    whose words it speaks (``--local``, ``--upstream``), the emulator is taken whatever the
    environment has. ``tell`` is given the one line that says which it is.
    """
    speaking = [name for name in _SPEAKERS if any(one.split("=")[0] == name for one in options)]
    credential = next((name for name in CREDENTIALS if os.environ.get(name)), None)
    folder = os.environ.get("YC_FOLDER_ID")
    if credential and folder and not speaking:
        tell(f"Talking to Yandex Cloud AI Studio with {credential} and YC_FOLDER_ID.")
        yield {}
        return
    missing = "YC_API_KEY and YC_FOLDER_ID"
    if credential:
        missing = f"YC_FOLDER_ID beside {credential}"
    elif folder:
        missing = "YC_API_KEY or YC_IAM_TOKEN beside YC_FOLDER_ID"
    with _emulator(options) as (url, process), _past_any_proxy("127.0.0.1"):
        where = f"to an emulator at {url} (process {process})"
        if speaking:
            tell(f"Talking {where} that speaks through {_SPEAKERS[speaking[0]]}.")
        else:
            tell(f"No {missing}: talking {where}.")
        yield {"base_url": url, "api_key": "emulator-key", "folder_id": "emulator-folder"}


def words(*options: str) -> dict[str, Any]:
    """Return the words of ``service`` until this process ends, as a notebook wants them."""
    kept = ExitStack()
    atexit.register(kept.close)
    return kept.enter_context(service(options))


def native(words: dict[str, Any]) -> dict[str, Any]:
    """Return the words that lead to the native API of the same service."""
    root = words.get("base_url", "").removesuffix("/v1")
    address = {"base_url": f"{root}/foundationModels/v1"} if root else {}
    return {**words, **address, "api": "completion"}


@contextmanager
def _past_any_proxy(host: str) -> Iterator[None]:
    """Keep requests to a host off the environment's proxies, which can't reach this machine."""
    kept = {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy")}
    hosts = ",".join(filter(None, [kept["no_proxy"] or kept["NO_PROXY"], host]))
    os.environ.update(dict.fromkeys(kept, hosts))
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _emulator(options: Sequence[str]) -> Iterator[tuple[str, int]]:
    """An emulator's address and process id, for as long as the block lasts."""
    command = [sys.executable, "-m", "yandex_compat.emulator", "--port", "0", "--until-eof"]
    process = subprocess.Popen(  # noqa: S603 -- the caller's own options
        [*command, *options],
        stdin=subprocess.PIPE,  # ends with this process, however it ends
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = process.stdout.readline().strip() if process.stdout else ""
        if not url:
            sys.exit("The emulator did not start; what it said stands above.")
        yield url, process.pid
    finally:
        process.terminate()
        process.communicate()
