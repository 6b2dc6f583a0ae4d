"""The writing part of a run: changes are sent, and their outcomes are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from shared.dataverse import LOOPS, Change, Dataverse, Failed, Outcome, Skipped, WriteLimits
from shared.definitions import Strategy, SyncDefinition
from shared.entities import EntityMetadata
from shared.errors import SyncError
from shared.jobs.adoption import Adoption
from shared.jobs.creating import creation_counts, write_creations
from shared.jobs.outcomes import (
    correct_outcomes,
    failed_count,
    is_taken,
    keep_outcomes,
    linked_changes,
    name_links,
    planned_changes,
    refused_count,
    skip_rest,
)
from shared.jobs.progress import Phase, Progress
from shared.reconcile.links.dependencies import (
    CREATES,
    DELETED_KEYS,
    DELETES,
    IDENTIFY_PARENTS,
    NOT_SETTLED,
    OTHER_IDS,
    UNKNOWN_PARENTS,
    actual_ids,
    failed_links,
    failed_parents,
    in_generation,
    waves_query,
)
from shared.reconcile.links.kept_parents import NOT_AS_PLANNED
from shared.reconcile.links.put_off import keep_links_of_existing
from shared.reconcile.links.steps import delete_order
from shared.reconcile.outcomes import NAME_EDITED, Result, changes_count_query, refused
from shared.transform import TargetColumn
from shared.workspace import Step, Table, Workspace

__all__ = ["TAKEN_AT_ONCE", "WriteOrder", "creating_columns", "write_changes"]

KEPT_AT_ONCE = 5000  # outcomes that go into the workspace with one statement
TOLD_AT_ONCE = 100  # of which progress is told: the rows of one request; a divisor of the former
TAKEN_AT_ONCE = 1000  # as many as may fail by default
_EXISTING: Final = f"NOT {CREATES} AND NOT {DELETES}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOrder:
    """What the order of a run's writes depends on.

    Attributes:
        adoption: How records are adopted; None where an insert stays an insert.
        late: The columns that may refer to records which the run creates.
        dropped: The table that orders deletes, children first: made of what was read to compare, or when they are sent.
        creating: The columns whose lookups create what is missing.
        waiting: Inserts that wait at once until the record with their key is known.
        keeping: The steps that plan no delete of a record below which others stay, once all else is written.
        guard: Called at that moment, too; it may give deletes an outcome.
        some_settled: Some changes have their outcomes before the first write.
        by_owner: The table `owner_order` orders the changes of records that exist.
        named: The columns of new links whose ids are asked for, because the ledger needs them.
    """

    adoption: Adoption | None = None
    late: Sequence[TargetColumn] = ()
    dropped: Table = Table.DROP_ORDER
    creating: Sequence[TargetColumn] = ()
    waiting: int = TAKEN_AT_ONCE
    keeping: Sequence[Step] = ()
    guard: Callable[[], object] | None = None
    some_settled: bool = False
    by_owner: bool = False
    named: Sequence[TargetColumn] = ()

    @classmethod
    def of(
        cls,
        adoption: Adoption | None,
        definition: SyncDefinition,
        columns: Sequence[TargetColumn],
        *,
        waiting: int = TAKEN_AT_ONCE,
        keeping: Sequence[Step] = (),
    ) -> WriteOrder:
        """The order of a sync's writes."""
        full = definition.sync_behaviour.strategy is Strategy.FULL
        return cls(
            adoption=adoption,
            late=[column for column in columns if column.late],
            dropped=Table.DROP_ORDER if full else Table.DELETE_ORDER,
            creating=creating_columns(definition, columns),
            waiting=waiting,
            keeping=keeping,
            named=columns if definition.keeps_ledger else (),
        )

    def left(self, condition: str) -> str:
        """A condition on changes, without those that have their outcome already."""
        return f"{condition} AND {NOT_SETTLED}" if self.creating or self.some_settled else condition

    def parts(self, workspace: Workspace, condition: str) -> Iterator[str]:
        """Conditions on the parts of some changes that are written one after the other."""
        if not self.by_owner:
            yield condition
            return
        for generation, _ in workspace.query(waves_query(Table.OWNER_ORDER, condition)):
            yield f"{condition} AND {in_generation(Table.OWNER_ORDER, generation)}"


