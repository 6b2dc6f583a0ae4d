"""The recycle bin: deleted rows, and the lookups that their deletion has set to null (restore-deleted-records).

Each table with deleted rows has a second one of its columns, and the number of the deletion. A query on deleted rows
reads that table under the name of the first.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from emulator.schema import Table
from emulator.store.ddl import (
    BIN_PREFIX,
    bin_name,
    normal_form,
    shadow_name,
    shadowed_columns,
    sql_columns,
    sql_name,
    stored_columns,
)

__all__ = ["RecycleBin"]

_LINKS: Final = '"_bin_links"'
_DELETION: Final = "deletion_"


class RecycleBin:
    """Deleted rows of one environment."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Makes the table of lookups where it is missing."""
        self._connection = connection
        connection.execute(
            f'CREATE TABLE IF NOT EXISTS {_LINKS} ("deletion" INTEGER, "entity" TEXT, "id" TEXT, "column" TEXT, '
            '"value" TEXT, "kind" TEXT)'
        )

    def next_deletion(self) -> int:
        """Returns the number of a new deletion: of no row and of no lookup that is kept."""
        numbers = [f'SELECT max("deletion_") FROM {sql_name(name)}' for name in self._names()]
        numbers.append(f'SELECT max("deletion") FROM {_LINKS}')
        return 1 + max(self._connection.execute(number).fetchone()[0] or 0 for number in numbers)

    def keep(self, table: Table, rows: Sequence[int], deletion: int) -> None:
        """Keeps rows that are about to be deleted; an earlier copy of a row is replaced, with what was noted of it."""
        name, original = self._prepared(table), sql_name(table.logical_name)
        columns = _joined(stored_columns(self._connection, table.logical_name))
        for row in rows:
            known = f'SELECT {sql_name(table.primary_id)} FROM {original} WHERE "row_" = ?'
            self._connection.execute(f"DELETE FROM {name} WHERE {sql_name(table.primary_id)} = ({known})", (row,))
            self._connection.execute(
                f'DELETE FROM {_LINKS} WHERE "deletion" < ? AND "kind" = ? AND "value" = ({known})',
                (deletion, table.logical_name, row),
            )
            self._connection.execute(
                f'INSERT INTO {name} ({columns}, "deletion_") SELECT {columns}, ? FROM {original} WHERE "row_" = ?',
                (deletion, row),
            )

    def keep_link(self, table: Table, record_id: str, column: str, reference: tuple[str, str], deletion: int) -> None:
        """Keeps a lookup that is set to null because the row that it refers to goes.

        Args:
            table: The table of the row that stays.
            record_id: That row.
            column: The lookup.
            reference: Table and identifier of the row that goes.
            deletion: The number of the deletion.
        """
        kind, value = reference
        values = (deletion, table.logical_name, record_id, column, value, kind)
        self._connection.execute(f"INSERT INTO {_LINKS} VALUES (?, ?, ?, ?, ?, ?)", values)

    def deletion_of(self, table: Table, record_id: str) -> int | None:
        """Returns the number of the deletion of a row; None if the bin does not have it."""
        if not stored_columns(self._connection, bin_name(table)):
            return None
        found = self._connection.execute(
            f'SELECT "deletion_" FROM {self._name(table)} WHERE {sql_name(table.primary_id)} = ?', (record_id,)
        ).fetchone()
        return int(found[0]) if found else None

    def replace(self, table: Table, record_id: str, values: Mapping[str, Any]) -> None:
        """Gives a deleted row other values, by SQL column."""
        if values:
            changes = ", ".join(f"{sql_name(column)} = ?" for column in values)
            self._connection.execute(
                f"UPDATE {self._name(table)} SET {changes} WHERE {sql_name(table.primary_id)} = ?",
                (*values.values(), record_id),
            )

    def put_back(self, table: Table, deletion: int) -> list[str]:
        """Moves the rows of a deletion back, and returns their identifiers.

        Raises:
            sqlite3.IntegrityError: A row with the identifier or the alternate key of one of them exists.
        """
        name, original = self._name(table), sql_name(table.logical_name)
        if not stored_columns(self._connection, bin_name(table)):
            return []
        columns = _joined(stored_columns(self._connection, table.logical_name), without="row_")
        identity = sql_name(table.primary_id)
        ids = self._connection.execute(f'SELECT {identity} FROM {name} WHERE "deletion_" = ?', (deletion,)).fetchall()
        self._connection.execute(
            f'INSERT INTO {original} ({columns}) SELECT {columns} FROM {name} WHERE "deletion_" = ?', (deletion,)
        )
        self._connection.execute(f'DELETE FROM {name} WHERE "deletion_" = ?', (deletion,))
        return [str(record_id) for (record_id,) in ids]

    def links(self, deletion: int) -> list[tuple[str, str, str, str, str]]:
        """Returns the lookups of a deletion: table, identifier of the row, column, value, and its table."""
        return self._connection.execute(
            f'SELECT "entity", "id", "column", "value", "kind" FROM {_LINKS} WHERE "deletion" = ?', (deletion,)
        ).fetchall()

    def forget_links(self, deletion: int) -> None:
        """Removes the lookups of a deletion."""
        self._connection.execute(f'DELETE FROM {_LINKS} WHERE "deletion" = ?', (deletion,))

    def rows(self, table: Table) -> str:
        """Returns the query for the deleted rows of a table, with its columns."""
        columns = _joined(stored_columns(self._connection, bin_name(table)), without="row_")
        if not columns:
            return f"SELECT * FROM main.{sql_name(table.logical_name)} WHERE 0"
        # The columns that SQLite calculates, which the bin does not have:
        if table.is_principal:
            columns += f', {sql_name(table.primary_id)} AS "ownerid"'
        for name in shadowed_columns(table):
            columns += f", {normal_form(name)} AS {sql_name(shadow_name(name))}"
        return f'SELECT {columns}, rowid AS "row_" FROM {self._name(table)}'

    def follow(self, table: Table) -> None:
        """Gives the deleted rows of a table the columns that it has now.

        A new column has the value that it has in the other rows of the table. The values of a removed one are gone.
        """
        name, current = self._name(table), stored_columns(self._connection, table.logical_name)
        self._connection.execute(
            f'DELETE FROM {_LINKS} WHERE "entity" = ? AND "column" NOT IN (SELECT value FROM json_each(?))',
            (table.logical_name, json.dumps(current)),
        )
        kept = stored_columns(self._connection, bin_name(table))
        if not kept:
            return
        definitions = dict(sql_columns(table))
        changes = [f"DROP COLUMN {sql_name(column)}" for column in kept if column not in {*current, _DELETION}]
        added = [column for column in current if column not in kept]
        changes += [f"ADD COLUMN {sql_name(column)} {definitions.get(column, '')}" for column in added]
        for change in changes:
            self._connection.execute(f"ALTER TABLE {name} {change}")

    def forget(self, table: Table) -> None:
        """Removes the deleted rows of a table that is removed itself."""
        self._connection.execute(f"DROP TABLE IF EXISTS {self._name(table)}")
        self._connection.execute(f'DELETE FROM {_LINKS} WHERE "entity" = ?', (table.logical_name,))

    def clear(self) -> None:
        """Empties the bin."""
        for name in self._names():
            self._connection.execute(f"DROP TABLE {sql_name(name)}")
        self._connection.execute(f"DELETE FROM {_LINKS}")

    def _names(self) -> list[str]:
        rows = self._connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, ?) = ?",
            (len(BIN_PREFIX), BIN_PREFIX),
        )
        return [name for (name,) in rows.fetchall()]

    def _name(self, table: Table) -> str:
        return sql_name(bin_name(table))

    def _prepared(self, table: Table) -> str:
        """Makes the table of a table's deleted rows where it is missing, and returns its name."""
        name, original = self._name(table), sql_name(table.logical_name)
        columns = _joined(stored_columns(self._connection, table.logical_name))
        self._connection.execute(
            f'CREATE TABLE IF NOT EXISTS {name} AS SELECT {columns}, 0 AS "{_DELETION}" FROM {original} WHERE 0'
        )
        return name


def _joined(columns: Sequence[str], *, without: str = "") -> str:
    return ", ".join(sql_name(column) for column in columns if column != without)
