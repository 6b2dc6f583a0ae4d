"""The execution log as people and programs see it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.errors import UserError
from shared.state import JobKind, JobRequest, RunRecord, StateStore
from shared.state.sqlite import SqliteStateStore
from shared.views.runs import LOST, changes_made, error_files, latest_runs, run_json, run_named, runs_named

START = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateStore]:
    store = SqliteStateStore(tmp_path / "state.db")
    yield store
    store.close()


def run(run_id: str, *, state: str = "Succeeded", sync: str = "customers", hours: int = 0) -> RunRecord:
    return RunRecord(
        run_id=run_id, sync=sync, version="1", trigger="timer", state=state, started=START + timedelta(hours=hours)
    )


def test_the_latest_runs_are_in_order_with_the_requested_ones(state: StateStore) -> None:
    """A request is a run in the state Queued; the limit counts both."""
    for number in range(3):
        state.begin_run(run(f"run{number}", hours=number))
    state.request_job(JobRequest(id="job", sync="customers", requested=START + timedelta(hours=9)))
    assert [(each.run_id, each.state) for each in latest_runs(state, None, 3)] == [
        ("job", "Queued"),
        ("run2", "Succeeded"),
        ("run1", "Succeeded"),
    ]
    assert latest_runs(state, "orders", 3) == ()


def test_a_run_is_lost_where_it_does_not_hold_the_lease_of_its_sync(state: StateStore) -> None:
    """A run that holds it is running."""
    state.acquire_lease("sync/customers", holder="alive", seconds=60)
    state.begin_run(run("alive", state="Running", hours=1))
    state.begin_run(run("dead", state="Running"))
    assert [(each.run_id, each.state) for each in latest_runs(state, "customers", 5)] == [
        ("alive", "Running"),
        ("dead", LOST),
    ]


def test_a_run_is_found_by_its_id_the_beginning_of_it_and_as_the_last(state: StateStore) -> None:
    """A beginning that several ids have is refused, and so is one that none has."""
    for number, run_id in enumerate(("abc1", "abc2", "abc")):
        state.begin_run(run(run_id, hours=number))
    assert [run_named(text, state).run_id for text in ("abc", "abc1", "last")] == ["abc", "abc1", "abc"]
    with pytest.raises(UserError, match="3 runs have an id that starts with ab") as caught:
        run_named("ab", state)
    for shown in ("abc1 (customers, 2026-03-01 10:00)", "abc2 (customers, 2026-03-01 11:00)", "write more of the id"):
        assert shown in caught.value.message
    with pytest.raises(UserError, match="There is no run x"):
        run_named("x", state)


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_text_names_no_run(state: StateStore, text: str) -> None:
    """Not even the only one: a script may give a variable that is not set."""
    state.begin_run(run("abc1"))
    assert runs_named(text, state) == []
    with pytest.raises(UserError, match="this name is empty"):
        run_named(text, state)


def test_a_run_that_is_found_by_its_id_is_lost_where_its_lease_has_lapsed(state: StateStore) -> None:
    """The whole id, the beginning of it and `last` give the state that the list of runs shows."""
    state.begin_run(run("dead", state="Running"))
    assert {run_named(text, state).state for text in ("dead", "de", "last")} == {LOST}


def test_a_requested_run_is_found_by_the_beginning_of_its_id(state: StateStore) -> None:
    """It is Queued, and it is not the last run: it has not begun."""
    state.request_job(JobRequest(id="job1", sync="customers", requested=START))
    assert run_named("jo", state).state == "Queued"
    with pytest.raises(UserError, match="There is no run yet"):
        run_named("last", state)


def test_a_job_is_found_by_its_id_before_and_after_its_run_has_one(state: StateStore) -> None:
    """By the whole id and the beginning of it: the job while it waits or begins, and then its latest run."""
    job = state.request_job(JobRequest(id="job1", sync="customers", requested=START))

    def found() -> set[tuple[str, str]]:
        return {(each.run_id, each.state) for each in (run_named(text, state) for text in ("job1", "jo"))}

    assert found() == {("job1", "Queued")}
    state.put_job(replace(job, state="Running", runs=("abc",)))
    assert found() == {("job1", "Queued")}
    state.begin_run(run("abc"))
    state.put_job(replace(job, state="Succeeded", runs=("abc",), ended=START))
    assert found() == {("abc", "Succeeded")}


def test_a_job_that_ended_without_a_run_says_why(state: StateStore) -> None:
    """As a run that ended."""
    job = state.request_job(JobRequest(id="job1", sync="customers", requested=START))
    state.put_job(replace(job, state="Failed", ended=START, message="its sync made no progress"))
    shown = run_named("job", state)
    assert (shown.state, shown.ended, shown.message) == ("Failed", START, "its sync made no progress")


def test_a_question_is_no_run(state: StateStore) -> None:
    """The beginning of its id names nothing."""
    state.request_job(JobRequest(id="job1", sync="customers", requested=START, kind=JobKind.PLAN))
    assert runs_named("jo", state) == []


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"counts": {"completed": True}}, "Completed with errors"),
        ({"trigger": "events", "counts": {"lost": 2}}, "Completed with errors"),
        ({"counts": {"completed": False}}, "Failed"),
        ({}, "Failed"),
    ],
)
def test_rows_of_earlier_versions_have_the_states_of_today(
    state: StateStore, changes: dict[str, Any], shown: str
) -> None:
    """They wrote Failed for each run with an error, also for one that reached its end."""
    state.begin_run(replace(run("old", state="Failed"), **changes))
    assert [each.state for each in latest_runs(state, None, 5)] == [shown]
    assert run_named("old", state).state == shown


def test_a_run_is_json() -> None:
    """Moments are texts, and a run that has not ended has none."""
    value = json.loads(json.dumps(run_json(run("a"))))
    assert (value["run_id"], value["started"], value["ended"]) == ("a", "2026-03-01T10:00:00+00:00", None)


def test_only_changes_that_were_made_are_shown() -> None:
    """A row of a run that ended early may have no counts at all."""
    counts = {"created": {"done": 5, "planned": 6}, "updated": {"done": 0, "planned": 1}, "failed": 1}
    assert changes_made(counts) == {"created": 5, "failed": 1}
    assert changes_made({"deactivated": {"done": 2, "planned": 2}, "reactivated": {"done": 1, "planned": 1}}) == {
        "deactivated": 2,
        "reactivated": 1,
    }
    assert changes_made({}) == {}


def test_error_files_have_no_folder_in_their_names(state: StateStore) -> None:
    """A name is safe to write into any folder."""
    state.begin_run(run("a"))
    state.put_file("a", "a_SourceErrors.csv", b"Row\r\n1\r\n")
    assert list(error_files(state, "a")) == [("a_SourceErrors.csv", b"Row\r\n1\r\n")]
    assert list(error_files(state, "b")) == []
