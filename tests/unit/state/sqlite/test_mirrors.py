"""Mirrors as files beside the database of SQLite."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.state.sqlite import SqliteStateStore


def test_a_file_of_others_beside_the_mirrors_stays_and_stops_no_cleanup(tmp_path: Path) -> None:
    """Such as the one that a file manager writes."""
    store = SqliteStateStore(tmp_path / "state.db")
    part = tmp_path / "part"
    part.write_bytes(b"rows")
    store.put_mirror_part("customers", "p0", part)
    store.swap_mirror("customers", "of p0", ["p0"], expected=None, fence=1)
    stray = tmp_path / "state.db-mirrors" / ".DS_Store"
    stray.write_bytes(b"x")
    assert store.prune(datetime.now(UTC) + timedelta(days=1), limit=10).mirrors == 1
    assert list(stray.parent.iterdir()) == [stray]
    store.close()
