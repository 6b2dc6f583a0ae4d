"""Workspaces that outlive a batch: opening one, and parsing its statements, takes longer than an event's whole way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import duckdb

from shared.workspace import Row, Step, Workspace

__all__ = ["WarmWorkspace", "Workspaces", "empty"]

_MOST_STATEMENTS: Final = 500


class WarmWorkspace(Workspace):
    """A workspace that parses each statement once: batch after batch runs the same ones.

    DuckDB plans a statement anew whenever it runs, so it sees the tables as they are; only the parser's work is kept.
    """

    _statements: dict[str, list[duckdb.Statement]] | None = None

    def execute(self, sql: str, params: Sequence[object] | None = None) -> None:
        """Run a statement whose result is not wanted."""
        self._executed(sql, params)

    def query(self, sql: str, params: Sequence[object] | None = None) -> list[Row]:
        """Run a query and return all of its rows."""
        return self._executed(sql, params).fetchall()

    def run(self, step: Step) -> None:
        """Run one step; see `Workspace.run`."""
        try:
            self._executed(step.sql)
        except duckdb.Error:
            super().run(step)  # it fails again, and is explained

    def _executed(self, sql: str, params: Sequence[object] | None = None) -> duckdb.DuckDBPyConnection:
        if self._statements is None or len(self._statements) >= _MOST_STATEMENTS:
            self._statements = {}
        if sql not in self._statements:
            self._statements[sql] = self._connection.extract_statements(sql)
        for statement in self._statements[sql]:
            self._connection.execute(statement, params)
        return self._connection


class Workspaces:
    """Open workspaces, kept between batches."""

    def __init__(self, open_workspace: Callable[[], Workspace]) -> None:
        self._open = open_workspace
        self._idle: deque[Workspace] = deque()

    @contextmanager
    def lend(self) -> Iterator[Workspace]:
        """An empty workspace for one batch; one whose batch failed is closed and not used again."""
        try:
            workspace = self._idle.pop()
        except IndexError:
            workspace = self._open()
        sound = False
        try:
            yield workspace
            empty(workspace)
            sound = True
        finally:
            if sound:
                self._idle.append(workspace)
            else:
                workspace.close()

    def close(self) -> None:
        """Close all that are idle."""
        while self._idle:
            self._idle.pop().close()


def empty(workspace: Workspace, *, keep: Collection[str] = ()) -> None:
    """Remove every table and view but some."""
    found = workspace.query(
        "SELECT 'VIEW', view_name FROM duckdb_views() WHERE NOT internal "
        "UNION ALL SELECT 'TABLE', table_name FROM duckdb_tables()"
    )
    drops = [f'DROP {kind} IF EXISTS "{name}"' for kind, name in found if name not in keep]
    if drops:
        workspace.execute("; ".join(drops))
