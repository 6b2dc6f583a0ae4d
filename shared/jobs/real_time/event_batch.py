"""A batch of messages on its way through one sync: decoded, folded, applied in waves, and every event accounted for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from shared.dataverse import KEY_TAKEN, Dataverse
from shared.definitions import ParameterValue
from shared.definitions.models import Strategy
from shared.errors import AbortRun, AnswerLost, RetryLater, SyncError
from shared.events import (
    Action,
    Agenda,
    Before,
    Event,
    Message,
    Place,
    Row,
    Step,
    Undecodable,
    decode,
    fold,
    unfold,
)
from shared.jobs.real_time.boundary import failure_of
from shared.jobs.real_time.letters import Lost, letter_id
from shared.jobs.real_time.reread import reread
from shared.jobs.real_time.rows import Failure, Shaped, shape
from shared.jobs.real_time.sync import PreparedSync
from shared.jobs.real_time.waves import Wave, Written
from shared.jobs.real_time.workspaces import WarmWorkspace

__all__ = ["RACED", "Applied", "EventBatch", "Taken"]

# Somebody else made the record (or one with its key), or deleted it, after it was looked for: worth a second look.
RACED: Final = KEY_TAKEN | {"0x80060891", "0x80040217"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A message that the sync's listener took.

    Attributes:
        body: The message's body as `parse` read it.
        items: Only these events of the message are wanted; all when None.
    """

    message: Message
    body: Any
    items: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of a batch.

    Attributes:
        counts: Events that are stale, filtered, or lost; records that were inserted, updated …
        lost: What goes to the dead letters.
        seen: Message key -> place of its last event that took effect.
        traffic: Requests, and those of them that were throttled or sent again.
    """

    counts: Mapping[str, int]
    lost: tuple[Lost, ...]
    seen: Mapping[str, Place]
    traffic: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class EventBatch:
    """One batch of one sync.

    Attributes:
        seen_before: Asks for the places of message keys.
        fresh: The messages follow those that this process has settled; otherwise some of them may have been applied
            already, and inserts are made only of what is not there.
        kept: Asks which of some dead letters are there, by their ids. None are when a dead letter is what is tried.
    """

    sync: PreparedSync
    dataverse: Dataverse
    workspace: WarmWorkspace
    parameters: Mapping[str, ParameterValue]
    started: datetime
    seen_before: Callable[[Collection[str]], Mapping[str, Place]]
    fresh: bool = False
    kept: Callable[[Collection[str]], Collection[str]] = lambda _: ()
    counts: Counter[str] = field(default_factory=Counter)
    _lost: dict[int, Failure] = field(default_factory=dict)
    _origins: dict[int, tuple[Message, int | None]] = field(default_factory=dict)
    _settled: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    _met: set[str] = field(default_factory=set)  # records of which a step has taken effect

    def apply(self, taken: Sequence[Taken]) -> Applied:
        """Apply the messages in their order.

        Raises:
            RetryLater: Dataverse is away or throttles beyond patience.
            AnswerLost: Likewise, with a request on the way.
        """
        self.workspace.bind(self.parameters)
        events = self._selected(self._decoded(taken))
        rows = self._unrefused(self._shaped(self._reread(events)))
        seen = self.seen_before({key for row in rows for key in row.keys})
        folded = fold(rows, seen, self.sync.rules)
        self.counts["stale"] += len(folded.stale)
        self._work(folded.steps)
        self.counts["lost"] += len(self._lost)
        return Applied(counts=+self.counts, lost=tuple(self._letters()), seen=self._seen(seen))

    # -- From messages to rows -----------------------------------------------------------------------------------

    def _decoded(self, taken: Iterable[Taken]) -> list[tuple[int, Event]]:
        events: list[tuple[int, Event]] = []
        for each in taken:
            for found in decode(each.message, self.sync.topic, each.body):
                item = found.item if isinstance(found, Undecodable) else found.place.item
                if each.items is not None and item not in each.items:
                    continue
                number = len(self._origins)
                self._origins[number] = (each.message, item)
                if isinstance(found, Undecodable):
                    self._lose(number, Failure(error="Undecodable", message=found.reason))
                else:
                    events.append((number, found))
        self.counts["events"] += len(self._origins)
        return events

    def _selected(self, events: list[tuple[int, Event]]) -> dict[int, Event]:
        selected = self.sync.selection.select([event for _, event in events], self.workspace)
        for index, undecodable in selected.failed:
            self._lose(events[index][0], Failure(error="Undecodable", message=undecodable.reason))
        self.counts["filtered"] += selected.filtered
        return {events[index][0]: event for index, event in selected.wanted}

    def _reread(self, events: dict[int, Event]) -> dict[int, Event]:
        """Complete what came without its record."""
        complete: dict[int, Event] = {}
        for number, event in events.items():
            if event.reread is None:
                complete[number] = event
                continue
            try:
                complete[number] = replace(event, new=reread(event.reread, self.dataverse))
            except (RetryLater, AnswerLost):
                raise
            except SyncError as error:
                self._lose(number, failure_of(error))
        return complete

    def _shaped(self, events: Mapping[int, Event]) -> list[Row]:
        shaped = self._shape(events)
        for number, failure in shaped.failures.items():
            self._lose(number, failure)
        self.counts["filtered"] += len(shaped.filtered)
        return [_row(number, event, shaped) for number, event in events.items() if number in shaped.records]

    def _unrefused(self, rows: list[Row]) -> list[Row]:
        """The rows without inserts that were refused when they came first: looked up, they would pass for made."""
        doubtful = {row.number for row in rows if self._may_be_made(row.action)}
        ids = {number: letter_id(self.sync.definition.name, *self._origins[number]) for number in doubtful}
        kept = self.kept(ids.values()) if ids else ()
        refused = {number for number, letter in ids.items() if letter in kept}
        self.counts["stale"] += len(refused)
        return [row for row in rows if row.number not in refused]

    def _shape(self, events: Mapping[int, Event]) -> Shaped:
        """Fill `wanted`; a statement that fails on one event is tried without those that it fails on."""
        try:
            return shape(events, self.sync, self.workspace)
        except SyncError as error:
            if len(events) == 1:
                return Shaped(records={}, failures=dict.fromkeys(events, failure_of(error)), filtered=frozenset())
        blamed = {number: shaped for number, event in events.items() if (shaped := self._alone(number, event)).failures}
        failures = {number: failure for shaped in blamed.values() for number, failure in shaped.failures.items()}
        self.workspace.clear()
        sound = {number: event for number, event in events.items() if number not in failures}
        shaped = shape(sound, self.sync, self.workspace)
        return replace(shaped, failures={**failures, **shaped.failures})

    def _alone(self, number: int, event: Event) -> Shaped:
        self.workspace.clear()
        return self._shape({number: event})

    # -- Waves ---------------------------------------------------------------------------------------------------

    def _work(self, steps: Iterable[Step]) -> None:
        """Apply the first step of every record together, then the second, and so on."""
        agenda = Agenda(steps)
        while wave := agenda.next():
            for step, failure in self._applied([step for step in wave if not self._overtaken(step)]):
                if failure is None:
                    self._settle(step)
                elif len(step.parts) > 1:
                    agenda.put_first(unfold(step))
                else:
                    self._lose(step.parts[0].number, failure)

    def _overtaken(self, step: Step) -> bool:
        """Whether an event that stands alone after its sum was refused is old by now."""
        if len(step.parts) > 1:
            return False
        (row,) = step.parts
        stale = any(
            row.place.is_stale_after(newer.place) for newer in self._settled[row.key] if newer.number < row.number
        )
        self.counts["stale"] += stale
        return stale

    def _settle(self, step: Step) -> None:
        self._met.update(step.records)
        for row in step.parts:
            for key in row.keys:
                self._settled[key].append(row)

    def _applied(self, steps: Sequence[Step]) -> Iterator[tuple[Step, Failure | None]]:
        compared = [step for step in steps if self._comparing(step)]
        followed = [step for step in steps if not self._comparing(step)]
        raced: list[Step] = []
        for step, failure in self._isolated(compared, comparing=True):
            if failure is not None and failure.code.lower() in RACED:
                raced.append(step)
            else:
                yield step, failure
        self.counts["failed"] -= len(raced)
        yield from self._isolated(raced, comparing=True)
        yield from self._isolated(followed, comparing=False)

    def _comparing(self, step: Step) -> bool:
        if self.sync.definition.sync_behaviour.strategy is Strategy.FULL or step.moves:
            return True
        return self._may_be_made(step.action) and step.parts[0].record not in self._met

    def _may_be_made(self, action: Action) -> bool:
        """Whether an event may have made its record already, before this process could remember that it did."""
        delta = self.sync.definition.sync_behaviour.strategy is Strategy.DELTA
        return delta and action is Action.INSERT and not self.fresh

    def _isolated(self, steps: Sequence[Step], *, comparing: bool) -> Iterator[tuple[Step, Failure | None]]:
        """Apply steps; what fails without naming a row is halved until the step to blame is alone."""
        if not steps:
            return
        wave = Wave(
            sync=self.sync,
            dataverse=self.dataverse,
            workspace=self.workspace,
            parameters=self.parameters,
            started=self.started,
        )
        try:
            written = wave.apply(steps, comparing=comparing)
        except (RetryLater, AnswerLost):
            raise
        except AbortRun as error:
            written = Written(failures=dict.fromkeys(range(len(steps)), failure_of(error)), counts={})
        except SyncError as error:
            if len(steps) > 1:
                middle = len(steps) // 2
                yield from self._isolated(steps[:middle], comparing=comparing)
                yield from self._isolated(steps[middle:], comparing=comparing)
                return
            written = Written(failures={0: failure_of(error)}, counts={})
        self.counts.update(written.counts)
        yield from ((step, written.failures.get(position)) for position, step in enumerate(steps))

    # -- Accounts ------------------------------------------------------------------------------------------------

    def _lose(self, number: int, failure: Failure) -> None:
        self._lost[number] = failure

    def _letters(self) -> Iterator[Lost]:
        listener = self.sync.definition.listener
        for number, failure in sorted(self._lost.items()):
            message, item = self._origins[number]
            yield Lost(message=message, failure=failure, item=item, listener=listener.name if listener else "")

    def _seen(self, before: Mapping[str, Place]) -> dict[str, Place]:
        """Where each message key is now. A message of which another event was lost counts as not yet seen."""
        lost = {(self._origins[n][0].stream, self._origins[n][0].sequence) for n in self._lost}
        seen: dict[str, Place] = {}
        for key, rows in self._settled.items():
            for row in sorted(rows, key=lambda row: row.number):
                if (row.place.partition, row.place.sequence) not in lost:
                    last = seen.get(key, before.get(key))
                    if last is None or not row.place.is_stale_after(last):
                        seen[key] = row.place.after(last)
        return seen


def _row(number: int, event: Event, shaped: Shaped) -> Row:
    record, before = shaped.records[number], shaped.before.get(number)
    return Row(
        number=number,
        record=record,
        key=event.key or record,
        action=event.action,
        place=event.place,
        before=None if before is None else Before(record=before, key=event.key or before),
    )
