"""Find an interpreter of the Python version that the app is deployed with, and print its path.

    python scripts/deployed_python.py

Looked at are this interpreter, the PATH, and the versions that pyenv and uv keep. Where there is none, it says so and
ends with exit code 1.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["VERSION", "find"]

# As in infra/modules/app.bicep and in the Makefile's `lock`.
VERSION = "3.13"
_PLACES = (f".pyenv/versions/{VERSION}*/bin/python", f".local/share/uv/python/cpython-{VERSION}*/bin/python{VERSION}")


def find() -> str | None:
    """Return the path of an interpreter of `VERSION` that can make virtual environments; None where there is none."""
    return next((each for each in _candidates() if _works(each)), None)


def _candidates() -> Iterator[str]:
    yield sys.executable
    if found := shutil.which(f"python{VERSION}"):
        yield found
    for place in _PLACES:
        yield from map(str, sorted(Path.home().glob(place), reverse=True))


def _works(python: str) -> bool:
    # A shim of pyenv is there for versions that are not switched on, and answers with an error.
    program = f"import sys, ensurepip; sys.exit(sys.version_info[:2] != {tuple(map(int, VERSION.split('.')))})"
    return subprocess.run([python, "-c", program], capture_output=True, check=False).returncode == 0  # noqa: S603 - found


def main() -> int:
    """Print the path; 1 where there is none."""
    found = find()
    if found is None:
        print(f"Python {VERSION}, which the app is deployed with, is not installed here.", file=sys.stderr)
        return 1
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
