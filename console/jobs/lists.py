"""The lists of jobs and runs: what is active, what succeeded, what failed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Final, Self

from console.access.person import ADMIN
from console.access.rights import Level
from console.audit.entries import ShownEntry
from console.jobs.activity import Active, active
from console.jobs.asking import WORDS
from console.web.refusals import Refusal
from console.web.routing import Parameter
from console.web.visit import Visit
from shared.state import AuditEntry, Job, JobKind, RunRecord, RunState, StateStore
from shared.views.runs import LOST, as_seen, rows_in_error

__all__ = ["READS", "SEARCHED", "SHOWN", "Listed", "RunLine", "listed"]

SEARCHED: Final = 500
"""The latest runs, among which those of a state are looked for."""
_SEARCHED_ACTIVE: Final = 100  # the latest runs, which go on as a rule if a run has no job; those of each sync too
SHOWN: Final = 50
"""Runs on a page."""
_STATES: Final = {
    "successful": (RunState.SUCCEEDED.value, RunState.COMPLETED_WITH_ERRORS.value),
    "failed": (
        RunState.FAILED.value,
        RunState.REFUSED.value,
        RunState.INTERRUPTED.value,
        RunState.CANCELLED.value,
        LOST,
    ),
}
ACTIVE, PLANS = "active", "plans"
READS: Final = (
    Parameter(
        name="state",
        about="Which jobs and runs.",
        schema={"type": "string", "enum": [ACTIVE, *_STATES, PLANS], "default": ACTIVE},
    ),
    Parameter(name="sync", about="Name of a sync; without it, all that the person may see."),
    Parameter(
        name="page",
        about="The page of runs that ended; one that is not there is the nearest one.",
        schema={"type": "integer", "minimum": 1, "default": 1},
    ),
)
"""What `listed` reads of a query."""
_PLANS_SHOWN: Final = 10
# Of the audit log, which says who asked for which plan. A request with events is an entry too.
_ENTRIES_AT_ONCE: Final = 200
_MOST_ENTRIES: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """One run that ended, with its figures; None where the log has none: it did not come so far, or is of events."""

    run: RunRecord
    rows: int | None
    created: int | None
    updated: int | None
    deleted: int | None
    errors: int | None

    @classmethod
    def of(cls, run: RunRecord) -> Self:
        """The line of a run."""
        counts, source = run.counts, run.counts.get("source") or {}
        done = {name: (counts.get(name) or {}).get("done") for name in ("created", "updated", "deleted")}
        errors = rows_in_error(run) if "rejected" in source else None
        return cls(run=run, rows=source.get("processed"), errors=errors, **done)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a person sees of the jobs and runs.

    Attributes:
        show: `active`, `successful`, `failed` or `plans`.
        sync: The only sync; empty for all.
        syncs: Names of the syncs that the person may see.
        may_stop: Those whose runs the person may cancel.
        active: What has not ended, newest first; none where `show` is another state.
        plans: The latest plans that people asked for, newest first; only where `show` is `plans`.
        runs: The runs of the page that ended, newest first; only where `show` is their state.
        page: From 1.
        pages: How many there are.
    """

    show: str
    sync: str
    syncs: Sequence[str]
    may_stop: Collection[str]
    active: Sequence[Active] = ()
    plans: Sequence[Job] = ()
    runs: Sequence[RunLine] = ()
    page: int = 1
    pages: int = 1


def listed(visit: Visit) -> Listed:
    """Read what a query asks for: `state`, `sync` and `page`; a page that is not there is the nearest one.

    Raises:
        Refusal: The query names another state, or a sync that the person does not see.
    """
    show, sync = visit.query("state", ACTIVE), visit.query("sync")
    if show not in {ACTIVE, PLANS, *_STATES}:
        raise Refusal(400, "No such state", f"The state is one of: {ACTIVE}, {', '.join(_STATES)}, {PLANS}.")
    levels = {loaded.name: found for loaded, found in visit.visible()}
    if sync and sync not in levels and not visit.person.has(ADMIN):
        raise Refusal(404, "Not found", "There is no such sync, or you have no rights to it.")
    # Runs of syncs whose definition was removed are for those who may see everything.
    names = {sync} if sync else None if visit.person.has(ADMIN) else set(levels)
    found = Listed(
        show=show,
        sync=sync,
        syncs=list(levels),
        may_stop={name for name, each in levels.items() if Level.EXECUTE in each},
    )
    if show == PLANS:
        return replace(found, plans=[*islice(_plans(visit, names), _PLANS_SHOWN)])
    if show == ACTIVE:
        return replace(found, active=active(visit.app.state, names, _latest(visit, names, levels)))
    recent = [run for run in visit.app.state.runs(sync or None, SEARCHED) if names is None or run.sync in names]
    return _with_runs(found, visit, recent)


def _latest(visit: Visit, names: Collection[str] | None, known: Collection[str]) -> list[RunRecord]:
    """The latest runs, and the latest one of each sync: others may have begun many runs since."""
    state = visit.app.state
    ends = state.latest_rows(known if names is None else names).values()
    of_each = (run for rows in ends for run in (rows.run, rows.events, rows.retry) if run)
    latest = (*state.runs(visit.query("sync") or None, _SEARCHED_ACTIVE), *of_each)
    return [*{run.run_id: run for run in latest if names is None or run.sync in names}.values()]


def _with_runs(found: Listed, visit: Visit, recent: Sequence[RunRecord]) -> Listed:
    runs = [run for each in recent if (run := as_seen(each, visit.app.state)).state in _STATES[found.show]]
    pages = max(1, -(-len(runs) // SHOWN))
    text = visit.query("page", "1")
    page = min(max(int(text[:9]), 1), pages) if text.isascii() and text.isdecimal() else 1
    lines = [RunLine.of(run) for run in runs[(page - 1) * SHOWN : page * SHOWN]]
    return replace(found, runs=lines, page=page, pages=pages)


def _plans(visit: Visit, names: Collection[str] | None) -> Iterator[Job]:
    """Yield the latest plans that people asked for: the state store lists jobs that have not ended only."""
    state = visit.app.state
    for entry in _entries(state, visit.query("sync") or None):
        if entry.action == WORDS[JobKind.PLAN] and (names is None or entry.sync in names):
            # An entry that was cut names no job any more: it is left out.
            asked = ShownEntry(entry=entry, lines=()).job
            job = state.job(asked["job"]) if asked else None
            if job is not None:
                yield job


def _entries(state: StateStore, sync: str | None) -> Iterator[AuditEntry]:
    """Yield the latest entries of the audit log, newest first."""
    before: datetime | None = None
    for _ in range(_MOST_ENTRIES // _ENTRIES_AT_ONCE):
        found = state.audit(sync, _ENTRIES_AT_ONCE, before=before)
        yield from found
        if len(found) < _ENTRIES_AT_ONCE:
            return
        before = found[-1].at
