"""What an undo says in the ledger of its sync: before its writes, and after them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from shared.reconcile.undo.journal import MATCHED_TABLE, REMEMBERED_TABLE
from shared.reconcile.undo.remembered import LEDGER_ROWS, OWN_NO_MORE, fill_rows, intended_rows, undone_rows
from shared.workspace import Table, Workspace
from tests.unit.reconcile.undo.test_decide import LAYOUT, RECORD, decided, held, journal, workspace

__all__ = ["workspace"]

GUARDED = [column for column in LAYOUT if column.name == "name"]
ROWS = "id UUID, origin VARCHAR, marked BOOLEAN, mark VARCHAR, written VARCHAR, pending VARCHAR"
OTHERS = UUID(int=8)


def remembered(workspace: Workspace, *rows: tuple[Any, ...], known: tuple[Any, ...] | None = None) -> None:
    """Fill the ledger with rows, and what the journal has of it; then decide."""
    workspace.execute(f"CREATE TABLE stored ({ROWS})")
    workspace.execute(f"CREATE TABLE {REMEMBERED_TABLE} ({ROWS}); CREATE TABLE IF NOT EXISTS {MATCHED_TABLE} (id UUID)")
    for table, values in (*(("stored", row) for row in rows), *(((REMEMBERED_TABLE, known),) if known else ())):
        workspace.execute(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?)", list(values))
    decided(workspace)
    workspace.create(LEDGER_ROWS)
    workspace.execute(fill_rows("FROM stored"))


def ended(workspace: Workspace, result: str, *, sent: bool = False) -> None:
    """Let every change have a result; `in part` is a second request that was refused."""
    record, result = ("_id", "failed") if result == "in part" else ("NULL::UUID", result)
    outcomes = f"SELECT _change, ? AS result, {record} AS id, ?::BOOLEAN AS sent FROM changes"
    workspace.execute(f"CREATE TABLE outcomes AS {outcomes}", [result, sent])


def rows_of(workspace: Workspace, table: Table) -> list[tuple[Any, ...]]:
    return workspace.query(f"SELECT origin, marked, written, pending FROM {table} ORDER BY id")


@pytest.mark.parametrize(
    ("pending", "intended"),
    [
        (None, '{"name":["old"]}'),
        ('{"name":"x"}', '{"name":["x","old"]}'),
        ('{"name":["x",null]}', '{"name":["x",null,"old"]}'),
        ('{"other":"y"}', '{"name":["old"],"other":"y"}'),
    ],
)
@pytest.mark.parametrize("result", ["applied", "failed", "in part", "failed after all", "edited"])
def test_values_that_are_set_back_are_pending_until_they_are_written(
    workspace: Workspace, pending: str | None, intended: str, result: str
) -> None:
    """One that was refused is pending no more, unless it may have been written before.

    Of one that others changed meanwhile nothing is known.

    What the ledger says of columns that the run did not write stays.
    """
    others = pending if pending and "other" in pending else None
    journal(workspace, "update", '{"name":"old","amount":1}', '{"name":"new","amount":2}', "name,amount")
    held(workspace, name="new", amount=2)
    remembered(
        workspace,
        (RECORD, "created", False, None, '{"name":"new","city":null}', pending),
        (OTHERS, "created", False, None, "{}", None),
    )
    workspace.create(intended_rows(GUARDED))
    assert rows_of(workspace, Table.LEDGER_BEFORE) == [("created", False, '{"name":"new","city":null}', intended)]
    ended(workspace, result.removesuffix(" after all"), sent=result == "failed after all")
    workspace.create(undone_rows(GUARDED))
    after = {
        "applied": [("created", False, '{"name":"old","city":null}', others)],
        "in part": [("created", False, '{"name":"old","city":null}', others)],
        "failed": [("created", False, '{"name":"new","city":null}', pending)],
        "failed after all": [],
        "edited": [],
    }
    assert rows_of(workspace, Table.LEDGER_AFTER) == after[result]


def test_other_values_are_not_noted(workspace: Workspace) -> None:
    """The ledger has only those of columns with `unless_edited`."""
    journal(workspace, "update", '{"amount":1}', '{"amount":2}', "amount")
    held(workspace, amount=2)
    remembered(workspace, (RECORD, "matched", False, None, "{}", None))
    for guarded in (GUARDED, []):
        workspace.drop(Table.LEDGER_BEFORE)
        workspace.create(intended_rows(guarded))
        assert rows_of(workspace, Table.LEDGER_BEFORE) == []


@pytest.mark.parametrize("origin", ["matched", "created"])
@pytest.mark.parametrize("result", ["applied", "skipped"])
def test_records_that_the_run_was_the_first_to_match_are_not_own(
    workspace: Workspace, origin: str, result: str
) -> None:
    """What is known of their values stays. One that the undo did not come to is noted when the undo is repeated."""
    journal(workspace, "update", '{"name":"old"}', '{"name":"new"}', "name")
    held(workspace, name="new")
    said = (origin, False, '{"name":"new"}', None)
    workspace.execute(f"CREATE TABLE {MATCHED_TABLE} AS SELECT unnest(?::UUID[]) AS id", [[RECORD, OTHERS]])
    remembered(workspace, *((record, origin, False, None, *said[2:]) for record in (RECORD, OTHERS)))
    ended(workspace, result)
    workspace.execute(OWN_NO_MORE)
    workspace.create(intended_rows(GUARDED))
    workspace.create(undone_rows(GUARDED))
    now = "marked" if origin == "matched" else origin
    changed = [(now, False, '{"name":"old"}', None)] if result == "applied" else []
    only_matched = [(now, *said[1:])] if origin == "matched" else []
    assert sorted(rows_of(workspace, Table.LEDGER_AFTER)) == sorted([*changed, *only_matched])


def test_a_record_that_is_created_again_is_that_of_the_sync_at_once(workspace: Workspace) -> None:
    """What the ledger said of it before; the values that it is given are no writes of the sync."""
    journal(workspace, "delete", '{"name":"edited"}', "", "")
    known = (RECORD, "created", False, None, '{"name":"old"}', None)
    remembered(workspace, known=known)
    workspace.create(intended_rows(GUARDED))
    said = [("created", False, '{"name":"old"}', None)]
    assert rows_of(workspace, Table.LEDGER_BEFORE) == said
    ended(workspace, "applied")
    workspace.create(undone_rows(GUARDED))
    assert rows_of(workspace, Table.LEDGER_AFTER) == said


def test_a_record_that_is_deleted_is_forgotten_afterwards(workspace: Workspace) -> None:
    """Not before: the delete may be refused."""
    journal(workspace, "insert", "", '{"name":"new"}', "name")
    held(workspace, name="new")
    remembered(workspace, (RECORD, "created", False, None, '{"name":"new"}', None))
    workspace.create(intended_rows(GUARDED))
    assert rows_of(workspace, Table.LEDGER_BEFORE) == []
    ended(workspace, "applied")
    workspace.create(undone_rows(GUARDED))
    assert rows_of(workspace, Table.LEDGER_AFTER) == [(None, False, None, None)]


def test_a_value_of_a_second_request_that_was_refused_is_not_written(workspace: Workspace) -> None:
    """The first request has no such column."""
    journal(workspace, "update", '{"name":"old"}', '{"name":"new"}', "name")
    held(workspace, name="new")
    remembered(workspace, (RECORD, "created", False, None, '{"name":"new"}', None))
    workspace.execute("UPDATE changes SET payload = '{}'")
    workspace.create(intended_rows(GUARDED))
    ended(workspace, "in part")
    workspace.create(undone_rows(GUARDED))
    assert rows_of(workspace, Table.LEDGER_AFTER) == [("created", False, '{"name":"new"}', None)]


@pytest.mark.parametrize(("action", "before", "after"), [("reactivate", False, True), ("mark", True, False)])
def test_marks_are_turned_around(workspace: Workspace, action: str, *, before: bool, after: bool) -> None:
    """One that is given again counts from before the write; a run forgets a mark that a record does not have."""
    journal(workspace, action, '{"amount":1}', '{"amount":2}', "amount")
    held(workspace, amount=2)
    remembered(workspace, (RECORD, "created", before, "amount", "{}", None))
    workspace.create(intended_rows(GUARDED))
    noted = [("created", True, "{}", None)] if action == "reactivate" else []
    assert rows_of(workspace, Table.LEDGER_BEFORE) == noted
    ended(workspace, "applied")
    workspace.create(undone_rows(GUARDED))
    assert rows_of(workspace, Table.LEDGER_AFTER) == [("created", after, "{}", None)]
