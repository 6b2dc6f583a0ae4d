"""Filters of lookups in the synced table: their SQL, and the filters that are not supported."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.entities import Choice
from shared.transform.lookups.conditions import Held, UnclearFilterError, condition_columns, condition_sql, possible_sql
from shared.workspace import Workspace, literal
from tests.unit.transform.lookups.relations import LINKED

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def holds(workspace: Workspace, condition: str, **held: str | int | bool | None) -> bool:
    """Whether a record passes a filter; columns that are not given are empty."""
    values = {name: "NULL" if value is None else literal(value) for name, value in held.items()}
    types = {"staff": "INTEGER", "rate": "DECIMAL(38, 3)", "active": "BOOLEAN", "segment": "INTEGER",
             "founded": "DATE", "called": "TIMESTAMP", "parent": "UUID", "accountid": "UUID"}  # fmt: skip
    sql = condition_sql(
        condition, LINKED, lambda each: f"CAST({values.get(each.name, 'NULL')} AS {types.get(each.name, 'VARCHAR')})"
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
    workspace.bind({"p": value})
    assert holds(workspace, condition, **held)


@pytest.mark.parametrize(("text", "found"), [("Grau", []), ("silver", [2]), ("2", [2]), ("3", [3])])
def test_a_label_of_several_options_is_none_of_them(workspace: Workspace, text: str, found: list[int]) -> None:
    """A value names its own option, also where it is the label of another one."""
    choices = (Choice(value=2, labels=("Silver", "Grau")), Choice(value=3, labels=("Grau", "2")))
    segment = replace(LINKED.attributes["segment"], choices=choices)
    entity = replace(LINKED, attributes={**LINKED.attributes, "segment": segment})
    workspace.bind({"p": text})
    passes = condition_sql("segment eq @p", entity, lambda each: f"held.{each.name}")
    query = f"SELECT segment FROM (SELECT unnest([2, 3]) AS segment) AS held WHERE {passes}"
    assert [value for (value,) in workspace.query(query)] == found


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
        condition_sql(condition, LINKED, lambda each: each.name)


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
    assert workspace.query(f"SELECT {possible_sql(condition, held)}") == [(expected,)]
