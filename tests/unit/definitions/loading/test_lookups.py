"""Lookups of a mapping as a definition writes them, and every mistake at its place."""

from __future__ import annotations

import pytest

from shared.definitions import load_definition
from shared.definitions.models import Lookup
from tests.unit.definitions.loading.test_loading import changed, place_of, problems

BEFORE = "    - {source: Name, target: name}\n"


def mapped(text: str, *, source: str = "Name") -> str:
    """The example with one more mapping, the second one."""
    return changed((BEFORE, f"    - {{source: {source}, target: parentaccountid, {text}}}\n{BEFORE}"))


def lookups(text: str, *, source: str = "Name") -> tuple[Lookup, ...]:
    return load_definition(mapped(text, source=source)).destination.mappings[1].lookups


def test_a_lookup_is_one_entry_or_a_list() -> None:
    """`match` is a text or a list; the tables are those that it names."""
    (one,) = lookups("lookup: {match: name}")
    assert (one.match, one.tables, one.on_missing, one.on_ambiguous, one.default) == (
        "name",
        (),
        "reject",
        "reject",
        None,
    )

    first, second = lookups("lookup: [{entity: account, match: [name], default: 7}, {entity: contact, match: id}]")
    assert (first.tables, first.match, first.default) == (("account",), ("name",), 7)
    assert (second.tables, second.match) == (("contact",), "id")


def test_a_column_of_the_row_can_name_the_table() -> None:
    """Then `match` has an entry for each."""
    lookup = "lookup: {entity_from: segment, match: {account: accountnumber, contact: [lastname]}}"
    (one,) = lookups(lookup, source="[segment, number]")
    assert one.tables == ("account", "contact")
    assert one.match == {"account": "accountnumber", "contact": ("lastname",)}


# With ^ where the mistake is to be reported; the path behind the mapping; words of the message.
MISTAKES = {
    "no match": ("^lookup: {entity: account}", "lookup.match", "this key is missing"),
    "unknown policy": ("lookup: {match: name, on_missing: ^drop}", "lookup.on_missing", "reject"),
    "unknown key": ("lookup: {match: name, ^on_mising: keep}", "lookup.on_mising", "did you mean on_missing?"),
    "empty match": ("lookup: {match: ^[]}", "lookup.match", "this is empty"),
    "one match for all tables": (
        "lookup: {entity_from: Name, ^match: name}",
        "lookup.match",
        "with entity_from, match has one entry for each table",
    ),
    "a match for each table without a column that names it": (
        "lookup: {^match: {account: name}}",
        "lookup.match",
        "needs entity_from, the source column that names the table",
    ),
    "two ways to name the table": (
        "lookup: {^entity: account, entity_from: Name, match: {account: name}}",
        "lookup.entity",
        "entity or entity_from, not both",
    ),
    "columns of a record that is not created": (
        "lookup: {match: name, ^create: {name: number}}",
        "lookup.create",
        "allowed only with on_missing: create",
    ),
    "creating in a table that the row names": (
        "lookup: {entity_from: Name, match: {account: name}, ^on_missing: create}",
        "lookup.on_missing",
        "create is not possible with entity_from",
    ),
    "a policy of an entry that others follow": (
        "lookup: [{entity: account, match: name, ^on_missing: keep}, {entity: contact, match: lastname}]",
        "lookup[0].on_missing",
        "belongs to the last entry of the list",
    ),
}


@pytest.mark.parametrize(("text", "path", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_at_its_place(text: str, path: str, message: str) -> None:
    """Line, column, path and words that help."""
    marked = mapped(text)
    place = place_of(marked, "^")

    found = problems(marked.replace("^", "", 1))

    of_path = [each for each in found if each.path == f"destination.mappings[1].{path}" and message in each.message]
    assert [(each.file, each.line, each.column) for each in of_path] == [("syncs/a.yaml", *place)], found
