"""Apply: changes are compared and written in waves of different records; what is refused is told apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from shared.dataverse import KEY_TAKEN
from shared.definitions.models import Strategy
from shared.errors import AbortRun, SyncError
from shared.events import ChangeQueue, Event, EventAction, NetChange, unfold
from shared.jobs.real_time.boundary import Failure, WaveResult, bisect, failure_of
from shared.jobs.real_time.ledger import BUSY
from shared.jobs.real_time.letters import FailedEvent
from shared.jobs.real_time.session import Session, reached_by
from shared.jobs.real_time.waves import Wave
from shared.state import ErrorRow

__all__ = ["AppliedBatch", "apply_batch"]

# Another writer made the record (or one with its key), changed or deleted it, after it was looked for: compared again.
_RACED: Final = KEY_TAKEN | {"0x80060891", "0x80040217", BUSY.code}
_MOST_RACES: Final = 4  # of a change that names the version of its record
_Result = tuple[NetChange, Failure | None]  # a change, and why it was refused


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedBatch:
    """The result of the changes of a batch.

    Attributes:
        settled: Message key -> the events that took effect.
        lost: Events that were refused.
        counts: Records by what was done to them, and events that a newer one has overtaken.
        left_out: Errors of lookups that events were applied without.
    """

    settled: Mapping[str, Sequence[Event]]
    lost: tuple[FailedEvent, ...]
    counts: Mapping[str, int]
    left_out: tuple[ErrorRow, ...] = ()


def apply_batch(changes: Iterable[NetChange], session: Session) -> AppliedBatch:
    """Apply the first change of every record together, then the second, and so on.

    Raises:
        RetryLater: Dataverse is unavailable, or throttles for longer than requests are repeated.
        AnswerLost: Likewise, with a request on the way.
    """
    applying = _Applying(session)
    applying.work(ChangeQueue(changes))
    return AppliedBatch(
        settled=applying.settled,
        lost=tuple(applying.lost.values()),
        counts=applying.counts,
        left_out=tuple(applying.left_out),
    )


class _Applying:
    """A batch while its changes are applied."""

    def __init__(self, session: Session) -> None:
        self.counts: Counter[str] = Counter()
        self.lost: dict[int, FailedEvent] = {}
        self.settled: dict[str, list[Event]] = defaultdict(list)
        self.left_out: list[ErrorRow] = []
        self._final = True  # no other wave comes after this one
        self._waiting: list[NetChange] = []  # changes that refer to what a later wave may create
        self._session = session
        self._met: set[str] = set()  # records of which a change has taken effect
        self._refused: set[str] = set()  # message keys of which an event was refused
        self._wave = Wave(
            sync=session.sync,
            dataverse=session.dataverse,
            workspace=session.workspace,
            parameters=session.parameters,
            started=session.started,
            ledger=session.ledger,
            overtaken=session.positions.overtaken,
        )

    def work(self, queue: ChangeQueue) -> None:
        """Apply all changes. The events of a sum that is refused are applied one by one.

        A change that refers to a record which is not there waits for the waves behind it, so that a record may be
        deleted, made again and referred to in one batch.
        """
        while wave := queue.next():
            self._final = queue.is_last
            current = [change for change in wave if not self._overtaken(change)]
            # What is deleted and made again is gone before others look for it. `full` knows it without that.
            dropped = [change for change in current if change.action is EventAction.DELETE and queue.has_more(change)]
            for change, failure in self._applied(current, first=dropped if self._session.sync.late else []):
                if failure is None:
                    self._settle(change)
                elif len(change.settles) > 1:
                    queue.put_first(unfold(change))
                else:
                    (event,) = change.settles
                    self.lost[event.number] = FailedEvent.of(event, failure)
                    self._refused.update(event.keys)
            self._store(dropped)
            queue.wait(self._waiting)
            self._waiting = []

    def _overtaken(self, change: NetChange) -> bool:
        """Whether an event that stands alone after its sum was refused is old by now."""
        if len(change.settles) > 1:
            return False
        (event,) = change.settles
        stale = any(
            event.position.is_stale_after(newer.position)
            for newer in self.settled[event.key]
            if newer.number < event.number
        )
        self.counts["stale"] += stale
        return stale

    def _store(self, dropped: Iterable[NetChange]) -> None:
        """Store the positions of drops that mark records, before newer events of these records are applied.

        If the batch came again, such a drop would mark the record that the newer events have made. A key of which an
        event was refused waits for the end of the batch, so that no position is stored before the dead letter.
        """
        if self._session.sync.definition.sync_behaviour.dropped in ("delete", "ignore"):
            return
        keys = {key for change in dropped for event in change.settles for key in event.keys} - self._refused
        settled = {key: self.settled[key] for key in keys if key in self.settled}
        self._session.positions.store(reached_by(settled, {}))

    def _settle(self, change: NetChange) -> None:
        self._met.update(change.records)
        for event in change.settles:
            for key in event.keys:
                self.settled[key].append(event)

    def _applied(self, changes: Sequence[NetChange], *, first: Sequence[NetChange]) -> Iterator[_Result]:
        """Apply changes; those of `first` go before the others, unless they are compared."""
        ahead, compared, followed = list[NetChange](), list[NetChange](), list[NetChange]()
        preceding = {id(change) for change in first}
        for change in changes:
            unread = ahead if id(change) in preceding else followed
            (compared if self._comparing(change) else unread).append(change)
        yield from self._isolated(ahead, comparing=False)
        for _ in range(_MOST_RACES if self._session.ledger else 1):
            raced: list[NetChange] = []
            for change, failure in self._isolated(compared, comparing=True):
                if failure is not None and failure.code.lower() in _RACED:
                    raced.append(change)
                else:
                    yield change, failure
            self.counts["failed"] -= len(raced)
            compared = raced
        yield from self._isolated(compared, comparing=True)
        yield from self._isolated(followed, comparing=False)

    def _comparing(self, change: NetChange) -> bool:
        """Whether the record is read first; otherwise the action is sent as it is."""
        if self._session.sync.definition.sync_behaviour.strategy is Strategy.FULL or change.moves:
            return True
        return self._session.may_be_made(change.action) and change.settles[0].record not in self._met

    def _isolated(self, changes: Sequence[NetChange], *, comparing: bool) -> Iterator[_Result]:
        """Apply changes; what fails without naming a row is halved until the change that fails is alone."""
        for part, made in bisect(changes, partial(self._attempt, comparing=comparing)):
            written = WaveResult(failures={0: made}, counts={}) if isinstance(made, Failure) else made
            self.counts.update(written.counts)
            self._waiting += [part[position] for position in sorted(written.waiting)]
            for position, change in enumerate(part):
                failure = written.failures.get(position)
                if position not in written.waiting:
                    self.left_out += () if failure else written.left_out.get(position, ())
                    yield change, failure

    def _attempt(self, changes: Sequence[NetChange], *, comparing: bool) -> WaveResult | Failure:
        try:
            return self._wave.apply(changes, comparing=comparing, final=self._final)
        except AbortRun as error:  # every part of the wave would fail in the same way
            return WaveResult(failures=dict.fromkeys(range(len(changes)), failure_of(error)), counts={})
        except SyncError as error:
            return failure_of(error)
