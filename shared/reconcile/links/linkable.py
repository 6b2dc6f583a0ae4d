"""The records that a lookup in the synced table searches: as the run leaves them. Pure SQL.

They are the records that rows make or have, with the values that these rows give them, and the records that no row has.
A filter of the lookup applies to the values after the run; see `shared.transform.lookups.conditions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from shared.definitions.models import ChangedWhen, Strategy, SyncDefinition, WritePolicy
from shared.entities import AttributeType, EntityMetadata
from shared.reconcile.columns import differs, present, sent
from shared.reconcile.decisions import holds, looks_at_source
from shared.reconcile.marks import is_reactivated
from shared.state_rules import OPEN
from shared.transform import MarkColumn, TargetColumn, action_of, dropped_mark, returned_mark
from shared.transform.keys import normalise_key
from shared.transform.lookups.columns import Candidate, Reference
from shared.transform.lookups.conditions import condition_sql
from shared.transform.service_values import record_id
from shared.workspace import literal, quoted

__all__ = ["Linkable"]

_HELD: Final = -1  # `_place` of a record that no row has; of others it is the number of the row


class Linkable:
    """Compiles what lookups in the synced table search.

    The queries need `records`, `desired`, `current`, `leaving` and the tables of the references; with an own rule for
    changed records, an own policy of writing or an action column `source` and `ledger` too.

    Args:
        definition: The sync.
        entity: Its table.
        layout: The target columns.
        started: The start of the run: what `expire` sets.
        of_events: The rows are those of events: few, and their keys may be those that records have before they get
            new ones.
    """

    def __init__(
        self,
        definition: SyncDefinition,
        entity: EntityMetadata,
        layout: Sequence[TargetColumn],
        *,
        started: datetime,
        of_events: bool,
    ) -> None:
        self._definition = definition
        self._behaviour = definition.sync_behaviour
        self._entity = entity
        self._layout = {column.name: column for column in layout}
        self._of_events = of_events
        self._full = self._behaviour.strategy is Strategy.FULL
        self._mark = {each.column.name: each for each in dropped_mark(definition, layout, started=started)}
        self._return = {each.column.name: each for each in returned_mark(definition, layout)} if self._full else {}
        self._is_reactivated = is_reactivated(definition, layout) if self._return else ""

    def query(self, reference: Reference) -> str:
        """The records of a reference: `_id`, `_created`, `_place`, and its match columns in comparable form."""
        keys = [f"_k{column.key_part}" for column in reference.columns]
        listed = ", ".join(f"held.{key}" for key in keys)
        held = f"SELECT held._id, held._created, {_HELD} AS _place, {listed}\nFROM {reference.name} AS held"
        after = [self._comparable(column) for column in reference.columns]
        if None in after:  # the source does not set what is searched: new records cannot be found by it
            return f"{held} ANTI JOIN leaving USING (_id)" if self._deletes else held
        values = ", ".join(f"{value} AS {key}" for value, key in zip(after, keys, strict=True))
        rows = self._rows(reference, values)
        if not self._full:
            return f"{held}\nUNION ALL\n{rows}"
        if reference.filter:
            return f"{rows}\nUNION ALL\n{self._left(reference, keys)}\nUNION ALL\n{held} ANTI JOIN current USING (_id)"
        others = f"{'ANTI JOIN leaving USING (_id) ' if self._deletes else ''}ANTI JOIN records USING (_id)"
        if not self._of_events:  # first by their ids alone: they are few, and the match columns of all are not folded
            others = f"SEMI JOIN (SELECT _id FROM {reference.name} {others}) AS others USING (_id)"
        return f"{rows}\nUNION ALL\n{held} {others}"

    def searched(self, candidate: Candidate, table: str) -> str:
        """What one entry of a lookup searches in the records of its reference.

        Where the target is not read, a row may be about a record that the service has: then that one is found.

        Args:
            candidate: The entry.
            table: The table that `query` made.
        """
        if self._full:
            return table
        keys = [candidate.reference.key_of(value.column) for value in candidate.values]
        same = " AND ".join(f"held.{key} = found.{key}" for key in keys)
        known = f"SELECT 1 FROM {table} AS held WHERE held._place = {_HELD} AND {same}"
        return f"(SELECT * FROM {table} AS found WHERE found._place = {_HELD} OR NOT EXISTS ({known}))"

    @property
    def looks_at_actions(self) -> bool:
        """Whether the rows say in a column of the source which of them make records."""
        return not self._full and self._behaviour.action_column is not None

    @property
    def _deletes(self) -> bool:
        return self._full and self._behaviour.dropped == "delete"

    # -- Records that have a row -----------------------------------------------------------------------------------

    def _rows(self, reference: Reference, values: str) -> str:
        conditions = ["NOT records.is_new"] if self._full and self._behaviour.new == "ignore" else []
        if reference.filter and self._full:
            conditions.append(self._passes(reference.filter, self._after_of))
        if self.looks_at_actions:  # other rows make no record, and records are found by what they had before the run
            action = action_of(f"source.{quoted(self._behaviour.action_column or '')}")
            conditions.append(f"{action} IN ({literal('INSERT')}, {literal('UPSERT')})")
        where = f"\nWHERE {' AND '.join(conditions)}" if conditions else ""
        return f"""
