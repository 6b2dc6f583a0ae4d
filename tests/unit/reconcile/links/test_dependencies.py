"""What a write does about records that other changes need: outcomes of children, ids that turn out differently."""

from __future__ import annotations

from typing import Any

import pytest

from shared.reconcile.links.dependencies import (
    CREATES,
    FORGET_CREATED,
    LINKED_CHANGES,
    actual_ids,
    creations_count_query,
    creations_query,
    failed_links,
    failed_parents,
    found_creations,
    in_generation,
    waves_query,
    without_creations,
)
from shared.reconcile.links.steps import delete_order
from shared.reconcile.outcomes import OUTCOMES
from shared.transform import TargetColumn, layout
from shared.workspace import Table, Workspace
from tests.unit.transform.lookups.relations import LINKED, id_of, linking, to

COLUMNS = {
    "changes": "_change BIGINT, action VARCHAR, _row BIGINT, _id UUID, key VARCHAR, payload VARCHAR, later VARCHAR, links VARCHAR, on_create VARCHAR, version VARCHAR",
    "parents": "_row BIGINT, parent BIGINT, name VARCHAR, rejects BOOLEAN, deferred BOOLEAN",
    "new_records": "_row BIGINT, _id UUID",
    "generations": "_row BIGINT, generation INTEGER",
    "drop_order": "_id UUID, generation INTEGER",
    "creations": "_creation BIGINT, entity VARCHAR, id UUID, key VARCHAR, payload VARCHAR, _row BIGINT",
    "created_references": "id UUID",
    "uncreated": "id UUID, entity VARCHAR, message VARCHAR",
    "renamed": "planned UUID, found UUID",
    "desired": "_row BIGINT, parent UUID, customer VARCHAR",
}


def column(name: str) -> TargetColumn:
    mapping = to("parent", match="name") if name == "parent" else to("customer", entity="contact", match="code")
    return next(each for each in layout(linking(mapping), LINKED) if each.name == name)


@pytest.fixture
def written(workspace: Workspace) -> Workspace:
    """A workspace with the tables of a write; change n is the insert of row n."""
    workspace.create(OUTCOMES)
    for table, columns in COLUMNS.items():
        workspace.execute(f"CREATE TABLE {table} ({columns})")
    for number in range(1, 6):
        add(written_to := workspace, "changes", number, "insert", number, None, f"k{number}", "{}", "", "", "", "")
    return written_to


def add(workspace: Workspace, table: str, *values: Any) -> None:
    workspace.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", list(values))


def end(workspace: Workspace, change: int, result: str, id_: str | None = None) -> None:
    """Give a change its outcome."""
    workspace.execute("INSERT INTO outcomes (_change, result, id) VALUES (?, ?, ?)", [change, result, id_])


def outcomes(workspace: Workspace) -> dict[int, tuple[str, str | None]]:
    """Change -> result and code."""
    return {n: (result, code) for n, result, code in workspace.query("SELECT _change, result, code FROM outcomes")}


def test_a_change_fails_with_the_new_record_that_it_refers_to(written: Workspace) -> None:
    """Row 2 refers to one that failed, 3 to one that was not sent, 4 to one that exists, 7 to one that was edited."""
    for number in (6, 7):
        add(written, "changes", number, "insert", number, None, f"k{number}", "{}", "", "", "", "")
    end(written, 6, "edited", id_of(6))
    for row, parent in ((2, 1), (3, 9), (4, 5), (4, 1), (7, 6)):
        add(written, "parents", row, parent, "parent", True, parent == 1 and row == 4)
    end(written, 1, "failed")
    end(written, 5, "adopted", id_of(5))
    written.execute(failed_parents(CREATES))

    assert outcomes(written) == {
        1: ("failed", None),
        5: ("adopted", None),
        6: ("edited", None),
        2: ("failed", "Parent Failed"),
        3: ("failed", "Parent Failed"),
    }
    (said,) = written.query("SELECT message FROM outcomes WHERE _change = 2")
    assert said == ("parent refers to row 1, whose record was not created",)

    written.execute(failed_parents(CREATES))
    assert len(outcomes(written)) == 5


def test_a_change_that_leaves_the_reference_out_does_not_fail(written: Workspace) -> None:
    """The change of row 2 has the id of the new record, and that of row 3 has other columns."""
    for row in (2, 3):
        add(written, "parents", row, 1, "parent", True, False)
    add(written, "new_records", 1, id_of(1))
    written.execute(f"UPDATE changes SET payload = '/accounts({id_of(1)})' WHERE _row = 2")
    end(written, 1, "failed")
    written.execute(failed_parents(CREATES))
    assert outcomes(written) == {1: ("failed", None), 2: ("failed", "Parent Failed")}


