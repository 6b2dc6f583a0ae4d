"""One connection to a database: read-only or for one change, closed at the end, and stopped from another thread."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

from shared.definitions.models import TypedColumn
from shared.errors import SDK_MISREADS, SyncError, UserError
from shared.sources.sql.addresses import engine_of, url_of
from shared.sources.sql.batches import Batches
from shared.sources.sql.mysql import MysqlReader
from shared.sources.sql.postgresql import PostgresqlReader
from shared.sources.sql.readers import WATERMARK, OracleReader, RowReader, SqliteReader
from shared.sources.sql.refusals import refusal
from shared.sources.sql.statements import Bound, Statements
from shared.sources.sql.types import refused_or_known
from shared.sources.typed import KnownColumn
from shared.sources.watermarks.marks import Scale
from shared.workspace import Workspace

__all__ = ["SqlSession", "with_session"]

T = TypeVar("T")
# By the driver, or by the database whatever its driver is.
_READERS: Mapping[str, type[RowReader]] = {
    "postgresql+pg8000": PostgresqlReader,
    "sqlite+pysqlite": SqliteReader,
    "mysql": MysqlReader,
    "mariadb": MysqlReader,
    "oracle": OracleReader,
}


class SqlSession:
    """One connection; it is opened when it is entered.

    Args:
        url: The URL of the database.
        label: The database as messages show it.
        roots: The only folders that a SQLite file is read from; any folder where there is none.
        changes: The session is for `change`; without it, the database is only read.

    Raises:
        UserError: The URL cannot be used, or its driver is not installed.
    """

    def __init__(self, url: str, label: str, roots: Sequence[str] = (), *, changes: bool = False) -> None:
        self.label = label
        self.changes = changes
        address = url_of(url, label)
        self._engine = engine_of(address, label, roots, writes=changes)
        reader = _READERS.get(address.drivername) or _READERS.get(self._engine.dialect.name, RowReader)
        self._reader = reader()
        self._connection: Connection | None = None
        self._cancel: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        """Connect, and begin to read."""
        with contextlib.ExitStack() as stack:
            stack.push(self)  # what was opened is closed where a later step fails
            self._connection = self._engine.connect()
            if not self.changes:
                self._connection.execution_options(**self._reader.options)
                self._reader.begin(self._connection)
            self._cancel = self._reader.canceller(self._connection)
            stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection; if reading failed, without another message to the server."""
        self._cancel = None
        if self._connection is not None:
            with contextlib.suppress(Exception):  # it may be gone already
                if kind is not None:
                    self._connection.invalidate()
                self._connection.close()
        self._engine.dispose()

    def cancel(self) -> None:
        """Ask the running statement to stop; from another thread. Without a running statement it has no effect."""
        if self._cancel is not None:
            with contextlib.suppress(Exception):
                self._cancel()

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What a driver may raise: errors of SQLAlchemy, of its own, of the network, and over a torn answer."""
        driver: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        return SQLAlchemyError, driver, OSError, struct.error, *SDK_MISREADS

    @property
    def connected(self) -> bool:
        """Whether there has been a connection."""
        return self._connection is not None

    @property
    def dialect(self) -> str:
        """The name of the database, as SQLAlchemy has it."""
        return self._engine.dialect.name

    def found(self, statements: Statements) -> Mapping[str, KnownColumn | str]:
        """Column -> what is known of it, or why it cannot be read."""
        return refused_or_known(self._reader.found(self._opened, statements), statements.name)

    def scale(self, name: str, column: TypedColumn, known: KnownColumn) -> Scale | None:
        """How the values of a watermark's column are ordered; None where they cannot be a watermark."""
        return self._reader.scale(name, column, known)

    def past(self, statements: Statements, name: str, start: Bound, scale: Scale) -> Statements:
        """The statements for the rows that are past a watermark.

        Args:
            statements: For all rows.
            name: The column of the watermark.
            start: Its value.
            scale: What it is.
        """
        own = str(self._reader.column(statements, name).compile(dialect=self._engine.dialect))
        return statements.also(self._reader.past(own, scale), **{WATERMARK: start})

    def texts(self, statements: Statements, name: str, most: int) -> list[str]:
        """Some values of a column, those that are texts.

        Args:
            statements: For all rows.
            name: The column.
            most: How many values are read.
        """
        own = self._reader.column(statements, name).compile(dialect=self._engine.dialect)
        asked = replace(statements.also(f"{own} IS NOT NULL"), most=most)
        return [value for value in self._reader.values(self._opened, asked, name).scalars() if isinstance(value, str)]

    def load(self, workspace: Workspace, statements: Statements, columns: Mapping[str, TypedColumn]) -> None:
        """Fill `source_raw` and `source_errors`.

        Args:
            workspace: Gets them.
            statements: What is read.
            columns: Name in the database -> the column.
        """
        with Batches(workspace, list(columns.values())) as batches:
            self._reader.load(self._opened, statements, columns, batches)

    def change(self, text: str, parameters: Mapping[str, Bound]) -> int:
        """Carry out a statement in a transaction of its own; returns the number of rows that it changed.

        Args:
            text: In the SQL of the database.
            parameters: What `@name` stands for; always bound values.
        """
        connection = self._opened
        connection.rollback()  # of what `canceller` may have asked: the transaction begins with the statement
        with connection.begin():
            return self._reader.changed(text, self._reader.carried_out(connection, text, parameters))

    @property
    def _opened(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("the session is not open")
        return self._connection


def with_session(session: SqlSession, statements: Statements, work: Callable[[SqlSession], T]) -> T:
    """Do some work in a session.

    Raises:
        UserError: The database cannot be reached, or refuses something; nothing else is raised for what a driver does.
    """
    try:
        with session:
            return work(session)
    except SyncError:
        raise
    except NoSuchTableError:
        refused = UserError(f"{session.label}: there is no {statements.name}, or the user may not see it")
    except session.failures as error:
        refused = refusal(error, session.label, connecting=not session.connected, changing=session.changes)
    # Outside of the handler: an error of a driver may contain values and the password, so it is left out whole.
    raise refused
