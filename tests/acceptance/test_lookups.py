"""Lookups end to end: found by any column, in other tables and in the table itself, with what cannot be found."""

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


def test_a_parent_that_the_run_creates_is_found_wherever_it_stands_in_the_file(here: World) -> None:
    tree(here, [row("3", "2"), row("2", "1"), row("1"), row("4", "1")], BY_NUMBER)

    done = here.run()

    assert (done.state, done.created.done, done.errors) == ("Succeeded", 4, ())
    assert parents(here) == {"1": None, "2": "1", "3": "2", "4": "1"}
    again = here.plan()
    assert (again.plan.counts.changes, again.plan.counts.unchanged) == (0, 4)


def test_a_circle_is_created_first_and_linked_afterwards(here: World) -> None:
    tree(here, [row("a", "b"), row("b", "c"), row("c", "d"), row("d", "b")], BY_NUMBER)

    done = here.run()

    assert done.created.done == 4, done
    assert parents(here) == {"a": "b", "b": "c", "c": "d", "d": "b"}
    assert here.plan().plan.counts.changes == 0


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


def test_a_default_stands_in_for_an_empty_source_and_for_what_is_not_found(here: World) -> None:
    tree(here, [row("1", "1"), row("2"), row("3", "nobody")], {**BY_NUMBER, "default": "1"})

    assert here.run().errors == ()
    assert parents(here) == {"1": "1", "2": "1", "3": "1"}


def test_a_reference_changes_and_is_cleared(here: World) -> None:
    tree(here, [row("1"), row("2"), row("3", "1")], BY_NUMBER)
    here.run()

    tree(here, [row("1"), row("2", "1"), row("3", "")], BY_NUMBER)
    done = here.run()

    assert done.updated.done == 2
    assert parents(here) == {"1": None, "2": "1", "3": None}
