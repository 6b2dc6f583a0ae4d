"""Types of which a driver gives another value than the database holds, and how their values are asked for.

A floating-point number of 32 bits: MySQL writes it with six digits, so that 1234567 becomes 1234570; other drivers give
it as a number of 64 bits, so that 0.7 becomes 0.699999988079071. A moment: MySQL writes it in the time zone of the
session without saying so, and the driver of Oracle leaves its offset out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from shared.sources.watermarks.marks import nearest_single

__all__ = ["MYSQL", "WITHOUT_OFFSETS", "Form", "Moment", "Single", "asked", "form_of", "form_of_described"]

MYSQL: Final = frozenset({"mysql", "mariadb"})
"""The names of the dialects of MySQL: the second one is that of a URL which begins with `mariadb`."""
WITHOUT_OFFSETS: Final = MYSQL | {"oracle", "sqlite"}
"""Databases whose drivers leave out the offset of a moment that is bound."""
# The names of SQLAlchemy. `REAL` has 64 bits in MySQL and SQLite, and is decimal in Oracle.
_SINGLE: Final = {"mysql": "FLOAT", "mariadb": "FLOAT", "oracle": "BINARY_FLOAT", "mssql": "REAL", "postgresql": "REAL"}
# What a cursor says of a column: numbers of the protocol of MySQL and of `pg_type`, names of the driver of Oracle.
_SINGLE_CODES: Final = {("mysql", 4), ("mariadb", 4), ("postgresql", 700), ("oracle", "DB_TYPE_BINARY_FLOAT")}
_MOMENT_CODES: Final = {
    ("mysql", 7),
    ("mariadb", 7),
    ("oracle", "DB_TYPE_TIMESTAMP_TZ"),
    ("oracle", "DB_TYPE_TIMESTAMP_LTZ"),
}
_MOST_DECIMALS: Final = 30  # of `FLOAT(M, D)` in MySQL; the protocol says 31 where there is no such D


class Single(sa.types.TypeDecorator[float]):
    """A number of 32 bits, read as the one with the fewest digits that is the same in 32 bits.

    That is what was meant, and what PostgreSQL writes of a `real`.

    Args:
        decimals: How many the column is declared with, which MySQL can do: then with these, if that is the same.
    """

    impl = sa.types.NullType
    cache_ok = True

    def __init__(self, decimals: int | None = None) -> None:
        super().__init__()
        self.decimals = decimals

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:  # noqa: ARG002 - of any database
        """The number that is meant."""
        if not isinstance(value, float):
            return value
        single = nearest_single(value)
        declared = [] if self.decimals is None else [round(single, self.decimals)]
        near = (*declared, *(float(f"{single:.{digits}g}") for digits in (6, 7, 8, 9)))
        return next((each for each in near if nearest_single(each) == single), value)


class Moment(sa.types.TypeDecorator[dt.datetime]):
    """A point in time, which is asked for in UTC; days that Python does not have are texts, and stay so."""

    impl = sa.types.NullType
    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:  # noqa: ARG002 - of any database
        """The moment with its offset."""
        without_offset = isinstance(value, dt.datetime) and value.tzinfo is None
        return value.replace(tzinfo=dt.UTC) if without_offset else value


Form = Single | Moment


def form_of(kind: sa.types.TypeEngine[Any], dialect: str) -> Form | None:
    """The form of a reflected type; None for a type whose values the driver gives as they are.

    Args:
        kind: The type.
        dialect: The name of the database.
    """
    if _SINGLE.get(dialect) == kind.__visit_name__:
        return Single(getattr(kind, "scale", None) if dialect in MYSQL else None)
    with_zone = getattr(kind, "timezone", False) or getattr(kind, "local_timezone", False)
    if kind.__visit_name__ == "TIMESTAMP" and (dialect in MYSQL or (dialect == "oracle" and with_zone)):
        return Moment()
    return None


def form_of_described(column: Sequence[Any], dialect: str) -> Form | None:
    """The form of a column of a query; see `form_of`.

    Args:
        column: What the description of the cursor has of it, by PEP 249.
        dialect: The name of the database.
    """
    code = column[1] if isinstance(column[1], int) else getattr(column[1], "name", "")
    if (dialect, code) in _SINGLE_CODES:
        decimals = column[5] if dialect in MYSQL else None
        return Single(decimals if decimals is not None and decimals <= _MOST_DECIMALS else None)
    return Moment() if (dialect, code) in _MOMENT_CODES else None


def asked(column: sa.ColumnElement[Any], form: Form | None, dialect: str) -> sa.ColumnElement[Any]:
    """What is selected of a column, so that its values lose nothing.

    Args:
        column: The column.
        form: Of its values.
        dialect: The name of the database.
    """
    if isinstance(form, Single) and dialect in MYSQL:
        return sa.type_coerce(column.op("+")(sa.literal_column("0e0")), form)  # of 64 bits: with all digits
    if isinstance(form, Moment) and dialect == "oracle":
        return sa.type_coerce(sa.func.sys_extract_utc(column), form)
    return column if form is None else sa.type_coerce(column, form)