def creating_columns(definition: SyncDefinition, columns: Sequence[TargetColumn]) -> list[TargetColumn]:
    """The columns whose lookups create what is missing."""
    mappings = definition.destination.mappings
    created = {each.target for each in mappings if any(lookup.on_missing == "create" for lookup in each.lookups)}
    return [column for column in columns if column.name in created]


def write_changes(
    workspace: Workspace,
    dataverse: Dataverse,
    entity: EntityMetadata,
    limits: WriteLimits,
    progress: Progress,
    order: WriteOrder | None = None,
) -> None:
    """Send every change and keep its outcome; afterwards each change has exactly one.

    With an adoption the inserts go first and are all settled before anything else is sent: then it is known which
    records must not be dropped, and these drops are no longer among the changes. Where rows refer to new records, the
    parents go first, and what cannot be written with a record follows when all records exist.

    Raises:
        AbortRun: Dataverse refuses all writes; outcomes so far are kept.
        RetryLater: Dataverse is unavailable for too long; outcomes so far are kept.
    """
    order = order or WriteOrder()
    ((inserts, total),) = workspace.query(changes_count_query())
    progress.phase(Phase.WRITE, total)
    writing = _Writing(workspace, dataverse, entity, limits, progress, order.waiting)
    try:
        if creation_counts(workspace, order.creating)[1]:
            writing.stopped = write_creations(workspace, dataverse, entity.related, order.creating, limits)
            writing.recount()
        if order.late:
            _write_in_order(writing, workspace, order)
        else:
            _write_as_planned(writing, workspace, order, inserts=inserts, others=total - inserts)
        name_links(workspace, dataverse, entity, order.named)
    except SyncError as error:
        writing.stopped = writing.stopped or f"aborted: {error.message}"
        raise
    finally:
        writing.skip_rest()


def _write_as_planned(writing: _Writing, workspace: Workspace, order: WriteOrder, *, inserts: int, others: int) -> None:
    """In the order of the changes; deletes wait for all others where they may take other records with them."""
    left, count = "true", inserts + others
    if order.adoption is not None and inserts:
        writing.insert(planned_changes(workspace, order.left("action = 'insert'")), order.adoption)
        left, count = "action <> 'insert'", others
    first = f"{left} AND NOT {DELETES}" if (waits := order.keeping or order.guard) else left
    for part in order.parts(workspace, first):
        writing.send(planned_changes(workspace, order.left(part)), count)
    _send_again(writing, workspace)
    if waits:
        writing.keep_parents(order)
        writing.send(planned_changes(workspace, order.left(DELETES)), count)


def _write_in_order(writing: _Writing, workspace: Workspace, order: WriteOrder) -> None:
    """New records parents first, then references between them, then what exists, then deletes children first."""
    for generation, count in workspace.query(waves_query(Table.GENERATIONS, CREATES)):
        condition = f"{CREATES} AND {in_generation(Table.GENERATIONS, generation)}"
        changes = _follow_parents(writing, workspace, order, condition)
        if order.adoption is None:
            writing.send(changes, count)
            writing.identify()
        else:
            writing.insert(changes, order.adoption)
    _follow_parents(writing, workspace, order, "false")
    if statement := keep_links_of_existing(order.late):
        workspace.execute(statement)
    if not writing.stopped:  # see `_follow_parents`
        workspace.execute(failed_links())
    writing.link(linked_changes(workspace))
    writing.recount()
    for part in order.parts(workspace, _EXISTING):
        writing.send(_follow_parents(writing, workspace, order, part), 1)
    _send_again(writing, workspace)
    if order.dropped is Table.DELETE_ORDER and not writing.order_deletes(order.late):
        writing.send(planned_changes(workspace, DELETES), 1)
        return
    writing.keep_parents(order)
    for generation, count in workspace.query(waves_query(order.dropped, DELETES)):
        part = in_generation(order.dropped, generation)
        writing.send(planned_changes(workspace, order.left(f"{DELETES} AND {part}")), count)


