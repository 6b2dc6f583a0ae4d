"""`python -m emulator`: prints one line of JSON when it is ready, and runs until it is stopped."""

import json
import sqlite3
import sys
from collections.abc import Mapping
from typing import Any

from emulator.http.options import Options
from emulator.http.server import Server
from emulator.schema.faults import SchemaFileError


def main(arguments: list[str] | None = None) -> int:
    """Runs the emulator and returns the exit code."""
    options = Options.parse(arguments)
    try:
        server = Server(options, _announce)
    except (SchemaFileError, OSError, sqlite3.Error) as error:
        print(f"emulator: {error}", file=sys.stderr)
        return 2
    server.run_here()
    return 0


def _announce(facts: Mapping[str, Any]) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    sys.exit(main())
