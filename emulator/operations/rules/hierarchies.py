"""Hierarchies: a row cannot be its own ancestor by a hierarchical lookup."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from emulator.environment import Environment
from emulator.errors import hierarchy_loop
from emulator.schema import Column, Table
from emulator.store import sql_name

__all__ = ["Hierarchies"]


class Hierarchies:
    """The hierarchical lookups of one table."""

    def __init__(self, environment: Environment, table: Table) -> None:
        """Finds the lookups of the table to itself that may not form a loop."""
        self._environment = environment
        self._table = table
        self._columns = [
            column for column in table.columns.values() if column.hierarchical and table.logical_name in column.targets
        ]
        self.names = frozenset(column.logical_name for column in self._columns)

    def check(self, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        """Checks rows after they were written; each has its number and the columns that were changed.

        Raises:
            ServiceError: A row is its own ancestor now.
        """
        changed = list(rows)
        for column in self._columns:
            numbers = [number for number, values in changed if values.get(column.logical_name) is not None]
            if numbers:
                self._check_column(column, numbers)

    def _check_column(self, column: Column, numbers: Sequence[int]) -> None:
        parents: dict[str, str | None] = {}
        level = dict(self._parents(column, '"row_"', numbers))
        started = list(level)
        while level:
            parents |= level
            wanted = [parent for parent in set(level.values()) if parent is not None and parent not in parents]
            level = dict(self._parents(column, sql_name(self._table.primary_id), wanted)) if wanted else {}
        clear: set[str] = set()  # rows from which the way up ends
        for record_id in started:
            way: set[str] = set()
            current: str | None = record_id
            while current is not None and current not in clear:
                if current in way:
                    raise hierarchy_loop(self._table.logical_name)
                way.add(current)
                current = parents.get(current)
            clear |= way

    def _parents(self, column: Column, by: str, values: Sequence[object]) -> list[tuple[str, str | None]]:
        """Identifier and parent of rows of this table, by number or by identifier."""
        table = self._table
        parent = sql_name(column.logical_name)
        if column.is_polymorphic:
            kind = f"{sql_name(f'{column.logical_name}__type')} = '{table.logical_name}'"
            parent = f"CASE WHEN {kind} THEN {parent} END"
        return self._environment.database.connection.execute(
            f"SELECT {sql_name(table.primary_id)}, {parent} FROM {sql_name(table.logical_name)}"
            f" WHERE {by} IN (SELECT value FROM json_each(?))",
            (orjson.dumps(values).decode(),),
        ).fetchall()
