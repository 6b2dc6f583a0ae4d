"""Switch a listener on and off: one value of its definition, which is saved as the editor saves it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from console.audit.compared import difference
from console.editor.draft import Draft, check
from console.editor.saved import author, stored_definition
from console.web.conditions import IF_MATCH, expected_version, refusing_changed
from console.web.needs import Need
from console.web.refusals import Refusal
from console.web.routing import Path
from console.web.sent import sent
from console.web.visit import Visit
from shared.app.definition_files import StoredText
from shared.definitions.models.listener import ListenerStatus
from shared.drafts.editing import Set, edited
from shared.errors import DefinitionError

__all__ = ["ROUTES"]

_PATH: Final = ("listener", "status")
_ON, _OFF = "on", "off"


class ListenerSwitch(BaseModel):
    """Whether a listener takes events."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool = Field(strict=True, description="Whether the listener takes events from now on.")


def _switch(visit: Visit) -> Response:
    to = visit.body.text("to")
    if to not in {_ON, _OFF}:
        raise Refusal(400, "Not a switch", "The form must say `on` or `off`.")
    _switched(visit, on=to == _ON, expected=visit.body.text("version"))
    return visit.to(f"/real-time/{visit.sync}")


def _switch_json(visit: Visit) -> Response:
    expected, request = expected_version(visit), sent(visit, ListenerSwitch)
    version = _switched(visit, on=request.enabled, expected=expected)
    return visit.json(request.model_dump(), headers={"etag": f'"{version}"'})


def _switched(visit: Visit, *, on: bool, expected: str) -> str:
    """Save the definition with the listener on or off, and return its version; all else stays byte for byte.

    Raises:
        Refusal: The sync has no listener, or somebody has changed the definition.
        SyncError: The definition has mistakes, or nothing can be saved.
    """
    files, stored = visit.app.wiring.definition_files, _with_listener(visit)
    status = ListenerStatus.ENABLED if on else ListenerStatus.DISABLED
    text = edited(stored.text, [Set(path=_PATH, value=status.value, after=["connector", "name"])])
    if problems := check(visit, Draft(file=stored.file, text=text)).problems:
        raise DefinitionError(problems)
    change = "\n".join(difference(stored.text, text))
    note = partial(visit.note, f"switched the listener {_ON if on else _OFF}", after=change)
    with refusing_changed():
        made = files.write(stored.file, text, expected=expected, by=author(visit), note=note)
    return made.version


def _with_listener(visit: Visit) -> StoredText:
    files, loaded = visit.app.wiring.definition_files, visit.subject.loaded
    definition = loaded.definition if loaded else None
    if definition is None or definition.listener is None:
        raise Refusal(409, "No listener", "The definition of this sync has no listener: add one in the editor.")
    if files.read_only:
        raise Refusal(409, "Read only", files.read_only)
    stored = stored_definition(visit)
    if stored is None:
        raise Refusal(409, "No file", "The file of this definition is not there any more.")
    return stored


ROUTES: Final[Sequence[Path]] = (
    Path(path="/real-time/{sync}/switch", answer=_switch, need=Need.WRITE, method="POST"),
    Path(
        path="/api/syncs/{sync}/listener",
        answer=_switch_json,
        need=Need.WRITE,
        method="PUT",
        summary="Switch the listener of a sync on or off; If-Match has the ETag of the definition that was read.",
        reads=(IF_MATCH,),
        takes=ListenerSwitch,
        gives=ListenerSwitch,
    ),
)
