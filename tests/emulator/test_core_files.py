"""Files of `--db` that are opened again with another schema: values are never read as what they are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from emulator.http.options import Options
from emulator.http.server import build_application
from emulator.schema.faults import SchemaFileError
from emulator.testing import running
from tests.emulator.http_client import Client, error, made

Open = Callable[..., Any]
Refusal = Callable[..., str]
TEXT = {"type": "String", "length": 100}


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Opens the emulator with the file and with columns of the table `new_item`."""

    @contextmanager
    def with_columns(columns: dict[str, Any], *, keys: Any = None, recycle_bin: bool = False) -> Iterator[Client]:
        written = _written(tmp_path, columns, keys)
        with (
            running(in_thread=True, limits="none", recycle_bin=recycle_bin, **written) as emulator,
            Client(emulator) as client,
        ):
            yield client

    return with_columns


def _written(folder: Path, columns: dict[str, Any], keys: Any = None) -> dict[str, Any]:
    """Writes the schema, and returns the options with it and the file of the rows."""
    schema = folder / "tables.yaml"
    tables = {"new_Item": {"columns": {"new_Name": TEXT, **columns}, "keys": keys or {}}}
    schema.write_text(yaml.safe_dump(tables), encoding="utf-8")
    return {"db": folder / "rows.db", "schema": [schema]}


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    """Why the file is not opened with columns of the table `new_item`."""

    def refused(columns: dict[str, Any], keys: Any = None) -> str:
        written = _written(tmp_path, columns, keys)
        with pytest.raises(SchemaFileError) as caught:
            build_application(Options.parse(["--db", str(written["db"]), "--schema", str(written["schema"][0])]))
        return str(caught.value)

    return refused


@pytest.mark.parametrize(
    ("before", "value", "after", "said"),
    [
        ({"type": "Integer"}, 5, TEXT, "stored as Integer, and the schema says String"),
        ({"type": "Decimal"}, 1.5, {"type": "Lookup", "targets": ["account"]}, "says Lookup to account"),
        (TEXT, "007", {"type": "Integer"}, "stored as String, and the schema says Integer"),
        ({"type": "Picklist", "options": {1: "A"}}, 1, {"type": "Boolean"}, "stored as Picklist"),
        ({"type": "DateTime"}, "2026-01-01T00:00:00Z", {"type": "DateTime", "behavior": "DateOnly"}, "(DateOnly)"),
    ],
)
def test_a_column_with_values_of_another_type_is_refused(
    opened: Open, refusal: Refusal, before: dict[str, Any], value: Any, after: dict[str, Any], said: str
) -> None:
    """The message names file, table, column and both types, and what to do; the old schema still opens the file."""
    with opened({"new_Value": before}) as client:
        row = made(client, "new_items", new_value=value)
    message = refusal({"new_Value": after})
    assert "rows.db has values of the column new_value of the table new_item" in message
    assert said in message
    assert "another name" in message
    with opened({}):  # a schema without the column forgets nothing
        pass
    assert refusal({"new_Value": after}) == message
    with opened({"new_Value": before}) as client:
        assert client.send("GET", f"new_items({row})").json()["new_value"] == value


def test_a_lookup_to_another_table_is_refused(opened: Open, refusal: Refusal) -> None:
    with opened({"new_RowId": {"type": "Lookup", "targets": ["account"]}}) as client:
        account = made(client, "accounts", name="A")
        made(client, "new_items", **{"new_RowId@odata.bind": f"/accounts({account})"})
    changed = {"new_RowId": {"type": "Lookup", "targets": ["contact"]}}
    assert "stored as Lookup to account, and the schema says Lookup to contact" in refusal(changed)


def test_a_lookup_can_get_more_targets_and_lose_those_that_no_row_has(opened: Open, refusal: Refusal) -> None:
    both = {"new_RowId": {"type": "Lookup", "targets": ["account", "contact"]}}
    one = {"new_RowId": {"type": "Lookup", "targets": ["account"]}}
    with opened(one) as client:
        account = made(client, "accounts", name="A")
        row = made(client, "new_items", **{"new_RowId@odata.bind": f"/accounts({account})"})
    wanted = 'odata.include-annotations="*"'
    kind = "_new_rowid_value@Microsoft.Dynamics.CRM.lookuplogicalname"
    for columns in (both, one, both):
        with opened(columns) as client:
            found = client.send("GET", f"new_items({row})", Prefer=wanted).json()
            assert (found["_new_rowid_value"], found[kind]) == (account, "account")
    with opened(both) as client:
        contact = made(client, "contacts", lastname="C")
        made(client, "new_items", **{"new_RowId_contact@odata.bind": f"/contacts({contact})"})
    assert "stored as Lookup to account, contact" in refusal(one)


