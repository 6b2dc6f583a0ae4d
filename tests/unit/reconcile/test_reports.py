"""What went wrong in a run: groups of errors, the rows of the error files, and the counts beside them."""

from __future__ import annotations

from typing import Any

import pytest

from shared.reconcile.outcomes import OUTCOMES
from shared.reconcile.reports import (
    GROUPED_ERRORS,
    MOST_KINDS,
    ROWS_SHOWN,
    error_files,
    rows_in_error_count_query,
    source_counts_query,
    target_counts_query,
    violations_query,
)
from shared.workspace import Workspace
from tests.unit.transform.lookups.relations import id_of

ERRORS = '_row BIGINT, "column" VARCHAR, error VARCHAR, rejected BOOLEAN, message VARCHAR'


@pytest.fixture
def run(workspace: Workspace) -> Workspace:
    """The tables of a run in which nothing went wrong."""
    workspace.create(OUTCOMES)
    workspace.execute("CREATE TABLE changes (_change BIGINT, action VARCHAR, _row BIGINT, _id UUID, key VARCHAR)")
    workspace.execute(f"CREATE TABLE source_errors ({ERRORS})")
    workspace.execute(f"CREATE TABLE target_errors ({ERRORS}, _id UUID)")
    return workspace


def source_error(run: Workspace, row: int, message: str = "", *, column: str | None = "n", **more: Any) -> None:
    values = [row, column, more.get("error", "Invalid Format Exception"), more.get("rejected", True), message]
    run.execute("INSERT INTO source_errors VALUES (?, ?, ?, ?, ?)", values)


def target_error(run: Workspace, row: int, message: str, *, rejected: bool) -> None:
    """A record that was set aside, or a mark that does not fit it."""
    column, error = ("number", "Duplicate Key") if rejected else ("closed", "Invalid Format Exception")
    values = [row, column, error, rejected, message, id_of(row)]
    run.execute("INSERT INTO target_errors VALUES (?, ?, ?, ?, ?, ?)", values)


def outcome(run: Workspace, number: int, result: str, *, row: int | None = None, **more: Any) -> None:
    """A change and its result."""
    run.execute(
        "INSERT INTO changes VALUES (?, ?, ?, ?, ?)",
        [number, more.get("action", "update"), row, more.get("record"), '{"a": 1, "b": "x"}'],
    )
    run.execute(
        "INSERT INTO outcomes (_change, result, id, code, message) VALUES (?, ?, ?, ?, ?)",
        [number, result, more.get("found"), more.get("code"), more.get("message")],
    )


def test_a_run_without_errors_has_no_groups_and_no_file_rows(run: Workspace) -> None:
    assert run.query(GROUPED_ERRORS) == []
    assert [run.query(query) for _, query in error_files().values()] == [[], [], []]


def test_errors_are_grouped_by_side_class_type_and_column(run: Workspace) -> None:
    """The most frequent of a side come first; what was applied is no error."""
    source_error(run, 3, "not a date", rejected=False)
    source_error(run, 2, "too long", column="name")
    source_error(run, 1, "too long", column="name")
    source_error(run, 4, "the key appears twice", column=None, error="Duplicate Key")
    target_error(run, 8, "another record is older", rejected=True)
    for _ in range(2):
        target_error(run, 9, "the value does not fit", rejected=False)
    outcome(run, 1, "failed", row=5, action="insert", code="0x80", message="refused")
    outcome(run, 2, "applied", row=6)
    outcome(run, 3, "edited", row=7)

    edited = "it was changed in Dataverse after this run had compared it; the next run compares it again"
    assert run.query(GROUPED_ERRORS) == [
        ("source", "Invalid Row", "Invalid Format Exception", "name", [1, 2], 2, "too long"),
        ("source", "Invalid Row", "Duplicate Key", "", [4], 1, "the key appears twice"),
        ("source", "Invalid Column", "Invalid Format Exception", "n", [3], 1, "not a date"),
        ("sync", "Failed Operation", "INSERT 0x80", "", [5], 1, "refused"),
        ("target", "Kept Record", "Invalid Format Exception", "closed", [9, 9], 2, "the value does not fit"),
        ("target", "Invalid Row", "Duplicate Key", "number", [8], 1, "another record is older"),
        ("target", "Kept Record", "Edited in target", "", [7], 1, edited),
    ]


