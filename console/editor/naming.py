"""Whether a person may give a name to a sync: what is kept of a sync belongs to its name, also when it is deleted.

A name is given under a lease, and looked at again there: between a check and the writing, another one may take it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from console.access.person import ADMIN
from console.access.rights import Level
from console.editor.asking import DRAFT_ACTIONS
from console.editor.draft import Checked, Draft, check, hidden_sync, in_use
from console.editor.rows import value_at
from console.editor.saved import deleted_definition
from console.web.subjects import levels_for
from console.web.visit import Visit
from shared.app.editing.renaming import renaming
from shared.definitions.models.base import SYNC_NAME
from shared.errors import DefinitionError, Problem
from shared.state import JobKind, StateStore

__all__ = ["check_with_name", "is_taken", "name_in", "naming"]

_ENTRIES: Final = 50  # of the audit log, read at a time
_MOST_READ: Final = 20  # times; a name of which people have asked more questions is not free
_QUESTIONS: Final = frozenset({JobKind.PREVIEW, JobKind.TEST})


def check_with_name(visit: Visit, draft: Draft) -> Checked:
    """Find the mistakes of a draft that is to be saved or tried out; one is a name that is not free.

    Args:
        visit: Who saves or tries it.
        draft: The draft; that of a new sync has the file of its name.
    """
    checked, name = check(visit, draft), name_in(draft)
    if not name or not is_taken(visit, name, draft):
        return checked
    problem = Problem(message=in_use(name), path="name")
    placed = checked.drafted.loaded.placed([problem]) if checked.drafted else (problem,)
    others = [each for each in checked.problems if each.path != "name"]
    return replace(checked, problems=(*placed, *others))


def name_in(draft: Draft) -> str:
    """The name that a text gives to its sync; empty where it gives none that a sync can have."""
    name = value_at(draft.data, ("name",))
    return name if isinstance(name, str) and re.fullmatch(SYNC_NAME, name) else ""


@contextmanager
def naming(visit: Visit, draft: Draft, name: str, *, is_new: bool = False) -> Iterator[None]:
    """Save a draft in the block; see `renaming`. A name that the sync does not have yet is given to no other meanwhile.

    Args:
        visit: Who saves; its subject, if any, has its own name.
        draft: What is saved.
        name: The name that the draft gives.
        is_new: Whether the draft has no file so far.

    Raises:
        RenameRefusedError: The name cannot be given now.
        DefinitionError: It was given to another sync since it was checked, or something else is wrong now.
        RetryLater: The state store or the storage is away.
    """

    def look_again() -> None:
        visit.app.wiring.repository.look_again()
        stored = visit.app.wiring.definition_files.read(draft.file)
        if stored is not None and stored.text == draft.text:  # it was sent twice: writing it says so
            return
        if problems := check_with_name(visit, draft).problems:
            raise DefinitionError(problems)

    def names() -> set[str]:
        return {each.name for each in visit.app.definitions()}

    old = visit.sync if visit.known_subject else name
    with renaming(visit.app.state, old, name, look_again=look_again, is_new=is_new, names=names):
        yield


def is_taken(visit: Visit, name: str, draft: Draft) -> bool:
    """Whether a person may not give this name to the sync of a draft.

    Runs with their rows, plans, histories, versions and entries of the audit log belong to a name: whoever takes it
    sees them. So the name of a sync that is hidden from the person is not free, nor is that of one that was deleted,
    unless the person is `Sync.Admin`, or had `admin` by its last text.

    Args:
        visit: Whoever saves; its subject, if any, has its own name.
        name: The name. One that no sync can have is a mistake that other checks report.
        draft: The draft that has the name.

    Raises:
        RetryLater: The state store or the storage is away.
    """
    subject = visit.known_subject
    if (subject is not None and subject.name == name) or not re.fullmatch(SYNC_NAME, name):
        return False
    if hidden_sync(visit, name, draft.file):
        return True
    files, is_new = visit.app.wiring.definition_files, subject is None
    if is_new and (stored := files.read(draft.file)) is not None:
        return stored.text != draft.text  # the same text was sent twice
    if visit.person.has(ADMIN) or _was_admin(visit, name):
        return False
    return bool(is_new and files.versions(draft.file, 1)) or any(_remains(visit.app.state, name))


def _was_admin(visit: Visit, name: str) -> bool:
    """Whether the last text of a sync that was deleted here gives the person all rights."""
    found = deleted_definition(visit, f"{name}.yaml")
    return found is not None and found.name == name and Level.ADMIN in levels_for(visit.person, found)


def _remains(state: StateStore, name: str) -> Iterator[bool]:
    """Whether anything is kept of a sync, one question after the other."""
    yield bool(state.runs(name, 1))
    yield _has_entries(state, name)
    yield any(job.request.sync == name and job.request.kind not in _QUESTIONS for job in state.open_jobs())
    yield state.watermark(name) is not None
    yield state.ledger(name) is not None
    yield state.mirror(name) is not None
    yield bool(state.dead_letters(name, limit=1))
    yield name in state.pauses()


def _has_entries(state: StateStore, name: str) -> bool:
    """Whether people have done anything but ask about drafts of this name, which need not have been saved."""
    before = None
    for _ in range(_MOST_READ):
        entries = state.audit(name, _ENTRIES, before=before)
        if any(entry.action not in DRAFT_ACTIONS for entry in entries):
            return True
        if len(entries) < _ENTRIES:
            return False
        before = entries[-1].at
    return True
