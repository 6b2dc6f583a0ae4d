"""Rows in a file (`--db`) that is opened with another schema or another collation."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.schema.faults import SchemaFileError
from emulator.schema.loader import builtin_schema, read_schema_file
from emulator.store import Database
from emulator.store.collation import Collation
from emulator.testing import running
from tests.emulator.http_client import Client


def _schema(folder: Path, **tables: Any) -> Path:
    """Writes a schema file and returns its path."""
    file = folder / "tables.yaml"
    file.write_text(yaml.safe_dump(tables))
    return file


def test_row_versions_go_on_where_the_table_with_the_highest_is_not_in_the_schema(tmp_path: Path) -> None:
    """A delta link of the first start reports what changes after the second."""
    file, schema = tmp_path / "rows.db", _schema(tmp_path, new_Thing={"columns": {"new_Name": {"type": "String"}}})
    with running(in_thread=True, db=file, schema=[schema]) as emulator, Client(emulator) as client:
        client.send("POST", "accounts", {"name": "A", "accountnumber": "1"})
        for name in "abc":
            client.send("POST", "new_things", {"new_name": name})
        first = client.send("GET", "accounts?$select=name", Prefer="odata.track-changes").json()
    with running(in_thread=True, db=file) as emulator, Client(emulator) as client:
        client.send("PATCH", "accounts(accountnumber='1')", {"name": "changed"})
        link = first["@odata.deltaLink"].partition("/api/data/v9.2/")[2]
        assert [row["name"] for row in client.send("GET", link).json()["value"]] == ["changed"]


def test_row_versions_go_on_where_the_table_with_the_highest_was_deleted(tmp_path: Path) -> None:
    """The ETag of a row is none that another row had before."""
    file, schema = tmp_path / "rows.db", _schema(tmp_path, new_Thing={"columns": {"new_Name": {"type": "String"}}})
    with running(in_thread=True, db=file, schema=[schema]) as emulator, Client(emulator) as client:
        for name in "abc":
            client.send("POST", "new_things", {"new_name": name})
        row = client.send("GET", "new_things?$select=new_name&$orderby=versionnumber desc").json()["value"][0]
        assert client.send("DELETE", "EntityDefinitions(LogicalName='new_thing')").status_code == 204
    with running(in_thread=True, db=file) as emulator, Client(emulator) as client:
        client.send("POST", "accounts", {"name": "A", "accountnumber": "1"})
        new = client.send("GET", "accounts(accountnumber='1')").headers["ETag"]
        assert int(new[3:-1]) > int(row["@odata.etag"][3:-1])


def test_another_collation_compares_the_rows_of_the_file(tmp_path: Path) -> None:
    """A key finds the row that it found before, and an upsert does not create it again."""
    file, address = tmp_path / "rows.db", "accounts(accountnumber='%C3%A91')"
    with running(in_thread=True, db=file) as emulator, Client(emulator) as client:
        client.send("POST", "accounts", {"name": "A", "accountnumber": "é1"})
    for collation in ("Latin1_General_CI_AS", "Latin1_General_CI_AI"):
        with running(in_thread=True, db=file, collation=collation) as emulator, Client(emulator) as client:
            assert client.send("GET", address).status_code == 200
            assert client.send("PATCH", address, {"name": "B"}).status_code == 204
            assert client.names() == ["B"]


def test_rows_that_another_collation_takes_for_equal_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.db"
    with running(in_thread=True, db=file, collation="Latin1_General_CI_AS") as emulator, Client(emulator) as client:
        for number in ("é1", "e1"):
            assert client.send("POST", "accounts", {"accountnumber": number}).status_code == 204
    with pytest.raises(SchemaFileError, match="equal values for the alternate key"):
        Database(builtin_schema(), Collation(), file)


def _keyed(folder: Path, status: str) -> Path:
    key = {"columns": ["new_code"], "status": status}
    return _schema(folder, new_Thing={"columns": {"new_Code": {"type": "String"}}, "keys": {"k": key}})


@pytest.mark.parametrize(("before", "after", "answered"), [("Pending", "Active", 412), ("Active", "Pending", 204)])
def test_a_key_is_enforced_as_its_status_says_now(tmp_path: Path, before: str, after: str, answered: int) -> None:
    file = tmp_path / "rows.db"
    with running(in_thread=True, db=file, schema=[_keyed(tmp_path, before)]) as emulator, Client(emulator) as client:
        assert client.send("POST", "new_things", {"new_code": "A"}).status_code == 204
    with running(in_thread=True, db=file, schema=[_keyed(tmp_path, after)]) as emulator, Client(emulator) as client:
        assert client.send("POST", "new_things", {"new_code": "A"}).status_code == answered


def test_a_table_can_become_elastic_and_not_go_back_with_equal_identifiers(tmp_path: Path) -> None:
    """Rows of an elastic table are different by identifier and partition."""
    file, one = tmp_path / "rows.db", "00000000-0000-0000-0000-0000000000ab"
    plain = {"columns": {"new_Name": {"type": "String"}}}
    first = _schema(tmp_path, new_Thing=plain)
    with running(in_thread=True, db=file, schema=[first]) as emulator, Client(emulator) as client:
        assert client.send("POST", "new_things", {"new_thingid": one}).status_code == 204
    elastic = _schema(tmp_path, new_Thing={**plain, "elastic": True})
    with running(in_thread=True, db=file, schema=[elastic]) as emulator, Client(emulator) as client:
        answer = client.send("POST", "new_things", {"new_thingid": one, "partitionid": "p"})
        assert answer.status_code == 204, answer.text
    with pytest.raises(SchemaFileError, match="with an equal new_thingid"):
        Database(read_schema_file(_schema(tmp_path, new_Thing=plain), builtin_schema()), Collation(), file)


def test_new_rows_get_the_defaults_that_the_schema_has_now(tmp_path: Path) -> None:
    """So does the status of a new row; rows of the file keep their values."""
    file = tmp_path / "rows.db"

    def schema(*statuses: int, flag: bool, **facts: Any) -> Path:
        active = {"label": "Active", "statuses": {status: str(status) for status in statuses}}
        states = {0: active, 1: {"label": "Inactive", "statuses": {2: "2"}}}
        columns: dict[str, Any] = {"new_Name": {"type": "String"}, "new_Flag": {"type": "Boolean", "default": flag}}
        columns["new_P"] = {"type": "Integer", **facts}
        file = tmp_path / "tables.yaml"
        file.write_text(yaml.safe_dump({"new_Thing": {"columns": columns, "states": states}}, sort_keys=False))
        return file

    read = "new_things?$select=new_flag,new_p,statuscode&$orderby=versionnumber"
    with running(in_thread=True, db=file, schema=[schema(1, flag=False)]) as emulator, Client(emulator) as client:
        assert client.send("POST", "new_things", {}).status_code == 204
    second = schema(5, 1, flag=True, default=2)
    with running(in_thread=True, db=file, schema=[second]) as emulator, Client(emulator) as client:
        assert client.send("POST", "new_things", {}).status_code == 204
        rows = client.send("GET", read).json()["value"]
        assert [(row["new_flag"], row["new_p"], row["statuscode"]) for row in rows] == [(False, None, 1), (True, 2, 5)]


@pytest.mark.parametrize(("bound", "refused"), [("contact", True), ("account", False)])
def test_a_lookup_with_several_targets_keeps_those_that_rows_have(tmp_path: Path, bound: str, *, refused: bool) -> None:
    file = tmp_path / "rows.db"

    def schema(*targets: str) -> Path:
        lookup = {"type": "Lookup", "targets": list(targets)}
        return _schema(tmp_path, new_Thing={"columns": {"new_Name": {"type": "String"}, "new_X": lookup}})

    one, sets = "00000000-0000-0000-0000-0000000000ab", {"account": "accounts", "contact": "contacts"}
    with (
        running(in_thread=True, db=file, schema=[schema("account", "contact")]) as emulator,
        Client(emulator) as client,
    ):
        assert client.send("POST", sets[bound], {f"{bound}id": one}).status_code == 204
        answer = client.send("POST", "new_things", {f"new_X_{bound}@odata.bind": f"{sets[bound]}({one})"})
        assert answer.status_code == 204, answer.text
    second = read_schema_file(schema("account", "lead"), builtin_schema())
    if refused:
        with pytest.raises(SchemaFileError, match="column new_x of the table new_thing"):
            Database(second, Collation(), file)
    else:
        Database(second, Collation(), file).close()