def test_only_the_changes_that_are_about_to_be_written_fail(written: Workspace) -> None:
    """Those of a later generation have parents that are not written yet."""
    add(written, "parents", 2, 1, "parent", True, False)
    written.execute(failed_parents("_row > 2"))
    assert outcomes(written) == {}


def test_a_record_whose_deferred_reference_has_no_record_was_created_in_part(written: Workspace) -> None:
    """That is a failure; a reference to a record that is there is written, by the id that it got."""
    for row, parent in ((1, 2), (3, 4)):
        add(written, "parents", row, parent, "parent", True, True)
    written.execute("""UPDATE changes SET links = '{"x":1}' WHERE _row IN (1, 3)""")
    end(written, 1, "applied", id_of(1))
    end(written, 2, "failed")
    end(written, 3, "adopted", id_of(3))
    end(written, 4, "applied", id_of(4))
    written.execute(failed_links())

    assert outcomes(written)[1] == ("failed", "Parent Failed")
    assert outcomes(written)[3] == ("adopted", None)
    (said,) = written.query("SELECT message FROM outcomes WHERE _change = 1")
    assert said == ("the record was created, but parent refers to row 2, whose record was not created",)
    assert written.query(LINKED_CHANGES) == [(3, id_of(3), "k3", '{"x":1}', "")]


@pytest.mark.parametrize(("payload", "later", "version"), [("{}", "", "W/7"), ("{1}", "", ""), ("{}", "{1}", "")])
def test_a_reference_names_the_version_that_was_compared_unless_the_run_has_written_the_record(
    written: Workspace, payload: str, later: str, version: str
) -> None:
    """The run itself has changed it then."""
    values = [payload, later]
    written.execute("UPDATE changes SET links = 'x', version = 'W/7', payload = ?, later = ? WHERE _row = 1", values)
    end(written, 1, "adopted", id_of(1))
    assert written.query(LINKED_CHANGES) == [(1, id_of(1), "k1", "x", version)]


def test_a_record_that_leaves_its_deferred_reference_out_does_not_fail(written: Workspace) -> None:
    """Both have adopted a record; only row 1 is to refer to the new record of row 3, which is missing."""
    add(written, "new_records", 3, id_of(3))
    for row in (1, 2):
        add(written, "parents", row, 3, "parent", True, True)
        end(written, row, "adopted", id_of(row))
    written.execute(f"UPDATE changes SET links = '/accounts({id_of(3)})' WHERE _row = 1")
    end(written, 3, "failed")
    written.execute(failed_links())

    assert outcomes(written) == {1: ("failed", "Parent Failed"), 2: ("adopted", None), 3: ("failed", None)}
    (said,) = written.query("SELECT message FROM outcomes WHERE _change = 1")
    assert said == ("the record was adopted, but parent refers to row 3, whose record was not created",)


@pytest.mark.parametrize(
    ("name", "value"), [("parent", id_of(1)), ("customer", f"account:{id_of(1)}")], ids=["one table", "several tables"]
)
def test_children_get_the_id_that_their_parent_has(written: Workspace, name: str, value: str) -> None:
    """Wherever it stands: in the payload, in what follows, and in the row, where adopting compares."""
    add(written, "parents", 2, 1, name, True, False)
    add(written, "new_records", 1, id_of(1))
    add(written, "desired", 2, value if name == "parent" else None, value if name == "customer" else None)
    text = f'{{"x":"/accounts({id_of(1)})"}}'
    written.execute(f"UPDATE changes SET payload = '{text}', later = '{text}', links = '{text}' WHERE _row IN (2, 3)")
    end(written, 1, "adopted", id_of(7))
    for statement in actual_ids(column(name)):
        written.execute(statement)

    changed = text.replace(id_of(1), id_of(7))
    assert written.query("SELECT payload, later, links FROM changes WHERE _row = 2") == [(changed,) * 3]
    assert written.query("SELECT payload FROM changes WHERE _row = 3") == [(text,)]
    assert written.query(f"SELECT CAST({name} AS VARCHAR) FROM desired") == [(value.replace(id_of(1), id_of(7)),)]


