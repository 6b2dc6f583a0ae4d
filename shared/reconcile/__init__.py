"""The decision table as SQL, and the plan that comes out of it. Pure: no requests, no files, no clock."""

from __future__ import annotations

from shared.reconcile.adoption import adoption_steps
from shared.reconcile.columns import expire_payload
from shared.reconcile.links import link_steps
from shared.reconcile.plan import ColumnChange, Limit, Plan, PlanAction, PlanCounts, SafetyLimits, SampleChange, samples
from shared.reconcile.queries import checksum_query, columns_query, counts_query, sample_query
from shared.reconcile.steps import reconcile_steps
from shared.reconcile.transitions import enforces

__all__ = [
    "ColumnChange",
    "Limit",
    "Plan",
    "PlanAction",
    "PlanCounts",
    "SafetyLimits",
    "SampleChange",
    "adoption_steps",
    "checksum_query",
    "columns_query",
    "counts_query",
    "enforces",
    "expire_payload",
    "link_steps",
    "reconcile_steps",
    "sample_query",
    "samples",
]
