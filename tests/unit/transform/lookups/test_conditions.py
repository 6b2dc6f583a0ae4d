"""Filters of lookups in the synced table: their SQL, and the filters that are not supported."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.definitions import KeyMatch, in_odata
from shared.entities import Choice
from shared.errors import UserError
from shared.transform.lookups.conditions import (
    Held,
    UnclearFilterError,
    condition_columns,
    condition_sql,
    condition_values,
    possible_sql,
)
from shared.workspace import Workspace, literal
from tests.unit.transform.lookups.relations import LINKED

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def holds(
    workspace: Workspace, condition: str, match: KeyMatch = KeyMatch.SERVICE, **held: str | int | bool | None
) -> bool:
    """Whether a record passes a filter; columns that are not given are empty."""
    values = {name: "NULL" if value is None else literal(value) for name, value in held.items()}
    types = {"staff": "INTEGER", "rate": "DECIMAL(38, 3)", "active": "BOOLEAN", "segment": "INTEGER",
             "founded": "DATE", "called": "TIMESTAMP", "parent": "UUID", "accountid": "UUID"}  # fmt: skip
    sql = condition_sql(
        condition,
        LINKED,
        lambda each: f"CAST({values.get(each.name, 'NULL')} AS {types.get(each.name, 'VARCHAR')})",
        match,
    )
    ((found,),) = workspace.query(f"SELECT {sql}")
    return bool(found)


@pytest.mark.parametrize(
    ("condition", "held", "expected"),
    [
        ("name eq 'Acme'", {"name": "ACMÉ "}, True),
        ("name eq 'O''Neil'", {"name": "o'neil"}, True),
        ("name ne 'Acme'", {"name": "acme"}, False),
        ("name ne 'Acme'", {}, True),
        ("name eq 'Acme'", {}, False),
        ("name eq ''", {}, False),
        ("name eq null", {}, True),
        ("name ne null", {"name": "x"}, True),
        ("null ne name", {"name": "x"}, True),
        ("staff gt 5", {"staff": 6}, True),
        ("staff gt 5", {}, False),
        ("not staff gt 5", {}, False),
        ("not (staff gt 5)", {"staff": 5}, True),
        ("5 lt staff", {"staff": 6}, True),
        ("staff le -1", {"staff": -1}, True),
        ("rate ge 1.25", {"rate": "1.250"}, True),
        ("staff ge 1 and staff le 3 or name eq 'x'", {"staff": 9, "name": "x"}, True),
        ("staff ge 1 and (staff le 3 or name eq 'x')", {"staff": 0, "name": "x"}, False),
        ("not (staff ge 1 and name eq 'x')", {"staff": 1, "name": "y"}, True),
        ("active eq true", {"active": True}, True),
        ("active ne true", {}, True),
        ("segment eq 2", {"segment": 2}, True),
        ("founded lt 2024-02-01", {"founded": "2024-01-31"}, True),
        ("called ge 2024-01-31T10:00:00Z", {"called": "2024-01-31 10:00:00"}, True),
        (f"_parent_value eq {ID}", {"parent": ID}, True),
        (f"accountid ne {ID.upper()}", {"accountid": ID}, False),
        ("NAME EQ 'x'".replace("NAME", "name"), {"name": "x"}, True),
    ],
)
def test_a_filter_means_what_it_means_in_the_service(
    workspace: Workspace, condition: str, held: dict[str, Any], *, expected: bool
) -> None:
    assert holds(workspace, condition, **held) is expected


@pytest.mark.parametrize(
    ("condition", "value", "held"),
    [
        ("name eq @p", "Acme", {"name": "acme"}),
        ("staff ge @p", 5, {"staff": 5}),
        ("staff ge @p", "5", {"staff": 6}),
        ("segment eq @p", "finanzen", {"segment": 2}),
        ("segment eq @p", 2, {"segment": 2}),
        ("active eq @p", "Closed", {"active": False}),
        ("active eq @p", True, {"active": True}),
        ("founded eq @p", "2024-01-31", {"founded": "2024-01-31"}),
        ("called lt @p", "2024-01-31T10:00:00+02:00", {"called": "2024-01-31 07:59:59"}),
        ("parent eq @p", ID, {"parent": ID}),
    ],
)
def test_a_parameter_takes_the_type_of_its_column(
    workspace: Workspace, condition: str, value: Any, held: dict[str, Any]
) -> None:
    workspace.bind(condition_values(condition, LINKED, {"p": value}))
    assert holds(workspace, condition, **held)


MOMENT = datetime(2024, 1, 31, 9, 30, 15, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("column", "value", "held"),
    [
        ("name", None, (None, "x")),
        ("name", "", (None, "x")),
        ("name", "O'Neil", (None, "o'neil")),
        ("name", 5.0, (None, "5.0", "5")),
        ("name", MOMENT, (None, "2024-01-31T09:30:15.500000Z")),
        ("staff", None, (None, 1)),
        ("staff", " 5 ", (None, 4, 5, 6)),
        ("rate", 0.1, (None, "0", "0.100", "1")),
        ("rate", "-1e1", (None, "-10.000", "1")),
        ("active", None, (None, True, False)),
        ("active", "No business", (None, True, False)),
        ("active", 1, (None, True, False)),
        ("segment", None, (None, 1)),
        ("segment", "Consulting", (None, 1, 2)),
        ("founded", None, (None, "2024-01-31")),
        ("founded", "20240131", (None, "2024-01-30", "2024-01-31", "2024-02-01")),
        ("founded", date(2024, 1, 31), (None, "2024-01-31", "2024-02-01")),
        ("called", None, (None, "2024-01-31 09:30:15")),
        ("called", MOMENT, (None, "2024-01-31 09:30:14", "2024-01-31 09:30:15", "2024-01-31 09:30:16")),
        ("called", "20240131", (None, "2024-01-31 00:00:00", "2024-01-31 00:00:01")),
        ("parent", None, (None, ID)),
        ("parent", f"{{{ID.upper()}}}", (None, ID)),
    ],
)
def test_a_parameter_means_what_it_means_to_the_service(
    workspace: Workspace, column: str, value: Any, held: tuple[Any, ...]
) -> None:
    """The SQL of a filter and that of the same filter with literals, as the service gets it, let the same through."""
    ordered = value is not None and column not in {"name", "active", "parent"}
    for operator in ("eq", "ne", "ge", "le", "gt", "lt") if ordered else ("eq", "ne"):
        condition = f"{column} {operator} @p"
        sent = in_odata(condition, {"p": value}, LINKED)
        workspace.bind(condition_values(condition, LINKED, {"p": value}))
        for each in held:
            passes = holds(workspace, condition, **{column: each})
            assert passes is holds(workspace, sent, **{column: each}), (operator, each)


def test_nothing_comes_before_or_after_null(workspace: Workspace) -> None:
    workspace.bind(condition_values("staff gt @p or staff le @p", LINKED, {"p": None}))
    assert not holds(workspace, "staff gt @p", staff=1)
    assert not holds(workspace, "staff le @p", staff=1)


def test_one_parameter_beside_two_columns_is_a_value_of_each(workspace: Workspace) -> None:
    condition = "name eq @p or segment eq @p"
    workspace.bind(condition_values(condition, LINKED, {"p": "Finance"}))
    assert [holds(workspace, condition, **each) for each in ({"name": "finance"}, {"segment": 2}, {"segment": 1})] == [
        True, True, False
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "value"),
    [("staff eq @p", "many"), ("active eq @p", "yes"), ("called ge @p", "soon"), ("parent eq @p", "x")],
)
def test_a_value_that_does_not_fit_ends_the_run_as_in_odata(condition: str, value: str) -> None:
    """Nothing is decided with a value that is none of the column."""
    with pytest.raises(UserError) as of_service:
        in_odata(condition, {"p": value}, LINKED)
    with pytest.raises(UserError, match=f"^{re.escape(str(of_service.value))}$"):
        condition_values(condition, LINKED, {"p": value})


def test_a_filter_that_cannot_be_worked_out_needs_no_values() -> None:
    """Nor does one of a column that is not there, or whose type cannot be compared: the service alone reads these."""
    for condition in ("contains(name, @p)", "nothing eq @p", "segments eq @p", "staff eq 1", ""):
        assert condition_values(condition, LINKED, {"p": "x"}) == {}


@pytest.mark.parametrize(("text", "found"), [("silver", [2]), ("2", [2]), ("3", [3])])
def test_a_value_names_its_own_option(workspace: Workspace, text: str, found: list[int]) -> None:
    """Also where it is the label of another one. A label of several options ends the run."""
    choices = (Choice(value=2, labels=("Silver", "Grau")), Choice(value=3, labels=("Grau", "2")))
    segment = replace(LINKED.attributes["segment"], choices=choices)
    entity = replace(LINKED, attributes={**LINKED.attributes, "segment": segment})
    workspace.bind(condition_values("segment eq @p", entity, {"p": text}))
    passes = condition_sql("segment eq @p", entity, lambda each: f"held.{each.name}", KeyMatch.SERVICE)
    query = f"SELECT segment FROM (SELECT unnest([2, 3]) AS segment) AS held WHERE {passes}"
    assert [value for (value,) in workspace.query(query)] == found
    with pytest.raises(UserError, match="the label of several options"):
        condition_values("segment eq @p", entity, {"p": "Grau"})


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("contains(name, 'x')", "can compare columns with values"),
        ("name eq notes", "can compare columns with values"),
        ("primarycontactid/fullname eq 'x'", "can compare columns with values"),
        ("name eq", "can compare columns with values"),
        ("(name eq 'x'", "can compare columns with values"),
        ("name eq 'x')", "can compare columns with values"),
        ("", "can compare columns with values"),
        ("(" * 60 + "name eq 'x'" + ")" * 60, "can compare columns with values"),
        ("nothing eq 1", "account has no column nothing"),
        ("name gt 'x'", "name is of type String: its filter can have eq and ne alone"),
        ("staff gt null", "staff can be compared with null by eq and ne alone"),
        ("staff eq 'x'", "staff is of type Integer: the filter compares it with another kind of value"),
        ("name eq 5", "name is of type String: the filter compares it with another kind of value"),
        ("segments eq @p", "segments is of type MultiSelectPicklist, which such a filter cannot compare"),
    ],
)
def test_unsupported_filters_are_refused(condition: str, message: str) -> None:
    with pytest.raises(UnclearFilterError, match=message):
        condition_sql(condition, LINKED, lambda each: each.name, KeyMatch.SERVICE)


def test_the_columns_of_a_filter_are_listed() -> None:
    """Each once; a filter that cannot be read has none."""
    assert condition_columns("_parent_value ne null and (name eq 'staff' or not name eq null)") == ("parent", "name")
    assert condition_columns("contains(name, 'x')") == ()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("name eq 'x'", True),
        ("name eq 'y'", False),
        ("name eq 'y' and staff gt 5", False),
        ("name eq 'y' or staff gt 5", True),
        ("name eq 'x' and not (name eq 'x' or staff gt 5)", False),
        ("not (name ne 'y' or staff gt 5)", False),
        ("staff gt 5", True),
        ("active eq true and name eq 'y'", False),
        ("active eq true", True),
        ("active eq true or name eq 'y'", True),
        ("segment eq 'unclear' and name eq 'x'", True),
        ("segment eq 'unclear' and name eq 'y'", False),
        ("contains(name, 'y')", True),
    ],
)
def test_a_record_passes_possibly_where_not_all_is_known(
    workspace: Workspace, condition: str, *, expected: bool
) -> None:
    """Of the record the name is known, and the columns `active` and `segment` are not; of the others nothing is."""
    known = {"name": ("'x'", "true"), "active": ("false", "false"), "segment": ("1", "true")}
    held = {name: Held(LINKED.attributes[name], *each) for name, each in known.items()}
    assert workspace.query(f"SELECT {possible_sql(condition, held, KeyMatch.SERVICE)}") == [(expected,)]


@pytest.mark.parametrize(
    ("match", "held", "equal"),
    [
        (KeyMatch.SERVICE, "MALMO ", True),
        (KeyMatch.SERVICE, "Malmö", True),
        (KeyMatch.ACCENT_SENSITIVE, "MALMO ", True),
        (KeyMatch.ACCENT_SENSITIVE, "Malmö", False),
        (KeyMatch.EXACT, "MALMO ", True),
        (KeyMatch.EXACT, "Malmö", True),
    ],
)
def test_texts_compare_as_in_the_service_that_key_match_tells_of(
    workspace: Workspace, match: KeyMatch, held: str, *, equal: bool
) -> None:
    """With accents where the sync says so; the service never regards case, also where keys are compared exactly."""
    workspace.bind(condition_values("name eq @p", LINKED, {"p": "Malmo"}))
    for wanted in ("'Malmo'", "@p"):
        assert holds(workspace, f"name eq {wanted}", match, name=held) is equal
        assert holds(workspace, f"name ne {wanted}", match, name=held) is not equal
    name = {"name": Held(LINKED.attributes["name"], literal(held), "true")}
    possible = possible_sql("name eq 'Malmo'", name, match)
    assert workspace.query(f"SELECT {possible}") == [(equal,)]
