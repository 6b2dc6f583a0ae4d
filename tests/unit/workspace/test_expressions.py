"""The sandbox of user expressions."""

from __future__ import annotations

import pytest

from shared.errors import DefinitionError
from shared.workspace import Workspace, checked, parsed

NAMES = ("revenue", "Customer No", "number", "Active", "street", "city", "source.revenue", "target.name", "order")


def sql(text: str) -> str:
    return checked(text, names=NAMES, origin="source.filter")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("revenue > 1e6", "(revenue > 1e6)"),
        ("ISNULL(city, 'x')", "COALESCE(city, 'x')"),
        ("HASH('SHA256', revenue)", "sha256(CAST(revenue AS VARCHAR))"),
        ("hash('sha-1', city)", "sha1(CAST(city AS VARCHAR))"),
        ("ROW_NUMBER()", "_row"),
        ("concat(street, ' ', city)", "concat(street, ' ', city)"),
        ("abs(@limit)", "abs(getvariable('p_limit'))"),
        ("target.name is null", '(target."name" IS NULL)'),
        ("city -> '$.a'", "(city -> '$.a')"),
        ("city -- a comment", "city"),
        ("/* ' */ city", "city"),
        ("[1] <@city", "(list_value(1) <@ city)"),  # an operator of DuckDB, and no parameter
    ],
)
def test_an_expression_is_written_from_its_checked_tree(text: str, meaning: str) -> None:
    """What runs is what was checked, with the familiar functions in DuckDB's words."""
    assert sql(text).replace('"target"', "target") == f"({meaning})"


