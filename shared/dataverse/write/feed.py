"""Divides changes into chunks: no key in two chunks at the same time, one phase after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import ceil

from shared.dataverse.changes import Change
from shared.dataverse.write.chunks import Chunk, NextStep, kind_of, next_step_of
from shared.dataverse.write.controller import RequestKind

__all__ = ["Feed"]

_MOST_CLOSED = 100  # actions in a request: each creates an activity, and has the plug-ins of two tables to wait for
_MOST_SENT = 4_000_000  # characters of the changes of a request; 1,000 ordinary rows have fewer
_MOST_KEPT = 64_000_000  # characters of the changes in memory: those that are sent, and those that are read ahead


class Feed:
    """Takes changes as they are needed and hands them out in chunks.

    A change whose record has another change that is not settled yet waits for it: two requests with one key in
    flight may deadlock, or act in the wrong order. Phases (inserts, updates, deletes) follow one another.

    Rows may have long texts, so requests and memory are bounded in characters as well: a chunk has at most 4 million,
    unless it is a single change, and no more changes are read while those without an outcome have 64 million.

    Args:
        changes: In writing order; read only as far as needed.
        step_of: What a change needs first.
    """

    def __init__(self, changes: Iterable[Change], step_of: Callable[[Change], NextStep]) -> None:
        self._changes = iter(changes)
        self._step_of = step_of
        self._ready: dict[tuple[RequestKind, NextStep, bool], deque[Change]] = {}
        self._count = 0
        self._lengths: dict[int, int] = {}  # in characters, of all changes that were read and have no outcome yet
        self._characters = 0  # their sum
        self._longest = 0  # of all that were read
        self._active: dict[int, Change] = {}
        self._busy: set[str] = set()
        self._waiting: deque[Change] = deque()
        self._blocked: set[str] = set()  # names of changes that wait
        self._held: Change | None = None
        self._phase: RequestKind | None = None
        self._ended = False

    @property
    def unfinished(self) -> Mapping[int, Change]:
        """Changes that were taken from the source and have no outcome yet."""
        return self._active

    @property
    def empty(self) -> bool:
        """Whether every change has been handed out and settled."""
        return self._ended and not self._active and not self._waiting and self._held is None

    def take(
        self, rows: Callable[[RequestKind], int], senders: int, *, fewest: Callable[[RequestKind], int] = lambda _: 1
    ) -> Chunk | None:
        """The next chunk, None when nothing can be sent until something is settled.

        The last rows are shared out among the senders, to end sooner at the price of more requests.

        Args:
            rows: How many rows a request of a kind should carry; it carries fewer if their texts are long.
            senders: How many requests may be in flight.
            fewest: Below how many rows the last ones are not shared out any further.
        """
        self._fill(rows, senders)
        if not self._count:
            return None
        (kind, step, lost), ready = max(self._ready.items(), key=lambda item: len(item[1]))
        size = min(rows(kind), _MOST_CLOSED) if step is NextStep.CLOSE else rows(kind)
        if len(ready) < size * senders:
            size = min(size, max(ceil(len(ready) / max(1, senders)), ceil(size / 4), fewest(kind)))
        taken = self._first(ready, size)
        self._count -= len(taken)
        return Chunk(kind=kind, step=step, changes=taken, lost=lost)

    def put_back(self, kind: RequestKind, change: Change, *, lost: bool = False) -> None:
        """Return a change to the queue, with the id of its record or its kind known now.

        Args:
            kind: What to do now.
            change: The change.
            lost: The service may already have carried it out.
        """
        self._measure(change)
        self._active[change.number] = change
        self._busy |= _identities(change)
        self._push(kind, next_step_of(change), change, lost=lost)

    def finished(self, number: int) -> None:
        """A change has its outcome: its record may be written again."""
        change = self._active.pop(number)
        self._characters -= self._lengths.pop(number)
        self._busy.difference_update(_identities(change))

    def remaining(self) -> Iterator[int]:
        """Numbers of all changes without an outcome, those not yet read included; empties the feed."""
        yield from list(self._active)
        if self._held is not None:
            yield self._held.number
        for change in (*self._waiting, *self._changes):
            yield change.number

    def _fill(self, rows: Callable[[RequestKind], int], senders: int) -> None:
        self._let_waiting_in()
        while (change := self._next(rows, senders)) is not None:
            self._measure(change)
            names = _identities(change)
            if self._busy.isdisjoint(names) and self._blocked.isdisjoint(names):
                self._enter(change)
            else:
                self._waiting.append(change)
                self._blocked |= names

    def _next(self, rows: Callable[[RequestKind], int], senders: int) -> Change | None:
        """The next change of this phase, None when there are enough or the phase before has to end first."""
        if self._held is not None and not self._active and not self._waiting:
            change, self._held = self._held, None
            self._phase = kind_of(change)
            return change
        if self._held is not None or self._ended or self._characters >= _MOST_KEPT:
            return None
        if self._phase is not None and self._count + len(self._waiting) >= rows(self._phase) * senders:
            return None
        change_or_none = next(self._changes, None)
        if change_or_none is None:
            self._ended = True
            return None
        if self._phase is not None and kind_of(change_or_none) is not self._phase and (self._active or self._waiting):
            self._held = change_or_none
            return None
        self._phase = kind_of(change_or_none)
        return change_or_none

    def _measure(self, change: Change) -> None:
        """Count the characters of a change that was read, or has other texts now."""
        length = len(change.payload) + len(change.key) + len(change.later) + len(change.on_create)
        self._characters += length - self._lengths.get(change.number, 0)
        self._lengths[change.number] = length
        self._longest = max(self._longest, length)

    def _first(self, ready: deque[Change], most: int) -> tuple[Change, ...]:
        """Take the changes of one request from the queue: at least one, and no more than its characters allow."""
        if self._longest * most <= _MOST_SENT:  # as nearly always: no text needs to be looked at
            return tuple(ready.popleft() for _ in range(min(most, len(ready))))
        taken: list[Change] = []
        characters = 0
        while ready and len(taken) < most:
            characters += self._lengths[ready[0].number]
            if taken and characters > _MOST_SENT:
                break
            taken.append(ready.popleft())
        return tuple(taken)

    def _let_waiting_in(self) -> None:
        """Changes that waited for their record, in order; one that must still wait keeps its followers behind it."""
        if not self._waiting:
            return
        still, blocked = deque[Change](), set[str]()
        for change in self._waiting:
            names = _identities(change)
            if self._busy.isdisjoint(names) and blocked.isdisjoint(names):
                self._enter(change)
            else:
                blocked |= names
                still.append(change)
        self._waiting, self._blocked = still, blocked

    def _enter(self, change: Change) -> None:
        self._active[change.number] = change
        self._busy |= _identities(change)
        self._push(kind_of(change), self._step_of(change), change)

    def _push(self, kind: RequestKind, step: NextStep, change: Change, *, lost: bool = False) -> None:
        self._ready.setdefault((kind, step, lost), deque()).append(change)
        self._count += 1


def _identities(change: Change) -> set[str]:
    """Names under which another change may know the record: its id and its key, without regard to case."""
    return {name.lower() for name in (change.id, change.key) if name}
