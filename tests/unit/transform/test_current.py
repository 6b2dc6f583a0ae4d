"""The records of the target in a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.transform import current_finish_steps, current_table_step, layout
from shared.workspace import Workspace
from tests.unit.transform.world import ACCOUNT, definition

SYNC = definition((), [{"source": "number", "target": "name"}])


def finish(workspace: Workspace, records: Sequence[tuple[Any, ...]], *, dropped: str = "ignore") -> None:
    """Records of number of sequence, last digit of the id, creation and account number."""
    sync = SYNC.model_copy(update={"sync_behaviour": SYNC.sync_behaviour.model_copy(update={"dropped": dropped})})
    columns = layout(sync, ACCOUNT)
    workspace.run(current_table_step(columns))
    for seq, digit, created, number in records:
        workspace.execute(
            "INSERT INTO current (_seq, _id, _created, accountnumber) VALUES (?, ?, ?, ?)",
            [seq, f"00000000-0000-0000-0000-00000000000{digit}", created, number],
        )
    for step in current_finish_steps(columns, sync):
        workspace.run(step)


def test_keys_are_computed_from_the_columns(workspace: Workspace) -> None:
    """A reader inserts the typed columns; the parts of the key follow from them."""
    finish(workspace, [(1, 1, None, "ÄB ")])
    assert workspace.query("SELECT _seq, _k1 FROM current ORDER BY _seq") == [(1, "ab")]


def test_of_duplicates_the_oldest_record_stays(workspace: Workspace) -> None:
    """By creation, then by the order of reading; the others are reported and not changed."""
    finish(
        workspace,
        [
            (1, 1, "2024-01-02", "a"),
            (2, 2, "2024-01-01", "A "),
            (3, 3, "2024-01-01", "á"),
            (4, 4, None, "a"),
            (5, 5, "2024-01-01", "b"),
        ],
    )
    assert workspace.query("SELECT _seq FROM current ORDER BY _seq") == [(2,), (5,)]
    found = workspace.query(
        'SELECT _row, "column", error, rejected, right(_id::VARCHAR, 1) FROM target_errors ORDER BY 1'
    )
    assert found == [(row, "accountnumber", "Duplicate Key", True, str(row)) for row in (1, 3, 4)]


def test_records_without_a_key_are_reported_and_not_changed(workspace: Workspace) -> None:
    """They match no row, so they are neither updated nor dropped."""
    finish(workspace, [(1, 1, None, None), (2, 2, None, "  "), (3, 3, None, "a")])
    assert workspace.query("SELECT _seq FROM current") == [(3,)]
    found = workspace.query('SELECT _row, "column", error, rejected FROM target_errors ORDER BY 1')
    assert found == [(row, "accountnumber", "Mandatory Rule Violation", True) for row in (1, 2)]


def test_a_key_of_several_records_is_protected_if_records_are_dropped(workspace: Workspace) -> None:
    """Each such key once; a key of one record and an empty key are not protected."""
    records = [(1, 1, None, "a"), (2, 2, None, "A"), (3, 3, None, "á"), (4, 4, None, "b"), (5, 5, None, None)]
    finish(workspace, records, dropped="delete")
    assert workspace.query("SELECT * FROM protected") == [("a",)]
