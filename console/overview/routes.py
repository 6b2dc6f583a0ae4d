"""The routes of the first page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from console.access.person import ADMIN
from console.jobs.activity import phase_words
from console.overview.answers import StatusAnswer, SyncsAnswer, status_answer, sync_answer
from console.overview.needs import shown_need
from console.overview.screen import Screen, screen_of
from console.web.needs import Need
from console.web.rendering import add_filters
from console.web.routing import Parameter, Path
from console.web.visit import Visit
from shared.app.event_hub.saying import needs_of_hub

__all__ = ["ROUTES"]

add_filters({"phase": phase_words})

_LONGEST: Final = 100  # characters of a text that is looked for
_MOST_NEEDS: Final = 12  # lines above the list: the list itself has them all


def _overview(visit: Visit) -> Response:
    """All syncs that the person may see, with what needs a person."""
    text, in_need = visit.query("q")[:_LONGEST], visit.query("show") == "needs"
    screen = _screen(visit)
    return visit.page(
        "overview.html",
        screen=screen.narrowed(text, in_need=in_need),
        needs=[shown_need(need) for need in screen.needs[:_MOST_NEEDS]],
        q=text,
        in_need=in_need,
    )


def _status(visit: Visit) -> Response:
    return visit.json(status_answer(_screen(visit)).model_dump())


def _syncs(visit: Visit) -> Response:
    """The list, narrowed as on the page."""
    screen = _screen(visit).narrowed(visit.query("q")[:_LONGEST], in_need=visit.query("show") == "needs")
    return visit.json(SyncsAnswer(syncs=[sync_answer(line) for line in screen.lines]).model_dump())


def _screen(visit: Visit) -> Screen:
    screen = screen_of([*visit.visible()], visit.app.state, datetime.now(UTC), whole=visit.person.has(ADMIN))
    # The first page does not wait for the hub: it shows what the hub said last.
    hub = visit.console.waiting.latest() if visit.console.waiting else None
    return replace(screen, needs=(*screen.needs, *needs_of_hub(hub)))


_NARROWED: Final = (
    Parameter(name="q", about="A part of the name of a sync.", schema={"type": "string", "maxLength": _LONGEST}),
    Parameter(name="show", about="`needs`: only syncs that need a person.", schema={"enum": ["needs"]}),
)
ROUTES: Final[Sequence[Path]] = (
    Path(path="/", answer=_overview, need=Need.SIGNED_IN),
    Path(
        path="/api/status",
        answer=_status,
        need=Need.SIGNED_IN,
        summary="The state of all syncs, and what needs a person.",
        gives=StatusAnswer,
    ),
    Path(
        path="/api/syncs",
        answer=_syncs,
        need=Need.SIGNED_IN,
        summary="The syncs: all, those whose name has a text (`q`), or those that need a person (`show=needs`).",
        reads=_NARROWED,
        gives=SyncsAnswer,
    ),
)
