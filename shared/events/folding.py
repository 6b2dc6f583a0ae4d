"""Several events of one record become the few changes that they add up to. Pure: no values, only order and actions.

The result must equal applying the events one by one. So events are joined only where the sync's rules make the sum the
same: a write into the write before it, a delete over what it makes pointless. What cannot be joined stays a change
of its own behind the others of its key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from shared.definitions.models import Strategy, SyncBehaviour
from shared.definitions.models.listener import KeyChange
from shared.events.records import Event, EventAction, EventPosition, PreviousKey

__all__ = ["FoldRules", "FoldedBatch", "NetChange", "fold", "unfold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldRules:
    """What may be joined under a sync's rules.

    Attributes:
        by_action: Insert, update and upsert differ (strategy `delta`); otherwise each says how the record is now.
        writes_join: Only the last of several writes matters. Not where a changed record is left alone, its update
            depends on a condition, or a value is written only to a new record, to an empty column or unless it was
            edited: then each write applies to the record that the one before it left.
        delete_ends: A delete removes everything that was written before. Not if it is ignored or only marks the record,
            and not if it depends on whether the sync has written the record.
        key_change: What an event does that changes the sync key.
    """

    by_action: bool
    writes_join: bool
    delete_ends: bool
    key_change: KeyChange = KeyChange.MOVE

    @classmethod
    def of(
        cls, behaviour: SyncBehaviour, key_change: KeyChange = KeyChange.MOVE, *, always_written: bool = True
    ) -> FoldRules:
        """The rules of a sync; `always_written`: each value that an event has is written, whatever the record holds."""
        delta = behaviour.strategy is Strategy.DELTA
        updates = behaviour.strategy is not Strategy.FULL or behaviour.changed == "update"
        return cls(
            by_action=delta,
            writes_join=updates and always_written,
            delete_ends=delta or (behaviour.dropped == "delete" and behaviour.dropped_scope == "all"),
            key_change=key_change,
        )

    def join(self, change: NetChange, event: Event) -> bool:
        """Whether an event can be joined to a change. One that changes the key stands alone."""
        if change.moves or event.before is not None or change.events[0].record != event.record:
            return False
        if event.action is EventAction.DELETE:
            return change.action is EventAction.DELETE or self.delete_ends
        if change.action is EventAction.DELETE or not self.writes_join:
            return False
        by_action = event.action is EventAction.UPDATE or (
            event.action is EventAction.UPSERT and change.action is not EventAction.UPDATE
        )
        return not self.by_action or by_action


@dataclass(frozen=True, slots=True, kw_only=True)
class NetChange:
    """One change of one record: what one event or several events of it add up to.

    Attributes:
        action: What to do.
        events: The events whose fields add up to the change, oldest first; the delete alone where it is one.
        settles: All events that are settled by it: also those that a delete made pointless or a newer one overtook.
        records: The records whose earlier changes come before it and whose later ones come after it.
    """

    action: EventAction
    events: tuple[Event, ...]
    settles: tuple[Event, ...]
    records: tuple[str, ...]

    @classmethod
    def of(cls, event: Event, *, records: Iterable[str] = ()) -> NetChange:
        """The change that one event is."""
        alone = (event,)
        return cls(
            action=event.action,
            events=alone,
            settles=alone,
            records=tuple(dict.fromkeys((*event.records, *records))) if records else event.records,
        )

    @property
    def moves(self) -> bool:
        """Whether it gives the record a new key."""
        return self.events[0].before is not None

    def joined(self, event: Event) -> NetChange:
        """This change with one more event."""
        delete = event.action is EventAction.DELETE
        return NetChange(
            action=event.action if delete else self.action,
            events=(event,) if delete else (*self.events, event),
            settles=(*self.settles, event),
            records=self.records,
        )

    def past(self, event: Event) -> NetChange:
        """This change, which also settles an event that was overtaken."""
        return replace(self, settles=(*self.settles, event))


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedBatch:
    """What a batch adds up to.

    Attributes:
        changes: The changes in order. Those that have no record in common may be made together.
        stale: Events that an earlier batch has overtaken: they change nothing.
        seen: Message key -> position of the last event that took effect before this batch.
    """

    changes: tuple[NetChange, ...]
    stale: tuple[Event, ...]
    seen: Mapping[str, EventPosition]


def fold(events: Iterable[Event], seen: Mapping[str, EventPosition], rules: FoldRules) -> FoldedBatch:
    """Fold a batch.

    Args:
        events: The events in order of arrival.
        seen: Message key -> position of the last event that took effect before this batch.
        rules: What may be joined.
    """
    folding = _Folding(rules, seen)
    for event in events:
        folding.add(event)
    return FoldedBatch(changes=tuple(folding.changes), stale=tuple(folding.stale), seen=seen)


class _Folding:
    """A batch while it is folded."""

    def __init__(self, rules: FoldRules, seen: Mapping[str, EventPosition]) -> None:
        self.changes: list[NetChange] = []
        self.stale: list[Event] = []
        self._rules = rules
        self._positions = dict(seen)
        self._newest: dict[str, int] = {}  # message key -> the change that saw its newest event
        self._last: dict[str, int] = {}  # record -> its last change

    def add(self, event: Event) -> None:
        """Add an event behind those that came before it."""
        if event.before is not None:
            event = self._current(event, event.before)
        if self._is_stale(event, event.key):
            self._overtaken(event)
        elif event.before is not None and self._rules.key_change is KeyChange.DELETE_INSERT:
            self._append(event.dropped_before())
            insert = replace(event, before=None, action=EventAction.INSERT)
            self._put(NetChange.of(insert, records=event.records), insert)
        else:
            self._append(event)

    def _current(self, event: Event, before: PreviousKey) -> Event:
        """What is left of a change of the key once newer events of the old or of the new key are counted."""
        if before.key == event.key:
            return event
        if self._is_stale(event, before.key):
            return replace(event, before=None)
        return event.dropped_before() if self._is_stale(event, event.key) else event

    def _is_stale(self, event: Event, key: str) -> bool:
        last = self._positions.get(key)
        return last is not None and event.position.is_stale_after(last)

    def _overtaken(self, event: Event) -> None:
        if event.key in self._newest:
            newest = self._newest[event.key]
            self.changes[newest] = self.changes[newest].past(event)
        else:
            self.stale.append(event)

    def _append(self, event: Event) -> None:
        last = self._last.get(event.record)
        if last is not None and self._rules.join(self.changes[last], event):
            self.changes[last] = self.changes[last].joined(event)
            self._see(event, last)
        else:
            self._put(NetChange.of(event), event)

    def _put(self, change: NetChange, event: Event) -> None:
        self.changes.append(change)
        self._last.update(dict.fromkeys(change.records, len(self.changes) - 1))
        self._see(event, len(self.changes) - 1)

    def _see(self, event: Event, change: int) -> None:
        for key in event.keys:
            self._positions[key] = event.position.after(self._positions.get(key))
            self._newest[key] = change


def unfold(change: NetChange) -> tuple[NetChange, ...]:
    """The events of a change one by one, for a sum that was refused: only some of them are refused alone."""
    return tuple(
        NetChange.of(event, records=change.records) for event in sorted(change.settles, key=lambda event: event.number)
    )
