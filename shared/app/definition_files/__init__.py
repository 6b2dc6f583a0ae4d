"""The files of the definitions, for people who edit them: read, written under a condition, with their versions."""

from __future__ import annotations

from shared.app.definition_files.files import (
    Author,
    DefinitionChangedError,
    DefinitionFiles,
    KeptVersion,
    StoredText,
)

__all__ = ["Author", "DefinitionChangedError", "DefinitionFiles", "KeptVersion", "StoredText"]
