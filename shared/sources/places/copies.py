"""Copies of files in the temporary folder of a run: all that is read of a copy is of one version."""

from __future__ import annotations

import shutil
from pathlib import Path

from shared.sources.files import BLOCK, InputFile
from shared.workspace import writing

__all__ = ["copy_of"]


def copy_of(file: InputFile, copy: Path) -> InputFile:
    """Copy a file as it is stored, and return the copy, which messages call by the same name.

    Args:
        file: The file.
        copy: A path in the temporary folder of the run; its ending tells how the file is compressed.

    Raises:
        UserError: The file cannot be read, or the temporary folder has no room for it.
    """
    with file.stored() as stored, writing(copy.parent), copy.open("wb") as out:
        shutil.copyfileobj(stored, out, BLOCK)
    return InputFile(name=file.name, path=str(copy))
