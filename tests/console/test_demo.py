"""`make console` shows what the demo has done in a browser."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest
import requests

# A shell lets the jobs that it starts in the background ignore Ctrl-C, and so the tests and what they start.
WITH_CTRL_C = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-m", "demo", "--console"])
"""


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.timeout(600)  # it sets a whole demo up, beside other tests
@pytest.mark.xdist_group("port 5080")
def test_the_console_of_the_demo_shows_its_runs(tmp_path: Path) -> None:
    """Until Ctrl-C, which ends all of it."""
    if not (_is_free(5080) and _is_free(8420)):
        pytest.skip("another program has the port")
    (tmp_path / "syncs").symlink_to(Path("syncs").resolve())
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    with subprocess.Popen(
        [sys.executable, "-c", WITH_CTRL_C], cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as demo:
        try:
            assert demo.stdout is not None
            said = "".join(takewhile(lambda line: "Stop it with Ctrl-C" not in line, demo.stdout))
            address = re.search(r"The console: (\S+)", said)
            assert address, said
            (sync,) = requests.get(f"{address[1]}api/status", timeout=30).json()["syncs"]
        finally:
            os.killpg(demo.pid, signal.SIGINT)
    assert (sync["sync"], sync["dead_letters"]) == ("customers", 1)
    assert demo.returncode == 0
