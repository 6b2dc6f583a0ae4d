"""Adopting: if the key of a new record is taken, the existing record with the key is updated instead.

Our comparison of keys is never quite the service's. Where the service holds more keys equal, a plan makes a new record
and drops the old one, though they are the same. The service refuses the create; the steps here replace the drop by an
update.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shared.dataverse import Change, ChangeAction, Dataverse
from shared.definitions import ParameterValue, Strategy, SyncDefinition, in_odata
from shared.entities import EntityMetadata
from shared.jobs.outcomes import resolve_taken, taken_keys
from shared.reconcile import adoption_steps
from shared.reconcile.outcomes import adopted_updates_query
from shared.transform import TargetColumn
from shared.workspace import Workspace

__all__ = ["Adoption"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """How one sync adopts records.

    Attributes:
        columns: The target columns.
        condition: The target's filter in OData: a record outside of it is not this sync's, and is not adopted.
        recall: Adds to `ledger` what is known of the records in `holders`; where the whole ledger is there, nothing.
        note: Called with the table `adoptions` filled, before the updates of adopted records are sent.
    """

    definition: SyncDefinition
    dataverse: Dataverse
    entity: EntityMetadata
    columns: Sequence[TargetColumn]
    condition: str | None
    recall: Callable[[], None] = lambda: None
    note: Callable[[Workspace], None] = lambda _: None

    @classmethod
    def of(
        cls,
        definition: SyncDefinition,
        dataverse: Dataverse,
        entity: EntityMetadata,
        columns: Sequence[TargetColumn],
        parameters: Mapping[str, ParameterValue],
    ) -> Adoption | None:
        """The adoption of a batch; None if the strategy does not compare, because then inserts stay inserts."""
        if definition.sync_behaviour.strategy is not Strategy.FULL:
            return None
        condition = definition.destination.filter and in_odata(definition.destination.filter, parameters, entity)
        return cls(
            definition=definition,
            dataverse=dataverse,
            entity=entity,
            columns=columns,
            condition=condition,
        )

    def decide(self, workspace: Workspace) -> list[Change]:
        """Settle the inserts whose key is taken by `outcomes`, and plan no drop of a record that has one of their keys.

        Returns:
            Updates of adopted records, each under the number of its insert: what becomes of them becomes of it. The
            other inserts are adopted or failed now.

        Raises:
            AbortRun: The records cannot be looked up.
            RetryLater: Dataverse is unavailable.
        """
        keys = taken_keys(workspace)
        self.dataverse.read_holders(workspace, self.entity, self.columns, keys, condition=self.condition)
        self.recall()
        for step in adoption_steps(self.definition, self.columns):
            workspace.run(step)
        resolve_taken(workspace)
        self.note(workspace)
        return [
            Change(
                number=n,
                action=ChangeAction.UPDATE,
                id=record,
                key=key,
                payload=payload,
                later=later,
                columns=columns,
                version=version,
            )
            for n, record, key, payload, later, columns, version in workspace.query(adopted_updates_query())
        ]
