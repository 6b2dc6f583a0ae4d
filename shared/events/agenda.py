"""Which steps may be made together: at most one for each record, each behind those before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from shared.events.folding import Step

__all__ = ["Agenda"]


class Agenda:
    """Steps that are still to be made.

    Every record has a queue, and a step that concerns two records stands in both. All queues keep one common order, so
    the first step of all is first wherever it stands: there always is a next one.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        self._queues: dict[str, deque[Step]] = {}
        for step in steps:
            for record in step.records:
                self._queues.setdefault(record, deque()).append(step)

    def next(self) -> list[Step]:
        """Take the steps before which nothing is left; empty when all were taken."""
        ready = [
            queue[0]
            for record, queue in self._queues.items()
            if queue[0].records[0] == record and all(self._queues[other][0] is queue[0] for other in queue[0].records)
        ]
        for step in ready:
            for record in step.records:
                self._queues[record].popleft()
                if not self._queues[record]:
                    del self._queues[record]
        return ready

    def put_first(self, steps: Sequence[Step]) -> None:
        """Put steps before all others of their records."""
        for step in reversed(steps):
            for record in step.records:
                self._queues.setdefault(record, deque()).appendleft(step)
