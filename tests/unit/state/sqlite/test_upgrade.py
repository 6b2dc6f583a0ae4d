"""A state file that an earlier version has written."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from shared.state import ErrorRecord, Position
from shared.state.sqlite import SqliteStateStore
from shared.state.sqlite._tables import ADDED_IN_5, ADDED_IN_6, ADDED_IN_8, ADDED_IN_11, SCHEMA, SCHEMA_VERSION

BEFORE_6 = (
    SCHEMA.replace(ADDED_IN_8, "")
    .replace(ADDED_IN_11, "")
    .replace(
        ADDED_IN_6,
        "CREATE TABLE job_requests(id TEXT PRIMARY KEY, sync TEXT NOT NULL, requested TEXT NOT NULL, "
        "parameters TEXT NOT NULL, force INTEGER NOT NULL, requested_by TEXT NOT NULL) WITHOUT ROWID",
    )
)
BEFORE_5 = BEFORE_6.replace(ADDED_IN_5, "")
FOUND = ErrorRecord(
    run_id="r1", error_class="Invalid Row", error_type="Unknown Choice", column="c", rows=(1, 2), count=2, message="old"
)


def test_errors_of_a_file_of_version_1_are_kept_and_distinguished_by_their_messages(tmp_path: Path) -> None:
    """What is there stays; a second message of one type and column no longer replaces the first."""
    file = tmp_path / "state.db"
    with sqlite3.connect(file) as db:
        db.executescript(BEFORE_5.replace('"column", message))', '"column"))'))
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


def test_runs_and_errors_of_a_file_of_version_4_are_read(tmp_path: Path) -> None:
    """What they do not have is empty."""
    file = tmp_path / "state.db"
    moment = "2026-03-01T10:00:00.000000+00:00"
    with sqlite3.connect(file) as db:
        db.executescript(BEFORE_5)
        db.execute(
            "INSERT INTO runs VALUES ('r1', 'customers', '1', 'timer', 'Failed', ?, NULL, 0, '{}', '{}', 'why', 3)",
            (moment,),
        )
        db.execute(
            "INSERT INTO errors VALUES ('r1', 'source', 'Invalid Row', 'Unknown Choice', 'c', '[1, 2]', 2, 'old')"
        )
        db.execute("PRAGMA user_version = 4")
    db.close()
    store = SqliteStateStore(file)
    run = store.run("r1")
    assert run is not None
    assert (run.message, run.given, run.host) == ("why", {}, "")
    assert store.errors("r1") == (FOUND,)
    store.close()


def test_positions_of_a_file_of_version_10_are_of_whole_messages(tmp_path: Path) -> None:
    """What came in a message that is noted stays overtaken; later messages move the position on."""
    file = tmp_path / "state.db"
    with sqlite3.connect(file) as db:
        db.executescript(SCHEMA.replace(ADDED_IN_11, ""))
        db.execute("INSERT INTO seen VALUES ('customers', 'A', '0', 7, NULL, '2026-03-01T10:00:00.000000+00:00')")
        db.execute("PRAGMA user_version = 10")
    db.close()
    store = SqliteStateStore(file)
    store.mark_seen("customers", {"A": Position(partition="0", sequence=7, item=3)})
    assert store.seen("customers", ["A"]) == {"A": Position(partition="0", sequence=7)}
    store.mark_seen("customers", {"A": Position(partition="0", sequence=8, item=0)})
    assert store.seen("customers", ["A"]) == {"A": Position(partition="0", sequence=8, item=0)}
    store.close()
