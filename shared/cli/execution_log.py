"""Runs and their errors, as the state store keeps them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli.output import write_file
from shared.errors import UserError
from shared.state import RunRecord, RunState

if TYPE_CHECKING:
    from shared.state import ErrorRecord, JobRequest, StateStore

__all__ = ["error_json", "latest_runs", "run_json", "run_named", "write_files"]

SEARCHED = 1000  # latest runs among which the beginning of an id is looked for
LATEST = "last"
LOST = "Lost"  # shown for a run whose lease has lapsed; the next tick marks it as interrupted


def latest_runs(state: StateStore, sync: str | None, limit: int) -> tuple[RunRecord, ...]:
    """The latest runs as people see them, newest first: with those that are requested, and those that are lost."""
    requested = [_queued(request) for request in state.job_requests() if sync in (None, request.sync)]
    logged = [_shown(run, state) for run in state.runs(sync, limit)]
    return tuple(sorted([*requested, *logged], key=lambda run: run.started, reverse=True)[:limit])


def _queued(request: JobRequest) -> RunRecord:
    return RunRecord(
        run_id=request.id,
        sync=request.sync,
        version="",
        trigger="job",
        state=RunState.QUEUED.value,
        started=request.requested,
        parameters=request.parameters,
    )


def _shown(run: RunRecord, state: StateStore) -> RunRecord:
    if run.state != RunState.RUNNING or _is_alive(run, state):
        return run
    # It may have ended in order since its row was read.
    latest = state.run(run.run_id) or run
    return replace(latest, state=LOST) if latest.state == RunState.RUNNING else latest


def _is_alive(run: RunRecord, state: StateStore) -> bool:
    lease = state.lease(f"sync/{run.sync}")
    return lease is not None and lease.holder == run.run_id


def run_named(text: str, state: StateStore) -> RunRecord:
    """Find a run by its id, by the beginning of it, or as `last`.

    Raises:
        UserError: There is none, or more than one.
    """
    if found := state.run(text):
        return found
    latest = state.runs(limit=1 if text == LATEST else SEARCHED)
    matches = [run for run in latest if text == LATEST or run.run_id.startswith(text)]
    match matches:
        case [only]:
            return only
        case []:
            raise UserError(f"There is no run {text}. `dynamics-sync runs` lists them")
        case _:
            raise UserError(f"{len(matches)} runs have an id that starts with {text}: write more of the id")


def run_json(run: RunRecord) -> dict[str, Any]:
    """A row of the execution log as JSON values."""
    moments = {"started": run.started.isoformat(), "ended": run.ended.isoformat() if run.ended else None}
    return asdict(run) | moments


def error_json(error: ErrorRecord) -> dict[str, Any]:
    """A row of the execution errors as JSON values, named as in `run --json`."""
    return {
        "side": error.side,
        "class": error.error_class,
        "type": error.error_type,
        "column": error.column,
        "rows": list(error.rows),
        "count": error.count,
        "message": error.message,
    }


def write_files(state: StateStore, run_id: str, folder: Path) -> list[Path]:
    """Write the run's error files into a folder and return their paths.

    Raises:
        UserError: A file cannot be written.
    """
    paths = []
    for name in state.files(run_id):
        path = folder / Path(name).name
        write_file(path, state.file(run_id, name) or b"")
        paths.append(path)
    return paths
