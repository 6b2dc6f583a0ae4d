"""The rows that will be written, each with its key and ready JSON, numbered in the order of writing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.definitions.models import ChangedWhen, Strategy, SyncDefinition, WritePolicy
from shared.entities import EntityMetadata
from shared.reconcile.columns import (
    ChangedColumn,
    before,
    differs,
    fixed,
    given,
    key_of,
    names,
    names_of,
    object_of,
    on_create_only,
    on_insert,
    on_update,
    parts_of,
    payload,
    present,
    records,
    unless_key,
    version_of,
)
from shared.reconcile.decisions import ACTION_TYPE, CONDITION, holds
from shared.reconcile.later import SecondRequest, update_of
from shared.reconcile.links.put_off import links_of, written_at_once
from shared.reconcile.links.steps import drop_order_step
from shared.reconcile.marks import drop_action, mark_parts, return_parts
from shared.reconcile.plan import PlanAction
from shared.reconcile.set_rows import SetRow
from shared.transform import TargetColumn, needs_version
from shared.workspace import NewTable, Step, Table, literal, quoted

__all__ = ["change_steps", "link_reversing_steps", "reversing_steps"]

_TABLE = Step.creating(
    "Create the table of the changes",
    NewTable(
        name=Table.CHANGES,
        columns=f"""(
  _change BIGINT, action {ACTION_TYPE}, _row BIGINT, _id UUID, key VARCHAR, payload VARCHAR, on_create VARCHAR,
  later VARCHAR, links VARCHAR, columns VARCHAR, before VARCHAR, version VARCHAR)""",
    ),
)
_NOTHING = "'{}'"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """One kind of change: the sides that its rows come from, and SQL texts for the fields of `changes`.

    Attributes:
        ledger: SQL of the join with the ledger; empty where the change does not look at it.
        on_create: What is added to the payload if the record turns out to be new.
        version: The version that the record must still have.
        values: SQL items of the row `desired` where the change makes it itself; `sides` and `ledger` are read by them.
        order: The table that says what is written first; None for the order of the rows.
        backwards: The last row is written first.
    """

    action: PlanAction
    sides: tuple[Table, ...]
    id: str
    key: str
    payload: str = _NOTHING
    on_create: str = "''"
    later: str = "''"
    links: str = "''"
    columns: str = "''"
    before: str = _NOTHING
    version: str = "NULL"
    ledger: str = ""
    origin: str = ""
    values: tuple[str, ...] = ()
    order: Table | None = None
    backwards: bool = False

    def step(self) -> Step:
        """Append these changes behind those that are written earlier."""
        return Step(
            title=f"Write down what to {self.action}",
            sql=f"""
INSERT INTO changes
WITH numbered AS (
  SELECT (SELECT count(*) FROM changes) + row_number() OVER (ORDER BY {self._order}, _id) AS _change,
    action, _row, _id
  FROM decisions{self._joined} WHERE action = {literal(self.action)})
SELECT numbered._change, numbered.action, numbered._row,
  {self.id} AS _id,
  {self.key} AS key,
  {self.payload} AS payload,
  {self.on_create} AS on_create,
  coalesce({self.later}, '') AS later,
  coalesce({self.links}, '') AS links,
  {self.columns} AS columns,
  {self.before} AS before,
  coalesce({self.version}, '') AS version
