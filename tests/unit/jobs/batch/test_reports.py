"""What went wrong in a run, as people see it: one line for each kind of message."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.jobs.batch.reports import error_files, error_rows
from shared.reconcile.reports import MOST_KINDS
from shared.workspace import Workspace

RECORD = "00000000-0000-0000-0000-{:012d}"


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    """The tables that a run leaves behind."""
    with Workspace.open() as opened:
        errors = '_row BIGINT, "column" VARCHAR, error VARCHAR, rejected BOOLEAN, message VARCHAR'
        opened.execute(f"CREATE TABLE source_errors ({errors})")
        opened.execute(f"CREATE TABLE target_errors ({errors}, _id UUID)")
        opened.execute("CREATE TABLE changes (_change BIGINT, action VARCHAR, _row BIGINT, _id UUID)")
        opened.execute("CREATE TABLE outcomes (_change BIGINT, result VARCHAR, id UUID, code VARCHAR, message VARCHAR)")
        yield opened


def wrong(workspace: Workspace, row: int, message: str, column: str = "revenue") -> None:
    workspace.execute("INSERT INTO source_errors VALUES (?, ?, 'Invalid Format', true, ?)", [row, column, message])


def refused(workspace: Workspace, row: int, message: str) -> None:
    workspace.execute("INSERT INTO changes VALUES (?, 'insert', ?, NULL)", [row, row])
    workspace.execute("INSERT INTO outcomes VALUES (?, 'failed', NULL, '0x1', ?)", [row, message])


def test_each_cause_has_its_own_line_with_its_own_rows(workspace: Workspace) -> None:
    """Two causes of one type in one column are not told with one message."""
    for row in (1, 4, 9):
        wrong(workspace, row, "not a number")
    wrong(workspace, 2, "not between 0 and 100")
    assert [(found.message, found.rows, found.count) for found in error_rows(workspace)] == [
        ("not a number", (1, 4, 9), 3),
        ("not between 0 and 100", (2,), 1),
    ]


def test_messages_that_name_their_record_are_one_kind(workspace: Workspace) -> None:
    """The first row's message stands for them."""
    for row in (3, 1, 2):
        refused(workspace, row, f"account With Id = {RECORD.format(row)} Does Not Exist, attempt {row}")
    (found,) = error_rows(workspace)
    assert (found.rows, found.count) == ((1, 2, 3), 3)
    assert found.message == f"account With Id = {RECORD.format(1)} Does Not Exist, attempt 1"


def test_the_kinds_of_one_column_are_bounded_and_the_rest_is_counted(workspace: Workspace) -> None:
    """However many messages there are, the log has a few lines for each type and column, and no row is lost."""
    for row in range(1, 101):
        wrong(workspace, row, f"unknown {'x' * row}")
    wrong(workspace, 101, "unknown x")
    wrong(workspace, 102, "other column", column="name")
    of_revenue = [found for found in error_rows(workspace) if found.column == "revenue"]
    assert len(of_revenue) == MOST_KINDS + 1
    assert sum(found.count for found in of_revenue) == 101
    assert (of_revenue[1].message, of_revenue[1].rows) == ("unknown x", (1, 101))
    rest = max(of_revenue, key=lambda found: found.count)
    assert rest.message == f"{100 - MOST_KINDS} further messages, which the CSV files have"
    ((_, text),) = error_files(workspace, "r")
    assert text.count(b"\r\n") == 1 + 102


def test_no_errors_are_no_lines(workspace: Workspace) -> None:
    """A clean run has none."""
    assert error_rows(workspace) == ()
