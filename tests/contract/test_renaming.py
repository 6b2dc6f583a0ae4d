"""A sync that gets another name keeps what belongs to it, in every state store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_DNS, uuid5

import pytest

from shared.app.editing.renaming import RenameRefusedError, renaming
from shared.entities import LedgerEntry
from shared.errors import RetryLater
from shared.events import Event, EventAction, EventPosition, Message
from shared.jobs.real_time.listeners import ListeningSince
from shared.jobs.real_time.session import Positions
from shared.state import DeadLetter, JobKind, JobRequest, Pause, Position, RunRecord, StateStore
from tests.contract.test_listening import listening
from tests.store_in_front import StoreInFront, failing

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def store(open_store: Callable[[], StateStore]) -> StateStore:
    return open_store()


def fill(store: StateStore, sync: str, text: str) -> None:
    """Give a sync a ledger with an entry, and a watermark."""
    lease = store.acquire_lease(f"sync/{sync}", holder="r", seconds=60)
    assert lease is not None
    store.put_ledger_part(sync, text, text.encode())
    store.swap_ledger(sync, [text], expected=store.ledger(sync), fence=lease.fence)
    store.put_ledger_entries(sync, {str(uuid5(NAMESPACE_DNS, text)): LedgerEntry(text=text)})
    store.set_watermark(sync, text, fence=lease.fence)
    store.release_lease(lease)


def kept(store: StateStore, sync: str) -> tuple[list[bytes | None], list[str], str | None]:
    """The parts of the ledger, its entries and the watermark."""
    head = store.ledger(sync)
    parts = [store.ledger_part(sync, name) for name in head.parts] if head else []
    return parts, [entry.text for entry in store.ledger_entries(sync).values()], store.watermark(sync)


def letter(number: int, sync: str) -> DeadLetter:
    return DeadLetter(
        id=f"l{number}", sync=sync, body=b"{}", partition="0", sequence=number, error="E", message="m", kept=NOW
    )


def test_ledger_watermark_letters_and_pause_go_with_the_name(store: StateStore) -> None:
    """Of another sync that had the name earlier nothing stays, and the sync can get its first name back."""
    fill(store, "b", "theirs")
    fill(store, "a", "mine")
    store.add_dead_letters([*(letter(number, "a") for number in range(3)), letter(9, "other")])
    store.pause(Pause(sync="a", run_id="r", since=NOW))
    with renaming(store, "a", "b"):
        assert store.acquire_lease("sync/b", holder="x", seconds=9) is None
    assert kept(store, "b") == ([b"mine"], ["mine"], "mine")
    assert kept(store, "a") == ([], [], "")
    assert store.dead_letter_counts() == {"b": 3, "other": 1}
    assert [each.sequence for each in store.dead_letters("b")] == [0, 1, 2]
    assert [*store.pauses()] == ["b"]
    fill(store, "b", "later")
    with renaming(store, "b", "a"):
        pass
    assert kept(store, "a")[0::2] == ([b"later"], "later")
    assert set(kept(store, "a")[1]) == {"mine", "later"}
    assert store.lease("sync/a") is None


def test_a_watermark_of_an_earlier_sync_does_not_stay(store: StateStore) -> None:
    """The renamed sync has none: its first run reads all rows. Neither has a later sync of the old name."""
    fill(store, "b", "theirs")
    with renaming(store, "a", "b"):
        pass
    assert kept(store, "b") == ([], [], "")
    fill(store, "b", "mine")
    with renaming(store, "b", "c"):
        pass
    assert (kept(store, "b"), kept(store, "c")[2]) == (([], [], ""), "mine")


def test_a_listener_with_another_name_takes_the_events_that_wait(store: StateStore) -> None:
    """Also where a process reads the new name before the definition is saved."""
    assert ListeningSince().of(listening("a"), store, now=NOW) == NOW
    renamed = listening("b")
    with renaming(store, "a", "b"):
        assert ListeningSince().of(renamed, store, now=NOW + timedelta(hours=3)) == NOW
    assert ListeningSince().of(renamed, store, now=NOW + timedelta(hours=4)) == NOW


def test_positions_of_events_go_with_the_name(store: StateStore) -> None:
    """Also of more keys than one transaction holds; what the new name has reached by now does not move back."""
    marks = {f"k{number}": Position(partition="0", sequence=number, when=NOW) for number in range(250)}
    store.mark_seen("a", marks)
    store.mark_seen("other", {"k1": Position(partition="0", sequence=9)})
    with renaming(store, "a", "b"):
        store.mark_seen("b", {"k2": Position(partition="0", sequence=900), "k3": Position(partition="0", sequence=1)})
    assert store.seen("b", marks) == {**marks, "k2": Position(partition="0", sequence=900)}
    assert store.seen("other", marks) == {"k1": Position(partition="0", sequence=9)}


def test_inserts_that_were_begun_under_the_old_name_are_known(store: StateStore) -> None:
    """They may have made their records: the listener reads before it makes them once more."""
    message = Message(body=b"{}", partition="0", sequence=5, hub="crm")
    position = EventPosition(partition=message.stream, sequence=5)
    inserts = [Event(message=message, action=EventAction.INSERT, new={}, old={}, position=position)]
    assert not Positions(sync="a", state=store).begin(inserts)
    with renaming(store, "a", "b"):
        pass
    assert Positions(sync="b", state=store).begin(inserts)


def test_nothing_moves_if_the_definition_is_not_saved(store: StateStore) -> None:
    fill(store, "a", "mine")
    store.pause(Pause(sync="a", run_id="r", since=NOW))
    with pytest.raises(ZeroDivisionError), renaming(store, "a", "b"):
        raise ZeroDivisionError
    assert (kept(store, "a")[2], kept(store, "b"), [*store.pauses()]) == ("mine", ([], [], None), ["a"])


@pytest.mark.parametrize("busy", ["a", "b"])
def test_a_sync_whose_run_works_gets_no_other_name(store: StateStore, busy: str) -> None:
    """The run under the new name would work beside it, and both would create the same records."""
    lease = store.acquire_lease(f"sync/{busy}", holder="r", seconds=60)
    assert lease is not None
    with pytest.raises(RenameRefusedError, match=f"a run of {busy} has not ended"), renaming(store, "a", "b"):
        pytest.fail("it was saved")
    store.release_lease(lease)
    with renaming(store, "a", "b"):
        pass


@pytest.mark.parametrize(("kind", "refused"), [(JobKind.RUN, True), (JobKind.TEST, False)])
def test_a_sync_with_a_job_that_waits_gets_no_other_name(store: StateStore, kind: JobKind, *, refused: bool) -> None:
    """The job would not find its sync."""
    store.request_job(JobRequest(id="j", sync="a", requested=NOW, kind=kind))
    refusal = pytest.raises(RenameRefusedError, match="a job of a has not ended") if refused else nullcontext()
    with refusal, renaming(store, "a", "b"):
        pass


def test_a_name_that_is_not_free_any_more_moves_nothing(store: StateStore) -> None:
    """It is looked at again when nobody else can give it, and before anything is moved."""
    fill(store, "a", "mine")
    fill(store, "b", "theirs")
    store.pause(Pause(sync="a", run_id="r", since=NOW))

    def taken() -> None:
        assert store.acquire_lease("sync/b", holder="x", seconds=9) is None
        raise ZeroDivisionError

    for old in ("a", "b"):
        with pytest.raises(ZeroDivisionError), renaming(store, old, "b", look_again=taken, is_new=True):
            pytest.fail("it was saved")
    assert (kept(store, "a")[2], kept(store, "b")[2], [*store.pauses()]) == ("mine", "theirs", ["a"])


def test_of_two_who_give_a_name_one_waits_for_the_other(store: StateStore) -> None:
    """The first one's sync has it when the second one looks again."""
    order: list[str] = []
    begun = threading.Event()

    def first() -> None:
        with renaming(store, "a", "c"):
            begun.set()
            time.sleep(0.5)
            order.append("saved")

    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(30)
    with renaming(store, "c", "c", look_again=lambda: order.append("looked"), is_new=True):
        pass
    thread.join()
    assert order == ["saved", "looked"]


