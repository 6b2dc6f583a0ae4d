"""The decision table as SQL, and the plan that comes out of it. Pure: no requests, no files, no clock."""

from __future__ import annotations

from shared.reconcile.adoption import adoption_steps
from shared.reconcile.ledger import after_writing, before_writing, doubtful_query, fill_ledger, ledger_table_step
from shared.reconcile.links.kept_parents import cascading, keep_parents_of_refused
from shared.reconcile.links.steps import link_steps
from shared.reconcile.marks import blind_mark, blind_unfit_query
from shared.reconcile.plan import ColumnChange, Limit, Plan, PlanAction, PlanCounts, SafetyLimits, SampleChange, samples
from shared.reconcile.queries import checksum_query, columns_query, counts_query, sample_query
from shared.reconcile.rejected.decided import rejected_steps
from shared.reconcile.steps import reconcile_steps

__all__ = [
    "ColumnChange",
    "Limit",
    "Plan",
    "PlanAction",
    "PlanCounts",
    "SafetyLimits",
    "SampleChange",
    "adoption_steps",
    "after_writing",
    "before_writing",
    "blind_mark",
    "blind_unfit_query",
    "cascading",
    "checksum_query",
    "columns_query",
    "counts_query",
    "doubtful_query",
    "fill_ledger",
    "keep_parents_of_refused",
    "ledger_table_step",
    "link_steps",
    "reconcile_steps",
    "rejected_steps",
    "sample_query",
    "samples",
]
