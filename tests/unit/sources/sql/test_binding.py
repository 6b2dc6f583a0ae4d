"""Parameters are bound values in every database, and statements are written in its dialect."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.definitions.models import ParameterValue
from shared.errors import UserError
from shared.sources.sql.readers import exact
from shared.sources.sql.statements import Statements, type_of
from tests.postgresql.fixtures import Database
from tests.unit.sources.sql.reads import read, sqlite_url

DIALECTS = {
    "mssql": "mssql+pyodbc",
    "mysql": "mysql+pymysql",
    "oracle": "oracle+oracledb",
    "postgresql": "postgresql+pg8000",
    "sqlite": "sqlite",
}
ROWS = {
    "mssql": "SELECT [No], [order] FROM sales.[Customers] WHERE (changed > :p_since)",
    "mysql": "SELECT `No`, `order` FROM sales.`Customers` WHERE (changed > %s)",
    "oracle": 'SELECT "No", "order" FROM sales."Customers" WHERE (changed > :p_since)',
    "postgresql": 'SELECT "No", "order" FROM sales."Customers" WHERE (changed > %s::TIMESTAMP WITHOUT TIME ZONE)',
    "sqlite": 'SELECT "No", "order" FROM sales."Customers" WHERE (changed > ?)',
}
QUERIES = {
    "mssql": "SELECT * FROM (SELECT a FROM t WHERE b LIKE '%:x@y' ) AS source_query WHERE (1 = 0)",
    "mysql": "SELECT * FROM (SELECT a FROM t WHERE b LIKE '%%:x@y' ) AS source_query WHERE (1 = 0)",
    "oracle": "SELECT * FROM (SELECT a FROM t WHERE b LIKE '%:x@y' ) source_query WHERE (1 = 0)",
    "postgresql": "SELECT * FROM (SELECT a FROM t WHERE b LIKE '%:x@y' ) AS source_query WHERE (1 = 0)",
    "sqlite": "SELECT * FROM (SELECT a FROM t WHERE b LIKE '%:x@y' ) AS source_query WHERE (1 = 0)",
}


def compiled(statement: sa.Select[tuple[object]], name: str) -> str:
    dialect = sa.make_url(f"{DIALECTS[name]}://h/d").get_dialect()()
    return " ".join(str(statement.compile(dialect=dialect)).split()).replace(" )", ")") if name else ""


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_table_and_its_filter_are_written_for_each_database(name: str) -> None:
    """Names that need quotes have those of the database, and the value is bound."""
    moment = dt.datetime(2024, 1, 31)  # noqa: DTZ001 - a moment without a zone
    asked = Statements(table="sales.Customers", conditions=("changed > @since",), parameters={"since": moment})
    statement = asked.rows([exact("No"), exact("order")])
    assert compiled(statement, name) == ROWS[name]
    assert statement.compile().params == {"p_since": moment}


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_query_is_a_subquery_in_each_database(name: str) -> None:
    """A colon, a percent sign and an address in a text stay the same, and no row is read."""
    asked = Statements(query="SELECT a FROM t WHERE b LIKE '%:x@y'")
    assert compiled(asked.columns(), name).replace("@y')", "@y' )") == QUERIES[name]


VALUES: list[tuple[ParameterValue | Decimal, str]] = [
    (True, "BOOLEAN"),
    (5, "BIGINT"),
    (0.5, "DOUBLE PRECISION"),
    (Decimal("0.1"), "NUMERIC"),
    ("text", "VARCHAR"),
    (None, "VARCHAR"),
    (dt.date(2024, 1, 31), "DATE"),
    (dt.datetime(2024, 1, 31, tzinfo=dt.UTC), "TIMESTAMP WITH TIME ZONE"),
]


@pytest.mark.parametrize(("value", "expected"), VALUES)
def test_a_value_is_bound_with_its_type(value: ParameterValue, expected: str) -> None:
    """A number stays a number, and a moment stays with or without a zone."""
    dialect = sa.make_url("postgresql+pg8000://h/d").get_dialect()()
    assert type_of(value).compile(dialect) == expected


@pytest.mark.parametrize("name", ["mysql", "oracle", "postgresql", "sqlite"])
def test_a_moment_is_bound_in_utc_where_the_driver_leaves_its_offset_out(name: str) -> None:
    """Elsewhere it keeps its offset."""
    moment = dt.datetime(2024, 1, 31, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    dialect = sa.make_url(f"{DIALECTS[name]}://h/d").get_dialect()()
    process = type_of(moment).dialect_impl(dialect).bind_processor(dialect)
    sent = process(moment) if process else moment
    utc = dt.datetime(2024, 1, 31, 10)  # noqa: DTZ001 - the session has UTC
    assert sent == {"postgresql": moment, "sqlite": f"{utc}.000000"}.get(name, utc)


HOSTILE = "x'; DROP TABLE t; -- \\ %s :p \" ü"


def test_a_value_is_never_text_of_the_statement(database: Database, tmp_path: Path) -> None:
    """A parameter that looks like SQL finds the row that has this text."""
    table = "CREATE TABLE t (number integer, name text)"
    insert = f"""INSERT INTO t VALUES (1, '{HOSTILE.replace("'", "''")}'), (2, 'y')"""
    database.run(table, insert)
    for url in (database.url, sqlite_url(tmp_path, table, insert)):
        for keys in (
            {"table": "t", "filter": "name = @name"},
            {"query": "SELECT * FROM t WHERE name = @name -- the end"},
            {"query": "SELECT * FROM t;", "filter": "name = @name /* @other */ OR name = '@name'"},
        ):
            found, _ = read(url, {"name": HOSTILE}, columns=[{"name": "number"}], **keys)
            assert found == {"number": [Decimal(1)]}


def test_every_type_of_parameter_reaches_postgresql(database: Database) -> None:
    """Each value is compared in its own type."""
    moment = dt.datetime(2024, 1, 31, 12, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    values: dict[str, ParameterValue] = {
        "whole": 5,
        "part": 0.5,
        "yes": True,
        "no": False,
        "day": dt.date(2024, 1, 31),
        "moment": moment,
        "none": None,
    }
    condition = (
        "5 = @whole AND 0.5 = @part AND @yes AND NOT @no AND date '2024-01-31' = @day AND @none IS NULL "
        "AND timestamptz '2024-01-31 10:30+00' = @moment AND '12:30' <> '5:x' AND 'a%' LIKE 'a%' AND 7 % 4 = 3"
    )
    assert read(database.url, values, query="SELECT 1 AS number", filter=condition)[0] == {"number": [Decimal(1)]}
    query = f"SELECT 1 AS number WHERE {condition} AND '%s' <> '%(x)s'"
    assert read(database.url, values, query=query)[0] == {"number": [Decimal(1)]}


@pytest.mark.parametrize("parameters", [{}, {"two": 2}])
def test_postgresql_gets_percent_signs_as_they_are_written(
    database: Database, parameters: dict[str, ParameterValue]
) -> None:
    """Within texts and names as outside of them, and beside a parameter too."""
    database.run(
        'CREATE TABLE "t%x" (number int, rate text, "rebate_%" text)',
        "INSERT INTO \"t%x\" VALUES (1, '50%', 'a%%b'), (2, '20%', '%s')",
    )
    odd = "number % @two = 1" if parameters else "number % 2 = 1"
    columns = [{"name": "number"}, {"name": "rebate_%", "alias": "rebate"}]
    for condition, number, rebate in (
        ("rate = '50%'", 1, "a%%b"),
        ("rate <> '50%'", 2, "%s"),
        ("replace(\"rebate_%\", '%', '') = 'ab'", 1, "a%%b"),
    ):
        keys = {"table": "t%x", "columns": columns, "filter": f"{condition} AND ({odd} OR number = 2)"}
        assert read(database.url, parameters, **keys)[0] == {"number": [Decimal(number)], "rebate": [rebate]}
    query = (
        f"SELECT format('%s!', number) AS a, split_part(rate, '%', 1) AS b, $$c%d$$ AS c, E'it\\'s %' AS d, "
        f"'%s %% %(x)s' AS e, 7 % 4 AS f /* 5 % 3 */ FROM \"t%x\" WHERE {odd} -- 5 % 3"
    )
    assert [values for (values,) in read(database.url, parameters, query=query)[0].values()] == [
        "1!",
        "50",
        "c%d",
        "it's %",
        "%s %% %(x)s",
        Decimal(3),
    ]


def test_a_parameter_names_the_table(database: Database) -> None:
    """The name is quoted as a whole and cannot end the statement."""
    database.run("CREATE SCHEMA s", "CREATE TABLE s.t AS SELECT 1 AS number")
    assert read(database.url, {"name": "s.t"}, table="@name")[0] == {"number": [Decimal(1)]}
    with pytest.raises(UserError, match="does not exist"):
        read(database.url, {"name": 't"; DROP TABLE s.t; --'}, table="@name")
    assert database.run("SELECT count(*) FROM s.t") == [(1,)]
