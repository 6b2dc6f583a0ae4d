"""Lookups end to end: by any column, in other tables and in the synced table, and policies for missing records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.jobs import RunState
from tests.acceptance.world import World, accounts, world


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def tree(here: World, rows: Sequence[Mapping[str, object]], lookup: object, **changes: Any) -> str:
    """A sync of accounts (number, name, parent) whose parent is found by `lookup`."""
    here.csv(rows)
    definition = accounts(**changes)
    definition["source"]["columns"] = [
        {"name": "number", "mandatory": True, "validate": True},
        {"name": "name"},
        {"name": "parent"},
    ]
    definition["destination"]["mappings"] = [
        {"source": "number", "target": "accountnumber"},
        {"source": "name", "target": "name"},
        {"source": "parent", "target": "parentaccountid", "lookup": lookup},
    ]
    return here.define(definition)


def row(number: str, parent: str = "", name: str = "") -> dict[str, str]:
    return {"number": number, "name": name or f"Name {number}", "parent": parent}


def parents(here: World) -> dict[str, str | None]:
    """Account number -> number of its parent."""
    query = "accounts?$select=accountnumber&$expand=parentaccountid($select=accountnumber)"
    found = here.records(query)
    return {
        each["accountnumber"]: (each["parentaccountid"] or {}).get("accountnumber")
        for each in found
        if each["accountnumber"]
    }


BY_NUMBER = {"match": "accountnumber"}
NODES = """
new_Node:
  keys: {number_key: [new_number]}
  columns:
    new_Number: {type: String, length: 20}
    new_ParentId: {type: Lookup, targets: [new_node]}
