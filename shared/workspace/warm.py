"""Workspaces that outlive a batch: planning its statements takes longer than running them on some hundred rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import ClassVar, Final

import duckdb

from shared.workspace.database import Row, Workspace
from shared.workspace.folders import PrivateFolder
from shared.workspace.sql import SqlValue, literal
from shared.workspace.steps import NewTable

__all__ = ["WarmWorkspace", "Workspaces"]

# A variable's value becomes part of a plan, and every batch may have others.
_VARIABLE: Final = "getvariable("
_PLANNED: Final = frozenset(
    {
        duckdb.StatementType.SELECT,
        duckdb.StatementType.INSERT,
        duckdb.StatementType.UPDATE,
        duckdb.StatementType.DELETE,
    }
)
_NOWHERE: Final = "main"  # the search path without any table
_MOST_TABLES: Final = 400
_MOST_TEXTS: Final = 2000
# Rows that were deleted are skipped by every scan until they are tidied away, which takes as long as ten statements.
_TIDIED_EVERY: Final = 16  # batches
_TIDIED_EVERY_FEW: Final = 512  # batches of few events
_FEW: Final = 32  # events
_Seen = tuple[str, str]  # a search path and a text: which tables a statement sees follows from the path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A table or view in a schema of its own.

    Attributes:
        fill: The statement that fills it again; empty where it is made without rows.
        varies: It is a view that reads variables, so nothing that reads it can be planned ahead.
    """

    schema: str
    name: str
    fill: str
    is_table: bool
    varies: bool

    @classmethod
    def of(cls, table: NewTable, schema: str) -> _Made:
        """A table or view that is made in a schema."""
        filled = table.query and not table.is_view
        return cls(
            schema=schema,
            name=table.name,
            fill=f"INSERT INTO {schema}.{table.name} {table.query}" if filled else "",
            is_table=not table.is_view,
            varies=table.is_view and _VARIABLE in table.query,
        )

    @property
    def path(self) -> str:
        """Its name with its schema."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A prepared statement.

    Attributes:
        tables: How many tables had been made before it. After another one it still works, but DuckDB plans it anew
            whenever it runs.
    """

    name: str
    tables: int


