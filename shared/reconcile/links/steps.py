"""Lookups in the table that is synced: they may refer to records that the same run creates.

The records that they search are those that the run leaves behind: the rows of the source, with the id that their record
has or will have, and the records that no row has, without those that are deleted. A new record gets its id here if
another row refers to it. Parents are created first; where rows refer to each other in a circle, the references are
written after all records exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from shared.definitions.models import Strategy, SyncDefinition
from shared.entities import EntityMetadata
from shared.reconcile.columns import records_need
from shared.reconcile.decisions import hidden, looks_at_source, protected
from shared.reconcile.links.dependencies import record_of
from shared.reconcile.links.linkable import Linkable
from shared.reconcile.links.lost import cleared, forget, lost_rows
from shared.reconcile.links.put_off import DEFERRED
from shared.transform import TargetColumn, key_columns, late_lookups
from shared.transform.lookups.columns import Candidate, LookupColumn, Reference, link_name, references
from shared.transform.lookups.creations import creation_steps, planned_id
from shared.transform.lookups.resolve import found_in_reference, link_update, rejected_anyway, report_links, unresolved
from shared.transform.service_values import record_id
from shared.workspace import NewTable, Purpose, Step, Table, literal, quoted

__all__ = ["MOST_GENERATIONS", "delete_order", "drop_order_step", "link_steps"]

MOST_GENERATIONS: Final = 20
"""Levels of new parents that are created one after the other; deeper references are written after all creates."""
# A new record has no date yet, and comes last. Several in the order of their rows, also once they exist: they are made
# in one second, or in this order.
_AGE: Final = "_created, _place"
_DESIRED: Final = frozenset({Table.DESIRED})
_UNLINKED: Final = f"SELECT _row FROM {Table.UNLINKED}"


def link_steps(
    definition: SyncDefinition,
    entity: EntityMetadata,
    layout: Sequence[TargetColumn],
    *,
    started: datetime,
    of_events: bool = False,
    lookups: Sequence[LookupColumn] | None = None,
) -> tuple[Step, ...]:
    """Return the steps that set the lookups which search the table itself.

    They need `desired`, `current` and the tables of the references; they make `records` (row -> record), `parents` (row
    -> row of a new record that it refers to), `new_records` (row -> id to create it with) and `generations`.

    Args:
        definition: The sync.
        entity: Its table.
        layout: The target columns.
        started: The start of the run: what `expire` sets.
        of_events: The rows are those of events: few, and their keys may be those that records have before they get
            new ones.
        lookups: The lookups that search the table itself, where they are known already.
    """
    lookups = late_lookups(definition, entity) if lookups is None else lookups
    if not lookups:
        return ()
    linkable = Linkable(definition, entity, layout, started=started, of_events=of_events)
    return tuple(_Links(definition, entity, layout, lookups, linkable).steps())


class _Links:
    def __init__(
        self,
        definition: SyncDefinition,
        entity: EntityMetadata,
        layout: Sequence[TargetColumn],
        lookups: Sequence[LookupColumn],
        linkable: Linkable,
    ) -> None:
        self._definition = definition
        self._entity = entity
        self._layout = {column.name: column for column in layout}
        self._keys = [f"_k{column.key_part}" for column in key_columns(layout)]
        self._lookups = lookups
        self._full = definition.sync_behaviour.strategy is Strategy.FULL
        self._linkable = linkable

    def steps(self) -> Iterator[Step]:
        origin = "destination.mappings"
        needs = frozenset({Table.DESIRED, Table.CURRENT})
        yield Step.creating(
            "Give each row its record",
            NewTable(name=Table.RECORDS, query=self._records()),
            origin,
            needs=needs,
        )
        yield Step.creating(
            "Note the records that are dropped",
            NewTable(name=Table.LEAVING, query=self._leaving()),
            needs=needs | {Table.RECORDS},
        )
        yield from self._spared()
        for reference in self._own_references():
            yield Step.creating(
                f"Collect the records of {reference.entity.logical_name} as the run leaves them",
                NewTable(
                    name=_linkable(reference),
                    query=self._linkable.query(reference),
                    is_view=self._full and self._times_searched(reference) == 1,
                ),
                origin,
                needs=needs | self._of_policies() | {Table.RECORDS, Table.LEAVING, reference.name},
            )
        tables = {_linkable(each) if self._is_own(each) else each.name for each in references(self._lookups)}
        yield Step(
            "Find the records that lookups refer to",
            link_update(self._lookups, self._found),
            origin,
            needs=_DESIRED | tables,
        )
        rejected = rejected_anyway(self._lookups)
        yield from creation_steps(self._definition, self._lookups, unless="false", rejected=rejected)
        yield Step.creating(
            "Note which rows refer to new records",
            NewTable(name=Table.PARENTS, query=self._parents()),
            origin,
            needs=_DESIRED | {Table.RECORDS},
        )
        yield from self._passed_on()
        yield from report_links(self._lookups)
        yield from self._set_aside()
        yield from self._ordered()

    def _records(self) -> str:
        same = " AND ".join(f"target.{key} = desired.{key}" for key in self._keys)
        id_column = self._definition.destination.id_column
        own = self._layout.get(id_column)
        mapped = f"desired.{quoted(id_column)}, " if own is not None and own.writes else ""
        key = {column.name: f"_k{column.key_part}" for column in key_columns(list(self._layout.values()))}
        provisional = planned_id(self._entity.logical_name, key)
        return f"""
