"""The SQL tables of the Dataverse tables.

Text columns of an alternate key have a shadow column `<name>__n` with the normal form of the text, which SQLite
calculates, so that whatever writes the text changes it too. Each key has a unique index over shadow and other columns.
SQLite's unique indexes ignore rows with a null, as the keys of Dataverse do. Polymorphic lookups have the name of the
target table in `<name>__type`.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from emulator.schema import Column, ColumnType, Table

__all__ = [
    "BIN_PREFIX",
    "SYSTEM_TABLES",
    "activities_view",
    "bin_name",
    "create_statements",
    "default_values",
    "key_column",
    "missing_columns",
    "normal_form",
    "shadow_name",
    "shadowed_columns",
    "sql_columns",
    "sql_name",
    "stored_columns",
]

BIN_PREFIX: Final = "_bin:"
SYSTEM_TABLES: Final = (
    # The deletions that change tracking reports; those of a deleted table are removed with it.
    """CREATE TABLE IF NOT EXISTS "_deleted" (
        "version" INTEGER PRIMARY KEY, "entity" TEXT NOT NULL, "id" TEXT NOT NULL, "partition" TEXT)""",
    # What the file itself has to know, such as the last row version: rows that had it can be gone, with their tables.
    'CREATE TABLE IF NOT EXISTS "_facts" ("name" TEXT PRIMARY KEY, "value")',
)
_AFFINITY: Final = {
    ColumnType.INTEGER: "INTEGER",
    ColumnType.BIGINT: "INTEGER",
    ColumnType.BOOLEAN: "INTEGER",
    ColumnType.PICKLIST: "INTEGER",
    ColumnType.STATE: "INTEGER",
    ColumnType.STATUS: "INTEGER",
    # No affinity: SQLite then keeps whole numbers and all digits.
    ColumnType.DECIMAL: "",
    ColumnType.MONEY: "",
    ColumnType.DOUBLE: "",
}
_UNINDEXED_LOOKUPS: Final = frozenset(
    {
        *("createdby", "createdonbehalfby", "modifiedby", "modifiedonbehalfby", "ownerid", "owninguser", "owningteam"),
        *("owningbusinessunit", "transactioncurrencyid", "organizationid"),
    }
)


def sql_name(name: str) -> str:
    """Returns an identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def bin_name(table: Table) -> str:
    """Returns the name of the SQL table with the deleted rows of a table."""
    return f"{BIN_PREFIX}{table.logical_name}"


def key_column(column: Column) -> str:
    """Returns the SQL column that an alternate key compares."""
    return shadow_name(column.logical_name) if column.type is ColumnType.STRING else column.logical_name


def shadowed_columns(table: Table) -> list[str]:
    """Returns the text columns that an alternate key compares by their normal form."""
    keyed = {part for key in table.keys for part in key.columns}
    return [name for name, column in table.columns.items() if name in keyed and key_column(column) != name]


def shadow_name(column: str) -> str:
    """Returns the SQL column with the normal form of a text column."""
    return f"{column}__n"


def normal_form(column: str) -> str:
    """Returns the SQL for the normal form of a text column."""
    return f"dv_norm({sql_name(column)})"


def _literal(value: str | float) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value + 0)  # True + 0 is 1


def default_values(table: Table) -> dict[str, str | float]:
    """Returns what a new row gets in the columns that it is created without, of those that have a default."""
    found = {name: _default(table, column) for name, column in table.columns.items()}
    return {name: value for name, value in found.items() if value is not None}


def _default(table: Table, column: Column) -> str | float | None:
    if column.type is ColumnType.STATE and column.options:
        return column.options[0].value
    if column.type is ColumnType.STATUS and "statecode" in table.columns and table.columns["statecode"].options:
        return table.columns["statecode"].options[0].default_status
    return column.default


def stored_columns(connection: sqlite3.Connection, name: str) -> list[str]:
    """Returns the columns of an SQL table that SQLite does not calculate; none if the table does not exist."""
    found = connection.execute(f"PRAGMA table_info({sql_name(name)})").fetchall()
    return [column for _, column, *_ in found]


