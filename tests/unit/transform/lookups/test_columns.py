"""The SQL of mapped lookups, and the mistakes that are found before a row is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.errors import DefinitionError
from shared.transform import check, desire_steps, early_lookups, late_lookups, layout, related_tables
from shared.transform.lookups.columns import carried_columns, lookup_columns
from shared.transform.lookups.names import match_columns
from tests.unit.transform.lookups.relations import CONTACT, LINKED, linking, to

BY_CODE = {"match": "code"}


@pytest.mark.parametrize(
    ("match", "columns"),
    [
        ("code", ("code",)),
        ("id", ("contactid",)),
        ("by_both", ("code", "fullname")),
        (("id", "code"), ("contactid", "code")),
        ("nothing", ("nothing",)),
    ],
)
def test_match_names_columns_a_key_or_the_id(match: Any, columns: tuple[str, ...]) -> None:
    """A name that the table does not have stays, for the check to report."""
    assert match_columns(CONTACT, match) == columns


def test_the_tables_are_those_of_the_lookups_and_the_only_one_of_a_column() -> None:
    """Also of a column without a lookup, since its ids are written with the name of the table's set."""
    entries = [{"entity": "account", "match": "name"}, {"entity": "team", "match": "fullname"}]
    sync = linking(to("contact", **BY_CODE), {"source": "a", "target": "needed"}, to("owner", entries=entries))
    assert related_tables(sync, LINKED) == {"contact", "team"}


def test_a_lookup_in_the_table_itself_is_late_unless_it_is_a_part_of_the_key() -> None:
    """A key has to be known before the records are read."""
    sync = linking(
        to("contact", **BY_CODE),
        to("parent", match="name"),
        to("second", match="name"),
        sync_key=["accountnumber", "second"],
    )
    assert [each.name for each in early_lookups(sync, LINKED)] == ["contact", "second"]
    assert [each.name for each in late_lookups(sync, LINKED)] == ["parent"]
    assert [column.name for column in layout(sync, LINKED) if column.late] == ["parent"]


def test_events_carry_what_late_lookups_search() -> None:
    """With the types that the values have."""
    lookup = {"entity_from": "b", "match": {"account": "staff", "contact": "fullname"}}
    sync = linking(to("customer", ["a", "b"], **lookup))
    assert carried_columns(late_lookups(sync, LINKED)) == {
        "customer.account.staff": "INTEGER",
        "key:customer.account.staff": "INTEGER",
        "customer.contact.fullname": "VARCHAR",
        "key:customer.contact.fullname": "VARCHAR",
        "customer.table": "VARCHAR",
        "given:customer": "BOOLEAN",
        "link:customer": "BIGINT",
    }


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (to("nowhere", **BY_CODE), "account has no column nowhere"),
        (to("contact", match="nothing"), "contact has no column nothing"),
        (to("owner", entity="team", match="fullname"), "the environment has no table team"),
    ],
)
def test_lookups_that_do_not_fit_do_not_compile(mapping: dict[str, Any], message: str) -> None:
    """For callers that did not check the definition first."""
    with pytest.raises(DefinitionError, match=message):
        lookup_columns(linking(mapping), replace(LINKED, related={"contact": CONTACT}))


def test_a_source_column_that_does_not_exist_is_named() -> None:
    """With the place of its mapping."""
    with pytest.raises(DefinitionError, match=r"destination.mappings\[1\].source: the source has no column zz"):
        desire_steps(linking(to("contact", "zz", **BY_CODE)), LINKED)


