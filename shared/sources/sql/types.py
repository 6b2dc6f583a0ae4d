"""The types of a database as types of a definition, and how their values are loaded.

Values are loaded as text unless every value of the type fits the type of DuckDB: a value that does not fit is then an
error of its row, by the same rules as in a text file.
"""

from __future__ import annotations

import datetime as dt
import decimal
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from shared.definitions.models import ColumnType
from shared.sources.typed import KnownColumn

__all__ = ["BINARY", "of_driver", "of_postgresql", "of_sqlalchemy", "of_sqlite", "unreadable"]

BINARY: Final = "binary"
Found = KnownColumn | str

_SQLALCHEMY: Final[tuple[tuple[type[Any], ColumnType | str], ...]] = (
    (sa.types.LargeBinary, BINARY),
    (sa.types._Binary, BINARY),  # noqa: SLF001 - the only base that BINARY, VARBINARY and BLOB of all dialects have
    (sa.types.Boolean, ColumnType.BOOL),
    (sa.types.Integer, ColumnType.NUMBER),
    (sa.types.Numeric, ColumnType.NUMBER),
    (sa.types.Float, ColumnType.NUMBER),
    (sa.types.DateTime, ColumnType.DATE),
    (sa.types.Date, ColumnType.DATE),
)
# Types of one database that are of no common kind: money of SQL Server, years and bits of MySQL.
_BY_NAME: Final[Mapping[str, ColumnType | str]] = {
    **dict.fromkeys(("MONEY", "SMALLMONEY", "YEAR"), ColumnType.NUMBER),
    "BIT": BINARY,
}
# The numbers of types in the protocol of MySQL: the drivers count some of them among none of the types of PEP 249.
# https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html
_MYSQL_DRIVERS: Final = frozenset({"pymysql", "MySQLdb", "mysql.connector"})
_MYSQL: Final[Mapping[int, ColumnType | str]] = {
    **dict.fromkeys((0, 1, 2, 3, 4, 5, 8, 9, 13, 246), ColumnType.NUMBER),
    **dict.fromkeys((7, 10, 12, 14), ColumnType.DATE),
    **dict.fromkeys((16, 255), BINARY),  # of bits and geometry; blobs have the numbers of texts
}
_PYTHON: Final[tuple[tuple[type[Any], ColumnType | str], ...]] = (
    (bool, ColumnType.BOOL),
    (int, ColumnType.NUMBER),
    (float, ColumnType.NUMBER),
    (decimal.Decimal, ColumnType.NUMBER),
    (dt.date, ColumnType.DATE),
    (dt.time, ColumnType.TEXT),
    (uuid.UUID, ColumnType.TEXT),
    (str, ColumnType.TEXT),
    (bytes, BINARY),
    (bytearray, BINARY),
    (memoryview, BINARY),
)
# The names of pg_type. Of numeric and float8 the text has every value: NaN and numbers with more than 38 digits too.
_POSTGRESQL: Final = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), KnownColumn(ColumnType.NUMBER, ColumnType.NUMBER, "BIGINT")),
    **dict.fromkeys(("numeric", "float4", "float8"), KnownColumn.as_text(ColumnType.NUMBER)),
    "bool": KnownColumn(ColumnType.BOOL, ColumnType.BOOL, "BOOLEAN"),
    "date": KnownColumn(ColumnType.DATE, ColumnType.DATE, "DATE"),
    "timestamp": KnownColumn(ColumnType.DATE, ColumnType.DATE, "TIMESTAMP"),
    "timestamptz": KnownColumn(ColumnType.DATE, ColumnType.DATE, "TIMESTAMP WITH TIME ZONE"),
}
# SQLite keeps any value in any column. What a column was declared as says what is meant:
# https://www.sqlite.org/datatype3.html#determination_of_column_affinity
_SQLITE: Final = (
    (r"BLOB|BINARY", BINARY),
    (r"BOOL", ColumnType.BOOL),
    (r"DATE|TIMESTAMP", ColumnType.DATE),
    (r"INT", ColumnType.NUMBER),
    (r"CHAR|CLOB|TEXT", ColumnType.TEXT),
    (r"REAL|FLOA|DOUB|NUM|DEC", ColumnType.NUMBER),
)


def unreadable(place: str, column: str) -> str:
    """Why a column cannot be read."""
    return f"{place}: the values of the column {column} are binary, and such values cannot be read"


def of_sqlalchemy(kind: sa.types.TypeEngine[Any]) -> Found:
    """What a reflected type is."""
    if (named := _BY_NAME.get(kind.__visit_name__)) and not isinstance(kind, sa.types.Boolean):
        return _found(named)
    return _found(next((meant for known, meant in _SQLALCHEMY if isinstance(kind, known)), ColumnType.TEXT))


def of_driver(code: Any, dbapi: Any) -> Found:
    """What the type code of a column is, by PEP 249; text if it is unknown.

    Args:
        code: What a cursor's description says: a Python type, or a code that equals a type object of the module.
        dbapi: The module of the driver.
    """
    if isinstance(code, type):
        return _found(next((meant for known, meant in _PYTHON if issubclass(code, known)), ColumnType.TEXT))
    if getattr(dbapi, "__name__", "") in _MYSQL_DRIVERS:
        return _found(_MYSQL.get(code, ColumnType.TEXT))  # a binary value of a blob is an error of its row
    for name, meant in (("DATETIME", ColumnType.DATE), ("NUMBER", ColumnType.NUMBER)):
        if code is not None and getattr(dbapi, name, None) == code:
            return KnownColumn.as_text(meant)
    return KnownColumn.as_text(ColumnType.TEXT)


def of_postgresql(name: str) -> Found:
    """What a type of PostgreSQL is, by its name in `pg_type`."""
    return BINARY if name == "bytea" else _POSTGRESQL.get(name, KnownColumn.as_text(ColumnType.TEXT))


def of_sqlite(declared: str) -> Found:
    """The declared type of a column of SQLite; text if there is none, as for an expression."""
    return _found(next((meant for words, meant in _SQLITE if re.search(words, declared.upper())), ColumnType.TEXT))


def _found(meant: ColumnType | str) -> Found:
    return KnownColumn.as_text(meant) if isinstance(meant, ColumnType) else meant


def refused_or_known(found: Iterable[tuple[str, Found]], place: str) -> Mapping[str, Found]:
    """Column -> what is known of it, or why it cannot be read. A name that is there twice cannot be read."""
    known: dict[str, Found] = {}
    for name, each in found:
        if name in known:
            known[name] = f"{place} has several columns {name}; give each another name in the query"
        else:
            known[name] = unreadable(place, name) if each == BINARY else each
    return known
