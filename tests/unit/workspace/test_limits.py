"""Time limits on statements: interrupted, and left alone where that does not help."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from shared.errors import Problem, UserError
from shared.workspace import Step, Trial, Workspace
from shared.workspace.limits import OverdueError, within

ENDLESS = "SELECT count(*) FROM range(1000000000000) AS a(x) WHERE hash(x) = 7"  # nothing that an optimizer can foresee


def test_work_that_ends_in_time_gives_its_value() -> None:
    """The value comes from the other thread."""
    assert within(lambda: 60.0, lambda: threading.current_thread().name, lambda: None) == "statement"


def test_an_error_of_the_work_is_raised_where_it_is_waited_for() -> None:
    """Whatever it is."""

    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        within(lambda: 60.0, fails, lambda: None)


def test_work_that_stops_when_asked_is_not_stuck() -> None:
    """The interrupt is what ends it."""
    asked = threading.Event()
    with pytest.raises(OverdueError) as caught:
        within(lambda: 0.0, asked.wait, asked.set)
    assert not caught.value.stuck


def test_work_that_cannot_be_stopped_is_left_alone() -> None:
    """The waiting code continues."""
    end = threading.Event()
    with pytest.raises(OverdueError) as caught:
        within(lambda: 0.0, end.wait, lambda: None, grace=0.0)
    end.set()
    assert caught.value.stuck


def test_the_limit_may_change_during_the_work() -> None:
    """What was left when the work began does not decide."""
    end, asked = threading.Event(), iter([0.01, 0.01, 5.0])

    def left() -> float:
        seconds = next(asked, 60.0)
        if seconds > 1:
            end.set()
        return seconds

    assert within(left, end.wait, lambda: None)


def test_a_statement_beyond_the_time_is_interrupted_and_named(workspace: Workspace) -> None:
    """The message says which step it was; the workspace can be used again."""
    with (
        workspace.until(lambda: 0.0),
        pytest.raises(UserError, match=r"^source\.filter: the time limit of the run ended"),
    ):
        workspace.run(Step("Filter", f"CREATE TABLE t AS {ENDLESS}", "source.filter"))
    assert workspace.query("SELECT 1") == [(1,)]


@pytest.mark.parametrize("form", ["execute", "query", "rows"])
def test_every_way_to_ask_has_the_limit(workspace: Workspace, form: str) -> None:
    """Statements, queries and streams."""
    with workspace.until(lambda: 0.0), pytest.raises(UserError, match="the time limit of the run ended"):
        list(getattr(workspace, form)(ENDLESS) or ())
    assert list(workspace.rows("SELECT 1")) == [(1,)]


def test_within_the_time_nothing_changes(workspace: Workspace) -> None:
    """Rows come as they do without a limit."""
    with workspace.until(lambda: 60.0):
        workspace.execute("CREATE TABLE t AS SELECT range AS x FROM range(5000)")
        assert len(list(workspace.rows("SELECT x FROM t"))) == 5000
        with pytest.raises(UserError, match=r"Title: .*nowhere"):
            workspace.run(Step("Title", "SELECT * FROM nowhere"))


def test_an_expression_without_an_end_is_a_problem_and_the_last_one() -> None:
    """The trial stops there: mistakes before it are reported too."""
    problem = Problem(message="before", path="source.filter")
    trial = Trial({"a": "VARCHAR"}, seconds=0.0)

    def tried() -> Iterator[Problem]:
        yield problem
        found = trial.problem(f"({ENDLESS})", "source.columns[1].formula")
        yield found or Problem(message="it ended", path="")

    first, second = trial.watched(tried())
    assert first == problem
    assert (second.path, second.message) == (
        "source.columns[1].formula",
        "the expression takes more than 0 s on a single row",
    )
