"""The routes of one sync's page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup
from starlette.responses import Response

from console.access.rights import Level
from console.overview.answers import sync_answer
from console.overview.needs import shown_need
from console.overview.screen import Line, with_phase
from console.syncs.answers import CheckAnswer, ResumeAnswer, SyncPageAnswer, check_answer, facts_answer
from console.syncs.checks import Check, OfflineChecks, checked_online
from console.syncs.facts import SyncPage, page_of
from console.syncs.history import KEY, HistoryAnswer, history_json, history_page
from console.web.needs import Need
from console.web.refusals import Refusal, not_found
from console.web.routing import Path
from console.web.visit import Visit
from shared.app.undoing import resume
from shared.definitions import Loaded
from shared.definitions.models import EventsSource

__all__ = ["ROUTES"]

_CHECKS: Final = OfflineChecks()
_PAUSE: Final = "pause"  # the field with the undo whose pause the page shows


def _sync(visit: Visit) -> Response:
    """The page, with what a check without the environment finds."""
    loaded = _loaded(visit)
    return _page(visit, loaded, _CHECKS.of(loaded, visit.app))


def _check(visit: Visit) -> Response:
    """The page, with what a check against the environment finds."""
    loaded = _loaded(visit)
    return _page(visit, loaded, checked_online(loaded, visit.app))


def _resume(visit: Visit) -> Response:
    """Let a paused sync start again.

    Raises:
        Refusal: The page of the person shows another pause: who takes it away has to know which run was undone.
    """
    pause, seen = visit.app.state.pauses().get(visit.sync), visit.body.text(_PAUSE)
    if pause is not None and seen and seen != pause.run_id:
        text = "It was resumed, and another undo has paused it since. Nothing was changed: see the page of the sync."
        raise Refusal(409, "The sync is paused anew", text)
    _resumed(visit)
    return visit.to(f"/syncs/{visit.sync}")


def _resume_json(visit: Visit) -> Response:
    return visit.json(ResumeAnswer(resumed=_resumed(visit)).model_dump())


def _resumed(visit: Visit) -> bool:
    if visit.sync not in visit.app.state.pauses():
        return False
    with visit.noting("resumed the sync", before="paused", after="it starts again"):
        return resume(visit.app, visit.sync)


def _page(visit: Visit, loaded: Loaded, check: Check) -> Response:
    page = page_of(loaded, visit.app, datetime.now(UTC))
    line = _line(visit, page)
    return visit.page(
        "sync.html",
        page=page,
        line=line,
        needs=[shown_need(need) for need in page.status.needs],
        check=check,
        charts=Markup(page.charts),  # noqa: S704 - `chart` escapes its texts
        may_start=visit.may(Level.EXECUTE),
        has_batch=loaded.definition is not None and not isinstance(loaded.definition.source, EventsSource),
        may_write=visit.may(Level.WRITE),
        may_read=visit.may(Level.READ),
    )


def _line(visit: Visit, page: SyncPage) -> Line:
    return with_phase(Line(status=page.status, levels=visit.subject.levels), visit.app.state)


def _sync_json(visit: Visit) -> Response:
    loaded = _loaded(visit)
    page = page_of(loaded, visit.app, datetime.now(UTC))
    answer = SyncPageAnswer(
        status=sync_answer(_line(visit, page)),
        facts=facts_answer(page.facts) if page.facts else None,
        watermark=page.watermark if visit.may(Level.READ) else None,
        check=check_answer(_CHECKS.of(loaded, visit.app)),
    )
    return visit.json(answer.model_dump())


def _check_json(visit: Visit) -> Response:
    return visit.json(check_answer(checked_online(_loaded(visit), visit.app)).model_dump())


def _loaded(visit: Visit) -> Loaded:
    if visit.subject.loaded is None:
        raise not_found()
    return visit.subject.loaded


ROUTES: Final[Sequence[Path]] = (
    Path(path="/syncs/{sync}", answer=_sync, need=Need.SOME),
    Path(path="/syncs/{sync}/history", answer=history_page, need=Need.READ),
    Path(path="/syncs/{sync}/resume", answer=_resume, need=Need.EXECUTE, method="POST"),
    Path(path="/syncs/{sync}/check", answer=_check, need=Need.SOME, method="POST"),
    Path(
        path="/api/syncs/{sync}",
        answer=_sync_json,
        need=Need.SOME,
        summary="One sync: its state, its facts, and the mistakes of its definition.",
        gives=SyncPageAnswer,
    ),
    Path(
        path="/api/syncs/{sync}/history",
        answer=history_json,
        need=Need.READ,
        summary="What happened to one record; the query has `key` once for each value of its key, or its id.",
        reads=(KEY,),
        gives=HistoryAnswer,
    ),
    Path(
        path="/api/syncs/{sync}/resume",
        answer=_resume_json,
        need=Need.EXECUTE,
        method="POST",
        summary="Let a sync start again that an undo has paused.",
        gives=ResumeAnswer,
    ),
    Path(
        path="/api/syncs/{sync}/check",
        answer=_check_json,
        need=Need.SOME,
        method="POST",
        summary="Check the definition against its environment and its source.",
        gives=CheckAnswer,
    ),
)
