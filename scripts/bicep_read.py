"""Check that checkov can read the Bicep files: it checks nothing in a file that it cannot read, and ends well.

Run it with the Python of the tools, which have checkov's parser.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

INFRA = Path(__file__).resolve().parent.parent / "infra"
# It has no resource; what the parser does not know is in this file for that reason.
UNREAD = {"values.bicep"}


def main() -> int:
    """Tell which files cannot be read."""
    parser = importlib.import_module("pycep").BicepParser()
    status = 0
    for file in sorted(INFRA.rglob("*.bicep")):
        if file.name in UNREAD:
            continue
        try:
            parser.parse(text=file.read_text("utf-8"))
        except Exception as error:  # noqa: BLE001 - whatever the parser raises, the file was not read
            print(f"{file.relative_to(INFRA.parent)}: checkov cannot read it: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
