"""Files that a person gives as a source: kept beside the definitions of a laptop."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from console.web.refusals import Refusal
from console.web.visit import Visit
from shared.deployment import is_deployed
from shared.errors import UserError

__all__ = ["FOLDER", "MOST_UPLOADED", "can_upload", "keep_upload"]

FOLDER: Final = "data"
MOST_UPLOADED: Final = 50_000_000  # bytes of a file
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


def can_upload(visit: Visit) -> bool:
    """Whether files can be given: the definitions are in a folder of this machine."""
    return not is_deployed(visit.app.variables()) and "://" not in visit.app.settings.sync_definitions


def keep_upload(visit: Visit) -> str:
    """Keep the file that was sent, and return its path; one with the same name and content is used as it is.

    Raises:
        Refusal: The app is deployed.
        UserError: No file was sent, or it cannot be kept.
    """
    if not can_upload(visit):
        raise Refusal(
            403, "No files here", "Put the file into storage, and write its URL, such as abfs://container/file.csv."
        )
    upload = visit.body.files.get("upload")
    if upload is None or not upload.data:
        raise UserError("choose a file that is not empty")
    name = _UNSAFE.sub("_", upload.name.replace("\\", "/").rpartition("/")[2]).lstrip("._") or "file"
    folder = Path(visit.app.settings.sync_definitions) / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = _free(folder, name[-100:], upload.data)
        path.write_bytes(upload.data)
    except OSError as error:
        raise UserError(f"the file cannot be kept in {folder}: {error.strerror}") from error
    visit.note(f"gave the file {path.name}")
    return str(path)


def _free(folder: Path, name: str, data: bytes) -> Path:
    """A path that no other file has."""
    stem, dot, ending = name.partition(".")
    for number in range(1, 1000):
        path = folder / (name if number == 1 else f"{stem}-{number}{dot}{ending}")
        if not path.exists() or (path.is_file() and path.read_bytes() == data):
            return path
    raise UserError(f"there are too many files named {name} in {folder}: give it another name")
