"""Records below those that get another owner: Dataverse gives them the new owner too, whatever their rows say.

A relationship of a table with itself may cascade assignments to all records below, to the active ones, or to those of
the same owner (Microsoft: "Configure table relationship cascading behavior"). So the service is asked which records are
below, and who owns them, before the writes and after them; who got the owner of a record above gets its own back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from shared.dataverse import Applied, Change, ChangeAction, Dataverse, Failed, Skipped, WriteLimits
from shared.dataverse.read.referring import referring
from shared.definitions import Strategy
from shared.entities import EntityMetadata
from shared.jobs.outcomes import failed_count, skip_reason
from shared.reconcile.links.owners import (
    ADD_OWNER,
    FAIL_OWNER,
    LAST_CHANGE,
    OWNER_ORDER,
    given_owner_query,
    held_owners_step,
    own_owners_query,
    owner_column,
    received_owner_query,
    wrong_owners_query,
)
from shared.reconcile.links.steps import MOST_GENERATIONS
from shared.reconcile.outcomes import Result
from shared.transform import TargetColumn, needs_version
from shared.workspace import Table, Workspace, json_rows

__all__ = ["OwnersBelow"]

_Tree = Mapping[str, set[str]]  # record -> the records to which it refers
_AT_ONCE: Final = 10_000  # records whose tree is asked for, level by level
_ORDER: Final = (
    f"INSERT INTO {Table.OWNER_ORDER} SELECT r.record, r.generation "
    f"FROM {json_rows({'record': 'UUID', 'generation': 'INTEGER'})}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnersBelow:
    """The owners of one write.

    Attributes:
        column: The owner.
        lookups: The columns through which a record gets the owner of another record of its table.
        rows_only: Only records whose row gives an owner keep their own; the others follow the record above.
        children_first: The changes are made only while records have the version that was compared, which the assignment
            of a record above would change.
        tree: What was below the records before the writes.
    """

    workspace: Workspace
    dataverse: Dataverse
    entity: EntityMetadata
    column: TargetColumn
    lookups: tuple[str, ...]
    rows_only: bool
    children_first: bool
    tree: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        dataverse: Dataverse,
        entity: EntityMetadata,
        layout: Sequence[TargetColumn],
        *,
        strategy: Strategy | None = None,
    ) -> OwnersBelow | None:
        """The owners of the changes of a workspace; None where an owner is not written, or not given to others.

        Other strategies than `full` compare nothing: what they send need not change an owner.

        Args:
            workspace: Has the changes.
            dataverse: The environment.
            entity: The table.
            layout: The columns.
            strategy: That of the sync; None for an undo. An undo knows no rows, so every record below keeps its owner,
                and each of its changes is made only while the record has the version that was compared.
        """
        table = entity.logical_name
        lookups = tuple(each.name for each in entity.attributes.values() if table in each.assigned_with)
        column = owner_column(layout)
        if column is None or not lookups or strategy not in {None, Strategy.FULL}:
            return None
        return cls(
            workspace=workspace,
            dataverse=dataverse,
            entity=entity,
            column=column,
            lookups=lookups,
            rows_only=strategy is not None,
            children_first=strategy is None or needs_version(layout),
        )

    def look(self) -> bool:
        """Note who owns the records below those that are about to get an owner, and order the changes of these records.

        Returns:
            Whether `owner_order` has an order.

        Raises:
            AbortRun: No privilege, no such table.
            RetryLater: The service is unavailable.
        """
        self.tree.update(self._below(given_owner_query(self.column)))
        self._read(Table.OWNERS_BEFORE, self.tree)
        heights = _heights(self.tree)
        top = max(heights.values(), default=0)
        self.workspace.drop(Table.OWNER_ORDER)
        self.workspace.create(OWNER_ORDER)
        order = [
            {"record": record, "generation": height if self.children_first else top - height}
            for record, height in heights.items()
        ]
        if order:
            self.workspace.execute(_ORDER, [json.dumps(order)])
        return bool(order)

    def settle(self, limits: WriteLimits) -> None:
        """Give records their owner again that got the owner of a record above: parents first, as this cascades too.

        Who has an owner that the run gave to nobody was assigned by others meanwhile, and is left as it is. A run that
        has stopped sends nothing more.

        Raises:
            AbortRun: Dataverse refuses all reads or writes.
            RetryLater: The service is unavailable.
        """
        if skip_reason(self.workspace):
            return
        for record, parents in self._below(received_owner_query(self.column)).items():
            self.tree.setdefault(record, set()).update(parents)
        heights = _heights(self.tree)
        owners = {owner for (owner,) in self.workspace.query(own_owners_query(self.column))}
        for height in sorted(set(heights.values()), reverse=True):
            self._settle_some([record for record, found in heights.items() if found == height], owners, limits)

    def _settle_some(self, records: Iterable[str], owners: set[str], limits: WriteLimits) -> None:
        """Settle records that are not below each other; `owners` gets what is written."""
        self._read(Table.OWNERS_AFTER, records)
        wrong = [row for row in self.workspace.query(self._wrong) if row[1] in owners]
        if not wrong:
            return
        ((last,),) = self.workspace.query(LAST_CHANGE)
        changes = {
            number: Change(
                number=number,
                action=ChangeAction.UPDATE,
                id=record,
                key=self._key(record),
                payload=payload,
                columns=self.column.name,
            )
            for number, (record, _, _, payload) in enumerate(wrong, start=last + 1)
        }
        owners.update(wanted for _, _, wanted, _ in wrong)
        left = limits.after(failed_count(self.workspace))
        for outcome in self.dataverse.write(self.entity, changes.values(), left):
            if not isinstance(outcome, Applied):
                self._fail(changes[outcome.number], outcome)

    @property
    def _wrong(self) -> str:
        return wrong_owners_query(self.column, rows_only=self.rows_only)

    def _fail(self, change: Change, outcome: Failed | Skipped) -> None:
        """Note a record that keeps the owner of a record above: with its own change, if it has one."""
        add, *others = ADD_OWNER
        self.workspace.execute(add, [change.number, change.id, change.key, self.column.name])
        for statement in others:
            self.workspace.execute(statement, [change.number])
        match outcome:
            case Failed():
                values = [Result.FAILED, outcome.status, outcome.code, outcome.message, None]
            case Skipped():
                values = [Result.SKIPPED, None, None, outcome.reason, outcome.reason]
        self.workspace.execute(FAIL_OWNER, [change.id, *values])

    def _below(self, query: str) -> dict[str, set[str]]:
        """All records below some records, each with the records to which it refers."""
        found: dict[str, set[str]] = {}
        rows = self.workspace.rows(query)
        while level := {record for (record,) in islice(rows, _AT_ONCE)}:
            while level:
                pairs = [
                    pair
                    for column in self.lookups
                    for pair in referring(self.dataverse.service, self.entity, column, sorted(level))
                ]
                level = {child for child, _ in pairs} - found.keys()
                for child, parent in pairs:
                    found.setdefault(child, set()).add(parent)
        return found

    def _read(self, table: Table, records: Iterable[str]) -> None:
        self.workspace.drop(table)
        self.workspace.run(held_owners_step(self.column, table))
        keys = [self._key(record) for record in records]
        if keys:
            self.dataverse.read(self.workspace, self.entity, [self.column], keys=keys, into=table)

    def _key(self, record: str) -> str:
        return json.dumps({self.entity.primary_id: record})


def _heights(tree: _Tree) -> dict[str, int]:
    """How many levels of records are below each record of a tree; circles end at a bound."""
    heights = {record: 0 for child, parents in tree.items() for record in (child, *parents)}
    before: dict[str, int] = {}
    while heights != before:
        before = dict(heights)
        for child, parents in tree.items():
            for parent in parents:
                heights[parent] = min(max(heights[parent], heights[child] + 1), MOST_GENERATIONS)
    return heights
