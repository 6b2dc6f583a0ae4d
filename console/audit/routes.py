"""The routes of the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from console.access.person import ADMIN
from console.audit.answers import AuditAnswer, audit_answer
from console.audit.entries import Page, page_of
from console.web.needs import Need
from console.web.refusals import Refusal, not_found
from console.web.routing import Parameter, Path
from console.web.visit import Visit

__all__ = ["ROUTES"]


def _audit(visit: Visit) -> Response:
    """The entries of the syncs that the person may see; those of no sync are for `Sync.Admin`."""
    names, sync = _names(visit), visit.query("sync")
    page = _found(visit, names, sync)
    older = urlencode({**({"sync": sync} if sync else {}), "before": page.older.isoformat()}) if page.older else ""
    return visit.page(
        "audit.html", entries=page.shown(), older=older, sync=sync, names=names, is_first=not visit.query("before")
    )


def _audit_json(visit: Visit) -> Response:
    return visit.json(audit_answer(_found(visit, _names(visit), visit.query("sync"))))


def _names(visit: Visit) -> list[str]:
    return [loaded.name for loaded, _ in visit.visible()]


def _found(visit: Visit, names: Sequence[str], sync: str) -> Page:
    everything = visit.person.has(ADMIN)
    if sync and sync not in names and not everything:
        raise not_found()
    wanted = [sync] if sync else None if everything else names
    return page_of(visit.app.state, wanted, _moment(visit.query("before")))


def _moment(text: str) -> datetime | None:
    """A moment of a query; None where none is given.

    Raises:
        Refusal: It is none.
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))  # a plus sign that was not encoded comes as a space
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refusal(400, "Not a moment", "`before` must be a moment such as 2026-11-26T12:00:00Z.") from None


ROUTES: Final[Sequence[Path]] = (
    Path(path="/audit", answer=_audit, need=Need.SIGNED_IN),
    Path(
        path="/api/audit",
        answer=_audit_json,
        need=Need.SIGNED_IN,
        summary="Who did what: of one `sync` or of all, and from before a moment (`before`).",
        reads=(
            Parameter(name="sync", about="Name of a sync; without it, all that the person may see."),
            Parameter(
                name="before",
                about="Only entries from before this moment: `older` of the answer before.",
                schema={"type": "string", "format": "date-time"},
            ),
        ),
        gives=AuditAnswer,
    ),
)
