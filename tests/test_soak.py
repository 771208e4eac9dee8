"""A short soak, as `make soak` runs it in full."""

import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parent / "soak.py"


def test_every_request_ends_whole_or_in_a_typed_error():
    # So short a time says little of memory, but that nothing is kept of each request. Beside other
    # tests, a loop may not get to close what lies idle before a thread opens a connection; were
    # none closed, there would be twice the quota.
    words = ["--whole", "250", "--streamed", "100", "--growth", "0.2", "--spare-sockets", "6"]
    script = [sys.executable, "-W", "error", str(SOAK), *words]
    done = subprocess.run(script, capture_output=True, text=True, timeout=110, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.count("ok  ") == 9
