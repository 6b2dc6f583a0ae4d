"""Write the rows of a CSV file in every kind of source, read them back, and tell where they differ.

Run it over any CSV file with a header and a column whose values are unique:
``.venv/bin/python -m tests.tools.compare_kinds FILE KEY``. Each row gets a number, an amount and a day beside its texts.
The rows are written as delimited text, text of fixed width, JSON, Parquet, a workbook, a table of SQLite and of
PostgreSQL, an HTTP service, and a table of a local Dataverse. For each kind one line is printed: how many rows came
out of it, whether all values are equal to those of the first kind, and how many changes a sync of it plans after another
kind was loaded into accounts. It ends with 1 where a value differs or a change is planned.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb
import yaml

from emulator.testing import RunningEmulator, running
from shared.app import App
from shared.app.wiring import Wiring
from shared.settings import Settings
from shared.sources import SourceContext, completed, open_source
from shared.transform import shape_steps
from shared.workspace import Workspace, literal, quoted
from tests.api_server import file_server
from tests.emulator.http_client import Client
from tests.postgresql.fixtures import Database
from tests.postgresql.server import Postgresql, PostgresqlMissingError
from tests.workbooks.xlsx import write_xlsx

ADDED: Final = {"row_number": "BIGINT", "row_amount": "DECIMAL(18, 4)", "row_day": "DATE"}
_TYPES: Final = {"row_number": "number", "row_amount": "number", "row_day": "date"}
_A_MESSAGE: Final = 500
_LONGEST: Final = 850  # characters of a text column; longer ones are memos
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows as they are written.

    Attributes:
        names: The columns of the file, then those that are added.
        key: The column with unique values.
        widths: Characters of the longest value of each column.
        rows: Texts, a number, an amount and a day; None for no value.
    """

    names: Sequence[str]
    key: str
    widths: Sequence[int]
    rows: Sequence[Row]

    @classmethod
    def of(cls, path: Path, key: str) -> Rows:
        """Read a CSV file; what a line of fixed width or a text column cannot hold becomes a blank."""
        with duckdb.connect() as database:
            database.execute(f"CREATE TABLE t AS SELECT * FROM read_csv({literal(str(path))}, all_varchar = true)")
            texts = [str(row[0]) for row in database.execute("DESCRIBE t").fetchall()]
            if key not in texts:
                raise SystemExit(f"{path} has no column {key}")
            plain = ", ".join(f"nullif(trim(regexp_replace({quoted(n)}, '\\s', ' ', 'g')), '')" for n in texts)
            found = database.execute(
                f"SELECT {plain}, n, CAST((n * 7919 % 1000003) / 1000 AS DECIMAL(18, 4)), DATE '2000-01-01' + n::INTEGER "
                "FROM (SELECT *, row_number() OVER () AS n FROM t) ORDER BY n"
            ).fetchall()
        names = [*texts, *ADDED]
        widths = [
            max((len(str(row[at])) for row in found if row[at] is not None), default=1) for at in range(len(names))
        ]
        return cls(names=names, key=key, widths=widths, rows=found)

    def columns(self) -> list[dict[str, Any]]:
        """The columns of a definition."""
        return [{"name": name, **({"type": _TYPES[name]} if name in _TYPES else {})} for name in self.names]


Made = tuple[Mapping[str, Any], Mapping[str, str]]
"""The keys of a source, and variables of the environment."""


def delimited(rows: Rows, folder: Path) -> Made:
    """A CSV file."""
    path = folder / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows.names)
        writer.writerows(rows.rows)
    return {"type": "delimited", "path": str(path), "columns": rows.columns()}, {}


def fixed_width(rows: Rows, folder: Path) -> Made:
    """A text file with each column at its place."""
    path, start = folder / "rows.txt", 1
    columns = []
    for column, width in zip(rows.columns(), rows.widths, strict=True):
        columns.append({**column, "start": start, "width": width})
        start += width
    with path.open("w", encoding="utf-8") as file:
        for row in rows.rows:
            cells = ("" if value is None else str(value) for value in row)
            file.write("".join(cell.ljust(width) for cell, width in zip(cells, rows.widths, strict=True)) + "\n")
    return {"type": "fixed_width", "path": str(path), "columns": columns}, {}


def ndjson(rows: Rows, folder: Path) -> Path:
    """A file with an object on each line."""
    path = folder / "rows.ndjson"
    with path.open("w", encoding="utf-8") as file:
        for row in rows.rows:
            record = dict(zip(rows.names, row, strict=True))
            amount = record.pop("row_amount")
            text = json.dumps({**record, "row_day": str(record["row_day"])}, ensure_ascii=False)
            file.write(f'{text[:-1]}, "row_amount": {amount}}}\n')
    return path


