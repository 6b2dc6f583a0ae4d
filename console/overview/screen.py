"""What the first page shows: all syncs of a person, what needs a person, and what is under way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from console.access.rights import Level
from shared.definitions import Loaded
from shared.state import RunState, StateStore
from shared.views.status import Need, Status, SyncStatus, status_of

__all__ = ["Line", "Screen", "screen_of", "with_phase"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One sync.

    Attributes:
        levels: What the person may do with it.
        waits: Whether a run was asked for and has not begun.
        usable: Whether its definition has no mistakes.
        phase: Of a run that is under way; empty for others.
    """

    status: SyncStatus
    levels: frozenset[Level]
    waits: bool = False
    usable: bool = True
    phase: str = ""

    @property
    def runs(self) -> bool:
        """Whether a run is under way."""
        return self.status.last is not None and self.status.last.state == RunState.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """The first page.

    Attributes:
        lines: The syncs that are shown, by name.
        all: How many there are.
        needs: What needs a person, of all of them.
        unclaimed: Events that no listener takes; None for a person who may not see them.
    """

    lines: tuple[Line, ...]
    all: int
    needs: tuple[Need, ...]
    running: int
    unclaimed: int | None

    @property
    def in_trouble(self) -> int:
        """Syncs that need a person."""
        return len({need.sync for need in self.needs if need.sync})

    @property
    def moves(self) -> bool:
        """Whether something of it changes by itself soon."""
        return any(line.runs or line.waits for line in self.lines)

    def narrowed(self, text: str, *, in_need: bool) -> Screen:
        """Only the syncs whose name has a text, or that need a person."""
        wanted = text.strip().casefold()
        found = (line for line in self.lines if wanted in line.status.name and (line.status.needs or not in_need))
        return replace(self, lines=tuple(found))


def screen_of(
    visible: Sequence[tuple[Loaded, frozenset[Level]]], state: StateStore, now: datetime, *, whole: bool
) -> Screen:
    """The first page of a person.

    Args:
        visible: The syncs that exist for the person, with what they may do.
        state: The state store.
        now: The moment.
        whole: Whether the person may also see what belongs to no sync.

    Raises:
        RetryLater: The state store is away.
    """
    status = status_of([loaded for loaded, _ in visible], state, now)
    if not whole:
        status = Status(syncs=status.syncs, unclaimed=0)
    levels = {loaded.name: found for loaded, found in visible}
    waiting = {job.request.sync for job in state.open_jobs() if job.waits and not job.request.kind.is_read_only}
    broken = {loaded.name for loaded, _ in visible if loaded.definition is None}
    lines = tuple(
        with_phase(
            Line(status=each, levels=levels[each.name], waits=each.name in waiting, usable=each.name not in broken),
            state,
        )
        for each in status.syncs
    )
    return Screen(
        lines=lines,
        all=len(lines),
        needs=status.needs,
        running=sum(line.runs for line in lines),
        unclaimed=status.unclaimed if whole else None,
    )


def with_phase(line: Line, state: StateStore) -> Line:
    """A line with the phase of its run; only runs that are under way are asked for."""
    if not line.runs or line.status.last is None:
        return line
    return replace(line, phase=str(state.progress(line.status.last.run_id).get("phase", "")))
