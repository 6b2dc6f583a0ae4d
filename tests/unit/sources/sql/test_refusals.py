"""Errors of a database are reported in clear sentences, and never with the password."""

from __future__ import annotations

import logging
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pg8000.exceptions  # type: ignore[import-untyped]  # it ships no types
import pymysql  # type: ignore[import-untyped]  # it ships no types
import pytest
import sqlalchemy as sa

from shared.definitions.models import ConnectionModel, EnvironmentSecret, SqlConnection, SqlSource
from shared.errors import SourceUnavailableError, UserError
from shared.sources import SourceContext, open_source
from shared.sources.sql.addresses import engine_of, url_of
from shared.sources.sql.refusals import refusal
from shared.sources.sql.sql_server import _NUMBERS
from shared.workspace import OutOfTimeError, Workspace
from tests.postgresql.fixtures import Database
from tests.postgresql.server import PASSWORD
from tests.unit.sources.sql.reads import defined, read, sqlite_url

SECRET = "s3cret-0f-n0b0dy"


def refused(url: str, kind: type[UserError] = UserError, **keys: Any) -> str:
    """The message about a source that cannot be read; no part of the exception contains the password."""
    with pytest.raises(UserError) as caught:
        read(url, **keys)
    assert type(caught.value) is kind
    told = "".join(traceback.format_exception(caught.value))
    chain: BaseException | None = caught.value
    while chain is not None:
        told += repr(chain) + str(getattr(chain, "__dict__", ""))
        chain = chain.__cause__ or chain.__context__
    for secret in (PASSWORD, SECRET, url):
        assert secret not in told
    return caught.value.message