# Mapping, place, message.
MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    (to("name", **BY_CODE), ".lookup", "name is of type String; only a lookup column can have a lookup"),
    (
        {"source": "a", "target": "customer"},
        "",
        "customer can refer to account or contact: a lookup must say which; for ids, match: id",
    ),
    (
        to("customer", match="name"),
        ".lookup",
        "customer can refer to account or contact; entity says to which",
    ),
    (
        to("customer", entity_from="b", match={"account": "name"}),
        ".lookup.entity_from",
        "this must be one of the columns in `source` of the mapping",
    ),
    (
        to("contact", entity="team", match="fullname"),
        ".lookup.entity",
        "contact cannot refer to team; it refers to contact",
    ),
    (
        to("customer", ["a", "b"], entity_from="b", match={"account": "name", "team": "fullname"}),
        ".lookup.match",
        "customer cannot refer to team; it refers to account or contact",
    ),
    (
        to("contact", match="cod"),
        ".lookup.match",
        "contact has no column or alternate key cod; did you mean code?",
    ),
    (to("contact", match="secret"), ".lookup.match", "secret of contact cannot be read"),
    (
        to("contact", ["a", "b"], match="code"),
        ".lookup.match",
        "match has 1 columns (code), and source has 2; each column needs one",
    ),
    (
        to("contact", match=["code", "fullname"]),
        ".lookup.match",
        "match has 2 columns (code, fullname), and source has 1; each column needs one",
    ),
    (to("contact", "n", match="kind"), ".lookup.match", "kind of contact is of type Picklist and cannot hold a date"),
    (
        to("contact", match="code", default=["a", "b"]),
        ".lookup.default",
        "match has 1 columns, and the default has 2 values",
    ),
    (
        to("contact", match="kind", default="Beratng"),
        ".lookup.default",
        "this value does not fit kind, which is of type Picklist",
    ),
    (
        to("contact", ["a", "b"], match=["code", "born"], default=["x", "yesterday"]),
        ".lookup.default",
        "this value does not fit born, which is of type DateTime: ",
    ),
    (
        to("parent", match="accountnumber", on_missing="create"),
        ".lookup.on_missing",
        "a lookup cannot create records of the table that is synced; add them to the source",
    ),
    (
        to("contact", match="rank", on_missing="create"),
        ".lookup.on_missing",
        "on_missing: create needs an active alternate key of contact over rank",
    ),
    (
        to("contact", ["a", "b"], match="by_boss", on_missing="create"),
        ".lookup.on_missing",
        "on_missing: create cannot set boss of contact: it is a lookup itself",
    ),
    (
        to("contact", match="code", on_missing="create", filter="rank eq 1"),
        ".lookup.on_missing",
        "a record that the filter hides may have the values already, so none can be created",
    ),
    (
        to("parent", match="accountnumber", filter="contains(name, 'x')"),
        ".lookup.filter",
        "the filter of a lookup in the table that is synced can compare columns with values",
    ),
    (
        to("parent", match="accountnumber", filter="nothing eq 1"),
        ".lookup.filter",
        "account has no column nothing",
    ),
    (
        to("parent", match="accountnumber", filter="_parent_value eq null"),
        ".lookup.filter",
        "a lookup in account sets parent itself: it cannot be used with a filter",
    ),
    (
        to("parent", match="accountnumber", filter="computed eq 'x'"),
        ".lookup.filter",
        "the service sets computed of a new record, so it is not known whether the filter lets it through",
    ),
    (
        to("parent", match="accountnumber", filter="hidden eq 'x'"),
        ".lookup.filter",
        "hidden of account cannot be read",
    ),
    (
        to("parent", match="owner", filter="name eq 'x'"),
        ".lookup.filter",
        "owner can refer to several tables: it cannot be matched where the lookup has a filter",
    ),
    (
        to("contact", match="code", on_missing="create", create={"fulname": "a"}),
        ".lookup.create.fulname",
        "contact has no column fulname; did you mean fullname?",
    ),
    (
        to("contact", match="code", on_missing="create", create={"made": "a"}),
        ".lookup.create.made",
        "made of contact cannot be set here: it is of type String",
    ),
    (
        to("contact", match="code", on_missing="create", create={"code": "a"}),
        ".lookup.create.code",
        "code is set already: the lookup matches it",
    ),
    (
        to("contact", match="code", on_missing="create", create={"fullname": "zz || a"}),
        ".lookup.create.fullname",
        "zz",
    ),
    (
        to("contact", match="code", on_missing="create", create={"fullname": "strftime(a, '%Y')"}),
        ".lookup.create.fullname",
        "Could not choose a best candidate function",
    ),
    (
        to("contact", match="code", on_missing="create", create={"kind": "'no such choice'"}),
        ".lookup.create.kind",
        "this value does not fit kind, which is of type Picklist",
    ),
    (
        to("owner", entries=[{"entity": "team", "match": "fullname"}, {"entity": "systemuser", "match": "x"}]),
        ".lookup[1].match",
        "systemuser has no column or alternate key x",
    ),
]


@pytest.mark.parametrize(("mapping", "place", "message"), MISTAKES)
def test_a_mistake_is_reported_at_its_place(mapping: dict[str, Any], place: str, message: str) -> None:
    """Table, column and what to do."""
    sync = linking(mapping, columns=[{"name": "n", "type": "date"}])
    found = [(each.path, each.message) for each in check(sync, LINKED)]

    assert [path for path, _ in found] == [f"destination.mappings[1]{place}"]
    assert message in found[0][1]


def test_a_table_that_the_environment_lacks_is_named() -> None:
    """The metadata of the column names it, and there is no such table."""
    sync = linking(to("contact", **BY_CODE))
    (problem,) = check(sync, replace(LINKED, related={}))
    assert problem.message == "the environment has no table contact"


def test_a_column_with_several_tables_cannot_be_cleared_without_reading() -> None:
    """The request that clears it depends on the table of the current reference."""
    mapping = to("customer", entity="contact", match="code")
    (problem,) = check(linking(mapping, strategy="upsert"), LINKED)
    assert problem.message == (
        "customer can refer to account or contact, and strategy upsert does not read what it holds, so it cannot be "
        "cleared; set on_null: keep"
    )
    assert check(linking({**mapping, "on_null": "keep"}, strategy="upsert"), LINKED) == ()
    assert check(linking(mapping), LINKED) == ()


@pytest.mark.parametrize("strategy", ["upsert", "delta"])
def test_a_filter_in_the_synced_table_needs_records_that_are_read(strategy: str) -> None:
    """It applies to what they hold after the run; a filter in another table needs nothing."""
    own, other = (
        to("parent", match="accountnumber", filter="name eq 'x'"),
        to("contact", match="code", filter="rank eq 1"),
    )
    (problem,) = check(linking(own, other, strategy=strategy), LINKED)
    assert problem.path == "destination.mappings[1].lookup.filter"
    assert f"strategy {strategy} does not read them" in problem.message