def _send_again(writing: _Writing, workspace: Workspace) -> None:
    """Send what would have been its own ancestor again, as long as that helps.

    The new parent of a record may have been one of its descendants until another change of the run. Which records are
    in between is not known: they may be unchanged, and an undo does not read them. In each round at least one record
    can be written, unless the references are a circle in the end.
    """
    looped, before = refused(LOOPS, _EXISTING), 0
    while writing.may_send_again and (left := refused_count(workspace, looped)) not in {0, before}:
        writing.take_back(looped, left)
        writing.send(planned_changes(workspace, f"{_EXISTING} AND {NOT_SETTLED}"), left)
        before = left


def _follow_parents(writing: _Writing, workspace: Workspace, order: WriteOrder, condition: str) -> Iterator[Change]:
    """Some changes, after the outcomes of the new records to which they refer.

    Where the run has stopped, new records may be missing because they were not sent, which is no failure.
    """
    if workspace.query(OTHER_IDS):
        for column in order.late:
            for statement in actual_ids(column):
                workspace.execute(statement)
    if not writing.stopped:
        workspace.execute(failed_parents(condition))
    return planned_changes(workspace, f"{condition} AND {NOT_SETTLED}")


class _Writing:
    """The changes of one run during the write; `stopped` is the reason why no more changes are sent."""

    def __init__(
        self,
        workspace: Workspace,
        dataverse: Dataverse,
        entity: EntityMetadata,
        limits: WriteLimits,
        progress: Progress,
        waiting: int,
    ) -> None:
        self._waiting = waiting
        self._workspace = workspace
        self._dataverse = dataverse
        self._entity = entity
        self._limits = limits
        self._progress = progress
        self._taken = 0
        self._failed = 0
        self.stopped = ""

    def insert(self, changes: Iterator[Change], adoption: Adoption) -> None:
        """Send inserts, and adopt the records that have the keys of some of them: in rounds, so that few wait."""
        self._taken = self._waiting
        while self._taken >= self._waiting and not self.stopped:
            self._taken = 0
            self.send(self._round(changes), 1, adopting=True)
            if self._taken and not self.stopped:
                self._adopt(adoption)

    def _round(self, changes: Iterator[Change]) -> Iterator[Change]:
        for change in changes:
            yield change
            if self._taken >= self._waiting:
                return

    def _adopt(self, adoption: Adoption) -> None:
        for table in (Table.HOLDERS, Table.ADOPTIONS):  # of the round before
            self._workspace.drop(table)
        updates = adoption.decide(self._workspace)
        self._progress.advance(self._taken - len(updates))
        self._failed = failed_count(self._workspace)
        self.send(iter(updates), len(updates), applied=Result.ADOPTED)
        self._workspace.execute(NAME_EDITED)

    def send(
        self, changes: Iterator[Change], count: int, *, adopting: bool = False, applied: Result = Result.APPLIED
    ) -> None:
        """Send changes and keep their outcomes, unless there are none or the run has stopped."""
        self.stopped = self.stopped or self._limits.too_many(self._failed)
        if self.stopped or not count:
            return
        limits = replace(self._limits.after(self._failed), adopting=adopting)
        buffer: list[Outcome] = []
        keep = partial(self._keep, buffer, adopting=adopting, applied=applied)
        try:
            for outcome in self._dataverse.write(self._entity, changes, limits):
                buffer.append(outcome)
                self._note(outcome, adopting=adopting)
                if len(buffer) >= KEPT_AT_ONCE:
                    keep()
                elif len(buffer) % TOLD_AT_ONCE == 0:
                    self._tell(buffer[-TOLD_AT_ONCE:], adopting=adopting)
        finally:
            keep()

    def link(self, changes: Sequence[Change]) -> None:
        """Write references of records that exist now; the outcome of a record that was created is corrected."""
        self.stopped = self.stopped or self._limits.too_many(self._failed)
        if not changes:
            return
        if self.stopped:
            correct_outcomes(self._workspace, [Skipped(number=each.number, reason=self.stopped) for each in changes])
            return
        for outcome in self._dataverse.write(self._entity, changes, self._limits.after(self._failed)):
            correct_outcomes(self._workspace, [outcome])
            self._note(outcome, adopting=False)

    def identify(self) -> None:
        """Find the ids of new parents that the service did not tell: an upsert by an alternate key need not name it."""
        unknown = [(number, key) for number, key in self._workspace.query(UNKNOWN_PARENTS)]
        if not unknown or self.stopped:
            return
        self._workspace.drop(Table.HOLDERS)
        self._dataverse.read_holders(self._workspace, self._entity, (), unknown)
        self._workspace.execute(IDENTIFY_PARENTS)

    def order_deletes(self, late: Sequence[TargetColumn]) -> bool:
        """Ask the records which of them refer to each other: what their rows say of it may be missing or old.

        Returns:
            Whether there is an order; one delete needs none.
        """
        ((deletes,),) = self._workspace.query(f"SELECT count(*) FROM changes WHERE {DELETES}")
        if deletes <= 1 or self.stopped:
            return False
        for table in (Table.HOLDERS, Table.DELETE_ORDER):
            self._workspace.drop(table)
        self._dataverse.read_holders(self._workspace, self._entity, late, self._workspace.rows(DELETED_KEYS))
        self._workspace.create(delete_order(late))
        return True

    def keep_parents(self, order: WriteOrder) -> None:
        """Plan no delete of a record below which others stay, where a change was not made as it was planned."""
        if order.guard and not self.stopped:
            order.guard()
        if order.keeping and not self.stopped and self._workspace.query(NOT_AS_PLANNED):
            self._workspace.drop(Table.KEPT_PARENTS)
            for step in order.keeping:
                self._workspace.run(step)

    def recount(self) -> None:
        """Count the failures, after outcomes were written beside those of the service."""
        self._failed = failed_count(self._workspace)

    @property
    def may_send_again(self) -> bool:
        """Whether changes were refused, and nothing stops the run."""
        return bool(self._failed) and not self.stopped

    def take_back(self, condition: str, count: int) -> None:
        """Forget outcomes, because their changes are sent again.

        Args:
            condition: Which ones, over `outcomes`.
            count: How many they are.
        """
        self._workspace.execute(f"DELETE FROM outcomes WHERE {condition}")
        self._progress.advance(-count)
        self.recount()

    def _note(self, outcome: Outcome, *, adopting: bool) -> None:
        match outcome:
            case Failed() if adopting and is_taken(outcome):
                self._taken += 1
            case Failed() if outcome.edited:
                pass  # the record keeps what others wrote; that is not an error
            case Failed():
                self._failed += 1
            case Skipped():
                self.stopped = outcome.reason

    def _keep(self, buffer: list[Outcome], *, adopting: bool, applied: Result) -> None:
        keep_outcomes(self._workspace, buffer, adopting=adopting, applied=applied)
        # A full buffer is a multiple of what is told at once: its last part has not been told.
        untold = len(buffer) % TOLD_AT_ONCE or (TOLD_AT_ONCE if len(buffer) == KEPT_AT_ONCE else 0)
        self._tell(buffer[len(buffer) - untold :], adopting=adopting)
        buffer.clear()

    def _tell(self, outcomes: Sequence[Outcome], *, adopting: bool) -> None:
        """Tell of outcomes that are final: an insert whose key is taken is told of when its record is adopted."""
        taken = sum(isinstance(each, Failed) and is_taken(each) for each in outcomes) if adopting else 0
        self._progress.advance(len(outcomes) - taken)

    def skip_rest(self) -> None:
        """Give the changes that were not sent their outcome, where the run has stopped."""
        if not self.stopped:
            return
        skip_rest(self._workspace, self.stopped)