class WarmWorkspace(Workspace):
    """A workspace that plans each statement once: batch after batch runs the same ones.

    DuckDB keeps a prepared plan as long as no table is made or dropped. So tables stay, each in a schema of its own:
    `create` of one that is known puts its schema on the search path and fills it, `clear` empties it and takes it off.
    The path tells which tables a statement sees; path and text together name a plan.

    The optimiser is off: what it makes depends on the tables' statistics and would be made anew for every run.

    Attributes:
        few: The batch is small. A plan reserves what it needs for as many rows as were there when it was made, and one
            that was made for hundreds takes twice as long for a single row: both kinds are kept.
        worn: It had better be closed than used again.
    """

    _SETTINGS: ClassVar[Mapping[str, str]] = {"enable_optimizer": "false"}

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, *, folder: PrivateFolder, readable: frozenset[str]
    ) -> None:
        super().__init__(connection, folder=folder, readable=readable)
        self._made: dict[_Seen, _Made] = {}
        self._plans: dict[tuple[_Seen, bool], _Plan | None] = {}  # None for a text that came once so far
        self._texts: dict[str, tuple[duckdb.Statement, ...]] = {}
        self._present: tuple[_Made, ...] = ()  # newest first
        self._path = _NOWHERE
        self._shown: tuple[_Made, ...] = ()  # what the connection's search path shows
        self._wider: dict[str, tuple[_Made, ...]] = {}  # path -> what was made beside its tables the last time
        self._numbers = count()
        self._untidy = 0.0
        self.few = False
        self.worn = False

    def rows(self, sql: str, size: int = 1000) -> Iterator[Row]:  # noqa: ARG002 - a batch of events is few rows
        """The rows of a query, all fetched at once: the connection of a stream would not see the tables."""
        yield from self.query(sql)

    def has_table(self, name: str) -> bool:
        """Whether a table or view of this name is there; those that were cleared are not."""
        return any(made.name == name for made in self._present)

    def drop(self, name: str) -> None:
        """Make a table as if it had never been there."""
        for made in self._present:
            if made.name == name and made.is_table:
                self._planned(f"DELETE FROM {made.path}", ())
        self._see(tuple(made for made in self._present if made.name != name))

    def clear(self, *, keep: Collection[str] = ()) -> None:
        """Make every table and view but some as if they had never been there."""
        for behind in range(len(self._present)):
            self._wider[_path(self._present[behind:])] = self._present
        for made in self._present:
            if made.is_table and made.name not in keep:
                self._planned(f"DELETE FROM {made.path}", ())
        self._see(tuple(made for made in self._present if made.name in keep))

    def tidy(self) -> None:
        """Let go of the rows that batches have left behind as deleted, where they have become many."""
        self._untidy += 1 / (_TIDIED_EVERY_FEW if self.few else _TIDIED_EVERY)
        if self._untidy >= 1:
            self._untidy = 0.0
            self._connection.execute("CHECKPOINT")

    # -- Statements ----------------------------------------------------------------------------------------------

    def _executed(self, sql: str, params: Sequence[object] | None = None) -> duckdb.DuckDBPyConnection:
        if sql not in self._texts:
            self._texts[sql] = tuple(self._connection.extract_statements(sql))
        for statement in self._texts[sql]:
            if statement.type in _PLANNED:
                self._planned(statement.query, params or ())
            elif statement.type is duckdb.StatementType.CREATE:
                raise TypeError("a table is made by `create`, or by a step that says what it creates")
            else:
                self.worn = True
                self._plain(statement.query, params)
        return self._connection

    def _planned(self, sql: str, params: Sequence[object]) -> None:
        """Run a statement by its plan, which is made when the statement comes for the second time."""
        plans, place = self._plans, ((self._path, sql), self.few)
        if place not in plans or _VARIABLE in sql or any(made.varies for made in self._present):
            plans[place] = None
            self._plain(sql, params)
            return
        plan = plans[place]
        if plan is None or plan.tables != len(self._made):
            plan = plans[place] = self._plan(sql, plan)
        values = f"({', '.join(map(_literal, params))})" if params else ""
        if not self._present_is_shown():
            self._show(self._wider.get(self._path, self._present))
        self._connection.execute(f"EXECUTE {plan.name}{values}")

    def _plan(self, sql: str, former: _Plan | None) -> _Plan:
        """Plan a statement, in place of a former plan."""
        plan = _Plan(name=f"plan{next(self._numbers)}", tables=len(self._made))
        self._plain(f"PREPARE {plan.name} AS {sql}", ())
        if former is not None:
            self._connection.execute(f"DEALLOCATE {former.name}")
        return plan

    def _plain(self, sql: str, params: Sequence[object] | None) -> None:
        """Run a statement that sees what is present and nothing else."""
        self._show(self._present)
        self._connection.execute(sql, params or None)

    def _present_is_shown(self) -> bool:
        """Whether a plan that DuckDB has to make anew would find the same tables; others beside them do no harm."""
        shown = {made.name: made for made in reversed(self._shown)}
        return all(shown.get(made.name) is made for made in self._present)

    def _show(self, tables: tuple[_Made, ...]) -> None:
        if self._shown != tables:
            self._connection.execute(f"SET search_path = '{_path(tables)}'")
            self._shown = tables

    # -- Tables --------------------------------------------------------------------------------------------------

    def _created(self, table: NewTable, params: Sequence[object] | None = None) -> None:
        """Make a table or a view, or take the one that the same text made here before."""
        if any(made.name == table.name for made in self._present):
            if table.if_missing:
                return
            raise duckdb.CatalogException(f"Catalog Error: {table.name} is there already")
        place = (self._path, table.sql)
        made = self._made.get(place)
        if made is not None:
            if made.fill:
                self._planned(made.fill, params or ())
            self._see((made, *self._present))
            return
        made = _Made.of(table, f"s{next(self._numbers)}")
        self._plain(f"CREATE SCHEMA {made.schema}", ())
        self._see((made, *self._present))
        try:
            self._plain(table.sql, params)
        except duckdb.Error:
            self._see(self._present[1:])
            raise
        self._made[place] = made

    def _see(self, present: tuple[_Made, ...]) -> None:
        self._present = present
        self._path = _path(present)
        self.worn |= len(self._made) > _MOST_TABLES or len(self._plans) > _MOST_TEXTS


def _path(tables: Sequence[_Made]) -> str:
    return ",".join(made.schema for made in tables) or _NOWHERE


def _literal(value: object) -> str:
    assert isinstance(value, SqlValue)  # noqa: S101 - real time gives texts and numbers alone
    # DuckDB plans anew for each type that a parameter comes in; a bare number takes the smallest type that holds it.
    return f"{value}::BIGINT" if type(value) is int else literal(value)


class Workspaces:
    """Open workspaces, kept between batches."""

    def __init__(self, open_workspace: Callable[[], WarmWorkspace]) -> None:
        self._open = open_workspace
        self._idle: deque[WarmWorkspace] = deque()

    @contextmanager
    def lend(self, events: int = 1) -> Iterator[WarmWorkspace]:
        """An empty workspace for one batch of events; one whose batch failed is closed and not used again."""
        try:
            workspace = self._idle.pop()
        except IndexError:
            workspace = self._open()
        workspace.few = events <= _FEW
        sound = False
        try:
            yield workspace
            workspace.clear()
            workspace.tidy()
            sound = not workspace.worn
        finally:
            if sound:
                self._idle.append(workspace)
            else:
                workspace.close()

    def close(self) -> None:
        """Close all that are idle."""
        while self._idle:
            self._idle.pop().close()
