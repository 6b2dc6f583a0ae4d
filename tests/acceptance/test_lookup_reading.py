"""The records that lookups read: the synced table once, with ignored records, and other tables by need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.world import World, accounts, world


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def tree(here: World, rows: Sequence[tuple[str, str, str]], match: str, **lookup: Any) -> dict[str, Any]:
    """A sync of accounts by number, name and parent; returns its definition."""
    here.csv([{"number": number, "name": name, "parent": parent} for number, name, parent in rows])
    definition = accounts()
    definition["source"]["columns"] = [{"name": "number"}, {"name": "name"}, {"name": "parent"}]
    definition["destination"]["mappings"] = [
        {"source": "number", "target": "accountnumber"},
        {"source": "name", "target": "name"},
        {"source": "parent", "target": "parentaccountid", "lookup": {"match": match, **lookup}},
    ]
    here.define(definition)
    return definition


def read(here: World) -> int:
    """Records that the service has returned so far."""
    return int(here.emulator.stats()["rows"].get("read", 0))


def parents(here: World) -> dict[str, str | None]:
    """Name of an account -> id of its parent."""
    return {each["name"]: each["_parentaccountid_value"] for each in here.records("accounts")}


def planned_reads(here: World) -> int:
    """How many records a plan reads, beside the organisation's."""
    before = read(here)
    here.plan()
    return read(here) - before - 1


def test_the_table_that_is_synced_is_read_once(here: World) -> None:
    tree(here, [("1", "One", ""), ("2", "Two", "1"), ("3", "Three", "1")], "accountnumber")
    assert here.run().created.done == 3

    assert planned_reads(here) == 3
    assert here.plan().plan.counts.changes == 0


def test_it_is_searched_separately_if_the_run_reads_only_a_part_of_it(here: World) -> None:
    rows = [("1", "One", ""), ("2", "Two", "One"), ("3", "Three", "One")]
    definition = tree(here, rows, "name", filter="statecode eq 0")
    here.run()
    assert planned_reads(here) == 3  # with what the filter of the lookup looks at

    definition["destination"]["filter"] = "name ne 'One'"
    definition["destination"]["mappings"][2]["lookup"] = {"match": "name"}
    here.define(definition)
    here.csv([{"number": n, "name": name, "parent": parent} for n, name, parent in rows[1:]])
    assert here.plan().plan.counts.changes == 0


def test_an_ignored_record_is_found(here: World) -> None:
    keyless = here.create("accounts", {"name": "Keyless"})
    tree(here, [("1", "One", "KEYLESS "), ("2", "Two", "")], "name")

    assert here.run().source.rejected == 0
    assert parents(here)["One"] == keyless
    assert planned_reads(here) == 3
    assert here.plan().plan.counts.changes == 0


def test_the_oldest_of_several_is_found_in_the_table_itself(here: World) -> None:
    first, _ = (here.create("accounts", {"name": "Head", "accountnumber": number}) for number in ("8", "9"))
    tree(here, [("8", "Head", ""), ("9", "Head", ""), ("1", "One", "head")], "name", on_ambiguous="oldest")

    here.run()

    assert parents(here)["One"] == first


def test_for_many_values_the_whole_table_is_read(here: World) -> None:
    """If queries by value would be more than the pages of the table, it is read once."""
    contacts: list[Mapping[str, str]] = [{"lastname": "Doe", "description": f"{n:04}{'x' * 1900}"} for n in range(120)]
    ids = [here.create("contacts", contact) for contact in contacts]
    here.csv([{"number": str(n), "contact": contact["description"]} for n, contact in enumerate(contacts)])
    definition = accounts()
    definition["source"]["columns"] = [{"name": "number"}, {"name": "contact"}]
    definition["destination"]["mappings"] = [
        {"source": "number", "target": "accountnumber"},
        {"source": "contact", "target": "primarycontactid", "lookup": {"match": "description"}},
    ]
    here.define(definition)

    assert here.run().errors == ()
    assert here.emulator.stats()["requests"]["by_kind"]["query"] < 8  # so many would be needed for the values alone
    found = {each["accountnumber"]: each["_primarycontactid_value"] for each in here.records("accounts")}
    assert [found[str(n)] for n in range(120)] == ids


@pytest.mark.parametrize("when", ["source.name <> 'Kept'", "target.name <> 'Two' OR source.name = target.name"])
def test_a_record_that_its_condition_leaves_alone_is_found_by_its_old_name(here: World, when: str) -> None:
    """The condition looks at the source, and the lookup searches names as the run leaves them."""
    definition = tree(here, [("1", "One", ""), ("2", "Two", "")], "name", on_missing="clear")
    here.run()
    definition["sync_behaviour"]["changed"] = {"when": when}
    here.define(definition)

    here.csv(
        [
            {"number": "1", "name": "New", "parent": ""},
            {"number": "2", "name": "Kept", "parent": ""},
            {"number": "3", "name": "Three", "parent": "New"},
            {"number": "4", "name": "Four", "parent": "Two"},
            {"number": "5", "name": "Five", "parent": "Kept"},
        ]
    )
    here.run()

    names = {each["accountid"]: each["name"] for each in here.records("accounts")}
    found = {name: names.get(parent or "") for name, parent in parents(here).items()}
    assert found == {"New": None, "Two": None, "Three": "New", "Four": "Two", "Five": None}


def test_a_filter_may_have_a_text_that_looks_like_a_name_of_sql(here: World) -> None:
    """No table is joined for such a text: a sync without a ledger has none."""
    tree(here, [("1", "a ledger.x", ""), ("2", "Two", "1")], "accountnumber", filter="name ne 'source. or ledger. it'")

    assert here.run().created.done == 2
    assert parents(here)["Two"] is not None