SELECT desired._row, coalesce(target._id, {mapped}{provisional}) AS _id, target._id IS NULL AS is_new, target._created
FROM desired LEFT JOIN current AS target ON {same}""".strip()

    @property
    def _drops(self) -> bool:
        """Whether what becomes of dropped records matters: they are deleted, or a filter may see their mark."""
        dropped = self._definition.sync_behaviour.dropped
        filtered = any(each.filter for each in self._own_references())
        return self._full and (dropped == "delete" or (dropped != "ignore" and filtered))

    def _leaving(self) -> str:
        if not self._drops:
            return "SELECT _id FROM current LIMIT 0"
        return "SELECT _id FROM current ANTI JOIN (SELECT _id FROM records WHERE NOT is_new) AS kept USING (_id)"

    def _spared(self) -> Iterator[Step]:
        """What is protected from being dropped stays, and so do the records of others."""
        if not self._drops:
            return
        if self._definition.sync_behaviour.dropped_scope == "own":
            yield Step(
                "Keep the records of others",
                "DELETE FROM leaving WHERE _id NOT IN (SELECT _id FROM ledger WHERE _own)",
                "sync_behaviour.dropped_scope",
                needs=frozenset({Table.LEAVING, Table.LEDGER}),
            )
        yield Step(
            "Keep the records that are protected",
            f"DELETE FROM leaving\nWHERE {protected(self._keys)}\n  OR {hidden(self._keys)}",
            needs=frozenset({Table.LEAVING, Table.CURRENT, Table.PROTECTED, Table.SOURCE_ERRORS}),
            purpose=Purpose.REJECTED_ROWS,
        )

    # -- The records that a lookup searches ------------------------------------------------------------------------

    def _own_references(self) -> list[Reference]:
        return [each for each in references(self._lookups) if self._is_own(each)]

    def _is_own(self, reference: Reference) -> bool:
        return reference.entity.logical_name == self._entity.logical_name

    def _times_searched(self, reference: Reference) -> int:
        """How often the statement that resolves the lookups reads the records of a reference."""
        candidates = (each for lookup in self._lookups for each in lookup.candidates if each.reference == reference)
        return sum(2 if each.default else 1 for each in candidates)

    def _of_policies(self) -> frozenset[Table]:
        """The tables that rules for changed records, policies of writing and actions of rows look at."""
        looks = self._linkable.looks_at_actions or looks_at_source(self._definition)
        source = {Table.SOURCE} if looks else set()
        return records_need(self._definition) | source

    def _found(self, candidate: Candidate) -> str:
        if not self._is_own(candidate.reference):
            return found_in_reference(candidate)
        return found_in_reference(candidate, self._linkable.searched(candidate, _linkable(candidate.reference)), _AGE)

    # -- Parents ---------------------------------------------------------------------------------------------------

    def _parents(self) -> str:
        """The rows whose records may not exist yet, and what refers to them.

        Where the target is not read, a record that an earlier run has created has the id that this run gives its row.
        It is there, also if this run cannot create it again.
        """
        held = () if self._full else (each.name for each in self._own_references())
        unknown = "".join(f" AND records._id NOT IN (SELECT _id FROM {name})" for name in held)
        return "\nUNION ALL\n".join(
            f"SELECT desired._row, records._row AS parent, {literal(lookup.name)} AS name, "
            f"{literal(lookup.policy not in {'clear', 'keep'})} AS rejects, {literal(_keeps(lookup))} AS keeps, "
            "false AS deferred\n"
            f"FROM desired JOIN records ON records._id = {record_of(lookup)} WHERE records.is_new{unknown}"
            for lookup in self._lookups
        )

    def _passed_on(self) -> Iterator[Step]:
        """A reference to a new record whose row is rejected finds nothing, and may reject its own row."""
        rejected = f"SELECT _row FROM desired WHERE {unresolved(self._lookups)}"
        yield Step.creating(
            "Pass on the rejection of new parents",
            NewTable(name=Table.UNLINKED, query=f"{lost_rows(rejected, 'parents.rejects')}\nFROM lost"),
            needs=_DESIRED | {Table.PARENTS},
        )
        for lookup in self._lookups:
            yield Step(
                "Clear references to rejected rows",
                cleared(lookup.name, _UNLINKED),
                needs=_DESIRED | {Table.PARENTS, Table.UNLINKED},
            )

    def _set_aside(self) -> Iterator[Step]:
        rejected = unresolved(self._lookups)
        if self._definition.sync_behaviour.dropped != "ignore":
            keys = ", ".join(self._keys)
            yield Step(
                "Protect the records of rejected rows",
                f"INSERT INTO protected SELECT DISTINCT {keys} FROM desired WHERE {rejected}",
                "sync_behaviour.dropped",
                needs=_DESIRED | {Table.PROTECTED},
                purpose=Purpose.REJECTED_ROWS,
            )
        yield Step("Set rejected rows aside", f"DELETE FROM desired WHERE {rejected}", needs=_DESIRED)
        yield Step(
            "Forget references of and to rejected rows",
            forget(_UNLINKED),
            needs=_DESIRED | {Table.PARENTS, Table.UNLINKED},
        )

    def _ordered(self) -> Iterator[Step]:
        generations = f"""