@pytest.mark.parametrize("call", ["swap_ledger", "copy_positions", "add_dead_letters", "remove_ledger_entries"])
def test_what_an_outage_has_left_goes_with_the_next_save(store: StateStore, call: str) -> None:
    """The definition is saved by then, and the person is told so."""
    fill(store, "a", "mine")
    store.add_dead_letters([letter(1, "a")])
    store.mark_seen("a", {"k": Position(partition="0", sequence=1)})
    away = StoreInFront(store, **{call: failing(RetryLater("The store is away", retry_after=5))})
    told = "The store is away. The definition is saved with the name b, but what is kept under a is not moved yet"
    with pytest.raises(RetryLater, match=told), renaming(away, "a", "b"):
        pass
    with renaming(store, "b", "b", names=lambda: {"b"}):
        assert store.acquire_lease("sync/b", holder="x", seconds=9) is None
    assert (kept(store, "b"), kept(store, "a")) == (([b"mine"], ["mine"], "mine"), ([], [], ""))
    assert (store.dead_letter_counts(), [*store.seen("b", ["k"])]) == ({"b": 1}, ["k"])
    fill(store, "a", "another sync")
    with renaming(store, "b", "b", names=lambda: {"b"}):
        assert store.lease("sync/b") is None  # nothing is left to move
    assert kept(store, "a")[2] == "another sync"


def test_what_an_outage_has_left_does_not_replace_what_a_run_has_made_since(store: StateStore) -> None:
    """Its ledger and its watermark are newer; what belongs to events goes along."""
    fill(store, "a", "mine")
    store.add_dead_letters([letter(1, "a")])
    away = StoreInFront(store, swap_ledger=failing(RetryLater("The store is away", retry_after=5)))
    with pytest.raises(RetryLater), renaming(away, "a", "b"):
        pass
    began = datetime.now(UTC) + timedelta(seconds=1)
    store.begin_run(RunRecord(run_id="r", sync="b", version="", trigger="timer", state="Running", started=began))
    fill(store, "b", "newer")
    with renaming(store, "b", "c", names=lambda: {"b"}):
        pass
    assert (kept(store, "c")[0::2], kept(store, "a")) == (([b"newer"], "newer"), ([], [], ""))
    assert store.dead_letter_counts() == {"c": 1}


def test_a_change_that_was_never_saved_moves_nothing_later(store: StateStore) -> None:
    """The process ended before the definition was saved, so the old name has its sync; another one gets the new name."""
    fill(store, "a", "mine")
    away = StoreInFront(store)

    def never_saved() -> None:
        with renaming(away, "a", "b"):
            away.before["set_watermark"] = failing(RetryLater("away", retry_after=5))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        never_saved()
    for is_new in (True, False):
        with renaming(store, "b", "b", is_new=is_new, names=lambda: {"a", "b"}):
            pass
    assert (kept(store, "a")[2], kept(store, "b")) == ("mine", ([], [], None))
