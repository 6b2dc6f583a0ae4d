"""What an undo comes to: in numbers, in kinds of errors, and record by record."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import duckdb
import pytest

from shared.reconcile.undo.bin import IDS_TO_CREATE, IN_BIN, NOTE_IN_BIN, TO_RESTORE
from shared.reconcile.undo.reports import UNDO_COUNTS, UNDO_ERRORS, UNDO_FILE, edited_query

IDS = [UUID(int=number) for number in range(1, 8)]
# Number, action of the run, what the undo does, whether it is there, columns that others have changed.
UNDO_DECISIONS = f"""
CREATE TABLE undo_decisions AS SELECT * FROM (VALUES
  (1, '{IDS[0]}'::UUID, 'insert', 'delete', true, []::VARCHAR[]),
  (2, '{IDS[1]}'::UUID, 'update', 'update', true, ['city']),
  (3, '{IDS[2]}'::UUID, 'delete', 'insert', false, []),
  (4, '{IDS[3]}'::UUID, 'delete', 'insert', false, []),
  (5, '{IDS[4]}'::UUID, 'insert', 'edited', true, []),
  (6, '{IDS[5]}'::UUID, 'update', 'edited', false, []),
  (7, '{IDS[6]}'::UUID, 'update', 'unchanged', true, [])
) AS t(change, id, action, decision, there, edited)
"""
JOURNAL = """CREATE TABLE journal AS SELECT change, id, '{"number": "A' || change || '"}' AS key FROM undo_decisions"""
CHANGES = """
CREATE TABLE changes AS SELECT change AS _change, change AS _row, decision AS action, id AS _id, '{}' AS key
FROM undo_decisions WHERE decision IN ('insert', 'update', 'delete')
"""
OUTCOMES = """
CREATE TABLE outcomes AS SELECT * FROM (VALUES
  (1, 'applied', NULL::UUID, '', NULL), (2, 'failed', NULL, '0x80040265', 'a plug-in refuses this'),
  (4, 'applied', NULL, '', NULL)) AS t(_change, result, id, code, message)
"""


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    """An undo of seven changes; one of the two records to create again is in the recycle bin."""
    with duckdb.connect() as connection:
        for statement in (UNDO_DECISIONS, JOURNAL, CHANGES, OUTCOMES, f"CREATE TABLE {IN_BIN.name} {IN_BIN.columns}"):
            connection.execute(statement)
        connection.execute(NOTE_IN_BIN, [[IDS[3]]])
        yield connection


def test_each_record_is_counted_once(db: duckdb.DuckDBPyConnection) -> None:
    """To create, to set back, to delete, in the bin, as before, edited since."""
    assert db.sql(UNDO_COUNTS).fetchall() == [(2, 1, 1, 1, 1, 3)]


def test_what_the_bin_has_is_restored_and_the_rest_created(db: duckdb.DuckDBPyConnection) -> None:
    """What is settled already is not restored again."""
    assert sorted(db.sql(IDS_TO_CREATE).fetchall()) == [(str(IDS[2]),), (str(IDS[3]),)]
    assert db.sql(TO_RESTORE).fetchall() == []
    db.execute("DELETE FROM outcomes")
    assert db.sql(TO_RESTORE).fetchall() == [(4, str(IDS[3]), "{}")]


def test_kept_records_and_refused_writes_are_errors(db: duckdb.DuckDBPyConnection) -> None:
    """With the columns and the reasons; the code of the service is in the type."""
    found = {(kind, column, message): rows for _, _, kind, column, rows, _, message in db.sql(UNDO_ERRORS).fetchall()}
    assert found == {
        ("Edited since", "", "others have changed the record since the run; it is left as it is"): [5],
        ("Edited since", "", "the record was deleted since the run"): [6],
        ("Edited since", "city", "others have changed this column since the run; it keeps its value"): [2],
        ("UPDATE 0x80040265", "", "a plug-in refuses this"): [2],
    }
    shown = [(key, column) for _, key, column, _ in db.sql(edited_query(2)).fetchall()]
    assert shown == [('{"number": "A2"}', "city"), ('{"number": "A5"}', "")]


def test_the_file_has_a_line_for_each_record(db: duckdb.DuckDBPyConnection) -> None:
    """What the run did, and the result of each change; one without an outcome was not tried."""
    found = [(key, did, became) for _, key, did, became, _ in db.sql(UNDO_FILE).fetchall()]
    assert found == [
        ("A1", "created", "deleted"),
        ("A2", "changed", "failed"),
        ("A3", "deleted", "not tried"),
        ("A4", "deleted", "restored"),
        ("A5", "created", "edited since"),
        ("A6", "changed", "edited since"),
        ("A7", "changed", "as before"),
    ]
