"""Finding, inserting, updating and deleting the rows of one table."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

from emulator.schema import AlternateKey, Table
from emulator.store.ddl import default_values, key_column, sql_name

__all__ = ["Rows", "Values", "scalar"]

Values = dict[str, Any]
"""A row in SQL: values by column."""


def scalar(connection: sqlite3.Connection, statement: str, parameters: Sequence[Any] = ()) -> Any:
    """Returns the first value of the first row, or None."""
    row = connection.execute(statement, parameters).fetchone()
    return row[0] if row else None


class Rows:
    """The rows of one table; the SQL column `row_` holds their numbers."""

    def __init__(self, connection: sqlite3.Connection, table: Table, next_version: Callable[[], int]) -> None:
        """Prepares the statements' texts; `next_version` returns a new row version of the environment."""
        self.table = table
        self._connection = connection
        self._next_version = next_version
        self._name = sql_name(table.logical_name)
        self._id = sql_name(table.primary_id)
        self._defaults = default_values(table)
        self._partition = ' AND "partitionid" IS ?' if table.elastic else ""

    def by_id(self, record_id: str, partition: str | None = None) -> int | None:
        """Returns the number of the row with this identifier."""
        parameters = (record_id, partition) if self.table.elastic else (record_id,)
        row: int | None = scalar(
            self._connection, f'SELECT "row_" FROM {self._name} WHERE {self._id} = ?{self._partition}', parameters
        )
        return row

    def by_ids(self, record_ids: Sequence[str]) -> dict[str, int]:
        """Returns the numbers of the rows that exist, by identifier (tables without partitions)."""
        return dict(
            self._connection.execute(
                f'SELECT {self._id}, "row_" FROM {self._name} WHERE {self._id} IN (SELECT value FROM json_each(?))',
                (json.dumps(record_ids),),
            ).fetchall()
        )

    def by_key(self, key: AlternateKey, values: Sequence[Any]) -> int | None:
        """Returns the number of the row with these key values (text in normal form)."""
        condition = " AND ".join(f"{sql_name(key_column(self.table.columns[part]))} = ?" for part in key.columns)
        statement = f'SELECT "row_" FROM {self._name} WHERE {condition}'
        row: int | None = scalar(self._connection, statement, values)
        return row

    def by_single_key(self, key: AlternateKey, values: Sequence[Any]) -> dict[Any, int]:
        """Returns the numbers of the rows that exist, by the value of a key of one column (text in normal form)."""
        column = sql_name(key_column(self.table.columns[key.columns[0]]))
        return dict(
            self._connection.execute(
                f'SELECT {column}, "row_" FROM {self._name} WHERE {column} IN (SELECT value FROM json_each(?))',
                (json.dumps(values),),
            ).fetchall()
        )

    def fetch(self, row: int, columns: Sequence[str]) -> tuple[Any, ...] | None:
        """Returns the values of some SQL columns of one row."""
        names = ", ".join(sql_name(column) for column in columns)
        found: tuple[Any, ...] | None = self._connection.execute(
            f'SELECT {names} FROM {self._name} WHERE "row_" = ?', (row,)
        ).fetchone()
        return found

    def fetch_many(self, rows: Sequence[int], columns: Sequence[str]) -> dict[int, tuple[Any, ...]]:
        """Returns the values of some SQL columns, also of none, of several rows, by row number."""
        names = ", ".join(sql_name(column) for column in ("row_", *columns))
        found = self._connection.execute(
            f'SELECT {names} FROM {self._name} WHERE "row_" IN (SELECT value FROM json_each(?))',
            (json.dumps(rows),),
        )
        return {row[0]: row[1:] for row in found}

    def insert(self, rows: Iterable[Values]) -> None:
        """Inserts rows in order; each is SQL column -> value. Columns that are not in it get their default values.

        The defaults of the table in SQL are those of the schema that the file was made with.

        Raises:
            sqlite3.IntegrityError: A row's identifier or alternate key is taken.
        """
        for names, group in groupby([self._defaults | row for row in rows], key=tuple):
            columns = ", ".join([sql_name(name) for name in names])
            marks = ", ".join("?" * len(names))
            self._connection.executemany(
                f"INSERT INTO {self._name} ({columns}) VALUES ({marks})", [tuple(row.values()) for row in group]
            )

    def update(self, rows: Iterable[Values]) -> int:
        """Updates rows and returns their number; each is SQL column -> value, with the row number last, under `row_`.

        Raises:
            sqlite3.IntegrityError: A row's new alternate key is taken.
        """
        met = 0
        for names, group in groupby(rows, key=tuple):
            assignments = ", ".join([f"{sql_name(name)} = ?" for name in names[:-1]])
            met += self._connection.executemany(
                f'UPDATE {self._name} SET {assignments} WHERE "row_" = ?', [tuple(row.values()) for row in group]
            ).rowcount
        return met

    def delete(self, row: int) -> None:
        """Deletes a row and records the deletion for change tracking."""
        columns = (self.table.primary_id, *(("partitionid",) if self.table.elastic else ()))
        found = self.fetch(row, columns)
        if found is None:
            return
        self._connection.execute(f'DELETE FROM {self._name} WHERE "row_" = ?', (row,))
        self._connection.execute(
            'INSERT INTO "_deleted" ("version", "entity", "id", "partition") VALUES (?, ?, ?, ?)',
            (self._next_version(), self.table.logical_name, found[0], found[1] if len(found) > 1 else None),
        )
