"""Several events of one record become the few changes that they add up to. Pure: no values, only order and actions.

The result must equal applying the events one by one. So events are joined only where the sync's rules make the sum the
same: a write into the write before it, a delete over what it makes pointless. What cannot be joined stays a step of its
own behind the others of its key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from shared.definitions.models import Strategy, SyncBehaviour
from shared.definitions.models.listener import KeyChange
from shared.events.records import Action, Place

__all__ = ["Before", "FoldRules", "Folded", "Row", "Step", "fold", "unfold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The record that an event found under another sync key.

    Attributes:
        record: That sync key as the service compares it.
        key: The message key that its events have.
    """

    record: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What folding knows of an event.

    Attributes:
        number: Names the event; grows in the order of arrival.
        record: The sync key as the service compares it: events of one record have the same.
        key: The message key, within which newer overtakes older.
        before: Where the event changes the sync key, what it was.
        of_before: This is about the record before: it has the key that the event's record had.
    """

    number: int
    record: str
    key: str
    action: Action
    place: Place
    before: Before | None = None
    of_before: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The message keys that the event concerns."""
        return (self.key,) if self.before is None else (self.key, self.before.key)

    @property
    def records(self) -> tuple[str, ...]:
        """The records that the event concerns."""
        return (self.record,) if self.before is None else (self.record, self.before.record)

    def dropped_before(self) -> Row:
        """The deletion of the record that had the key before."""
        assert self.before is not None  # noqa: S101 - asked for only where there is one
        return replace(
            self,
            record=self.before.record,
            key=self.before.key,
            action=Action.DELETE,
            before=None,
            of_before=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldRules:
    """What may be joined under a sync's rules.

    Attributes:
        by_action: Insert, update and upsert differ (strategy `delta`); otherwise each says how the record is now.
        writes_join: Only the last of several writes matters. Not where a changed record is left alone or its update
            hangs on a condition: then each write meets the record as the one before it left it.
        delete_ends: After a delete nothing is left of what was written before it. Not where it is ignored or only
            marks the record.
        key_change: What an event does that changes the sync key.
    """

    by_action: bool
    writes_join: bool
    delete_ends: bool
    key_change: KeyChange = KeyChange.MOVE

    @classmethod
    def of(cls, behaviour: SyncBehaviour, key_change: KeyChange = KeyChange.MOVE) -> FoldRules:
        """The rules of a sync."""
        delta = behaviour.strategy is Strategy.DELTA
        return cls(
            by_action=delta,
            writes_join=behaviour.strategy is not Strategy.FULL or behaviour.changed == "update",
            delete_ends=delta or behaviour.dropped == "delete",
            key_change=key_change,
        )

    def join(self, step: Step, row: Row) -> bool:
        """Whether an event can be joined to a step. One that changes the key stands alone."""
        if step.moves or row.before is not None or step.rows[0].record != row.record:
            return False
        if row.action is Action.DELETE:
            return step.action is Action.DELETE or self.delete_ends
        if step.action is Action.DELETE or not self.writes_join:
            return False
        by_action = row.action is Action.UPDATE or (row.action is Action.UPSERT and step.action is not Action.UPDATE)
        return not self.by_action or by_action


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of one record.

    Attributes:
        action: What to do.
        rows: The events whose fields add up to the change, oldest first; the delete alone where it is one.
        parts: All events that are settled by it: also those that a delete made pointless or a newer one overtook.
        records: The records whose earlier steps come before it and whose later ones come after it.
    """

    action: Action
    rows: tuple[Row, ...]
    parts: tuple[Row, ...]
    records: tuple[str, ...]

    @classmethod
    def of(cls, row: Row, *, records: Iterable[str] = ()) -> Step:
        """The step that one event is."""
        return cls(action=row.action, rows=(row,), parts=(row,), records=tuple(dict.fromkeys((*row.records, *records))))

    @property
    def moves(self) -> bool:
        """Whether it gives the record a new key."""
        return self.rows[0].before is not None

    def joined(self, row: Row) -> Step:
        """This step with one more event."""
        if row.action is Action.DELETE:
            return replace(self, action=row.action, rows=(row,), parts=(*self.parts, row))
        return replace(self, rows=(*self.rows, row), parts=(*self.parts, row))

    def past(self, row: Row) -> Step:
        """This step, which also settles an event that was overtaken."""
        return replace(self, parts=(*self.parts, row))


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """What a batch adds up to.

    Attributes:
        steps: The changes in order. Those that have no record in common may be made together.
        stale: Events that an earlier batch has overtaken: they change nothing.
    """

    steps: tuple[Step, ...]
    stale: tuple[Row, ...]


def fold(rows: Iterable[Row], seen: Mapping[str, Place], rules: FoldRules) -> Folded:
    """Fold a batch.

    Args:
        rows: The events in order of arrival.
        seen: Message key -> place of the last event that took effect before this batch.
        rules: What may be joined.
    """
    folding = _Folding(rules, seen)
    for row in rows:
        folding.add(row)
    return Folded(steps=tuple(folding.steps), stale=tuple(folding.stale))


class _Folding:
    """A batch while it is folded."""

    def __init__(self, rules: FoldRules, seen: Mapping[str, Place]) -> None:
        self.steps: list[Step] = []
        self.stale: list[Row] = []
        self._rules = rules
        self._places = dict(seen)
        self._newest: dict[str, int] = {}  # message key -> the step that saw its newest event
        self._last: dict[str, int] = {}  # record -> its last step

    def add(self, row: Row) -> None:
        """Add an event behind those that came before it."""
        row = self._current(row)
        if self._is_stale(row, row.key):
            self._overtaken(row)
        elif row.before is not None and self._rules.key_change is KeyChange.DELETE_INSERT:
            self._append(row.dropped_before())
            insert = replace(row, before=None, action=Action.INSERT)
            self._put(Step.of(insert, records=row.records), insert)
        else:
            self._append(row)

    def _current(self, row: Row) -> Row:
        """What is left of a change of the key once newer events of the old or of the new key are counted."""
        if row.before is None or row.before.key == row.key:
            return row
        if self._is_stale(row, row.before.key):
            return replace(row, before=None)
        return row.dropped_before() if self._is_stale(row, row.key) else row

    def _is_stale(self, row: Row, key: str) -> bool:
        last = self._places.get(key)
        return last is not None and row.place.is_stale_after(last)

    def _overtaken(self, row: Row) -> None:
        if row.key in self._newest:
            newest = self._newest[row.key]
            self.steps[newest] = self.steps[newest].past(row)
        else:
            self.stale.append(row)

    def _append(self, row: Row) -> None:
        last = self._last.get(row.record)
        if last is not None and self._rules.join(self.steps[last], row):
            self.steps[last] = self.steps[last].joined(row)
            self._see(row, last)
        else:
            self._put(Step.of(row), row)

    def _put(self, step: Step, row: Row) -> None:
        self.steps.append(step)
        self._last.update(dict.fromkeys(step.records, len(self.steps) - 1))
        self._see(row, len(self.steps) - 1)

    def _see(self, row: Row, step: int) -> None:
        for key in row.keys:
            self._places[key] = row.place.after(self._places.get(key))
            self._newest[key] = step


def unfold(step: Step) -> tuple[Step, ...]:
    """The events of a step one by one, for a sum that was refused: only some of them are to blame."""
    return tuple(Step.of(row, records=step.records) for row in sorted(step.parts, key=lambda row: row.number))
