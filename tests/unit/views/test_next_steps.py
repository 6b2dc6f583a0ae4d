"""What a person is told to do after a run."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.state import RunRecord, RunState
from shared.views.next_steps import command_line, next_steps
from shared.views.runs import LOST

RUN = RunRecord(
    run_id="0123456789abcdef",
    sync="customers",
    version="1",
    trigger="command",
    state="Succeeded",
    started=datetime(2026, 3, 1, tzinfo=UTC),
    given={"file_path": "it's new.csv", "limit": 5, "full": True},
)
GIVEN = ["-p", "file_path=it's new.csv", "-p", "limit=5", "-p", "full=true"]


@pytest.mark.parametrize(
    ("state", "trigger", "words"),
    [
        (RunState.REFUSED, "command", ["plan", "customers", *GIVEN]),
        (RunState.FAILED, "command", ["run", "customers", *GIVEN]),
        (RunState.FAILED, "job", ["start", "customers", *GIVEN]),
        (RunState.FAILED, "definition", ["validate", "customers"]),
        (RunState.CANCELLED, "command", ["run", "customers", *GIVEN]),
        (RunState.INTERRUPTED, "command", ["run", "customers", *GIVEN]),
        (RunState.RUNNING, "timer", ["runs", "0123456789"]),
    ],
)
def test_the_next_command_can_be_typed_as_it_is(state: str, trigger: str, words: list[str]) -> None:
    """With all parameters of the run, quoted for a shell."""
    (step,) = next_steps(replace(RUN, state=state, trigger=trigger), has_errors=False)
    assert shlex.split(step) == ["dynamics-sync", *words]


def test_dead_letters_are_named_where_events_became_some() -> None:
    """Events with fields in error alone were applied: there is no dead letter to look at."""
    run = replace(RUN, trigger="events", state=RunState.COMPLETED_WITH_ERRORS, counts={"events": 2, "left_out": 1})
    assert next_steps(run, has_errors=True) == ("dynamics-sync errors 0123456789 --csv DIR",)
    lost = replace(run, counts={"events": 2, "lost": 1})
    assert next_steps(lost, has_errors=False) == ("dynamics-sync dead-letters customers",)


@pytest.mark.parametrize("state", ["Refused", "Failed", "Cancelled", "Interrupted", LOST])
def test_a_retry_that_did_not_reach_its_end_is_retried(state: str) -> None:
    """A run of the whole source is something else."""
    retried = replace(RUN, state=state, counts={"retry_of": "fedcba9876543210"})
    assert next_steps(retried, has_errors=False) == ("dynamics-sync retry fedcba9876 --file FILE",)


@pytest.mark.parametrize("state", [*RunState, LOST])
@pytest.mark.parametrize("trigger", ["timer", "command", "job", "events", "definition"])
def test_no_next_step_overrides_the_safety_limits(state: str, trigger: str) -> None:
    """A person decides that, with the plan before them."""
    for has_errors in (False, True):
        steps = next_steps(replace(RUN, state=state, trigger=trigger), has_errors=has_errors)
        assert "--force" not in " ".join(steps)


def test_errors_of_rows_come_first() -> None:
    """Unless they have been written already."""
    failed = replace(RUN, state="Completed with errors")
    assert next_steps(failed, has_errors=True) == ("dynamics-sync errors 0123456789 --csv DIR",)
    assert next_steps(failed, has_errors=True, listed=True) == ()
    assert next_steps(RUN, has_errors=False) == ()


def test_a_lost_run_is_explained() -> None:
    """What has happened, and the command that runs it again."""
    (step,) = next_steps(replace(RUN, state=LOST), has_errors=False)
    assert step.startswith("Its process has died")
    assert shlex.split(step.partition(": ")[2]) == ["dynamics-sync", "run", "customers", *GIVEN]


def test_the_app_continues_what_it_started() -> None:
    """An interrupted run of the schedule needs no person."""
    (step,) = next_steps(replace(RUN, state="Interrupted", trigger="timer"), has_errors=False)
    assert "next tick" in step


def test_a_parameter_without_a_value_is_empty() -> None:
    """`-p NAME=` gives empty text."""
    assert command_line("run", "customers", {"day": None}) == "dynamics-sync run customers -p day="


def test_the_values_of_a_key_are_no_options() -> None:
    """A negative number begins as an option does: the options come first, and end before the values."""
    assert command_line("erase", ["A-1", "x y"], options=("--yes",)) == "dynamics-sync erase A-1 'x y' --yes"
    assert command_line("erase", ["A-1", "-1001"], options=("--yes",)) == "dynamics-sync erase --yes -- A-1 -1001"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("Succeeded", "When the cause is corrected: dynamics-sync resume"),
        ("Interrupted", "dynamics-sync undo fedcba9876"),
        ("Cancelled", "dynamics-sync undo fedcba9876"),
        ("Failed", "dynamics-sync undo fedcba9876"),
        ("Running", "dynamics-sync runs"),
    ],
)
def test_an_undo_is_repeated_by_the_run_that_it_takes_back(state: str, said: str) -> None:
    """Not by its own id, which would undo it; afterwards the sync waits for a person."""
    (step,) = next_steps(replace(RUN, state=state, counts={"undo_of": "fedcba9876543210"}), has_errors=False)
    assert step.startswith(said)


@pytest.mark.parametrize(
    ("state", "trigger"),
    [*((state, "command") for state in ("Failed", "Cancelled", "Interrupted", LOST)), ("Failed", "job")],
)
def test_after_a_run_of_an_approved_plan_comes_a_plan(state: str, trigger: str) -> None:
    """A run without it would write what nobody has approved."""
    run = replace(RUN, state=state, trigger=trigger, counts={"with_plan": True}, given={"day": "1"})
    (step,) = next_steps(run, has_errors=False)
    assert step.endswith("dynamics-sync plan customers -p day=1")


def test_an_undo_of_a_part_is_repeated_with_a_condition() -> None:
    """Which the log does not have; without it the whole run would be taken back."""
    counts = {"undo_of": "fedcba9876543210", "undo_part": True}
    steps = next_steps(replace(RUN, state="Interrupted", counts=counts), has_errors=False)
    assert steps == ("dynamics-sync undo fedcba9876 --where SQL",)
