"""A small environment for the query language's tests: one table with a column of every kind, and rows in it."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from emulator.odata import Compiler, Order, check_query, parse_query
from emulator.schema import Schema, Table
from emulator.schema.loader import schema_from
from emulator.store import Database
from emulator.store.collation import Collation

NOW = datetime(2026, 3, 18, 14, 30, tzinfo=UTC)  # A Wednesday.
USER = "00000000-0000-0000-0000-0000000000aa"
THING = {
    "label": "Thing",
    "keys": {"code_key": ["new_code"], "pair_key": ["new_big", "new_parentid"]},
    "columns": {
        "new_Name": {"type": "String"},
        "new_Code": {"type": "String"},
        "new_Note": {"type": "Memo"},
        "new_Count": {"type": "Integer"},
        "new_Big": {"type": "BigInt"},
        "new_Amount": {"type": "Decimal"},
        "new_Flag": {"type": "Boolean"},
        "new_Kind": {"type": "Picklist", "options": {1: "One", 2: "Two", 3: "Three"}},
        "new_Kinds": {"type": "MultiSelectPicklist", "options": {1: "One", 2: "Two", 12: "Twelve"}},
        "new_Day": {"type": "DateTime", "behavior": "DateOnly"},
        "new_Moment": {"type": "DateTime"},
        "new_ParentId": {"type": "Lookup", "targets": ["new_thing"], "relationship": "new_thing_children"},
        "new_PartyId": {"type": "Customer", "targets": ["new_thing", "new_other"]},
    },
}
OTHER = {"label": "Other", "columns": {"new_Title": {"type": "String"}}}
SCHEMA: Schema = schema_from([("new_Other", OTHER), ("new_Thing", THING)])
TABLE: Table = SCHEMA.tables["new_thing"]
OTHER_TABLE: Table = SCHEMA.tables["new_other"]
COLLATION = Collation.named("Latin1_General_CI_AI")


def guid(number: int) -> str:
    """Return the identifier of the row with this number."""
    return str(UUID(int=number))


@dataclass(frozen=True)
class World:
    """The database, and its rows as Python knows them: number, then value by logical name."""

    database: Database
    rows: Mapping[int, Mapping[str, Any]]

    def compiler(self, collation: Collation = COLLATION) -> Compiler:
        """Return a compiler for this environment."""
        return Compiler(schema=SCHEMA, collation=collation, now=NOW, user_id=USER)

    def found(self, text: str, **aliases: str) -> list[int]:
        """Return the numbers of the rows a filter finds, in order."""
        raw = "&".join(
            [f"$filter={_encoded(text)}", *(f"@{name}={_encoded(value)}" for name, value in aliases.items())]
        )
        return self.queried(raw)

    def queried(self, raw: str) -> list[int]:
        """Return the numbers of the rows a query string finds, in its order."""
        query = check_query(parse_query(raw), TABLE, SCHEMA)
        statement = f'SELECT "{TABLE.primary_id}" FROM "new_thing"'
        parameters: tuple[Any, ...] = ()
        if query.filter is not None:
            condition = self.compiler().filter(query.filter, TABLE)
            statement, parameters = f"{statement} WHERE {condition.text}", condition.parameters
        terms: tuple[Order, ...] = query.order
        order = self.compiler().order(terms, TABLE)
        statement += f' ORDER BY {order + ", " if order else ""}"{TABLE.primary_id}"'
        return [UUID(row[0]).int for row in self.database.connection.execute(statement, parameters)]


def _encoded(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def world_of(rows: Mapping[int, Mapping[str, Any]], others: Mapping[int, str] | None = None) -> World:
    """Store rows (values by logical name, as the emulator stores them) under their numbers."""
    database = Database(SCHEMA, COLLATION)
    with database.transaction():
        for number, title in (others or {}).items():
            database.rows(OTHER_TABLE).insert([{"new_otherid": guid(number), "new_title": title}])
        for number, values in rows.items():
            database.rows(TABLE).insert([{"new_thingid": guid(number), **values}])
    return World(database, rows)


def _maybe(chance: random.Random, value: Any) -> Any:
    return None if chance.random() < 0.2 else value


def random_rows(seed: int, count: int) -> dict[int, dict[str, Any]]:
    """Return rows with few different values, so that filters find some rows and not others."""
    chance = random.Random(seed)
    alphabet = "aAäÄbB éE%_[]' "
    rows: dict[int, dict[str, Any]] = {}
    for number in range(1, count + 1):
        kinds = sorted(chance.sample([1, 2, 12], chance.randint(0, 3)))
        rows[number] = {
            "new_name": _maybe(chance, "".join(chance.choices(alphabet, k=chance.randint(1, 4)))),
            "new_code": _maybe(chance, f"{chance.choice('aAbÄ')}{number}"),
            "new_count": _maybe(chance, chance.randint(-2, 3)),
            "new_amount": _maybe(chance, chance.choice([0, 1, 1.5, -2.25, 3])),
            "new_flag": _maybe(chance, chance.randint(0, 1)),
            "new_kind": _maybe(chance, chance.randint(1, 3)),
            "new_kinds": ",".join(map(str, kinds)) or None,
            "new_day": _maybe(chance, f"2026-03-{chance.randint(15, 20)}"),
            "new_moment": _maybe(chance, f"2026-03-{chance.randint(15, 20)}T{chance.randint(0, 23):02}:00:00Z"),
            "new_parentid": _maybe(chance, guid(chance.randint(1, count))),
        }
    return rows
