"""How all syncs are, and what needs a person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.definitions import Loaded, load_definition
from shared.definitions.reference.example import EXAMPLE
from shared.errors import Problem
from shared.state import DeadLetter, RunRecord, StateStore
from shared.state.sqlite import SqliteStateStore
from shared.views.status import SyncStatus, status_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEFINITION = load_definition(EXAMPLE)
NAME = DEFINITION.name


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateStore]:
    store = SqliteStateStore(tmp_path / "state.db")
    yield store
    store.close()


def loaded(schedule: str | None = "0 0 3 * * *") -> Loaded:
    return Loaded(name=NAME, file="a.yaml", definition=DEFINITION.model_copy(update={"schedule": schedule}))


def run(run_id: str, state: str, *, hours: float, **more: Any) -> RunRecord:
    """A run that started so many hours ago and took a minute."""
    started = NOW - timedelta(hours=hours)
    counts = {"strategy": "full", "source": {"processed": 100, "rejected": 0}, "created": {"done": 7, "planned": 7}}
    return RunRecord(
        run_id=run_id,
        sync=NAME,
        version="1",
        trigger=more.pop("trigger", "timer"),
        state=state,
        started=started,
        ended=started + timedelta(minutes=1),
        counts=counts | more,
    )


def only(state: StateStore, each: Loaded | None = None) -> SyncStatus:
    (sync,) = status_of([each or loaded()], state, NOW).syncs
    return sync


def test_a_sync_has_its_last_run_its_last_success_and_its_next_run(state: StateStore) -> None:
    """A run that failed after the last success does not hide it."""
    state.begin_run(run("good", "Completed with errors", hours=33))
    state.begin_run(run("bad", "Failed", hours=9, rows_in_error=4))
    value = json.loads(json.dumps(only(state).to_json()))
    assert value == {
        "sync": NAME,
        "state": "Failed",
        "run_id": "bad",
        "last_end": "2026-03-01T03:01:00+00:00",
        "last_success": "2026-02-28T03:01:00+00:00",
        "next_run": "2026-03-02T03:00:00+00:00",
        "rows": 100,
        "changes": 7,
        "open_errors": 4,
        "dead_letters": 0,
        "needs": ["the last run is Failed: dynamics-sync errors bad"],
        "paused": None,
    }


@pytest.mark.parametrize(("counts", "rows"), [({"rows_in_error": 8}, 8), ({}, 5)])
def test_rows_with_errors_are_those_that_the_run_counted(state: StateStore, counts: dict[str, Any], rows: int) -> None:
    """Of a run of an earlier version, which counted errors, the rows that were not synced are shown."""
    source = {"processed": 100, "rejected": 3}
    state.begin_run(run("r", "Completed with errors", hours=1, source=source, failed=2, error_count=11, **counts))
    assert only(state).open_errors == rows


def test_a_start_in_the_future_says_nothing_of_the_next_run(state: StateStore) -> None:
    """The schedule leaves it out, so its next time is the one after the run before."""
    state.begin_run(run("far", "Succeeded", hours=-24))
    assert only(state).next_run == NOW
    state.begin_run(run("before", "Succeeded", hours=33))
    status = only(state)
    assert status.next_run == datetime(2026, 2, 28, 3, tzinfo=UTC) + timedelta(days=1)
    assert [str(need) for need in status.needs] == ["it has been due since 2026-03-01 03:00 UTC: does the app run?"]
    assert status.last is not None
    assert status.last.run_id == "far"


@pytest.mark.parametrize(
    ("record", "need"),
    [
        (run("r", "Succeeded", hours=9), None),
        (run("r", "Completed with errors", hours=9, source={"processed": 100, "rejected": 5}), None),
        (
            run("r", "Completed with errors", hours=9, source={"processed": 100, "rejected": 6}),
            "6 rows of 100 were rejected or refused",
        ),
        (run("r", "Refused", hours=9), "the last run is Refused"),
        (run("r", "Cancelled", hours=9), None),
        (run("r", "Interrupted", hours=9, attempt=2), None),
        (run("r", "Interrupted", hours=9, attempt=3), "3 runs in a row were interrupted"),
        (run("r", "Running", hours=9), "the process of the last run has died"),
        (run("r", "Succeeded", hours=33), "it has been due since 2026-03-01 03:00 UTC"),
        (run("r", "Completed with errors", hours=1, trigger="events"), None),
    ],
)
def test_what_needs_a_person_is_named(state: StateStore, record: RunRecord, need: str | None) -> None:
    """A problem that the app solves by itself does not need a person."""
    state.begin_run(record)
    needs = only(state).needs
    assert len(needs) == (1 if need else 0)
    assert need is None or needs[0].text.startswith(need)


def test_a_retry_is_the_last_run_and_neither_a_success_of_the_sync_nor_a_start_of_its_schedule(
    state: StateStore,
) -> None:
    """The sync is due since the time that passed after its own last run."""
    state.begin_run(run("good", "Succeeded", hours=33))
    before = only(state)
    state.begin_run(run("again", "Succeeded", hours=1, trigger="retry"))
    after = only(state)
    assert after.last is not None
    assert after.last.run_id == "again"
    assert (after.last_success, after.next_run) == (before.last_success, before.next_run)


def test_events_have_changes_and_errors_too(state: StateStore) -> None:
    """Records that were changed, and events that were applied without a field; those that were lost are dead letters."""
    counts = {
        "events": 9,
        "insert": 2,
        "update": 1,
        "adopted": 1,
        "unchanged": 1,
        "failed": 1,
        "lost": 2,
        "left_out": 3,
    }
    row = replace(run("r", "Completed with errors", hours=1, trigger="events"), counts=counts)
    state.begin_run(row)
    sync = only(state)
    assert (sync.rows, sync.changes, sync.open_errors, sync.needs) == (9, 4, 3, ())


def test_a_sync_that_never_ran_is_due_and_one_without_a_schedule_is_not(state: StateStore) -> None:
    """Neither needs a person."""
    assert (only(state).next_run, only(state).last) == (NOW, None)
    assert only(state, loaded(None)).next_run is None
    assert only(state).needs == ()


def in_berlin(schedule: str) -> Loaded:
    definition = DEFINITION.model_copy(
        update={"schedule": schedule, "time_zone": "Europe/Berlin", "quiet": "12:00-14:00"}
    )
    return Loaded(name=NAME, file="a.yaml", definition=definition)


def test_the_next_run_is_reported_in_the_time_zone_of_the_schedule(state: StateStore) -> None:
    """NOW is 13:00 in Berlin, in the quiet hours: what is due starts at their end, and is not late."""
    assert only(state, in_berlin("0 3 * * *")).to_json()["next_run"] == "2026-03-01T14:00:00+01:00"  # it never ran
    state.begin_run(run("r", "Succeeded", hours=5))
    assert only(state, in_berlin("0 3 * * *")).to_json()["next_run"] == "2026-03-02T03:00:00+01:00"
    late = only(state, in_berlin("0 10 * * *"))
    assert late.to_json()["next_run"] == "2026-03-01T14:00:00+01:00"
    assert late.needs == ()
    (sync,) = status_of([in_berlin("0 10 * * *")], state, NOW + timedelta(hours=3)).syncs
    assert [str(need) for need in sync.needs] == ["it has been due since 2026-03-01 10:00 CET: does the app run?"]


def test_a_definition_with_mistakes_needs_a_person(state: StateStore) -> None:
    """Its sync does not run."""
    wrong = Loaded(name="odd", file="odd.yaml", definition=None, problems=(Problem(message="no key"),))
    assert [str(need) for need in only(state, wrong).needs] == [
        "its definition has 1 mistake: dynamics-sync validate odd"
    ]


def test_dead_letters_need_a_person_and_unclaimed_ones_are_apart(state: StateStore) -> None:
    """The counts add up to all letters."""
    letter = DeadLetter(
        id="a", sync=NAME, body=b"", partition="0", sequence=1, error="Unknown Choice", message="m", kept=NOW
    )
    others = [replace(letter, id="b", sequence=2), replace(letter, id="c", sync="", error="Unclaimed")]
    state.add_dead_letters([letter, *others])
    found = status_of([loaded(None)], state, NOW)
    assert (found.syncs[0].dead_letters, found.unclaimed) == (2, 1)
    assert [(need.sync, str(need)) for need in found.needs] == [
        (NAME, f"2 dead letters: dynamics-sync dead-letters {NAME}"),
        ("", "1 event that no listener takes: dynamics-sync dead-letters --unclaimed"),
    ]
    assert found.to_json()["needs_a_person"] is True
