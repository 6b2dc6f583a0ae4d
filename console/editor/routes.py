"""The routes of the editor."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

from starlette.responses import Response

from console.editor import making
from console.editor.actions import act
from console.editor.api import ROUTES as API
from console.editor.draft import Draft, difference, file_of
from console.editor.editing import Editing, from_form
from console.editor.filters import FILTERS
from console.editor.secrets.api import ROUTES as SECRETS_API
from console.editor.secrets.form import ROUTES as SECRETS
from console.editor.tabs import tab_named
from console.uploads.keeping import MOST_UPLOADED
from console.web.needs import Need
from console.web.refusals import not_found
from console.web.rendering import add_filters
from console.web.routing import Path
from console.web.visit import Visit

__all__ = ["ROUTES"]

add_filters(FILTERS)


def _edit(visit: Visit) -> Response:
    """The editor with what is saved, or with an earlier version."""
    files = visit.app.wiring.definition_files
    loaded = visit.subject.loaded
    stored = files.read(file_of(loaded)) if loaded is not None else None
    if stored is None:
        raise not_found()
    tab = tab_named(str(visit.request.path_params.get("tab", "")))
    editing = Editing(visit=visit, draft=Draft.of(stored), tab=tab)
    if visit.query("saved"):
        editing.say("good", "Saved.")
    if version := visit.query("version"):
        kept = files.version(stored.file, version)
        if kept is None:
            raise not_found()
        editing.draft = editing.draft.with_text(kept.text)
        editing.say("warn", f"This is the version of {kept.at:%Y-%m-%d %H:%M} UTC. It is not saved as the newest yet.")
    return act(editing, f"show:{tab.slug}")


def _act(visit: Visit) -> Response:
    editing = from_form(visit)
    return act(editing, visit.body.text("do", f"show:{editing.tab.slug}"))


def _versions(visit: Visit) -> Response:
    loaded = visit.subject.loaded
    if loaded is None:
        raise not_found()
    found = visit.app.wiring.definition_files.versions(file_of(loaded))
    pairs = [(new, difference((old or new).text, new.text)) for new, old in zip_longest(found, found[1:])]
    return visit.page("versions.html", name=visit.sync, versions=pairs)


ROUTES: Final[Sequence[Path]] = (
    Path(path="/new", answer=making.show, need=Need.CREATE),
    Path(path="/new", answer=making.make, need=Need.CREATE, method="POST", most_bytes=MOST_UPLOADED),
    Path(path="/new/edit", answer=_act, need=Need.CREATE, method="POST", most_bytes=MOST_UPLOADED),
    Path(path="/syncs/{sync}/edit", answer=_edit, need=Need.SOME),
    Path(path="/syncs/{sync}/edit/{tab}", answer=_edit, need=Need.SOME),
    Path(path="/syncs/{sync}/edit", answer=_act, need=Need.WRITE, method="POST", most_bytes=MOST_UPLOADED),
    Path(path="/syncs/{sync}/versions", answer=_versions, need=Need.SOME),
    *SECRETS,
    *API,
    *SECRETS_API,
)
