"""A new sync: its name, its source and its table; then the editor has its first draft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from console.editor.actions import with_admin
from console.editor.draft import Draft
from console.editor.editing import Editing
from console.editor.naming import is_taken
from console.editor.tabs import tab_named
from console.uploads.keeping import can_upload, has_upload, keep_upload, upload_path
from console.web.bodies import Body
from console.web.visit import Visit
from shared.app.editing.sources import found_columns
from shared.app.environments import SERVICE_URL, chosen_environment
from shared.app.setting_up import DraftRequest
from shared.definitions.loading.loaded import LoadedConnection
from shared.definitions.models import DynamicsConnection
from shared.definitions.models.base import mistake_in_name
from shared.drafts.yaml_text import yaml_text
from shared.errors import SyncError, UserError
from shared.jobs.setting_up.drafting import text_of
from shared.sources.first_look import connection_source

__all__ = ["make", "show"]


@dataclass(slots=True, kw_only=True)
class Asked:
    """What was filled in."""

    name: str = ""
    source: str = ""
    table: str = ""
    entity: str = ""
    connection: str = ""
    problems: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, body: Body) -> Asked:
        """The fields of the form."""
        return cls(
            name=body.text("name").strip(),
            source=body.text("source").strip(),
            table=body.text("table").strip(),
            entity=body.text("entity").strip(),
            connection=body.text("connection").strip(),
        )


def show(visit: Visit, asked: Asked | None = None) -> Response:
    """The form."""
    asked = asked or Asked()
    files = visit.connections if visit.app.definitions() is not None else ()
    return visit.page(
        "new.html",
        asked=asked,
        can_upload=can_upload(visit),
        upload_path=upload_path(visit),
        sources=sorted(file.name for file in files),
        environments=_environments(files),
        default=_default(visit, files),
        read_only=visit.app.wiring.definition_files.read_only,
    )


def make(visit: Visit) -> Response:
    """The editor with a first draft, or the form with what is wrong."""
    body = visit.body
    asked = Asked.of(body)
    _check_name(visit, asked)
    _check_table(visit, asked)
    if not asked.problems and has_upload(visit):
        asked.source = keep_upload(visit)
    if not asked.problems and body.text("do") == "first":
        _check_rest(asked)
    if asked.problems:
        return show(visit, asked)
    try:
        text = _first(visit, asked) if body.text("do") == "first" else _empty(visit, asked)
    except SyncError as error:
        asked.problems["all"] = error.message
        return show(visit, asked)
    draft = Draft(file=f"{asked.name}.yaml", text=text)
    editing = Editing(visit=visit, draft=draft)
    editing.draft = draft.with_text(with_admin(editing))
    editing.tab = tab_named("mapping" if body.text("do") == "first" else "info")
    editing.say("good", "This is a first draft. Nothing is saved yet: look at each tab, then press Save.")
    return editing.page()


def _check_name(visit: Visit, asked: Asked) -> None:
    if mistake := mistake_in_name(asked.name):
        asked.problems["name"] = mistake
    elif any(each.name == asked.name for each in visit.app.definitions()) or is_taken(
        visit, asked.name, Draft(file=f"{asked.name}.yaml", text="")
    ):
        asked.problems["name"] = "this name is in use: choose another one"


def _check_rest(asked: Asked) -> None:
    if not asked.source:
        asked.problems["source"] = "write a path, a URL or the name of a connection, or choose a file"
    if not asked.entity:
        asked.problems["entity"] = "write the name of the table, such as account"


def _check_table(visit: Visit, asked: Asked) -> None:
    if asked.table and (has_upload(visit) or asked.source not in {file.name for file in visit.connections}):
        asked.problems["table"] = "this is for a source that is a connection: write the name of one as the source"


def _first(visit: Visit, asked: Asked) -> str:
    """Columns typed from the data, mappings matched by their names."""
    wanted = DraftRequest(
        name=asked.name,
        source=asked.source,
        entity=asked.entity,
        table=asked.table or None,
        connection=asked.connection or None,
    )
    return text_of(visit.app.setting_up.draft(wanted))


def _empty(visit: Visit, asked: Asked) -> str:
    """A draft that is filled in by hand; with the columns of the source, where it can be read.

    Raises:
        UserError: The source is a connection that has mistakes.
    """
    source = _source(visit, asked)
    if asked.source:
        try:
            found = found_columns(visit.app, source)
            source = {**found.source, "columns": list(found.columns)}
        except SyncError:  # the tab of the source says what is wrong with it
            source["columns"] = []
    destination, parameters = _environment(visit, asked)
    destination = {"type": "dynamics", **destination} | ({"entity": asked.entity} if asked.entity else {})
    return yaml_text(
        {
            "name": asked.name,
            **({"parameters": parameters} if parameters else {}),
            "source": source,
            "destination": destination | {"mappings": []},
            "sync_behaviour": {"sync_key": [], "new": "insert", "changed": "update", "dropped": "ignore"},
        }
    )


def _source(visit: Visit, asked: Asked) -> dict[str, Any]:
    """A connection and what is read from it, else a path."""
    named = {file.name: file.connection for file in visit.connections}
    if asked.source not in named:
        return {"type": "delimited", "path": asked.source}
    if (connection := named[asked.source]) is None:
        raise UserError(f"the connection {asked.source} has mistakes: correct its file first")
    return connection_source(connection, asked.table or None)


def _environment(visit: Visit, asked: Asked) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The keys of the destination for the environment that the form shows, and the parameters that they need."""
    if asked.connection:
        return {"connection": asked.connection}, {}
    try:
        chosen = chosen_environment(visit.connections, visit.app.variables())
    except SyncError:  # none is known, there are several, or the only one needs a parameter, which a person adds
        ours = _environments(visit.connections)
        return ({"connection": ours[0]} if len(ours) == 1 else {}), {}
    return chosen.destination, chosen.parameters


def _default(visit: Visit, files: Sequence[LoadedConnection]) -> str:
    """What the form takes where no environment is chosen, in words."""
    try:
        destination = chosen_environment(files, visit.app.variables()).destination
    except SyncError:
        return "the only connection" if len(_environments(files)) == 1 else "not chosen"
    return str(destination.get("connection", f"that of {SERVICE_URL}"))


def _environments(files: Sequence[LoadedConnection]) -> list[str]:
    """The names of the connections to Dataverse."""
    return sorted(file.name for file in files if isinstance(file.connection, DynamicsConnection))
