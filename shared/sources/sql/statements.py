"""The statements that are sent: identifiers are quoted by the dialect, and a parameter is always a bound value."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.sql.expression import FromClause, TableClause

from shared.definitions.models import ParameterValue, SqlSource
from shared.definitions.models.base import Language
from shared.definitions.models.database_sql import statement
from shared.definitions.models.names import ParameterReference, replaced
from shared.definitions.parameters import in_text
from shared.definitions.parameters.values import value_of
from shared.sources.sql.forms import WITHOUT_OFFSETS

__all__ = ["Binder", "Bound", "Statements", "bound_name", "bound_text", "table_of", "type_of"]

Bound = ParameterValue | Decimal
Binder = Callable[[str, Bound], str]
_ALIAS: Final = "source_query"
_NOTHING: Final = "1 = 0"
_SQLITE_WHOLE: Final = 2**63  # whole numbers from here on are REAL in SQLite (SQLite, "Datatypes")


def type_of(value: Bound) -> sa.types.TypeEngine[Any]:
    """The SQL type that a value is bound with."""
    match value:
        case bool():
            return sa.Boolean()
        case int():
            return sa.BigInteger()
        case float():
            return sa.Double()
        case Decimal():
            return _Exact()
        case dt.datetime():
            return sa.DateTime() if value.tzinfo is None else _Moment()
        case dt.date():
            return sa.Date()
    return sa.String()


class _Exact(sa.types.TypeDecorator[Decimal]):
    """A decimal number; SQLite has none, and gets the number that it would have kept."""

    impl = sa.Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return sa.types.NullType() if dialect.name == "sqlite" else sa.Numeric()

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        if dialect.name != "sqlite" or value is None:
            return value
        return int(value) if abs(value) < _SQLITE_WHOLE and value == value.to_integral_value() else float(value)


class _Moment(sa.types.TypeDecorator[dt.datetime]):
    """A moment with its offset, or in UTC where the driver leaves the offset out: what has none is read as UTC."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return sa.DateTime(timezone=dialect.name not in WITHOUT_OFFSETS)

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        if dialect.name not in WITHOUT_OFFSETS or value is None:
            return value
        return value.astimezone(dt.UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """What is asked of a table or query.

    Attributes:
        table: The table, perhaps with its schema; None for a query.
        query: The query; None for a table.
        conditions: Of the rows, in the SQL of the database; all must hold.
        parameters: What `@name` stands for.
        binder: SQL of a value, for statements that cannot have bound values; None to bind values.
        most: How many rows are read; None for all.
    """

    table: str | None = None
    query: str | None = None
    conditions: tuple[str, ...] = ()
    parameters: Mapping[str, Bound] = field(default_factory=dict)
    binder: Binder | None = None
    most: int | None = None

    @classmethod
    def of(cls, source: SqlSource, parameters: Mapping[str, ParameterValue], most: int | None = None) -> Statements:
        """The statements of a source.

        Raises:
            UserError: A parameter of the table's name has no value.
        """
        return cls(
            table=in_text(source.table, parameters) if source.table else None,
            query=statement(source.query) if source.query else None,
            conditions=(source.filter,) if source.filter else (),
            parameters=parameters,
            most=most,
        )

    @property
    def name(self) -> str:
        """The table or the query, as messages show it."""
        return f"the table {self.table}" if self.table else "the query"

    def also(self, condition: str, **values: Bound) -> Statements:
        """The same with one more condition, whose `@name` stand for the values."""
        return replace(self, conditions=(*self.conditions, condition), parameters={**self.parameters, **values})

    def columns(self) -> sa.Select[Any]:
        """Every column, and no row."""
        return self._selected([sa.text("*")], [*self.conditions, _NOTHING])

    def rows(self, columns: Sequence[sa.ColumnElement[Any]]) -> sa.Select[Any]:
        """The values of columns; the limit is written as the dialect has it."""
        return self._selected(columns, self.conditions).limit(self.most)

    def _selected(self, columns: Sequence[Any], conditions: Sequence[str]) -> sa.Select[Any]:
        asked: sa.Select[Any] = sa.select(*columns).select_from(self._from())
        # Brackets on lines of their own: a comment at the end of a condition or query ends before them.
        return asked.where(*(self._text(f"({condition}\n)") for condition in conditions))

    def _from(self) -> FromClause:
        if self.table is not None:
            return table_of(self.table)
        # Columns are not named here: `columns` asks for them.
        return self._text(f"{self.query or ''}\n").columns(sa.column("*")).subquery(_ALIAS)

    def _text(self, text: str) -> sa.TextClause:
        return bound_text(text, self.parameters, self.binder)


def table_of(name: str) -> TableClause:
    """A table by its name, with or without its schema."""
    schema, _, own = name.rpartition(".")
    return sa.table(own, schema=schema or None)


def bound_text(text: str, parameters: Mapping[str, Bound], binder: Binder | None = None) -> sa.TextClause:
    """A text of the definition, with `@name` as bound values.

    Raises:
        UserError: A parameter has no value.
    """
    used: dict[str, Bound] = {}

    def by(found: ParameterReference) -> str:
        used[found.name] = value_of(found.name, parameters)  # type: ignore[arg-type]  # a watermark may be a decimal
        return f"\0{found.name}\0"

    # A colon of the text would otherwise begin a bound value of SQLAlchemy.
    parts = [part.replace(":", r"\:") for part in replaced(text, by, Language.DATABASE).split("\0")]
    for place in range(1, len(parts), 2):
        name = parts[place]
        parts[place] = binder(name, used[name]).replace(":", r"\:") if binder else f":{bound_name(name)}"
    written = sa.text("".join(parts))
    if binder:
        return written
    return written.bindparams(*(sa.bindparam(bound_name(name), value, type_of(value)) for name, value in used.items()))


def bound_name(name: str) -> str:
    """What SQLAlchemy calls a value; a figure of the run has a dot in its name."""
    return f"figure_{name.replace('.', '_')}" if "." in name else f"p_{name}"
