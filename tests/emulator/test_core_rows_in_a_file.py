"""Rows in a file (`--db`) that is opened with another schema or another collation."""

from pathlib import Path
from typing import Any

import yaml

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
