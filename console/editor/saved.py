"""The definition of a sync as it is saved, or was until somebody deleted or renamed it; and who saves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from console.editor.draft import Draft, file_of
from console.web.subjects import Subject, levels_for
from console.web.visit import Visit
from shared.app.definition_files import Author, StoredText
from shared.app.editing.draft_app import with_draft
from shared.definitions import Loaded
from shared.errors import UserError

__all__ = ["author", "deleted_definition", "stored_definition", "subject_of_draft"]

_OPEN: Final = timedelta(days=7)  # as long as a page may have been open: later a deleted sync gives no rights any more


def stored_definition(visit: Visit) -> StoredText | None:
    """The file of the sync of the path; None where it is not among those that can be edited.

    Raises:
        UserError: It cannot be read.
        RetryLater: The storage is away.
    """
    loaded = visit.subject.loaded
    return visit.app.wiring.definition_files.read(file_of(loaded)) if loaded else None


def author(visit: Visit) -> Author:
    """Who saves."""
    return Author(id=visit.person.id, name=visit.person.name)


def subject_of_draft(visit: Visit, draft: Draft) -> Subject | None:
    """What became of the sync of a draft since somebody opened it; the draft's file says which sync it is.

    The file may give it another name now. Where it was deleted here in the last seven days, the last text says who
    may do what: what the draft says counts for nothing, because whoever sends it has written it.

    Args:
        visit: Who asks; the path names a sync that does not exist for the person.
        draft: The draft that was sent.

    Returns:
        The sync of that file with its new name, or as it was, without `loaded`; None where there is neither, or no
        right to it.

    Raises:
        RetryLater: The storage is away.
    """
    try:
        loaded = _renamed(visit, draft)
        found = loaded or deleted_definition(visit, draft.file)
    except UserError:  # the form names a file that no definition has
        return None
    levels = levels_for(visit.person, found) if found else frozenset()
    return Subject(name=found.name, loaded=loaded, levels=levels) if found and levels else None


def _renamed(visit: Visit, draft: Draft) -> Loaded | None:
    return next((each for each in visit.app.definitions() if file_of(each) == draft.file), None)


def deleted_definition(visit: Visit, file: str) -> Loaded | None:
    """The last text of a file that was deleted here in the last seven days, as it would be in the folder now.

    Its name gives no rights if another sync uses it now.

    Raises:
        UserError: It is not the name of a file.
        RetryLater: The storage is away.
    """
    kept = visit.app.wiring.definition_files.deleted(file)
    if kept is None or datetime.now(UTC) - kept.at > _OPEN:
        return None
    return with_draft(visit.app, file, kept.text).loaded