def test_postgresql_says_what_is_wrong_with_the_address(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Password, database, host and port each have their own message."""
    caplog.set_level(logging.DEBUG)
    server = database.server
    assert "refuses the user or the password" in refused(server.url(database.name, password=SECRET), table="t")
    assert "no database of this name" in refused(server.url("nothing"), table="t")
    assert "host is not known" in refused(f"postgresql://app:{SECRET}@nowhere.invalid/x", table="t")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        closed = f"postgresql://app:{SECRET}@127.0.0.1:{port}/x"
        assert "no database listens" in refused(closed, table="t", kind=SourceUnavailableError)
    assert SECRET not in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    "url", ["mysql://app:{secret}@{host}:{port}/x", "oracle://app:{secret}@{host}:{port}/?service_name=x"]
)
def test_other_databases_that_cannot_be_reached_are_told_as_that(url: str) -> None:
    """Their drivers have codes of their own for it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        closed = url.format(secret=SECRET, host="127.0.0.1", port=port)
        assert "no database listens" in refused(closed, table="t", kind=SourceUnavailableError)
    assert "host is not known" in refused(url.format(secret=SECRET, host="nowhere.invalid", port=1), table="t")


STATEMENTS = [
    ({"table": "nothing"}, 'there is no such table or view.*relation "nothing" does not exist'),
    ({"query": "SELECT wrong FROM t"}, 'there is no such column.*column "wrong" does not exist'),
    ({"query": "SELECT FROM WHERE"}, "it cannot read the statement.*syntax error"),
    ({"table": "t", "filter": "number = "}, "it cannot read the statement"),
    ({"query": "SELECT 1 / (number - 1) AS x FROM t"}, "fails on a value of a row.*22012"),
    ({"query": "SELECT name::int AS x FROM t"}, "fails on a value of a row.*22P02"),
    (
        {"query": "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone"},
        "cannot read the statement.*must be at the top level",
    ),
    ({"query": "SELECT nextval('numbers') AS x"}, "would change data"),
]


@pytest.mark.parametrize(("keys", "message"), STATEMENTS)
def test_postgresql_says_what_is_wrong_with_a_statement(database: Database, keys: dict[str, Any], message: str) -> None:
    """The message has names of the statement and no values; nothing is changed."""
    database.run(
        "CREATE TABLE t (number int, name text)", f"INSERT INTO t VALUES (1, '{SECRET}')", "CREATE SEQUENCE numbers"
    )
    assert re.search(message, refused(database.url, **keys))
    assert database.run("SELECT count(*) FROM t") == [(1,)]


def test_postgresql_says_what_a_user_may_not_read(database: Database) -> None:
    """The table is named."""
    database.run(
        "CREATE TABLE t (number int)", "DROP ROLE IF EXISTS guest", f"CREATE ROLE guest LOGIN PASSWORD '{SECRET}'"
    )
    url = database.server.url(database.name, user="guest", password=SECRET)
    assert "the user may not read this; grant SELECT (permission denied for table t)" in refused(url, table="t")


def test_sqlite_says_what_is_wrong(tmp_path: Path) -> None:
    """The file, the table, the column and the statement each have their own message; no file is created."""
    url = sqlite_url(tmp_path, "CREATE TABLE t (number integer)", "INSERT INTO t VALUES (1)")
    assert "there is no such table" in refused(url, table="absent")
    assert "there is no such column; check columns, query and filter (wrong)" in refused(
        url, query="SELECT wrong FROM t"
    )
    assert "cannot read the statement" in refused(url, query="SELECT FROM WHERE")
    missing = tmp_path / "missing.db"
    assert "the file does not exist" in refused(f"sqlite:///{missing}", table="t")
    assert not missing.exists()
    missing.write_bytes(b"no database" * 1000)
    assert "is not a SQLite database" in refused(f"sqlite:///{missing}", table="t")
    assert "names a file" in refused("sqlite:///:memory:", table="t")
    assert "system file" in refused("sqlite:////proc/self/environ", table="t")


def test_a_sqlite_file_is_read_only_from_the_folders_of_the_setting(tmp_path: Path) -> None:
    """Like other files; the message names the setting."""
    url = sqlite_url(tmp_path, "CREATE TABLE t (number integer)", "INSERT INTO t VALUES (1)")
    for roots, said in (((str(tmp_path),), ""), ((str(tmp_path / "other"),), "SOURCE_ROOTS")):
        source = open_source(defined(table="t").source, SourceContext(secret=lambda _: url, roots=roots))
        with Workspace.open() as workspace:
            if said:
                with pytest.raises(UserError, match=said):
                    source.load(workspace)
            else:
                source.load(workspace)
                assert workspace.query("SELECT number FROM source_raw") == [("1",)]


def test_a_locked_sqlite_file_is_reported(tmp_path: Path) -> None:
    """Another program that writes has locked the file."""
    url = sqlite_url(tmp_path, "CREATE TABLE t (number integer)")
    with closing(sqlite3.connect(tmp_path / "source.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "another program has locked it" in refused(url + "?timeout=0", table="t", kind=SourceUnavailableError)


IN_THE_WAY = "other transactions are in the way of the statement"
PASSING = {
    "40001": IN_THE_WAY,  # also where a standby has to change rows that a long read still needs
    "40P01": IN_THE_WAY,
    "55P03": "another program has locked it",
    "53200": "too little memory, disk space or other resources now",
    "53300": "takes no further connection now",
    "57P05": "the connection was lost",
}
LASTING = {"53400": "more than a limit in the settings of the server", "0Z002": "it refuses the statement"}


@pytest.mark.parametrize(("code", "said"), [*PASSING.items(), *LASTING.items()])
def test_an_error_that_passes_is_told_from_one_that_stays(database: Database, code: str, said: str) -> None:
    """A job is tried again after the first one only."""
    body = f"BEGIN RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = '{SECRET}'; END"
    database.run(f"CREATE FUNCTION failing() RETURNS text LANGUAGE plpgsql AS $$ {body} $$")
    kind = SourceUnavailableError if code in PASSING else UserError
    told = refused(database.url, query="SELECT failing() AS number", kind=kind)
    assert said in told
    assert told.endswith(f" (error {code})")


@pytest.mark.parametrize(
    ("code", "said"),
    [(1213, IN_THE_WAY), (1020, IN_THE_WAY), (1205, "another program has locked it"), (1226, "no further connection")],
)
def test_what_passes_in_mysql_is_known_by_its_number(code: int, said: str) -> None:
    """The message of the server is left out: it may have values."""
    told = refusal(pymysql.err.OperationalError(code, SECRET), "the database", changing=True)
    assert (type(told), said in told.message, SECRET in told.message) == (SourceUnavailableError, True, False)


@pytest.mark.parametrize(
    ("code", "kind"), [("40003", SourceUnavailableError), ("40002", UserError), ("40001", SourceUnavailableError)]
)
def test_a_statement_that_changes_something_and_may_have_done_so(code: str, kind: type[UserError]) -> None:
    """Only one of these errors leaves open whether it was carried out."""
    told = refusal(pg8000.exceptions.DatabaseError({"C": code}), "the database", changing=True)
    assert (type(told), "not known whether" in told.message) == (kind, code == "40003")


def of_driver(module: str, kind: str, *arguments: object, **attributes: str) -> Exception:
    """An error as a driver of SQL Server raises it; none of them is installed for the tests."""
    error = type(kind, (Exception,), {"__module__": module})(*arguments)
    assert isinstance(error, Exception)
    error.__dict__.update(attributes)
    return error


def microsoft(kind: str, state: str, said: str) -> Exception:
    return of_driver("mssql_python.exceptions", kind, f"{state}; {said}", driver_error=state, ddbc_error=said)


def odbc(kind: str, state: str, said: str) -> Exception:
    return of_driver("pyodbc", kind, state, f"[{state}] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]{said}")


SYNTAX_OR_ACCESS = "Syntax error or access violation"
VICTIM = f"Transaction (Process ID 52) of {SECRET} was chosen as the deadlock victim. Rerun the transaction."
RESOURCES = "too little memory, disk space or other resources now"
SQL_SERVER = [
    (microsoft("OperationalError", "Serialization failure", VICTIM), IN_THE_WAY, "MSSQL-1205"),
    (microsoft("OperationalError", "Serialization failure", "in another language"), IN_THE_WAY, "40001"),
    (
        microsoft("ProgrammingError", SYNTAX_OR_ACCESS, "The service is currently busy. Retry the request"),
        RESOURCES,
        "MSSQL-40501",
    ),
    (
        microsoft("ProgrammingError", SYNTAX_OR_ACCESS, "Database 'x' on server 'y' is not currently available."),
        "not available now",
        "MSSQL-40613",
    ),
    (odbc("Error", "40001", f"{VICTIM} (1205) (SQLExecDirectW)"), IN_THE_WAY, "MSSQL-1205"),
    (
        odbc("ProgrammingError", "42000", "Cannot process request (7). (49918) (SQLDriverConnect); [42000] … (18456)"),
        RESOURCES,
        "MSSQL-49918",
    ),
    (odbc("ProgrammingError", "42000", "Lock request time out period exceeded. (1222)"), "has locked it", "MSSQL-1222"),
    (of_driver("pymssql._pymssql", "OperationalError", 1205, VICTIM.encode()), IN_THE_WAY, "MSSQL-1205"),
    (of_driver("pymssql._pymssql", "OperationalError", (20009, b"DB-Lib")), "the connection was lost", "MSSQL-20009"),
    (
        microsoft(
            "ProgrammingError", SYNTAX_OR_ACCESS, 'Cannot open database "x" requested by the login. The login failed.'
        ),
        "there is no database of this name on the server, or it is not available now",
        "MSSQL-4060",
    ),
]


@pytest.mark.parametrize(("error", "said", "code"), SQL_SERVER)
def test_what_passes_in_sql_server_is_known_whichever_driver_tells_it(error: Exception, said: str, code: str) -> None:
    """The driver of Microsoft has no numbers, so its words count; values in them are left out."""
    told = refusal(sa.exc.DBAPIError("SELECT 1", {}, error), "the database")
    assert (type(told), said in told.message, SECRET in told.message) == (SourceUnavailableError, True, False)
    assert told.message.endswith(f" (error {code})")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            microsoft("OperationalError", "Invalid authorization specification", "Login failed"),
            "the user or the password",
        ),
        (odbc("InterfaceError", "28000", "Login failed for user 'app'. (18456)"), "the user or the password"),
        (microsoft("ProgrammingError", "Base table or view not found", "Invalid object name"), "no such table or view"),
        (microsoft("ProgrammingError", SYNTAX_OR_ACCESS, "Incorrect syntax"), "it cannot be read; check table"),
    ],
)
def test_what_stays_in_sql_server_is_told_as_that(error: Exception, said: str) -> None:
    """A job is not tried again after it."""
    told = refusal(error, "the database")
    assert (type(told), said in told.message) == (UserError, True)


