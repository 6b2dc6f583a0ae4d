"""What outlives a run: execution log, errors, leases, watermarks, dead letters, jobs, files, used plans."""

from __future__ import annotations

from shared.state.event_records import INCOMPLETE, DeadLetter, Position
from shared.state.job_kinds import RETRY_OF, TAKEN_BACK, UNBEGUN_RETRY, UNDO_OF, JobKind, NewerJobError
from shared.state.job_queue import JobQueue, PoisonedMessage
from shared.state.letter_pages import letter_pages, remove_all_letters
from shared.state.mending import RowsToMend, RowToMend
from shared.state.records import (
    RETRY,
    UNDO,
    AuditEntry,
    ErrorRecord,
    ErrorRow,
    Job,
    JobRequest,
    LatestRows,
    Lease,
    Pause,
    PlanUse,
    RemovedCounts,
    RunRecord,
    RunState,
)
from shared.state.store import StateStore

__all__ = [
    "INCOMPLETE",
    "RETRY",
    "RETRY_OF",
    "TAKEN_BACK",
    "UNBEGUN_RETRY",
    "UNDO",
    "UNDO_OF",
    "AuditEntry",
    "DeadLetter",
    "ErrorRecord",
    "ErrorRow",
    "Job",
    "JobKind",
    "JobQueue",
    "JobRequest",
    "LatestRows",
    "Lease",
    "NewerJobError",
    "Pause",
    "PlanUse",
    "PoisonedMessage",
    "Position",
    "RemovedCounts",
    "RowToMend",
    "RowsToMend",
    "RunRecord",
    "RunState",
    "StateStore",
    "letter_pages",
    "remove_all_letters",
]