def test_a_column_without_values_can_change_its_type(opened: Open) -> None:
    """It is then a column of the new type: a text that looks like a number stays a text."""
    with opened({"new_Value": {"type": "Integer"}}, keys={"by_value": ["new_value"]}) as client:
        made(client, "new_items", new_name="A")
    with opened({"new_Value": TEXT}, keys={"by_value": ["new_value"]}) as client:
        made(client, "new_items", new_value="007")
        found = client.send("GET", "new_items(new_value='007')").json()
        assert found["new_value"] == "007"
    with opened({"new_Value": {"type": "Memo"}}) as client:  # text of several lines is stored as text of one line is
        assert client.send("GET", "new_items?$filter=new_value eq '007'").json()["value"]


def test_values_of_deleted_rows_count_too(opened: Open, refusal: Refusal) -> None:
    number, text = {"new_Value": {"type": "Integer"}}, {"new_Value": TEXT}
    with opened(number, recycle_bin=True) as client:
        row = made(client, "new_items", new_value=5)
        client.send("DELETE", f"new_items({row})")
    assert "column new_value of the table new_item" in refusal(text)
    with opened(number, recycle_bin=True) as client:
        target = {"@odata.id": f"{client.base}/api/data/v9.2/new_items({row})"}
        assert client.send("POST", "Restore", {"Target": target}).status_code == 200
        client.send("PATCH", f"new_items({row})", {"new_value": None})
        client.send("DELETE", f"new_items({row})")
    with opened(text, recycle_bin=True) as client:
        row = made(client, "new_items", new_value="007")
        client.send("DELETE", f"new_items({row})")
        query = "<fetch datasource='bin'><entity name='new_item'><attribute name='new_value'/></entity></fetch>"
        found = client.send("GET", f"new_items?fetchXml={quote(query)}").json()["value"]
        assert [one["new_value"] for one in found if one["new_itemid"] == row] == ["007"]


def test_a_key_follows_the_schema(opened: Open) -> None:
    """Without the key equal values are possible; with it again, also rows that were written meanwhile have it."""
    key = {"by_name": ["new_name"]}
    with opened({"new_Code": TEXT}, keys=key) as client:
        made(client, "new_items", new_name="A", new_code="1")
    with opened({"new_Code": TEXT}) as client:
        twin = made(client, "new_items", new_name="a", new_code="2")
        late = made(client, "new_items", new_name="Late", new_code="3")
        client.send("DELETE", f"new_items({twin})")
    with opened({"new_Code": TEXT}, keys=key) as client:
        assert client.send("GET", "new_items(new_name='LATE')").json()["new_itemid"] == late
        assert error(client.send("POST", "new_items", {"new_name": "late"})) == (412, "0x80060892")
    with opened({"new_Code": TEXT}, keys={"by_name": ["new_code"]}) as client:
        made(client, "new_items", new_name="late", new_code="4")
        assert client.send("GET", "new_items(new_code='4')").status_code == 200


def test_equal_values_of_a_new_key_are_refused(opened: Open, refusal: Refusal) -> None:
    """The message names the key and its columns."""
    with opened({}) as client:
        made(client, "new_items", new_name="A")
        made(client, "new_items", new_name="a")
    message = refusal({}, {"by_name": ["new_name"]})
    assert "rows of the table new_item with equal values for the alternate key by_name (new_name)" in message
    assert "Leave the key out" in message


def test_a_column_that_is_made_over_http_has_no_old_values(opened: Open) -> None:
    """A file can have values of a column that its schema does not have any more."""
    with opened({"new_Value": {"type": "Integer"}}) as client:
        row = made(client, "new_items", new_value=5)
    column = {
        "@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata",
        "SchemaName": "new_Value",
        "AttributeType": "String",
        "MaxLength": 10,
    }
    with opened({}) as client:
        path = "EntityDefinitions(LogicalName='new_item')/Attributes"
        assert client.send("POST", path, column).status_code == 204
        assert client.send("GET", f"new_items({row})").json()["new_value"] is None
