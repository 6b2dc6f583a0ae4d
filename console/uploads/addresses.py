"""Addresses for the files of a sync or a run, and the files that have come there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from console.uploads.models import AddressGiven, FileAnnounced
from console.web.needs import Need
from console.web.refusals import Refusal, not_found
from console.web.routing import Path
from console.web.sent import sent
from console.web.visit import Visit
from shared.app.uploads.announced import AnnouncedFile, safe_name

if TYPE_CHECKING:
    from shared.app.uploads.addresses import UploadedFile

__all__ = ["MOST_MENDED", "MOST_SOURCE", "ROUTES", "address_path", "arrived"]

MOST_SOURCE: Final = 1_000_000_000
"""Bytes of a file of a source."""
MOST_MENDED: Final = 50_000_000
"""Bytes of a mended file: more than twice as much as the rows that are kept with a run."""


def _for_source(visit: Visit) -> Response:
    return _given(visit, MOST_SOURCE)


def _for_run(visit: Visit) -> Response:
    return _given(visit, MOST_MENDED)


def _given(visit: Visit, most: int) -> Response:
    uploads = visit.app.wiring.uploads
    if uploads is None:
        raise not_found()
    file = sent(visit, FileAnnounced)
    if file.size > most:
        raise Refusal(413, "Too large", f"The file has {file.size:,} bytes; at most {most:,} can be sent here.")
    announced = AnnouncedFile(name=safe_name(file.name), size=file.size, by=visit.person.id, about=_about(visit))
    made = uploads.address(announced)
    given = AddressGiven(upload=made.id, url=made.url, headers=dict(made.headers), until=made.until)
    return visit.json(given.model_dump(), 201)


def arrived(visit: Visit, upload: str) -> UploadedFile:
    """The file that somebody has sent to an address of this sync or run.

    Args:
        visit: Names the sync or the run.
        upload: The id of the upload.

    Raises:
        UserError: It was not signed for this person and this use, or it has not come as announced.
        SyncError: The storage refuses, or is away.
    """
    uploads = visit.app.wiring.uploads
    if uploads is None:
        raise not_found()
    return uploads.arrived(upload, by=visit.person.id, about=_about(visit))


def address_path(visit: Visit) -> str:
    """Where a page of a sync, a run or a new sync asks for an address; empty where there are none."""
    return f"/api/{_about(visit)}uploads" if visit.app.wiring.uploads is not None else ""


def _about(visit: Visit) -> str:
    """What a file is for: the beginning of a path of the API."""
    path = visit.request.path_params
    if "run" in path:
        return f"runs/{path['run']}/"
    return f"syncs/{visit.sync}/" if visit.known_subject is not None else ""


ROUTES: Final = (
    Path(
        path="/api/uploads",
        method="POST",
        answer=_for_source,
        need=Need.CREATE,
        summary="An address in storage for the file of the source of a new sync; 404 where files go through the app.",
        takes=FileAnnounced,
        gives=AddressGiven,
    ),
    Path(
        path="/api/syncs/{sync}/uploads",
        method="POST",
        answer=_for_source,
        need=Need.WRITE_OR_EXECUTE,
        summary="An address in storage for a file of the source of a sync; 404 where files go through the app.",
        takes=FileAnnounced,
        gives=AddressGiven,
    ),
    Path(
        path="/api/runs/{run}/uploads",
        method="POST",
        answer=_for_run,
        need=Need.EXECUTE,
        summary="An address in storage for the mended rows of a run; 404 where files go through the app.",
        takes=FileAnnounced,
        gives=AddressGiven,
    ),
)
