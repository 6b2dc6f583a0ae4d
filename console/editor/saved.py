"""The definition of a sync as it is saved, and who saves it."""

from __future__ import annotations

from console.editor.draft import file_of
from console.web.visit import Visit
from shared.app.definition_files import Author, StoredText

__all__ = ["author", "stored_definition"]


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
