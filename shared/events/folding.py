"""Several events of one record become the few changes that they add up to. Pure: no values, only order and actions.

The result must equal applying the events one by one. So events are joined only where the sync's rules make the sum the
same: a write into the write before it, a delete over what it makes pointless. What cannot be joined stays a step of its
own behind the others of its key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.definitions.models import Strategy, SyncBehaviour
from shared.events.records import Action, Place

__all__ = ["FoldRules", "Folded", "Row", "Step", "fold", "unfold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What folding knows of an event.

    Attributes:
        number: Names the event; grows in the order of arrival.
        record: The sync key as the service compares it: events of one record have the same.
        key: The message key, within which newer overtakes older.
    """

    number: int
    record: str
    key: str
    action: Action
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldRules:
    """What may be joined under a sync's rules.

    Attributes:
        by_action: Insert, update and upsert differ (strategy `delta`); otherwise each says how the record is now.
        writes_join: Only the last of several writes matters. Not where a changed record is left alone or its update
            hangs on a condition: then each write meets the record as the one before it left it.
        delete_ends: After a delete nothing is left of what was written before it. Not where it is ignored or only
            marks the record.
    """

    by_action: bool
    writes_join: bool
    delete_ends: bool

    @classmethod
    def of(cls, behaviour: SyncBehaviour) -> FoldRules:
        """The rules of a sync."""
        delta = behaviour.strategy is Strategy.DELTA
        return cls(
            by_action=delta,
            writes_join=behaviour.strategy is not Strategy.FULL or behaviour.changed == "update",
            delete_ends=delta or behaviour.dropped == "delete",
        )

    def join(self, step: Action, row: Action) -> bool:
        """Whether an event can be joined to a step that does `step`."""
        if row is Action.DELETE:
            return step is Action.DELETE or self.delete_ends
        if step is Action.DELETE or not self.writes_join:
            return False
        return not self.by_action or row is Action.UPDATE or (row is Action.UPSERT and step is not Action.UPDATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of one record.

    Attributes:
        action: What to do.
        rows: The events whose fields add up to the change, oldest first; the delete alone where it is one.
        parts: All events that are settled by it: also those that a delete made pointless or a newer one overtook.
    """

    action: Action
    rows: tuple[Row, ...]
    parts: tuple[Row, ...]

    @classmethod
    def of(cls, row: Row) -> Step:
        """The step that one event is."""
        return cls(action=row.action, rows=(row,), parts=(row,))

    def joined(self, row: Row) -> Step:
        """This step with one more event."""
        if row.action is Action.DELETE:
            return Step(action=row.action, rows=(row,), parts=(*self.parts, row))
        return Step(action=self.action, rows=(*self.rows, row), parts=(*self.parts, row))

    def past(self, row: Row) -> Step:
        """This step, which also settles an event that was overtaken."""
        return Step(action=self.action, rows=self.rows, parts=(*self.parts, row))


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """What a batch adds up to.

    Attributes:
        steps: Record -> its changes in order; the n-th of every record may be made together.
        stale: Events that an earlier batch has overtaken: they change nothing.
    """

    steps: Mapping[str, tuple[Step, ...]]
    stale: tuple[Row, ...]


def fold(rows: Iterable[Row], seen: Mapping[str, Place], rules: FoldRules) -> Folded:
    """Fold a batch.

    Args:
        rows: The events in order of arrival.
        seen: Message key -> place of the last event that took effect before this batch.
        rules: What may be joined.
    """
    places = dict(seen)
    owners: dict[str, str] = {}  # message key -> the record whose step saw its newest event
    steps: dict[str, list[Step]] = {}
    stale: list[Row] = []
    for row in rows:
        last = places.get(row.key)
        if last is not None and row.place.is_stale_after(last):
            if row.key in owners:
                newest = steps[owners[row.key]]
                newest[-1] = newest[-1].past(row)
            else:
                stale.append(row)
            continue
        places[row.key] = row.place.after(last)
        owners[row.key] = row.record
        of_record = steps.setdefault(row.record, [])
        if of_record and rules.join(of_record[-1].action, row.action):
            of_record[-1] = of_record[-1].joined(row)
        else:
            of_record.append(Step.of(row))
    return Folded(steps={record: tuple(found) for record, found in steps.items()}, stale=tuple(stale))


def unfold(step: Step) -> tuple[Step, ...]:
    """The events of a step one by one, for a sum that was refused: only some of them are to blame."""
    return tuple(Step.of(row) for row in sorted(step.parts, key=lambda row: row.number))
