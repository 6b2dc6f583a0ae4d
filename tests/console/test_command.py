"""`dynamics-sync console` on one machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

# A shell lets the jobs that it starts in the background ignore Ctrl-C, and so the tests and what they start.
WITH_CTRL_C = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
code = "import sys; from shared.cli import main; sys.exit(main())"
os.execv(sys.executable, [sys.executable, "-c", code, "console", "--port", "0"])
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_how_the_console_is_ended(tmp_path: Path, sent: signal.Signals) -> None:
    """It is no error, and the command says what becomes of runs at work."""
    (tmp_path / "syncs").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", WITH_CTRL_C],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as console:
        assert console.stdout is not None
        said = [*takewhile(lambda line: "Stop it with Ctrl-C" not in line, console.stdout)]
        console.send_signal(sent)
        rest = console.stdout.read()
    assert "The console: http://127.0.0.1:" in "".join(said)
    assert (console.returncode, rest) == (
        0,
        "The console has ended. The next one continues the runs that were at work.\n",
    )