def json_lines(rows: Rows, folder: Path) -> Made:
    """The same as a source."""
    return {"type": "json", "path": str(ndjson(rows, folder)), "columns": rows.columns()}, {}


def rest(rows: Rows, folder: Path) -> Made:
    """An HTTP service that gives the lines of the file in pages."""
    url = file_server().url + str(ndjson(rows, folder))
    pages = {"type": "offset", "parameter": "offset"}
    return {"type": "rest", "url": url, "pagination": pages, "columns": rows.columns()}, {}


def parquet(rows: Rows, folder: Path) -> Made:
    """A Parquet file with types."""
    keys, _ = delimited(rows, folder)
    path = folder / "rows.parquet"
    kinds = ", ".join(f"{literal(name)}: {literal(ADDED.get(name, 'VARCHAR'))}" for name in rows.names)
    with duckdb.connect() as database:
        database.execute(
            f"COPY (SELECT * FROM read_csv({literal(keys['path'])}, header = true, auto_detect = false, quote = '\"', "
            f"columns = {{{kinds}}})) TO {literal(str(path))} (FORMAT parquet)"
        )
    return {"type": "parquet", "path": str(path)}, {}


def excel(rows: Rows, folder: Path) -> Made:
    """A workbook with numbers and dates as cells of their types."""
    path = folder / "rows.xlsx"
    cells = ([float(value) if isinstance(value, Decimal) else value for value in row] for row in rows.rows)
    write_xlsx(path, {"Rows": [list(rows.names), *cells]})
    return {"type": "excel", "path": str(path)}, {}


def sqlite(rows: Rows, folder: Path) -> Made:
    """A table of a SQLite file."""
    path = folder / "rows.db"
    kinds = ", ".join(f"{quoted(name)} {ADDED.get(name, 'TEXT')}" for name in rows.names)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE companies ({kinds})")
        places = ", ".join("?" * len(rows.names))
        plain = ([str(v) if isinstance(v, Decimal | date) else v for v in row] for row in rows.rows)
        connection.executemany(f"INSERT INTO companies VALUES ({places})", plain)
        connection.commit()
    return {"type": "sql", "connection": {"env": "SQLITE"}, "table": "companies"}, {"SQLITE": f"sqlite:///{path}"}


def postgresql(rows: Rows, database: Database) -> Made:
    """A table of PostgreSQL."""
    kinds = ", ".join(f"{quoted(name)} {ADDED.get(name, 'text')}" for name in rows.names)
    database.run(f"CREATE TABLE companies ({kinds})")
    for start in range(0, len(rows.rows), _A_MESSAGE):
        values = ", ".join(f"({', '.join(map(_sql, row))})" for row in rows.rows[start : start + _A_MESSAGE])
        database.run(f"INSERT INTO companies VALUES {values}")
    return {"type": "sql", "connection": {"env": "POSTGRESQL"}, "table": "companies"}, {"POSTGRESQL": database.url}


def _sql(value: object) -> str:
    return "NULL" if value is None else literal(str(value))


def schema(rows: Rows) -> str:
    """The table of a local Dataverse, as its schema file."""
    kinds: dict[str, Any] = {
        "row_number": {"type": "BigInt"},
        "row_amount": {"type": "Decimal", "precision": 4, "min": -1_000_000, "max": 1_000_000},
        "row_day": {"type": "DateTime", "behavior": "DateOnly"},
    }
    texts = zip(rows.names, rows.widths, strict=True)
    columns = {
        f"new_{name}": kinds.get(name) or {"type": "String" if width <= _LONGEST else "Memo", "length": max(width, 1)}
        for name, width in texts
    }
    table = {"entity_set": "new_companies", "label": "Company", "primary_name": f"new_{rows.key}", "columns": columns}
    return yaml.safe_dump({"new_Company": table})


def dynamics(rows: Rows, emulator: RunningEmulator) -> Made:
    """A table of a local Dataverse; an alias gives each column its name."""
    with Client(emulator) as client:
        for start in range(0, len(rows.rows), _A_MESSAGE):
            targets = [
                {
                    "@odata.type": "Microsoft.Dynamics.CRM.new_company",
                    **{f"new_{n}": _json(v) for n, v in zip(rows.names, row, strict=True)},
                }
                for row in rows.rows[start : start + _A_MESSAGE]
            ]
            answer = client.send("POST", "new_companies/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": targets})
            if not answer.ok:
                raise SystemExit(f"The local Dataverse refuses the rows: {answer.text[:500]}")
    columns = [{"name": f"new_{name}", "alias": name} for name in rows.names]
    keys = {"service_url": emulator.service_url, "client_id": emulator.client_id, "client_secret": {"env": "OTHER"}}
    return {"type": "dynamics", **keys, "entity": "new_company", "columns": columns}, {"OTHER": emulator.client_secret}


