"""The steps that reject rows for what was decided about them."""

from __future__ import annotations

from collections.abc import Sequence

from shared.definitions.models import SyncDefinition
from shared.reconcile.rejected.failed_conditions import failed_condition_steps
from shared.reconcile.rejected.outside_filter import outside_filter_steps
from shared.reconcile.rejected.passed_on import passed_on_steps
from shared.reconcile.rejected.transitions import transition_steps
from shared.reconcile.rejected.unset_keys import unset_key_steps
from shared.transform import TargetColumn
from shared.workspace import Step

__all__ = ["rejected_steps"]


def rejected_steps(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """Return the steps of all rules of strategy `full`; they need `decisions`, `desired`, `current` and the errors.

    Where a lookup searches the table itself, they need `parents` too, and a condition needs `source`.
    """
    rules = (
        *failed_condition_steps(definition, layout),
        *transition_steps(definition, layout),
        *unset_key_steps(definition, layout),
        *outside_filter_steps(definition, layout),
    )
    return (*rules, *passed_on_steps(definition, layout)) if rules else ()