SELECT records._id, records._created, records._row AS _place, {values}
FROM records JOIN desired ON desired._row = records._row{self._joins(values + where)}{where}""".strip()

    def _joins(self, sql: str) -> str:
        """The joins for the tables that an SQL text names, of those that the run has.

        A checked condition has them in quotes.
        """
        joins = {"target": "current AS target ON target._id = records._id"}
        if self._definition.keeps_ledger:
            joins["ledger"] = "ledger ON ledger._id = records._id"
        if self.looks_at_actions or looks_at_source(self._definition):
            joins["source"] = "source ON source._row = records._row"
        return "".join(f" LEFT JOIN {join}" for name, join in joins.items() if re.search(rf'\b{name}"?\.', sql))

    def _comparable(self, column: TargetColumn) -> str | None:
        """SQL of a match column as the run leaves it, in comparable form; None if that is not known."""
        if column.name == self._entity.primary_id:
            return "records._id"
        own = self._layout.get(column.name)
        if own is None or own.late or own.attribute.polymorphic or not (own.writes or self._full):
            return None
        if own.key_part and not self._of_events:  # the row's record has the same key, or is new
            return f"desired._k{own.key_part}"
        return normalise_key(column.attribute, self._after(own), self._behaviour.key_match)

    def _after_of(self, name: str) -> str:
        return "records._id" if name == self._entity.primary_id else self._after(self._layout[name])

    def _after(self, own: TargetColumn) -> str:
        """SQL of what the record of a row holds in a column after the run."""
        name, default = quoted(own.name), _default(self._entity, own)
        if not own.writes:
            return f"CASE WHEN records.is_new THEN {default} ELSE {self._returned(own.name)} END"
        changed = self._changes(own)
        if changed is None and default == "NULL":
            return f"CASE WHEN {sent(own)} THEN desired.{name} ELSE target.{name} END"
        made = f"CASE WHEN {present(own)} THEN desired.{name} ELSE {default} END"
        kept = f"CASE WHEN {changed or sent(own)} THEN desired.{name} ELSE target.{name} END"
        return f"CASE WHEN records.is_new THEN {made} ELSE {kept} END"

    def _changes(self, own: TargetColumn) -> str | None:
        """SQL condition: an existing record gets the value of its row; None where it gets whatever is sent."""
        changed = self._behaviour.changed
        if changed == "ignore" or not own.attribute.updatable:
            return "false"
        conditions = []
        if own.write is not WritePolicy.ALWAYS or own.follows is not None:
            conditions.append(differs(own))
        if isinstance(changed, ChangedWhen):
            conditions += [sent(own), f"({holds(self._definition, [*self._layout.values()], changed.when)})"]
        return " AND ".join(f"({each})" for each in conditions) or None

    def _returned(self, name: str) -> str:
        """SQL of what the record of a row holds in a column that no mapping fills: it may get its mark taken away."""
        held, value = f"target.{quoted(name)}", self._given(name, self._return)
        return held if value is None else f"CASE WHEN {self._is_reactivated} THEN {value} ELSE {held} END"

    def _given(self, name: str, mark: Mapping[str, MarkColumn]) -> str | None:
        """SQL of the value that a mark gives to a column; None where it gives none."""
        if name in mark:
            return mark[name].value
        state = next((each for each in mark.values() if each.column.attribute.type is AttributeType.STATE), None)
        if state is None or self._layout[name].attribute.type is not AttributeType.STATUS:
            return None
        return _default_status(self._entity, state)

    # -- Records that no row has -----------------------------------------------------------------------------------

    def _left(self, reference: Reference, keys: Sequence[str]) -> str:
        """The records of `current` that no row has, under the filter: as they are, or with their mark."""
        values = ", ".join(
            f"{self._held_key(column)} AS {key}" for column, key in zip(reference.columns, keys, strict=True)
        )
        condition = self._passes(reference.filter or "", self._left_of)
        leaving = "ANTI JOIN leaving USING (_id)" if self._deletes else "LEFT JOIN leaving ON leaving._id = target._id"
        return f"""
SELECT target._id, target._created, {_HELD}, {values}
FROM current AS target ANTI JOIN records USING (_id) {leaving}
WHERE {condition}""".strip()

    def _held_key(self, column: TargetColumn) -> str:
        if column.name == self._entity.primary_id:
            return "target._id"
        return normalise_key(column.attribute, self._left_of(column.name), self._behaviour.key_match)

    def _left_of(self, name: str) -> str:
        """SQL of what a record of `current` without a row holds after the run."""
        if name == self._entity.primary_id:
            return "target._id"
        held, value = f"target.{quoted(name)}", self._given(name, self._mark)
        return held if value is None else f"CASE WHEN {self._gets_mark()} THEN {value} ELSE {held} END"

    def _gets_mark(self) -> str:
        """SQL condition: the record is marked in this run."""
        conditions = ["leaving._id IS NOT NULL"]
        conditions.append(f"NOT ({' AND '.join(each.held for each in self._mark.values())})")
        conditions += [f"NOT {each.unfit}" for each in self._mark.values() if each.unfit]
        return " AND ".join(conditions)

    def _passes(self, condition: str, value: Callable[[str], str]) -> str:
        """The SQL of a filter over values by name; of lookups with several tables it compares the id."""
        return condition_sql(
            condition, self._entity, lambda each: record_id(each, value(each.name)), self._behaviour.key_match
        )


def _default(entity: EntityMetadata, column: TargetColumn) -> str:
    """SQL of what a new record holds in a column that it is not given."""
    match column.attribute.type:
        case AttributeType.STATE:
            default: int | None = OPEN
        case AttributeType.STATUS:
            default = entity.default_status(OPEN)
        case _:
            default = column.attribute.default
    return "NULL" if default is None else f"CAST({default} AS {column.sql_type})"


def _default_status(entity: EntityMetadata, state: MarkColumn) -> str:
    """SQL of the status that the service sets with the state of a mark."""
    known = ((each.value, each.default_status) for each in entity.options(AttributeType.STATE))
    branches = " ".join(f"WHEN {value} THEN {status}" for value, status in known if status is not None)
    return f"CASE ({state.value}) {branches} END" if branches else "NULL"
