"""Values keep their types and all of their digits; a value that does not fit is an error of its row."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pytest

from shared.definitions.models import TypedColumn
from shared.errors import DefinitionError
from shared.sources import SourceContext, open_source
from shared.workspace import Workspace
from tests.postgresql.fixtures import Database
from tests.unit.sources.sql.reads import defined, read, sqlite_url

VALUES = """
SELECT 9223372036854775807::bigint AS whole, 12345678901234567890.123456789::numeric AS exact, 0.1::float8 AS ratio,
  1e-7::float4 AS small, date '2024-02-29' AS day, timestamp '2024-02-29 23:59:59.123456' AS local,
  timestamptz '2024-02-29 23:59:59+02' AS moment, true AS yes, 'O''Brien, "x"' || chr(13) || chr(10) || 'ü' AS name,
  '8f14e45f-ceea-467f-a0e6-0123456789ab'::uuid AS id, ARRAY['a', NULL] AS list, '{"a": [1, 2]}'::jsonb AS document,
  interval '1 day' AS span, NULL::int AS missing, '' AS empty
"""


def test_postgresql_gives_every_type_as_it_is(database: Database) -> None:
    """Numbers keep all digits, moments are in UTC, arrays are JSON; null and an empty text are null."""
    found, errors = read(database.url, query=VALUES)
    assert errors == []
    assert {name: values[0] for name, values in found.items()} == {
        "whole": Decimal(9223372036854775807),
        "exact": Decimal("12345678901234567890.1234567890"),
        "ratio": Decimal("0.1"),
        "small": Decimal("0.0000001"),
        "day": dt.datetime(2024, 2, 29),  # noqa: DTZ001 - the workspace has UTC without saying so
        "local": dt.datetime(2024, 2, 29, 23, 59, 59, 123456),  # noqa: DTZ001 - see above
        "moment": dt.datetime(2024, 2, 29, 21, 59, 59),  # noqa: DTZ001 - see above
        "yes": True,
        "name": 'O\'Brien, "x"\r\nü',
        "id": "8f14e45f-ceea-467f-a0e6-0123456789ab",
        "list": '["a",null]',
        "document": '{"a": [1, 2]}',
        "span": "1 day",
        "missing": None,
        "empty": None,
    }


def test_notation_does_not_depend_on_the_settings_of_the_user(database: Database) -> None:
    """A user may have another style of dates and intervals, another zone and fewer digits."""
    settings = ("datestyle = 'German'", "timezone = 'Asia/Tokyo'", "extra_float_digits = -15")
    for setting in (*settings, "intervalstyle = 'iso_8601'"):
        database.run(f"ALTER ROLE app IN DATABASE {database.name} SET {setting}")
    query = """
