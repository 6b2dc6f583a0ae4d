"""The command line: typer commands over the same jobs that the deployed app runs."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Final

__all__ = ["main"]

_STOPPED: Final = 130


def main() -> None:
    """Run `dynamics-sync` with the arguments of the process and exit with its code.

    Asked to end, it ends as it does from the keyboard: the run is logged as cancelled and its lease given back. Threads
    that still wait for an answer then are not waited for.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from shared.cli.boundary import run  # noqa: PLC0415 - this package is cheap to import

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before or after the command itself, which answers with the same code
        code = _STOPPED
    if code == _STOPPED and any(thread is not threading.main_thread() for thread in _waited_for()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _waited_for() -> Iterator[threading.Thread]:
    """The threads whose end Python would wait for."""
    return (thread for thread in threading.enumerate() if not thread.daemon)