@pytest.mark.parametrize(
    ("name", "value"), [("parent", id_of(1)), ("customer", f"contact:{id_of(1)}")], ids=["one table", "several tables"]
)
def test_what_refers_to_a_record_that_was_not_created_fails(written: Workspace, name: str, value: str) -> None:
    """The reason is that of the record; a change of the row that leaves the reference out does not fail."""
    add(written, "desired", 2, value if name == "parent" else None, value if name == "customer" else None)
    add(written, "desired", 3, None, None)
    add(written, "desired", 4, value if name == "parent" else None, value if name == "customer" else None)
    add(written, "uncreated", id_of(1), "contact", "0x1 no")
    written.execute(f"UPDATE changes SET payload = '/contacts({id_of(1)})' WHERE _row = 2")
    written.execute(without_creations([column(name)]))

    assert outcomes(written) == {2: ("failed", "Parent Failed")}
    (said,) = written.query("SELECT message FROM outcomes")
    assert said == ("the contact that a lookup creates was refused: 0x1 no",)


def test_a_record_that_exists_meanwhile_takes_the_place_of_the_one_that_was_to_be_created(written: Workspace) -> None:
    """Under the id that it has."""
    add(written, "desired", 2, None, f"contact:{id_of(1)}")
    add(written, "renamed", id_of(1), id_of(8))
    written.execute(f"UPDATE changes SET payload = '/contacts({id_of(1)})'")
    for statement in found_creations(column("customer")):
        written.execute(statement)

    assert written.query("SELECT payload FROM changes WHERE _row IN (1, 2) ORDER BY _row") == [
        (f"/contacts({id_of(1)})",),
        (f"/contacts({id_of(8)})",),
    ]
    assert written.query("SELECT customer FROM desired") == [(f"contact:{id_of(8)}",)]


def test_only_what_a_change_refers_to_is_created(written: Workspace) -> None:
    """Row 9 changes nothing, the change of row 3 leaves the reference out, and nothing refers to the third one."""
    for number in (1, 2, 3):
        add(written, "creations", number, "contact", id_of(number), f"k{number}", "{}", number)
    add(written, "desired", 2, None, f"contact:{id_of(1)}")
    add(written, "desired", 3, None, f"contact:{id_of(2)}")
    add(written, "desired", 9, None, f"contact:{id_of(2)}")
    written.execute(f"UPDATE changes SET payload = '/contacts({id_of(1)})' WHERE _row = 2")
    columns = [column("customer")]

    assert written.query(creations_count_query(columns)) == [(1,)]
    assert written.query(creations_query(columns), ["contact"]) == [(1, id_of(1), "k1", "{}")]
    assert written.query(creations_query(columns), ["account"]) == []

    add(written, "created_references", id_of(1))
    written.execute(FORGET_CREATED)
    assert written.query(creations_count_query(columns)) == [(0,)]


def test_changes_are_written_in_waves(written: Workspace) -> None:
    """A change that refers to nothing new is in the first generation; a delete is in that of its record."""
    for row, generation in ((2, 0), (3, 1), (4, 20)):
        add(written, "generations", row, generation)
    add(written, "changes", 6, "delete", None, id_of(1), "", "{}", "", "", "", "")
    add(written, "changes", 7, "delete", None, id_of(2), "", "{}", "", "", "", "")
    add(written, "drop_order", id_of(1), 20)

    def wave(order: Table, condition: str, generation: int) -> list[int]:
        where = f"{condition} AND {in_generation(order, generation)}"
        return [n for (n,) in written.query(f"SELECT _change FROM changes WHERE {where} ORDER BY _change")]

    assert written.query(waves_query(Table.GENERATIONS, CREATES)) == [(0, 3), (1, 1), (20, 1)]
    assert [wave(Table.GENERATIONS, CREATES, n) for n in (0, 1, 20)] == [[1, 2, 5], [3], [4]]
    deletes = "action = 'delete'"
    assert written.query(waves_query(Table.DROP_ORDER, deletes)) == [(0, 1), (20, 1)]
    assert [wave(Table.DROP_ORDER, deletes, n) for n in (0, 20)] == [[7], [6]]


def test_records_that_are_deleted_go_before_those_that_they_refer_to(written: Workspace) -> None:
    """1 refers to 2 and 2 to 3; 4 refers to a record that stays; what refers to itself has no place."""
    written.execute("CREATE TABLE holders (_seq BIGINT, _id UUID, parent UUID)")
    for number, parent in ((1, 2), (2, 3), (3, None), (4, 9), (5, 5)):
        add(written, "holders", number, id_of(number), id_of(parent) if parent else None)

    written.create(delete_order([column("parent")]))

    placed = written.query("SELECT _change FROM delete_order ORDER BY generation")
    assert placed == [(1,), (2,), (3,)]
    waves = written.query(waves_query(Table.DELETE_ORDER, "_change <= 5"))
    assert (waves[0], len(waves)) == ((0, 2), 4)  # those without a place go first, in one wave
