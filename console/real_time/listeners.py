"""Listeners, and what became of their events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.definitions import Loaded
from shared.state import RunRecord, StateStore
from shared.views.runs import changes_made

__all__ = ["EventCounts", "ListenerLine", "PartitionLine", "listener_lines", "partitions_of", "rows_of_a_day"]

_DAY: Final = timedelta(days=1)
# Of the execution log: each process writes a row an hour about events, and each run of the schedule is a row too.
_ROWS_AT_FIRST: Final = 200
_MOST_ROWS: Final = 12_800


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """What became of events.

    Attributes:
        seen: Events that the listener took.
        applied: Records that they changed.
        unchanged: Records that had the values already.
        passed: Events that were overtaken, filtered out, ignored, or from before the listener was there.
        dead: Events that became dead letters.
    """

    seen: int = 0
    applied: int = 0
    unchanged: int = 0
    passed: int = 0
    dead: int = 0

    @classmethod
    def of(cls, rows: Iterable[RunRecord]) -> EventCounts:
        """The sums of rows of the execution log."""
        counts = Counter[str]()
        for row in rows:
            counts.update({name: count for name, count in row.counts.items() if isinstance(count, int)})
        made = changes_made(counts)
        return cls(
            seen=counts["events"],
            applied=sum(made.values()) - made.get("failed", 0),
            unchanged=counts["unchanged"],
            passed=sum(counts[name] for name in ("stale", "filtered", "ignored", "before_listening")),
            dead=counts["lost"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLine:
    """One partition of an event hub, as far as the listener has taken its events.

    Attributes:
        partition: The hub and the number of the partition.
        sequence: Sequence number of the latest event.
        enqueued: When the hub took it.
        handled: When it was applied.
        lag: Seconds between the two.
        silent: Seconds since it was applied.
    """

    partition: str
    sequence: int
    enqueued: datetime
    handled: datetime
    lag: float
    silent: float


def partitions_of(rows: Iterable[RunRecord], now: datetime) -> tuple[PartitionLine, ...]:
    """The partitions of a listener, in order; each process has counted its own, and the latest event of each counts."""
    found: dict[str, PartitionLine] = {}
    for row in rows:
        for line in _partitions_of(row, now):
            known = found.get(line.partition)
            if known is None or known.handled < line.handled:
                found[line.partition] = line
    return tuple(sorted(found.values(), key=lambda line: (len(line.partition), line.partition)))


def _partitions_of(row: RunRecord, now: datetime) -> Iterator[PartitionLine]:
    for name, last in row.counts.get("partitions", {}).items():
        handled = datetime.fromisoformat(last["handled"])
        yield PartitionLine(
            partition=name,
            sequence=last["sequence"],
            enqueued=datetime.fromisoformat(last["enqueued"]),
            handled=handled,
            lag=last["lag"],
            silent=max(0.0, (now - handled).total_seconds()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLine:
    """One listener.

    Attributes:
        sync: Name of the sync.
        listener: Name of the listener.
        counts: Of the latest hour with events, as one process counted them.
        since: When that hour began for the process; None where there were no events yet.
        last: When the latest of them was handled.
        dead_letters: Events that are kept.
        partitions: Those that the process has had events of, which counted last.
    """

    sync: str
    listener: str
    enabled: bool
    format: str
    counts: EventCounts
    since: datetime | None
    last: datetime | None
    dead_letters: int
    partitions: tuple[PartitionLine, ...] = ()

    @property
    def slowest(self) -> PartitionLine | None:
        """The partition whose latest event has waited for longest."""
        return max(self.partitions, key=lambda each: each.lag, default=None)


def listener_lines(
    visible: Sequence[Loaded], state: StateStore, letters: Mapping[str, int]
) -> tuple[ListenerLine, ...]:
    """The listeners of definitions.

    Args:
        visible: The definitions that are shown.
        state: The state store.
        letters: Sync -> its dead letters.

    Raises:
        RetryLater: The state store is away.
    """
    listening = [each for each in visible if each.definition is not None and each.definition.listener is not None]
    latest = state.latest_rows([each.name for each in listening]) if listening else {}
    return tuple(_lines(listening, {name: rows.events for name, rows in latest.items()}, letters))


def _lines(
    listening: Iterable[Loaded], latest: Mapping[str, RunRecord | None], letters: Mapping[str, int]
) -> Iterator[ListenerLine]:
    for each in listening:
        if each.definition is None or (listener := each.definition.listener) is None:
            continue
        row = latest[each.name]
        yield ListenerLine(
            sync=each.name,
            listener=listener.name,
            enabled=listener.enabled,
            format=listener.topic.format.value,
            counts=EventCounts.of([row] if row else []),
            since=row.started if row else None,
            last=row.ended if row else None,
            dead_letters=letters.get(each.name, 0),
            partitions=partitions_of([row] if row else [], datetime.now(UTC)),
        )


def rows_of_a_day(sync: str, state: StateStore, now: datetime) -> tuple[RunRecord, ...]:
    """The rows about the events of one sync in the last 24 hours, of all processes; of a day with more, the latest.

    Raises:
        RetryLater: The state store is away.
    """
    limit, since = _ROWS_AT_FIRST, now - _DAY
    rows = state.runs(sync, limit)
    while len(rows) == limit < _MOST_ROWS and rows[-1].started > since:
        limit *= 4
        rows = state.runs(sync, limit)
    return tuple(run for run in rows if run.trigger == "events" and run.started > since)
