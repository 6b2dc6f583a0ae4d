"""Records below those that an undo is about to delete: Dataverse would delete them too.

A relationship of a table with itself may cascade deletes (Microsoft: "Configure table relationship cascading
behavior"). What others, or later runs, have put below a record that the run created is not the undo's to delete. So
the service is asked before the deletes are sent, when everything else has been set back.
"""

from __future__ import annotations

from typing import Final

from shared.dataverse import Dataverse
from shared.dataverse.read.referring import referring
from shared.entities import EntityMetadata
from shared.reconcile.links.dependencies import NOT_SETTLED
from shared.reconcile.outcomes import Result
from shared.reconcile.plan import PlanAction
from shared.workspace import Workspace, literal

__all__ = ["keep_records_above"]

_DELETES: Final = f"action = {literal(PlanAction.DELETE)} AND _id IS NOT NULL AND {NOT_SETTLED}"
_MESSAGE: Final = (
    "records that the undo does not delete are below this one, and Dataverse would delete them with it; give them "
    "another parent and undo the run again"
)
_KEEP: Final = f"""
INSERT INTO outcomes (_change, result, message)
SELECT _change, {literal(Result.EDITED)}, {literal(_MESSAGE)} FROM changes
WHERE {_DELETES} AND list_contains($1::UUID[], _id)""".strip()


def keep_records_above(workspace: Workspace, dataverse: Dataverse, entity: EntityMetadata) -> None:
    """Give the deletes an outcome below whose records others stay; they count as edited since.

    Raises:
        AbortRun: No privilege, no such table.
        RetryLater: The service is unavailable.
    """
    columns = [each.name for each in entity.attributes.values() if entity.logical_name in each.deleted_with]
    deleted = {str(record) for (record,) in workspace.query(f"SELECT _id FROM changes WHERE {_DELETES}")}
    if not columns or not deleted:
        return
    kept: set[str] = set()
    parents: dict[str, set[str]] = {}  # of records that are deleted too
    for column in columns:
        for child, parent in referring(dataverse.service, entity, column, sorted(deleted)):
            if child in deleted:
                parents.setdefault(child, set()).add(parent)
            else:
                kept.add(parent)
    waiting = [*kept]
    while waiting:  # what is above a record that is kept is kept too
        above = parents.get(waiting.pop(), set()) - kept
        kept |= above
        waiting += above
    if kept:
        workspace.execute(_KEEP, [sorted(kept)])
