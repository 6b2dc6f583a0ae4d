"""References that are written after all records exist: which request has them, of new records and of others."""

from __future__ import annotations

import json

from shared.reconcile.links.put_off import keep_links_of_existing
from shared.reconcile.outcomes import OUTCOMES
from shared.transform import layout
from shared.workspace import Workspace
from tests.unit.transform.lookups.relations import LINKED, linking, planned, to

FIRST = to("parent", match="accountnumber")
SECOND = to("second", source="b", match="accountnumber")
CIRCLE = [["1", "2", "2"], ["2", "1", "1"]]


def test_an_upsert_leaves_out_of_its_first_request_what_is_put_off(workspace: Workspace) -> None:
    """Also what only new records get; each name is listed once."""
    planned(workspace, linking(FIRST, SECOND | {"write": "on_insert"}, strategy="upsert"), CIRCLE)

    rows = workspace.query("SELECT payload, on_create, links, columns FROM changes ORDER BY _row")
    assert [(payload, on_create, len(json.loads(links)), columns) for payload, on_create, links, columns in rows] == [
        ("{}", "{}", 2, "parent,second"),
        ("{}", "{}", 2, "parent,second"),
    ]


def test_a_record_that_was_there_gets_no_reference_that_only_new_records_get(workspace: Workspace) -> None:
    """The upsert of row 1 has created its record, that of row 2 has not."""
    sync = linking(FIRST, SECOND | {"write": "on_insert"}, strategy="upsert")
    planned(workspace, sync, CIRCLE)
    workspace.create(OUTCOMES)
    workspace.execute(
        "INSERT INTO outcomes (_change, result, created) SELECT _change, 'applied', _row = 1 FROM changes"
    )

    workspace.execute(keep_links_of_existing([column for column in layout(sync, LINKED) if column.late]))

    rows = workspace.query("SELECT links FROM changes ORDER BY _row")
    assert [len(json.loads(links)) for (links,) in rows] == [2, 1]


def test_where_every_record_gets_its_references_none_is_left_out() -> None:
    """Then there is no statement."""
    sync = linking(FIRST, SECOND, strategy="upsert")
    assert keep_links_of_existing([column for column in layout(sync, LINKED) if column.late]) == ""
