"""The form that writes a secret: a page of its own between two pages of the editor, which carries the draft."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from console.editor.editing import Editing, from_form, take_form
from console.editor.forms.reading import Sent
from console.editor.forms.widgets import Kind, Widget
from console.editor.secrets.writing import Wanted, vault_of, write_secret
from console.editor.tabs import widgets_of
from console.web.needs import Need
from console.web.refusals import Refusal, not_found
from console.web.routing import Path
from console.web.visit import Visit
from shared.definitions.models.base import SYNC_NAME
from shared.errors import SyncError

__all__ = ["ROUTES", "ask_for_secret"]

_NO_NAME: Final = re.compile(r"[^0-9A-Za-z-]+")
_MOST_NAME: Final = 127
_VALUE: Final = "_value"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What the form shows. The value is never among it.

    Attributes:
        field: The field of the definition that gets the reference, by its name.
        label: The same for people.
        name: Of the secret.
        replace: Whether to replace one that has this name.
        problem: Why nothing was written.
    """

    field: str
    label: str
    name: str
    replace: bool = False
    problem: str = ""


def ask_for_secret(editing: Editing, field: str) -> Response:
    """Show the form for a field of the draft; the tab again where that would lose another field.

    Raises:
        Refusal: There is no vault or no such field, or the person may not write secrets.
    """
    vault = vault_of(editing.visit)
    _check_may(editing)
    widget = _widget(editing, field)
    if editing.stays_open():
        return editing.page()
    there = widget.text.removeprefix(f"{vault.vault}/secrets/") if widget.chosen == "key_vault" else ""
    known = there if there != widget.text and not _NO_NAME.search(there) else ""
    words = [editing.name, *(part for part in field.split(".")[1:] if not part.isdecimal())]
    name = known or _NO_NAME.sub("-", "-".join(words).replace("_", "-"))[:_MOST_NAME].strip("-")
    return _page(editing, _Form(field=field, label=widget.label, name=name, replace=bool(known)))


def _write(visit: Visit) -> Response:
    """Write the secret, and go on in the editor with its reference in the field."""
    vault_of(visit)
    editing, body = from_form(visit), visit.body
    _check_may(editing)
    field, name, replace = body.text("_field"), body.text("_name").strip(), bool(body.text("_replace"))
    widget = _widget(editing, field)
    wanted = Wanted(name=name, value=body.text(_VALUE), replace=replace, sync=_sync(editing))
    try:
        written = write_secret(visit, wanted)
    except (Refusal, SyncError) as error:
        said = error.detail if isinstance(error, Refusal) else error.message
        return _page(editing, _Form(field=field, label=widget.label, name=name, replace=replace, problem=said))
    editing.sent = Sent({f"{field}.kind": ["key_vault"], field: [written.reference]})
    take_form(editing)
    done = "The secret" if written.is_new else "A new version of the secret"
    editing.say("good", f"{done} `{name}` is in the vault. The field *{widget.label}* has its reference: save it.")
    return editing.page()


def _check_may(editing: Editing) -> None:
    if not editing.may_write_secrets:
        raise Refusal(403, "Not allowed", editing.read_only or "This needs the right `admin` to the sync.")


def _widget(editing: Editing, field: str) -> Widget:
    everything = [each for widget in widgets_of(editing.tab, editing.draft.data) for each in widget.walk()]
    for each in everything:
        if each.kind is Kind.SECRET and each.name == field:
            return each
    raise not_found()


def _sync(editing: Editing) -> str:
    """The sync that the secret is for: one that was never saved has the name that its text gives."""
    if not editing.is_new:
        return editing.visit.sync
    data: Any = editing.draft.data
    name = data.get("name") if isinstance(data, dict) else None
    if not isinstance(name, str) or not re.fullmatch(SYNC_NAME, name):
        raise Refusal(422, "Without a name", "Give the sync a name first, on the tab Info.")
    return name


def _page(editing: Editing, form: _Form) -> Response:
    vault = vault_of(editing.visit).vault
    return editing.visit.page(
        "secret.html",
        editing=editing,
        draft=editing.draft,
        tab=editing.tab,
        name=editing.name,
        vault=vault.partition("://")[2],
        form=form,
        most=_MOST_NAME,
    )


ROUTES: Final[Sequence[Path]] = (
    Path(path="/new/secrets", answer=_write, need=Need.CREATE, method="POST"),
    Path(path="/syncs/{sync}/secrets", answer=_write, need=Need.ADMIN, method="POST"),
)
