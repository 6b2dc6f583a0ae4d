"""What outlives a run: execution log, errors, leases, watermarks, dead letters, requested jobs, files, used plans."""

from __future__ import annotations

from shared.state.records import (
    DeadLetter,
    ErrorRecord,
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
    "DeadLetter",
    "ErrorRecord",
    "JobRequest",
    "Lease",
    "PlanUse",
    "Position",
    "Pruned",
    "RunRecord",
    "RunState",
    "StateStore",
]
