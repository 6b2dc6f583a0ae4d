"""What a run is expected to use of the temporary disk."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.jobs.batch.disk_need import BY_BYTE, FLOOR, PACKED, expected_disk
from shared.state import RunRecord

BIG = 40_000_000


def ended(counts: Mapping[str, Any]) -> RunRecord:
    return RunRecord(
        run_id="r", sync="s", version="1", trigger="timer", state="Succeeded", started=datetime.now(UTC), counts=counts
    )


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file with a size and no content."""
    path = tmp_path / "customers.csv"
    with path.open("wb") as stream:
        stream.truncate(BIG)
    return str(path)


def test_a_first_run_is_expected_to_use_what_its_files_have(file: str) -> None:
    """All files together."""
    assert expected_disk(None, [file, file]) == 2 * BIG * BY_BYTE


def test_a_packed_file_is_larger_than_it_looks(file: str) -> None:
    """It is unpacked into the run's folder."""
    packed = Path(file).rename(file + ".gz")
    assert expected_disk(None, [str(packed)]) == BIG * BY_BYTE * PACKED


def test_the_last_run_that_reached_its_end_is_a_better_guide(file: str) -> None:
    """It has seen the target, too."""
    assert expected_disk(ended({"completed": True, "peak_disk_mb": 281.5}), [file]) == 281_500_000


@pytest.mark.parametrize(
    "counts",
    [
        {"completed": False, "peak_disk_mb": 900.0},  # it was refused, or ended early
        {"completed": True},  # written by an earlier version
        {"cut": "too large to be kept"},
    ],
)
def test_another_last_run_says_nothing(file: str, counts: Mapping[str, Any]) -> None:
    """A figure that is out of date does not keep a sync from running for ever."""
    assert expected_disk(ended(counts), [file]) == BIG * BY_BYTE


def test_small_and_missing_files_need_the_floor(tmp_path: Path) -> None:
    """The run itself says what is wrong with a file."""
    assert expected_disk(None, [str(tmp_path / "none.csv")]) == FLOOR
    assert expected_disk(ended({"completed": True, "peak_disk_mb": 0.3})) == FLOOR