def test_every_number_of_sql_server_that_is_known_is_explained() -> None:
    """None of them is the error of a wrong statement."""
    for number in _NUMBERS:
        told = refusal(of_driver("pymssql", "DatabaseError", number), "the database")
        assert isinstance(told, SourceUnavailableError), number


def test_a_lost_connection_without_a_code_leaves_open_what_a_statement_did() -> None:
    """The driver of SQL Server tells of it in this way."""
    lost = microsoft("OperationalError", "Communication link failure", "TCP Provider: Error code 0x68")
    told = refusal(lost, "the database", changing=True)
    assert (type(told), "not known whether" in told.message) == (SourceUnavailableError, True)
    assert "nothing was written" in refusal(lost, "the database").message


def test_the_message_about_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each extra of this project; other drivers by their package."""
    for name in ("pymysql", "oracledb", "mssql_python", "pg8000", "psycopg"):
        monkeypatch.setitem(sys.modules, name, None)
    for scheme, remedy in {
        "mysql": 'pip install "dynamics-sync[mysql]"',
        "mariadb": 'pip install "dynamics-sync[mysql]"',
        "oracle": 'pip install "dynamics-sync[oracle]"',
        "mssql": 'pip install "dynamics-sync[sqlserver]"',
        "postgres": 'pip install "dynamics-sync[postgresql]"',
        "postgresql+psycopg": "install the Python package of psycopg",
    }.items():
        assert remedy in refused(f"{scheme}://app:{SECRET}@h/d", table="t")


@pytest.mark.parametrize("url", [f"//{SECRET}", f"postgresql://app:{SECRET}@h:port/d", f"db2://app:{SECRET}@h/d", ""])
def test_a_url_that_cannot_be_used_is_not_repeated(url: str) -> None:
    """The message shows how a URL is written, or which kinds there are."""
    assert (
        "://user:password@host" in (told := refused(url or "no-url-at-all", table="t"))
        or "supported are postgresql" in told
    )


def test_a_connection_is_named_and_must_be_a_database() -> None:
    """The name may be a parameter; another kind of connection is refused."""
    asked: list[str] = []

    def connection(name: str) -> ConnectionModel:
        asked.append(name)
        if name == "crm":
            return ConnectionModel(kind="connection", name="crm", type="dynamics")
        return SqlConnection(kind="connection", name=name, type="sql", url=EnvironmentSecret(env="ERP_URL"))

    def opened(name: str) -> None:
        source = SqlSource.model_validate({"type": "sql", "connection": "@where", "table": "t"})
        context = SourceContext(connection=connection, secret=lambda _: "sqlite:///none.db", parameters={"where": name})
        with Workspace.open() as workspace:
            open_source(source, context).columns(workspace)

    with pytest.raises(UserError, match="the database of the connection erp: the file does not exist"):
        opened("erp")
    with pytest.raises(UserError, match="connection crm is of type dynamics; one of type sql is needed"):
        opened("crm")
    assert asked == ["erp", "crm"]


def busy(database: Database) -> int:
    """How many other connections the database has."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return int(database.run(asked)[0][0])


