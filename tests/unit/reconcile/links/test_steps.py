"""Lookups in the table that is synced: what they find, in which order new records are written, and what waits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.workspace import Workspace
from tests.unit.transform.lookups.relations import (
    column,
    errors,
    id_of,
    linked,
    linking,
    messages,
    planned,
    record,
    to,
)

BY_NUMBER = to("parent", match="accountnumber")


def tree(*parents: str) -> list[list[str]]:
    """Rows 1, 2, …, each with the number of its parent."""
    return [[str(number), parent, ""] for number, parent in enumerate(parents, 1)]


def account(number: int, **values: Any) -> dict[str, Any]:
    """A record whose account number is that of its id."""
    return record(number, **{"accountid": id_of(number), "accountnumber": str(number), **values})


def generations(workspace: Workspace) -> dict[int, int]:
    """Row -> its generation, of rows that have one."""
    return dict(workspace.query("SELECT _row, generation FROM generations ORDER BY _row"))


def changes(workspace: Workspace) -> list[tuple[Any, ...]]:
    """Action, row, payload and deferred references, in the order of writing."""
    rows = workspace.query("SELECT CAST(action AS VARCHAR), _row, payload, links FROM changes ORDER BY _change")
    return [(action, row, json.loads(payload), json.loads(links or "{}")) for action, row, payload, links in rows]


# -- What is found ----------------------------------------------------------------------------------------------------


def test_new_and_known_records_are_found(workspace: Workspace) -> None:
    """A new one by the id that it will get, a known one by its own."""
    linked(workspace, linking(BY_NUMBER), tree("", "1", "9"), account=[account(1), account(9)])

    ids = {row: str(id_) for row, id_ in workspace.query("SELECT _row, _id FROM records")}
    assert column(workspace, "parent") == {"1": None, "2": id_of(1), "3": id_of(9)}
    assert ids[1] == id_of(1)
    assert (ids[2][14], ids[2][19]) == ("8", "a")


def test_a_record_is_found_as_the_run_leaves_it(workspace: Workspace) -> None:
    """By the name that its row gives it, not by the one that it has; records without a row keep theirs."""
    sync = linking({"source": "b", "target": "name"}, to("parent", match="name"))
    rows = [["1", "", "new"], ["2", "new", ""], ["3", "other", ""], ["4", "old", ""]]
    linked(workspace, sync, rows, account=[account(1, name="old"), account(9, name="other")])

    assert column(workspace, "parent") == {"1": None, "2": id_of(1), "3": id_of(9)}
    assert errors(workspace) == [(4, "a", "Unresolved Link", True)]


@pytest.mark.parametrize("behaviour", [{"changed": "ignore"}, {}])
def test_a_record_keeps_what_the_run_does_not_change(workspace: Workspace, behaviour: dict[str, Any]) -> None:
    """Where changes are ignored, and where an empty value keeps what is there."""
    name = {"source": "b", "target": "name", "on_null": "keep"}
    given = "new" if behaviour else ""
    sync = linking(name, to("parent", match="name"), **behaviour)
    linked(workspace, sync, [["1", "", given], ["2", "old", "x"]], account=[account(1, name="old")])

    assert column(workspace, "parent") == {"1": None, "2": id_of(1)}


def test_a_record_that_is_dropped_is_not_found(workspace: Workspace) -> None:
    """Unless a rejected row protects it."""
    sync = linking(BY_NUMBER, to("contact", "b", match="code"), dropped="delete")
    rows = [["1", "", ""], ["2", "8", ""], ["3", "9", ""], ["9", "", "nobody"]]
    linked(workspace, sync, rows, account=[account(8), account(9)])

    assert column(workspace, "parent") == {"1": None, "3": id_of(9)}
    assert [(row, label) for row, label, *_ in errors(workspace)] == [(2, "a"), (4, "b")]


def test_new_rows_that_are_ignored_are_not_found(workspace: Workspace) -> None:
    """They make no record."""
    linked(workspace, linking(BY_NUMBER, new="ignore"), tree("", "1", "9"), account=[account(3), account(9)])

    assert column(workspace, "parent") == {"1": None, "3": id_of(9)}


def test_what_the_source_does_not_set_finds_records_that_exist(workspace: Workspace) -> None:
    """A new record has no name here."""
    sync = linking(to("parent", match="name"), dropped="delete")
    linked(workspace, sync, tree("x", "gone"), account=[account(1, name="x"), account(9, name="gone")])

    assert column(workspace, "parent") == {"1": id_of(1)}


@pytest.mark.parametrize(("policy", "known", "new"), [("oldest", 8, 1), ("newest", None, 2)])
def test_of_several_new_records_the_rows_decide(workspace: Workspace, policy: str, known: int | None, new: int) -> None:
    """A new record is younger than one that exists; of new ones the first row is the oldest."""
    sync = linking({"source": "b", "target": "name"}, to("parent", match="name", on_ambiguous=policy))
    rows = [["1", "x", "y"], ["2", "y", "y"], ["3", "x", "x"]]
    linked(workspace, sync, rows, account=[account(8, name="x"), account(9, name="X")])

    ids = {row: str(id_) for row, id_ in workspace.query("SELECT _row, _id FROM records")}
    assert column(workspace, "parent")["2"] == ids[new]
    assert column(workspace, "parent")["1"] == (id_of(known) if known else ids[3])


FILTERED = to("parent", match="accountnumber", filter="staff ge 5 or notes eq 'x'", on_missing="clear")


def test_the_filter_applies_to_what_records_hold_after_the_run(workspace: Workspace) -> None:
    """Of a mapped column the value of the row counts, of another one what the record holds; a new record has none."""
    sync = linking(FILTERED, {"source": "b", "target": "staff"}, columns=())
    rows = [[str(n), parent, staff] for n, parent, staff in ((1, "1", "5"), (2, "2", "1"), (3, "3", "9"), (4, "4", ""))]
    rows += [["5", "8", ""], ["6", "9", ""], ["7", "5", ""]]
    known = [account(1, staff=1), account(2, staff=7), account(4, notes="X"), account(8, staff=5), account(9)]
    linked(workspace, sync, rows, account=known)

    ids = {row: str(id_) for row, id_ in workspace.query("SELECT _row, _id FROM records")}
    assert column(workspace, "parent") == {
        "1": id_of(1), "2": None, "3": ids[3], "4": id_of(4), "5": id_of(8), "6": None, "7": None
    }  # fmt: skip


@pytest.mark.parametrize(("match", "found"), [("service", True), ("accent_sensitive", False), ("exact", True)])
def test_the_filter_regards_accents_where_key_match_does(workspace: Workspace, match: str, *, found: bool) -> None:
    """In rows of the source, and in records that no row has."""
    accented = to("parent", match="accountnumber", filter="notes eq 'Malmo'", on_missing="clear")
    sync = linking(accented, {"source": "b", "target": "notes"}, columns=(), key_match=match)
    linked(workspace, sync, [["1", "1", "Malmö"], ["2", "8", ""]], account=[account(1), account(8, notes="MALMÖ")])

    assert column(workspace, "parent") == {"1": id_of(1) if found else None, "2": id_of(8) if found else None}


@pytest.mark.parametrize(
    ("dropped", "found"), [("ignore", id_of(2)), ({"set": {"staff": "1"}}, None), ({"set": {"staff": "8"}}, id_of(2))]
)
def test_a_record_that_gets_a_mark_is_found_if_the_filter_lets_the_mark_through(
    workspace: Workspace, dropped: Any, found: str | None
) -> None:
    """The filter is applied to the record with its mark."""
    linked(workspace, linking(FILTERED, dropped=dropped), [["1", "2", ""]], account=[account(2, staff=7)])

    assert column(workspace, "parent") == {"1": found}


@pytest.mark.parametrize(
    ("write", "changed", "found"),
    [
        ("always", "update", {"1": None, "2": id_of(1)}),
        ("on_insert", "update", {"1": id_of(1), "2": None}),
        ("if_empty", "update", {"1": id_of(1), "2": None}),
        ("always", "ignore", {"1": id_of(1), "2": None}),
    ],
)
def test_a_value_that_the_run_does_not_write_is_not_searched(
    workspace: Workspace, write: str, changed: str, found: dict[str, str | None]
) -> None:
    """The record keeps its name where the policy or the rule for changed records says so."""
    named = {"source": "b", "target": "name", "write": write}
    sync = linking(named, to("parent", match="name", on_missing="clear"), changed=changed)
    linked(workspace, sync, [["1", "old", "new"], ["2", "new", ""]], account=[account(1, name="old")])

    assert column(workspace, "parent") == found


def test_without_reading_the_target_known_records_come_first(workspace: Workspace) -> None:
    """Strategy upsert: a record that the service has keeps its id; other rows may be new."""
    linked(workspace, linking(BY_NUMBER, strategy="upsert"), tree("", "1", "2"), searched=[account(1)])

    ids = {row: str(id_) for row, id_ in workspace.query("SELECT _row, _id FROM records")}
    assert column(workspace, "parent") == {"1": None, "2": id_of(1), "3": ids[2]}


def test_without_reading_the_target_a_row_is_no_second_record_for_any_lookup(workspace: Workspace) -> None:
    """Two lookups match different columns; the row of a record that the service has is not found beside it."""
    by_name = to("second", source="b", match="name")
    sync = linking({"source": "b", "target": "name"}, BY_NUMBER, by_name, strategy="upsert")
    linked(workspace, sync, [["1", "1", "new"]], searched=[account(1, name="old")])

    assert column(workspace, "parent") == {"1": id_of(1)}
    assert errors(workspace) == []


def test_without_reading_the_target_a_record_of_an_earlier_run_is_no_new_parent(workspace: Workspace) -> None:
    """It has the id that this run gives its row: a reference to it does not wait for the row, and does not fail with it."""
    sync = linking(BY_NUMBER, strategy="upsert")
    linked(workspace, sync, tree("", "1"), searched=[])
    ((earlier,),) = workspace.query("SELECT CAST(_id AS VARCHAR) FROM records WHERE _row = 1")
    assert workspace.query("SELECT _row, parent FROM parents") == [(2, 1)]

    with Workspace.open() as later:
        linked(later, sync, tree("", "1"), searched=[{**account(1), "_id": earlier, "accountid": earlier}])
        assert column(later, "parent") == {"1": None, "2": earlier}
        assert later.query("SELECT count(*) FROM parents") == [(0,)]


# -- Rows that are rejected -------------------------------------------------------------------------------------------


def test_a_rejected_parent_rejects_the_rows_below_it(workspace: Workspace) -> None:
    """Each is reported; records that exist are found still."""
    linked(workspace, linking(BY_NUMBER, dropped="delete"), tree("nobody", "1", "2", "", "6", "nobody"),
           account=[account(6)])  # fmt: skip

    assert column(workspace, "parent") == {"4": None, "5": id_of(6)}
    assert [row for row, *_ in errors(workspace)] == [1, 2, 3, 6]
    assert {error for *_, error, rejects in errors(workspace) if rejects} == {"Unresolved Link"}
    protected = {key for (key,) in workspace.query("SELECT _k1 FROM protected")}
    assert protected == {"1", "2", "3", "6"}


@pytest.mark.parametrize("last", ["nobody", "150"])
def test_a_rejection_is_passed_on_however_many_rows_are_below(workspace: Workspace, last: str) -> None:
    """Also through a circle, of which one row is rejected for another lookup."""
    sync = linking(BY_NUMBER, to("second", "b", match="accountnumber"))
    rows = [[str(n), str(n - 1) if n > 1 else last, "nobody" if n == 1 else ""] for n in range(1, 151)]
    linked(workspace, sync, rows)

    assert workspace.query("SELECT count(*) FROM desired") == [(0,)]
    assert workspace.query("SELECT count(DISTINCT _row) FROM source_errors WHERE rejected") == [(150,)]


@pytest.mark.parametrize(("policy", "omitted"), [("clear", "false"), ("keep", "true")])
def test_a_reference_to_a_rejected_parent_is_cleared_or_kept(workspace: Workspace, policy: str, omitted: str) -> None:
    """What rejects the parent is another lookup."""
    sync = linking(to("parent", match="accountnumber", on_missing=policy), to("second", "b", match="accountnumber"))
    linked(workspace, sync, [["1", "", "nobody"], ["2", "1", ""], ["3", "2", ""]])

    assert column(workspace, "_omit_parent") == {"2": omitted, "3": "false"}
    assert column(workspace, "parent")["2"] is None
    assert column(workspace, "parent")["3"] is not None
    consequence = {"clear": "is cleared", "keep": "keeps its value"}[policy]
    assert messages(workspace)[1].endswith(f"; parent {consequence}")


# -- The order of writing ---------------------------------------------------------------------------------------------


def test_new_parents_go_first_wherever_they_stand(workspace: Workspace) -> None:
    """And get their ids, so that children can refer to them; what nothing refers to needs none."""
    planned(workspace, linking(BY_NUMBER), tree("2", "3", "", "3"))

    assert generations(workspace) == {1: 2, 2: 1, 3: 0, 4: 1}
    assert [row for _, row, *_ in changes(workspace)] == [3, 2, 4, 1]
    assert workspace.query("SELECT _row FROM new_records ORDER BY _row") == [(2,), (3,)]
    ids = {row: str(id_) for row, id_ in workspace.query("SELECT _row, _id FROM changes WHERE _id IS NOT NULL")}
    assert [payload.get("parent@odata.bind") for _, _, payload, _ in changes(workspace)] == [
        None, f"/accounts({ids[3]})", f"/accounts({ids[3]})", f"/accounts({ids[2]})",
    ]  # fmt: skip


def test_a_circle_is_linked_when_all_its_records_exist(workspace: Workspace) -> None:
    """So is what hangs on it; a row that refers to itself is a circle."""
    planned(workspace, linking(BY_NUMBER), tree("2", "1", "2", "4", ""))

    assert generations(workspace) == {1: 20, 2: 20, 3: 20, 4: 20}
    found = {row: (payload, links) for _, row, payload, links in changes(workspace)}
    assert all("parent@odata.bind" not in payload for payload, _ in found.values())
    assert [row for row, (_, links) in found.items() if links] == [1, 2, 3, 4]
    (listed,) = workspace.query("SELECT columns FROM changes WHERE _row = 1")
    assert listed == ("accountnumber,parent",)


def test_a_row_with_a_parent_in_a_circle_and_another_parent_waits_for_the_circle(workspace: Workspace) -> None:
    """Row 4 refers to row 3, which is written first, and to row 1, which is in a circle."""
    sync = linking(BY_NUMBER, to("second", "b", match="accountnumber"))
    planned(workspace, sync, [["1", "2", ""], ["2", "1", ""], ["3", "", ""], ["4", "3", "1"]])

    assert generations(workspace) == {1: 20, 2: 20, 3: 0, 4: 20}
    found = {row: (set(payload), set(links)) for _, row, payload, links in changes(workspace)}
    assert found[4] == ({"accountnumber", "parent@odata.bind"}, {"second@odata.bind"})


def test_a_record_that_exists_waits_for_its_parent_and_defers_nothing(workspace: Workspace) -> None:
    """It breaks the circle."""
    planned(workspace, linking(BY_NUMBER), tree("2", "1"), account=[account(2)])

    assert [(action, row, set(payload), links) for action, row, payload, links in changes(workspace)] == [
        ("insert", 1, {"accountnumber", "parent@odata.bind"}, {}),
        ("update", 2, {"parent@odata.bind"}, {}),
    ]


def test_more_generations_than_are_written_one_by_one_are_linked_at_the_end(workspace: Workspace) -> None:
    """The last one that has a wave of its own refers to its parent at once."""
    planned(workspace, linking(BY_NUMBER), tree("", *(str(number) for number in range(1, 25))))

    found = {row: bool(links) for _, row, _, links in changes(workspace)}
    assert [row for row, deferred in found.items() if deferred] == [22, 23, 24, 25]
    assert max(generations(workspace).values()) == 20


def test_deletes_go_children_first(workspace: Workspace) -> None:
    """Also where the column refers to several tables."""
    sync = linking(BY_NUMBER, to("customer", "b", entity="account", match="name"), dropped="delete")
    held = [
        account(1),
        account(2, parent=id_of(1)),
        account(3, customer=f"account:{id_of(2)}"),
        account(4, customer=f"contact:{id_of(5)}"),
        account(5, parent=id_of(5)),
    ]
    planned(workspace, sync, tree(), account=held)

    order = [str(id_) for (id_,) in workspace.query("SELECT _id FROM changes ORDER BY _change")]
    assert order.index(id_of(3)) < order.index(id_of(2)) < order.index(id_of(1))
    assert len(order) == 5


def test_a_sync_that_sets_ids_links_by_them(workspace: Workspace) -> None:
    """The id of a new record is the one that its row gives."""
    sync = linking({"source": "b", "target": "accountid"}, BY_NUMBER)
    raw = sync.model_dump(by_alias=True)
    raw["destination"]["id_column_insert"] = True
    planned(workspace, SyncDefinition.model_validate(raw), [["1", "", id_of(7)], ["2", "1", id_of(8)]])

    assert [str(id_) for (id_,) in workspace.query("SELECT _id FROM changes ORDER BY _change")] == [id_of(7), id_of(8)]
    assert changes(workspace)[1][2]["parent@odata.bind"] == f"/accounts({id_of(7)})"
