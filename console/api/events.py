"""Events that other systems send over HTTP, for a listener."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import islice
from typing import Final

from pydantic import BaseModel
from starlette.responses import Response

from console.web.failures import problem
from console.web.needs import Need
from console.web.refusals import Refusal, not_found
from console.web.routing import Content, Path
from console.web.visit import Visit
from shared.app import App
from shared.definitions.models.listener import EventFormat
from shared.errors import UserError
from shared.jobs.real_time.events import EventSync, run_events
from shared.jobs.real_time.files.json_values import messages_in
from shared.jobs.real_time.intake import Intake, checked

__all__ = ["ROUTES"]

MOST_EVENTS: Final = 500  # of a request: what the trigger hands over at most
MOST_BYTES: Final = 1_000_000  # of a request: what a hub takes in one batch


class TakenEvents(BaseModel):
    """The ids of the events, in their order."""

    ids: list[str]


def _take(visit: Visit) -> Response:
    """Check events, and give them to the hub, or apply them where there is none."""
    syncs = _listening(str(visit.request.path_params["listener"]), visit.app)
    tools = visit.app.event_tools
    intake = checked(_bodies(visit), syncs, tools)
    if intake.wrong:
        return _refused(intake)
    if visit.console.hub is not None:
        visit.console.hub.send(intake.sent)
    else:
        run_events(intake.messages, visit.app.listeners(), tools, history=True)
    for sync in syncs:
        visit.note(f"sent {len(intake.sent):,} events", sync=sync.name)
    return visit.json({"ids": [each.id for each in intake.sent]}, status=202)


def _listening(name: str, app: App) -> list[EventSync]:
    """The listeners of a name: several syncs may have one, each for a part of the events."""
    found = [each for each in app.listeners().syncs if each.listener == name]
    if not found:
        raise not_found()
    of_json = [each for each in found if each.topic.format is not EventFormat.AVRO]
    if not of_json:
        raise Refusal(415, "Not JSON", "This listener takes Avro, which is sent to the event hub itself.")
    return of_json


def _bodies(visit: Visit) -> list[bytes]:
    """The events of a request, as they were sent: JSON values, or those of an array."""
    body = io.BytesIO(visit.body.raw)
    events = messages_in(body, name="the request", stream="", largest=MOST_BYTES, is_array=True)
    try:
        found = [event.body for event in islice(events, MOST_EVENTS + 1)]
    except UserError as error:
        raise Refusal(422, "The events cannot be read", f"{error.message}. None of the events was taken.") from error
    if not 1 <= len(found) <= MOST_EVENTS:
        raise Refusal(422, "Too many events, or none", f"Send 1 to {MOST_EVENTS} events in one request.")
    return found


def _refused(intake: Intake) -> Response:
    problems = [{"index": each.index, "message": each.reason} for each in intake.wrong]
    detail = "None of the events was taken: send them again when those under `problems` are corrected or left out."
    return problem(Refusal(422, "Some events cannot be taken", detail), problems=problems)


ROUTES: Final[Sequence[Path]] = (
    Path(  # the name of a listener is any text, and servers decode `%2F` before a route sees it
        path="/api/events/{listener:path}",
        method="POST",
        answer=_take,
        need=Need.SEND_EVENTS,
        most_bytes=MOST_BYTES,
        summary="Send one event, or an array of events, to a listener.",
        takes=Content(
            media="application/json",
            about="One event in the format of the listener, an array of events, or one event a line.",
            schema={"type": ["object", "array"]},
        ),
        gives=TakenEvents,
    ),
)