def eventually_idle(database: Database) -> bool:
    for _ in range(100):
        if not busy(database):
            return True
        time.sleep(0.05)
    return False


SLOW = {
    "before the first row": "SELECT 1 AS number FROM pg_sleep(60)",
    "between two rows": "SELECT n AS number, pg_sleep(CASE WHEN n = 1000 THEN 60 ELSE 0 END)::text AS x FROM generate_series(1, 5000) n",
}


@pytest.mark.parametrize("when", sorted(SLOW))
def test_a_slow_statement_ends_with_the_time_of_the_run(database: Database, when: str) -> None:
    """The server stops it, and no connection, cursor or transaction stays open."""
    source = SqlSource.model_validate({"type": "sql", "connection": {"env": "X"}, "query": SLOW[when]})
    end = time.monotonic() + 1
    with Workspace.open() as workspace, workspace.until(lambda: end - time.monotonic()):
        opened = open_source(source, SourceContext(secret=lambda _: database.url))
        opened.columns(workspace)
        with pytest.raises(OutOfTimeError):
            opened.load(workspace)
    assert eventually_idle(database)


def test_a_slow_statement_of_sqlite_ends_with_the_time_of_the_run(tmp_path: Path) -> None:
    """SQLite is interrupted, and the file can be written at once."""
    url = sqlite_url(tmp_path, "CREATE TABLE t (number integer)")
    query = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1e12) SELECT max(x) AS number FROM n"
    )
    source = SqlSource.model_validate({"type": "sql", "connection": {"env": "X"}, "query": query})
    end = time.monotonic() + 1
    with Workspace.open() as workspace, workspace.until(lambda: end - time.monotonic()):
        opened = open_source(source, SourceContext(secret=lambda _: url))
        opened.columns(workspace)
        with pytest.raises(OutOfTimeError):
            opened.load(workspace)
    with closing(sqlite3.connect(tmp_path / "source.db", timeout=0)) as other:
        other.execute("DROP TABLE t")