def sql_columns(table: Table) -> Iterator[tuple[str, str]]:
    """Yields name and definition of every SQL column except `row_`."""
    defaults = default_values(table)
    for name, column in table.columns.items():
        # For the rows that a file has when the column is added; new rows get the default of the schema (`Rows.insert`).
        default = f" DEFAULT {_literal(defaults[name])}" if name in defaults else ""
        definition = _AFFINITY.get(column.type, "TEXT") + default
        if name == "ownerid" and column.type is ColumnType.UNIQUEIDENTIFIER:
            # The identifier that users and teams have as principals is their own.
            definition = f"TEXT GENERATED ALWAYS AS ({sql_name(table.primary_id)}) VIRTUAL"
        yield name, definition + (" NOT NULL" if column.primary_id else "")
        if column.is_polymorphic:
            yield f"{name}__type", "TEXT"
    for name in shadowed_columns(table):
        yield shadow_name(name), f"TEXT GENERATED ALWAYS AS ({normal_form(name)}) VIRTUAL"


def create_statements(table: Table) -> Iterator[str]:
    """Yields the statements that create a table and its indexes if they do not exist."""
    name = sql_name(table.logical_name)
    columns = ", ".join(f"{sql_name(column)} {definition}" for column, definition in sql_columns(table))
    # AUTOINCREMENT: a row number is never used again, so it names the same row after a wait.
    yield f'CREATE TABLE IF NOT EXISTS {name} ("row_" INTEGER PRIMARY KEY AUTOINCREMENT, {columns})'
    yield from index_statements(table)


def index_statements(table: Table) -> Iterator[str]:
    """Yields the indexes of the identifier, of keys, of pairs, and those that find referring rows."""
    name = sql_name(table.logical_name)
    identity = sql_name(table.primary_id) + (", ifnull(\"partitionid\", '')" if table.elastic else "")
    yield f"CREATE UNIQUE INDEX IF NOT EXISTS {sql_name(table.logical_name + '.id')} ON {name} ({identity})"
    for key in table.keys:
        parts = ", ".join(sql_name(key_column(table.columns[part])) for part in key.columns)
        index = sql_name(f"{table.logical_name}.key.{key.name}")
        unique = "UNIQUE " if key.status == "Active" else ""  # a key whose index is not ready is not enforced
        yield f"CREATE {unique}INDEX IF NOT EXISTS {index} ON {name} ({parts})"
    if table.intersect:
        first, second = map(sql_name, table.intersect)
        pair = sql_name(f"{table.logical_name}.pair")
        yield f"CREATE UNIQUE INDEX IF NOT EXISTS {pair} ON {name} ({first}, {second})"
        yield f"CREATE INDEX IF NOT EXISTS {sql_name(table.logical_name + '.second')} ON {name} ({second})"
    for column in table.columns.values():
        if column.is_lookup and column.logical_name not in _UNINDEXED_LOOKUPS:
            part = sql_name(column.logical_name)
            index = sql_name(f"{table.logical_name}.lookup.{column.logical_name}")
            yield f"CREATE INDEX IF NOT EXISTS {index} ON {name} ({part}) WHERE {part} IS NOT NULL"


def activities_view(shown: Table, tables: Sequence[Table]) -> str:
    """Returns the statement that creates a view with the rows of all activity tables.

    Args:
        shown: The table whose columns the view has; columns that an activity table lacks are null.
        tables: The activity tables. Numbers of rows are unique in the view too.
    """
    selects = []
    for index, table in enumerate(tables):
        own = {name for name, _ in sql_columns(table)}
        columns = [f'"row_" * {len(tables)} + {index} AS "row_"']
        columns += [sql_name(name) if name in own else f"NULL AS {sql_name(name)}" for name, _ in sql_columns(shown)]
        selects.append(f"SELECT {', '.join(columns)} FROM {sql_name(table.logical_name)}")
    return f"CREATE VIEW {sql_name(shown.logical_name)} AS {' UNION ALL '.join(selects)}"


def missing_columns(table: Table, present: set[str]) -> Iterator[str]:
    """Yields the statements that add columns which a table of an older file lacks."""
    for column, definition in sql_columns(table):
        if column not in present:
            # A new column cannot be NOT NULL; only the identifier is NOT NULL, and it is never missing.
            yield f"ALTER TABLE {sql_name(table.logical_name)} ADD COLUMN {sql_name(column)} {definition}"
