"""The writer under random faults, in virtual time: the end state is always the same, and each change has one outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.dataverse.changes import Applied, Change, ChangeAction, Failed, Skipped, WriteLimits
from shared.dataverse.write.controller import Sizes
from shared.errors import SyncError
from tests.unit.dataverse.simulation import ACCOUNT, ALL_MESSAGES, Fault, World, world

Rows = dict[str, str]

FAULTS = (
    st.builds(
        Fault,
        kind=st.sampled_from(
            ["status", "status_after", "part_after", "drop_before", "drop_after", "timeout_after", "unsent", "late"]
        ),
        status=st.just(503),
        code=st.sampled_from(["0x80044150", "0x80044151", "0x80040216"]),
        times=st.integers(1, 2),
    )
    | st.builds(
        Fault,
        kind=st.just("status"),
        status=st.just(429),
        code=st.sampled_from(["0x80072322", "0x80072321", "0x80072326"]),
        headers=st.sampled_from([{"retry-after": "3"}, {"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT"}, {}]),
        times=st.integers(1, 5),
    )
    | st.builds(Fault, kind=st.just("status"), status=st.sampled_from([502, 503, 504]), times=st.just(1))
)


@dataclass(frozen=True)
class Case:
    """A target, the changes, and the rows that the service refuses."""

    before: Rows
    actions: Mapping[str, ChangeAction]
    bad: frozenset[str]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    keys = draw(st.lists(st.sampled_from([f"K{n}" for n in range(60)]), unique=True, max_size=40))
    before = {key: "before" for key in keys if draw(st.booleans())}
    actions = {}
    for key in keys:
        possible = (
            [ChangeAction.UPDATE, ChangeAction.DELETE, ChangeAction.UPSERT]
            if key in before
            else [
                ChangeAction.INSERT,
                ChangeAction.UPSERT,
            ]
        )
        actions[key] = draw(st.sampled_from(possible))
    bad = draw(st.frozensets(st.sampled_from(keys), max_size=4)) if keys else frozenset()
    return Case(before, actions, bad)


def start(case: Case, here: World) -> list[Change]:
    """Create the existing records in the service, and return the changes."""
    ids: dict[str, str] = {}
    for key, name in case.before.items():
        ids[key] = here.memory.insert({"accountnumber": key, "name": name})
    order = [ChangeAction.INSERT, ChangeAction.UPDATE, ChangeAction.UPSERT, ChangeAction.DELETE]
    ordered = sorted(case.actions.items(), key=lambda item: order.index(item[1]))
    return [
        Change(
            number=number,
            action=action,
            id=ids.get(key) if action in {ChangeAction.UPDATE, ChangeAction.DELETE} else None,
            key=json.dumps({"accountnumber": key}),
            payload=json.dumps(
                {"name": "bad" if key in case.bad else "after"}
                | ({} if action is ChangeAction.UPDATE else {"accountnumber": key})
            ),
        )
        for number, (key, action) in enumerate(ordered)
    ]


def key_of(change: Change) -> str:
    key: str = json.loads(change.key)["accountnumber"]
    return key


def expected(case: Case) -> list[tuple[str, str]]:
    rows = dict(case.before)
    for key, action in case.actions.items():
        if action is ChangeAction.DELETE:
            del rows[key]
        elif key not in case.bad:
            rows[key] = "after"
    return sorted(rows.items())


def found(here: World) -> list[tuple[str, str]]:
    return sorted((row["accountnumber"], row["name"]) for row in here.memory.records.values())


def refuse(row: Mapping[str, Any]) -> str | None:
    return "A validation error occurred." if row.get("name") == "bad" else None


def made(faults: list[Fault], *, guarded: bool, bulk: bool, users: int, limits: WriteLimits | None = None) -> World:
    here = world(
        entity=ACCOUNT if guarded else replace(ACCOUNT, keys=()),
        key_guarded=guarded,
        messages=ALL_MESSAGES if bulk else frozenset(),
        users=users,
        sizes=Sizes(fewest=1, first=3, most=8),
        parallel=3,
        bad=refuse,
        limits=limits or WriteLimits(),
    )
    here.memory.faults = faults
    return here


@given(
    case=cases(),
    faults=st.lists(FAULTS, max_size=3),
    guarded=st.booleans(),
    bulk=st.booleans(),
    users=st.integers(1, 3),
    others=st.frozensets(st.sampled_from([f"K{n}" for n in range(60)]), max_size=20),
)
def test_any_faults_end_in_the_same_state(
    *, case: Case, faults: list[Fault], guarded: bool, bulk: bool, users: int, others: frozenset[str]
) -> None:
    """Throttled, away, dropped before or after the server acted, late: nothing lost, nothing doubled, one outcome each.

    Another client has created some of the records meanwhile: a record whose key it has taken stays as it is.
    """
    here = made([], guarded=guarded, bulk=bulk, users=users)
    changes = start(case, here)
    inserted = {key for key, action in case.actions.items() if action is ChangeAction.INSERT}
    theirs = others & inserted if guarded else frozenset()
    for key in theirs:
        here.memory.insert({"accountnumber": key, "name": "theirs"})
    here.memory.faults = [replace(fault) for fault in faults]
    outcomes = here.write(changes)
    here.memory.clock.sleep(10)
    here.memory.act_late()
    assert sorted(outcome.number for outcome in outcomes) == [change.number for change in changes]
    assert found(here) == sorted((dict(expected(case)) | dict.fromkeys(theirs, "theirs")).items())
    by_number = {outcome.number: outcome for outcome in outcomes}
    for change in changes:
        refused = key_of(change) in case.bad | theirs and change.action is not ChangeAction.DELETE
        assert isinstance(by_number[change.number], Failed if refused else Applied)


@given(case=cases(), faults=st.lists(FAULTS, max_size=3), seconds=st.floats(0, 3), guarded=st.booleans())
def test_a_write_that_is_stopped_reports_true_outcomes(
    *, case: Case, faults: list[Fault], seconds: float, guarded: bool
) -> None:
    """At a deadline every change reported as applied is applied; running the rest again gives the same result."""
    here = made([], guarded=guarded, bulk=True, users=2)
    changes = start(case, here)
    here.limits = WriteLimits(deadline=here.memory.clock.monotonic() + seconds)
    here.memory.faults = [replace(fault) for fault in faults]
    outcomes = []
    try:
        for outcome in here.writing().outcomes(changes):
            outcomes.append(outcome)  # noqa: PERF402 - what came before an error counts
    except SyncError:
        pass
    assert sorted(outcome.number for outcome in outcomes) == [change.number for change in changes]
    after = dict(found(here))
    for outcome in outcomes:
        change = changes[outcome.number]
        key = key_of(change)
        if isinstance(outcome, Applied):
            assert after.get(key) == (None if change.action is ChangeAction.DELETE else "after")
        elif isinstance(outcome, Skipped):
            assert outcome.reason