def test_a_connection_that_is_lost_in_the_middle_ends_the_read(database: Database) -> None:
    """The server ends the connection in the middle of the rows."""
    query = SLOW["between two rows"]

    def terminate() -> None:
        asked = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%'"
        while not database.run(asked):
            time.sleep(0.05)

    ending = threading.Thread(target=terminate)
    ending.start()
    with pytest.raises(SourceUnavailableError, match="the connection was lost; nothing was written"):
        read(database.url, query=query)
    ending.join()


def test_a_read_leaves_nothing_open(database: Database) -> None:
    """After the rows the connection is closed."""
    read(database.url, query="SELECT 1 AS number")
    assert eventually_idle(database)


@contextmanager
def locked(database: Database) -> Iterator[Callable[[], object]]:
    """Another connection holds a lock until the event is set."""
    engine = sa.create_engine(database.url.replace("postgresql:", "postgresql+pg8000:"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(1)")
        yield connection.rollback
    engine.dispose()


def test_a_read_is_one_snapshot(database: Database) -> None:
    """Rows that are written while it is read are not in it."""
    database.run("CREATE TABLE t AS SELECT n AS number FROM generate_series(1, 3) n")
    # The description has no row and waits for nothing; the lock makes the read wait until the row is written.
    waits = "SELECT pg_advisory_xact_lock_shared(1)::text AS lock, (SELECT count(*) FROM t) AS after"
    with locked(database) as unlock:

        def write() -> None:
            while not database.run("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
                time.sleep(0.05)
            database.run("INSERT INTO t VALUES (4)")
            unlock()

        writing = threading.Thread(target=write)
        writing.start()
        found, _ = read(database.url, query=waits)
        writing.join()
    assert found["after"] == [3]
    assert database.run("SELECT count(*) FROM t") == [(4,)]


def test_only_a_source_of_type_sql_loads_sqlalchemy() -> None:
    """So a cold start without such a source is faster."""
    asked = "import sys, shared.app, shared.sources.registry; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


@pytest.mark.parametrize("mode", ["verify_full", "VERIFY-FULL", "required", ""])
def test_an_unknown_sslmode_is_refused(mode: str) -> None:
    """The connection would be less safe than what was meant; the message does not repeat the URL."""
    url = url_of(f"postgresql://reader:{SECRET}@host/db?sslmode={mode or 'x'}", "the database")
    with pytest.raises(UserError, match=r"^the database: its URL has an unknown sslmode: write disable"):
        engine_of(url, "the database")


@pytest.mark.parametrize("query", ["", "?sslmode=prefer", "?sslmode=allow", "?sslmode=verify-full"])
def test_every_sslmode_of_libpq_is_known(query: str) -> None:
    """An engine is made; it does not connect yet."""
    engine_of(url_of(f"postgresql://reader:{SECRET}@host/db{query}", "the database"), "the database").dispose()
