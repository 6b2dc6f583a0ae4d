"""One wave of changes: at most one for each record, compared (or not) and written by the same SQL as a batch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from shared.dataverse import Change, ChangeAction, Dataverse
from shared.definitions import ParameterValue, SyncDefinition, in_odata
from shared.definitions.models import Strategy
from shared.errors import RetryLater, UserError
from shared.events import EventAction, NetChange
from shared.jobs.adoption import Adoption
from shared.jobs.real_time.boundary import NOTHING_DONE, Failure, WaveResult
from shared.jobs.real_time.ledger import ChangedMeanwhileError, WaveLedger
from shared.jobs.real_time.rows import KEPT, before_row, failures_of, field_error
from shared.jobs.real_time.sync import PreparedSync
from shared.jobs.real_time.writing import WaveWriting
from shared.jobs.referencing import Searching, read_references
from shared.jobs.run_steps import RunSteps, Stage
from shared.jobs.writing import WriteOrder
from shared.reconcile import blind_mark, blind_unfit_query, counts_query
from shared.reconcile.waves import (
    GIVEN,
    GIVEN_ACTION,
    GIVEN_IGNORE,
    LEFT_OUT_OF_CHANGES,
    REJECTED_CHANGES,
    STAYS,
    STEP_ROWS,
    UNRESOLVED_CHANGES,
    WAVE_ACTIONS,
    WAVE_SOURCE,
    asked_query,
    doubles_query,
    keep_asked_statement,
    mark_statement,
    move_statement,
    spare_rejected_statement,
    wave_changes_query,
    wave_desired,
)
from shared.state import ErrorRow
from shared.transform import SOURCE_ERRORS, pair_of
from shared.workspace import Purpose, Step, Table
from shared.workspace.warm import WarmWorkspace

__all__ = ["Wave"]

# Steps that are left out where they have nothing to do: on a few rows, planning a statement is what takes the time.
# Records are found by keys that events have, so none is without; and one counts as dropped because an event said so.
_LEFT_OUT: Final = (
    Purpose.RECORDS_WITHOUT_KEY | Purpose.CREATE_ONLY_COLUMNS | Purpose.REJECTED_ROWS | Purpose.KEPT_PARENTS
)
_TURNS: Final = 5  # that records which others change meanwhile are compared
_COMPARED: Final = (Stage.READ, Stage.MATCH, Stage.LINK, Stage.RECONCILE)
_FOLLOWED: Final = (Stage.RECONCILE,)
_FOLLOWED_LINKED: Final = (Stage.READ, Stage.MATCH, Stage.LINK, Stage.RECONCILE)
_RunSteps = Mapping[Stage, tuple[Step, ...]]
_ANY_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Applies net changes of different records.

    Attributes:
        parameters: Values that the target's filter names.
        started: When the batch came; what an expired record's date column is set to.
        ledger: What is known of the records; None where the sync keeps no ledger.
        overtaken: Asked before each request that writes: whether others have gone further with these records.
    """

    sync: PreparedSync
    dataverse: Dataverse
    workspace: WarmWorkspace
    parameters: Mapping[str, ParameterValue]
    started: datetime
    ledger: WaveLedger | None = None
    overtaken: Callable[[], bool] = lambda: False

    def apply(self, changes: Sequence[NetChange], *, comparing: bool, final: bool = True) -> WaveResult:
        """Write net changes.

        Args:
            changes: One for each record.
            comparing: Read the records first, and write only what differs.
            final: No wave comes after it. Before others, what refers to a record that is not there waits: one of them
                may create it.

        Raises:
            UserError: A statement fails on one of the rows; which one, the message does not know.
            RequestRefused: The service refuses to look the records up.
            AbortRun: The service refuses everything.
            RetryLater: The service is unavailable, or others change the same records again and again.
        """
        for _ in range(_TURNS):
            try:
                return self._apply(changes, comparing=comparing, final=final)
            except ChangedMeanwhileError:
                continue
        raise RetryLater("others change the records of these events at the same time", retry_after=1)

    def _apply(self, changes: Sequence[NetChange], *, comparing: bool, final: bool) -> WaveResult:
        self.workspace.clear(keep=KEPT)
        self._stage(changes)
        single, moves = all(len(change.events) == 1 for change in changes), any(change.moves for change in changes)
        definition = self._compared(moves=moves) if comparing else self._followed()
        run_steps = self._run_steps(definition, comparing=comparing, moves=moves)
        if comparing:
            self._read(definition, run_steps, single=single, moves=moves)
        else:
            self._follow(single=single)
        doubles = self._move() if moves else 0
        rejected = self._link(run_steps, comparing=comparing) if self.sync.late else {}
        left_out = self._left_out(changes) if self.sync.late else {}
        if not final and (missing := self._missing()):
            staying = [place for place in range(len(changes)) if place not in missing]
            others = [changes[place] for place in staying]
            part = self._apply(others, comparing=comparing, final=False) if others else NOTHING_DONE
            return part.placed(staying, missing)
        counts = self._reconcile(run_steps[Stage.RECONCILE])
        if self.ledger:
            self.ledger.check()
        judged = failures_of(self.workspace.query(REJECTED_CHANGES)) if comparing and self.sync.rejects else {}
        refused = {change: failure for change, failure in judged.items() if change not in rejected}
        if not comparing:
            self._mark()
        counts["ignored"] += len(changes) + doubles - counts.total() - len(rejected)
        counts["failed"] += len(rejected)
        if self.ledger:
            counts["edited"] += self.ledger.edited()
        deletes = comparing and (moves or any(change.action is EventAction.DELETE for change in changes))
        adoption = self._adoption() if comparing else None
        written = self._write(counts, by_key=deletes, moves=moves, adoption=adoption)
        written = replace(written, failures={**written.failures, **rejected}, left_out=left_out)
        return written.refusing(refused) if refused else written

    def _run_steps(self, definition: SyncDefinition, *, comparing: bool, moves: bool) -> _RunSteps:
        """The steps of the wave's stages; they are made once, unless they name the time at which the batch came."""
        kept, variant = self.sync.kept_steps, (comparing, moves)
        steps = kept.get(variant) or self._made_steps(definition, self.started, comparing=comparing)
        if variant not in kept:
            kept[variant] = steps if steps == self._made_steps(definition, _ANY_TIME, comparing=comparing) else None
        return steps

    def _made_steps(self, definition: SyncDefinition, started: datetime, *, comparing: bool) -> _RunSteps:
        """The steps of the wave's stages, without those that have nothing to do."""
        followed = _FOLLOWED_LINKED if self.sync.late else _FOLLOWED
        steps = RunSteps(
            definition=definition,
            entity=self.sync.entity,
            desire=self.sync.desire,
            columns=self.sync.layout,
            started=started,
            stored_keys=True,
            with_before=False,
            # An alternate key may keep the sync key unique.
            leave_out=_LEFT_OUT | Purpose.TARGET_DUPLICATES if self.sync.unique else _LEFT_OUT,
        )
        return {stage: steps.of(stage) for stage in (_COMPARED if comparing else followed)}

    def _run(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.workspace.run(step)

    def _reconcile(self, steps: Sequence[Step]) -> Counter[str]:
        """Make `decisions` and `changes`; returns how many records each decision concerns."""
        counts: Counter[str] = Counter()
        for step in steps:
            if step.creates and step.creates.name == Table.CHANGES:
                counts.update({action: keys for action, keys, *_ in self.workspace.query(counts_query())})
            if not step.decision or step.decision in counts:
                self.workspace.run(step)
        return counts

    # -- Net changes into rows -----------------------------------------------------------------------------------

    def _stage(self, changes: Sequence[NetChange]) -> None:
        """Make `step_rows`: which events each change is made of, and what it is to do.

        `_before` is the row with the key that the record had, where a change gives it a new one.
        """
        rows = [
            {
                "s": position,
                "r": before_row(event.number) if event.of_before else event.number,
                "l": len(change.events) == 1,
                "o": before_row(event.number) if event.before else None,
                "d": change.action is EventAction.DELETE,
                "a": self._unread(change.action),
            }
            for position, change in enumerate(changes)
            for event in change.events
        ]
        self.workspace.create(STEP_ROWS, [json.dumps(rows)])
        self.workspace.run(SOURCE_ERRORS)

    def _unread(self, action: EventAction) -> str:
        """What a change means for a record that nobody has read."""
        behaviour = self.sync.definition.sync_behaviour
        if behaviour.strategy is not Strategy.UPSERT:
            return action.value
        if action is not EventAction.DELETE:
            return EventAction.UPSERT.value
        match behaviour.dropped:
            case "delete":
                return EventAction.DELETE.value
            case "ignore":
                return GIVEN_IGNORE
        return EventAction.UPDATE.value

    def _desire(self, condition: str, *, single: bool) -> None:
        """Make `desired`: the rows of a change become one."""
        sync = self.sync
        self.workspace.create(wave_desired(sync.definition, sync.layout, condition, single=single, late=sync.late))
        if not single and (pair := pair_of(sync.layout)):
            self.workspace.execute(pair.agreed())

    # -- Comparing -----------------------------------------------------------------------------------------------

    def _read(self, definition: SyncDefinition, steps: _RunSteps, *, single: bool, moves: bool) -> None:
        """Make `desired` and `current`: a record that is there and has no place among the desired ones was dropped."""
        self._desire(STAYS, single=single)
        if any(Table.SOURCE in step.needs for step in steps[Stage.RECONCILE]):
            self.workspace.create(WAVE_SOURCE)
        self._run(steps[Stage.READ])
        if self.ledger:
            self.ledger.begin_reading()
        self.dataverse.read(
            self.workspace,
            self.sync.entity,
            self.sync.layout,
            condition=self._condition(),
            keys=[key for (key,) in self.workspace.query(asked_query(self.sync.layout, single=single, moves=moves))],
        )
        if definition.sync_behaviour.dropped != "ignore":
            self.workspace.execute(keep_asked_statement(self.sync.layout, moves=moves))
        if self.ledger:
            self.ledger.load()
        self._run(steps[Stage.MATCH])

    def _compared(self, *, moves: bool) -> SyncDefinition:
        """The definition for comparing. `delta` follows the action: what an event drops is deleted."""
        definition = _with(self.sync.definition, strategy=Strategy.FULL)
        delta = self.sync.definition.sync_behaviour.strategy is Strategy.DELTA
        return _with(definition, dropped="delete") if delta and moves else definition

    def _move(self) -> int:
        """Let records be found under their old keys; returns how many changes concern two records."""
        ((doubles,),) = self.workspace.query(doubles_query(self.sync.layout))
        self.workspace.execute(move_statement(self.sync.layout))
        return int(doubles)

    def _link(self, steps: _RunSteps, *, comparing: bool) -> dict[int, Failure]:
        """Resolve the lookups that may refer to records of this wave; returns the changes that they reject."""
        if not comparing:
            self._run(steps[Stage.READ])
            self._run(steps[Stage.MATCH])
        read_references(self.workspace, self.dataverse, Searching(lookups=self.sync.late), self.parameters)
        self._run(steps[Stage.LINK])
        rejected = failures_of(self.workspace.query(REJECTED_CHANGES))
        if rejected:
            self.workspace.execute(spare_rejected_statement(self.sync.layout))
        return rejected

    def _left_out(self, changes: Sequence[NetChange]) -> dict[int, tuple[ErrorRow, ...]]:
        """The errors of lookups that reject nothing, each with the last event of its change."""
        found: dict[int, tuple[ErrorRow, ...]] = {}
        for place, error, column, message in self.workspace.query(LEFT_OUT_OF_CHANGES):
            event = changes[place].events[-1].number
            found[place] = (*found.get(place, ()), field_error((event, error, column, message)))
        return found

    def _missing(self) -> frozenset[int]:
        """The changes of which a lookup finds no record."""
        return (
            frozenset(place for (place,) in self.workspace.query(UNRESOLVED_CHANGES)) if self.sync.late else frozenset()
        )

    def _condition(self) -> str | None:
        """The target's filter in OData."""
        condition = self.sync.definition.destination.filter
        return condition and in_odata(condition, self.parameters, self.sync.entity)

    def _adoption(self) -> Adoption | None:
        """How records are adopted; not by `delta`, whose inserts are orders also where they are looked up first."""
        if self.sync.definition.sync_behaviour.strategy is not Strategy.FULL:
            return None
        return Adoption(
            definition=self.sync.definition,
            dataverse=self.dataverse,
            entity=self.sync.entity,
            columns=self.sync.layout,
            condition=self._condition(),
            recall=self.ledger.load_holders if self.ledger else lambda: None,
        )

    # -- Following -----------------------------------------------------------------------------------------------

    def _followed(self) -> SyncDefinition:
        """The definition for changes whose action is given."""
        return _with(self.sync.definition, strategy=Strategy.DELTA, action_column=GIVEN_ACTION)

    def _follow(self, *, single: bool) -> None:
        """Make `desired` and `source`: each row says itself what to do."""
        self._desire(GIVEN, single=single)
        self.workspace.create(WAVE_ACTIONS)

    def _mark(self) -> None:
        """What is dropped and only marked becomes an update of the columns of the mark."""
        definition = self.sync.definition
        parts = blind_mark(definition, self.sync.layout, started=self.started)
        if definition.sync_behaviour.strategy is not Strategy.UPSERT or not parts:
            return
        query = blind_unfit_query(definition, self.sync.layout)
        if query and (unfit := self.workspace.query(query)):
            said = f"the value for {unfit[0][0]} does not fit the column, or its expression fails"
            raise UserError(f"{said}; the record is not marked")
        self.workspace.execute(mark_statement(parts, definition.destination.id_column))

    # -- Writing -------------------------------------------------------------------------------------------------

    def _write(self, counts: Counter[str], *, by_key: bool, moves: bool, adoption: Adoption | None) -> WaveResult:
        """Send the changes; whatever has none is settled as it is."""
        if self.ledger:
            self.ledger.note_before()
        owned = self._changes(by_key=by_key, moves=moves)
        writing = WaveWriting(
            dataverse=self.dataverse,
            entity=self.sync.entity,
            workspace=self.workspace,
            adoption=adoption,
            overtaken=self.overtaken,
        )
        changes = [change for change, _ in owned]
        if self.sync.in_order or self.ledger:
            order = WriteOrder.of(adoption, self.sync.definition, self.sync.layout)
            remember = self.ledger.note_after if self.ledger else None
            results = writing.write_in_order(changes, order, remember=remember)
        else:
            results = writing.write(changes)
        failures: dict[int, Failure] = {}
        for change, position in owned:
            result = results.get(change.number)
            if isinstance(result, Failure):
                failures[position] = result
            if result is not None:
                counts.update({change.action.value: -1, "failed" if isinstance(result, Failure) else result: 1})
        return WaveResult(failures=failures, counts=+counts)

    def _changes(self, *, by_key: bool, moves: bool) -> list[tuple[Change, int]]:
        """The changes, each with the position of its net change: what is dropped is found by its key."""
        rows = self.workspace.query(wave_changes_query(self.sync.layout, by_key=by_key, moves=moves))
        return [
            (
                Change(
                    number=n,
                    action=ChangeAction(what),
                    id=record,
                    key=key,
                    payload=sent,
                    columns=names,
                    on_create=once,
                    later=later,
                ),
                position,
            )
            for n, what, record, key, sent, names, once, later, position in rows
        ]


def _with(definition: SyncDefinition, **behaviour: object) -> SyncDefinition:
    changed = definition.sync_behaviour.model_copy(update=behaviour)
    return definition.model_copy(update={"sync_behaviour": changed})
