"""PostgreSQL by pg8000: `COPY … TO STDOUT` gives the rows as CSV, which DuckDB reads without Python values in between.

Measured for the reading of a million rows of eight columns: 1.6 s of processor time; 8 s with a cursor whose values are
left as text, and 33 s (and 800 MB) with the values that SQLAlchemy gives.
`COPY` takes no bound values, so parameters are settings of the transaction, which are set by bound values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy import Connection

from shared.definitions.models import TypedColumn
from shared.sources.sql.batches import Batches
from shared.sources.sql.readers import RowReader, exact
from shared.sources.sql.statements import Bound, Statements, bound_name, bound_text, type_of
from shared.sources.sql.types import Found, of_postgresql
from shared.sources.typed import KnownColumn
from shared.sources.watermarks.marks import Scale, unusable
from shared.workspace import quoted

__all__ = ["PostgresqlReader"]

_TEXTS: Final = frozenset({"text", "varchar", "bpchar"})
_AS_TEXTS: Final = frozenset({"uuid", "citext", "name"})  # have no collation, or one that ignores case
_SINGLE: Final = "float4"  # `real`
_ARRAY: Final = "A"  # https://www.postgresql.org/docs/current/catalog-pg-type.html#CATALOG-TYPCATEGORY-TABLE
# How values are written as text, whatever the server, the database or the user has as default. Only the text of `money`
# follows the database (`lc_monetary`): definitions read the notation that it has there.
_NOTATION: Final = (
    "SET LOCAL datestyle = 'ISO, YMD'",
    "SET LOCAL intervalstyle = 'postgres'",
    "SET LOCAL timezone = 'UTC'",
    "SET LOCAL extra_float_digits = 1",  # the shortest text that is exact
    "SET LOCAL client_encoding = 'UTF8'",
)


class PostgresqlReader(RowReader):
    """Reads PostgreSQL in one read-only snapshot."""

    options: Mapping[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    opening = _NOTATION  # the options make the transaction read-only
    _text = Scale.TEXT

    def __init__(self) -> None:
        super().__init__()
        self._arrays: set[str] = set()
        self._kinds: dict[str, str] = {}  # column -> its type by the name in `pg_type`

    def found(self, connection: Connection, statements: Statements) -> Iterable[tuple[str, Found]]:
        """The types of an empty result, by their names."""
        with _sent(connection, self._bound(connection, statements).columns()) as result:
            described = [(each[0], cast("int", each[1])) for each in result.cursor.description]
        numbers = sorted({number for _, number in described})
        asked = sa.text("SELECT oid, typname, typcategory FROM pg_catalog.pg_type WHERE oid = ANY(:numbers)")
        kinds = {int(row[0]): (str(row[1]), str(row[2])) for row in connection.execute(asked, {"numbers": numbers})}
        for name, number in described:
            kind, category = kinds.get(number, ("", ""))
            if category == _ARRAY:
                self._arrays.add(name)
            self._kinds[name] = kind
            yield name, of_postgresql(kind)

    def column(self, statements: Statements, name: str) -> sa.ColumnClause[Any]:  # noqa: ARG002 - as of any database
        """A column by the name in the description."""
        return exact(name)

    def load(
        self, connection: Connection, statements: Statements, columns: Mapping[str, TypedColumn], batches: Batches
    ) -> None:
        """Stream the rows; an array becomes a JSON text."""
        bound = self._bound(connection, statements)
        asked = bound.rows([_json(name) if name in self._arrays else exact(name) for name in columns])
        sql = f"COPY ({_written(connection, asked)}\n) TO STDOUT WITH (FORMAT csv, ENCODING 'UTF8')"
        driver: Any = connection.connection.driver_connection
        # Not by a cursor: with a stream, it searches for placeholders too.
        driver.execute_unnamed(sql, stream=batches)

    def values(self, connection: Connection, statements: Statements, name: str) -> sa.CursorResult[Any]:
        """The values of one column."""
        return _sent(connection, self._bound(connection, statements).rows([self.column(statements, name)]))

    def carried_out(self, connection: Connection, text: str, parameters: Mapping[str, Bound]) -> sa.CursorResult[Any]:
        """What a statement gives; its values are bound as settings of its transaction."""
        return _sent(connection, bound_text(text, parameters, partial(_setting, connection)))

    def _bound(self, connection: Connection, statements: Statements) -> Statements:
        return replace(statements, binder=partial(_setting, connection))

    def scale(self, name: str, column: TypedColumn, known: KnownColumn) -> Scale | None:
        """Of types that are read as text, only those of which a text with a greater character is a greater value."""
        scale, kind = super().scale(name, column, known), self._kinds.get(name, "")
        if scale is Scale.TEXT and kind and kind not in _TEXTS | _AS_TEXTS:
            raise unusable(f"{name} is of the type {kind}, whose texts are in another order than its values")
        return scale

    def past(self, name: str, scale: Scale) -> str:
        """See `RowReader.past`; texts are compared by characters, in whatever way the database orders them.

        A `real` is compared by the number that its text is, which is the watermark: 0.7 as `real` is a bit less.
        """
        kind = next((kind for each, kind in self._kinds.items() if quoted(each) == name), "")
        if kind in _AS_TEXTS:
            return super().past(f"CAST({name} AS text)", scale)
        if kind == _SINGLE:
            return super().past(f"CAST(CAST({name} AS text) AS double precision)", scale)
        return super().past(name, scale)

    def _compared(self, name: str, scale: Scale) -> str:
        return f'{name} COLLATE "C"' if scale is Scale.TEXT else name

    def canceller(self, connection: Connection) -> Callable[[], object] | None:
        """A second connection asks the server to stop it."""
        number = int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        engine = connection.engine

        def cancel() -> None:
            with engine.connect() as other:
                other.exec_driver_sql(f"SELECT pg_cancel_backend({number})")

        return cancel


def _sent(connection: Connection, statement: sa.Select[Any] | sa.TextClause) -> sa.CursorResult[Any]:
    """Send a statement whose values are in its text already.

    Beside bound values, pg8000 reads each % outside of quotes as a placeholder, as in `number % 2`; no text can be
    written for it that PostgreSQL gets unchanged, because %% stays as it is within quotes.
    """
    return connection.exec_driver_sql(_written(connection, statement))


def _written(connection: Connection, statement: sa.Select[Any] | sa.TextClause) -> str:
    # Only the number of rows is not in the text yet.
    return str(statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))


def _json(name: str) -> sa.ColumnElement[Any]:
    return sa.func.array_to_json(exact(name))


def _setting(connection: Connection, name: str, value: Bound) -> str:
    """Keep a value as a setting of the transaction, and give the SQL that reads it with its type."""
    kind = type_of(value).compile(connection.dialect)
    if value is None:
        return f"CAST(NULL AS {kind})"
    setting = f"dynamics_sync.{bound_name(name)}"
    asked = sa.text("SELECT set_config(:setting, :value, true)")
    connection.execute(asked, {"setting": setting, "value": str(value).lower() if value is True else str(value)})
    return f"CAST(current_setting('{setting}') AS {kind})"
