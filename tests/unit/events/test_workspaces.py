"""Workspaces that outlive a batch are as good as new ones."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from shared.errors import UserError
from shared.jobs.event_workspaces import WarmWorkspace, Workspaces
from shared.workspace import Step


@pytest.fixture
def workspace() -> Iterator[WarmWorkspace]:
    with WarmWorkspace.open(threads=1) as opened:
        yield opened


def test_a_statement_that_is_kept_sees_the_tables_as_they_are(workspace: WarmWorkspace) -> None:
    """Only the parser's work is kept: another table under the name, with other columns, is no trouble."""
    for columns, rows in (("1 AS a", [(1,)]), ("'x' AS b, 2 AS c", [("x", 2)])):
        workspace.execute(f"CREATE TABLE t AS SELECT {columns}")
        workspace.run(Step("Copy", "CREATE TABLE copy AS SELECT * FROM t"))
        assert workspace.query("SELECT * FROM copy") == rows
        workspace.clear()


def test_parameters_are_those_of_the_call(workspace: WarmWorkspace) -> None:
    """The same text with another value gives another answer."""
    assert [workspace.query("SELECT ?::VARCHAR", [value]) for value in ("a", "b")] == [[("a",)], [("b",)]]


def test_a_step_that_fails_is_explained_without_values(workspace: WarmWorkspace) -> None:
    """As in a workspace of a batch: a mistake is the user's to mend, and no row is quoted."""
    with pytest.raises(UserError, match=r"source\.columns: a value does not fit") as failed:
        workspace.run(Step("Cast", "CREATE TABLE t AS SELECT 'secret'::INTEGER", "source.columns"))
    assert "secret" not in failed.value.message
    with pytest.raises(UserError, match="Typo"):
        workspace.run(Step("Typo", "CREATE TABEL t"))
    with pytest.raises(duckdb.Error):
        workspace.query("SELECT * FROM nowhere")


def test_it_is_as_closed_as_any(workspace: WarmWorkspace) -> None:
    """Files stay out of reach."""
    with pytest.raises(duckdb.PermissionException):
        workspace.query("SELECT * FROM read_text('/etc/hostname')")


def test_a_workspace_is_lent_empty_and_again() -> None:
    """Tables of a batch are gone before the next one."""
    workspaces = Workspaces(lambda: WarmWorkspace.open(threads=1))
    with workspaces.lend() as first:
        first.execute("CREATE TABLE t AS SELECT 1; CREATE VIEW v AS SELECT * FROM t")
    with workspaces.lend() as second:
        assert second is first
        second.execute("CREATE TABLE t AS SELECT 2")
    workspaces.close()


def test_one_whose_batch_failed_is_not_used_again() -> None:
    """Nobody knows what it was left in."""
    workspaces = Workspaces(lambda: WarmWorkspace.open(threads=1))
    with pytest.raises(ZeroDivisionError), workspaces.lend() as first:
        raise ZeroDivisionError
    with workspaces.lend() as second:
        assert second is not first
    workspaces.close()


def test_batches_side_by_side_get_one_each() -> None:
    """Two that run at a time do not share tables."""
    workspaces = Workspaces(lambda: WarmWorkspace.open(threads=1))
    with workspaces.lend() as first, workspaces.lend() as second:
        assert first is not second
    workspaces.close()
