"""The steps from `desired` and `current` to `decisions` and `changes`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.definitions.models import Strategy, SyncDefinition
from shared.reconcile.changes import change_steps
from shared.reconcile.decisions import (
    VALUES_AT_ONCE,
    decide_by_comparing,
    decide_by_source,
    report_edited,
    report_fixed,
    report_unfit,
    spare_protected,
)
from shared.reconcile.links.kept_parents import keep_parents
from shared.reconcile.rejected.decided import rejected_steps
from shared.transform import TargetColumn
from shared.workspace import Step

__all__ = ["reconcile_steps"]


def reconcile_steps(
    definition: SyncDefinition,
    layout: Sequence[TargetColumn],
    *,
    started: datetime,
    target_rows: int = 0,
    values_at_once: int = VALUES_AT_ONCE,
    with_before: bool = True,
) -> tuple[Step, ...]:
    """Compile the rules for new, changed and dropped records into SQL.

    Args:
        definition: The sync.
        layout: Its target columns, in the order of `desired` and `current`.
        started: Start of the run, with time zone: what `expire` sets.
        target_rows: The highest `_seq` in `current`, about how many records there are; many are compared in parts.
        values_at_once: How many values of records are compared in one query: what fits into memory.
        with_before: Keep what the records held, for a plan to show.

    Returns:
        Steps that make the tables `decisions` (one row a key) and `changes` (one row a write). For strategy `full`
        they need `desired` and `current`, and where records may be dropped `protected` and both tables of errors, with
        deletes that cascade `set_aside` too; for `delta` and `upsert` only `desired`; a condition or an action column
        needs `source` too.
    """
    if definition.sync_behaviour.strategy is Strategy.FULL:
        decide: tuple[Step, ...] = (
            *decide_by_comparing(definition, layout, target_rows=target_rows, values_at_once=values_at_once),
            *rejected_steps(definition, layout),
            *spare_protected(definition, layout),
            *keep_parents(definition, layout),
            *report_unfit(definition, layout),
            *report_fixed(definition, layout),
            *report_edited(definition, layout),
        )
    else:
        decide = decide_by_source(definition)
    return (*decide, *change_steps(definition, layout, started=started, with_before=with_before))
