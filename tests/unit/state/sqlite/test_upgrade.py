"""A state file that an earlier version has written."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from shared.state import ErrorRecord
from shared.state.sqlite import SqliteStateStore
from shared.state.sqlite._tables import SCHEMA, SCHEMA_VERSION

FOUND = ErrorRecord(
    run_id="r1", error_class="Invalid Row", error_type="Unknown Choice", column="c", rows=(1, 2), count=2, message="old"
)


def test_errors_of_a_file_of_version_1_are_kept_and_told_apart_by_their_messages(tmp_path: Path) -> None:
    """What is there stays; a second message of one type and column no longer replaces the first."""
    file = tmp_path / "state.db"
    with sqlite3.connect(file) as db:
        db.executescript(SCHEMA.replace('"column", message))', '"column"))'))
        db.execute(
            """INSERT INTO errors VALUES ('r1', 'source', 'Invalid Row', 'Unknown Choice', 'c', '[1, 2]', 2, 'old')"""
        )
        db.execute("PRAGMA user_version = 1")
    db.close()
    other = replace(FOUND, message="new", count=1)
    for _ in range(2):
        store = SqliteStateStore(file)
        store.add_errors([other])
        assert store.errors("r1") == (FOUND, other)
        store.close()
    with sqlite3.connect(file) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    db.close()