SELECT timestamptz '2024-02-03 00:00:00+00' AS moment, date '2024-02-03' AS day, 0.123456789::float8 AS part,
  interval '1 year 2 days 04:05:06' AS span, ARRAY[interval '1 day'] AS spans"""
    found, errors = read(database.url, query=query)
    assert errors == []
    moment = dt.datetime(2024, 2, 3)  # noqa: DTZ001 - the workspace has UTC without saying so
    assert found == {
        "moment": [moment],
        "day": [moment],
        "part": [Decimal("0.123456789")],
        "span": ["1 year 2 days 04:05:06"],
        "spans": ['["1 day"]'],
    }


@pytest.mark.parametrize(
    "value",
    [
        "'infinity'::date",
        "'-infinity'::timestamptz",
        "'0044-03-15 BC'::date",
        "'NaN'::numeric",
        "'Infinity'::float8",
        "timestamp '294276-12-31 23:59:59'",
        "1e60::numeric",
    ],
)
def test_a_value_that_fits_no_type_is_an_error_of_its_column(database: Database, value: str) -> None:
    """The other rows and the other columns are read."""
    query = f"SELECT 1 AS number, {value} AS value UNION ALL SELECT 2, NULL ORDER BY 1"
    found, errors = read(database.url, query=query, columns=[{"name": "number"}, {"name": "value", "validate": True}])
    assert found == {"number": [Decimal(1), Decimal(2)], "value": [None, None]}
    assert errors == []
    assert broken(database.url, query) == [1, 0]


def broken(url: str, query: str) -> list[int]:
    """The rules that each row breaks, as bits."""
    definition = defined(query=query)
    source = open_source(definition.source, SourceContext(secret=lambda _reference: url))
    from shared.sources import completed
    from shared.transform import shape_steps

    with Workspace.open() as workspace:
        whole = completed(definition, source, workspace)
        source.load(workspace)
        for step in shape_steps(whole):
            workspace.run(step)
        return [int(row[0] > 0) for row in workspace.query("SELECT COLUMNS('_broken.*') FROM shaped ORDER BY _row")]


def context_of(url: str) -> SourceContext:
    return SourceContext(secret=lambda _reference: url, parameters={"x": 1})


def test_an_empty_result_has_types(database: Database, tmp_path: Path) -> None:
    """A run without rows is planned with the same types."""
    database.run("CREATE TABLE t (a int, b numeric(10,2), c date, d boolean, e text[], f varchar(5))")
    url = sqlite_url(tmp_path, "CREATE TABLE t (a int, b numeric(10,2), c date, d boolean, e json, f varchar(5))")
    expected = ["number", "number", "date", "bool", "text", "text"]
    for address in (database.url, url):
        for keys in ({"table": "t"}, {"query": "SELECT * FROM t WHERE a = @x"}):
            definition = defined(**keys)
            context = context_of(address)
            with Workspace.open() as workspace:
                columns = open_source(definition.source, context).columns(workspace)
            assert [column.type for column in columns] == expected
            assert all(isinstance(column, TypedColumn) for column in columns)


def test_sqlite_values_are_read_in_the_declared_type(tmp_path: Path) -> None:
    """A column may have any value: one that does not fit its declaration is read by the rules of text."""
    url = sqlite_url(
        tmp_path,
        "CREATE TABLE t (number integer, amount decimal, since date, moment timestamp, active boolean, other)",
        "INSERT INTO t VALUES (1, 0.1, '2024-01-31', '2024-01-31 10:00:00+02:00', 1, 'x'), (2, 1e300, 'soon', 5, 'no', 7)",
    )
    found, _ = read(url, table="t")
    assert found["number"] == [Decimal(1), Decimal(2)]
    assert found["amount"] == [Decimal("0.1"), None]
    assert [str(value) for value in found["since"]] == ["2024-01-31 00:00:00", "None"]
    assert [str(value) for value in found["moment"]] == ["2024-01-31 08:00:00", "None"]
    assert found["active"] == [True, False]
    assert found["other"] == ["x", "7"]


def test_the_definition_says_the_type_of_an_expression_of_sqlite(tmp_path: Path) -> None:
    """An expression has no declared type and is text, unless the definition gives it a type."""
    url = sqlite_url(tmp_path, "CREATE TABLE t (a integer)", "INSERT INTO t VALUES (20)")
    assert read(url, query="SELECT a, a + 1 AS b FROM t")[0] == {"a": [Decimal(20)], "b": ["21"]}
    columns = [{"name": "b", "type": "number"}]
    assert read(url, query="SELECT a, a + 1 AS b FROM t", columns=columns)[0] == {"b": [Decimal(21)]}


def test_bad_rows_are_reported_and_the_others_are_read(tmp_path: Path) -> None:
    """A NUL, a binary value and a text that is not UTF-8 each reject one row, whose number is reported."""
    rows = "(1, 'a'), (2, 'b' || char(0)), (3, x'00ff'), (4, CAST(x'ff' AS text)), (5, 'e')"
    url = sqlite_url(tmp_path, "CREATE TABLE t (number integer, name text)", f"INSERT INTO t VALUES {rows}")
    found, errors = read(url, table="t")
    assert found == {"number": [Decimal(1), Decimal(5)], "name": ["a", "e"]}
    said = ["contains the character NUL", "is binary", "is not UTF-8"]
    assert [(row[0], row[2]) for row in errors] == [(n, "Malformed Row") for n in (2, 3, 4)]
    assert all(words in row[3] for words, row in zip(said, errors, strict=True))


def test_binary_columns_are_refused_by_name_unless_others_are_named(database: Database, tmp_path: Path) -> None:
    """The message says what to do; with columns, the others are read."""
    database.run("CREATE TABLE t (number int, photo bytea)", "INSERT INTO t VALUES (1, '\\x00')")
    url = sqlite_url(tmp_path, "CREATE TABLE t (number int, photo blob)", "INSERT INTO t VALUES (1, x'00')")
    for address in (database.url, url):
        with pytest.raises(DefinitionError, match=r"column photo are binary.*name the columns to read"):
            read(address, table="t")
        assert read(address, table="t", columns=[{"name": "number"}])[0] == {"number": [Decimal(1)]}


def test_expressions_can_read_documents(database: Database) -> None:
    """JSON and arrays are text for expressions."""
    columns = [{"name": "doc"}, {"name": "city", "formula": "doc->>'$.city'"}]
    found, _ = read(database.url, query="""SELECT json_build_object('city', 'Köln') AS doc""", columns=columns)
    assert found["city"] == ["Köln"]
    assert json.loads(found["doc"][0]) == {"city": "Köln"}


def test_names_are_compared_without_case(database: Database) -> None:
    """A quoted name in the database is found too; two columns with one name are refused."""
    database.run('CREATE TABLE t ("Customer No" int, "select" text)', "INSERT INTO t VALUES (7, 'x')")
    columns = [{"name": "customer no", "alias": "number"}, {"name": "select"}]
    assert read(database.url, table="t", columns=columns)[0] == {"number": [Decimal(7)], "select": ["x"]}
    with pytest.raises(DefinitionError, match="several columns a; give each another name"):
        read(database.url, query="SELECT 1 AS a, 2 AS a")