@pytest.mark.parametrize(
    "text",
    [
        "list_transform([1, 2], lambda x: x + revenue)",
        "list_transform([1, 2], lambda x, i: x + i)",
        "list_transform([1, 2], lambda x: list_sum(list_transform([x], lambda y: x + y)))",
        "[x + 1 for x in [1, 2] if x > 1]",
        "list_filter([city], lambda c: c <> street)[1]",
        "case when active then 1 else 2 end",
        "try_cast(city as decimal(10, 2)) between 1 and @top",
        "regexp_replace(city, '[^a-z]', '', 'g')",
        "strptime(city, '%Y')",
        "extract(year from date '2024-01-31')",
        "city not in ('a', 'b') and not (revenue is null)",
        "coalesce(nullif(trim(both 'x' from city), ''), left(street, 2))",
        '"order" || "Customer No"',
        "{'a': city}.a",
        "city collate nocase = 'x'",
        "interval 1 day + date '2024-01-31'",
        "try(1 / revenue)",
        "list_sum([1, revenue])",
        "if(active, 'a', 'b')",
    ],
)
def test_scalar_expressions_of_every_shape_run(workspace: Workspace, text: str) -> None:
    """Lambdas, comprehensions, casts, cases, dates and lists are fine."""
    workspace.bind({"top": 5})
    workspace.execute(
        "CREATE TABLE t AS SELECT 1.5 AS revenue, 'a' AS \"Customer No\", true AS active, 'b' AS street, "
        "'2024' AS city, 'o' AS \"order\""
    )
    workspace.query(f"SELECT {sql(text)} FROM t")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("(select 1)", "a subquery is not allowed"),
        ("city in (select 'a')", "a subquery is not allowed"),
        ("exists(select 1)", "a subquery is not allowed"),
        ("sum(revenue)", "sum uses many rows"),
        ("count(*)", "count_star uses many rows"),
        ("sum(revenue) over ()", "window functions are not allowed"),
        ("row_number() over (order by city)", "window functions are not allowed"),
        ("read_csv('x')", "read_csv() is not allowed"),
        ("read_text('/etc/passwd')", "read_text() is not allowed"),
        ("unnest([1])", "unnest() is not allowed"),
        ("query('select 1')", "query() is not allowed"),
        ("getenv('HOME')", "there is no function getenv()"),
        ("getvariable('secret')", "getvariable() is not allowed"),
        ("getvariable('p_' || city)", "getvariable() is not allowed"),
        ("current_setting('memory_limit')", "current_setting() is not allowed"),
        ("current_database()", "current_database() is not allowed"),
        ("pg_sleep(10)", "pg_sleep() is not allowed"),
        ("sleep_ms(10)", "sleep_ms() is not allowed"),
        ("nextval('s')", "nextval() is not allowed"),
        ("version()", "version() is not allowed"),
        ("uuid()", "returns another value at each call"),
        ("random()", "returns another value at each call"),
        ("a; drop table x", "statements are not allowed"),
        ("1; select 2", "more than one SQL expression"),
        ("revenue from x", "more than one SQL expression"),
        ("revenue where 1 = 1", "more than one SQL expression"),
        ("distinct revenue", "more than one SQL expression"),
        ("revenue union select 1", "more than one SQL expression"),
        ("1 as x", "more than one SQL expression"),
        ("1, 2", "several expressions are not allowed"),
        ("revenue) or (city", "not an SQL expression"),
        ("", "not an SQL expression"),
        ("$1", "write @name"),
        ("?", "write @name"),
        ("*", "name the columns"),
        ("columns('x')", "name the columns"),
        ("#1", "name the column"),
        ("city.upper()", "write upper(…)"),
        ("system.main.upper(city)", "write upper(…)"),
        ("isnull(city)", "ISNULL takes two values"),
        ("hash(city)", "HASH takes an algorithm and a value"),
        ("hash('crc', city)", "HASH knows SHA256, SHA1, MD5, not crc"),
        ("revenu > 1", "unknown column revenu; did you mean revenue?"),
        ("uper(city)", "did you mean upper()?"),
        ("other.revenue", "unknown column other.revenue"),
        ("list_transform([1], lambda x: y)", "unknown column y"),
        ("x + list_sum(list_transform([1], lambda x: x))", "unknown column x"),
        ("upper(distinct city)", "FILTER, DISTINCT and ORDER BY"),
        ("order + 1", '"order" in quotes'),
    ],
)
def test_what_an_expression_may_not_hold(text: str, why: str) -> None:
    """Anything but one scalar expression over its own row is refused with its reason and place."""
    with pytest.raises(DefinitionError) as caught:
        sql(text)
    (problem,) = caught.value.problems
    assert problem.path == "source.filter"
    assert why in problem.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("@tag || '@tag'", "T@tag"),
        ("'it''s @tag ' || @tag", "it's @tag T"),
        ("E'\\'@tag' || @tag", "'@tagT"),
        ("$$@tag$$ || @tag", "@tagT"),
        ("$a1$@tag$a1$ || @tag", "@tagT"),
        ("@tag -- @other", "T"),
        ("/* @other */ @tag||@tag", "TT"),
        ("CASE WHEN @tag='T' THEN 'same' END", "same"),
    ],
)
def test_parameters_are_bound_outside_of_quotes_and_comments_alone(workspace: Workspace, text: str, value: str) -> None:
    """A parameter is a value, whatever it holds and whatever stands beside it."""
    workspace.bind({"tag": "T"})
    assert workspace.query(f"SELECT {sql(text)}") == [(value,)]


def test_a_parameters_content_is_never_sql(workspace: Workspace) -> None:
    """It is bound, not pasted."""
    workspace.bind({"p": "' || (select 1) || '"})
    assert workspace.query(f"SELECT {sql('@p')}") == [("' || (select 1) || '",)]


def test_the_columns_that_an_expression_reads_are_known() -> None:
    """Spelled as they were declared, whatever the expression's case; a lambda's own names are none."""
    found = parsed('list_transform([REVENUE], lambda city: city + 1)[1] || "customer no"', names=NAMES, origin="")
    assert found.columns == {"revenue", "Customer No"}
