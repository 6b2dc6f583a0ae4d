"""The forms in which a file stores the values of its columns.

A file outlives the schema that it was made with. If a column has another type at the next start, its old values would
be read as what they are not; so the file keeps the form of each column.
"""

import sqlite3
from collections.abc import Collection
from typing import Final

from emulator.schema import Column, ColumnType, DateBehavior, Table
from emulator.store.ddl import sql_name

__all__ = ["ColumnForms", "form_of", "targets_of", "unfit_rows"]

_FORMS: Final = '"_forms"'
_LOOKUP: Final = "Lookup to "


class ColumnForms:
    """The forms of the columns of one database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Makes the table of forms where it is missing; a file without it is taken as it is."""
        self._connection = connection
        connection.execute(
            f'CREATE TABLE IF NOT EXISTS {_FORMS} ("entity" TEXT, "column" TEXT, "form" TEXT, PRIMARY KEY ("entity", '
            '"column"))'
        )
        rows = connection.execute(f'SELECT "entity", "column", "form" FROM {_FORMS}').fetchall()
        self._known: dict[tuple[str, str], str] = {(entity, column): form for entity, column, form in rows}

    def changed(self, table: Table) -> list[tuple[Column, str]]:
        """Returns the columns of a table whose form is another than before, each with the form before."""
        found = [(column, self._known.get((table.logical_name, name))) for name, column in table.columns.items()]
        return [(column, before) for column, before in found if before and before != form_of(column)]

    def record(self, table: Table) -> None:
        """Keeps the forms of a table's columns; those of columns that only the file has stay."""
        forms = {(table.logical_name, name): form_of(column) for name, column in table.columns.items()}
        new = [(*place, form) for place, form in forms.items() if self._known.get(place) != form]
        self._connection.executemany(f"INSERT OR REPLACE INTO {_FORMS} VALUES (?, ?, ?)", new)
        self._known.update(forms)

    def forget(self, table: Table) -> None:
        """Removes the forms of a table that is removed itself."""
        self._connection.execute(f'DELETE FROM {_FORMS} WHERE "entity" = ?', (table.logical_name,))
        self._known = {place: form for place, form in self._known.items() if place[0] != table.logical_name}


def form_of(column: Column) -> str:
    """The form of a column's values, in words of the schema; types with the same values have the same form."""
    if column.is_lookup:
        return _LOOKUP + ", ".join(sorted(column.targets))
    if column.type is ColumnType.DATETIME:
        return "DateTime (DateOnly)" if column.date_behavior is DateBehavior.DATE_ONLY else "DateTime"
    return str(ColumnType.STRING if column.type is ColumnType.MEMO else column.type)


def targets_of(form: str) -> list[str]:
    """The tables that a lookup of this form refers to; none for another column."""
    return form.removeprefix(_LOOKUP).split(", ") if form.startswith(_LOOKUP) else []


def unfit_rows(column: Column, before: str, tables: Collection[str]) -> str:
    """The SQL condition for rows whose value does not fit a column that had another form before.

    Of a lookup that still has several targets, values that refer to one of `tables` which is no target any more.
    """
    name, old = sql_name(column.logical_name), targets_of(before)
    if column.is_lookup and len(old) > 1:
        # Targets that are gone with their tables are left as they are; with one target every value is one of it.
        kind = sql_name(f"{column.logical_name}__type")
        if not column.is_polymorphic:
            return f"{name} IS NOT NULL AND {kind} IS NOT '{column.targets[0]}'"
        lost = ", ".join(f"'{target}'" for target in old if target in tables and target not in column.targets)
        return f"{name} IS NOT NULL AND {kind} IN ({lost})"
    return "0" if column.is_lookup and set(old) & set(column.targets) else f"{name} IS NOT NULL"
