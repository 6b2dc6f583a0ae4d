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

    Attributes:
        is_last: Nothing comes after the changes that were taken last but what stands behind them.
    """

    def __init__(self, changes: Iterable[NetChange]) -> None:
        self._queues: dict[str, deque[NetChange]] = {}
        self._held: set[str] = set()
        self.is_last = False
        for change in changes:
            for record in change.records:
                self._queues.setdefault(record, deque()).append(change)

    def has_more(self, change: NetChange) -> bool:
        """Whether a record of a change that was taken has another one."""
        return any(record in self._queues for record in change.records)

    def next(self) -> list[NetChange]:
        """Take the changes before which nothing is left; empty when all were taken.

        Those that wait come when there is nothing else. `is_last` then says so, and also when no change is left behind
        those that are taken: it makes no sense to let them wait again.
        """
        ready = self._ready()
        self.is_last = not ready
        if not ready and self._held:
            self._held.clear()
            ready = self._ready()
        for change in ready:
            for record in change.records:
                self._queues[record].popleft()
                if not self._queues[record]:
                    del self._queues[record]
        self.is_last = self.is_last or not self._queues
        return ready

    def _ready(self) -> list[NetChange]:
        return [
            queue[0]
            for record, queue in self._queues.items()
            if queue[0].records[0] == record
            and self._held.isdisjoint(queue[0].records)
            and all(self._queues[other][0] is queue[0] for other in queue[0].records)
        ]

    def wait(self, changes: Sequence[NetChange]) -> None:
        """Put changes back that were taken, until there is nothing else; later changes of their records wait too."""
        self.put_first(changes)
        self._held.update(record for change in changes for record in change.records)

    def put_first(self, changes: Sequence[NetChange]) -> None:
        """Put changes before all others of their records."""
        for change in reversed(changes):
            for record in change.records:
                self._queues.setdefault(record, deque()).appendleft(change)
