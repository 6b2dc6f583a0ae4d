"""The command line: typer commands over the same jobs that the deployed app runs."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run `dynamics-sync` with the arguments of the process and exit with its code."""
    from shared.cli.boundary import run  # noqa: PLC0415 - importing this package costs a program nothing

    sys.exit(run(sys.argv[1:]))
