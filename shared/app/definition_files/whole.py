"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable
from errno import EACCES, EBUSY, EPERM
from pathlib import Path
from typing import Final

__all__ = ["write_first_free", "write_whole"]

# The folder takes no other file, or the file is mounted on its own. The file itself may be writable all the same.
_NO_OTHER_FILE: Final = {EACCES, EBUSY, EPERM}


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it has all of its new content, or what it had before; its folder is made if necessary.

    A link stays one. A device or a pipe is written as it is, and so is a file in a folder that takes no other file.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        target.write_bytes(content)
        return
    partly = target.with_name(f".{target.name}.partly")
    try:
        partly.write_bytes(content)
        if target.exists():
            shutil.copymode(target, partly)
        partly.replace(target)
    except OSError as error:
        partly.unlink(missing_ok=True)
        if error.errno not in _NO_OTHER_FILE or not target.exists():
            raise
        target.write_bytes(content)


def write_first_free(folder: Path, names: Iterable[str], content: bytes) -> Path | None:
    """Write a file under the first name that no other file has, whatever other threads and processes write meanwhile.

    It appears with all of its content, or not at all. A file that has this content already is taken as it is.

    Args:
        folder: Where it is written; it is made if necessary.
        names: Names of files in their order.
        content: What the file gets.

    Returns:
        Its path; None where all names are taken.

    Raises:
        OSError: It cannot be written, or a file of such a name cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partly = folder / f".{uuid.uuid4().hex}.partly"
    try:
        partly.write_bytes(content)
        for path in (folder / name for name in names):
            if _named(partly, path) or (path.is_file() and path.read_bytes() == content):
                return path
        return None
    finally:
        partly.unlink(missing_ok=True)


def _named(file: Path, path: Path) -> bool:
    """Give a file a name; False where the name is taken."""
    try:
        os.link(file, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        return _copied(file, path)
    return True


def _copied(file: Path, path: Path) -> bool:
    """Copy a file to a name; False where the name is taken."""
    try:
        made = path.open("xb")
    except FileExistsError:
        return False
    try:
        with made, file.open("rb") as content:
            shutil.copyfileobj(content, made)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True
