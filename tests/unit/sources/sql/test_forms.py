"""Types whose values a driver gives otherwise than the database holds them."""

from __future__ import annotations

import datetime as dt
import math
import struct

import oracledb
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy.dialects import mssql, mysql, oracle

from shared.sources.sql.forms import Moment, Single, asked, form_of, form_of_described
from shared.sources.sql.readers import exact

ANY = sa.make_url("mysql+pymysql://h/d").get_dialect()()


def read(value: float, decimals: int | None = None) -> float:
    found = Single(decimals).process_result_value(value, ANY)
    assert isinstance(found, float)
    return found


@pytest.mark.parametrize(
    ("kind", "dialect", "single"),
    [
        (mysql.FLOAT(), "mysql", True),
        (mysql.FLOAT(), "mariadb", True),
        (mysql.DOUBLE(), "mysql", False),
        (sa.types.to_instance(mssql.REAL), "mssql", True),
        (sa.types.Float(53), "mssql", False),
        (sa.types.REAL(), "postgresql", True),
        (oracle.BINARY_FLOAT(), "oracle", True),
        (sa.types.REAL(), "oracle", False),  # a decimal number
        (sa.types.REAL(), "sqlite", False),  # of 64 bits
    ],
    ids=repr,
)
def test_a_number_of_32_bits_is_known_by_the_catalogue(
    kind: sa.types.TypeEngine[object], dialect: str, *, single: bool
) -> None:
    """`REAL` and `FLOAT` mean something else in each database."""
    assert isinstance(form_of(kind, dialect), Single) is single


@pytest.mark.parametrize(
    ("code", "dialect", "single"),
    [
        (FIELD_TYPE.FLOAT, "mysql", True),
        (FIELD_TYPE.FLOAT, "mariadb", True),
        (FIELD_TYPE.DOUBLE, "mysql", False),
        (oracledb.DB_TYPE_BINARY_FLOAT, "oracle", True),
        (oracledb.DB_TYPE_BINARY_DOUBLE, "oracle", False),
        (700, "postgresql", True),
        (float, "mssql", False),
        (None, "mssql", False),
    ],
    ids=repr,
)
def test_a_number_of_32_bits_is_known_by_the_driver(code: object, dialect: str, *, single: bool) -> None:
    """Of a query, where the driver says it."""
    assert isinstance(form_of_described(("a", code, None, None, None, 31, True), dialect), Single) is single


@given(st.floats(width=32, allow_nan=False))
def test_a_number_of_32_bits_stays_the_same(value: float) -> None:
    """The number that is read has at most nine digits, and is the same in 32 bits."""
    near = read(value)
    if math.isinf(value):
        assert near == value
        return
    assert struct.pack("f", near) == struct.pack("f", value)
    assert len(f"{near:e}".rstrip("0")) <= len("-1.23456789e-38")


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [
        (0.699999988079071, None, 0.7),
        (16777216.0, None, 16777216.0),
        (1234567.875, None, 1234567.9),
        (1234567.875, 2, 1234567.88),
        (1234567.875, 0, 1234567.9),
        (float("inf"), None, float("inf")),
    ],
)
def test_the_number_that_was_meant_is_read(value: float, decimals: int | None, expected: float) -> None:
    """The fewest digits, or the decimals that the column has, if they are the same number."""
    assert read(value, decimals) == expected


def test_only_mysql_is_asked_for_another_number() -> None:
    """Other drivers give a number of 64 bits by themselves."""
    for driver, expected in (("mysql+pymysql", "`a` + 0e0"), ("mssql+pyodbc", "[a]"), ("oracle+oracledb", '"a"')):
        dialect = sa.make_url(f"{driver}://h/d").get_dialect()()
        written = str(asked(exact("a"), Single(), dialect.name).compile(dialect=dialect))
        assert written == expected
    assert Single().process_result_value(None, ANY) is None


@pytest.mark.parametrize(
    ("kind", "code", "dialect", "moment"),
    [
        (mysql.TIMESTAMP(), FIELD_TYPE.TIMESTAMP, "mysql", True),
        (mysql.TIMESTAMP(), FIELD_TYPE.TIMESTAMP, "mariadb", True),
        (mysql.DATETIME(), FIELD_TYPE.DATETIME, "mysql", False),
        (oracle.TIMESTAMP(timezone=True), oracledb.DB_TYPE_TIMESTAMP_TZ, "oracle", True),
        (oracle.TIMESTAMP(local_timezone=True), oracledb.DB_TYPE_TIMESTAMP_LTZ, "oracle", True),
        (oracle.TIMESTAMP(), oracledb.DB_TYPE_TIMESTAMP, "oracle", False),
        (oracle.DATE(), oracledb.DB_TYPE_DATE, "oracle", False),
    ],
    ids=repr,
)
def test_a_moment_is_known_by_the_catalogue_and_by_the_driver(
    kind: sa.types.TypeEngine[object], code: object, dialect: str, *, moment: bool
) -> None:
    """A time without a zone is none."""
    described = form_of_described(("a", code, None, None, None, 0, True), dialect)
    assert [isinstance(each, Moment) for each in (form_of(kind, dialect), described)] == [moment, moment]


def test_a_moment_of_oracle_is_asked_for_in_utc() -> None:
    """Its driver gives the time of another zone without the offset."""
    dialect = sa.make_url("oracle+oracledb://h/d").get_dialect()()
    assert str(asked(exact("a"), Moment(), dialect.name).compile(dialect=dialect)) == 'sys_extract_utc("a")'


def test_a_moment_gets_its_offset() -> None:
    """One that has an offset keeps it, and a text stays."""
    without = dt.datetime(2024, 1, 31, 10)  # noqa: DTZ001 - what the driver gives
    own = dt.datetime(2024, 1, 31, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    found = [Moment().process_result_value(each, ANY) for each in (without, own, "0000-00-00 00:00:00", None)]
    assert [str(each) for each in found] == [
        "2024-01-31 10:00:00+00:00",
        "2024-01-31 12:00:00+02:00",
        "0000-00-00 00:00:00",
        "None",
    ]
