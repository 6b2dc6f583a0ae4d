"""The routes of the editor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from typing import Final

from starlette.responses import Response

from console.access.rights import Level
from console.audit.compared import difference
from console.editor import making
from console.editor.actions import act
from console.editor.api import ROUTES as API
from console.editor.draft import Draft, file_of
from console.editor.editing import Editing, from_form
from console.editor.filters import FILTERS
from console.editor.forms.paging import Pages
from console.editor.models import VERSIONS_SHOWN
from console.editor.saved import subject_of_draft
from console.editor.secrets.api import ROUTES as SECRETS_API
from console.editor.secrets.form import ROUTES as SECRETS
from console.editor.tabs import tab_named
from console.uploads.keeping import MOST_UPLOADED
from console.web.needs import Need
from console.web.refusals import Refusal, not_found
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
    query = visit.request.query_params
    pages = Pages({name: query.getlist(name) for name in query})
    editing = Editing(visit=visit, draft=Draft.of(stored), tab=tab, pages=pages)
    if visit.query("saved"):
        editing.say("good", "Saved.")
    if version := visit.query("version"):
        kept = files.version(stored.file, version)
        if kept is None:
            raise not_found()
        editing.draft, editing.more["version"] = editing.draft.with_text(kept.text), version
        editing.say("warn", f"This is the version of {kept.at:%Y-%m-%d %H:%M} UTC. It is not saved as the newest yet.")
    return act(editing, f"show:{tab.slug}")


def _act(visit: Visit) -> Response:
    editing = from_form(visit)
    return act(editing, visit.body.text("do", f"show:{editing.tab.slug}"))


def _go_on(visit: Visit, refusal: Refusal) -> Response:
    """The editor with a draft whose sync was renamed or deleted meanwhile, for whoever may go on with it.

    Whoever may make syncs gets the same page whether the sync of the path is hidden from them or does not exist.

    Raises:
        Refusal: The person may not; the page that says so shows the draft.
    """
    sent = _draft_of(visit)
    if sent is None or refusal.status != _MISSING:
        raise refusal
    do = visit.body.text("do") or f"show:{tab_named(visit.body.text('_tab')).slug}"
    subject = subject_of_draft(visit, sent)
    if subject is not None and Level.WRITE in subject.levels:
        editing = from_form(replace(visit, known_subject=subject))
        was = str(visit.request.path_params["sync"])
        if subject.loaded is not None:
            renamed = f"Somebody else has renamed this sync since you opened it: {was} is {subject.name} now."
            editing.say("warn", renamed)
        elif not do.startswith("save"):  # saving says it itself
            editing.say("warn", "Somebody else has deleted this definition since you opened it. Your draft is kept.")
        return act(editing, do)
    if not visit.may_create:
        raise Refusal(_MISSING, refusal.title, _GONE)
    editing = from_form(visit)
    editing.say("warn", _AS_NEW)
    return act(editing, f"show:{editing.tab.slug}" if do.startswith(("save", "delete")) else do)


_MISSING: Final = 404
_GONE: Final = (
    "The sync that you have edited does not exist any more or cannot be read, or you have no right to it any more."
)
_AS_NEW: Final = (
    "The sync that you have edited does not exist any more, or you have no right to it any more. Your draft is kept as "
    "that of a new sync: press Save to make it, and give it another name first if this one is in use."
)


def _draft_of(visit: Visit) -> Draft | None:
    """The draft that a form carries, with what was changed in it; None where it carries none."""
    try:
        return from_form(replace(visit, known_subject=None)).draft if visit.body.text("_text") else None
    except Refusal:
        return None


def _keeping(path: Path) -> Path:
    """A route whose forms carry a draft: a page that refuses, or says what failed, shows it."""

    def answer(visit: Visit) -> Response:
        visit.request.state.draft = partial(_draft_of, visit)
        return path.answer(visit)

    def refused(visit: Visit, refusal: Refusal) -> Response:
        visit.request.state.draft = partial(_draft_of, visit)
        return _go_on(visit, refusal)

    return replace(path, answer=answer, refused=refused)


def _versions(visit: Visit) -> Response:
    loaded = visit.subject.loaded
    if loaded is None:
        raise not_found()
    before = visit.query("before")
    # One more than the page shows: the last one is shown with what it changed, too.
    found = visit.app.wiring.definition_files.versions(file_of(loaded), VERSIONS_SHOWN + 1, before=before)
    pairs = [(new, difference((old or new).text, new.text)) for new, old in zip_longest(found, found[1:])]
    shown = pairs[:VERSIONS_SHOWN]
    older = shown[-1][0].id if len(pairs) > len(shown) else ""
    return visit.page("versions.html", name=visit.sync, versions=shown, older=older, is_first=not before)


ROUTES: Final[Sequence[Path]] = (
    Path(path="/new", answer=making.show, need=Need.CREATE),
    Path(path="/new", answer=making.make, need=Need.CREATE, method="POST", most_bytes=MOST_UPLOADED),
    _keeping(Path(path="/new/edit", answer=_act, need=Need.CREATE, method="POST", most_bytes=MOST_UPLOADED)),
    Path(path="/syncs/{sync}/edit", answer=_edit, need=Need.SOME),
    Path(path="/syncs/{sync}/edit/{tab}", answer=_edit, need=Need.SOME),
    _keeping(Path(path="/syncs/{sync}/edit", answer=_act, need=Need.WRITE, method="POST", most_bytes=MOST_UPLOADED)),
    Path(path="/syncs/{sync}/versions", answer=_versions, need=Need.SOME),
    *map(_keeping, SECRETS),
    *API,
    *SECRETS_API,
)
