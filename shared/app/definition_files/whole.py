"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
from errno import EACCES, EBUSY, EPERM
from pathlib import Path
from typing import Final

__all__ = ["write_whole"]

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
