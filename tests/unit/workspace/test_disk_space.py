"""The temporary disk that runs share."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from shared.errors import UserError
from shared.workspace import DiskSpace, DiskUse

MB = 1_000_000


def room(free: int, folder: Path = Path("/scratch"), limit: int | None = None) -> DiskSpace:
    return DiskSpace(folder, limit=limit, free_space=lambda _: free)


def test_a_run_that_does_not_fit_is_refused_with_both_figures() -> None:
    """Needed, free, where, and the setting that helps."""
    with pytest.raises(
        UserError, match="needs about 300 MB of temporary disk, and 200 MB are free in /scratch"
    ) as said:
        room(200 * MB).require("customers", 300 * MB)
    assert "WORKSPACE_TEMP" in said.value.message
    assert "Nothing was begun" in said.value.message


def test_a_run_that_fits_exactly_may_begin() -> None:
    """The last byte counts."""
    room(300 * MB).require("customers", 300 * MB)


def test_what_others_are_still_to_use_is_not_free() -> None:
    """Expected bytes of a run that has begun count as used, and are free again when it has ended."""
    shared = room(500 * MB)
    with shared.used_by("first") as use:
        use.needed = 300 * MB
        with pytest.raises(UserError, match="200 MB are free"):
            shared.require("second", 250 * MB)
        shared.require("first", 500 * MB)  # its own expectation does not stand in its way
    shared.require("second", 250 * MB)


def test_what_a_run_has_used_is_not_counted_twice(tmp_path: Path) -> None:
    """The disk's free space is smaller by it already."""
    shared = room(500 * MB)
    (tmp_path / "run.duckdb").write_bytes(b"x" * 2 * MB)
    with shared.used_by("first") as use:
        use.needed = 3 * MB
        use.watch(tmp_path)
        shared.require("second", 498 * MB)
        with pytest.raises(UserError):
            shared.require("second", 500 * MB)


def test_a_limit_counts_what_all_runs_use(tmp_path: Path) -> None:
    """Where the disk shows more than an instance may use."""
    shared = room(10_000 * MB, limit=10 * MB)
    (tmp_path / "run.duckdb").write_bytes(b"x" * 4 * MB)
    with shared.used_by("first") as use:
        use.watch(tmp_path)
        with pytest.raises(UserError, match="6 MB are free"):
            shared.require("second", 7 * MB)


def test_a_missing_folder_is_left_to_what_opens_it() -> None:
    """The message about the folder is better than one about its room."""
    DiskSpace("/no/such/folder").require("customers", 1 << 60)


def test_the_file_system_is_asked(tmp_path: Path) -> None:
    """Without a function of one's own."""
    DiskSpace(tmp_path).require("customers", 1)
    with pytest.raises(UserError, match=str(tmp_path)):
        DiskSpace(tmp_path).require("customers", 1 << 60)


def test_the_peak_is_kept_when_the_folder_has_gone(tmp_path: Path) -> None:
    """In millions of bytes."""
    use = DiskUse()
    file = tmp_path / "spill" / "duckdb_temp_storage-0.tmp"
    file.parent.mkdir()
    file.write_bytes(b"x" * 3 * MB)
    use.watch(tmp_path)
    assert use.look() >= 3 * MB
    file.unlink()
    use.end()
    assert 3 <= use.peak_mb < 3.1


def test_runs_wait_for_each_other_where_they_do_not_fit_together() -> None:
    """The second begins when the first has ended."""
    shared, order = room(500 * MB), list[str]()

    def second() -> None:
        with shared.held("second", 300 * MB) as fits:
            order.append(f"second {fits}")

    with shared.held("first", 300 * MB) as fits:
        other = threading.Thread(target=second)
        other.start()
        other.join(0.2)
        order.append(f"first {fits}")
    other.join()
    assert order == ["first True", "second True"]


def test_runs_that_fit_together_do_not_wait() -> None:
    """Side by side."""
    shared = room(500 * MB)
    with shared.held("first", 200 * MB) as first, shared.held("second", 300 * MB, until=time.monotonic()) as second:
        assert (first, second) == (True, True)


def test_a_run_that_does_not_fit_at_all_is_not_waited_for() -> None:
    """It may start alone, and says itself that it does not fit."""
    with room(1).held("customers", 300 * MB, until=time.monotonic()) as fits:
        assert fits


def test_waiting_ends_with_the_time_of_the_tick() -> None:
    """The run keeps no place then."""
    shared = room(500 * MB)
    with shared.held("first", 300 * MB), shared.held("second", 300 * MB, until=time.monotonic() + 0.01) as fits:
        assert not fits
    shared.require("third", 500 * MB)


def test_a_run_that_has_waited_keeps_its_place_when_it_begins() -> None:
    """And the peak of it is the run's own."""
    shared = room(500 * MB)
    with shared.held("first", 300 * MB), shared.used_by("first") as use:
        assert use.needed == 300 * MB
        shared.require("first", 500 * MB)
    shared.require("second", 500 * MB)
