"""The order of the steps of a run, and its logs."""

from shared.jobs.batch.job import ApprovedPlan, BatchJob, PlanOptions, RunOptions, Tools
from shared.jobs.batch.lease_keeping import LeaseTaken
from shared.jobs.batch.plans.planning import PlanReport, plan_batch
from shared.jobs.batch.preparation import explained
from shared.jobs.batch.run import NotDueError, run_batch
from shared.jobs.progress import NoProgress, Phase, Progress
from shared.jobs.summary import ChangeCounts, ErrorRow, RowCounts, RunState, RunSummary, StepOutcome

__all__ = [
    "ApprovedPlan",
    "BatchJob",
    "ChangeCounts",
    "ErrorRow",
    "LeaseTaken",
    "NoProgress",
    "NotDueError",
    "Phase",
    "PlanOptions",
    "PlanReport",
    "Progress",
    "RowCounts",
    "RunOptions",
    "RunState",
    "RunSummary",
    "StepOutcome",
    "Tools",
    "explained",
    "plan_batch",
    "run_batch",
]
