"""Workspaces that outlive a batch are as good as new ones."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from shared.errors import UserError
from shared.workspace import NewTable, Step
from shared.workspace.warm import WarmWorkspace, Workspaces


def table(name: str, query: str) -> NewTable:
    return NewTable(name=name, query=query)


def view(name: str, query: str) -> NewTable:
    return NewTable(name=name, query=query, is_view=True)


@pytest.fixture
def workspace() -> Iterator[WarmWorkspace]:
    with WarmWorkspace.open(threads=1) as opened:
        yield opened


def test_a_statement_sees_the_tables_as_they_are(workspace: WarmWorkspace) -> None:
    """Another table under the name, with other columns, is no trouble; nor is one that comes again, in any order."""
    for columns, rows in [("1 AS a", [(1,)]), ("'x' AS b, 2 AS c", [("x", 2)])] * 4:
        workspace.create(table("t", f"SELECT {columns}"))
        workspace.run(Step.creating("Copy", table("copy", "SELECT * FROM t")))
        assert workspace.query("SELECT * FROM copy") == rows
        assert list(workspace.rows("SELECT * FROM copy")) == rows
        workspace.clear()


def test_tables_that_are_kept_stay_as_they_are(workspace: WarmWorkspace) -> None:
    """Others may come and go beside them, also one that was there under another text."""
    for turn in range(6):
        workspace.create(table("kept", f"SELECT {turn} AS n"))
        for name in ("a", "b", "a"):
            workspace.create(table("other", f"SELECT '{name}' || n AS {name} FROM kept"))
            workspace.create(view("seen", "SELECT * FROM other"))
            assert workspace.query("SELECT * FROM seen") == [(f"{name}{turn}",)]
            workspace.clear(keep=("kept",))
        assert workspace.query("SELECT count(*) FROM kept") == [(1,)]
        workspace.clear()


def test_what_is_gone_cannot_be_read(workspace: WarmWorkspace) -> None:
    """A statement that is planned when its table is there fails when it is not, and a second table is refused."""
    for _ in range(4):
        with pytest.raises(duckdb.CatalogException):
            workspace.query("SELECT * FROM t")
        workspace.create(NewTable(name="t", columns="(a INTEGER)"))
        workspace.create(NewTable(name="t", columns="(a INTEGER)", if_missing=True))
        with pytest.raises(duckdb.CatalogException):
            workspace.create(NewTable(name="t", columns="(a INTEGER)"))
        assert workspace.query("SELECT * FROM t") == []
        workspace.execute("INSERT INTO t VALUES (1)")
        workspace.clear()


def test_variables_are_those_of_the_batch(workspace: WarmWorkspace) -> None:
    """A plan would hold the value that a variable had, so statements with one are planned anew, through views too."""
    for day in ("one", "two", "three", "four"):
        workspace.bind({"day": day})
        workspace.create(view("through", "SELECT getvariable('p_day') AS day"))
        workspace.create(table("made", "SELECT getvariable('p_day') AS day"))
        assert workspace.query("SELECT * FROM through") == workspace.query("SELECT * FROM made") == [(day,)]
        workspace.clear()


def test_a_step_that_fails_leaves_nothing(workspace: WarmWorkspace) -> None:
    """Whether it is planned or not: what failed for one batch's rows works for those of the next."""
    for value, works in (("1", True), ("x", False), ("2", True), ("y", False), ("3", True)):
        workspace.create(table("given", "SELECT ?::VARCHAR AS text"), [value])
        step = Step.creating("Read", table("number", "SELECT CAST(text AS INTEGER) AS n FROM given"))
        if works:
            workspace.run(step)
            assert workspace.query("SELECT n FROM number") == [(int(value),)]
        else:
            with pytest.raises(UserError):
                workspace.run(step)
            with pytest.raises(duckdb.CatalogException):
                workspace.query("SELECT n FROM number")
        workspace.clear()


def test_one_that_was_changed_in_other_ways_is_not_used_again() -> None:
    """Only what is made and filled can be emptied."""
    workspaces = Workspaces(lambda: WarmWorkspace.open(threads=1))
    with workspaces.lend() as first:
        first.create(table("t", "SELECT 1 AS a, 2 AS b"))
        first.execute("ALTER TABLE t DROP COLUMN a")
        assert first.query("SELECT * FROM t") == [(2,)]
    with workspaces.lend() as second:
        assert second is not first
    workspaces.close()


def test_one_that_knows_too_many_statements_is_not_used_again() -> None:
    """Senders that leave out fields at random make ever new ones."""
    workspaces = Workspaces(lambda: WarmWorkspace.open(threads=1))
    with workspaces.lend() as first:
        for number in range(401):
            first.create(NewTable(name=f"t{number}", columns="(a INTEGER)"))
    with workspaces.lend() as second:
        assert second is not first
    workspaces.close()


def test_a_text_that_makes_a_table_is_refused(workspace: WarmWorkspace) -> None:
    """The workspace has to know what it makes, and a text does not say it."""
    with pytest.raises(TypeError, match="create"):
        workspace.execute("CREATE TABLE t (a INTEGER)")


def test_a_plan_is_made_again_when_another_table_was_made(workspace: WarmWorkspace) -> None:
    """DuckDB would run the former plan too, but it would make it anew each time. Without a new table the plan stays."""

    def plans(turns: int) -> set[str]:
        for _ in range(turns):
            workspace.create(table("t", "SELECT 1 AS a"))
            assert workspace.query("SELECT a FROM t") == [(1,)]
            workspace.clear()
        listed = "SELECT name FROM duckdb_prepared_statements() WHERE statement LIKE '%SELECT a FROM t'"
        return {str(name) for (name,) in workspace.query(listed)}

    first = plans(3)
    assert len(first) == 1
    assert plans(3) == first
    workspace.create(table("other", "SELECT 2 AS b"))
    workspace.clear()
    second = plans(3)
    assert len(second) == 1
    assert second.isdisjoint(first)
    assert plans(3) == second


def test_parameters_are_those_of_the_call(workspace: WarmWorkspace) -> None:
    """The same text with another value gives another answer."""
    values = ["a", "b", "it's", '{"c": 1}', ""]
    assert [workspace.query("SELECT ?::VARCHAR", [value]) for value in values] == [[(value,)] for value in values]


def test_a_step_that_fails_is_explained_without_values(workspace: WarmWorkspace) -> None:
    """As in a workspace of a batch: a mistake is the user's to mend, and no row is quoted."""
    with pytest.raises(UserError, match=r"source\.columns: a value does not fit") as failed:
        workspace.run(Step.creating("Cast", table("t", "SELECT 'secret'::INTEGER"), "source.columns"))
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
    """Tables of a batch are removed before the next one."""
    workspaces = Workspaces(lambda: WarmWorkspace.open(threads=1))
    with workspaces.lend() as first:
        first.create(table("t", "SELECT 1"))
        first.create(view("v", "SELECT * FROM t"))
    with workspaces.lend() as second:
        assert second is first
        second.create(table("t", "SELECT 2"))
    workspaces.close()


def test_one_whose_batch_failed_is_not_used_again() -> None:
    """Its content is not known."""
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