FROM numbered {self._read}""".strip(),
            origin=self.origin,
            needs=frozenset({Table.CHANGES, Table.DECISIONS, *self.sides, *([Table.LEDGER] if self.ledger else [])}),
            decision=self.action,
        )

    @property
    def _read(self) -> str:
        """The joins of what the texts name."""
        joins = f"{' '.join(_SIDES[side] for side in self.sides)} {self.ledger}"
        if not self.values:
            return joins
        row = (
            f"SELECT numbered._id, {', '.join(self.values)} FROM decisions AS numbered {joins} "
            f"WHERE numbered.action = {literal(self.action)}"
        )
        return f"{_SIDES[Table.CURRENT]} JOIN ({row}) AS desired ON desired._id = numbered._id"

    @property
    def _order(self) -> str:
        row = "_row DESC" if self.backwards else "_row"
        return f"coalesce(generation, 0), {row}" if self.order else row

    @property
    def _joined(self) -> str:
        match self.order:
            case None:
                return ""
            case Table.DROP_ORDER:
                return " LEFT JOIN drop_order USING (_id)"
            case table:
                return f" LEFT JOIN {table} USING (_row)"


_SIDES = {
    Table.DESIRED: "JOIN desired ON desired._row = numbered._row",
    Table.CURRENT: "JOIN current AS target ON target._id = numbered._id",
    Table.NEW_RECORDS: "LEFT JOIN new_records ON new_records._row = numbered._row",
    Table.SOURCE: "JOIN source ON source._row = numbered._row",
}


def change_steps(
    definition: SyncDefinition, layout: Sequence[TargetColumn], *, started: datetime, with_before: bool = True
) -> tuple[Step, ...]:
    """Turn `decisions` into `changes`: inserts, then updates, then records that are back, then what is dropped."""
    if definition.sync_behaviour.strategy is Strategy.FULL:
        changes = _compared(definition, layout, started)
    else:
        changes = _addressed(definition, layout)
    if not with_before:
        changes = [replace(change, before=_NOTHING) for change in changes]
    order = drop_order_step(layout) if definition.sync_behaviour.strategy is Strategy.FULL else ()
    return (_TABLE, *order, *(change.step() for change in changes))


def reversing_steps(layout: Sequence[TargetColumn], entity: EntityMetadata) -> tuple[Step, ...]:
    """Turn `decisions` into `changes` that undo a run: each only while the record has the version that was compared.

    Args:
        layout: The target columns, with the id of the record as one that a create gives it.
        entity: The table. Where its versions are not compared, a change is made whatever the record is by then.
    """
    id_column, guard = entity.primary_id, "target._version" if entity.optimistic_concurrency else "NULL"
    update = update_of(layout, id_column)
    set_back = _Change(
        action=PlanAction.UPDATE,
        sides=(Table.DESIRED, Table.CURRENT),
        id="numbered._id",
        key=_NOTHING,
        payload=update.payload,
        later=update.later,
        columns=update.names,
        before=update.before,
        version=guard,
        backwards=True,  # what the run could write one after the other can be set back in this order
    )
    changes = (
        _insert(layout, id_column),
        set_back,
        replace(_delete([c for c in layout if c.name != id_column]), version=guard),
    )
    return (_TABLE, *drop_order_step(layout), *(change.step() for change in changes), _KEYS)


_KEYS = Step(
    "Note the keys of the records",
    "UPDATE changes SET key = journal.key FROM journal WHERE journal.change = changes._row",
    needs=frozenset({Table.CHANGES, Table.JOURNAL}),
)


def link_reversing_steps(decided: str) -> tuple[Step, ...]:
    """Turn the links of `journal` into `changes` that undo a run.

    Args:
        decided: The table that says for each change which action undoes it.
    """
    note = f"""