def test_a_row_with_several_errors_is_one_row_in_error(run: Workspace) -> None:
    """So is one of which only a field was left out; each refused change without a row counts, and no other change."""
    assert run.query(rows_in_error_count_query()) == [(0,)]
    for column in ("a", "b"):
        source_error(run, 1, column=column)
    source_error(run, 2, rejected=False)
    outcome(run, 1, "failed", row=2)
    outcome(run, 2, "failed", row=3)
    outcome(run, 3, "applied", row=4)
    assert run.query(rows_in_error_count_query()) == [(3,)]
    for number in (4, 5):
        outcome(run, number, "failed", action="delete")
    target_error(run, 8, "another record is older", rejected=True)
    assert run.query(rows_in_error_count_query()) == [(5,)]


def test_messages_that_differ_in_ids_and_numbers_are_one_kind(run: Workspace) -> None:
    """The group has the message of its first row."""
    source_error(run, 2, f"value 17 of {id_of(1)} is too long")
    source_error(run, 1, f"value 4 of {id_of(2)} is too long")
    source_error(run, 9, f"value 4 of {id_of(2)} is too long")
    source_error(run, 3, "value x is too long")
    assert [row[4:] for row in run.query(GROUPED_ERRORS)] == [
        ([1, 2, 9], 3, f"value 4 of {id_of(2)} is too long"),
        ([3], 1, "value x is too long"),
    ]


def test_further_kinds_of_message_are_one_group(run: Workspace) -> None:
    """The rarest kinds are counted together, with all of their rows."""
    letters = [chr(ord("a") + place) for place in range(MOST_KINDS + 3)]
    row = 0
    for place, letter in enumerate(letters):
        for _ in range(2 if place < MOST_KINDS else 1):
            row += 1
            source_error(run, row, f"wrong {letter}")
    groups = run.query(GROUPED_ERRORS)
    assert len(groups) == MOST_KINDS + 1
    *kinds, rest = sorted(groups, key=lambda group: group[6].endswith("have"))
    assert {message for *_, message in kinds} == {f"wrong {letter}" for letter in letters[:MOST_KINDS]}
    assert rest[4:] == ([21, 22, 23], 3, "3 further messages, which the CSV files have")


def test_as_many_kinds_as_are_shown_have_no_rest(run: Workspace) -> None:
    for place in range(MOST_KINDS):
        source_error(run, place, f"wrong {chr(ord('a') + place)}")
    assert [row[5] for row in run.query(GROUPED_ERRORS)] == [1] * MOST_KINDS
    assert not any("further" in row[6] for row in run.query(GROUPED_ERRORS))


def test_a_group_shows_the_first_rows_and_counts_all(run: Workspace) -> None:
    for row in range(ROWS_SHOWN + 20, 0, -1):
        source_error(run, row, "wrong" if row % 2 else f"wrong {row}")
    plain, numbered = sorted(run.query(GROUPED_ERRORS), key=lambda group: group[6] != "wrong")
    assert (plain[4], plain[5]) == (list(range(1, ROWS_SHOWN + 20, 2)), 60)
    assert (numbered[4], numbered[5]) == (list(range(2, ROWS_SHOWN + 21, 2)), 60)

    for row in range(1000, 1000 + ROWS_SHOWN):
        source_error(run, row, "wrong")
    found = next(group for group in run.query(GROUPED_ERRORS) if group[6] == "wrong")
    assert (len(found[4]), found[4][0], found[5]) == (ROWS_SHOWN, 1, 60 + ROWS_SHOWN)


def test_a_failure_without_a_row_is_counted(run: Workspace) -> None:
    """Dropped records have none."""
    outcome(run, 1, "failed", action="delete", code="0x1", message="in use")
    ((side, _, kind, _, _, count, message),) = run.query(GROUPED_ERRORS)
    assert (side, kind, count, message) == ("sync", "DELETE 0x1", 1, "in use")


