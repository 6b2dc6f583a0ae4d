"""New records that cannot get the key of their row: no run would find them by it, and each would make more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.definitions.models import SyncDefinition
from shared.reconcile.columns import on_insert
from shared.reconcile.plan import PlanAction
from shared.reconcile.rejected.rejecting import reject_steps
from shared.transform import ErrorType, TargetColumn, key_columns
from shared.workspace import Step, Table, literal

__all__ = ["unset_key_steps"]

_ORIGIN: Final = "sync_behaviour.sync_key"


def unset_key_steps(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """Reject new records whose key Dataverse makes; the steps need `decisions`, `desired` and the errors."""
    behaviour, destination = definition.sync_behaviour, definition.destination
    if behaviour.new != "insert":
        return ()
    written = {column.name for column in on_insert(layout, destination.id_column)}
    if destination.id_column_insert:
        written.add(destination.id_column)
    unset = [column.name for column in key_columns(layout) if column.name not in written]
    if not unset:
        return ()
    way = "set id_column_insert: true" if unset == [destination.id_column] else "match by columns that can be written"
    said = (
        f"a new record cannot get this {', '.join(unset)}, so each run would create it again; {way}, or set new: ignore"
    )
    report = f"""
INSERT INTO source_errors
SELECT _row, {literal(", ".join(unset))}, {literal(ErrorType.KEY_NOT_WRITTEN)}, true, {literal(said)}
FROM decisions WHERE action = {literal(PlanAction.INSERT)}""".strip()
    needs = frozenset({Table.DECISIONS, Table.SOURCE_ERRORS})
    return (
        Step("Report new records that cannot get their key", report, _ORIGIN, needs=needs),
        *reject_steps(ErrorType.KEY_NOT_WRITTEN, _ORIGIN),
    )
