"""The run's database: what it keeps out, what it leaves behind, and how it says no."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Generator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from shared.errors import UserError
from shared.workspace import QuickWorkspace, SqlValue, Step, Workspace, literal, quoted
from shared.workspace.failures import explained


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('http://127.0.0.1/x.csv')",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "ATTACH '/tmp/other.db'",
        "INSTALL httpfs",
        "SET memory_limit = '100GB'",
        "SET enable_external_access = true",
        "RESET lock_configuration",
    ],
)
def test_nothing_outside_is_in_reach(workspace: Workspace, sql: str) -> None:
    """No file, no address, no setting, whatever statement tries."""
    with pytest.raises(UserError):
        workspace.run(Step("Try", sql))


def test_files_named_at_opening_and_the_own_folder_are_readable(tmp_path: Path) -> None:
    """And no other file beside them."""
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x\n1\n")
    with Workspace.open(readable=[str(tmp_path / "a.csv")]) as workspace:
        (workspace.folder / "c.csv").write_text("x\n2\n")
        assert workspace.query(f"SELECT x FROM read_csv({literal(str(tmp_path / 'a.csv'))})") == [(1,)]
        assert workspace.query(f"SELECT x FROM read_csv({literal(str(workspace.folder / 'c.csv'))})") == [(2,)]
        with pytest.raises(duckdb.PermissionException):
            workspace.query(f"SELECT * FROM read_csv({literal(str(tmp_path / 'b.csv'))})")


def test_a_link_leads_to_the_file_that_was_named(tmp_path: Path) -> None:
    """It may be read by the link's name; a link in the own folder is no way out."""
    (tmp_path / "real.csv").write_text("x\n1\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    (tmp_path / "secret.csv").write_text("x\n2\n")
    with Workspace.open(readable=[str(tmp_path / "link.csv")]) as workspace:
        assert workspace.query(f"SELECT x FROM read_csv({literal(str(tmp_path / 'link.csv'))})") == [(1,)]
        (workspace.folder / "way_out.csv").symlink_to(tmp_path / "secret.csv")
        with pytest.raises(duckdb.PermissionException):
            workspace.query(f"SELECT x FROM read_csv({literal(str(workspace.folder / 'way_out.csv'))})")


def test_a_temporary_folder_that_is_not_there(tmp_path: Path) -> None:
    """Is said by its name."""
    with pytest.raises(UserError, match=r"no temporary folder can be made in .*/none"):
        Workspace.open(temp_folder=tmp_path / "none")


def test_closing_removes_the_folder(tmp_path: Path) -> None:
    """Nothing is left behind."""
    with Workspace.open(temp_folder=tmp_path) as workspace:
        (workspace.folder / "rest").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_closing_writes_no_table_that_is_removed_then(tmp_path: Path) -> None:
    """Half-full groups of rows are only written when DuckDB makes a checkpoint: here it would be for nothing."""
    with Workspace.open(temp_folder=tmp_path, on_disk=True) as workspace:
        workspace.execute("CREATE TABLE t AS SELECT md5(i::VARCHAR) AS text FROM range(100000) AS r(i)")
        (file,) = workspace.folder.glob("run.duckdb")
        with file.open("rb") as kept:
            workspace.close()
            after = os.fstat(kept.fileno()).st_size
    assert after < 1 << 20
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_closes_while_rows_are_streamed(tmp_path: Path) -> None:
    workspace = Workspace.open(temp_folder=tmp_path, on_disk=True)
    workspace.execute("CREATE TABLE t AS SELECT range AS n FROM range(100000)")
    assert next(workspace.rows("SELECT n FROM t ORDER BY n")) == (0,)
    rows = workspace.rows("SELECT n FROM t ORDER BY n")
    assert next(rows) == (0,)
    workspace.close()
    del rows
    workspace.close()
    assert list(tmp_path.iterdir()) == []


def test_tables_on_disk_are_tables_like_others(tmp_path: Path) -> None:
    """They lie in the temporary folder, cursors see them, no other file is in reach, and nothing is left behind."""
    with Workspace.open(temp_folder=tmp_path, on_disk=True) as workspace:
        workspace.bind({"day": "today"})
        workspace.execute("CREATE TABLE numbers AS SELECT range AS x FROM range(300000)")
        rows = workspace.rows("SELECT x, getvariable('p_day') FROM numbers ORDER BY x")
        assert next(rows) == (0, "today")
        workspace.execute("DROP TABLE numbers")
        assert (workspace.folder / "run.duckdb").stat().st_size > 100_000
        assert workspace.query("SELECT count(*) FROM duckdb_tables()") == [(0,)]
        with pytest.raises(UserError):
            workspace.run(Step("Try", f"ATTACH {literal(str(tmp_path / 'other.db'))}"))
        assert isinstance(rows, Generator)
        rows.close()
    assert list(tmp_path.iterdir()) == []


def test_a_kept_workspace_opens_in_any_client(tmp_path: Path) -> None:
    """The tables are there after the run; an existing file is never overwritten."""
    file = tmp_path / "run.duckdb"
    with Workspace.open(file=file) as workspace:
        workspace.execute("CREATE TABLE changes AS SELECT 1 AS x")
    with duckdb.connect(str(file), read_only=True) as client:
        assert client.execute("SELECT x FROM changes").fetchall() == [(1,)]
    with pytest.raises(UserError, match="exists already"):
        Workspace.open(file=file)


def test_more_than_the_memory_limit_spills(tmp_path: Path) -> None:
    """A table of four times the limit is sorted too."""
    with Workspace.open(memory_limit="64MB", temp_folder=tmp_path, threads=1) as workspace:
        workspace.execute(
            "CREATE TABLE big AS SELECT hash(range) AS h, repeat('x', 100) || range AS t FROM range(1000000)"
        )
        assert workspace.query("SELECT count(*) FROM (SELECT * FROM big ORDER BY h LIMIT 900000)") == [(900_000,)]


def test_a_value_larger_than_the_memory_is_a_user_error() -> None:
    """One value larger than the limit cannot be spilled."""
    with (
        Workspace.open(memory_limit="32MB", threads=1) as workspace,
        pytest.raises(UserError, match="has no memory and no disk space left"),
    ):
        workspace.query("SELECT string_agg(repeat('x', 1000), '') FROM range(1000000)")


def test_a_setting_that_makes_no_sense_is_refused() -> None:
    """The message says what it is about."""
    with pytest.raises(UserError, match="workspace cannot be opened"):
        Workspace.open(memory_limit="plenty")


@pytest.mark.parametrize(
    "value",
    [
        "it's",
        "",
        "é😀\n",
        7,
        -(2**62),
        1.5,
        True,
        None,
        Decimal("12.50"),
        date(2024, 1, 31),
        datetime(2024, 1, 31, 10, 20, 30, 5),  # noqa: DTZ001 - UTC without a zone is what the workspace holds
    ],
)
def test_bound_values_arrive_as_they_are(workspace: Workspace, value: SqlValue) -> None:
    """Whatever their type and content."""
    workspace.bind({"Some": value})
    assert workspace.query("SELECT getvariable('p_Some')") == [(value,)]


def test_a_moment_with_a_zone_is_bound_in_utc(workspace: Workspace) -> None:
    """The workspace knows no zone but UTC."""
    workspace.bind({"at": datetime(2024, 1, 31, 10, tzinfo=timezone(timedelta(hours=2)))})
    assert workspace.query("SELECT getvariable('p_at')") == [
        (datetime(2024, 1, 31, 8, tzinfo=UTC).replace(tzinfo=None),)
    ]


def test_a_failing_step_names_its_place_and_no_value(workspace: Workspace) -> None:
    """A row's content stays out of messages."""
    workspace.execute("CREATE TABLE t AS SELECT 'SECRET' AS x")
    with pytest.raises(UserError) as caught:
        workspace.run(Step("Cast", "CREATE TABLE u AS SELECT CAST(x AS INTEGER) AS n FROM t", "source.columns[1]"))
    assert caught.value.message.startswith("source.columns[1]: a value does not fit its type")
    assert "SECRET" not in caught.value.message


def test_rows_stream_while_other_statements_run(workspace: Workspace) -> None:
    """A reader that has read one half of it continues without an error."""
    workspace.execute("CREATE TABLE t AS SELECT range AS n FROM range(5000)")
    rows = workspace.rows("SELECT n FROM t ORDER BY n", size=100)
    assert next(rows) == (0,)
    workspace.execute("CREATE TABLE u (n BIGINT)")
    assert sum(1 for _ in rows) == 4999


def test_streamed_rows_know_parameters_and_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read on a connection of their own, which sees the same."""
    monkeypatch.setenv("TZ", "America/New_York")
    with Workspace.open() as workspace:
        workspace.bind({"tag": "T"})
        sql = "SELECT getvariable('p_tag'), CAST(CAST('2024-01-31T10:00:00Z' AS TIMESTAMPTZ) AS TIMESTAMP)::VARCHAR"
        assert workspace.query(sql) == list(workspace.rows(sql)) == [("T", "2024-01-31 10:00:00")]


@pytest.mark.parametrize("name", ["plain", 'with "quotes"', "select", "a.b; --", "ä"])
def test_any_name_can_be_quoted(workspace: Workspace, name: str) -> None:
    """An identifier is never SQL."""
    workspace.execute(f"CREATE TABLE t ({quoted(name)} INTEGER)")
    assert workspace.query("SELECT column_name FROM duckdb_columns() WHERE table_name = 't'") == [(name,)]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), 0.1, 1e300, -0.0])
def test_doubles_are_written_to_the_last_bit(workspace: Workspace, value: float) -> None:
    """Infinite ones included."""
    assert workspace.query(f"SELECT {literal(value)}") == [(value,)]


@pytest.mark.parametrize("value", ["Anna Maier", 'Anna "A." Maier', "Anna's\nMaier", '"'])
def test_a_message_has_no_value_that_duckdb_quotes(value: str) -> None:
    """Whatever quotes and line breaks it has; the reason is kept."""
    with duckdb.connect() as database:
        for query, reason in (
            ("SELECT json_extract($1::VARCHAR, '$.x')", "Malformed JSON"),
            ("SELECT strptime($1::VARCHAR, '%Y')", "Could not parse string"),
        ):
            with pytest.raises(duckdb.Error) as caught:
                database.execute(query, [value])
            message = explained(caught.value)
            assert reason in message
            assert not re.search("Anna|Maier|A[.]", message)


def test_many_columns_that_do_not_fit_into_memory_are_explained(tmp_path: Path) -> None:
    """Each column needs a block of 256 kB while a table is written; DuckDB reports that as a failed commit."""
    columns = ", ".join(f"md5((i * {number})::VARCHAR) AS c{number}" for number in range(1, 61))
    with (
        Workspace.open(memory_limit="32MB", on_disk=True, threads=2, temp_folder=tmp_path) as workspace,
        pytest.raises(UserError, match="no memory and no disk space left; raise WORKSPACE_MEMORY"),
    ):
        workspace.execute(f"CREATE TABLE t AS SELECT {columns} FROM range(20000) AS r(i)")


@pytest.mark.parametrize("keys", [{"on_disk": True}, {"file": "kept.duckdb"}])
def test_a_table_that_does_not_fit_on_the_disk_is_explained(tmp_path: Path, keys: dict[str, Any]) -> None:
    """DuckDB reports that as a failed commit too; the place in the definition has nothing to do with it."""
    if "file" in keys:
        keys = {"file": tmp_path / keys["file"]}
    step = Step("Map", "CREATE TABLE t AS SELECT i, md5(i::VARCHAR) AS a FROM range(300000) AS r(i)", "destination")
    with Workspace.open(temp_folder=tmp_path, threads=1, **keys) as workspace:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        try:
            with pytest.raises(UserError, match=r"^the workspace's disk is full; free disk space"):
                workspace.run(step)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("kind", "compressed"), [(Workspace, False), (QuickWorkspace, True)])
def test_a_quick_workspace_writes_text_to_disk_by_one_compression(kind: type[Workspace], *, compressed: bool) -> None:
    """It takes less time to write; values of other types are not concerned."""
    query = "SELECT compression FROM pragma_storage_info('t') WHERE segment_type = 'VARCHAR'"
    with kind.open(on_disk=True) as workspace:
        workspace.execute("CREATE TABLE t AS SELECT i, md5(i::VARCHAR) AS text FROM range(200000) AS r(i)")
        used = {str(name) for (name,) in workspace.query(query)}
        assert (used == {"ZSTD"}) == compressed
        assert workspace.query("SELECT count(DISTINCT text), max(length(text)) FROM t") == [(200000, 32)]
