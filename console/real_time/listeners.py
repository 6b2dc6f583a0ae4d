"""Listeners, and what became of their events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.definitions import Loaded
from shared.state import RunRecord, StateStore

__all__ = ["EventCounts", "ListenerLine", "counts_of_a_day", "listener_lines"]

_DAY: Final = timedelta(days=1)
_MOST_ROWS: Final = 200  # of the execution log: each process writes one an hour
_APPLIED: Final = (
    "insert", "update", "upsert", "delete", "expire", "deactivate", "mark", "reactivate", "adopted",
)  # fmt: skip


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
        return cls(
            seen=counts["events"],
            applied=sum(counts[name] for name in _APPLIED),
            unchanged=counts["unchanged"],
            passed=sum(counts[name] for name in ("stale", "filtered", "ignored", "before_listening")),
            dead=counts["lost"],
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
    """

    sync: str
    listener: str
    enabled: bool
    format: str
    counts: EventCounts
    since: datetime | None
    last: datetime | None
    dead_letters: int


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
        )


def counts_of_a_day(sync: str, state: StateStore, now: datetime) -> EventCounts:
    """What became of the events of one sync in the last 24 hours.

    Raises:
        RetryLater: The state store is away.
    """
    rows = (run for run in state.runs(sync, _MOST_ROWS) if run.trigger == "events" and run.started > now - _DAY)
    return EventCounts.of(rows)
