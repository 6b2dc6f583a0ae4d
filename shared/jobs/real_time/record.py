"""Record: the result of a batch goes to the dead letters, the positions and the execution log, in this order."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from shared.counted import counted
from shared.dataverse import Clock
from shared.definitions import SyncDefinition
from shared.events import EventPosition, FoldedBatch
from shared.jobs.real_time.apply import AppliedBatch
from shared.jobs.real_time.boundary import Failure
from shared.jobs.real_time.decode import DecodedBatch
from shared.jobs.real_time.letters import FailedEvent, keep, letter_of
from shared.jobs.real_time.listeners import TakenMessage
from shared.jobs.real_time.session import Positions, reached_by
from shared.jobs.real_time.sync import EventSync
from shared.jobs.summary import RunState
from shared.state import ErrorRecord, ErrorRow, RunRecord, StateStore

__all__ = ["MOST_PARTITIONS", "BatchOutcome", "EventLog", "EventsSummary", "latest_of_partitions", "record_batch"]

MOST_PARTITIONS: Final = 100
"""Of one row of the execution log: those whose events came last."""
_PARTITIONS: Final = "partitions"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """The result of the messages of a batch that one sync took.

    Attributes:
        counts: Events that are stale, filtered, or lost; records that were inserted, updated …
        lost: What goes to the dead letters.
        reached: Message key -> position of its last event that took effect.
        traffic: Requests, and those of them that were throttled or sent again.
        partitions: See `latest_of_partitions`; empty for what does not come from a hub now.
        left_out: Errors of fields that events were applied without.
    """

    counts: Mapping[str, int]
    lost: tuple[FailedEvent, ...]
    reached: Mapping[str, EventPosition] = field(default_factory=dict)
    traffic: Mapping[str, int] = field(default_factory=dict)
    partitions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    left_out: tuple[ErrorRow, ...] = ()

    @classmethod
    def of(cls, decoded: DecodedBatch, folded: FoldedBatch, applied: AppliedBatch) -> BatchOutcome:
        """The outcome of a batch that went through all stages."""
        lost = tuple(sorted((*decoded.lost, *applied.lost), key=lambda each: each.number))
        counts = Counter(decoded.counts)
        counts.update(applied.counts)
        left_out = (*decoded.left_out, *applied.left_out)
        incomplete = len({error.rows for error in left_out})
        counts.update(stale=len(folded.stale), lost=len(lost), left_out=incomplete)
        reached = reached_by(applied.settled, folded.seen)
        return cls(counts=+counts, lost=lost, reached=reached, left_out=left_out)

    @classmethod
    def all_lost(cls, taken: Sequence[TakenMessage], failure: Failure) -> BatchOutcome:
        """The outcome of messages that could not be worked on at all: their events that are wanted are lost."""
        lost = tuple(
            FailedEvent(message=each.message, failure=failure, item=item) for each in taken for item in each.wanted
        )
        return cls(counts={"events": len(lost), "lost": len(lost)}, lost=lost)

    @classmethod
    def sum(cls, parts: Sequence[BatchOutcome]) -> BatchOutcome:
        """The outcome of a batch that was applied in parts."""
        counts, traffic = Counter[str](), Counter[str]()
        reached: dict[str, EventPosition] = {}
        for part in parts:
            counts.update(part.counts)
            traffic.update(part.traffic)
            reached.update(part.reached)
        return cls(
            counts=counts,
            lost=tuple(lost for part in parts for lost in part.lost),
            reached=reached,
            traffic=traffic,
            left_out=tuple(error for part in parts for error in part.left_out),
        )


def latest_of_partitions(taken: Iterable[TakenMessage], handled: datetime) -> dict[str, dict[str, Any]]:
    """Hub and partition -> its last message, as the execution log keeps it: with the seconds that it has waited."""
    last = {each.message.stream: each.message for each in taken if each.message.hub and each.message.enqueued}
    return {
        stream: {
            "sequence": message.sequence,
            "enqueued": message.enqueued.isoformat(),
            "handled": handled.isoformat(),
            "lag": round(max(0.0, (handled - message.enqueued).total_seconds()), 3),
        }
        for stream, message in last.items()
        if message.enqueued is not None
    }


def record_batch(
    outcome: BatchOutcome, sync: EventSync, *, state: StateStore, log: EventLog, clock: Clock, started: datetime
) -> None:
    """Keep the dead letters, then the positions, then count the batch in the execution log.

    Raises:
        RetryLater: The state store is unavailable.
        AbortRun: The state store refuses even a dead letter that was cut.
    """
    if outcome.lost:
        keep([letter_of(each, sync, now=started) for each in outcome.lost], state)
    Positions(sync=sync.name, state=state).store(outcome.reached)
    log.add(sync.definition, outcome, started=started, ended=clock.now(), state=state)


@dataclass(slots=True)
class EventLog:
    """Adds the counts of batches up, with the last message of each partition; safe to be used by several threads.

    One row for each batch would be thousands of rows a day. Each process has rows of its own, so that instances do not
    write over each other's counts.
    """

    _rows: dict[str, RunRecord] = field(default_factory=dict)
    _errors: dict[str, dict[tuple[str, str], ErrorRecord]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        definition: SyncDefinition,
        outcome: BatchOutcome,
        *,
        started: datetime,
        ended: datetime,
        state: StateStore,
    ) -> None:
        """Count a batch.

        Raises:
            RetryLater: The state store is unavailable.
        """
        with self._lock:
            row = self._rows.get(definition.name)
            counts, partitions = outcome.counts, outcome.partitions
            latest = _latest({**row.counts.get(_PARTITIONS, {}), **partitions} if row else partitions)
            new = row is None or row.version != definition.version or _hour(row.started) != _hour(started)
            row = _row(definition, started) if row is None or new else row
            names = sorted({*row.counts, *counts} - {_PARTITIONS})
            total = {name: row.counts.get(name, 0) + counts.get(name, 0) for name in names}
            message = _message(total)
            row = replace(
                row,
                state=(RunState.COMPLETED_WITH_ERRORS if message else RunState.SUCCEEDED).value,
                message=message,
                ended=ended,
                duration=row.duration + (ended - started).total_seconds(),
                counts={**total, _PARTITIONS: latest} if latest else total,
            )
            (state.begin_run if new else state.finish_run)(row)
            self._rows[definition.name] = row
            if new:
                self._errors.pop(definition.name, None)
            self._add_errors(row, outcome.left_out, state)

    def _add_errors(self, row: RunRecord, left_out: Sequence[ErrorRow], state: StateStore) -> None:
        if not left_out:
            return
        known = self._errors.setdefault(row.sync, {})
        changed: dict[tuple[str, str], ErrorRecord] = {}
        for error in left_out:
            kind = (error.error_type, error.column)
            before = changed.get(kind) or known.get(kind)
            # A number names an event of one batch only, so no row is told.
            now = ErrorRecord.of(row.run_id, replace(error, rows=()))
            changed[kind] = replace(before, count=before.count + error.count) if before else now
        state.add_errors([*changed.values()])
        known.update(changed)


def _message(total: Mapping[str, int]) -> str:
    """What went wrong with the events of a row of the log; empty if nothing did."""
    lost, incomplete = total.get("lost", 0), total.get("left_out", 0)
    said = [f"{counted(lost, 'event')} went to the dead letters"] if lost else []
    said += [f"{counted(incomplete, 'event has', 'events have')} fields in error"] if incomplete else []
    return "; ".join(said)


def _row(definition: SyncDefinition, started: datetime) -> RunRecord:
    return RunRecord(
        run_id=uuid.uuid4().hex,
        sync=definition.name,
        version=definition.version,
        trigger="events",
        state=RunState.RUNNING.value,
        started=started,
    )


def _latest(partitions: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """The partitions whose messages were handled last."""
    if len(partitions) <= MOST_PARTITIONS:
        return partitions
    return dict(sorted(partitions.items(), key=lambda each: each[1]["handled"])[-MOST_PARTITIONS:])


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsSummary:
    """The result of a batch.

    Attributes:
        received: Messages.
        unclaimed: Messages that no listener takes and that are not kept, because the hub carries others' too.
        syncs: Sync -> its counts: events, stale, filtered, lost, and records by what was done to them.
        lost: Sync -> error -> how many events went to the dead letters; no sync's name is empty.
        traffic: Sync -> requests to Dataverse, and those of them that were throttled or sent again.
    """

    received: int
    unclaimed: int
    syncs: Mapping[str, Mapping[str, int]]
    lost: Mapping[str, Mapping[str, int]]
    traffic: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def dead_letters(self) -> int:
        """How many events went to the dead letters."""
        return sum(count for by_error in self.lost.values() for count in by_error.values())

    @property
    def has_errors(self) -> bool:
        """Whether an event went to the dead letters, or was applied without a field."""
        return bool(self.dead_letters) or any(counts.get("left_out") for counts in self.syncs.values())

    @classmethod
    def sum(cls, parts: Sequence[EventsSummary]) -> EventsSummary:
        """The result of several batches."""
        return cls(
            received=sum(part.received for part in parts),
            unclaimed=sum(part.unclaimed for part in parts),
            syncs=_sums(part.syncs for part in parts),
            lost=_sums(part.lost for part in parts),
            traffic=_sums(part.traffic for part in parts),
        )

    def to_json(self) -> dict[str, Any]:
        """The object that `events --json` prints."""
        return {
            "received": self.received,
            "unclaimed": self.unclaimed,
            "dead_letters": self.dead_letters,
            "syncs": {name: dict(counts) for name, counts in self.syncs.items()},
            "errors": {name: dict(by_error) for name, by_error in self.lost.items()},
        }


def _sums(tables: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """Add up counts of counts."""
    sums: dict[str, Counter[str]] = {}
    for table in tables:
        for name, counts in table.items():
            sums.setdefault(name, Counter()).update(counts)
    return {name: dict(counts) for name, counts in sums.items()}
