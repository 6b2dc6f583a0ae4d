"""What the steps of a run depend on, and what becomes of the run with them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from shared.definitions.models.names import RUN_FIGURES
from shared.jobs.post_sync.continuing import steps_left
from shared.jobs.post_sync.step_inputs import StepInput, ended, step_input_of
from shared.jobs.summary import ChangeCounts, RowCounts, RunState, RunSummary, StepOutcome, StepState
from shared.state import RunRecord

STARTED = dt.datetime(2024, 1, 31, 12, tzinfo=dt.UTC)
DONE = RunSummary(
    run_id="two",
    sync="accounts",
    state=RunState.SUCCEEDED,
    strategy="full",
    completed=True,
    created=ChangeCounts(done=3, planned=3),
    source=RowCounts(processed=4, verified=4),
    elapsed_seconds=2.7,
)
LEFT = StepOutcome(name="b", kind="http", state=StepState.NOT_RUN, message="no time")
MADE = StepOutcome(name="a", kind="sql", state=StepState.SUCCEEDED, seconds=1.0, figures={"rows": 2})
FAILED = replace(MADE, name="c", state=StepState.FAILED, message="no such table")


def record(summary: RunSummary, state: RunState = RunState.INTERRUPTED) -> RunRecord:
    """The row of an earlier run in the execution log."""
    return RunRecord(
        run_id="one",
        sync="accounts",
        version="1",
        trigger="timer",
        state=state.value,
        started=STARTED - dt.timedelta(hours=1),
        counts=replace(summary, run_id="one", state=state).to_json(),
    )


def turn(summary: RunSummary, *, failed: bool = False, runs: Sequence[RunRecord] = ()) -> StepInput | None:
    """What the steps of a run begin with that follows some runs, the latest first."""
    before = dict(pairwise(run.run_id for run in runs))
    known = {run.run_id: run for run in runs}
    left = steps_left(next(iter(runs), None), lambda run: known.get(before.get(run.run_id, "")), {})
    return step_input_of(summary, {"tag": "x"}, started=STARTED, failed=failed, continued=left)


def test_figures_are_parameters() -> None:
    """Every figure has a value, beside the parameters of the definition."""
    found = turn(DONE)
    assert found is not None
    assert found.values.keys() == {"tag", *RUN_FIGURES}
    assert [found.values[name] for name in ("run.id", "run.state", "run.created", "run.processed", "run.seconds")] == [
        "two",
        "Succeeded",
        3,
        4,
        2,
    ]
    assert found.values["run.started"] == STARTED
    assert (found.errors, found.earlier, found.continues) == (False, (), "")


@pytest.mark.parametrize(
    "summary",
    [
        replace(DONE, failed=1),
        replace(DONE, violations=1),
        replace(DONE, skipped=1, state=RunState.FAILED),
        replace(DONE, source=RowCounts(processed=4, verified=3, rejected=1)),
    ],
)
def test_rows_with_errors_are_errors_of_the_run(summary: RunSummary) -> None:
    """Rejected, refused and left ones."""
    found = turn(summary)
    assert found is not None
    assert (found.errors, found.values["run.state"]) == (True, "Completed with errors")


def test_a_run_whose_writes_failed_has_errors() -> None:
    """Whatever its counts say."""
    found = turn(DONE, failed=True)
    assert found is not None
    assert (found.errors, found.values["run.state"]) == (True, "Failed")


@pytest.mark.parametrize("state", [RunState.CANCELLED, RunState.INTERRUPTED])
def test_a_run_that_was_stopped_has_no_steps(state: RunState) -> None:
    """The run that continues it has them."""
    assert turn(replace(DONE, state=state)) is None


@pytest.mark.parametrize("state", [RunState.INTERRUPTED, RunState.CANCELLED])
def test_a_run_that_writes_nothing_continues_the_steps_of_the_one_before(state: RunState) -> None:
    """With the figures, the id and the outcomes of that run, which its time or a person ended."""
    before = replace(DONE, created=ChangeCounts(done=9, planned=9), post_sync=(MADE, LEFT))
    found = turn(DONE, runs=[record(before, state)])
    assert found is not None
    assert [found.values[name] for name in ("run.id", "run.created", "run.state")] == ["one", 9, "Succeeded"]
    assert found.earlier == (replace(MADE, run="one"), replace(LEFT, run="one"))
    again = record(replace(before, post_sync=(replace(MADE, run="zero"), LEFT)))
    continued = turn(DONE, runs=[again])
    assert continued is not None
    assert continued.earlier[0].run == "zero"


def test_runs_that_did_nothing_change_nothing_about_the_steps_that_are_left() -> None:
    """Such as one that could not sign in; and one that ended among the steps itself knows the figures of the first."""
    nothing = replace(DONE, created=ChangeCounts(), state=RunState.FAILED)
    runs = [
        replace(record(nothing, RunState.FAILED), run_id="four"),
        replace(record(replace(nothing, writes=2, post_sync=(replace(MADE, run="one"), MADE, LEFT))), run_id="three"),
        replace(record(nothing, RunState.FAILED), run_id="two"),
        record(replace(DONE, writes=9, post_sync=(LEFT, LEFT))),
    ]
    found = turn(DONE, runs=runs)
    assert found is not None
    assert [found.values[name] for name in ("run.id", "run.created")] == ["one", 3]
    assert found.earlier == (replace(MADE, run="one"), replace(MADE, run="three"), replace(LEFT, run="three"))


def test_a_run_that_carried_out_the_first_steps_of_another_one_continues_it() -> None:
    """No step shows it, where the other run has carried out none; its own step has written."""
    first = record(replace(DONE, writes=9, post_sync=(LEFT, LEFT)))
    second = replace(DONE, created=ChangeCounts(), writes=2, post_sync=(MADE, LEFT), continues="one")
    found = turn(DONE, runs=[replace(record(second), run_id="three"), first])
    assert found is not None
    assert [found.values[name] for name in ("run.id", "run.created")] == ["one", 3]
    assert found.continues == "one"


def test_a_run_whose_process_died_ends_what_is_left() -> None:
    """It may have written: its changes need all steps."""
    died = replace(record(DONE), run_id="two", counts={"attempt": 1})
    found = turn(DONE, runs=[died, record(replace(DONE, post_sync=(MADE, LEFT)))])
    assert found is not None
    assert found.earlier == ()


def test_a_run_with_other_parameters_is_not_continued() -> None:
    """The last one with steps, and the one whose figures they would know."""
    left = record(replace(DONE, post_sync=(MADE, LEFT)))
    other = replace(left, run_id="zero", given={"tag": "y"})
    first, second = turn(DONE, runs=[other]), turn(DONE, runs=[left, other])
    assert first is not None
    assert second is not None
    assert (first.earlier, second.values["run.id"]) == ((), "one")


@pytest.mark.parametrize(
    ("summary", "last"),
    [
        (replace(DONE, writes=1), record(replace(DONE, post_sync=(MADE, LEFT)))),
        (DONE, record(replace(DONE, post_sync=(MADE, LEFT)), RunState.SUCCEEDED)),
        (DONE, record(replace(DONE, post_sync=(MADE,)), RunState.CANCELLED)),
        (DONE, record(replace(DONE, post_sync=(MADE, FAILED)))),
        (DONE, record(DONE)),
        (DONE, replace(record(DONE), counts={"attempt": 1})),
    ],
)
def test_other_runs_begin_with_the_first_step(summary: RunSummary, last: RunRecord) -> None:
    """One that writes, and one that follows a run without steps that are left."""
    found = turn(summary, runs=[last])
    assert found is not None
    assert (found.earlier, found.values["run.id"]) == ((), "two")


def test_the_state_of_a_run_follows_from_its_steps() -> None:
    """A step that is left is more than one that failed: the run is continued."""
    assert ended(DONE, [MADE], cancelled=False) == replace(DONE, post_sync=(MADE,))
    failed = ended(replace(DONE, message="1 row was rejected"), [MADE, FAILED], cancelled=False)
    assert (failed.state, failed.completed, failed.exit_code) == (RunState.FAILED, False, 1)
    assert failed.message == "the step c failed: no such table; 1 row was rejected"
    left = ended(DONE, [FAILED, LEFT], cancelled=False)
    assert (left.state, left.exit_code) == (RunState.INTERRUPTED, 1)
    assert left.message == (
        "all changes are written; 1 step is left for the next run (no time); the step c failed: no such table"
    )
    stopped = ended(DONE, [MADE, LEFT], cancelled=True)
    assert (stopped.state, stopped.exit_code) == (RunState.CANCELLED, 130)
