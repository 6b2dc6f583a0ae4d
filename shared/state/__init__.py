"""What outlives a run: execution log, errors, leases, watermarks, dead letters, jobs, files, used plans."""

from __future__ import annotations

from shared.state.job_queue import JobQueue, Poisoned
from shared.state.mending import RowsToMend, RowToMend
from shared.state.records import (
    RUN,
    AuditEntry,
    DeadLetter,
    ErrorRecord,
    Job,
    JobRequest,
    Lease,
    PlanUse,
    Position,
    Pruned,
    RunRecord,
    RunState,
)
from shared.state.store import StateStore

__all__ = [
    "RUN",
    "AuditEntry",
    "DeadLetter",
    "ErrorRecord",
    "Job",
    "JobQueue",
    "JobRequest",
    "Lease",
    "PlanUse",
    "Poisoned",
    "Position",
    "Pruned",
    "RowToMend",
    "RowsToMend",
    "RunRecord",
    "RunState",
    "StateStore",
]
