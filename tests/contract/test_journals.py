"""What every state store promises of journals and paused syncs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from shared.state import Pause, RunRecord, RunState, StateStore

NOW = datetime(2026, 11, 26, 7, 30, 15, 250000, tzinfo=UTC)


@pytest.fixture
def store(open_store: Callable[[], StateStore]) -> StateStore:
    return open_store()


def test_parts_are_seen_by_other_processes(store: StateStore, open_store: Callable[[], StateStore]) -> None:
    """With their bytes, sorted; the same name replaces a part, and other runs have none."""
    for name in ("b", "a", "b"):
        store.put_journal_part("run", name, f"{name} again".encode())
    store.put_journal_part("run 2/ä", "a", b"")
    other = open_store()
    assert other.journal_parts("run") == ("a", "b")
    assert other.journal_part("run", "b") == b"b again"
    assert (other.journal_parts("run 2/ä"), other.journal_part("run 2/ä", "a")) == (("a",), b"")
    assert (other.journal_parts("ru"), other.journal_part("run", "c")) == ((), None)


def test_old_journals_are_removed_whole_a_few_at_a_time(store: StateStore) -> None:
    """The runs stay."""
    store.begin_run(RunRecord(run_id="1", sync="s", version="1", trigger="timer", state=RunState.RUNNING, started=NOW))
    for run in ("1", "2", "3"):
        for part in ("a", "b"):
            store.put_journal_part(run, part, b"x")
    now = datetime.now(UTC)
    assert store.prune_journals(now - timedelta(days=1), limit=10) == 0
    assert [store.prune_journals(now + timedelta(days=1), limit=2) for _ in range(3)] == [2, 1, 0]
    assert [store.journal_parts(run) for run in ("1", "2", "3")] == [(), (), ()]
    assert store.run("1") is not None


def test_a_journal_goes_with_its_run(store: StateStore) -> None:
    """That of a run which stays, too, stays."""
    for place, run in enumerate(("old", "latest")):
        started = NOW + timedelta(minutes=place)
        store.begin_run(
            RunRecord(run_id=run, sync="s", version="1", trigger="timer", state=RunState.SUCCEEDED, started=started)
        )
        store.put_journal_part(run, "a", b"x")
    assert store.prune(NOW + timedelta(days=1), limit=10).runs == 1
    assert (store.journal_parts("old"), store.journal_parts("latest")) == ((), ("a",))


def test_a_sync_is_paused_until_it_is_resumed(store: StateStore, open_store: Callable[[], StateStore]) -> None:
    """Other syncs are not, and a second pause takes the place of the first."""
    second = Pause(sync="a b/ü", run_id="2", since=NOW + timedelta(hours=1), by="Ä")
    store.pause(Pause(sync="a b/ü", run_id="1", since=NOW))
    store.pause(second)
    other = Pause(sync="a", run_id="3", since=NOW)
    store.pause(other)
    assert open_store().pauses() == {"a": other, "a b/ü": second}
    assert store.resume("a b/ü")
    assert not store.resume("a b/ü")
    assert open_store().pauses() == {"a": other}
