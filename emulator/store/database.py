"""The SQLite database: one connection, transactions and the row version counter."""

import math
import sqlite3
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from emulator.errors import sql_timeout
from emulator.schema import AlternateKey, Column, Schema, Table
from emulator.schema.activities import ACTIVITIES, activity_tables
from emulator.schema.faults import SchemaFileError
from emulator.store.collation import Collation
from emulator.store.ddl import (
    SYSTEM_TABLES,
    activities_view,
    bin_name,
    create_statements,
    index_statements,
    key_column,
    missing_columns,
    shadow_name,
    shadowed_columns,
    sql_columns,
    sql_name,
    stored_columns,
)
from emulator.store.forms import ColumnForms, form_of, targets_of, unfit_rows
from emulator.store.patterns import wildcard_match
from emulator.store.rows import Rows, scalar

__all__ = ["Budget", "Database"]

_FIRST_VERSION: Final = 500_000
_STATEMENTS_KEPT: Final = 512
_STEPS_BETWEEN_LOOKS: Final = 100_000  # SQLite instructions between two checks of the clock: about a millisecond


@dataclass(slots=True)
class Budget:
    """The seconds that the statements of one request can still take; SQL Server allows two minutes."""

    left: float = 120.0


class Database:
    """All rows of the environment.

    All writes of a request run in one transaction on one connection, so a request is written completely or not at all,
    also if the process is killed.
    """

    def __init__(self, schema: Schema, collation: Collation, path: Path | None = None) -> None:
        """Opens or creates the database; without a path it is in memory.

        Raises:
            SchemaFileError: The file has values in a column that do not fit its type in the schema, or equal values in
                the columns of an alternate key.
        """
        self.schema = schema
        self.collation = collation
        self.connection = sqlite3.connect(
            path or ":memory:", isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS_KEPT
        )
        weakref.finalize(self, self.connection.close)  # closes it also if a server ends in a thread
        collation.register(self.connection)
        self.connection.create_function("dv_like", 2, wildcard_match, deterministic=True)
        self._deadline = math.inf
        self.connection.set_progress_handler(lambda: time.monotonic() > self._deadline, _STEPS_BETWEEN_LOOKS)
        self.connection.execute("PRAGMA journal_mode = WAL" if path else "PRAGMA journal_mode = MEMORY")
        self.connection.execute("PRAGMA synchronous = NORMAL" if path else "PRAGMA synchronous = OFF")
        self.connection.execute("PRAGMA cache_size = -65536")
        self._depth = 0
        self.version = self._stated = 0
        self._rows: dict[str, Rows] = {}
        with self.transaction():
            for statement in SYSTEM_TABLES:
                self.connection.execute(statement)
            self._forms = ColumnForms(self.connection)
            self._hide_activities()
            collated = self.fact("collation") == collation.name
            for table in schema.tables.values():
                self._check_forms(table, path)
                self._drop_stale_indexes(table, collated=collated)
                self._prepare_keyed(table, path)
            self._show_activities()
            self.state("collation", collation.name)
        self.version = self._highest_version()

    def _highest_version(self) -> int:
        """The last row version of the file; one that an earlier version made does not state it, but its rows do."""
        found = [_FIRST_VERSION, self.fact("version"), self.last_deletion()]
        tables = self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in tables:
            if "versionnumber" in stored_columns(self.connection, name):
                found.append(self.scalar(f'SELECT max("versionnumber") FROM {sql_name(name)}'))
        highest: int = max(version for version in found if version is not None)
        return highest

    def fact(self, name: str) -> Any:
        """Returns what the file states under a name, or None."""
        return self.scalar('SELECT "value" FROM "_facts" WHERE "name" = ?', (name,))

    def last_deletion(self) -> int | None:
        """Returns the version of the row that was deleted last; another one means that rows have gone since."""
        version: int | None = self.scalar('SELECT max("version") FROM "_deleted"')
        return version

    def state(self, name: str, value: str | int) -> None:
        """Keeps a fact in the file."""
        self.connection.execute('INSERT OR REPLACE INTO "_facts" VALUES (?, ?)', (name, value))

    def prepare(self, table: Table) -> None:
        """Creates the SQL table of `table`, or adds missing columns and indexes."""
        self._rows[table.logical_name] = Rows(self.connection, table, self.next_version)
        if table.logical_name == ACTIVITIES:
            return
        present = {row[1] for row in self.connection.execute(f"PRAGMA table_xinfo({sql_name(table.logical_name)})")}
        if present:
            present -= self._drop_written_shadows(table)
            for statement in missing_columns(table, present):
                self.connection.execute(statement)
        for statement in index_statements(table) if present else create_statements(table):
            self.connection.execute(statement)
        self._forms.record(table)

    def _show_activities(self) -> None:
        """Creates the view with the rows of all activity tables."""
        shown, tables = self.schema.tables.get(ACTIVITIES), activity_tables(self.schema.tables)
        if shown is not None and tables:
            self._hide_activities()
            self.connection.execute(activities_view(shown, tables))

    def _hide_activities(self) -> None:
        """Removes that view: SQLite does not change a table that a view cannot follow."""
        self.connection.execute(f"DROP VIEW IF EXISTS {sql_name(ACTIVITIES)}")

    def _drop_written_shadows(self, table: Table) -> set[str]:
        """Removes the normal forms of text that an earlier version wrote into the file itself, and returns their names.

        SQLite calculates them now.
        """
        written = {shadow_name(name) for name in shadowed_columns(table)}
        written &= {*stored_columns(self.connection, table.logical_name)}
        for shadow in written:
            self._drop_column(table.logical_name, shadow)
        return written

    def adopt(self, schema: Schema, *changed: Table) -> None:
        """Replaces the schema and updates the SQL of its changed tables."""
        before = self.schema.tables
        self.schema = schema
        with self.transaction():
            self._hide_activities()
            for table in changed:
                self._drop_stale_indexes(table)
                self._drop_stale_columns(table, before.get(table.logical_name))
                self.prepare(table)
            self._show_activities()

    def _prepare_keyed(self, table: Table, path: Path | None) -> None:
        """Prepares a table of a file.

        Raises:
            SchemaFileError: Its rows have equal values in the columns of an alternate key.
        """
        try:
            self.prepare(table)
        except sqlite3.IntegrityError as error:
            columns = {key.name: _key_columns(table, key) for key in table.keys}
            ends = {name: ", ".join(f"{table.logical_name}.{one}" for one in parts) for name, parts in columns.items()}
            broken = next((key for key in table.keys if str(error).endswith(ends[key.name])), None)
            if broken is None:
                raise SchemaFileError(
                    f"{path} has rows of the table {table.logical_name} with an equal {table.primary_id}. Give the "
                    "table the setting `elastic` that it had, or begin with another file (--db)"
                ) from error
            raise SchemaFileError(
                f"{path} has rows of the table {table.logical_name} with equal values for the alternate key "
                f"{broken.name} ({', '.join(broken.columns)}). Leave the key out of the schema until the rows are "
                "different, or begin with another file (--db)"
            ) from error

    def _drop_stale_indexes(self, table: Table, *, collated: bool = True) -> None:
        """Removes the indexes that the table has otherwise now, or not at all; `prepare` makes those that are missing.

        Without `collated` the normal forms in the indexes of keys are those of another collation; then these go too.
        """
        wanted = {*index_statements(table)}
        indexes = self.connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
            (table.logical_name,),
        ).fetchall()
        for name, made in indexes:
            stale = not collated and name.startswith(f"{table.logical_name}.key.")
            if stale or made.replace(" INDEX ", " INDEX IF NOT EXISTS ", 1) not in wanted:
                self.connection.execute(f"DROP INDEX {sql_name(name)}")

    def _drop_stale_columns(self, table: Table, before: Table | None) -> None:
        """Removes the columns that the table no longer has, and what the file has of a column that is new."""
        own, old = ({column for column, _ in sql_columns(one)} if one else set() for one in (table, before))
        for column in stored_columns(self.connection, table.logical_name):
            if column in (own ^ old if before else ()):
                self._drop_column(table.logical_name, column)
        for changed, form in self._forms.changed(table):
            self._convert(table, changed, form)

    def _check_forms(self, table: Table, path: Path | None) -> None:
        """Converts columns that have another type than in the file.

        Raises:
            SchemaFileError: A column has values that cannot be read as of the new type.
        """
        for column, before in self._forms.changed(table):
            condition, name = unfit_rows(column, before, self.schema.tables), column.logical_name
            for stored in self._stored(table, name):
                if self.scalar(f"SELECT 1 FROM {sql_name(stored)} WHERE {condition} LIMIT 1"):
                    raise SchemaFileError(
                        f"{path} has values of the column {name} of the table {table.logical_name} that were stored as "
                        f"{before}, and the schema says {form_of(column)}. Give the column its old type, give the new "
                        "column another name, or begin with another file (--db)"
                    )
            self._convert(table, column, before)

    def _stored(self, table: Table, column: str) -> list[str]:
        """The SQL tables that have a column of a table: its own, and that of its deleted rows."""
        names = (table.logical_name, bin_name(table))
        return [name for name in names if column in stored_columns(self.connection, name)]

    def _convert(self, table: Table, column: Column, before: str) -> None:
        """Prepares a column for its new form: what cannot be read in it is removed, and `prepare` adds it again.

        The values of a lookup that had one target get the name of this target if it has several now.
        """
        name, old = column.logical_name, targets_of(before)
        kind = f"{name}__type"
        for stored in self._stored(table, name):
            if not column.is_lookup or not old:
                for one in {name, kind} & {*stored_columns(self.connection, stored)}:
                    self._drop_column(stored, one)
            elif column.is_polymorphic and len(old) == 1:
                if kind not in stored_columns(self.connection, stored):
                    self.connection.execute(f"ALTER TABLE {sql_name(stored)} ADD COLUMN {sql_name(kind)} TEXT")
                self.connection.execute(
                    f"UPDATE {sql_name(stored)} SET {sql_name(kind)} = ? WHERE {sql_name(name)} IS NOT NULL", old
                )

    def _drop_column(self, stored: str, column: str) -> None:
        """Removes a column, with the indexes that have it, and the normal form that is calculated from it."""
        found = self.connection.execute(f"PRAGMA table_xinfo({sql_name(stored)})").fetchall()
        if shadow_name(column) in {name for _, name, *_ in found}:
            self._drop_column(stored, shadow_name(column))
        for _, index, *_ in self.connection.execute(f"PRAGMA index_list({sql_name(stored)})").fetchall():
            parts = self.connection.execute(f"PRAGMA index_info({sql_name(index)})").fetchall()
            if any(name == column for _, _, name in parts):
                self.connection.execute(f"DROP INDEX {sql_name(index)}")
        self.connection.execute(f"ALTER TABLE {sql_name(stored)} DROP COLUMN {sql_name(column)}")

    def drop(self, table: Table, schema: Schema) -> None:
        """Removes a table with its rows."""
        self.schema = schema
        self._hide_activities()
        self.connection.execute(f"DROP TABLE {sql_name(table.logical_name)}")
        self._show_activities()
        self.connection.execute('DELETE FROM "_deleted" WHERE "entity" = ?', (table.logical_name,))
        self._forms.forget(table)
        del self._rows[table.logical_name]

    def rows(self, table: Table) -> Rows:
        """Returns the row access of a table."""
        return self._rows[table.logical_name]

    def next_version(self) -> int:
        """Returns the next row version; versions are unique in the environment and always increase."""
        self.version += 1
        return self.version

    def scalar(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Returns the first value of the first row, or None."""
        return scalar(self.connection, statement, parameters)

    @contextmanager
    def within(self, budget: Budget) -> Iterator[None]:
        """Limits the time of the statements inside to the budget, and reduces the budget by the time they used.

        Raises:
            ServiceError: They took longer; an open transaction is rolled back.
        """
        begun = time.monotonic()
        self._deadline = begun + budget.left
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            raise sql_timeout() from error
        finally:
            self._deadline = math.inf
            budget.left -= time.monotonic() - begun

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Runs what is inside in one transaction; an inner transaction is rolled back alone if it fails."""
        depth = self._depth
        begin, commit, undo = (
            ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
            if not depth
            else (f"SAVEPOINT s{depth}", f"RELEASE s{depth}", f"ROLLBACK TO s{depth}")
        )
        self.connection.execute(begin)
        self._depth += 1
        done = False
        try:
            yield
            done = True
        finally:
            self._depth -= 1
            if not done and self.connection.in_transaction:  # SQLite rolls back itself if it interrupts a write
                self.connection.execute(undo)
            if done and not depth and self.version != self._stated:
                self.state("version", self.version)
                self._stated = self.version
            if done or (depth and self.connection.in_transaction):
                self.connection.execute(commit)

    def clear(self) -> None:
        """Removes every row of every table; row versions continue to increase."""
        with self.transaction():
            for name in self.schema.tables.keys() - {ACTIVITIES}:
                self.connection.execute(f"DELETE FROM {sql_name(name)}")
            self.connection.execute('DELETE FROM "_deleted"')

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()


def _key_columns(table: Table, key: AlternateKey) -> list[str]:
    return [key_column(table.columns[part]) for part in key.columns]
