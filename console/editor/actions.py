"""What the buttons of the editor do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from pydantic import ValidationError
from starlette.responses import Response

from console.access.rights import Level, levels_of
from console.audit.compared import difference
from console.editor.asking import answer_of, ask, waited_for
from console.editor.draft import Checked, check, in_use
from console.editor.editing import Answer, Editing
from console.editor.mapping import mapping_for, mappings_of
from console.editor.naming import check_with_name, name_in, naming
from console.editor.rows import ROW_ACTIONS, append, change, turn, value_at
from console.editor.saved import author
from console.editor.secrets.form import ask_for_secret
from console.editor.tabs import tab_named
from console.uploads.keeping import keep_upload
from console.web.refusals import Refusal
from shared.app.definition_files import DefinitionChangedError
from shared.app.editing.environment import EnvironmentOf
from shared.app.editing.renaming import RenameRefusedError
from shared.app.editing.sources import found_columns
from shared.counted import counted
from shared.definitions.models import Permissions
from shared.drafts.editing import EditRefusedError, Set, edited
from shared.errors import DefinitionError, SyncError
from shared.state import JobKind

__all__ = ["act", "with_admin"]

_MOST_OF_A_PATH: Final = 1000  # characters
_SECONDS: Final = 8.0  # that a page waits for an answer; afterwards it looks again


def act(editing: Editing, do: str) -> Response:
    """Do what a button says.

    Args:
        editing: The state; it is changed.
        do: The name of the action and, behind a colon, what it is about.
    """
    name, _, about = do.partition(":")
    try:
        answer = _ACTIONS.get(name, _show)(editing, about)
    except EditRefusedError as error:
        editing.say("bad", f"Nothing was changed: {error.message}.")
        answer = None
    except SyncError as error:
        editing.say("bad", error.message)
        answer = None
    if editing.answer is not None and editing.answer.value is None:
        _look(editing)
    return answer or editing.page()


def _show(editing: Editing, about: str) -> None:
    """Show a tab and, behind a colon, the place of a mistake in it."""
    tab, _, path = about.partition(":")
    if tab and (tab == editing.tab.slug or not editing.stays_open()):
        editing.tab = tab_named(tab)
    for found in re.finditer(r"\[(\d{1,9})\]", path[:_MOST_OF_A_PATH]):
        name = path[: found.start()].replace("[", ".").replace("]", "")
        editing.pages.go_to(name, int(found[1]))
    if editing.tab.slug == "mapping" and not editing.visit.body.text("_alone"):
        _compare(editing, "")


def _turn(editing: Editing, about: str) -> None:
    """Show another page of a list."""
    turn(editing, about)
    _show(editing, "")


# -- What the environment and the source know ------------------------------------------------------------------------


def _environment(editing: Editing) -> EnvironmentOf | None:
    return EnvironmentOf(app=editing.visit.app, data=editing.draft.data) if editing.may_connect() else None


def _tables(editing: Editing, _about: str) -> None:
    if (environment := _environment(editing)) is not None:
        editing.more["tables"] = found = environment.tables()
        editing.say("good", f"The environment has {len(found):,} tables: the field Entity proposes them.")


def _table(editing: Editing, _about: str) -> None:
    """Fill in the logical name of the table and its id column."""
    if (environment := _environment(editing)) is not None:
        entity = environment.table()
        change(
            editing,
            Set(path=("destination", "entity"), value=entity.logical_name, after=["type", "connection"]),
            Set(path=("destination", "id_column"), value=entity.primary_id, after=["entity"]),
        )
        editing.say("good", f"{entity.display_name or entity.logical_name}: its id column is {entity.primary_id}.")


def _compare(editing: Editing, _about: str) -> None:
    """Show what the table has beside the mapping."""
    environment = _environment(editing)
    if environment is None:
        return
    try:
        editing.mappings = mappings_of(editing.draft.data, environment.table())
    except SyncError as error:
        editing.say("warn", f"The columns of the table are not known: {error.message}")
        editing.more["alone"] = True


def _match(editing: Editing, about: str) -> None:
    """Map one source column as proposed, or all."""
    environment = _environment(editing)
    if environment is None:
        return
    entity = environment.table()
    made: list[dict[str, Any]] = []
    for proposal in mappings_of(editing.draft.data, entity).open:
        target = proposal.target
        if target is None or (about and proposal.source != about) or (target.refers and len(target.targets) != 1):
            continue
        related = environment.table(target.targets[0]) if target.refers else None
        made.append(mapping_for(proposal, related))
    append(editing, ("destination", "mappings"), made)
    done = len(made)
    editing.mappings = mappings_of(editing.draft.data, entity)
    said = (
        f"{done} {'column was' if done == 1 else 'columns were'} mapped."
        if done
        else "No other column fits by its name."
    )
    editing.say("good" if done else "warn", said)


def _count(editing: Editing, _about: str) -> None:
    if (environment := _environment(editing)) is not None:
        condition = str(value_at(editing.draft.data, ("destination", "filter")) or "")
        number, everything = environment.count(condition), environment.count("")
        more = " or more" if everything >= _MOST_COUNTED else ""
        editing.say("good", f"Dataverse takes the filter. It lets {number:,} of {everything:,}{more} records through.")


_MOST_COUNTED: Final = 5000


def _columns(editing: Editing, _about: str) -> None:
    """Find the columns of the source, with types from its values, and add those that are missing."""
    if not editing.may_connect():
        return
    known = value_at(editing.draft.data, ("source", "columns"))
    names = {each.get("name") for each in known if isinstance(each, dict)} if isinstance(known, list) else set()
    source = value_at(editing.draft.data, ("source",))
    found = found_columns(editing.visit.app, source if isinstance(source, dict) else {})
    added = [item for item in found.columns if item["name"] not in names]
    for key, value in found.source.items():
        if isinstance(source, dict) and key not in source:
            change(editing, Set(path=("source", key), value=value))
    append(editing, ("source", "columns"), added)
    for remark in found.remarks:
        editing.say("warn", remark)
    columns = counted(len(found.columns), "column was found", "columns were found")
    editing.say("good", f"{columns}, and {counted(len(added), 'of them is new', 'of them are new')}.")
    if not editing.stays_open():
        editing.tab = tab_named("columns")


def _upload(editing: Editing, _about: str) -> None:
    path = keep_upload(editing.visit)
    parent = value_at(editing.draft.data, ("source",))
    if isinstance(parent, dict):
        change(editing, Set(path=("source", "path"), value=path, after=["type"]))
    else:
        change(editing, Set(path=("source",), value={"type": "delimited", "path": path}, after=["name", "parameters"]))
    _columns(editing, "")


# -- Checks and questions --------------------------------------------------------------------------------------------


# A missing file of the source is not a mistake in the definition, and files of other hosts are not asked for.
_NO_MISTAKES: Final = (
    "No mistakes were found, also not by Dataverse and in what the source shows without a run. Whether the source can "
    "be read was not checked: Test connection tells it."
)


def _check(editing: Editing, _about: str) -> None:
    if editing.may_connect():
        editing.checked = check(editing.visit, editing.draft, online=True)
        if not editing.checked.problems and not editing.sent.problems:
            editing.say("good", _NO_MISTAKES)
    if editing.tab.slug == "mapping" and not editing.visit.body.text("_alone"):
        _compare(editing, "")


def _test(editing: Editing, _about: str) -> None:
    _ask(editing, JobKind.TEST)


def _preview(editing: Editing, _about: str) -> None:
    _ask(editing, JobKind.PREVIEW)


def _ask(editing: Editing, kind: JobKind) -> None:
    editing.answer = None
    if editing.is_new:
        editing.draft = replace(editing.draft, file=_new_file(editing))
    editing.checked = check_with_name(editing.visit, editing.draft)
    if editing.checked.problems or editing.sent.problems:
        editing.say("bad", "Correct the mistakes first.")
    elif editing.may_connect():
        rows = editing.visit.body.text("_rows")
        job = ask(editing.visit, editing.name, editing.draft, kind, int(rows[:9]) if rows.isdecimal() else 10)
        value = waited_for(editing.visit, editing.name, job.id, _SECONDS)
        editing.answer = Answer(kind=kind.value, job=job.id, value=value)


def _look(editing: Editing, _about: str = "") -> None:
    """Look for the answer to a question that was asked before."""
    if (asked := editing.answer) is not None:
        value = answer_of(editing.visit, editing.name, asked.job)
        editing.answer = Answer(kind=asked.kind, job=asked.job, value=value)


# -- Save and delete -------------------------------------------------------------------------------------------------


def _save(editing: Editing, about: str) -> Response | None:
    if editing.read_only:
        raise Refusal(403, "Not allowed", editing.read_only)
    if refused := editing.refused():
        editing.say("bad", f"Not saved: only a person with the right `admin` may change {', '.join(refused)}.")
        return editing.page()
    if editing.is_new:
        editing.draft = replace(editing.draft, text=with_admin(editing), file=_new_file(editing))
    editing.checked = check_with_name(editing.visit, editing.draft)
    if editing.checked.problems or editing.sent.problems:
        return _with_mistakes(editing)
    if about != "anyway":
        online = check(editing.visit, editing.draft, online=True)
        if online.problems:
            editing.checked, editing.can_save_anyway = online, True
            editing.say("bad", "Not saved: Dataverse or the source says that something is wrong.")
            return editing.page()
    return _stored(editing)


def _with_mistakes(editing: Editing) -> Response:
    editing.say("bad", "Not saved: the definition has mistakes.")
    return editing.page()


def _new_file(editing: Editing) -> str:
    """The file of a sync that was never saved: that of the name that it has now, if this is one."""
    name = name_in(editing.draft)
    return f"{name}.yaml" if name else editing.draft.file


def _stored(editing: Editing) -> Response:
    visit, draft = editing.visit, editing.draft
    files = visit.app.wiring.definition_files
    before = files.read(draft.file)
    note = partial(
        visit.note,
        "saved the definition" if before else "made the sync",
        sync=_name_of(editing),
        after="\n".join(difference(before.text, draft.text)) if before else draft.text,
    )
    try:
        with naming(visit, draft, _name_of(editing), is_new=editing.is_new or editing.is_deleted):
            files.write(draft.file, draft.text, expected=draft.version or None, by=author(visit), note=note)
    except RenameRefusedError as error:
        editing.say("bad", f"Not saved: {error.message}.")
        return editing.page()
    except DefinitionError as error:
        editing.checked = Checked(name=_name_of(editing), problems=error.problems)
        return _with_mistakes(editing)
    except DefinitionChangedError as error:
        if error.now is None or error.now.text != draft.text:  # else it was sent twice
            return _changed_meanwhile(editing, error)
        return _shown_saved(editing)
    return _shown_saved(editing)


def _name_of(editing: Editing) -> str:
    """The name that the text gives."""
    return editing.checked.name if editing.checked else editing.name


def _shown_saved(editing: Editing) -> Response:
    return editing.visit.to(f"/syncs/{_name_of(editing)}/edit/{editing.tab.slug}?saved=1")


def _changed_meanwhile(editing: Editing, error: DefinitionChangedError) -> Response:
    """Tell a person that somebody else was faster, and show what is different."""
    if editing.is_new:  # what is there may be a sync that the person may not see
        editing.say("bad", f"Not saved: {in_use(_name_of(editing))}.")
        return editing.page()
    editing.draft = replace(editing.draft, version=error.now.version if error.now else "")
    if error.now is None:
        editing.say(
            "bad",
            "Not saved: somebody else has deleted this definition since you opened it. Your draft is kept: press Save "
            "again to make the file again, or copy the text from the tab YAML.",
        )
        return editing.page()
    editing.say(
        "bad",
        "Not saved: somebody else has changed this definition since you opened it. Below is what yours would change in "
        "it. Take over what is theirs, or press Save again to replace it.",
        difference(error.now.text, editing.draft.text),
    )
    return editing.page()


def with_admin(editing: Editing) -> str:
    """The text of a new definition, in which the person who makes it may do everything."""
    person, held = editing.visit.person, value_at(editing.draft.data, ("permissions",))
    try:
        permissions = Permissions.model_validate(held or {})
    except ValidationError:  # it is a mistake that is shown
        return editing.draft.text
    if Level.ADMIN in levels_of(person, permissions):
        return editing.draft.text
    value: dict[str, Any] = {"admin": [*permissions.admin, person.id]}
    if isinstance(held, dict) and held:
        return edited(editing.draft.text, [Set(path=("permissions", "admin"), value=value["admin"])])
    return edited(editing.draft.text, [Set(path=("permissions",), value=value)])


def _delete(editing: Editing, _about: str) -> Response | None:
    visit, draft = editing.visit, editing.draft
    if editing.is_new or editing.read_only or not visit.may(Level.ADMIN):
        raise Refusal(403, "Not allowed", editing.read_only or "This needs the right `admin` to the sync.")
    if visit.body.text("_sure") != draft.file:
        editing.say("warn", "Nothing was deleted: tick the box beside the button first.")
        return None
    files = visit.app.wiring.definition_files
    before = files.read(draft.file)
    note = partial(visit.note, "deleted the definition", before=before.text if before else "")
    try:
        files.delete(draft.file, expected=draft.version, by=author(visit), note=note)
    except DefinitionChangedError as error:
        return _changed_meanwhile(editing, error)
    return visit.to("/")


_ACTIONS: Final[Mapping[str, Callable[[Editing, str], Response | None]]] = {
    "show": _show,
    **ROW_ACTIONS,
    "tables": _tables,
    "table": _table,
    "compare": _compare,
    "match": _match,
    "count": _count,
    "columns": _columns,
    "upload": _upload,
    "check": _check,
    "test": _test,
    "preview": _preview,
    "turn": _turn,
    "look": _look,
    "secret": ask_for_secret,
    "save": _save,
    "delete": _delete,
}
