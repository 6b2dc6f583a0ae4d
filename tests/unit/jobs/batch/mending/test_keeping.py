"""Which rows in error are kept with a run, over the tables that it leaves behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.definitions import load_definition
from shared.definitions.reference.example import EXAMPLE
from shared.jobs.batch.mending.keeping import MOST_CHARACTERS, MOST_ROWS, rows_in_error
from shared.workspace import Workspace, quoted

DEFINITION = load_definition(EXAMPLE)
READ = [column for column in DEFINITION.source.columns if column.read]


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace.open() as opened:
        columns = ", ".join(f"{quoted(column.name)} VARCHAR" for column in READ)
        opened.execute(f"CREATE TABLE source_raw (_row BIGINT, {columns})")
        errors = '_row BIGINT, "column" VARCHAR, error VARCHAR, rejected BOOLEAN, message VARCHAR'
        opened.execute(f"CREATE TABLE source_errors ({errors})")
        opened.execute("CREATE TABLE changes (_change BIGINT, action VARCHAR, _row BIGINT, _id UUID, key VARCHAR)")
        opened.execute("CREATE TABLE outcomes (_change BIGINT, result VARCHAR, id UUID, code VARCHAR, message VARCHAR)")
        yield opened


def rows(workspace: Workspace, count: int, *, rejected: str = "true", length: int = 1) -> None:
    """Rows with an error each."""
    values = ", ".join(["repeat('x', ?)", *["NULL"] * (len(READ) - 1)])
    workspace.execute(f"INSERT INTO source_raw SELECT n, {values} FROM range(1, ? + 1) AS r(n)", [length, count])
    workspace.execute(
        f"INSERT INTO source_errors SELECT n, 'c', 'Invalid Format', {rejected}, 'why' FROM range(1, ? + 1) AS r(n)",
        [count],
    )


def test_a_run_without_an_error_keeps_no_row(workspace: Workspace) -> None:
    """However many rows it has."""
    workspace.execute(f"INSERT INTO source_raw BY NAME SELECT 1 AS _row, 'x' AS {quoted(READ[0].name)}")
    assert rows_in_error(DEFINITION, workspace) is None


def test_rejected_rows_come_before_those_of_which_a_field_was_left_out(workspace: Workspace) -> None:
    """Of more rows than are kept, the number of all of them is known."""
    rows(workspace, MOST_ROWS + 2, rejected=f"n > {MOST_ROWS}")
    kept = rows_in_error(DEFINITION, workspace)
    assert kept is not None
    assert (len(kept.rows), kept.found, kept.left_out) == (MOST_ROWS, MOST_ROWS + 2, 2)
    assert [row.number for row in kept.rows[-3:]] == [MOST_ROWS - 2, MOST_ROWS + 1, MOST_ROWS + 2]


def test_long_values_are_bounded_together(workspace: Workspace) -> None:
    """The rows that fit are kept whole."""
    rows(workspace, 10, length=MOST_CHARACTERS // 5)
    kept = rows_in_error(DEFINITION, workspace)
    assert kept is not None
    assert (len(kept.rows), kept.left_out) == (4, 6)
    assert set(map(len, (row.values[READ[0].label] for row in kept.rows))) == {MOST_CHARACTERS // 5}


def test_a_row_without_columns_is_counted_and_not_kept(workspace: Workspace) -> None:
    """All errors of a row are in its reason, and a refused change is one."""
    rows(workspace, 1)
    workspace.execute("INSERT INTO source_errors VALUES (9, '', 'Malformed Row', true, '3 fields instead of 2')")
    workspace.execute("INSERT INTO changes VALUES (1, 'insert', 1, NULL, NULL), (2, 'delete', NULL, NULL, NULL)")
    workspace.execute("INSERT INTO outcomes VALUES (1, 'failed', NULL, '0x1', 'no'), (2, 'failed', NULL, '0x1', 'no')")
    kept = rows_in_error(DEFINITION, workspace)
    assert kept is not None
    assert (kept.found, kept.left_out) == (2, 1)
    assert [(row.number, row.reason) for row in kept.rows] == [(1, "INSERT 0x1: no; c: Invalid Format: why")]