@pytest.mark.parametrize("name", ["SourceErrors", "TargetErrors"])
def test_the_file_has_one_line_a_row(run: Workspace, name: str) -> None:
    """It is rejected if one of its errors rejects it; the errors are in the order of the columns."""
    header, query = error_files()[name]
    own = "source_errors" if name == "SourceErrors" else "target_errors"
    rows = [
        (2, "size", "Invalid Format Exception", False, "not a number"),
        (1, "name", "Max Length Violation", False, ""),
        (2, "key", "Mandatory Rule Violation", True, "a key needs a value"),
        (3, None, "Duplicate Key", True, "twice"),
    ]
    for values in rows:
        run.execute(f'INSERT INTO {own} (_row, "column", error, rejected, message) VALUES (?, ?, ?, ?, ?)', values)
    lines = run.query(query)
    assert all(len(line) == len(header) for line in lines)
    assert [line[:3] for line in lines] == [
        (1, "No", "name: Max Length Violation"),
        (2, "Yes", "key: Mandatory Rule Violation: a key needs a value; size: Invalid Format Exception: not a number"),
        (3, "Yes", "Duplicate Key: twice"),
    ]


def test_the_file_of_failures_names_the_record_where_one_is_known(run: Workspace) -> None:
    """An insert has the id that the service found, an update its own; they are in the order of the changes."""
    outcome(run, 3, "failed", action="delete", record=id_of(3), message="in use")
    outcome(run, 1, "failed", row=10, action="insert", found=id_of(1), code="0x1", message="taken")
    outcome(run, 2, "failed", row=11, record=id_of(2), found=id_of(9), code="", message="refused")
    outcome(run, 4, "skipped", row=12, message="deadline")
    header, query = error_files()["SyncErrors"]
    lines = [(action, text, str(record), row, key) for action, text, record, row, key in run.query(query)]
    assert len(header) == len(lines[0])
    assert lines == [
        ("INSERT", "0x1: taken", id_of(1), 10, "1, x"),
        ("UPDATE", "refused", id_of(2), 11, "1, x"),
        ("DELETE", "in use", id_of(3), None, "1, x"),
    ]


def test_the_source_is_counted_by_its_table(run: Workspace) -> None:
    run.execute("CREATE TABLE source_counts AS SELECT 3 AS rejected, 10 AS processed, 1 AS filtered, 6 AS verified")
    assert run.query(source_counts_query()) == [(10, 6, 3, 1)]


def test_the_target_is_counted_by_its_records(run: Workspace) -> None:
    """A record that was set aside counts once, however many errors it has; one that was only not marked stays."""
    run.execute("CREATE TABLE current AS SELECT unnest([1, 2, 3]) AS _seq, uuid() AS _id")
    target_error(run, 7, "another record is older", rejected=True)
    target_error(run, 7, "a key needs a value", rejected=True)
    target_error(run, 8, "the value does not fit", rejected=False)
    assert run.query(target_counts_query()) == [(3, 1)]


def test_missing_values_that_reject_nothing_are_counted_by_row(run: Workspace) -> None:
    mandatory = "Mandatory Rule Violation"
    source_error(run, 1, error=mandatory, rejected=False)
    source_error(run, 1, column="other", error=mandatory, rejected=False)
    source_error(run, 2, error=mandatory, rejected=True)
    source_error(run, 3, rejected=False)
    source_error(run, 4, error=mandatory, rejected=False)
    assert run.query(violations_query()) == [(2,)]


def test_a_code_that_means_no_code_is_not_shown(run: Workspace) -> None:
    """Neither in the groups nor in the file."""
    outcome(run, 1, "failed", code="0x0", message="Syntax error")
    ((_, _, kind, *_),) = run.query(GROUPED_ERRORS)
    assert kind == "UPDATE"
    ((_, error, *_),) = run.query(error_files()["SyncErrors"][1])
    assert error == "Syntax error"
