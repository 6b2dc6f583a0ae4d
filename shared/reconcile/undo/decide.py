"""What an undo does to each record of a journal: a decision for each, and from it `desired`, `decisions` and `parents`.

Only what nobody has changed since the run is undone. For an update this is decided for each value; for a new record it
is decided for the whole record, because a delete would also remove what others have added. Values that are already as
before the run are not written, so an interrupted undo can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.entities import EntityMetadata
from shared.reconcile.links.put_off import DEFERRED
from shared.reconcile.plan import PlanAction
from shared.reconcile.undo.records import UNDO_RECORDS, has, was, wrote
from shared.transform import TargetColumn
from shared.transform.lookups.columns import link_name
from shared.transform.metadata_columns import CHANGED_BY, CHANGED_FOR, CHANGED_ON
from shared.transform.service_values import record_id
from shared.workspace import NewTable, Step, Table, literal, quoted

__all__ = ["UNDO_DECISIONS", "Reversal", "UndoDecision", "link_decisions"]

UNDO_DECISIONS: Final = "undo_decisions"
_DELETE: Final = literal(PlanAction.DELETE)
_INSERT: Final = literal(PlanAction.INSERT)
_OfColumn = Callable[[TargetColumn], str]


class UndoDecision(StrEnum):
    """What an undo does to a record."""

    INSERT = "insert"
    """It is created again with its id."""
    UPDATE = "update"
    """Values are set back."""
    DELETE = "delete"
    """It is deleted, because the run created it."""
    UNCHANGED = "unchanged"
    """It is already as it was before the run."""
    EDITED = "edited"
    """It was changed since the run, and is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """How the changes of one run are undone.

    Attributes:
        entity: The table.
        layout: The columns that the run wrote, or that deleted records held.
        users: The ids of the application users, in lower case: what they changed last, nobody else has changed since.
        on_behalf: They write on behalf of another user.
        ended: When the writes of the run ended, by the clock of the service; None where its process died.
        force: Whether what others have changed since is set back as well.
    """

    entity: EntityMetadata
    layout: Sequence[TargetColumn]
    users: Collection[str]
    ended: datetime | None
    on_behalf: bool = False
    force: bool = False

    def steps(self) -> Iterator[Step]:
        """The steps from `undo_records` and `current` to the tables that the steps of changes need."""
        yield Step.creating(
            "Decide what is undone",
            NewTable(name=UNDO_DECISIONS, query=self._undo_decisions()),
            needs=frozenset({UNDO_RECORDS, Table.CURRENT}),
        )
        yield Step.creating(
            "Set values back",
            NewTable(name=Table.DESIRED, query=self._desired()),
            needs=frozenset({UNDO_DECISIONS, UNDO_RECORDS, Table.CURRENT}),
        )
        acts = ", ".join(map(literal, (UndoDecision.INSERT, UndoDecision.UPDATE, UndoDecision.DELETE)))
        yield Step.creating(
            "Note the decisions",
            NewTable(
                name=Table.DECISIONS,
                query=f"SELECT decision AS action, change AS _row, CASE WHEN decision <> {_INSERT} THEN id END AS _id\n"
                f"FROM {UNDO_DECISIONS} WHERE decision IN ({acts})",
            ),
            needs=frozenset({UNDO_DECISIONS}),
        )
        if any(column.late for column in self.layout):
            yield from self._links()

    def still_ours(self) -> str:
        """SQL condition over `opened`, a record after the undo has changed it: nobody else has changed it since."""
        changed_by = CHANGED_FOR if self.on_behalf else CHANGED_BY
        if changed_by not in self.entity.attributes or not self.users:
            return "true"
        listed = ", ".join(f"{literal(user)}::UUID" for user in sorted(self.users))
        return f"(opened.{quoted(changed_by)} IN ({listed})) IS TRUE"

    def _undo_decisions(self) -> str:
        written = [column for column in self.layout if column.writes]
        edited = "[]::VARCHAR[]"
        if not self.force:
            edited = self._listed(written, lambda c: f"{_differs(c, was)} AND {_differs(c, wrote)}")
        other = self._listed(written, lambda c: _differs(c, was))
        settable = other
        if not self.force:
            settable = self._listed(written, lambda c: f"{_differs(c, was)} AND NOT ({_differs(c, wrote)})")
        ours = "true" if self.force else self._ours()
        return f"""
WITH compared AS (
  SELECT records.change, records.id, records.action, target._id IS NOT NULL AS there, {ours} AS ours,
    {edited} AS edited,
    {other} AS other,
    {settable} AS settable
  FROM {UNDO_RECORDS} AS records LEFT JOIN current AS target ON target._id = records.id)
SELECT change, id, action, there,
  CASE WHEN action = {_INSERT} OR NOT there THEN [] WHEN action <> {_DELETE} THEN edited WHEN ours THEN []
    ELSE other END AS edited,
  CASE
    WHEN action = {_INSERT} THEN CASE WHEN NOT there THEN 'unchanged' WHEN ours THEN 'delete' ELSE 'edited' END
    WHEN action = {_DELETE} THEN CASE WHEN NOT there THEN 'insert' WHEN len(other) = 0 THEN 'unchanged'
      WHEN ours THEN 'update' ELSE 'edited' END
    WHEN NOT there THEN 'edited'
    WHEN len(settable) > 0 THEN 'update'
    WHEN len(edited) > 0 THEN 'edited'
    ELSE 'unchanged'
  END AS decision
FROM compared""".strip()

    def _listed(self, columns: Sequence[TargetColumn], condition: _OfColumn) -> str:
        """SQL of the list of those columns that the record has, and that meet a condition."""
        items = [f"CASE WHEN {has(c)} AND {condition(c)} THEN {literal(c.name)} END" for c in columns]
        return f"list_filter([{', '.join(items)}]::VARCHAR[], lambda name: name IS NOT NULL)"

    def _ours(self) -> str:
        """SQL condition: nobody else has changed the record since the run.

        The service keeps whole seconds: a change within the last second of the run may be one after it.
        """
        conditions = []
        changed_by = CHANGED_FOR if self.on_behalf else CHANGED_BY
        if changed_by in self.entity.attributes and self.users:
            listed = ", ".join(f"{literal(user)}::UUID" for user in sorted(self.users))
            conditions.append(f"target.{quoted(changed_by)} IN ({listed})")
        if CHANGED_ON in self.entity.attributes and self.ended is not None:
            end = literal(self.ended.strftime("%Y-%m-%d %H:%M:%S"))
            conditions.append(f"target.{quoted(CHANGED_ON)} < TIMESTAMP {end}")
        return f"(({' OR '.join(conditions)}) IS TRUE)" if conditions else "false"

    def _desired(self) -> str:
        identity = quoted(self.entity.primary_id)
        values = "".join(f",\n  {self._value(column)} AS {quoted(column.name)}" for column in self.layout)
        links = "".join(f",\n  {_deferred(column)} AS {quoted(link_name(column.name))}" for column in self._late)
        return f"""
SELECT decided.change AS _row, decided.id AS {identity}{values}{links}
FROM {UNDO_DECISIONS} AS decided JOIN {UNDO_RECORDS} AS records ON records.change = decided.change
LEFT JOIN current AS target ON target._id = decided.id
WHERE decided.decision IN ('insert', 'update')""".strip()

    def _value(self, column: TargetColumn) -> str:
        held = f"target.{quoted(column.name)}"
        same = "true" if self.force else f"{held} IS NOT DISTINCT FROM {wrote(column)}"
        kept = "" if column.attribute.clearable else f" AND {was(column)} IS NOT NULL"
        back = f"{has(column)} AND (decided.action = {_DELETE} OR {same}){kept}"
        return f"CASE WHEN decided.decision = 'insert' OR ({back}) THEN {was(column)} ELSE {held} END"

    @property
    def _late(self) -> list[TargetColumn]:
        return [column for column in self.layout if column.late]

    def _links(self) -> Iterator[Step]:
        """References between records that are created again are written when all of them exist."""
        yield Step.creating(
            "Note the ids of records that are created again",
            NewTable(
                name=Table.NEW_RECORDS,
                query=f"SELECT change AS _row, id AS _id FROM {UNDO_DECISIONS} WHERE decision = 'insert'",
            ),
            needs=frozenset({UNDO_DECISIONS}),
        )
        yield Step.creating(
            "Let all of them be created at once",
            NewTable(name=Table.GENERATIONS, columns="(_row BIGINT, generation INTEGER)"),
        )
        refers = "\n  UNION ALL\n".join(
            f"  SELECT desired._row, {literal(column.name)} AS name, parents.change AS parent FROM desired\n"
            f"  JOIN {UNDO_DECISIONS} AS parents ON parents.decision = 'insert'\n"
            f"    AND parents.id = {record_id(column.attribute, f'desired.{quoted(column.name)}')}\n"
            f"  WHERE desired.{quoted(link_name(column.name))} IS NOT NULL"
            for column in self._late
        )
        yield Step.creating(
            "Note which of them refer to each other",
            NewTable(name=Table.PARENTS, query=f"SELECT *, true AS deferred FROM (\n{refers})"),
            needs=frozenset({Table.DESIRED, UNDO_DECISIONS}),
        )


def _differs(column: TargetColumn, value: _OfColumn) -> str:
    return f"target.{quoted(column.name)} IS DISTINCT FROM {value(column)}"


def _deferred(column: TargetColumn) -> str:
    """SQL of what says that a reference is written when all records exist."""
    again = f"SELECT id FROM {UNDO_DECISIONS} WHERE decision = 'insert'"
    record = record_id(column.attribute, was(column))
    return f"CASE WHEN decided.decision = 'insert' AND {record} IN ({again}) THEN {DEFERRED} END"


def link_decisions() -> tuple[Step, ...]:
    """The steps for a journal of links: each is made or removed, whether it is there or not."""
    decided = f"""
SELECT change, id, action, true AS there, []::VARCHAR[] AS edited,
  CASE WHEN action = {_INSERT} THEN 'delete' ELSE 'insert' END AS decision
FROM journal""".strip()
    return (
        Step.creating(
            "Decide what undoes each link",
            NewTable(name=UNDO_DECISIONS, query=decided),
            needs=frozenset({Table.JOURNAL}),
        ),
    )
