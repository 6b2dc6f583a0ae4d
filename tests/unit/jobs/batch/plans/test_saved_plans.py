"""A saved plan is applied once, and given back by a run that wrote nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.errors import RetryLater, UsedPlanError
from shared.jobs.batch.plans.saved_plans import refuse_used_plan, using_plan
from shared.state import PlanUse, RunRecord, RunState
from shared.state.sqlite import SqliteStateStore
from tests.store_in_front import StoreInFront, failing

MINE = PlanUse(plan_id="p1", checksum="c" * 64, sync="a", run_id="r1", used=datetime(2026, 3, 1, 12, 30, tzinfo=UTC))
OTHER = replace(MINE, run_id="r2")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStateStore]:
    opened = SqliteStateStore(tmp_path / "state.db")
    yield opened
    opened.close()


def test_a_plan_that_was_written_is_used(store: SqliteStateStore) -> None:
    """The next run is refused, with a sentence that names the first."""
    refuse_used_plan(store, "p1")
    with using_plan(store, MINE, wrote=lambda: True):
        pass
    said = "applied already, by run r1 on 2026-03-01 at 12:30 UTC"
    with pytest.raises(UsedPlanError, match=said):
        refuse_used_plan(store, "p1")
    with pytest.raises(UsedPlanError, match=said), using_plan(store, OTHER, wrote=lambda: False):
        pytest.fail("the second run wrote")
    assert store.plan_use("p1") == MINE


@pytest.mark.parametrize("state", RunState)
def test_a_plan_whose_run_was_interrupted_is_not_told_as_unwritten(store: SqliteStateStore, state: RunState) -> None:
    """Its job starts once more: the run before has written a part, and another plan has the rest."""
    run = RunRecord(run_id="r1", sync="a", version="v", trigger="job", state=state, started=MINE.used)
    store.begin_run(run)
    with using_plan(store, MINE, wrote=lambda: True):
        pass
    whole = state in {RunState.SUCCEEDED, RunState.COMPLETED_WITH_ERRORS}
    said = (
        "applied already, by run r1"
        if whole
        else "run r1 began to apply this plan .* what it wrote stays.* still missing"
    )
    with pytest.raises(UsedPlanError, match=said):
        refuse_used_plan(store, "p1")


@pytest.mark.parametrize("error", [RetryLater("away", retry_after=1), KeyboardInterrupt(), ZeroDivisionError()])
@pytest.mark.parametrize("wrote", [True, False])
def test_a_run_that_fails_gives_the_plan_back_where_it_wrote_nothing(
    store: SqliteStateStore, error: BaseException, *, wrote: bool
) -> None:
    """Whatever ends it; where something was sent the plan stays used."""
    with pytest.raises(type(error)), using_plan(store, MINE, wrote=lambda: wrote):
        raise error
    assert store.plan_use("p1") == (MINE if wrote else None)


def test_a_plan_that_cannot_be_given_back_changes_nothing_of_how_the_run_ended(store: SqliteStateStore) -> None:
    """The error that ended the run is the one that is raised."""
    away = StoreInFront(store, return_plan=failing(RetryLater("away", retry_after=1)))
    with pytest.raises(ZeroDivisionError), using_plan(away, MINE, wrote=lambda: False):
        raise ZeroDivisionError
    assert away.calls["return_plan"] == 1


def test_a_run_without_a_saved_plan_leaves_no_trace(store: SqliteStateStore) -> None:
    """Runs by the clock have none."""
    none = replace(MINE, plan_id="")
    for _ in range(2):
        refuse_used_plan(store, "")
        with using_plan(store, none, wrote=lambda: True):
            pass
    assert store.plan_use("") is None