WITH RECURSIVE depth(_row, generation) AS (
  SELECT DISTINCT parent, 0 FROM parents WHERE parent NOT IN (SELECT _row FROM parents)
  UNION
  SELECT parents._row, depth.generation + 1 FROM depth JOIN parents ON parents.parent = depth._row
  WHERE depth.generation < {MOST_GENERATIONS}),
last(_row) AS (
  SELECT _row FROM parents WHERE _row NOT IN (SELECT _row FROM depth WHERE generation < {MOST_GENERATIONS})
  UNION
  SELECT _row FROM depth WHERE generation = {MOST_GENERATIONS}
  UNION
  SELECT parents._row FROM last JOIN parents ON parents.parent = last._row)
SELECT _row, CAST(max(generation) AS INTEGER) AS generation
FROM (FROM depth UNION ALL SELECT _row, {MOST_GENERATIONS} FROM last) GROUP BY _row""".strip()
        yield Step.creating(
            "Order new records: parents first",
            NewTable(name=Table.GENERATIONS, query=generations),
            needs=frozenset({Table.PARENTS}),
        )
        last = f"SELECT _row FROM generations WHERE generation >= {MOST_GENERATIONS}"
        yield Step(
            "Note the references that close a circle",
            f"""
UPDATE parents SET deferred = true
WHERE _row IN ({last}) AND parent IN ({last})
  AND _row IN (SELECT _row FROM records WHERE is_new)""".strip(),
            needs=frozenset({Table.PARENTS, Table.GENERATIONS, Table.RECORDS}),
        )
        for lookup in self._lookups:
            yield Step(
                "Put off the references that close a circle",
                f"UPDATE desired SET {quoted(link_name(lookup.name))} = {DEFERRED} WHERE _row IN "
                f"(SELECT _row FROM parents WHERE deferred AND name = {literal(lookup.name)})",
                needs=_DESIRED | {Table.PARENTS},
            )
        yield Step.creating(
            "Give new parents their ids",
            NewTable(
                name=Table.NEW_RECORDS,
                query="SELECT _row, _id FROM records WHERE is_new AND _row IN (SELECT parent FROM parents)",
            ),
            needs=frozenset({Table.RECORDS, Table.PARENTS}),
        )


def _keeps(lookup: LookupColumn) -> bool:
    """Whether the column keeps its value if no record is found and the row is written."""
    return lookup.policy == "keep" or not lookup.attribute.clearable


def _linkable(reference: Reference) -> str:
    return f"linkable_{reference.name}"


def drop_order_step(layout: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """The step that orders deletes: a record goes before the one that it refers to; empty if that cannot be.

    A relationship that restricts the delete of a parent would refuse it while a child is there.
    """
    columns = [column for column in layout if column.late]
    if not columns:
        return ()
    query = _children_first(columns, "SELECT _id FROM decisions WHERE action = 'delete'", Table.CURRENT)
    return (
        Step.creating(
            "Order deletes: children first",
            NewTable(name=Table.DROP_ORDER, query=query),
            needs=frozenset({Table.DECISIONS, Table.CURRENT}),
        ),
    )


def delete_order(columns: Sequence[TargetColumn]) -> NewTable:
    """The table that orders deletes of records which were read when they were about to be deleted: `holders`.

    Args:
        columns: The columns that refer to records of the same table.
    """
    order = _children_first(columns, "SELECT _id FROM holders", Table.HOLDERS)
    query = (
        f"SELECT _seq AS _change, max(generation) AS generation\nFROM holders JOIN ({order}) USING (_id) GROUP BY _seq"
    )
    return NewTable(name=Table.DELETE_ORDER, query=query)


def _children_first(columns: Sequence[TargetColumn], dropped: str, held: Table) -> str:
    """SQL of the records that refer to each other: `_id` and `generation`, the lowest first.

    Args:
        columns: The columns that refer to records of the same table.
        dropped: SQL of the ids of the records that are deleted.
        held: The table that has their values.
    """
    edges = "\n  UNION ALL\n".join(
        f"  SELECT _id, {record_id(column.attribute, quoted(column.name))} AS parent FROM {held}" for column in columns
    )
    return f"""
WITH RECURSIVE dropped AS ({dropped}),
edges AS (SELECT _id, parent FROM ({edges}) WHERE parent IN (FROM dropped) AND _id IN (FROM dropped) AND _id <> parent),
depth(_id, generation) AS (
  SELECT DISTINCT parent, 0 FROM edges WHERE parent NOT IN (SELECT _id FROM edges)
  UNION
  SELECT edges._id, depth.generation + 1 FROM depth JOIN edges ON edges.parent = depth._id
  WHERE depth.generation < {MOST_GENERATIONS})
SELECT _id, CAST({MOST_GENERATIONS} - max(generation) AS INTEGER) AS generation FROM depth GROUP BY _id""".strip()
