"""Which changes may be made together: at most one for each record, each behind those before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from shared.events.folding import NetChange

__all__ = ["ChangeQueue"]


class ChangeQueue:
    """Changes that are still to be made.

    Every record has a queue, and a change that concerns two records stands in both. All queues keep one common order,
    so the first change of all is first wherever it stands: there always is a next one.
    """

    def __init__(self, changes: Iterable[NetChange]) -> None:
        self._queues: dict[str, deque[NetChange]] = {}
        for change in changes:
            for record in change.records:
                self._queues.setdefault(record, deque()).append(change)

    def __len__(self) -> int:
        """How many records have changes left."""
        return len(self._queues)

    def has_more(self, change: NetChange) -> bool:
        """Whether a record of a change that was taken has another one."""
        return any(record in self._queues for record in change.records)

    def next(self) -> list[NetChange]:
        """Take the changes before which nothing is left; empty when all were taken."""
        ready = [
            queue[0]
            for record, queue in self._queues.items()
            if queue[0].records[0] == record and all(self._queues[other][0] is queue[0] for other in queue[0].records)
        ]
        for change in ready:
            for record in change.records:
                self._queues[record].popleft()
                if not self._queues[record]:
                    del self._queues[record]
        return ready

    def put_first(self, changes: Sequence[NetChange]) -> None:
        """Put changes before all others of their records."""
        for change in reversed(changes):
            for record in change.records:
                self._queues.setdefault(record, deque()).appendleft(change)
