"""What a definition may say of a database."""

from __future__ import annotations

import pytest

from shared.definitions import load_definition, names_used
from shared.definitions.models import SqlSource
from shared.definitions.models.base import Language
from shared.definitions.models.database_sql import bare, statement
from shared.definitions.models.names import names_in
from shared.errors import DefinitionError

TEXT = """
name: customers
parameters: {{day: {{default: 2024-01-31}}, secret: {{formula: "SECRET('erp-url')"}}}}
source: {source}
destination:
  type: dynamics
  entity: account
  service_url: https://org.api.crm.dynamics.com/api/data/v9.2/
  auth: managed_identity
  id_column: accountid
  mappings: [{{source: number, target: accountnumber}}]
sync_behaviour: {{sync_key: [accountnumber]}}{more}
"""


def problems(source: str, more: str = "") -> list[tuple[str, str]]:
    try:
        load_definition(TEXT.format(source=source, more=more))
    except DefinitionError as error:
        return [(problem.path, problem.message) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    "keys",
    [
        "connection: erp, table: sales.customers",
        "connection: '@day', table: '@day'",
        "connection: '@secret', table: t",
        "connection: {env: ERP_URL}, query: SELECT * FROM t WHERE a = @day",
        "connection: {key_vault: erp-url}, query: 'WITH x AS (SELECT 1 AS number) SELECT * FROM x;', filter: a > @day",
        "connection: erp, query: (SELECT 1 AS number) -- the end",
        "connection: erp, query: SELECT ')' AS number /* ; */ FROM t",
    ],
)
def test_what_can_be_read_is_accepted(keys: str) -> None:
    """A connection by name or by a secret, and a table or one query."""
    assert problems(f"{{type: sql, {keys}}}") == []


@pytest.mark.parametrize(
    ("keys", "path", "message"),
    [
        ("connection: erp", "source", "exactly one of table and query"),
        ("connection: erp, table: t, query: SELECT 1", "source", "exactly one of table and query"),
        ("table: t", "source.connection", "this key is missing"),
        ("connection: erp, query: DELETE FROM t", "source.query", "a query must be a SELECT"),
        ('connection: erp, query: "# all\\nSELECT 1"', "source.query", "begin a comment with two minus signs"),
        ("connection: erp, table: t, filter: a <> 'it\\'s @b'", "source.filter", "is written twice ('it''s')"),
        ("connection: erp, query: 'SELECT 1; DROP TABLE t'", "source.query", "one statement"),
        ("connection: erp, query: SELECT 1) AS x; --", "source.query", "brackets are not balanced"),
        ("connection: erp, query: (SELECT 1", "source.query", "brackets are not balanced"),
        ("connection: erp, table: t, filter: 1 = 1) OR (1 = 1", "source.filter", "brackets are not balanced"),
        ("connection: erp, table: t, filter: '1 = 1; DROP TABLE t'", "source.filter", "without a semicolon"),
        ("connection: erp, table: t, filter: a = @other", "source.filter", "there is no parameter @other"),
        ("connection: erp, query: SELECT @secret", "source.query", "@secret is a secret"),
        ("connection: erp, table: t, path: x", "source.path", "unknown key"),
    ],
)
def test_what_cannot_be_read_is_reported_with_its_place(keys: str, path: str, message: str) -> None:
    """Before a connection is made."""
    found = problems(f"{{type: sql, {keys}}}")
    assert [place for place, _ in found] == [path]
    assert message in found[0][1]


def test_a_url_in_the_place_of_a_name_is_not_repeated() -> None:
    """It may have a password; the message shows how a reference is written."""
    (found,) = problems("{type: sql, connection: 'postgresql://app:pa55word@h/d', table: t}")
    assert found[0] == "source.connection"
    assert "{env: NAME}" in found[1]
    assert "pa55word" not in found[1]


def test_a_filter_of_the_database_does_not_apply_to_events() -> None:
    """Otherwise the two would select different rows."""
    source = "{type: sql, connection: erp, table: t, columns: [{name: number, type: text}], filter: a = 1}"
    (found,) = problems(source, "\nlistener: {name: events, topic: {format: json}}")
    assert found[0] == "source.filter"
    assert "not to events" in found[1]


def test_parameters_are_known_of_everything_that_is_sent() -> None:
    """What a run must know to ask for the columns."""
    source = SqlSource(type="sql", connection="@c", query="SELECT @q", filter="@f > 1")
    assert names_used(source, without=["columns"]) == {"c", "q", "f"}
    assert source.row_filter is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a = @name", ("name",)),
        ("`a@b` = 1 AND [x] = '@c' AND \"@d\" = @e", ("e",)),
        ("@@rowcount > 1", ()),
        ("tags @> @list AND @list <@ tags AND a @@ b", ("list",)),
        ("-- @a\n/* @b */ @c", ("c",)),
    ],
)
def test_parameters_are_found_in_the_sql_of_databases(text: str, names: tuple[str, ...]) -> None:
    """Not in texts, names and comments, and not where the database means something of its own."""
    assert names_in(text, Language.DATABASE) == names


def test_a_statement_is_judged_without_its_texts() -> None:
    """Quoted parts and comments become blanks, and a semicolon at the end is removed."""
    assert bare("a ';' \"(\" -- )\n@b") == f"a{' ' * 13}\n@b"
    assert statement("SELECT ';' -- ;\n ; -- end") == "SELECT ';' -- ;\n "
