"""Expressions tried out on a row of nulls: what DuckDB cannot make sense of is known before a row is read."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from shared.errors import Problem
from shared.workspace.database import explained
from shared.workspace.sql import quoted
from shared.workspace.tree import new_cursor

__all__ = ["Trial"]


class Trial:
    """A table with one row of nulls, to run expressions on."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        """Make the table.

        Args:
            columns: Name -> DuckDB type.
        """
        self._cursor = new_cursor()
        listed = "".join(f", {quoted(name)} {kind}" for name, kind in columns.items())
        self._cursor.execute(f"CREATE TEMP TABLE trial (_row BIGINT{listed})")
        self._cursor.execute("INSERT INTO trial (_row) VALUES (NULL)")

    def problem(self, sql: str, origin: str) -> Problem | None:
        """Return why an expression cannot run, such as a function that does not take such arguments; None if it can."""
        try:
            self._cursor.execute(f"SELECT {sql} FROM trial")
        except duckdb.Error as error:
            return Problem(message=explained(error), path=origin)
        return None

    def type_of(self, sql: str) -> str:
        """Return the DuckDB type of an expression that can run, such as ``TIMESTAMP``."""
        return str(self._cursor.execute(f"SELECT typeof({sql}) FROM trial").fetchall()[0][0])
