"""Statements after the sync: bound values, one transaction, and what a refusal says."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shared.definitions.models import SqlStep
from shared.errors import UserError
from shared.other_systems.statement import run_statement
from shared.sources import SourceContext
from shared.workspace import OutOfTimeError, Workspace
from tests.mysql_server import mysql_server
from tests.postgresql.fixtures import Database
from tests.unit.sources.sql.reads import sqlite_url

MOMENT = dt.datetime(2024, 1, 31, 12, tzinfo=dt.UTC)
VALUES: dict[str, Any] = {"run.id": "a'; DROP TABLE log --", "run.created": 7, "run.started": MOMENT, "n": None}
TABLE = "CREATE TABLE log (id TEXT UNIQUE, made INTEGER, at TEXT, n TEXT, mail TEXT)"
INSERT = "INSERT INTO log VALUES (@run.id, @run.created, @run.started, @n, 'a@run.id:x 100%');"


def run(url: str, statement: str, values: dict[str, Any] = VALUES, **parts: Any) -> int:
    step = SqlStep.model_validate({"connection": {"env": "DATABASE"}, "statement": statement})
    context = SourceContext(secret=lambda _: url, parameters=values, **parts)
    with Workspace.open() as workspace:
        return run_statement(step, context, workspace)


def rows(url: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return connection.execute("SELECT * FROM log").fetchall()


def test_values_are_bound(tmp_path: Path) -> None:
    """Whatever they hold; names in quotes, colons and percent signs are text."""
    url = sqlite_url(tmp_path, TABLE)
    assert run(url, INSERT) == 1
    assert rows(url) == [("a'; DROP TABLE log --", 7, "2024-01-31 12:00:00.000000", None, "a@run.id:x 100%")]
    assert run(url, "UPDATE log SET made = made + @run.created") == 1
    assert rows(url)[0][1] == 14


def test_a_statement_that_the_database_reads_otherwise_is_not_sent() -> None:
    """In MySQL, a quote behind a backslash ends no text, and the name that follows would be a variable without a value."""
    with mysql_server({}) as server, pytest.raises(UserError, match=r"sql\.statement: MySQL reads this otherwise"):
        run(server.url, "UPDATE log SET mail = 'it\\'s' WHERE id = @n OR mail = 'x'")
    assert server.statements == []


TABLES = ("CREATE TABLE t (a INTEGER UNIQUE, b INTEGER)", "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)")
COUNTED = {
    "WITH x AS (SELECT a + 5 AS a FROM t) INSERT INTO t SELECT a, 4 FROM x": 3,
    "-- insert ( \nWITH x AS (SELECT 1 AS a) UPDATE t SET b = 9 WHERE a IN (SELECT a FROM x)": 1,
    "with x(a) as (select 1), y as (select a from x) delete from t where a in (select a from y) returning a": 1,
    "/* all */ UPDATE t SET b = 5": 3,
    "UPDATE t SET b = 5 WHERE a > 1 RETURNING a, b": 2,
    "INSERT INTO t VALUES (7, 7), (8, 8) RETURNING a": 2,
    "INSERT INTO t VALUES (1, 5), (9, 9) ON CONFLICT (a) DO NOTHING": 1,
    "UPDATE t SET b = 5 WHERE a > 5": 0,
    "SELECT a FROM t": 0,
    "(SELECT a FROM t)": 0,
    "WITH x AS (SELECT a FROM t) SELECT a FROM x": 0,
    "CREATE INDEX i ON t (b)": 0,
    "DROP TABLE t": 0,
}


@pytest.mark.parametrize(
    "statement", [*(each for each in COUNTED if each[0] != "("), "REPLACE INTO t VALUES (1, 4), (2, 4)"]
)
def test_sqlite_tells_how_many_rows_a_statement_changed(tmp_path: Path, statement: str) -> None:
    """Whatever it begins with, and also if it gives rows; what it changed is kept."""
    url = sqlite_url(tmp_path, *TABLES)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.executescript(
            "CREATE TABLE u (a); CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO u VALUES (1); END"
        )
    assert run(url, statement) == COUNTED.get(statement, 2)


def test_what_a_statement_with_rows_changed_is_kept(tmp_path: Path) -> None:
    """Also if nobody reads the rows."""
    url = sqlite_url(tmp_path, TABLE)
    assert run(url, "INSERT INTO log (made) VALUES (1), (2) RETURNING made") == 2
    assert [each[1] for each in rows(url)] == [1, 2]


@pytest.mark.parametrize("statement", COUNTED)
def test_postgresql_tells_how_many_rows_a_statement_changed(database: Database, statement: str) -> None:
    """Rows that are only read do not count."""
    database.run(*TABLES)
    assert run(database.url, statement) == COUNTED[statement]


def test_postgresql_gets_percent_signs_beside_bound_values(database: Database) -> None:
    """An operator is no placeholder of the driver, and a text keeps its signs."""
    database.run("CREATE TABLE t (a INTEGER, b TEXT)", "INSERT INTO t VALUES (1, '50%'), (2, '50%'), (3, '%')")
    statement = "UPDATE t SET b = b || '%s%%' || @run.id WHERE a % @two = 1 AND b = '50%' AND @none IS NULL"
    assert run(database.url, statement, {"run.id": "x%'", "two": 2, "none": None}) == 1
    assert database.run("SELECT b FROM t ORDER BY a") == [("50%%s%%x%'",), ("50%",), ("%",)]


def test_a_statement_that_fails_changes_nothing(tmp_path: Path) -> None:
    """All rows or none, and the message has no value."""
    url = sqlite_url(tmp_path, TABLE)
    run(url, INSERT)
    with pytest.raises(UserError) as caught:
        run(url, "INSERT INTO log (id) VALUES ('new'), (@run.id)")
    assert caught.value.message == "the database: a constraint of the table refuses the change"
    assert len(rows(url)) == 1


@pytest.mark.parametrize("statement", ["UPDATE log SET n = load_extension('x')", "COMMIT"])
def test_a_statement_that_sqlite_does_not_carry_out_is_refused_as_one(tmp_path: Path, statement: str) -> None:
    """The message is about the statement: nothing was to be read."""
    url = sqlite_url(tmp_path, TABLE)
    run(url, INSERT)
    with pytest.raises(UserError) as caught:
        run(url, statement)
    assert "cannot be read" not in caught.value.message
    assert "check its SQL" in caught.value.message


def test_a_file_that_is_missing_is_not_made(tmp_path: Path) -> None:
    """A typing error in a path must not become an empty database; folders are limited as for sources."""
    with pytest.raises(UserError, match="the file does not exist"):
        run(f"sqlite:///{tmp_path / 'none.db'}", "CREATE TABLE a (b INTEGER)")
    assert not (tmp_path / "none.db").exists()
    url = sqlite_url(tmp_path, TABLE)
    with pytest.raises(UserError, match="SOURCE_ROOTS"):
        run(url, INSERT, roots=(str(tmp_path / "other"),))
    assert rows(url) == []


@pytest.mark.parametrize("statement", ["ATTACH DATABASE '{}' AS other", "VACUUM INTO '{}'"])
def test_a_statement_makes_no_other_file(tmp_path: Path, statement: str) -> None:
    """The folders that SQLite files are in are limited."""
    url, other = sqlite_url(tmp_path, TABLE), tmp_path / "other.db"
    with pytest.raises(UserError, match="the statement uses another file"):
        run(url, statement.format(other))
    assert not other.exists()


def test_a_long_statement_is_stopped(tmp_path: Path) -> None:
    """At the end of its time, and it leaves nothing behind."""
    url = sqlite_url(tmp_path, TABLE)
    endless = (
        "INSERT INTO log (made) WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
        "SELECT x FROM c WHERE x < 0"
    )
    step = SqlStep.model_validate({"connection": {"env": "DATABASE"}, "statement": endless})
    left = iter([0.3, 0.3, 0.2, 0.1])
    with Workspace.open() as workspace, workspace.until(lambda: next(left, 0.0)), pytest.raises(OutOfTimeError):
        run_statement(step, SourceContext(secret=lambda _: url), workspace)
    assert rows(url) == []


def test_postgresql_commits_and_says_what_is_wrong(database: Database) -> None:
    """One transaction; each refusal has a sentence about statements and not about sources."""
    database.run("CREATE TABLE log (id TEXT UNIQUE, made BIGINT, at TIMESTAMPTZ, n TEXT, mail TEXT)")
    assert run(database.url, INSERT) == 1
    assert run(database.url, "UPDATE log SET made = made + @run.created WHERE at = @run.started") == 1
    for statement, message in (
        (INSERT, "a constraint of the table refuses the change (error 23505)"),
        ("UPDATE nowhere SET a = 1", "there is no such table or procedure, or the user may not see it"),
        ("UPDATE log SET made = 1 / 0", "the statement fails on a value; check its calculations"),
        ("UPDATE log SETT made = 1", "it cannot read the statement"),
    ):
        with pytest.raises(UserError) as caught:
            run(database.url, statement)
        assert message in caught.value.message
    assert database.run("SELECT made FROM log") == [(14,)]
