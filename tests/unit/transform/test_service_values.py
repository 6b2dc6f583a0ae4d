"""Values as the service writes and reads them."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal

import pytest

from shared.transform import from_service, layout, to_payload, to_service, to_shown
from shared.transform.targets import TargetColumn
from shared.workspace import SqlValue, Workspace, literal
from tests.unit.transform.lookups.relations import LINKED, linking, to
from tests.unit.transform.world import ACCOUNT, definition


def column(name: str) -> TargetColumn:
    return layout(definition([{"name": "x"}], [{"source": "x", "target": name}]), ACCOUNT)[1]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        (
            "notes",
            'a "quoted" \\ line\n\ttab \u0001 é 😀',
            json.dumps('a "quoted" \\ line\n\ttab \u0001 é 😀', ensure_ascii=False),
        ),
        ("notes", None, "null"),
        ("staff", 12, "12"),
        ("big", -9223372036854775808, "-9223372036854775808"),
        ("revenue", Decimal("922337203685477.58"), "922337203685477.58"),
        ("rate", Decimal("-1.5"), "-1.500"),
        ("latitude", 48.12346, "48.12346"),
        ("active", True, "true"),
        ("segment", 7, "7"),
        ("segments", "1,7", '"1,7"'),
        ("founded", date(2024, 1, 31), '"2024-01-31"'),
        ("called", datetime(2024, 1, 31, 10, 20, 30), '"2024-01-31T10:20:30Z"'),  # noqa: DTZ001 - UTC without a zone
        ("reference", "0f8fad5b-d9cb-469f-a165-70867728950e", '"0f8fad5b-d9cb-469f-a165-70867728950e"'),
        ("called", None, "null"),
    ],
)
def test_a_value_is_written_as_a_member_of_a_json_object(
    workspace: Workspace, name: str, value: SqlValue, text: str
) -> None:
    """Name and value, which are joined with commas later; no digit is lost."""
    target = column(name)
    typed = f"CAST({literal(value)} AS {target.sql_type})"
    ((written,),) = workspace.query(f"SELECT {to_service(target, typed)}")
    assert written == f'"{name}":{text}'
    json.loads(f"{{{written}}}")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("notes", "", None),
        ("notes", " a ", " a "),
        ("revenue", "10.5000", Decimal("10.50")),
        ("rate", "0.1235", Decimal("0.124")),
        ("latitude", "48.123456789", 48.12346),
        ("latitude", "1e1", 10.0),
        ("active", "false", False),
        ("segments", "9,1, 10", "1,9,10"),
        ("segments", "", None),
        ("founded", "2024-01-31", date(2024, 1, 31)),
        ("founded", "2024-01-31T00:00:00Z", date(2024, 1, 31)),
        ("called", "2024-01-31T10:20:30Z", datetime(2024, 1, 31, 10, 20, 30)),  # noqa: DTZ001 - UTC without a zone
        ("called", None, None),
    ],
)
def test_a_value_is_read_in_the_type_of_its_comparison(
    workspace: Workspace, name: str, text: str | None, value: object
) -> None:
    """Empty text is null, decimals have the precision of the column, sets are sorted, moments end at the second."""
    ((read,),) = workspace.query(f"SELECT {from_service(column(name), f'CAST({literal(text)} AS VARCHAR)')}")
    assert read == value


RECORD = "0f8fad5b-d9cb-469f-a165-70867728950e"


def lookup(name: str) -> TargetColumn:
    mappings = {
        "contact": to("contact", match="code"),
        "customer": to("customer", entity="account", match="name"),
        "owner": to("owner", entity="team", match="fullname"),
    }
    return next(each for each in layout(linking(mappings[name]), LINKED) if each.name == name)


@pytest.mark.parametrize(
    ("name", "value", "held", "text"),
    [
        ("contact", RECORD, None, f'"Contact@odata.bind":"/contacts({RECORD})"'),
        ("contact", None, RECORD, '"Contact":null'),
        ("customer", f"account:{RECORD}", None, f'"customer_account@odata.bind":"/accounts({RECORD})"'),
        ("customer", f"contact:{RECORD}", f"account:{RECORD}", f'"customer_contact@odata.bind":"/contacts({RECORD})"'),
        ("customer", None, f"contact:{RECORD}", '"customer_contact":null'),
        ("customer", None, None, '"customer_account":null'),
        ("owner", f"team:{RECORD}", None, f'"ownerid@odata.bind":"/teams({RECORD})"'),
    ],
)
def test_a_lookup_is_written_through_its_navigation_property(
    workspace: Workspace, name: str, value: str | None, held: str | None, text: str
) -> None:
    """With several tables, the table of the record decides; to clear it, the table of the current reference."""
    target = lookup(name)
    sql, held_sql = (f"CAST({literal(each)} AS {target.sql_type})" for each in (value, held))
    assert workspace.query(f"SELECT {to_payload(target, sql, held_sql)}") == [(text,)]


@pytest.mark.parametrize(
    ("name", "value", "key", "shown"),
    [
        ("contact", RECORD, f'"{RECORD}"', f'"{RECORD}"'),
        ("customer", f"account:{RECORD}", f'"{RECORD}"', f'"account:{RECORD}"'),
        ("customer", None, "null", "null"),
    ],
)
def test_a_lookup_in_a_key_is_an_id_and_messages_have_its_table(
    workspace: Workspace, name: str, value: str | None, key: str, shown: str
) -> None:
    """Messages have the table only if there are several."""
    target = lookup(name)
    sql = f"CAST({literal(value)} AS {target.sql_type})"
    found = workspace.query(f"SELECT {to_service(target, sql)}, {to_shown(target, sql)}")
    assert found == [(f'"{name}":{key}', f'"{name}":{shown}')]


def test_a_lookup_with_several_tables_is_read_with_its_table(workspace: Workspace) -> None:
    """A null has no table."""
    target = lookup("customer")
    sql = f"SELECT {from_service(target, literal(RECORD), literal('contact'))}, {from_service(target, 'NULL', 'NULL')}"
    assert workspace.query(sql) == [(f"contact:{RECORD}", None)]
