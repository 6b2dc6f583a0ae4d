"""Changes that take two requests: one outcome, when both have settled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from shared.dataverse.changes import Applied, Change, ChangeAction, Failed, Skipped, WriteLimits
from tests.unit.dataverse.simulation import ALL_MESSAGES, Fault, World, inserts, world

REFUSED = "the state cannot be set"


def with_state(number: int) -> Iterator[Change]:
    """New accounts, every third of them inactive."""
    for change in inserts(number):
        yield replace(change, later='{"statecode":1}') if change.number % 3 == 0 else change


def states(here: World) -> dict[str, Any]:
    return {row["accountnumber"]: row.get("statecode") for row in here.memory.records.values()}


@pytest.mark.parametrize("messages", [ALL_MESSAGES, frozenset[str]()], ids=["bulk", "batch"])
@pytest.mark.parametrize("action", [ChangeAction.INSERT, ChangeAction.UPSERT])
def test_a_change_is_applied_once_when_both_requests_are(action: ChangeAction, messages: frozenset[str]) -> None:
    """The second request comes after the record is there, and the outcome is that of the first."""
    here = world(messages=messages)
    outcomes = here.write([replace(change, action=action) for change in with_state(60)])
    assert sorted(outcome.number for outcome in outcomes) == list(range(60))
    assert {type(outcome) for outcome in outcomes} == {Applied}
    assert states(here) == {f"A{number}": 1 if number % 3 == 0 else None for number in range(60)}
    if action is ChangeAction.INSERT:
        made = [outcome for outcome in outcomes if isinstance(outcome, Applied) and outcome.created]
        assert {str(outcome.id) for outcome in made} == here.memory.records.keys()


def test_a_second_request_that_is_refused_fails_the_change_and_names_the_record() -> None:
    """The row counts as failed, never as created; the record that is there can be found by its id."""
    here = world(bad=lambda row: REFUSED if "statecode" in row else None)
    outcomes = {outcome.number: outcome for outcome in here.write(with_state(30))}
    assert len(outcomes) == 30
    assert len(here.memory.records) == 30
    for number, outcome in outcomes.items():
        if number % 3:
            assert isinstance(outcome, Applied)
            continue
        assert isinstance(outcome, Failed)
        assert outcome.message == f"the record was created, but some columns were refused: {REFUSED}"
        assert here.memory.records[str(outcome.id)]["accountnumber"] == f"A{number}"


def test_a_write_that_ends_between_the_two_requests_names_the_record() -> None:
    """It is there, without what the second request writes."""
    here = world()
    here.limits = WriteLimits(cancelled=lambda: bool(here.memory.records))
    skipped = {each.id: each for each in here.write(with_state(3000)) if isinstance(each, Skipped) and each.id}
    assert skipped
    assert skipped.keys() <= here.memory.records.keys()
    assert all(each.number % 3 == 0 for each in skipped.values())


def test_a_first_request_that_is_refused_is_the_end() -> None:
    """Nothing is written to a record that is not there."""
    here = world(bad=lambda row: "no" if row.get("accountnumber") == "A3" else None)
    outcomes = {outcome.number: outcome for outcome in here.write(with_state(9))}
    failed = outcomes.pop(3)
    assert isinstance(failed, Failed)
    assert (failed.message, failed.id) == ("no", None)
    assert all(isinstance(outcome, Applied) for outcome in outcomes.values())
    assert "A3" not in states(here)


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "late", "timeout_after", "unsent"])
@pytest.mark.parametrize("before", [0, 1])
def test_a_lost_answer_to_either_request_leaves_one_record_and_one_outcome(kind: str, before: int) -> None:
    """A create is looked up, an update repeated; nothing is doubled."""
    here = world()
    if before:
        here.memory.faults = [Fault(kind="status", status=429, headers={"retry-after": "1"})]
    here.memory.faults.append(Fault(kind=kind, times=2))
    outcomes = here.write(with_state(12))
    assert sorted(outcome.number for outcome in outcomes) == list(range(12))
    assert all(isinstance(outcome, Applied) and outcome.created for outcome in outcomes)
    assert states(here) == {f"A{number}": 1 if number % 3 == 0 else None for number in range(12)}


def test_a_write_that_is_stopped_gives_every_change_its_outcome() -> None:
    """A change whose first request was answered and whose second was not sent is left for the next run."""
    asked = count()
    here = world(limits=WriteLimits(cancelled=lambda: next(asked) > 3))
    outcomes = here.write(with_state(40))
    assert sorted(outcome.number for outcome in outcomes) == list(range(40))
