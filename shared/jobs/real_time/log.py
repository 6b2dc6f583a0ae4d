"""What the execution log says of real time: one row for each sync and hour, kept up to date with every batch."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.definitions import SyncDefinition
from shared.jobs.summary import RunState
from shared.state import RunRecord, StateStore

__all__ = ["EventLog"]


@dataclass(slots=True)
class EventLog:
    """Adds the counts of batches up; safe to be used by several threads.

    A row a batch would be thousands a day that nobody reads. Each process has rows of its own, so that instances do not
    write over each other's counts.
    """

    _rows: dict[str, RunRecord] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        definition: SyncDefinition,
        counts: Mapping[str, int],
        *,
        started: datetime,
        ended: datetime,
        state: StateStore,
    ) -> None:
        """Count a batch.

        Raises:
            RetryLater: The state store is away.
        """
        with self._lock:
            row = self._rows.get(definition.name)
            new = row is None or row.version != definition.version or _hour(row.started) != _hour(started)
            row = _row(definition, started) if row is None or new else row
            total = {name: row.counts.get(name, 0) + counts.get(name, 0) for name in sorted({*row.counts, *counts})}
            lost = total.get("lost", 0)
            row = replace(
                row,
                state=(RunState.COMPLETED_WITH_ERRORS if lost else RunState.SUCCEEDED).value,
                message=f"{lost:,} events went to the dead letters" if lost else "",
                ended=ended,
                duration=row.duration + (ended - started).total_seconds(),
                counts=total,
            )
            (state.begin_run if new else state.finish_run)(row)
            self._rows[definition.name] = row


def _row(definition: SyncDefinition, started: datetime) -> RunRecord:
    return RunRecord(
        run_id=uuid.uuid4().hex,
        sync=definition.name,
        version=definition.version,
        trigger="events",
        state=RunState.RUNNING.value,
        started=started,
    )


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
