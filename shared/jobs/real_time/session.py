"""What one batch of one sync works with, from decoding to the last write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Final

from shared.dataverse import Clock, Dataverse, SystemClock
from shared.definitions import ParameterValue
from shared.definitions.models import Strategy
from shared.errors import SyncError
from shared.events import Event, EventAction, EventPosition, Undecodable, decode
from shared.jobs.real_time.ledger import WaveLedger
from shared.jobs.real_time.sync import PreparedSync
from shared.scripts import ScriptEngine
from shared.state import Position, StateStore
from shared.workspace.warm import WarmWorkspace

__all__ = ["Decode", "Delivery", "Positions", "Session", "copy_positions", "reached_by"]

Decode = Callable[..., Iterable[Event | Undecodable]]
_LOOK_SECONDS: Final = 5.0  # between two looks whether others have gone further


class Delivery(Enum):
    """How the messages of a batch come."""

    NEXT = "next"  # they follow those that this process has settled: as far as it knows, none was applied before
    AGAIN = "again"  # some of them may have been applied already
    REPLAY = "replay"  # they are dead letters that are tried again


@dataclass(slots=True, kw_only=True)
class Positions:
    """Where the message keys of one sync are: what the state store has, and what this batch has reached beyond it.

    The state store also has, for each stream, the last insert that any process has begun to apply. It is written before
    the first request, so an insert behind it cannot have taken effect, whatever has become of the other processes.

    Attributes:
        sync: Name of the sync.
        clock: Says when the store is asked again.
        behind: Whether the events may be older than others that are applied meanwhile. Then the positions are looked
            at again directly before the first request that writes, however soon it comes.
    """

    sync: str
    state: StateStore
    clock: Clock = field(default_factory=SystemClock)
    behind: bool = False
    _reached: dict[str, EventPosition] = field(default_factory=dict)
    _stored: dict[str, Position | None] = field(default_factory=dict)
    _next_look: float = 0.0

    def of(self, keys: Collection[str]) -> Mapping[str, EventPosition]:
        """Message key -> position of its last event that took effect.

        Raises:
            RetryLater: The state store is unavailable.
        """
        found = self.state.seen(self.sync, keys) if keys else {}
        self._stored.update((key, found.get(key)) for key in keys)
        now = self.clock.monotonic()
        self._next_look = now if self.behind else now + _LOOK_SECONDS
        stored = {
            key: EventPosition(partition=at.partition, sequence=at.sequence, item=at.item, when=at.when)
            for key, at in found.items()
        }
        return {**stored, **{key: self._reached[key] for key in keys if key in self._reached}}

    def overtaken(self) -> bool:
        """Whether others have gone further since the positions were read: newer events of these records took effect.

        The state store is asked every few seconds at most. So a batch that follows the one before it never asks if it
        need not wait, and one that may be behind asks before its first request that writes.
        """
        if self.clock.monotonic() < self._next_look:
            return False
        self._next_look = self.clock.monotonic() + _LOOK_SECONDS
        try:
            found = self.state.seen(self.sync, self._stored.keys())
        except SyncError:  # that it cannot be asked is no reason to stop
            return False
        return any(found.get(key) != known for key, known in self._stored.items())

    def begin(self, inserts: Iterable[Event]) -> bool:
        """Note inserts that are applied from now on, before the first request for them is sent.

        Returns:
            Whether some were begun before. These may have taken effect, also if no position says so.

        Raises:
            RetryLater: The state store is unavailable.
        """
        numbers: dict[str, list[int]] = defaultdict(list)
        for event in inserts:
            numbers[event.position.partition].append(event.position.sequence)
        name = _begun(self.sync)
        last = {stream: at.sequence for stream, at in self.state.seen(name, numbers.keys()).items()}
        further = {stream: max(of) for stream, of in numbers.items() if stream not in last or max(of) > last[stream]}
        if further:
            marks = {stream: Position(partition=stream, sequence=number) for stream, number in further.items()}
            self.state.mark_seen(name, marks)
        begun = any(min(of) <= last[stream] for stream, of in numbers.items() if stream in last)
        self.behind = self.behind or begun  # whoever began them may be further by now
        return begun

    def advance(self, reached: Mapping[str, EventPosition]) -> None:
        """Note what a part of the batch has reached; the state store learns of it when the whole batch is recorded."""
        self._reached.update(reached)

    def store(self, reached: Mapping[str, EventPosition]) -> None:
        """Put positions into the state store.

        Raises:
            RetryLater: The state store is unavailable.
        """
        marks = {
            key: Position(partition=last.partition, sequence=last.sequence, item=last.item, when=last.when)
            for key, last in reached.items()
        }
        if marks:
            self.state.mark_seen(self.sync, marks)
            self._stored.update((key, mark) for key, mark in marks.items() if key in self._stored)


def reached_by(settled: Mapping[str, Sequence[Event]], before: Mapping[str, EventPosition]) -> dict[str, EventPosition]:
    """Where each message key is after events that took effect.

    Args:
        settled: Message key -> these events.
        before: Message key -> where it was.
    """
    reached: dict[str, EventPosition] = {}
    for key, events in settled.items():
        for event in sorted(events, key=lambda event: event.number):
            last = reached.get(key, before.get(key))
            if last is None or not event.position.is_stale_after(last):
                reached[key] = event.position.after(last)
    return reached


def copy_positions(state: StateStore, old: str, new: str) -> None:
    """Let a sync with another name know what it had applied, or begun to apply, with the old one.

    Raises:
        RetryLater: The state store is unavailable.
    """
    state.copy_positions(old, new)
    state.copy_positions(_begun(old), _begun(new))


def _begun(sync: str) -> str:
    """What the inserts that a sync has begun to apply are called among the positions."""
    return f"begun/{sync}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the messages of one batch are worked on with, for one sync.

    Attributes:
        workspace: Empty, with the parameters' values.
        parameters: Values that the target's filter names.
        started: When the batch came.
        decode: Makes events of a message.
        ledger: What is known of the records; None where the sync keeps no ledger.
    """

    sync: PreparedSync
    dataverse: Dataverse
    workspace: WarmWorkspace
    parameters: Mapping[str, ParameterValue]
    started: datetime
    positions: Positions
    delivery: Delivery
    scripts: ScriptEngine
    decode: Decode = decode
    ledger: WaveLedger | None = None

    @property
    def name(self) -> str:
        """The sync's name."""
        return self.sync.definition.name

    def beginning(self, events: Iterable[Event]) -> Session:
        """The session in which events are applied: they come again if an insert of them was begun before.

        Raises:
            RetryLater: The state store is unavailable.
        """
        inserts = [event for event in events if self._follows_insert(event.action)]
        if not inserts or self.delivery is Delivery.REPLAY:
            return self
        return replace(self, delivery=Delivery.AGAIN) if self.positions.begin(inserts) else self

    def may_be_made(self, action: EventAction) -> bool:
        """Whether an event may have made its record already, before this process could remember that it did."""
        return self._follows_insert(action) and self.delivery is not Delivery.NEXT

    def _follows_insert(self, action: EventAction) -> bool:
        """Whether an event is an insert that is sent without reading."""
        return self.sync.definition.sync_behaviour.strategy is Strategy.DELTA and action is EventAction.INSERT
