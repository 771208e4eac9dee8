"""What a run happens on: the machine's description, its limits, and what is kept out of the way."""

import os
import platform
import resource
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = {
    "langchain": ("langchain-core", "langchain-openai", "langchain-mistralai"),
    "llamaindex": ("llama-index-core", "llama-index-llms-openai-like"),
}
"""What is measured of each framework, beside what all stand on."""
_OF_BOTH = ("yandex-compat", "openai", "httpx", "pydantic", "pydantic-core")
_SWITCHES = (
    "_PROXY", "LANGSMITH_", "LANGCHAIN_", "OPENAI_", "MISTRAL_", "YC_", "PYTHONDONTWRITEBYTECODE",
)  # fmt: skip


def allow_many_files() -> None:
    """Raise this process's limit of open files to what it may be: 1,000 streams need as many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def clear_environment() -> None:
    """Drop, for this process and those it starts, what only some machines have set.

    Proxies, tracing, settings of providers, and what has each import compile its modules anew.
    """
    for name in [name for name in os.environ if any(part in name.upper() for part in _SWITCHES)]:
        del os.environ[name]


def machine() -> dict[str, str | int]:
    """The processor, its cores, memory in GiB, and the system; no name and no path."""
    import psutil  # for memory only; the server, which imports this, does without

    return {
        "cpu": next(_models(), platform.processor() or platform.machine()),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def versions(framework: str) -> dict[str, str]:
    """The versions of what is measured and what it stands on; LookupError for what is missing."""
    found = {}
    for name in (*PACKAGES[framework], *_OF_BOTH):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            raise LookupError(f"{name} is not installed: run `make bench`.") from None
    return found


def load() -> float:
    """How many processes ran or waited in the last minute, on average."""
    return round(os.getloadavg()[0], 2)


def _models() -> Iterator[str]:
    found = Path("/proc/cpuinfo")
    if found.exists():
        for line in found.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                yield value.strip()