def _json(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value) if isinstance(value, date) else value


def definition(rows: Rows, source: Mapping[str, Any], target: RunningEmulator) -> dict[str, Any]:
    """A sync of the rows to accounts."""
    mapped = {rows.key: "accountnumber", "row_amount": "revenue", "row_number": "numberofemployees"}
    mapped |= {name: column for name, column in (("name", "name"), ("city", "address1_city")) if name in rows.names}
    return {
        "source": dict(source),
        "destination": {
            "type": "dynamics",
            "entity": "account",
            "service_url": target.service_url,
            "client_id": target.client_id,
            "client_secret": {"env": "TARGET"},
            "id_column": "accountid",
            "mappings": [{"source": name, "target": column} for name, column in mapped.items()],
        },
        "sync_behaviour": {"sync_key": ["accountnumber"], "dropped": "delete"},
    }


def digest(app: App, context: SourceContext, name: str, names: Sequence[str]) -> tuple[int, str]:
    """How many rows a source gives, and a digest of all their values as text."""
    document = app.definition(name)
    source = open_source(document.source, context)
    with Workspace.open(readable=source.readable) as workspace:
        whole = completed(document, source, workspace)
        source.load(workspace)
        for step in shape_steps(whole):
            workspace.run(step)
        # A number is equal whatever its scale is: 1.5 and 1.5000.
        shown = ", ".join(
            f"rtrim(rtrim(CAST(CAST({quoted(n)} AS DECIMAL(38, 10)) AS VARCHAR), '0'), '.')"
            if _TYPES.get(n) == "number"
            else f"CAST({quoted(n)} AS VARCHAR)"
            for n in names
        )
        found = workspace.query(f"SELECT [{shown}] FROM source ORDER BY row_number")
    made = hashlib.sha256()
    for (values,) in found:
        made.update(json.dumps(values, ensure_ascii=False).encode())
    return len(found), made.hexdigest()


def places(rows: Rows, folder: Path, stack: ExitStack) -> Iterator[tuple[str, Callable[[], Made]]]:
    """The kinds, each with what writes the rows; PostgreSQL where it is installed."""
    for make in (delimited, fixed_width, json_lines, parquet, excel, sqlite, rest):
        yield make.__name__.replace("_", "-"), lambda make=make: make(rows, folder)  # type: ignore[misc]
    try:
        server = Postgresql()
    except PostgresqlMissingError as error:
        sys.stderr.write(f"without PostgreSQL: {error}\n")
    else:
        stack.callback(server.stop)
        yield "postgresql", lambda: postgresql(rows, Database(server=server, name="postgres"))
    (folder / "company.yml").write_text(schema(rows), "utf-8")
    other = stack.enter_context(running(schema=[str(folder / "company.yml")]))
    yield "dynamics", lambda: dynamics(rows, other)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("key")
    given = parser.parse_args()
    rows = Rows.of(given.file, given.key)
    with tempfile.TemporaryDirectory() as work, ExitStack() as stack:
        return compare(rows, Path(work), stack)


def compare(rows: Rows, folder: Path, stack: ExitStack) -> int:
    """Print a line for each kind; returns the exit code."""
    target = stack.enter_context(running())
    environment = {"TARGET": target.client_secret}
    (folder / "syncs").mkdir()
    names = []
    for name, make in places(rows, folder, stack):
        source, variables = make()
        environment |= variables
        names.append(name)
        text = yaml.safe_dump({"name": name, **definition(rows, source, target)})
        (folder / "syncs" / f"{name}.yaml").write_text(text, "utf-8")
    settings = Settings.load(
        {"SYNC_DEFINITIONS": str(folder / "syncs"), "STATE_STORE": f"sqlite:///{folder / 'state.db'}"}
    )
    app = App(settings, read_environment=lambda: environment)
    context = Wiring(settings, lambda: environment).source_context({})
    wanted, failed = digest(app, context, names[0], rows.names), 0
    for before, name in zip([names[-1], *names], names, strict=False):
        app.run(before)
        planned, found = app.plan(name).plan.counts.changes, digest(app, context, name, rows.names)
        differs = "equal" if found == wanted else "DIFFERENT"
        sys.stdout.write(f"{name}: {found[0]:,} rows, {differs}; after {before}: {planned:,} changes planned\n")
        failed += found != wanted or planned > 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
