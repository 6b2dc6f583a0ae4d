"""One wave of changes: at most one for each record, compared (or not) and written by the same SQL as a batch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.dataverse import Change, ChangeAction, Dataverse
from shared.definitions import ParameterValue, SyncDefinition, in_odata
from shared.definitions.models import Strategy
from shared.events import EventAction, NetChange
from shared.jobs.adoption import Adoption
from shared.jobs.real_time.boundary import Failure
from shared.jobs.real_time.rows import KEPT, before_row
from shared.jobs.real_time.sync import PreparedSync
from shared.jobs.real_time.workspaces import WarmWorkspace
from shared.jobs.real_time.writing import WaveWriting
from shared.jobs.run_steps import RunSteps, Stage
from shared.reconcile import blind_mark, names_of, object_of
from shared.transform import SOURCE_ERRORS, TargetColumn, to_service
from shared.workspace import NewTable, Purpose, Step, Table, json_rows, quoted

__all__ = ["Wave", "Written"]

_ACTION = "_action"  # the column of `source` that says what to do, where the source decides
_IGNORE = "IGNORE"
_STEP_ROWS: Final = {"s": "BIGINT", "r": "BIGINT", "o": "BIGINT", "d": "BOOLEAN", "a": "VARCHAR"}
_SOURCE: Final = NewTable(
    name=Table.SOURCE,
    query="SELECT _step AS _row, wanted_source.* EXCLUDE (_row) FROM step_rows JOIN wanted_source USING (_row)",
    is_view=True,
)
_ACTIONS: Final = NewTable(name=Table.SOURCE, query=f"SELECT DISTINCT _step AS _row, {_ACTION} FROM step_rows")
# Steps that are left out where they have nothing to do: on a few rows, planning a statement is what takes the time.
# Records are found by keys that events have, so none is without; and one counts as dropped because an event said so.
_LEFT_OUT: Final = Purpose.RECORDS_WITHOUT_KEY | Purpose.CREATE_ONLY_COLUMNS | Purpose.REJECTED_ROWS
_COMPARED: Final = (Stage.READ, Stage.MATCH, Stage.RECONCILE)
_FOLLOWED: Final = (Stage.RECONCILE,)
_RunSteps = Mapping[Stage, tuple[Step, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of a wave.

    Attributes:
        failures: Position of a net change -> why it was refused.
        counts: Records by what was done to them: the names of the decisions, `adopted` and `failed`.
    """

    failures: Mapping[int, Failure]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Applies net changes of different records.

    Attributes:
        parameters: Values that the target's filter names.
        started: When the batch came; what an expired record's date column is set to.
    """

    sync: PreparedSync
    dataverse: Dataverse
    workspace: WarmWorkspace
    parameters: Mapping[str, ParameterValue]
    started: datetime

    def apply(self, changes: Sequence[NetChange], *, comparing: bool) -> Written:
        """Write net changes.

        Args:
            changes: One for each record.
            comparing: Read the records first, and write only what differs.

        Raises:
            UserError: A statement fails on one of the rows; which one, the message does not know.
            RequestRefused: The service refuses to look the records up.
            AbortRun: The service refuses everything.
            RetryLater: The service is away.
        """
        self.workspace.clear(keep=KEPT)
        self._stage(changes)
        single, moves = all(len(change.events) == 1 for change in changes), any(change.moves for change in changes)
        definition = self._compared(moves=moves) if comparing else self._followed()
        run_steps = self._run_steps(definition, _COMPARED if comparing else _FOLLOWED)
        if comparing:
            self._read(definition, run_steps, single=single, moves=moves)
        else:
            self._follow(single=single)
        doubles = self._move() if moves else 0
        counts = self._reconcile(run_steps[Stage.RECONCILE])
        if not comparing:
            self._mark()
        counts["ignored"] += len(changes) + doubles - counts.total()
        deletes = comparing and (moves or any(change.action is EventAction.DELETE for change in changes))
        adoption = self._adoption() if comparing else None
        return self._write(counts, by_key=deletes, moves=moves, adoption=adoption)

    def _run_steps(self, definition: SyncDefinition, stages: Sequence[Stage]) -> _RunSteps:
        """The steps of some stages, without those that have nothing to do."""
        steps = RunSteps(
            definition=definition,
            entity=self.sync.entity,
            columns=self.sync.layout,
            started=self.started,
            with_before=False,
            # An alternate key may keep the sync key unique.
            leave_out=_LEFT_OUT | Purpose.TARGET_DUPLICATES if self.sync.unique else _LEFT_OUT,
        )
        return {stage: steps.of(stage) for stage in stages}

    def _run(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.workspace.run(step)

    def _reconcile(self, steps: Sequence[Step]) -> Counter[str]:
        """Make `decisions` and `changes`; returns how many records each decision concerns."""
        counts: Counter[str] = Counter()
        for step in steps:
            if step.creates and step.creates.name == Table.CHANGES:
                counts.update(dict(self.workspace.query("SELECT action, count(*) FROM decisions GROUP BY action")))
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
                "o": before_row(event.number) if event.before else None,
                "d": change.action is EventAction.DELETE,
                "a": self._unread(change.action),
            }
            for position, change in enumerate(changes)
            for event in change.events
        ]
        query = (
            f"SELECT r.s AS _step, r.r AS _row, r.o AS _before, r.d AS _deletes, r.a AS {_ACTION} "
            f"FROM {json_rows(_STEP_ROWS)}"
        )
        self.workspace.create(NewTable(name=Table.STEP_ROWS, query=query), [json.dumps(rows)])
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
                return _IGNORE
        return EventAction.UPDATE.value

    def _desire(self, condition: str, *, single: bool) -> None:
        """Make `desired`: the rows of a step become one; the last row that carries a column has the say on it."""
        names = [column.name for column in self.sync.layout]
        if single:
            items = [*(quoted(n) for n in names), *(_flag(n) for n in names), *self._keys]
        else:
            items = [f"{self._latest(column)} AS {quoted(column.name)}" for column in self.sync.layout]
            items += [f"bool_and({_flag(n)}) AS {_flag(n)}" for n in names]
            items += [f"last({key} ORDER BY _row) AS {key}" for key in self._keys]
        query = (
            f"SELECT _step AS _row, {', '.join(items)} "
            f"FROM step_rows JOIN wanted USING (_row) WHERE {condition}{'' if single else ' GROUP BY _step'}"
        )
        self.workspace.create(NewTable(name=Table.DESIRED, query=query))

    def _latest(self, column: TargetColumn) -> str:
        """SQL for a column's value over the rows of a step.

        A record that is addressed by its alternate key keeps the spelling that it was made with: no later write sends
        the key. One that is compared, or addressed by its id, takes the latest.
        """
        name, record = quoted(column.name), self.sync.definition.destination.id_column
        last = f"last({name} ORDER BY _row) FILTER (WHERE NOT {_flag(column.name)}"
        if column.key_part is None or self.sync.definition.sync_behaviour.strategy is Strategy.FULL:
            return f"{last})"
        first = f"first({name} ORDER BY _row)"
        if any(other.name == record for other in self.sync.layout):
            return f"coalesce({last} AND {quoted(record)} IS NOT NULL), {first})"
        return first

    @property
    def _keys(self) -> list[str]:
        return [f"_k{column.key_part}" for column in self.sync.keys]

    # -- Comparing -----------------------------------------------------------------------------------------------

    def _read(self, definition: SyncDefinition, steps: _RunSteps, *, single: bool, moves: bool) -> None:
        """Make `desired` and `current`: a record that is there and has no place among the desired ones was dropped."""
        self._desire("NOT _deletes", single=single)
        if any(Table.SOURCE in step.needs for step in steps[Stage.RECONCILE]):
            self.workspace.create(_SOURCE)
        self._run(steps[Stage.READ])
        self.dataverse.read(
            self.workspace,
            self.sync.entity,
            self.sync.layout,
            condition=self._condition(),
            keys=self._asked(single=single, moves=moves),
        )
        if definition.sync_behaviour.dropped != "ignore":
            # The service may find more than was asked for, and what was not asked for is not dropped.
            parts = ", ".join(self._keys)
            self.workspace.execute(
                f"DELETE FROM current WHERE ({parts}) NOT IN (SELECT ({parts}) FROM {_rows_of(moves=moves)})"
            )
        self._run(steps[Stage.MATCH])

    def _compared(self, *, moves: bool) -> SyncDefinition:
        """The definition for comparing. `delta` follows the action: what an event drops is deleted."""
        definition = _with(self.sync.definition, strategy=Strategy.FULL)
        delta = self.sync.definition.sync_behaviour.strategy is Strategy.DELTA
        return _with(definition, dropped="delete") if delta and moves else definition

    def _move(self) -> int:
        """Let a record be found under its old key, where none has the new one: comparing gives it the new key.

        Where both are there, the one with the new key takes the event and the other one was dropped.

        Returns:
            How many steps concern two records.
        """
        old = " AND ".join(f"current.{key} = old.{key}" for key in self._keys)
        new = " AND ".join(f"current.{key} = desired.{key}" for key in self._keys)
        moved = "step_rows JOIN wanted AS old ON old._row = step_rows._before"
        has_old, has_new = (f"EXISTS (SELECT 1 FROM current WHERE {same})" for same in (old, new))
        ((doubles,),) = self.workspace.query(
            f"SELECT count(*) FROM desired JOIN {moved} ON desired._row = _step WHERE {has_old} AND {has_new}"
        )
        keys = ", ".join(f"{key} = old.{key}" for key in self._keys)
        self.workspace.execute(
            f"UPDATE desired SET {keys} FROM {moved} WHERE desired._row = _step AND {has_old} AND NOT {has_new}"
        )
        return int(doubles)

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
        )

    def _asked(self, *, single: bool, moves: bool) -> list[str]:
        """The keys of the wave as JSON objects, each once."""
        members = " || ',' || ".join(to_service(column, quoted(column.name)) for column in self.sync.keys)
        key = f"'{{' || {members} || '}}'"
        rows = _rows_of(moves=moves)
        several = f"SELECT any_value({key}) FROM {rows} GROUP BY _step, wanted._row < 0 ORDER BY _step"
        one = f"SELECT {key} FROM {rows} ORDER BY _step"
        return [text for (text,) in self.workspace.query(one if single else several)]

    # -- Following -----------------------------------------------------------------------------------------------

    def _followed(self) -> SyncDefinition:
        """The definition for changes whose action is given."""
        return _with(self.sync.definition, strategy=Strategy.DELTA, action_column=_ACTION)

    def _follow(self, *, single: bool) -> None:
        """Make `desired` and `source`: each row says itself what to do."""
        self._desire(f"{_ACTION} <> '{_IGNORE}'", single=single)
        self.workspace.create(_ACTIONS)

    def _mark(self) -> None:
        """What is dropped and only marked becomes an update of the columns of the mark."""
        definition = self.sync.definition
        parts = blind_mark(definition, self.sync.layout, started=self.started)
        if definition.sync_behaviour.strategy is not Strategy.UPSERT or not parts:
            return
        self.workspace.execute(
            f"UPDATE changes SET payload = {object_of(parts)}, on_create = '', later = '', columns = {names_of(parts)} "
            "WHERE _row IN (SELECT _step FROM step_rows WHERE _deletes)"
        )

    # -- Writing -------------------------------------------------------------------------------------------------

    def _write(self, counts: Counter[str], *, by_key: bool, moves: bool, adoption: Adoption | None) -> Written:
        """Send the changes; whatever has none is settled as it is."""
        owned = self._changes(by_key=by_key, moves=moves)
        writing = WaveWriting(
            dataverse=self.dataverse, entity=self.sync.entity, workspace=self.workspace, adoption=adoption
        )
        fates = writing.write([change for change, _ in owned])
        failures: dict[int, Failure] = {}
        for change, position in owned:
            fate = fates.get(change.number)
            if isinstance(fate, Failure):
                failures[position] = fate
            if fate is not None:
                counts.update({change.action.value: -1, "failed" if isinstance(fate, Failure) else fate: 1})
        return Written(failures=failures, counts=+counts)

    def _changes(self, *, by_key: bool, moves: bool) -> list[tuple[Change, int]]:
        """The changes, each with the position of its net change: what is dropped is found by its key."""
        same = " AND ".join(f"current.{key} = wanted.{key}" for key in self._keys)
        gone = (
            f"LEFT JOIN (SELECT current._id, _step FROM {_rows_of(moves=moves)} JOIN current ON {same} "
            "WHERE _deletes OR wanted._row = step_rows._before) AS gone ON gone._id = changes._id"
        )
        owner = "coalesce(changes._row, gone._step)" if by_key else "changes._row"
        rows = self.workspace.query(
            f"SELECT _change, action, CAST(changes._id AS VARCHAR), key, payload, columns, on_create, later, {owner} "
            f"FROM changes {gone if by_key else ''} ORDER BY _change"
        )
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


def _rows_of(*, moves: bool) -> str:
    """SQL for the rows of the steps: with those of old keys where a step changes one."""
    on = "wanted._row IN (step_rows._row, step_rows._before)" if moves else "wanted._row = step_rows._row"
    return f"step_rows JOIN wanted ON {on}"


def _flag(name: str) -> str:
    return quoted("_omit_" + name)


def _with(definition: SyncDefinition, **behaviour: object) -> SyncDefinition:
    changed = definition.sync_behaviour.model_copy(update=behaviour)
    return definition.model_copy(update={"sync_behaviour": changed})
