"""The answers of the API about all syncs."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from console.access.rights import Level
from console.overview.needs import shown_need
from console.overview.screen import Line, Screen
from shared.views.status import Need, NeedKind

__all__ = ["NeedAnswer", "StatusAnswer", "SyncAnswer", "SyncsAnswer", "need_answer", "status_answer", "sync_answer"]


class NeedAnswer(BaseModel):
    """One thing that needs a person."""

    kind: NeedKind = Field(description="Why a person is needed.")
    text: str = Field(description="What it is.")
    sync: str = Field(description="The sync; empty for what is about none.")
    run_id: str = Field(description="The run that it is about; empty where it is about none.")
    page: str = Field(description="Path of the page of the console that shows more of it.")


class SyncAnswer(BaseModel):
    """The state of one sync."""

    sync: str
    state: str | None = Field(description="State of the last run; null where there is none.")
    run_id: str | None = Field(description="Id of the last run.")
    phase: str = Field(description="Of a run that is under way: its phase.")
    paused: bool = Field(description="Whether it does not start until a person resumes it.")
    waits: bool = Field(description="Whether a run was asked for and has not begun.")
    last_start: datetime | None
    last_end: datetime | None
    last_success: datetime | None = Field(description="When the latest run that reached its end ended.")
    next_run: datetime | None = Field(description="When the schedule starts it next; in the past where it is due.")
    rows: int = Field(description="Rows of the source in the last run; for real time, events.")
    changes: int = Field(description="Records that the last run changed.")
    open_errors: int = Field(
        description="Rows of the last run with an error, and refused changes of records that have no row; for real "
        "time, events that were applied without a field."
    )
    dead_letters: int = Field(description="Events that could not be applied.")
    rights: list[Level] = Field(description="What the caller may do.")
    needs: list[NeedAnswer]


class SyncsAnswer(BaseModel):
    """The syncs that the caller may see."""

    syncs: list[SyncAnswer]


class StatusAnswer(BaseModel):
    """The state of all syncs that the caller may see."""

    syncs: list[SyncAnswer]
    unclaimed: int | None = Field(description="Events that no listener takes; null without the role `Sync.Admin`.")
    needs: list[NeedAnswer]
    needs_a_person: bool


def need_answer(need: Need) -> NeedAnswer:
    """A need for programs."""
    link = shown_need(need).link
    return NeedAnswer(kind=need.kind, text=need.text, sync=need.sync, run_id=need.run_id, page=link)


def sync_answer(line: Line) -> SyncAnswer:
    """A line of the first page for programs."""
    sync, last = line.status, line.status.last
    return SyncAnswer(
        sync=sync.name,
        state=last.state if last else None,
        run_id=last.run_id if last else None,
        phase=line.phase,
        paused=sync.paused is not None,
        waits=line.waits,
        last_start=last.started if last else None,
        last_end=last.ended if last else None,
        last_success=sync.last_success,
        next_run=sync.next_run,
        rows=sync.rows,
        changes=sync.changes,
        open_errors=sync.open_errors,
        dead_letters=sync.dead_letters,
        rights=sorted(line.levels),
        needs=[need_answer(need) for need in sync.needs],
    )


def status_answer(screen: Screen) -> StatusAnswer:
    """The first page for programs."""
    return StatusAnswer(
        syncs=[sync_answer(line) for line in screen.lines],
        unclaimed=screen.unclaimed,
        needs=[need_answer(need) for need in screen.needs],
        needs_a_person=bool(screen.needs),
    )
