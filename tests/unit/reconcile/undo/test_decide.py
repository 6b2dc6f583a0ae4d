"""What an undo does to each record: the values of the journal are compared with the record as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from shared.entities import AttributeMetadata, AttributeType, EntityMetadata
from shared.reconcile.changes import reversing_steps
from shared.reconcile.undo.decide import UNDO_DECISIONS, Reversal
from shared.reconcile.undo.records import UNDO_RECORDS, records_step
from shared.transform import current_table_step
from shared.transform.metadata_columns import identified, metadata_layout, watched, writable_columns
from shared.workspace import Workspace

US, OTHER, RECORD = UUID(int=1), UUID(int=2), UUID(int=7)
ENDED = datetime(2026, 11, 26, 8, 0, 10, 700_000, tzinfo=UTC)
IN_TIME, TOO_LATE = "2026-11-26 08:00:09", "2026-11-26 08:00:10"
ACCOUNT, PERSON = UUID(int=11), UUID(int=12)


def column(name: str, kind: AttributeType, **more: Any) -> AttributeMetadata:
    return AttributeMetadata(name=name, type=kind, **more)


ITEM = EntityMetadata(
    logical_name="item",
    entity_set="items",
    display_name="Item",
    primary_id="itemid",
    primary_name="name",
    attributes={
        each.name: each
        for each in (
            column("itemid", AttributeType.UNIQUEIDENTIFIER),
            column("name", AttributeType.STRING),
            column("amount", AttributeType.DECIMAL, precision=10),
            column("who", AttributeType.CUSTOMER, targets=("account", "contact"),
                   navigation={"account": "who_account", "contact": "who_contact"}),
            column("parent", AttributeType.LOOKUP, targets=("item",), navigation={"item": "Parent"}),
            column("picture", AttributeType.IMAGE),
            column("total", AttributeType.MONEY, creatable=False, updatable=False),
            column("modifiedby", AttributeType.LOOKUP, targets=("systemuser",), creatable=False, updatable=False),
            column("modifiedon", AttributeType.DATETIME, creatable=False, updatable=False),
        )
    },
    related={
        table: EntityMetadata(logical_name=table, entity_set=f"{table}s", display_name=table, primary_id=f"{table}id",
                              primary_name="name", attributes={})
        for table in ("account", "contact")
    },
)  # fmt: skip
LAYOUT = metadata_layout(ITEM, ["name", "amount", "who", "parent"])


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace.open(threads=1) as opened:
        opened.execute(
            "CREATE TABLE journal (change BIGINT, action VARCHAR, id UUID, key VARCHAR, before VARCHAR, payload VARCHAR, "
            "later VARCHAR, links VARCHAR, columns VARCHAR)"
        )
        opened.run(current_table_step(watched(ITEM, identified(ITEM, LAYOUT), on_behalf=False)))
        yield opened


def journal(
    workspace: Workspace, action: str, before: str, payload: str, columns: str, *, record: UUID = RECORD
) -> None:
    ((number,),) = workspace.query("SELECT count(*) + 1 FROM journal")
    workspace.execute(
        "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, '', '', ?)",
        [number, action, record, '{"name":"K"}', before, payload, columns],
    )


def held(workspace: Workspace, *, record: UUID = RECORD, by: UUID = US, on: str = TOO_LATE, **values: Any) -> None:
    names = {"_seq": 1, "_id": record, "_version": "W/1", "modifiedby": by, "modifiedon": on, **values}
    marks = ", ".join("?" * len(names))
    workspace.execute(f"INSERT INTO current ({', '.join(names)}) VALUES ({marks})", list(names.values()))


def decided(
    workspace: Workspace, *, force: bool = False, ended: datetime | None = ENDED
) -> list[tuple[str, list[str]]]:
    workspace.run(records_step(LAYOUT, metadata_layout(ITEM, ["name"])))
    reversal = Reversal(entity=ITEM, layout=LAYOUT, users=frozenset({str(US)}), ended=ended, force=force)
    for step in (*reversal.steps(), *reversing_steps(identified(ITEM, LAYOUT), ITEM)):
        workspace.run(step)
    return [
        (decision, edited)
        for decision, edited in workspace.query(f"SELECT decision, edited FROM {UNDO_DECISIONS} ORDER BY change")
    ]


def changes(workspace: Workspace) -> list[tuple[Any, ...]]:
    return workspace.query("SELECT action::VARCHAR, payload, links, version FROM changes ORDER BY _change")


@pytest.mark.parametrize(
    ("now", "force", "decision", "edited", "sent"),
    [
        pytest.param({"name": "new", "amount": 2}, False, "update", [], {"name": "old", "amount": 1}, id="ours"),
        pytest.param({"name": "x", "amount": 2}, False, "update", ["name"], {"amount": 1}, id="one of two edited"),
        pytest.param({"name": "x", "amount": 2}, True, "update", [], {"name": "old", "amount": 1}, id="forced"),
        pytest.param({"name": "x", "amount": 3}, False, "edited", ["name", "amount"], None, id="both edited"),
        pytest.param({"name": "old", "amount": 1}, False, "unchanged", [], None, id="as before"),
        pytest.param({"name": "old", "amount": 2}, False, "update", [], {"amount": 1}, id="half undone"),
        pytest.param(None, False, "edited", [], None, id="deleted since"),
        pytest.param(None, True, "edited", [], None, id="deleted since, forced"),
    ],
)
def test_each_value_of_an_update_is_set_back_where_it_is_still_what_the_run_wrote(
    workspace: Workspace, now: dict[str, Any] | None, *, force: bool, decision: str, edited: list[str], sent: object
) -> None:
    """Who changed the record last does not matter; the version that was compared is asked for."""
    journal(workspace, "update", '{"name":"old","amount":1}', '{"name":"new","amount":2}', "name,amount")
    if now is not None:
        held(workspace, by=OTHER, **now)
    assert decided(workspace, force=force) == [(decision, edited)]
    assert [(json.loads(payload), version) for _, payload, _, version in changes(workspace)] == (
        [(sent, "W/1")] if sent else []
    )


@pytest.mark.parametrize(
    ("by", "on", "ended", "force", "decision"),
    [
        pytest.param(US, TOO_LATE, ENDED, False, "delete", id="changed last by us"),
        pytest.param(OTHER, IN_TIME, ENDED, False, "delete", id="changed last before the end of the run"),
        pytest.param(OTHER, TOO_LATE, ENDED, False, "edited", id="in the second in which the run ended"),
        pytest.param(OTHER, IN_TIME, None, False, "edited", id="the run died"),
        pytest.param(OTHER, TOO_LATE, ENDED, True, "delete", id="forced"),
    ],
)
def test_a_new_record_is_deleted_if_nobody_has_changed_it(
    workspace: Workspace, by: UUID, on: str, ended: datetime | None, *, force: bool, decision: str
) -> None:
    """The service keeps whole seconds, so the last second of the run counts as after it."""
    journal(workspace, "insert", "{}", '{"name":"new"}', "name")
    held(workspace, by=by, on=on, name="new")
    assert decided(workspace, force=force, ended=ended) == [(decision, [])]
    assert [action for action, *_ in changes(workspace)] == (["delete"] if decision == "delete" else [])


def test_a_new_record_that_is_gone_needs_nothing(workspace: Workspace) -> None:
    """An undo that was interrupted may have deleted it."""
    journal(workspace, "insert", "{}", '{"name":"new"}', "name")
    assert decided(workspace) == [("unchanged", [])]


def test_a_deleted_record_is_created_again_with_every_digit_and_reference(workspace: Workspace) -> None:
    """A reference to a record that is created again as well is written when both are there."""
    other = UUID(int=8)
    before = f'{{"name":"old","amount":1234567890123456789.0123456789,"who":"contact:{PERSON}","parent":"{other}"}}'
    journal(workspace, "delete", before, "{}", "")
    journal(workspace, "delete", f'{{"name":"top","parent":"{RECORD}"}}', "{}", "", record=other)
    assert decided(workspace) == [("insert", []), ("insert", [])]
    first, second = changes(workspace)
    assert first[1] == (
        f'{{"name":"old","amount":1234567890123456789.0123456789,"who_contact@odata.bind":"/contacts({PERSON})"}}'
    )
    assert json.loads(first[2]) == {"Parent@odata.bind": f"/items({other})"}
    assert json.loads(second[2]) == {"Parent@odata.bind": f"/items({RECORD})"}
    ids = workspace.query("SELECT _id FROM changes ORDER BY _change")
    assert ids == [(RECORD,), (other,)]


@pytest.mark.parametrize(
    ("by", "force", "decision", "edited"),
    [(US, False, "update", []), (OTHER, False, "edited", ["amount"]), (OTHER, True, "update", [])],
)
def test_a_deleted_record_that_is_there_again_gets_its_values_unless_others_have_changed_it(
    workspace: Workspace, by: UUID, *, force: bool, decision: str, edited: list[str]
) -> None:
    """An undo that was interrupted may have created it without some of them."""
    journal(workspace, "delete", '{"name":"old","amount":1}', "{}", "")
    held(workspace, by=by, name="old", amount=2)
    assert decided(workspace, force=force) == [(decision, edited)]
    assert [json.loads(payload) for _, payload, *_ in changes(workspace)] == (
        [{"amount": 1}] if decision == "update" else []
    )


def test_references_are_compared_with_what_was_sent(workspace: Workspace) -> None:
    """Of a lookup with several tables the table is that of the collection in the payload."""
    payload = f'{{"who_account@odata.bind":"/accounts({str(ACCOUNT).upper()})","Parent":null}}'
    journal(workspace, "update", f'{{"who":"contact:{PERSON}","parent":"{RECORD}"}}', payload, "who,parent")
    held(workspace, who=f"account:{ACCOUNT}", parent=None)
    assert decided(workspace) == [("update", [])]
    ((_, sent, _, _),) = changes(workspace)
    assert json.loads(sent) == {
        "who_contact@odata.bind": f"/contacts({PERSON})",
        "Parent@odata.bind": f"/items({RECORD})",
    }


def test_a_condition_sees_what_was_written_and_the_key(workspace: Workspace) -> None:
    """Of a deleted record it sees what it held."""
    journal(workspace, "update", '{"amount":1}', '{"amount":2}', "amount")
    journal(workspace, "delete", '{"amount":2}', "{}", "", record=UUID(int=8))
    journal(workspace, "delete", '{"amount":3}', "{}", "", record=UUID(int=9))
    workspace.run(records_step(LAYOUT, metadata_layout(ITEM, ["name"]), "amount = 2 AND name = 'K'"))
    assert workspace.query(f"SELECT change FROM {UNDO_RECORDS} ORDER BY change") == [(1,), (2,)]


def test_columns_that_are_no_values_or_cannot_be_written_are_left_out() -> None:
    """Images, calculated columns, those of the service, and the id."""
    assert writable_columns(ITEM) == ("name", "amount", "who", "parent")
