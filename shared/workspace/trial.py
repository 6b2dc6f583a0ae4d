"""Expressions tried out on a row of nulls: what DuckDB cannot make sense of is known before a row is read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final

import duckdb

from shared.errors import Problem
from shared.workspace.failures import explained
from shared.workspace.hints import in_plain_words
from shared.workspace.limits import OverdueError, within
from shared.workspace.sql import quoted
from shared.workspace.tree import new_cursor

__all__ = ["Trial"]

# An expression over one row takes a thousandth of this; a slow machine must be distinguished from an endless
# expression.
_SECONDS: Final = 10.0


class Trial:
    """A table with one row of nulls, to run expressions on, each for a limited time."""

    def __init__(self, columns: Mapping[str, str], *, seconds: float = _SECONDS) -> None:
        """Make the table.

        Args:
            columns: Name -> DuckDB type.
            seconds: How long one expression may take.
        """
        self._cursor = new_cursor()
        self._seconds, self._begun, self._origin = seconds, time.monotonic(), ""
        listed = "".join(f", {quoted(name)} {kind}" for name, kind in columns.items())
        self._cursor.execute(f"CREATE TEMP TABLE trial (_row BIGINT{listed})")
        self._cursor.execute("INSERT INTO trial (_row) VALUES (NULL)")

    def watched(self, found: Iterable[Problem]) -> list[Problem]:
        """The problems of expressions that are tried out one after the other; the first without an end is the last."""
        problems: list[Problem] = []
        try:
            # One thread for all: some hundred columns have some hundred expressions each to be tried.
            within(self._left, lambda: problems.extend(found), self._cursor.interrupt)
        except OverdueError:
            message = f"the expression takes more than {self._seconds:g} s on a single row"
            return [*problems, Problem(message=message, path=self._origin)]
        return problems

    def problem(self, sql: str, origin: str) -> Problem | None:
        """Return why an expression cannot run, such as a function that does not take such arguments; None if it can.

        Raises:
            duckdb.InterruptException: It took too long; see `watched`.
        """
        self._begun, self._origin = time.monotonic(), origin
        try:
            self._cursor.execute(f"SELECT {sql} FROM trial")
        except duckdb.InterruptException:
            raise
        except duckdb.Error as error:
            return Problem(message=in_plain_words(explained(error)), path=origin)
        return None

    def holds(self, sql: str) -> bool:
        """Whether a condition that can run is true for the row."""
        return bool(self._cursor.execute(f"SELECT ({sql}) IS TRUE FROM trial").fetchall()[0][0])

    def type_of(self, sql: str) -> str:
        """Return the DuckDB type of an expression that can run, such as ``TIMESTAMP``."""
        # The type is known without a row.
        return str(self._cursor.execute(f"DESCRIBE SELECT {sql} FROM trial").fetchall()[0][1])

    def value(self, sql: str) -> str | None:
        """Return the result of an expression that needs no column and no parameter, as a text; None if it fails."""
        try:
            found = self._cursor.execute(f"SELECT CAST({sql} AS VARCHAR) FROM trial").fetchone()
        except duckdb.Error:
            return None
        return None if found is None else found[0]

    def _left(self) -> float:
        return self._begun + self._seconds - time.monotonic()
