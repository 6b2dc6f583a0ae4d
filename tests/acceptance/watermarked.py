"""Sources with a table of customers (number, name, changed_at), one for each kind that can have a watermark."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.acceptance.world import World, accounts
from tests.api_server import ApiServer, Received, Reply, serving
from tests.postgresql.fixtures import Database

__all__ = [
    "CHANGED",
    "COLUMNS",
    "FETCH",
    "FULL",
    "SCHEMA",
    "UPSERT",
    "Rows",
    "Source",
    "api_source",
    "define",
    "dynamics_source",
    "fetched_source",
    "held",
    "postgresql_source",
    "put_record",
    "sqlite_source",
]

SCHEMA: Final = Path(__file__).parent / "customers.yml"
COLUMNS: Final = "number varchar(20), name varchar(50), changed_at timestamp"
CHANGED: Final = "changed_at"
Row = tuple[str, str, Any]

FETCH: Final = """\
<fetch count="2"><entity name="customer"><attribute name="number"/><attribute name="name"/>
<attribute name="changed_at"/><filter type="or"><condition attribute="number" operator="ne" value="none"/>
<condition attribute="number" operator="null"/></filter></entity></fetch>"""


UPSERT: Final[dict[str, Any]] = {"sync_key": ["accountnumber"], "strategy": "upsert"}
FULL: Final[dict[str, Any]] = {"sync_key": ["accountnumber"], "strategy": "full", "dropped": "ignore"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A table `customers`.

    Attributes:
        keys: Of the definition's source, without `watermark`.
        watermark: The keys of `watermark` that the kind needs.
        put: Inserts or replaces rows by their number.
        run: Runs a statement of a database.
        changed: The column of the watermark, as `columns` names it.
        environment: What the definition reads.
    """

    keys: Mapping[str, Any]
    put: Callable[..., None]
    run: Callable[[str], Any] = lambda _: None
    watermark: Mapping[str, Any] = field(default_factory=dict)
    changed: Mapping[str, Any] = field(default_factory=lambda: {"name": CHANGED})
    environment: Mapping[str, str] = field(default_factory=dict)


def define(here: World, source: Source, *, behaviour: dict[str, Any] = UPSERT, **keys: Any) -> dict[str, Any]:
    """Write the definition of a sync of these customers, and return it; keys replace those of the source."""
    definition = accounts()
    here.environment |= source.environment
    definition["parameters"] |= {"api": {"formula": "ENV('API')"}, "part": {"default": ""}, "again": {"default": ""}}
    definition["parameters"] |= {"today": {"formula": "NOW()"}}
    here.environment.setdefault("API", "http://127.0.0.1:1")
    watermark = {"column": CHANGED, **source.watermark, **keys.pop("watermark", {})}
    definition["source"] = {**source.keys, "watermark": watermark, **keys}
    definition["destination"]["mappings"] = [
        {"source": "number", "target": "accountnumber"},
        {"source": "name", "target": "name"},
    ]
    definition["sync_behaviour"] = behaviour
    here.define(definition)
    return definition


def held(here: World) -> dict[str, str]:
    """The customers in the target: number -> name."""
    return {each["accountnumber"]: each["name"] for each in here.records("accounts?$select=accountnumber,name")}


def _database(url: str, run: Callable[[str], Any]) -> Source:
    def put(*rows: Row) -> None:
        for number, name, changed in rows:
            run(f"DELETE FROM customers WHERE number = '{number}'")
            value = "NULL" if changed is None else f"'{changed}'" if isinstance(changed, str) else changed
            run(f"INSERT INTO customers VALUES ('{number}', '{name}', {value})")

    keys = {"type": "sql", "connection": {"env": "ERP"}, "table": "customers"}
    return Source(keys=keys, put=put, run=run, environment={"ERP": url})


def postgresql_source(database: Database) -> Source:
    """A table that is to be made."""
    return _database(database.url, database.run)


def sqlite_source(path: Path) -> Source:
    """A table that is to be made."""

    def run(statement: str) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(statement)
            connection.commit()

    return _database(f"sqlite:///{path}", run)


def dynamics_source(here: World) -> Source:
    """A table of the environment that is the target too."""

    def put(*rows: Row) -> None:
        for number, name, changed in rows:
            moment = f"{changed.replace(' ', 'T')}Z" if isinstance(changed, str) and ":" in changed else changed
            put_record(here, number, {"name": name, CHANGED: moment})

    keys = {
        "type": "dynamics",
        "service_url": "@service_url",
        "client_id": {"env": "DYNAMICS_CLIENT_ID"},
        "client_secret": {"env": "DYNAMICS_CLIENT_SECRET"},
        "entity": "customer",
        "columns": [{"name": "number"}, {"name": "name"}, {"name": CHANGED}],
    }
    return Source(keys=keys, put=put)


def put_record(here: World, number: str, record: Mapping[str, object]) -> None:
    """Create or update a customer of the environment."""
    headers = {"Authorization": f"Bearer {here.emulator.token()}", "Content-Type": "application/json"}
    url = f"{here.emulator.service_url}customers(number='{number}')"
    request = urllib.request.Request(url, json.dumps(record).encode(), headers, method="PATCH")
    urllib.request.urlopen(request, timeout=30).close()


def fetched_source(here: World) -> Source:
    """The same by FetchXML, with a filter of its own, in pages of two records."""
    made = dynamics_source(here)
    keys = {key: value for key, value in made.keys.items() if key not in {"entity", "columns"}}
    return Source(keys={**keys, "fetch_xml": FETCH}, put=made.put)


class Rows:
    """The customers of an API, which gives those that are past `since`, or have no value, in pages; also by `name`.

    Attributes:
        rows: Number -> the row.
        by_change: Whether the rows are sorted by their change; else by their number.
        descending: Whether the last one comes first.
        between: Called when a page was answered.
    """

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.by_change = self.descending = False
        self.between: Callable[[], None] = lambda: None

    def order(self, row: Row) -> list[str]:
        return [row[2] or "", row[0]] if self.by_change else [row[0]]

    def put(self, *rows: Row) -> None:
        self.rows |= {row[0]: row for row in rows}

    def __call__(self, received: Received) -> Reply:
        """The rows behind `offset`, or behind the mark `after`, and the mark of the last one."""
        since = received.query["since"]
        found = [row for row in self.rows.values() if row[2] is None or str(row[2]) >= since]
        found = [row for row in found if row[1] == received.query.get("name", row[1])]
        found.sort(key=self.order, reverse=self.descending)
        limit = int(received.query.get("limit", 1000))
        if (mark := received.query.get("after")) is not None:
            found = [row for row in found if self.order(row) > json.loads(mark)]
        page = found[int(received.query.get("offset", 0)) :][:limit]
        following = json.dumps(self.order(page[-1])) if page else None
        customers = [{"number": row[0], "name": row[1], CHANGED: row[2]} for row in page]
        reply = Reply(body={"customers": customers, "next": following})
        self.between()
        return reply


@contextmanager
def api_source(rows: Rows) -> Iterator[tuple[Source, ApiServer]]:
    """An API with these rows."""
    with serving(rows) as server:
        columns = [{"name": "number"}, {"name": "name"}, {"name": CHANGED, "type": "date"}]
        yield (
            Source(
                keys={
                    "type": "rest",
                    "url": "@api/customers?since=@watermark",
                    "records": "$.customers",
                    "columns": columns,
                },
                put=rows.put,
                watermark={"first": ""},
                changed=columns[-1],
                environment={"API": server.url},
            ),
            server,
        )
