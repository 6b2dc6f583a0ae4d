"""The routes of the first page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from console.web.needs import Need
from console.web.routing import Path
from console.web.visit import Visit
from shared.views.status import status_of

__all__ = ["ROUTES"]


def _overview(visit: Visit) -> Response:
    """All syncs that the person may see, with what needs a person."""
    syncs = [loaded for loaded, _ in visit.visible()]
    status = status_of(syncs, visit.app.state, datetime.now(UTC))
    return visit.page("overview.html", status=status)


def _status(visit: Visit) -> Response:
    syncs = [loaded for loaded, _ in visit.visible()]
    return visit.json(status_of(syncs, visit.app.state, datetime.now(UTC)).to_json())


ROUTES: Final[Sequence[Path]] = (
    Path(path="/", answer=_overview, need=Need.SIGNED_IN),
    Path(path="/api/status", answer=_status, need=Need.SIGNED_IN, summary="The state of all syncs."),
)