INSERT INTO changes
SELECT row_number() OVER (ORDER BY change), decision, change, NULL, key, '{{}}', '', '', '', '', '{{}}', ''
FROM {decided} JOIN journal USING (change)""".strip()
    return (_TABLE, Step("Write down which links change", note, needs=frozenset({Table.CHANGES, Table.JOURNAL})))


def _compared(definition: SyncDefinition, layout: Sequence[TargetColumn], started: datetime) -> list[_Change]:
    """Strategy `full`: the record is at hand, so an update has only the columns that differ."""
    behaviour, id_column = definition.sync_behaviour, definition.destination.id_column
    changes = []
    if behaviour.new == "insert":
        changes.append(_insert(layout, id_column))
    if behaviour.changed != "ignore":
        changes.append(_update(definition, layout))
    if behaviour.returned != "ignore":
        changes.append(_reactivate(definition, layout))
    if marks := mark_parts(definition, layout, started=started):
        changes.append(_mark(definition, layout, marks))
    if behaviour.dropped == "delete":
        changes.append(_delete(layout))
    return changes


def _insert(layout: Sequence[TargetColumn], id_column: str) -> _Change:
    columns, later = on_insert(layout, id_column), SecondRequest(layout, id_column)
    first = later.first(present)
    own_id = any(column.name == id_column and column.writes for column in layout)
    linked = any(column.late for column in layout)
    links, linked_names = links_of(columns)
    record = f"desired.{quoted(id_column)}" if own_id else "NULL"
    return _Change(
        action=PlanAction.INSERT,
        sides=(Table.DESIRED, *([Table.NEW_RECORDS] if linked else [])),
        id=f"coalesce({record}, new_records._id)" if linked else record,
        key=key_of(layout, "desired"),
        payload=payload(columns, written_at_once(first)),
        later=later.payload,
        links=links,
        columns=_joined_names(names(columns, written_at_once(first)), later.names, linked_names),
        order=Table.GENERATIONS if linked else None,
    )


def _joined_names(first: str, *others: str) -> str:
    return f"concat_ws(',', nullif({first}, ''), {', '.join(others)})"


def _update(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> _Change:
    id_column = definition.destination.id_column
    update = update_of(layout, id_column)
    parts = parts_of(on_update(layout, id_column), differs)
    return _Change(
        action=PlanAction.UPDATE,
        sides=(Table.DESIRED, Table.CURRENT),
        id="numbered._id",
        key=key_of(layout, "desired"),
        payload=update.payload,
        later=update.later,
        columns=update.names,
        before=update.before,
        version=version_of(parts),
        ledger=records(definition) if needs_version(layout) else "",
    )


def _reactivate(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> _Change:
    """What says that the record is back, with the columns that differ as far as changed records are updated."""
    changed = definition.sync_behaviour.changed
    columns = () if changed == "ignore" else on_update(layout, definition.destination.id_column)
    parts = parts_of(columns, differs)
    if isinstance(changed, ChangedWhen):
        met = holds(definition, layout, changed.when)
        parts = tuple(replace(part, condition=f"({part.condition}) AND ({met}) IS TRUE") for part in parts)
    parts = (*return_parts(definition, layout), *parts)
    looks = isinstance(changed, ChangedWhen)
    change = _Change(
        action=PlanAction.REACTIVATE,
        sides=(Table.DESIRED, Table.CURRENT, *([Table.SOURCE] if looks else [])),
        id="numbered._id",
        key=key_of(layout, "desired"),
        payload=object_of(parts),
        columns=names_of(parts),
        before=object_of(parts, side="target"),
        version=version_of(parts),
        ledger=records(definition) if needs_version(layout) else "",
        origin=CONDITION if looks else "",
    )
    row = SetRow.of(parts, layout, definition.destination.id_column)
    if row is None:
        return change
    return replace(_by_steps(change, row), values=(*row.values, *row.keys), version=version_of(row.differing))


def _by_steps(change: _Change, row: SetRow) -> _Change:
    """The change of columns that a definition sets, where the rules for states may demand two requests."""
    update = row.update
    return replace(
        change,
        payload=update.payload,
        later=update.later,
        columns=update.names,
        before=update.before,
        values=row.values,
    )


def _mark(definition: SyncDefinition, layout: Sequence[TargetColumn], parts: Sequence[ChangedColumn]) -> _Change:
    row = SetRow.of(parts, layout, definition.destination.id_column)
    change = _Change(
        action=drop_action(definition),
        sides=(Table.CURRENT,),
        id="numbered._id",
        key=key_of(layout, "target"),
        payload=object_of(parts),
        columns=names_of(parts),
        before=object_of(parts, side="target"),
    )
    return change if row is None else _by_steps(change, row)


def _delete(layout: Sequence[TargetColumn]) -> _Change:
    return _Change(
        action=PlanAction.DELETE,
        sides=(Table.CURRENT,),
        id="numbered._id",
        key=key_of(layout, "target"),
        before=before(layout, _held),
        order=Table.DROP_ORDER if any(column.late for column in layout) else None,
    )


def _held(column: TargetColumn) -> str:
    return f"target.{quoted(column.name)} IS NOT NULL"


def _addressed(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> list[_Change]:
    """Strategies `delta` and `upsert`: all columns, addressed by the id where the row has one, else by the key."""
    behaviour, id_column = definition.sync_behaviour, definition.destination.id_column
    inserts, writes, upserts = _insert(layout, id_column), _blind(layout, id_column), _upsert(layout, id_column)
    if behaviour.strategy is Strategy.UPSERT:
        return [upserts]
    if behaviour.action_column is None:
        return [inserts]
    return [
        inserts,
        writes,
        upserts,
        replace(writes, action=PlanAction.DELETE, payload=_NOTHING, later="''", columns="''"),
    ]


def _blind(layout: Sequence[TargetColumn], id_column: str) -> _Change:
    """A change of a record that was not read."""
    mapped = any(column.name == id_column for column in layout)
    record = f"desired.{quoted(id_column)}" if mapped else "NULL"
    columns, later = on_update(layout, id_column), SecondRequest(layout, id_column, is_there=True)
    condition = later.first(unless_key(f"{record} IS NOT NULL"))
    return _Change(
        action=PlanAction.UPDATE,
        sides=(Table.DESIRED,),
        id=record,
        key=key_of(layout, "desired"),
        payload=payload(columns, condition),
        later=later.payload,
        columns=_joined_names(names(columns, condition), later.names),
    )


def _upsert(layout: Sequence[TargetColumn], id_column: str) -> _Change:
    """A change of a record that may be new.

    Columns that only a create may set are sent as well: for an existing record the service ignores them
    without an error (Microsoft: entity attribute metadata, `IsValidForUpdate`). What only an update may set follows.
    Columns with `write: on_insert` are added where the record is new; the writer looks for it first.
    """
    settable = [column for column in layout if column.write is not WritePolicy.ON_INSERT]
    change, later = _blind(layout, id_column), SecondRequest(settable, id_column)
    once = [column for column in on_create_only(layout, id_column) if column.key_part is None]
    columns = (*on_update(layout, id_column), *fixed(layout, id_column))
    mapped = unless_key(f"{change.id} IS NOT NULL")

    def condition(column: TargetColumn) -> str:
        return mapped(column) if column.attribute.updatable else given(column)

    first = written_at_once(later.first(condition))
    added = written_at_once(present)
    links, linked_names = links_of(on_insert(layout, id_column))
    return replace(
        change,
        action=PlanAction.UPSERT,
        payload=payload(columns, first),
        on_create=payload(once, added, others=later.closing_with(once)) if once else "''",
        later=later.payload,
        links=links,
        columns=_joined_names(names(columns, first), f"nullif({names(once, added)}, '')", later.names, linked_names),
        order=Table.GENERATIONS if any(column.late for column in layout) else None,
    )
