"""How much temporary disk a run is expected to use, before it has begun."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from shared.state import RunRecord

__all__ = ["FLOOR", "expected_disk"]

# What the smallest run uses: a few blocks of DuckDB for each of its tables.
FLOOR: Final = 16_000_000
# Tables on disk for each byte of a local source file: measured 2.8 in a first load of a million rows (docs/sizing.md).
# A lower figure is taken, because a run that fits must not be refused: files with columns that are not read need less.
BY_BYTE: Final = 1.0
# Delimited text becomes so many times smaller when it is packed, at the least.
PACKED: Final = 4.0


def expected_disk(last: RunRecord | None, files: Sequence[str] = ()) -> int:
    """Return the bytes of temporary disk that a run is expected to use.

    What the sync's latest run used counts, if that run reached its end and was no undo. Otherwise the size of the
    source's files does; so a run that was refused for a figure that is out of date is tried at its next start.

    Args:
        last: The sync's latest run that is no retry.
        files: The local files of its source.
    """
    whole = last is not None and last.counts.get("completed") and not last.counts.get("undo_of")
    if last is not None and whole and (used := last.counts.get("peak_disk_mb")):
        return max(FLOOR, int(float(used) * 1_000_000))
    return max(FLOOR, sum(map(_by_file, files)))


def _by_file(name: str) -> int:
    try:
        size = Path(name).stat().st_size
    except OSError:  # the run itself says what is wrong with the file
        return 0
    return int(size * BY_BYTE * (PACKED if name.lower().endswith((".gz", ".zst")) else 1))
