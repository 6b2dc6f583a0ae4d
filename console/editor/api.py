"""The editor for programs: definitions with ETags, versions, checks, and what an environment has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from pydantic import BaseModel
from starlette.responses import Response

from console.access.guarding import guarded_changes
from console.access.rights import Level
from console.audit.compared import difference
from console.editor.actions import with_admin
from console.editor.asking import ask
from console.editor.draft import Checked, Draft, check
from console.editor.editing import Editing
from console.editor.models import (
    VERSIONS_SHOWN,
    AskedJob,
    ColumnList,
    DefinitionText,
    FoundMistakes,
    MadeSync,
    NewSync,
    Question,
    SourceFile,
    TableList,
    UploadedFile,
    VersionList,
)
from console.editor.naming import check_with_name, is_taken, name_in, naming
from console.editor.saved import author, stored_definition
from console.uploads.keeping import keep_arrived
from console.web.conditions import IF_MATCH, expected_version, refusing_changed
from console.web.needs import Need
from console.web.refusals import Refusal, not_found
from console.web.routing import Content, Parameter, Path
from console.web.sent import sent
from console.web.visit import Visit
from shared.app.definition_files import DefinitionChangedError, StoredText
from shared.app.definition_files.files import MOST_VERSIONS
from shared.app.editing.environment import EnvironmentOf
from shared.app.editing.renaming import RenameRefusedError
from shared.definitions.loading.yaml_loader import read_yaml
from shared.entities import AttributeMetadata, EntityMetadata
from shared.errors import AbortRun, DefinitionError
from shared.state import JobKind

__all__ = ["ROUTES"]

_YAML: Final = "application/yaml"
_Model = TypeVar("_Model", bound=BaseModel)


def _stored(visit: Visit) -> StoredText:
    stored = stored_definition(visit)
    if stored is None:
        raise not_found()
    return stored


def _sent(visit: Visit, model: type[_Model]) -> _Model:
    return sent(visit, model, optional=True, status=400)


def _text(visit: Visit) -> str:
    """The YAML of the body."""
    if visit.body.form:  # which curl says by itself
        raise Refusal(415, "Not YAML", f"The body was sent as {visit.body.form}. Send it with Content-Type: {_YAML}.")
    try:
        return visit.body.raw.decode()
    except UnicodeDecodeError:
        raise Refusal(400, "Not a text", "A definition is UTF-8 text.") from None


def _definition(visit: Visit) -> Response:
    stored = _stored(visit)
    return Response(stored.text, media_type=_YAML, headers={"etag": f'"{stored.version}"'})


def _replaced(visit: Visit) -> Response:
    stored, expected = _stored(visit), expected_version(visit)
    draft = Draft(file=stored.file, text=_text(visit), version=expected)
    _check_may(visit, stored.text, draft.text)
    checked = _without_mistakes(check_with_name(visit, draft))
    change = "\n".join(difference(stored.text, draft.text))
    note = partial(visit.note, "saved the definition", sync=checked.name, after=change)
    files, by = visit.app.wiring.definition_files, author(visit)
    with refusing_changed(), naming(visit, draft, checked.name):
        made = files.write(stored.file, draft.text, expected=expected, by=by, note=note)
    return Response(status_code=204, headers={"etag": f'"{made.version}"'})


def _deleted(visit: Visit) -> Response:
    stored, files = _stored(visit), visit.app.wiring.definition_files
    note = partial(visit.note, "deleted the definition", before=stored.text)
    with refusing_changed():
        files.delete(stored.file, expected=expected_version(visit), by=author(visit), note=note)
    return Response(status_code=204)


def _created(visit: Visit) -> Response:
    draft = Draft(file="new.yaml", text=_sent(visit, NewSync).text)
    name = name_in(draft)
    draft = replace(draft, file=f"{name}.yaml") if name else draft
    in_use = Refusal(409, "The name is in use", f"The name {name} is in use: choose another one.")
    if name and is_taken(visit, name, draft):
        raise in_use
    _without_mistakes(check(visit, draft))
    draft = draft.with_text(with_admin(Editing(visit=visit, draft=draft)))
    try:
        made = _made(visit, draft, name)
    except DefinitionChangedError as error:
        raise in_use from error
    except DefinitionError as error:
        raise in_use if any(each.path == "name" for each in error.problems) else error from error
    headers = {"etag": f'"{made.version}"', "location": f"/api/syncs/{name}/definition"}
    return visit.json({"sync": name}, 201, headers)


def _made(visit: Visit, draft: Draft, name: str) -> StoredText:
    files, by = visit.app.wiring.definition_files, author(visit)
    note = partial(visit.note, "made the sync", sync=name, after=draft.text)
    try:
        with naming(visit, draft, name, is_new=True):
            return files.write(draft.file, draft.text, expected=None, by=by, note=note)
    except RenameRefusedError as error:
        raise Refusal(409, "Not saved", f"{error.message}.") from error


def _check_may(visit: Visit, before: str, after: str) -> None:
    if visit.may(Level.ADMIN):
        return
    if keys := guarded_changes(before, after, visit.connections):
        raise Refusal(403, "Not allowed", f"Only a person with the right `admin` may change {', '.join(keys)}.")


def _without_mistakes(checked: Checked) -> Checked:
    if checked.problems:
        raise DefinitionError(checked.problems)
    return checked


def _validated(visit: Visit) -> Response:
    draft = Draft(file="draft.yaml", text=_sent(visit, DefinitionText).text)
    return visit.json(_found(check(visit, draft)))


def _validated_of(visit: Visit) -> Response:
    """With the metadata and the source: the app signs in as the definition says."""
    stored = _stored(visit)
    draft = Draft(file=stored.file, text=_sent(visit, DefinitionText).text)
    _check_may(visit, stored.text, draft.text)
    return visit.json(_found(check(visit, draft, online=True)))


def _found(checked: Checked) -> dict[str, Any]:
    problems = [
        {"message": each.message, "path": each.path, "line": each.line, "column": each.column}
        for each in checked.problems
    ]
    return {"name": checked.name, "valid": not problems, "problems": problems, "warnings": list(checked.warnings)}


def _versions(visit: Visit) -> Response:
    """Some versions, and where the next ones begin."""
    limit = _limit(visit)
    before = visit.query("before")
    found = visit.app.wiring.definition_files.versions(_stored(visit).file, limit + 1, before=before)
    older = found[limit - 1].id if len(found) > limit else None
    listed = [
        {"id": e.id, "at": e.at, "by": e.by.id, "name": e.by.name, "action": e.action, "text": e.text}
        for e in found[:limit]
    ]
    return visit.json({"versions": listed, "older": older})


def _limit(visit: Visit) -> int:
    """How many versions are asked for.

    Raises:
        Refusal: It is not a whole number from 1 to `MOST_VERSIONS`.
    """
    text = visit.query("limit", str(VERSIONS_SHOWN))
    if not re.fullmatch(r"[1-9][0-9]{0,2}", text) or int(text) > MOST_VERSIONS:
        raise Refusal(400, "Not a limit", f"`limit` must be a whole number from 1 to {MOST_VERSIONS}.")
    return int(text)


def _preview(visit: Visit) -> Response:
    return _asked(visit, JobKind.PREVIEW)


def _test(visit: Visit) -> Response:
    return _asked(visit, JobKind.TEST)


def _asked(visit: Visit, kind: JobKind) -> Response:
    question = _sent(visit, Question)
    stored = _stored(visit)
    draft = Draft(file=stored.file, text=stored.text if question.text is None else question.text)
    _check_may(visit, stored.text, draft.text)
    _without_mistakes(check_with_name(visit, draft))
    job = ask(visit, visit.sync, draft, kind, question.rows)
    return visit.json({"job": job.id}, 202, {"location": f"/api/jobs/{job.id}"})


def _kept(visit: Visit) -> Response:
    return visit.json({"path": keep_arrived(visit, sent(visit, UploadedFile).upload)}, 201)


def _environment(visit: Visit) -> EnvironmentOf:
    """That of the sync of the path, or of the connection of the path."""
    if visit.known_subject is not None:
        return EnvironmentOf(app=visit.app, data=read_yaml(_stored(visit).text).value)
    connection = str(visit.request.path_params["connection"])
    return EnvironmentOf(app=visit.app, data={"destination": {"type": "dynamics", "connection": connection}})


def _tables(visit: Visit) -> Response:
    found = _environment(visit).tables()
    return visit.json({"tables": [{"name": e.name, "label": e.label, "id_column": e.id_column} for e in found]})


def _columns(visit: Visit) -> Response:
    entity = _table(_environment(visit), str(visit.request.path_params["table"]))
    return visit.json(
        {
            "table": entity.logical_name,
            "label": entity.display_name,
            "id_column": entity.primary_id,
            "columns": [_column(each) for each in entity.attributes.values()],
        }
    )


def _table(environment: EnvironmentOf, name: str) -> EntityMetadata:
    try:
        return environment.table(name)
    except AbortRun:
        if name not in {each.name for each in environment.tables()}:
            raise not_found() from None
        raise


def _column(attribute: AttributeMetadata) -> dict[str, Any]:
    return {
        "name": attribute.name,
        "label": attribute.display_name,
        "type": str(attribute.type),
        "max_length": attribute.max_length,
        "required": attribute.required,
        "refers_to": list(attribute.targets),
        "options": [{"value": each.value, "labels": list(each.labels)} for each in attribute.choices],
        "writable": attribute.creatable or attribute.updatable,
    }


_DEFINITION: Final = Content(
    media=_YAML, about="The definition; the header `ETag` of an answer has its version.", schema={"type": "object"}
)

ROUTES: Final[Sequence[Path]] = (
    Path(
        path="/api/syncs/{sync}/definition",
        answer=_definition,
        need=Need.SOME,
        summary="The definition of a sync as YAML, with its ETag.",
        gives=_DEFINITION,
    ),
    Path(
        path="/api/syncs/{sync}/definition",
        answer=_replaced,
        need=Need.WRITE,
        method="PUT",
        summary="Replace the definition of a sync: the body is the YAML, and If-Match has the ETag that was read.",
        reads=(IF_MATCH,),
        takes=_DEFINITION,
    ),
    Path(
        path="/api/syncs/{sync}/definition",
        answer=_deleted,
        need=Need.ADMIN,
        method="DELETE",
        summary="Delete the definition of a sync; If-Match has the ETag that was read.",
        reads=(IF_MATCH,),
    ),
    Path(
        path="/api/syncs",
        answer=_created,
        need=Need.CREATE,
        method="POST",
        summary="Make a new sync.",
        takes=NewSync,
        gives=MadeSync,
    ),
    Path(
        path="/api/definitions/validate",
        answer=_validated,
        need=Need.CREATE,
        method="POST",
        summary="The mistakes of a definition, without asking Dataverse.",
        takes=DefinitionText,
        gives=FoundMistakes,
    ),
    Path(
        path="/api/syncs/{sync}/validate",
        answer=_validated_of,
        need=Need.WRITE,
        method="POST",
        summary="The mistakes of another text for a sync, also those that Dataverse and the source know.",
        takes=DefinitionText,
        gives=FoundMistakes,
    ),
    Path(
        path="/api/syncs/{sync}/versions",
        answer=_versions,
        need=Need.SOME,
        summary="The kept versions of a definition, newest first.",
        reads=(
            Parameter(
                name="limit",
                about="How many versions the answer has, at most.",
                schema={"type": "integer", "minimum": 1, "maximum": MOST_VERSIONS, "default": VERSIONS_SHOWN},
            ),
            Parameter(
                name="before",
                about="Only versions that are older than the one of this id: `older` of the answer before.",
            ),
        ),
        gives=VersionList,
    ),
    Path(
        path="/api/syncs/{sync}/preview",
        answer=_preview,
        need=Need.WRITE,
        method="POST",
        summary="Ask what a run of the first rows would do, with what is saved or with another text.",
        takes=Question,
        needs_body=False,
        gives=AskedJob,
    ),
    Path(
        path="/api/syncs/{sync}/test",
        answer=_test,
        need=Need.WRITE,
        method="POST",
        summary="Ask whether everything is there that a sync needs, with what is saved or with another text.",
        takes=Question,
        needs_body=False,
        gives=AskedJob,
    ),
    Path(
        path="/api/syncs/{sync}/files",
        answer=_kept,
        need=Need.WRITE,
        method="POST",
        summary="Keep a file that was sent to an address in storage beside the definitions, for the source of a sync.",
        takes=UploadedFile,
        gives=SourceFile,
    ),
    Path(
        path="/api/syncs/{sync}/tables",
        answer=_tables,
        need=Need.WRITE,
        summary="The tables of the environment of a sync.",
        gives=TableList,
    ),
    Path(
        path="/api/syncs/{sync}/tables/{table}",
        answer=_columns,
        need=Need.WRITE,
        summary="The columns of a table of the environment of a sync, with their options.",
        gives=ColumnList,
    ),
    Path(
        path="/api/environments/{connection}/tables",
        answer=_tables,
        need=Need.CREATE,
        summary="The tables of the environment of a connection.",
        gives=TableList,
    ),
    Path(
        path="/api/environments/{connection}/tables/{table}",
        answer=_columns,
        need=Need.CREATE,
        summary="The columns of a table of the environment of a connection, with their options.",
        gives=ColumnList,
    ),
)
