"""One text with several activity parties: how it is split, what each value finds, and which lists are not allowed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.entities import AttributeMetadata, AttributeType
from shared.transform import ErrorType, check, desire_steps, shape_steps
from shared.transform.lookups.parties import MOST_PARTIES
from shared.workspace import Workspace
from tests.unit.transform.lookups.relations import (
    LINKED,
    column,
    errors,
    id_of,
    linking,
    messages,
    record,
    resolved,
    to,
)
from tests.unit.transform.world import load

CONTACTS = (record(1, code="c1", fullname="Doe"), record(2, code="c2", fullname="Roe"))
TEAMS = (record(3, fullname="Sales"),)
BY_CODE = {"entity": "contact", "match": "code"}
CODE_OR_NAME = [BY_CODE, {"entity": "team", "match": "fullname"}]


def parties(*, delimiter: str | None = None, **lookup: Any) -> dict[str, Any]:
    """A mapping of a list of parties from the source column `a`."""
    return {**to("to", **lookup), **({"delimiter": delimiter} if delimiter else {})}


def contact(number: int) -> str:
    return f"contact:{id_of(number)}"


def test_each_value_of_a_text_is_a_party_in_the_order_of_the_text(workspace: Workspace) -> None:
    """Spaces around a value and empty values are ignored; a text without a value has no parties."""
    rows: list[list[str | None]] = [["1", " C2 ;c1", ""], ["2", "c1;; ;", ""], ["3", ";", ""], ["4", None, ""]]
    resolved(workspace, linking(parties(**BY_CODE)), rows, contact=CONTACTS)

    assert column(workspace, "to") == {"1": f"{contact(2)},{contact(1)}", "2": contact(1), "3": None, "4": None}
    assert errors(workspace) == []


def test_a_record_is_one_party_of_a_list(workspace: Workspace) -> None:
    """However many values find it, also by other columns; each row has its own parties, in the order of the text."""
    sync = linking(parties(entries=[BY_CODE, {"entity": "contact", "match": "fullname"}]))
    rows = [["1", "c2;c1;Roe;C2 ", ""], ["2", "c2", ""]]
    resolved(workspace, sync, rows, contact=CONTACTS)
    assert column(workspace, "to") == {"1": f"{contact(2)},{contact(1)}", "2": contact(2)}


def test_the_definition_says_what_is_between_two_values(workspace: Workspace) -> None:
    """With another delimiter a semicolon is a part of the value."""
    people = (record(1, code="c;1"), record(2, code="c2"))
    resolved(workspace, linking(parties(delimiter="|", **BY_CODE)), [["1", "c;1|c2", ""]], contact=people)
    assert column(workspace, "to") == {"1": f"{contact(1)},{contact(2)}"}


def test_each_party_is_found_by_the_first_entry_that_has_it(workspace: Workspace) -> None:
    """One list can have records of several tables."""
    sync = linking(parties(entries=CODE_OR_NAME))
    resolved(workspace, sync, [["1", "Sales;c1", ""]], contact=CONTACTS, team=TEAMS)
    assert column(workspace, "to") == {"1": f"team:{id_of(3)},{contact(1)}"}


def test_entries_that_match_one_form_search_for_one_value(workspace: Workspace) -> None:
    """The same text as a code of contacts, and then as their name."""
    sync = linking(parties(entries=[BY_CODE, {"entity": "contact", "match": "fullname"}]))
    resolved(workspace, sync, [["1", "roe;c1", ""]], contact=CONTACTS)
    assert column(workspace, "to") == {"1": f"{contact(2)},{contact(1)}"}


@pytest.mark.parametrize("policy", ["reject", "clear"])
def test_a_party_that_is_not_found_rejects_its_row_or_is_left_out(workspace: Workspace, policy: str) -> None:
    """The other parties of its row stay, and each missing one is reported; other rows are not affected."""
    sync = linking(parties(**BY_CODE, on_missing=policy))
    resolved(workspace, sync, [["1", "c1;nobody;none", ""], ["2", "c2", ""]], contact=CONTACTS)

    rejects = policy == "reject"
    assert column(workspace, "to") == ({} if rejects else {"1": contact(1)}) | {"2": contact(2)}
    assert errors(workspace) == [(1, "a", "Unresolved Link", rejects)] * 2
    said = "" if rejects else "; this party is left out"
    assert messages(workspace)[0].endswith(f"characters{said}")


def test_a_party_that_several_records_have_rejects_its_row(workspace: Workspace) -> None:
    """The reference is ambiguous."""
    people = (*CONTACTS, record(4, code="C1"))
    resolved(workspace, linking(parties(**BY_CODE)), [["1", "c2;c1", ""], ["2", "c2", ""]], contact=people)
    assert column(workspace, "to") == {"2": contact(2)}
    assert [(row, error, rejected) for row, _, error, rejected in errors(workspace)] == [(1, "Ambiguous Link", True)]


def test_a_list_has_a_limit(workspace: Workspace) -> None:
    """A row with more parties is rejected before the search."""
    sync = linking(parties(**BY_CODE))
    most = ";".join(["x"] * MOST_PARTIES)
    load(workspace, sync, [["1", most, ""], ["2", f"{most};x", ""]])
    for step in (*shape_steps(sync), *desire_steps(sync, LINKED)):
        workspace.run(step)
    assert errors(workspace) == [(2, "a", ErrorType.INVALID_FORMAT, True)]
    assert messages(workspace) == ["a list has at most 1,000 parties"]


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({**to("contact", match="code"), "delimiter": ";"}, ".delimiter", "contact is of type Lookup; only a list"),
    ({"source": "a", "target": "name", "delimiter": ";"}, ".delimiter", "name is of type String; only a list"),
    (to("related", **BY_CODE), ".target", "lists of parties in related are not supported"),
    (parties(entity="contact", match=["code", "fullname"]), ".lookup.match", "match one column"),
    (
        to("to", ["a", "b"], entity_from="b", match={"contact": "code"}),
        ".lookup.entity_from",
        "each party of to is one value",
    ),
    (parties(entries=[BY_CODE, {**BY_CODE, "default": "c1"}]), ".lookup[1].default", "to is a list, which has no"),
    (parties(entity="contact", match="by_code", on_missing="create"), ".lookup.on_missing", "are not created"),
    (
        to("own", entries=[BY_CODE, {"entity": "account", "match": "accountnumber"}]),
        ".lookup[1].entity",
        "the parties of own cannot be records of account, which this sync writes itself",
    ),
]


@pytest.mark.parametrize(("mapping", "place", "message"), MISTAKES)
def test_what_a_list_cannot_have_is_reported_at_its_place(mapping: dict[str, Any], place: str, message: str) -> None:
    """Before a row is read; a correct list has no problem."""
    related = AttributeMetadata(name="related", type=AttributeType.PARTY_LIST, targets=("contact",))
    own = AttributeMetadata(name="own", type=AttributeType.PARTY_LIST, targets=("contact", "account"))
    table = replace(LINKED, attributes={**LINKED.attributes, "related": related, "own": own})
    found = [p.message for p in check(linking(mapping), table) if p.path == f"destination.mappings[1]{place}"]
    assert any(message in each for each in found), found
    assert check(linking(parties(**BY_CODE, delimiter="|")), table) == ()


def test_a_list_needs_a_strategy_that_knows_which_records_are_new() -> None:
    """It is given to new records only."""
    (problem,) = check(linking(parties(**BY_CODE), strategy="upsert"), LINKED)
    assert problem.path == "destination.mappings[1].target"
    assert "to is given to new records only" in problem.message
    delta = linking(parties(**BY_CODE), columns=[{"name": "op"}], strategy="delta", action_column="op")
    assert check(delta, LINKED) == ()


def test_a_row_that_deletes_its_record_needs_no_parties(workspace: Workspace) -> None:
    sync = linking(parties(**BY_CODE), strategy="delta", action_column="b")
    resolved(workspace, sync, [["1", "nobody", "DELETE"], ["2", "nobody", "INSERT"]], contact=CONTACTS)

    assert column(workspace, "to") == {"1": None}
    assert [row for row, *_ in errors(workspace)] == [2]
