"""Rows on which the condition for changed records fails: whether their records are to be updated is not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.definitions.models import SyncDefinition
from shared.reconcile.columns import records, records_need
from shared.reconcile.decisions import CONDITION, looks_at_source, undecided
from shared.reconcile.plan import PlanAction
from shared.reconcile.rejected.rejecting import reject_steps
from shared.transform import ErrorType, TargetColumn
from shared.workspace import Step, Table, literal

__all__ = ["failed_condition_steps"]

_DECIDED: Final = ", ".join(map(literal, (PlanAction.IGNORED, PlanAction.REACTIVATE)))
_MESSAGE: Final = "the condition fails on this row, so its record stays as it is"


def failed_condition_steps(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """Reject these rows; the steps need `decisions`, `desired`, `current`, `source` and the errors."""
    if not looks_at_source(definition):
        return ()
    report = f"""
INSERT INTO source_errors
SELECT decisions._row, 'changed.when', {literal(ErrorType.INVALID_FORMAT)}, true, {literal(_MESSAGE)}
FROM decisions
JOIN desired ON desired._row = decisions._row
JOIN current AS target ON target._id = decisions._id
JOIN source ON source._row = decisions._row
{records(definition)}
WHERE decisions.action IN ({_DECIDED}) AND {undecided(definition, layout)}""".strip()
    needs = frozenset({Table.DECISIONS, Table.DESIRED, Table.CURRENT, Table.SOURCE, Table.SOURCE_ERRORS})
    return (
        Step("Report rows on which the condition fails", report, CONDITION, needs=needs | records_need(definition)),
        *reject_steps(ErrorType.INVALID_FORMAT, CONDITION),
    )
