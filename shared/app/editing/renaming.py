"""A sync that gets a name: only one does at a time; what is kept under an earlier name goes with it, without a run."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from shared.errors import RetryLater, SyncError, UserError
from shared.jobs.batch.lease_keeping import HeldLease, keeping
from shared.jobs.real_time.listeners import move_listening
from shared.jobs.real_time.session import copy_positions
from shared.state import StateStore

__all__ = ["RenameRefusedError", "renaming"]

_NO_WATERMARK: Final = ""  # as after `watermark --reset`
_NAMING: Final = "naming-"  # what the holders of leases are called that are no runs
_TRIES, _PAUSE = 20, 0.25  # seconds: whoever saves under a name is ready soon
_AT_ONCE: Final = 500  # dead letters, and entries of a ledger


class RenameRefusedError(UserError):
    """The sync cannot get this name now: something works on it, or somebody else gives the name to a sync."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """A change of a name that was begun: what is kept under the old one may not have been moved.

    Attributes:
        old: The name before; empty if no change has begun.
        at: When it was begun.
    """

    old: str
    at: str


@contextmanager
def renaming(
    state: StateStore,
    old: str,
    new: str,
    *,
    look_again: Callable[[], None] = lambda: None,
    is_new: bool = False,
    names: Callable[[], Collection[str]] = tuple,
) -> Iterator[None]:
    """Save a definition in the block, under the same or another name of its sync.

    Of all who give a name to a sync, or take it from one, one does at a time. With another name, neither sync runs
    until the block has ended. A pause goes along, and the moment from which on the sync takes events, at no moment
    without one; then the ledger, the watermark, the positions of events and the dead letters. What an earlier sync of
    the new name has left of a ledger or a watermark is removed, and nothing of them stays under the old name. A mirror
    is made anew by the next run.

    If this is interrupted after the block, the next save of the sync moves what is left: all of it, or only what
    belongs to events where a run of the new name has made a ledger and a watermark of its own since then.

    Args:
        state: Keeps what belongs to a sync by its name.
        old: The name until now.
        new: The name in the text that is saved.
        look_again: Called when nobody else can give the new name any more, before anything is moved: it raises if the
            name is not free.
        is_new: Whether no file has given the new name to the sync so far, also if it is the same as the old one.
        names: Gives the names of all syncs that have a definition.

    Raises:
        RenameRefusedError: A run or a job of one of the names has not ended, or somebody else gives it; nothing was
            saved.
        RetryLater: The state store is unavailable. Where the definition is saved already, the message says so.
    """
    begun = _begun(state, old)
    if old == new and not is_new and not begun.old:
        yield
        return
    with ExitStack() as held:
        # In one order: of two people who exchange two names, none waits for the other.
        leases = {name: _taken(held, state, name) for name in sorted({old, new, begun.old} - {""})}
        look_again()
        if begun.old:
            _complete(state, begun, old, leases, names())
        if old == new:
            yield
            return
        _refuse_jobs(state, old)
        # Before the first process reads the new name: it keeps the moment for as long as it runs.
        move_listening(state, old, new)
        with _telling(old, new) as saved:
            with _pause_moved(state, old, new), _noted(state, old, new, leases[new].fence):
                yield
                saved.append(new)
            _move(state, old, new, leases[new].fence)
            _leave(state, old, leases[old].fence)
            _forget(state, new, leases[new].fence)


@contextmanager
def _telling(old: str, new: str) -> Iterator[list[str]]:
    """Say of an outage that the definition is saved, if the list has an entry by then."""
    saved: list[str] = []
    try:
        yield saved
    except RetryLater as error:
        if not saved:
            raise
        said = (
            f"{error.message}. The definition is saved with the name {new}, but what is kept under {old} is not "
            "moved yet: save it once more, before its next run"
        )
        raise RetryLater(said, retry_after=error.retry_after) from error


@contextmanager
def _noted(state: StateStore, old: str, new: str, fence: int) -> Iterator[None]:
    """Note that a name is being changed, until `_forget`; not if the definition is not saved."""
    note = {"old": old, "at": datetime.now(UTC).isoformat()}
    state.set_watermark(_note(new), json.dumps(note), fence=fence)
    saved = False
    try:
        yield
        saved = True
    finally:
        if not saved:
            with suppress(SyncError):  # then the note stays, and the old name is not gone: nothing is moved
                _forget(state, new, fence)


def _note(new: str) -> str:
    """What the note of a change is called among the watermarks."""
    return f"renamed/{new}"


def _begun(state: StateStore, name: str) -> _Begun:
    """The change by which a sync got its name, if it was interrupted."""
    note = state.watermark(_note(name))
    return _Begun(**json.loads(note)) if note else _Begun(old="", at="")


def _forget(state: StateStore, new: str, fence: int) -> None:
    state.set_watermark(_note(new), _NO_WATERMARK, fence=fence)


def _complete(
    state: StateStore, begun: _Begun, new: str, leases: Mapping[str, HeldLease], names: Collection[str]
) -> None:
    """Move what an interrupted change of a name has left, unless the definition was not saved with the new one."""
    if new in names and begun.old not in names:
        run = state.last_run(new)
        if run is None or run.started < datetime.fromisoformat(begun.at):
            _move(state, begun.old, new, leases[new].fence)
        else:  # this run has made its own: it knows more than what is left
            _move_events(state, begun.old, new)
        _leave(state, begun.old, leases[begun.old].fence)
        state.resume(begun.old)
    _forget(state, new, leases[new].fence)


def _taken(held: ExitStack, state: StateStore, name: str) -> HeldLease:
    """The lease of a name; of another person who gives or takes it, this waits for the end.

    Raises:
        RenameRefusedError: A run has it, or it does not end soon.
    """
    for _ in range(_TRIES):
        lease = held.enter_context(keeping(state, f"sync/{name}", f"{_NAMING}{uuid.uuid4().hex}"))
        if lease is not None:
            return lease
        found = state.lease(f"sync/{name}")
        if found is not None and not found.holder.startswith(_NAMING):
            raise RenameRefusedError(
                f"a run of {name} has not ended: wait for its end, or cancel it, then save again. A run under the new "
                "name would work beside it"
            )
        time.sleep(_PAUSE)
    raise RenameRefusedError(f"somebody else gives the name {name} to a sync now, or takes it from one: try again")


def _refuse_jobs(state: StateStore, name: str) -> None:
    jobs = [job for job in state.open_jobs() if job.request.sync == name and not job.request.kind.is_read_only]
    if jobs:
        raise RenameRefusedError(
            f"a job of {name} has not ended: wait for its end, or cancel it, then change the name. It would not find "
            "its sync any more"
        )


@contextmanager
def _pause_moved(state: StateStore, old: str, new: str) -> Iterator[None]:
    pauses = state.pauses()
    pause = pauses.get(old) if new not in pauses else None
    if pause is None:
        yield
        return
    state.pause(replace(pause, sync=new))
    saved = False
    try:
        yield
        saved = True
    finally:
        state.resume(old if saved else new)


def _move(state: StateStore, old: str, new: str, fence: int) -> None:
    """Let the new name have what the old one has; of an earlier sync of the new name, only dead letters stay."""
    _move_ledger(state, old, new, fence)
    watermark = state.watermark(old)
    if watermark is not None or state.watermark(new):
        state.set_watermark(new, watermark or _NO_WATERMARK, fence=fence)
    _move_events(state, old, new)


def _move_events(state: StateStore, old: str, new: str) -> None:
    # First: a letter without the positions of its events would be replayed over what newer events have written.
    copy_positions(state, old, new)
    while letters := state.dead_letters(old, limit=_AT_ONCE):
        state.add_dead_letters([replace(letter, sync=new) for letter in letters])


def _leave(state: StateStore, old: str, fence: int) -> None:
    """Take from the old name what would let a later sync of that name pass over rows, or drop records of this one."""
    if state.watermark(old):
        state.set_watermark(old, _NO_WATERMARK, fence=fence)
    if (left := state.ledger(old)) is not None:
        state.swap_ledger(old, (), expected=left, fence=fence)
    state.remove_ledger_entries(old, state.ledger_entries(old))


def _move_ledger(state: StateStore, old: str, new: str, fence: int) -> None:
    """Copy the ledger; one that an earlier sync of the new name has left is replaced."""
    found, left = state.ledger(old), state.ledger(new)
    for name in found.parts if found else ():
        part = state.ledger_part(old, name)
        if part is not None:
            state.put_ledger_part(new, name, part)
    if found or left:
        state.swap_ledger(new, found.parts if found else (), expected=left, fence=fence)
    state.remove_ledger_entries(new, state.ledger_entries(new))
    entries = list(state.ledger_entries(old).items())
    for start in range(0, len(entries), _AT_ONCE):
        some = entries[start : start + _AT_ONCE]
        state.put_ledger_entries(new, {record: replace(entry, version="") for record, entry in some})
