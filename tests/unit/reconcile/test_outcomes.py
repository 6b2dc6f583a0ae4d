"""What becomes of the outcomes of a run: inserts whose key is taken, what was not sent, and how they are counted."""

from __future__ import annotations

import json

import pytest

from shared.reconcile.outcomes import (
    KEEP_OUTCOMES,
    LINKS_MADE,
    OUTCOMES,
    UNNAMED_LINKS,
    adopted_updates_query,
    changes_count_query,
    changes_query,
    failed_count_query,
    name_links_statement,
    outcome_counts_query,
    resolve_taken_statements,
    skip_reason_query,
    skip_statements,
    taken_keys_query,
)
from shared.workspace import Workspace
from tests.unit.reconcile.test_ledger import KEY
from tests.unit.transform.lookups.relations import id_of

CHANGES = (
    "_change BIGINT, action VARCHAR, _id UUID, key VARCHAR, payload VARCHAR, on_create VARCHAR, later VARCHAR, "
    "columns VARCHAR, version BIGINT"
)
ADOPTIONS = "_change BIGINT, _id UUID, action VARCHAR, payload VARCHAR, later VARCHAR, columns VARCHAR, version BIGINT"


@pytest.fixture
def written(workspace: Workspace) -> Workspace:
    """Changes 1 to 6: four inserts, an update and a delete; the first one failed, the next three are taken."""
    workspace.create(OUTCOMES)
    workspace.execute(f"CREATE TABLE changes ({CHANGES})")
    workspace.execute(f"CREATE TABLE adoptions ({ADOPTIONS})")
    for number, action in enumerate(("insert", "insert", "insert", "insert", "update", "delete"), 1):
        workspace.execute("INSERT INTO changes (_change, action, key) VALUES (?, ?, ?)", [number, action, f"k{number}"])
    results = {1: "failed", 2: "taken", 3: "taken", 4: "taken"}
    rows = [{"n": n, "result": result, "status": 412, "code": "0x1", "message": "no"} for n, result in results.items()]
    workspace.execute(KEEP_OUTCOMES, [json.dumps(rows)])
    return workspace


def results(workspace: Workspace) -> dict[int, str]:
    return dict(workspace.query("SELECT _change, result FROM outcomes"))


def test_a_taken_key_is_adopted_becomes_an_update_or_fails(written: Workspace) -> None:
    """An update has no outcome until it is made; what adopts nothing keeps what the service said."""
    assert written.query(taken_keys_query()) == [(2, "k2"), (3, "k3"), (4, "k4")]
    for number, action in ((2, "unchanged"), (3, "update")):
        written.execute("INSERT INTO adoptions VALUES (?, ?, ?, '{1}', '', 'c', 7)", [number, id_of(number), action])
    for statement in resolve_taken_statements():
        written.execute(statement)

    assert results(written) == {1: "failed", 2: "adopted", 4: "failed"}
    assert written.query("SELECT CAST(id AS VARCHAR), code FROM outcomes WHERE _change = 2") == [(id_of(2), None)]
    ((number, record, key, payload, *_),) = written.query(adopted_updates_query())
    assert (number, record, key, payload) == (3, id_of(3), "k3", "{1}")
    assert written.query(failed_count_query()) == [(2,)]


def test_an_adopted_record_of_which_only_references_differ_gets_no_update(written: Workspace) -> None:
    """They are written after all records exist; what takes a second request is sent."""
    written.execute("INSERT INTO adoptions VALUES (2, ?, 'update', '{}', '', 'parent', 7)", [id_of(2)])
    written.execute("INSERT INTO adoptions VALUES (3, ?, 'update', '{}', '{1}', 'state', 7)", [id_of(3)])
    for statement in resolve_taken_statements():
        written.execute(statement)

    assert results(written) == {1: "failed", 2: "adopted", 4: "failed"}
    assert [number for number, *_ in written.query(adopted_updates_query())] == [3]


def test_what_was_not_sent_is_skipped_for_a_reason(written: Workspace) -> None:
    """So is an insert whose holder was not looked up; a failure stays one."""
    assert written.query(skip_reason_query()) == [(None,)]
    for statement in skip_statements():
        written.execute(statement, ["deadline"])

    assert results(written) == {1: "failed", **dict.fromkeys(range(2, 7), "skipped")}
    assert written.query(skip_reason_query()) == [("deadline",)]
    written.execute("UPDATE outcomes SET message = 'deadline; a note for people'")
    assert written.query(skip_reason_query()) == [("deadline",)]
    assert dict(written.query(outcome_counts_query())) == {"failed": 1, "skipped": 5}


def test_applied_changes_are_counted_by_what_they_did(written: Workspace) -> None:
    """A key that is taken is no end yet."""
    rows = [{"n": 5, "result": "applied"}, {"n": 6, "result": "applied"}]
    written.execute(KEEP_OUTCOMES, [json.dumps(rows)])

    assert dict(written.query(outcome_counts_query())) == {"failed": 1, "update": 1, "delete": 1}
    assert written.query(changes_count_query()) == [(4, 6)]
    assert [row[0] for row in written.query(changes_query("action <> 'insert'"))] == [5, 6]
    assert len(written.query(changes_query())) == 6


def test_links_that_were_made_get_the_ids_with_which_they_are_read(workspace: Workspace) -> None:
    """A refused link and a removed one get none, nor does one that was not read."""
    workspace.create(OUTCOMES)
    workspace.execute("CREATE TABLE changes (_change BIGINT, action VARCHAR, _row BIGINT, key VARCHAR)")
    workspace.execute("CREATE TABLE desired (_row BIGINT, _k1 VARCHAR)")
    workspace.execute(f"CREATE TABLE {LINKS_MADE} (_id UUID, _k1 VARCHAR)")
    actions = {1: "insert", 2: "insert", 3: "insert", 4: "delete"}
    for number, action in actions.items():
        row = None if action == "delete" else number
        workspace.execute("INSERT INTO changes VALUES (?, ?, ?, ?)", [number, action, row, f"k{number}"])
        workspace.execute("INSERT INTO desired VALUES (?, ?)", [number, f"k{number}"])
    for number in (1, 2, 4):
        workspace.execute(f"INSERT INTO {LINKS_MADE} VALUES (?, ?)", [id_of(number), f"k{number}"])
    ended = [{"n": number, "result": "failed" if number == 2 else "applied"} for number in actions]
    workspace.execute(KEEP_OUTCOMES, [json.dumps(ended)])

    assert workspace.query(UNNAMED_LINKS) == [("k1",), ("k3",)]
    workspace.execute(name_links_statement([KEY]))

    named = workspace.query("SELECT _change, CAST(id AS VARCHAR) FROM outcomes ORDER BY _change")
    assert named == [(1, id_of(1)), (2, None), (3, None), (4, None)]
