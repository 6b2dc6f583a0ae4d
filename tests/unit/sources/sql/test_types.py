"""Types of databases that have no server in the tests: as SQLAlchemy and the drivers name them."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import oracledb
import pymysql  # type: ignore[import-untyped]  # it ships no types
import pytest
import sqlalchemy as sa
from pymysql.constants import FIELD_TYPE  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy.dialects import mssql, mysql, oracle

from shared.definitions.models import ColumnType, TypedColumn
from shared.sources.sql.postgresql import PostgresqlReader
from shared.sources.sql.readers import RowReader, SqliteReader
from shared.sources.sql.statements import Statements
from shared.sources.sql.types import BINARY, of_driver, of_sqlalchemy, of_sqlite
from shared.sources.typed import KnownColumn
from shared.sources.watermarks.marks import Scale

TEXT, NUMBER, DATE, BOOL = ColumnType.TEXT, ColumnType.NUMBER, ColumnType.DATE, ColumnType.BOOL

NUMBERS_OF_MYSQL = [
    getattr(FIELD_TYPE, name)
    for name in ("TINY", "SHORT", "INT24", "LONG", "LONGLONG", "DECIMAL", "NEWDECIMAL", "FLOAT", "DOUBLE", "YEAR")
]


def meant(found: KnownColumn | str) -> ColumnType | str:
    return found.type if isinstance(found, KnownColumn) else found


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (mssql.BIT(), BOOL),
        (mssql.MONEY(), NUMBER),
        (mssql.UNIQUEIDENTIFIER(), TEXT),
        (mssql.DATETIME2, DATE),
        (mssql.DATETIMEOFFSET, DATE),
        (mssql.ROWVERSION, BINARY),
        (mssql.VARBINARY, BINARY),
        (mssql.NVARCHAR(), TEXT),
        (mysql.BIGINT(unsigned=True), NUMBER),
        (mysql.DECIMAL(), NUMBER),
        (mysql.DOUBLE(), NUMBER),
        (mysql.YEAR(), NUMBER),
        (mysql.DATETIME(), DATE),
        (mysql.TIMESTAMP(), DATE),
        (mysql.TIME(), TEXT),
        (mysql.LONGTEXT(), TEXT),
        (mysql.LONGBLOB(), BINARY),
        (mysql.BIT(), BINARY),
        (mysql.JSON(), TEXT),
        (mysql.ENUM("a"), TEXT),
        (oracle.NUMBER, NUMBER),
        (oracle.BINARY_DOUBLE(), NUMBER),
        (oracle.DATE(), DATE),
        (oracle.TIMESTAMP(timezone=True), DATE),
        (oracle.VARCHAR2(), TEXT),
        (oracle.CLOB(), TEXT),
        (oracle.RAW(), BINARY),
        (oracle.BLOB(), BINARY),
        (sa.types.NullType(), TEXT),
    ],
    ids=repr,
)
def test_a_column_of_a_table_has_the_type_of_the_catalogue(
    kind: sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]], expected: ColumnType | str
) -> None:
    """Also types that only one database has; an unknown type is text."""
    assert meant(of_sqlalchemy(sa.types.to_instance(kind))) == expected


@pytest.mark.parametrize(
    ("code", "dbapi", "expected"),
    [
        *((code, pymysql, NUMBER) for code in NUMBERS_OF_MYSQL),
        (FIELD_TYPE.TIMESTAMP, pymysql, DATE),
        (FIELD_TYPE.DATETIME, pymysql, DATE),
        (FIELD_TYPE.DATE, pymysql, DATE),
        (FIELD_TYPE.NEWDATE, pymysql, DATE),
        (FIELD_TYPE.TIME, pymysql, TEXT),
        (FIELD_TYPE.JSON, pymysql, TEXT),
        (FIELD_TYPE.BIT, pymysql, BINARY),
        (FIELD_TYPE.GEOMETRY, pymysql, BINARY),
        (FIELD_TYPE.VAR_STRING, pymysql, TEXT),
        (FIELD_TYPE.BLOB, pymysql, TEXT),
        (oracledb.DB_TYPE_NUMBER, oracledb, NUMBER),
        (oracledb.DB_TYPE_DATE, oracledb, DATE),
        (oracledb.DB_TYPE_TIMESTAMP_TZ, oracledb, DATE),
        (oracledb.DB_TYPE_VARCHAR, oracledb, TEXT),
        (bool, None, BOOL),
        (int, None, NUMBER),
        (decimal.Decimal, None, NUMBER),
        (dt.datetime, None, DATE),
        (str, None, TEXT),
        (bytes, None, BINARY),
        (object, None, TEXT),
        (None, None, TEXT),
    ],
    ids=repr,
)
def test_a_column_of_a_query_has_the_type_of_the_driver(code: Any, dbapi: Any, expected: ColumnType | str) -> None:
    """By type objects of PEP 249 or Python types."""
    assert meant(of_driver(code, dbapi)) == expected


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("BIGINT", NUMBER),
        ("decimal(10, 2)", NUMBER),
        ("REAL", NUMBER),
        ("Date", DATE),
        ("TIMESTAMP", DATE),
        ("boolean", BOOL),
        ("VARCHAR(10)", TEXT),
        ("", TEXT),
        ("JSON", TEXT),
        ("BLOB", BINARY),
    ],
)
def test_a_column_of_sqlite_has_its_declared_type(declared: str, expected: ColumnType | str) -> None:
    """Case does not matter; a column without a type is text."""
    assert meant(of_sqlite(declared)) == expected


def test_a_name_of_a_table_in_oracle_is_written_as_sqlalchemy_expects_it() -> None:
    """`number` means `NUMBER`, and a name of a query stays the same."""
    dialect = sa.make_url("oracle+oracledb://h/d").get_dialect()()
    table, query = Statements(table="t"), Statements(query="SELECT 1")
    written = [str(RowReader().column(asked, "amount").compile(dialect=dialect)) for asked in (table, query)]
    assert written == ["amount", '"amount"']


@pytest.mark.parametrize(
    ("reader", "known", "own", "expected"),
    [
        (RowReader(), NUMBER, NUMBER, Scale.NUMBER),
        (RowReader(), DATE, TEXT, Scale.TIME),
        (RowReader(), TEXT, NUMBER, Scale.COLLATED),
        (PostgresqlReader(), TEXT, TEXT, Scale.TEXT),
        (RowReader(), BOOL, BOOL, None),
        (SqliteReader(), DATE, DATE, Scale.TEXT),
        (SqliteReader(), TEXT, NUMBER, Scale.NUMBER),
        (SqliteReader(), BOOL, BOOL, None),
    ],
)
def test_the_order_of_a_watermark_follows_the_type(
    reader: RowReader, known: ColumnType, own: ColumnType, expected: Scale | None
) -> None:
    """In SQLite a date is compared as text, and the definition gives the type of an expression."""
    column = TypedColumn(name="c", type=own, raw=ColumnType.TEXT, sql_type="VARCHAR")
    assert reader.scale("c", column, KnownColumn.as_text(known)) is expected


PAST = {
    "mssql+pyodbc": "SELECT [a] FROM t WHERE ([changed] >= :p_dynamics_sync_watermark OR [changed] IS NULL )",
    "mysql+pymysql": "SELECT `a` FROM t WHERE (`changed` >= %s OR `changed` IS NULL )",
    "oracle+oracledb": 'SELECT "a" FROM t WHERE ("changed" >= :p_dynamics_sync_watermark OR "changed" IS NULL )',
}


@pytest.mark.parametrize("driver", sorted(PAST))
def test_a_watermark_is_a_bound_value_in_each_database(driver: str) -> None:
    """Rows without a value are read too."""
    dialect = sa.make_url(f"{driver}://h/d").get_dialect()()
    names = [str(sa.column(sa.sql.quoted_name("changed", quote=True)).compile(dialect=dialect))]
    moment = dt.datetime(2024, 1, 31)  # noqa: DTZ001 - a moment without a zone
    asked = Statements(table="t").also(RowReader().past(names[0], Scale.TIME), dynamics_sync_watermark=moment)
    statement = asked.rows([sa.column(sa.sql.quoted_name("a", quote=True))])
    compiled = statement.compile(dialect=dialect)
    assert " ".join(str(compiled).split()) == PAST[driver]
    assert list(compiled.params.values()) == [moment]