"""


@contextmanager
def nodes(folder: Path, settings: str = "") -> Iterator[World]:
    """A world with a table whose rows may refer to each other in a circle: its lookup is not hierarchical."""
    schema = folder / "schema.yaml"
    schema.write_text(NODES + settings, "utf-8")
    with world(folder, schema=[schema]) as made:
        yield made


def define_nodes(here: World, strategy: str, **changes: Any) -> str:
    """A sync of nodes whose parent is found by its number."""
    definition = accounts(**changes)
    definition["source"].setdefault("type", "delimited")
    definition["source"]["columns"] = [{"name": "number"}, {"name": "parent"}]
    definition["destination"] |= {
        "entity": "new_node",
        "id_column": "new_nodeid",
        "mappings": [
            {"source": "number", "target": "new_number"},
            {"source": "parent", "target": "new_parentid", "lookup": {"match": "new_number"}},
        ],
    }
    definition["sync_behaviour"] = {"sync_key": ["new_number"], "strategy": strategy}
    return here.define(definition, "nodes")


def node_parents(here: World) -> dict[str, str | None]:
    """Number of a node -> number of its parent."""
    found = here.records("new_nodes?$select=new_number&$expand=new_ParentId($select=new_number)")
    return {each["new_number"]: (each["new_ParentId"] or {}).get("new_number") for each in found}


def test_a_parent_that_the_run_creates_is_found_wherever_it_is_in_the_file(here: World) -> None:
    tree(here, [row("3", "2"), row("2", "1"), row("1"), row("4", "1")], BY_NUMBER)

    done = here.run()

    assert (done.state, done.created.done, done.errors) == ("Succeeded", 4, ())
    assert parents(here) == {"1": None, "2": "1", "3": "2", "4": "1"}
    again = here.plan()
    assert (again.plan.counts.changes, again.plan.counts.unchanged) == (0, 4)


def test_a_circle_is_created_first_and_linked_afterwards(tmp_path: Path) -> None:
    with nodes(tmp_path) as here:
        define_nodes(here, "full")
        here.csv([row("a", "b"), row("b", "c"), row("c", "d"), row("d", "b"), row("e", "e")])

        done = here.run("nodes")

        assert done.created.done == 5, done
        assert node_parents(here) == {"a": "b", "b": "c", "c": "d", "d": "b", "e": "e"}
        assert here.plan("nodes").plan.counts.changes == 0


def test_a_cancelled_run_calls_no_reference_of_a_circle_a_failure(tmp_path: Path) -> None:
    """The other records are missing because they were not sent; the next run writes them and the references."""
    with nodes(tmp_path) as here:
        define_nodes(here, "full")
        rows = [row(f"n{number}", f"n{(number + 1) % 2000}") for number in range(2000)]
        here.csv(rows)

        run = here.run("nodes", cancelled=lambda: here.emulator.stats()["rows"].get("create", 0) > 0)

        made = len(node_parents(here))
        assert 0 < made < len(rows)
        assert (run.state, run.failed, run.skipped, run.errors) == ("Cancelled", 0, len(rows), ())
        again = here.run("nodes")
        assert (again.state, again.created.done, again.updated.done) == ("Succeeded", len(rows) - made, made)
        assert node_parents(here) == {each["number"]: each["parent"] for each in rows}


@pytest.mark.parametrize(
    ("asked", "state", "why"),
    [
        ("ending", RunState.INTERRUPTED, "its process was asked to end"),
        ("cancelled", RunState.CANCELLED, "cancelled"),
    ],
)
def test_a_run_that_is_stopped_before_its_references_is_no_failed_run(
    tmp_path: Path, asked: str, state: RunState, why: str
) -> None:
    """Each record says that it has no references yet; the next run writes them."""
    with nodes(tmp_path) as here:
        define_nodes(here, "full")
        here.csv([row("a", "b"), row("b", "a")])

        stop: dict[str, Any] = {asked: lambda: bool(here.emulator.stats()["rows"].get("create"))}
        done = here.run("nodes", **stop)

        assert (done.state, done.skipped) == (state, 2)
        assert done.message == f"stopped before the end ({why}): 2 changes are left for the next run"
        assert node_parents(here) == {"a": None, "b": None}
        assert here.run("nodes").state is RunState.SUCCEEDED
        assert node_parents(here) == {"a": "b", "b": "a"}


def test_a_circle_that_the_service_refuses_is_a_failed_change(here: World) -> None:
    tree(here, [row("a", "b"), row("b", "a"), row("c")], BY_NUMBER)

    done = here.run()

    assert (done.created.done, done.failed) == (2, 1)
    assert done.errors[0].error_type == "INSERT 0x80040507"
    assert done.errors[0].message.startswith("the record was created, but its references were refused: ")


def test_a_parent_that_does_not_exist_rejects_the_row_and_those_below_it(here: World) -> None:
    tree(here, [row("1", "nobody"), row("2", "1"), row("3", "2"), row("4")], BY_NUMBER)

    done = here.run()

    assert (done.created.done, done.source.rejected) == (1, 3)
    assert {error.error_type for error in done.errors} == {"Unresolved Link"}
    assert "no account has this accountnumber; the value is a text of 6 characters" in {e.message for e in done.errors}
    assert parents(here) == {"4": None}


@pytest.mark.parametrize(("policy", "expected"), [("clear", None), ("keep", "1")])
def test_what_is_not_found_is_cleared_or_kept(here: World, policy: str, expected: str | None) -> None:
    lookup = {**BY_NUMBER, "on_missing": policy}
    tree(here, [row("1"), row("2", "1")], lookup)
    here.run()

    tree(here, [row("1"), row("2", "nobody")], lookup)
    done = here.run()

    assert done.source.rejected == 0
    assert parents(here) == {"1": None, "2": expected}
    assert here.plan().plan.counts.changes == 0


def test_a_default_is_used_for_an_empty_source_and_for_a_missing_record(here: World) -> None:
    seed(here, "accounts", {"name": "Head office", "accountnumber": "0"})
    tree(here, [row("1", "0"), row("2"), row("3", "nobody")], {**BY_NUMBER, "default": "0"})

    assert here.run().errors == ()
    assert parents(here) == {"0": None, "1": "0", "2": "0", "3": "0"}


def test_a_reference_changes_and_is_cleared(here: World) -> None:
    tree(here, [row("1"), row("2"), row("3", "1")], BY_NUMBER)
    here.run()

    tree(here, [row("1"), row("2", "1"), row("3", "")], BY_NUMBER)
    done = here.run()

    assert done.updated.done == 2
    assert parents(here) == {"1": None, "2": "1", "3": None}


# -- Other tables -----------------------------------------------------------------------------------------------------


def opportunities(
    here: World, rows: Sequence[Mapping[str, object]], *mappings: Mapping[str, Any], **changes: Any
) -> str:
    """A sync of opportunities by name; every column of the rows is a source column."""
    here.csv(rows, "opportunities.csv")
    here.environment["SOURCE"] = str(here.folder / "opportunities.csv")
    definition = accounts(**changes)
    definition["source"]["columns"] = [{"name": name} for name in rows[0]]
    definition["destination"] |= {
        "entity": "opportunity",
        "id_column": "opportunityid",
        "mappings": [{"source": "name", "target": "name"}, *mappings],
    }
    definition["sync_behaviour"] = {"sync_key": ["name"], **changes.get("sync_behaviour", {})}
    return here.define(definition, "opportunities")


def seed(here: World, table: str, *rows: Mapping[str, object]) -> list[str]:
    """Create records; returns their ids."""
    return [here.create(table, row) for row in rows]


def customers(here: World) -> dict[str, tuple[str, str]]:
    """Opportunity -> table and name of its customer."""
    query = "opportunities?$select=name&$expand=customerid_account($select=name),customerid_contact($select=lastname)"
    return {
        each["name"]: ("account", each["customerid_account"]["name"])
        if each["customerid_account"]
        else ("contact", each["customerid_contact"]["lastname"])
        for each in here.records(query)
        if each["customerid_account"] or each["customerid_contact"]
    }


def test_one_column_of_customers_refers_to_accounts_and_to_contacts(here: World) -> None:
    seed(here, "accounts", {"name": "Contoso", "accountnumber": "C1"})
    seed(here, "contacts", {"lastname": "Doe", "emailaddress1": "doe@contoso.com"})
    lookup = [{"entity": "account", "match": "accountnumber"}, {"entity": "contact", "match": "emailaddress1"}]
    rows = [{"name": "one", "customer": "c1"}, {"name": "two", "customer": "DOE@contoso.com"}]
    opportunities(here, rows, {"source": "customer", "target": "customerid", "lookup": lookup})

    assert here.run("opportunities").errors == ()
    assert customers(here) == {"one": ("account", "Contoso"), "two": ("contact", "Doe")}
    assert here.plan("opportunities").plan.counts.changes == 0

    rows = [{"name": "one", "customer": "doe@contoso.com"}, {"name": "two", "customer": ""}]
    opportunities(here, rows, {"source": "customer", "target": "customerid", "lookup": lookup})
    assert here.run("opportunities").updated.done == 2
    assert customers(here) == {"one": ("contact", "Doe")}
    assert here.plan("opportunities").plan.counts.changes == 0


def test_a_column_of_the_row_decides_which_table(here: World) -> None:
    seed(here, "accounts", {"name": "Contoso", "accountnumber": "1"})
    seed(here, "contacts", {"lastname": "Doe", "emailaddress1": "1"})
    lookup = {"entity_from": "kind", "match": {"account": "accountnumber", "contact": "emailaddress1"}}
    rows = [
        {"name": "one", "kind": "account", "customer": "1"},
        {"name": "two", "kind": "Contact ", "customer": "1"},
        {"name": "three", "kind": "lead", "customer": "1"},
    ]
    opportunities(here, rows, {"source": ["kind", "customer"], "target": "customerid", "lookup": lookup})

    done = here.run("opportunities")

    assert customers(here) == {"one": ("account", "Contoso"), "two": ("contact", "Doe")}
    assert (done.source.rejected, [error.error_type for error in done.errors]) == (1, ["Unresolved Link"])


@pytest.mark.parametrize(
    ("policy", "expected"), [("reject", None), ("oldest", "old@contoso.com"), ("newest", "new@contoso.com")]
)
def test_several_records_with_the_value(here: World, policy: str, expected: str | None) -> None:
    seed(
        here,
        "contacts",
        {"lastname": "Doe", "emailaddress1": "old@contoso.com"},
        {"lastname": "doe ", "emailaddress1": "new@contoso.com"},
    )
    lookup = {"match": "lastname", "on_ambiguous": policy}
    rows = [{"name": "one", "contact": "DOE"}]
    opportunities(here, rows, {"source": "contact", "target": "parentcontactid", "lookup": lookup})

    done = here.run("opportunities")

    found = here.records("opportunities?$select=name&$expand=parentcontactid($select=emailaddress1)")
    assert [each["parentcontactid"]["emailaddress1"] for each in found] == ([expected] if expected else [])
    if policy == "reject":
        assert [error.error_type for error in done.errors] == ["Ambiguous Link"]
        assert done.errors[0].message == "2 records of contact have this lastname"


def test_only_records_that_pass_the_filter_are_found(here: World) -> None:
    first, second = seed(here, "contacts", {"lastname": "Doe", "firstname": "A"}, {"lastname": "Doe", "firstname": "B"})
    here.update(f"contacts({first})", {"statecode": 1, "statuscode": 2})
    lookup = {"match": "lastname", "filter": "statecode eq 0"}
    rows = [{"name": "one", "contact": "Doe"}]
    opportunities(here, rows, {"source": "contact", "target": "parentcontactid", "lookup": lookup})

    here.run("opportunities")

    assert [each["_parentcontactid_value"] for each in here.records("opportunities")] == [second]


def test_several_columns_identify_the_record(here: World) -> None:
    _, wanted = seed(
        here,
        "contacts",
        {"lastname": "Doe", "firstname": "Jane"},
        {"lastname": "Doe", "firstname": "John"},
    )
    lookup = {"match": ["lastname", "firstname"]}
    rows = [{"name": "one", "last": "doe", "first": "john"}, {"name": "two", "last": "doe", "first": ""}]
    opportunities(here, rows, {"source": ["last", "first"], "target": "parentcontactid", "lookup": lookup})

    done = here.run("opportunities")

    assert [each["_parentcontactid_value"] for each in here.records("opportunities")] == [wanted]
    assert done.source.rejected == 1


def test_ids_are_written_unchanged_or_looked_up(here: World) -> None:
    (contact,) = seed(here, "contacts", {"lastname": "Doe"})
    rows = [{"name": "one", "contact": contact.upper(), "other": contact}]
    opportunities(
        here,
        rows,
        {"source": "contact", "target": "parentcontactid"},
        {"source": "other", "target": "customerid", "lookup": [{"entity": "contact", "match": "id"}]},
    )

    assert here.run("opportunities").errors == ()
    assert customers(here) == {"one": ("contact", "Doe")}
    assert here.plan("opportunities").plan.counts.changes == 0


def test_the_owner_is_a_user_or_a_team(here: World) -> None:
    rows = [{"name": "one", "owner": "first team"}, {"name": "two", "owner": "nobody@contoso.com"}]
    seed(here, "teams", {"name": "First Team", "teamtype": 0})
    lookup = [{"entity": "systemuser", "match": "internalemailaddress"}, {"entity": "team", "match": "name"}]
    opportunities(here, rows, {"source": "owner", "target": "ownerid", "lookup": lookup})

    done = here.run("opportunities")

    found = here.records("opportunities?$select=name&$expand=owningteam($select=name)")
    assert [each["owningteam"]["name"] for each in found] == ["First Team"]
    assert done.errors[0].message == (
        "no systemuser has this internalemailaddress and no team has this name; the value is an e-mail address"
    )
    assert here.plan("opportunities").plan.counts.changes == 0


def test_a_record_that_is_missing_is_created_once(here: World) -> None:
    seed(here, "accounts", {"name": "Contoso", "accountnumber": "1"})
    lookup = {
        "entity": "account",
        "match": "accountnumber",
        "on_missing": "create",
        "create": {"name": "company", "industrycode": "'Consulting'"},
    }
    rows = [
        {"name": "one", "customer": "1", "company": "Contoso"},
        {"name": "two", "customer": "n2", "company": "Fabrikam"},
        {"name": "three", "customer": "N2", "company": "Fabrikam Inc."},
        {"name": "four", "customer": "n3", "company": "Northwind"},
    ]
    mapping = {"source": "customer", "target": "customerid", "lookup": [lookup]}
    opportunities(here, rows, mapping)

    planned = here.plan("opportunities").plan.counts
    done = here.run("opportunities")

    assert (planned.insert, planned.created_references) == (4, 2)
    assert (done.created.done, done.created_references.done, done.errors) == (4, 2, ())
    assert customers(here) == {
        "one": ("account", "Contoso"),
        "two": ("account", "Fabrikam"),
        "three": ("account", "Fabrikam"),
        "four": ("account", "Northwind"),
    }
    again = here.plan("opportunities").plan.counts
    assert (again.changes, again.created_references) == (0, 0)

    opportunities(here, rows, mapping, sync_behaviour={"sync_key": ["name"], "safety": {"max_created_references": 0}})
    assert here.plan("opportunities").plan.violations() == ()


def test_a_created_record_has_the_values_of_a_row_that_is_kept(here: World) -> None:
    """Rows that are rejected later, for their owner or as the second with a key, give it none, and create none."""
    create = {"name": "text", "industrycode": "industry"}
    lookup = {"entity": "account", "match": "accountnumber", "on_missing": "create", "create": create}
    owner = {"source": "owner", "target": "ownerid", "on_null": "keep",
             "lookup": {"entity": "systemuser", "match": "internalemailaddress"}}  # fmt: skip
    given = [
        ("one", "n1", "unknown owner", "Consulting", "nobody@example.com"),
        ("two", "N1", "kept", "Consulting", ""),
        ("two", "n2", "second", "Consulting", ""),
        ("three", "n2", "kept", "no such industry", ""),
        ("two", "n3", "second", "Consulting", ""),
        ("four", "n3", "kept", "", ""),
        ("two", "n4", "second", "", ""),
    ]
    rows = [dict(zip(("name", "customer", "text", "industry", "owner"), each, strict=True)) for each in given]
    opportunities(here, rows, {"source": "customer", "target": "customerid", "lookup": [lookup]}, owner)
    assert here.plan("opportunities").plan.violations() == ()
    done = here.run("opportunities")

    assert (done.source.rejected, done.created.done, done.failed) == (4, 2, 1)
    found = {each["accountnumber"]: each["name"] for each in here.records("accounts?$select=accountnumber,name")}
    assert found == {"N1": "kept", "n3": "kept"}
    assert customers(here) == {"two": ("account", "kept"), "four": ("account", "kept")}
    (failed,) = (each for each in done.errors if each.error_type == "INSERT Parent Failed")
    assert failed.message.endswith("was refused: no row that is synced has values that it can hold")


@pytest.mark.parametrize("write", ["on_insert", "if_empty"])
def test_no_record_is_created_that_no_change_refers_to(here: World, write: str) -> None:
    """The policy leaves the lookup out of the change; another column of the row is changed."""
    lookup = {"entity": "account", "match": "accountnumber", "on_missing": "create"}
    customer = {"source": "customer", "target": "customerid", "write": write, "lookup": [lookup]}
    text = {"source": "text", "target": "description"}
    opportunities(here, [{"name": "one", "text": "old", "customer": "n1"}], text, customer)
    assert here.run("opportunities").created_references.done == 1
    opportunities(here, [{"name": "one", "text": "new", "customer": "n2"}], text, customer)
    done = here.run("opportunities")

    assert (done.updated.done, done.created_references.planned, done.created_references.done) == (1, 0, 0)
    assert [each["accountnumber"] for each in here.records("accounts?$select=accountnumber")] == ["n1"]


def test_what_refers_to_a_record_that_cannot_be_created_is_not_sent(here: World) -> None:
    refused = {"path": "accounts", "filter": "accountnumber eq 'n2'"}
    here.emulator.faults({"action": "refuse_rows", "match": refused, "code": "0x80040265", "message": "no"})
    lookup = {"entity": "account", "match": "accountnumber", "on_missing": "create"}
    rows = [{"name": "one", "customer": "n1"}, {"name": "two", "customer": "n2"}]
    opportunities(here, rows, {"source": "customer", "target": "customerid", "lookup": [lookup]})

    done = here.run("opportunities")

    assert (done.created.done, done.failed, done.created_references.done) == (1, 1, 1)
    assert [error.error_type for error in done.errors] == ["INSERT Parent Failed"]
    assert list(customers(here)) == ["one"]


def test_a_plan_shows_lookups_by_name(here: World) -> None:
    tree(here, [row("1", name="Contoso"), row("2", "1"), row("3", "2")], BY_NUMBER)
    created = {each.key["accountnumber"]: each for each in here.plan().sample}
    assert [(each.column, each.after_name) for each in created["3"].columns][-1] == ("parentaccountid", "new: 2")
    here.run()

    tree(here, [row("1", name="Contoso"), row("2", "1"), row("3", "1")], BY_NUMBER)
    (change,) = here.plan().sample

    assert [(each.column, each.before_name, each.after_name) for each in change.columns] == [
        ("parentaccountid", "Name 2", "Contoso")
    ]


def test_explain_shows_the_step_that_resolves_lookups(here: World) -> None:
    tree(here, [row("1")], BY_NUMBER)

    titles = [step.title for step in here.app.explain("accounts")]

    assert titles.count("Find the records that lookups refer to") == 1


CHAIN = {f"N{n}": f"N{n - 1}" if n else "" for n in range(23)}


@pytest.mark.parametrize("rows", [{"A": "B", "B": "A"}, CHAIN], ids=["circle", "deep"])
@pytest.mark.parametrize("strategy", ["upsert", "delta"])
def test_a_reference_that_only_new_records_get_is_put_off_as_others_are(
    tmp_path: Path, strategy: str, rows: dict[str, str]
) -> None:
    """A record that exists keeps its own, also if the row refers to a new record that is written at last."""
    with nodes(tmp_path) as here:
        top = here.create("new_nodes", {"new_number": "X"})
        here.create("new_nodes", {"new_number": "E", "new_ParentId@odata.bind": f"/new_nodes({top})"})
        last = list(rows)[-1]
        here.csv([{**row(number, rows.get(number, last)), "action": "UPSERT"} for number in (*rows, "E")])
        define_nodes(here, strategy)
        definition = yaml.safe_load((here.folder / "syncs" / "nodes.yaml").read_text("utf-8"))
        definition["destination"]["mappings"][1]["write"] = "on_insert"
        if strategy == "delta":
            definition["source"]["columns"].append({"name": "action"})
            definition["sync_behaviour"]["action_column"] = "action"
        here.define(definition, "nodes")

        for _ in range(2):
            done = here.run("nodes")

            assert (done.state, done.upserted.done, done.errors) == ("Succeeded", len(rows) + 1, ())
            assert node_parents(here) == {"X": None, "E": "X"} | {number: up or None for number, up in rows.items()}


@pytest.mark.parametrize("action", ["update", " Delete "])
def test_a_row_that_makes_no_record_is_not_found_by_its_new_values(tmp_path: Path, action: str) -> None:
    """Strategy delta: its record has other values before the run, so the row that refers to it finds nothing."""
    with nodes(tmp_path, "    new_Text: {type: String, length: 10}\n") as here:
        here.create("new_nodes", {"new_number": "K1", "new_text": "Old"})
        define_nodes(here, "delta")
        definition = yaml.safe_load((here.folder / "syncs" / "nodes.yaml").read_text("utf-8"))
        definition["source"]["columns"] = [{"name": name} for name in ("action", "number", "text", "parent")]
        definition["destination"]["mappings"] = [
            {"source": "number", "target": "new_number"},
            {"source": "text", "target": "new_text"},
            {"source": "parent", "target": "new_parentid", "lookup": {"match": "new_text"}},
        ]
        definition["sync_behaviour"]["action_column"] = "action"
        here.define(definition, "nodes")
        here.csv(
            [
                {"action": action, "number": "K1", "text": "New", "parent": ""},
                {"action": "upsert", "number": "K2", "text": "Top", "parent": ""},
                {"action": "insert", "number": "found", "text": "", "parent": "Top"},
                {"action": "insert", "number": "lost", "text": "", "parent": "New"},
            ]
        )

        done = here.run("nodes")

        assert [(error.error_type, error.rows) for error in done.errors] == [("Unresolved Link", (4,))]
        kept = {"K1": None} if action == "update" else {}
        assert node_parents(here) == {**kept, "K2": None, "found": "K2"}
