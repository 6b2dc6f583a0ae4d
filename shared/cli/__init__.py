"""The command line: typer commands over the same jobs that the deployed app runs."""

from __future__ import annotations

import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Run `dynamics-sync` with the arguments of the process and exit with its code.

    Asked to end, it ends as it does from the keyboard: the run is logged as cancelled and its lease given back.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from shared.cli.boundary import run  # noqa: PLC0415 - this package is cheap to import

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before or after the command itself, which answers with the same code
        code = 130
    sys.exit(code)
