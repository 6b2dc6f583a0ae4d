"""How each kind of database is read: its types, its stream of rows, and how a statement of it is stopped."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import SAWarning

from shared.definitions.models import ColumnType, TypedColumn
from shared.definitions.models.database_sql import is_query
from shared.sources.sql.batches import Batches
from shared.sources.sql.forms import Form, Moment, Single, asked, form_of, form_of_described
from shared.sources.sql.statements import Bound, Statements, bound_text, table_of
from shared.sources.sql.types import Found, of_driver, of_sqlalchemy, of_sqlite
from shared.sources.typed import KnownColumn
from shared.sources.watermarks.marks import Scale

__all__ = ["WATERMARK", "OracleReader", "RowReader", "SqliteReader", "exact"]

WATERMARK: Final = "dynamics_sync_watermark"
"""The name of the value that a read starts at, beside those of the parameters."""
_ROWS: Final = 500  # fetched at once: they are Python values for a moment, and each may have long texts


def exact(name: str) -> sa.ColumnClause[Any]:
    """A column by exactly this name."""
    return sa.column(sa.sql.quoted_name(name, quote=True))


class RowReader:
    """Reads any database by what SQLAlchemy and PEP 249 have."""

    options: Mapping[str, Any] = {}
    """Execution options of the connection."""
    opening: tuple[str, ...] = ()
    """The statements that a read begins with; without them, only the rights of the user keep it from changes."""
    _text = Scale.COLLATED  # a database orders texts in its own way, unless the statement says how

    def __init__(self) -> None:
        self._forms: dict[str, Form | None] = {}  # column -> of its values, where the driver gives others

    def begin(self, connection: Connection) -> None:
        """Send what a read begins with."""
        for statement in self.opening:
            connection.exec_driver_sql(statement)

    def found(self, connection: Connection, statements: Statements) -> Iterable[tuple[str, Found]]:
        """Every column of the table or query, in order, and what its type is."""
        dialect = connection.dialect
        if statements.table is not None:
            table = table_of(statements.table)
            warnings.filterwarnings(
                "ignore", "Did not recognize type", SAWarning
            )  # it is text then: no news for a user
            for column in sa.inspect(connection).get_columns(table.name, schema=table.schema):
                self._forms[column["name"]] = form_of(column["type"], dialect.name)
                yield column["name"], of_sqlalchemy(column["type"])
            return
        with connection.execute(statements.columns()) as result:
            for described in result.cursor.description:
                self._forms[described[0]] = form_of_described(described, dialect.name)
                yield described[0], of_driver(described[1], dialect.loaded_dbapi)

    def column(self, statements: Statements, name: str) -> sa.ColumnClause[Any]:
        """A column by a name that `found` gave.

        SQLAlchemy must get the names of a table as it gives them: in Oracle, `name` stands for `NAME`. Those of a query
        are as the database has them.
        """
        return exact(name) if statements.table is None else sa.column(name)

    def load(
        self, connection: Connection, statements: Statements, columns: Mapping[str, TypedColumn], batches: Batches
    ) -> None:
        """Stream the rows.

        Args:
            connection: Where to.
            statements: What is read.
            columns: Name in the database -> the column.
            batches: Gets the rows.
        """
        streamed = connection.execution_options(stream_results=True, yield_per=_ROWS)
        dialect = connection.dialect.name
        selected = [asked(self.column(statements, name), self._forms.get(name), dialect) for name in columns]
        with streamed.execute(statements.rows(selected)) as result:
            for rows in result.partitions():
                batches.add(rows)

    def values(self, connection: Connection, statements: Statements, name: str) -> sa.CursorResult[Any]:
        """The values of one column, by the name in the database."""
        return connection.execute(statements.rows([self.column(statements, name)]))

    def carried_out(self, connection: Connection, text: str, parameters: Mapping[str, Bound]) -> sa.CursorResult[Any]:
        """What a statement gives that may change something.

        Args:
            connection: In a transaction.
            text: In the SQL of the database.
            parameters: What `@name` stands for; always bound values.

        Raises:
            UserError: A parameter has no value.
        """
        return connection.execute(bound_text(text, parameters))

    def changed(self, text: str, result: sa.CursorResult[Any]) -> int:
        """How many rows a statement has changed; 0 where the database does not tell, as of a query with functions.

        Args:
            text: The statement.
            result: What it gave; nothing of it was read.
        """
        return 0 if is_query(text) else max(result.rowcount, 0)

    def scale(self, name: str, column: TypedColumn, known: KnownColumn) -> Scale | None:
        """How the values of a watermark's column are ordered; None where they cannot be a watermark.

        Args:
            name: The column in the database.
            column: What is read of it.
            known: What the database says of it.

        Raises:
            UserError: The database orders the values otherwise than their texts.
        """
        form = self._forms.get(name)
        match known.type:
            case ColumnType.NUMBER:
                return Scale.SINGLE if isinstance(form, Single) else Scale.NUMBER
            case ColumnType.DATE if isinstance(form, Moment):
                return Scale.INSTANT
            case ColumnType.DATE:
                return Scale.DAY if column.sql_type == "DATE" else Scale.TIME
            case ColumnType.TEXT:
                return self._text
        return None

    def past(self, name: str, scale: Scale) -> str:
        """The condition that a row is past the watermark, or has no value; the value is bound as `@WATERMARK`.

        Args:
            name: The quoted name of the column.
            scale: What it holds.
        """
        return f"{self._compared(name, scale)} >= @{WATERMARK} OR {name} IS NULL"

    def _compared(self, name: str, scale: Scale) -> str:  # noqa: ARG002 - some databases order texts in their own way
        return name

    def canceller(self, connection: Connection) -> Callable[[], object] | None:
        """What stops a statement from another thread; None where the driver has nothing for it."""
        driver: Any = connection.connection.driver_connection
        cancel: Callable[[], object] | None = getattr(driver, "cancel", None)
        return cancel


class OracleReader(RowReader):
    """Reads Oracle: in one read-only snapshot, and moments in UTC."""

    opening = ("ALTER SESSION SET TIME_ZONE = '+00:00'", "SET TRANSACTION READ ONLY")


class SqliteReader(RowReader):
    """Reads a SQLite file: any column can have any value, and only a declaration says what is meant."""

    _text = Scale.TEXT

    def begin(self, connection: Connection) -> None:
        """Read texts that are not UTF-8 too: the rows that have one are rejected, and the others are read."""
        driver: Any = connection.connection.driver_connection
        driver.text_factory = lambda data: data.decode("utf-8", "surrogateescape")

    def found(self, connection: Connection, statements: Statements) -> Iterable[tuple[str, Found]]:
        """The declared types, of a query by a temporary view, which has those of its columns."""
        if statements.table is not None:
            # A column without a declaration is BLOB for SQLite, but it may hold anything.
            connection.execute(statements.columns()).close()
            table = table_of(statements.table)
            asked = sa.text("SELECT name, type FROM pragma_table_xinfo(:name, :schema)")
            for name, declared in connection.execute(asked, {"name": table.name, "schema": table.schema or "main"}):
                yield name, of_sqlite(declared)
            return
        described = connection.execute(statements.columns())
        names = [each[0] for each in described.cursor.description]
        described.close()
        compiled = statements.columns().compile(compile_kwargs={"literal_binds": True}, dialect=connection.dialect)
        connection.exec_driver_sql(f"CREATE TEMP VIEW source_described AS {compiled}")
        declared = connection.exec_driver_sql("SELECT type FROM pragma_table_info('source_described')").scalars()
        yield from ((name, of_sqlite(kind)) for name, kind in zip(names, declared, strict=True))

    def changed(self, text: str, result: sa.CursorResult[Any]) -> int:  # noqa: ARG002 - as of any database
        """What SQLite says: Python's driver does not know it of `WITH … INSERT`, nor before all of `RETURNING` is read.

        Without a change on this connection, SQLite says 0 (SQLite, "Count The Number Of Rows Modified").
        """
        result.close()
        return int(result.connection.exec_driver_sql("SELECT changes()").scalar_one())

    def column(self, statements: Statements, name: str) -> sa.ColumnClause[Any]:  # noqa: ARG002 - as of any database
        """A column as it is declared."""
        return exact(name)

    def scale(self, name: str, column: TypedColumn, known: KnownColumn) -> Scale | None:  # noqa: ARG002 - as above
        """Numbers are numbers; anything else is compared as the text that it is."""
        if known.type is ColumnType.BOOL:
            return None
        return Scale.NUMBER if ColumnType.NUMBER in {known.type, column.type} else self._text

    def past(self, name: str, scale: Scale) -> str:
        """Values of another kind than the watermark have no order with it: such rows are always read."""
        kinds = "'integer', 'real'" if scale is Scale.NUMBER else "'text'"
        return f"{super().past(name, scale)} OR typeof({name}) NOT IN ({kinds})"

    def _compared(self, name: str, scale: Scale) -> str:
        return f"{name} COLLATE BINARY" if scale is Scale.TEXT else name

    def canceller(self, connection: Connection) -> Callable[[], object] | None:
        """SQLite's own interrupt."""
        driver: Any = connection.connection.driver_connection
        interrupt: Callable[[], object] = driver.interrupt
        return interrupt
