"""Files that a person gives as a source: kept in the folder `data` beside the definitions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from console.uploads.addresses import address_path, arrived
from console.web.refusals import Refusal, not_found
from console.web.visit import Visit
from shared.app.definition_files.whole import write_first_free
from shared.app.uploads.announced import FOLDER, numbered_names, safe_name
from shared.deployment import is_deployed
from shared.errors import UserError

if TYPE_CHECKING:
    from shared.app.uploads.source_files import SourceContainer

__all__ = ["MOST_UPLOADED", "can_upload", "has_upload", "keep_arrived", "keep_upload", "upload_path"]

MOST_UPLOADED: Final = 50_000_000  # bytes of a file that goes through the app


def can_upload(visit: Visit) -> bool:
    """Whether files can be given: the definitions are in a folder of this machine, or in a container of the app."""
    return _is_local(visit) or bool(_in_container(visit))


def upload_path(visit: Visit) -> str:
    """Where a page asks for an address in storage for a file; empty where files go through the app."""
    return address_path(visit) if _in_container(visit) else ""


def has_upload(visit: Visit) -> bool:
    """Whether a file was sent, with the form or straight to storage."""
    return "upload" in visit.body.files or bool(visit.body.text("_upload"))


def keep_upload(visit: Visit) -> str:
    """Keep the file that was sent, and return its path or URL.

    Raises:
        Refusal: No file can be kept.
        UserError: No file was sent, or it cannot be kept.
        SyncError: The storage refuses, or is away.
    """
    if not can_upload(visit):
        raise Refusal(
            403, "No files here", "Put the file into storage, and write its URL, such as abfs://container/file.csv."
        )
    path = _kept_locally(visit) if _is_local(visit) else _kept_in_container(visit)
    _note(visit, path)
    return path


def keep_arrived(visit: Visit, upload: str) -> str:
    """Keep a file that was sent straight to storage, and return its URL.

    Raises:
        Refusal: Files are not sent there.
        UserError: It was not signed for this person and this use, or it has not come as announced.
        SyncError: The storage refuses, or is away.
    """
    container = _in_container(visit)
    if container is None:
        raise not_found()
    url = _taken(visit, container, upload)
    _note(visit, url)
    return url


def _note(visit: Visit, path: str) -> None:
    visit.note(f"gave the file {path.replace(chr(92), '/').rpartition('/')[2]}")


def _is_local(visit: Visit) -> bool:
    return not is_deployed(visit.app.variables()) and "://" not in visit.app.settings.sync_definitions


def _in_container(visit: Visit) -> SourceContainer | None:
    return None if _is_local(visit) else visit.app.wiring.source_container


def _sent(visit: Visit) -> tuple[str, bytes]:
    """The name and the content of a file that came with the form."""
    upload = visit.body.files.get("upload")
    if upload is None or not upload.data:
        raise UserError("choose a file that is not empty")
    return safe_name(upload.name), upload.data


def _kept_in_container(visit: Visit) -> str:
    """One that was sent straight to storage, or with the form; a name that is taken gets a number."""
    container = _in_container(visit)
    if container is None:
        raise Refusal(403, "No files here")
    if upload := visit.body.text("_upload"):
        return _taken(visit, container, upload)
    return container.keep(*_sent(visit))


def _taken(visit: Visit, container: SourceContainer, upload: str) -> str:
    file = arrived(visit, upload)
    url = container.take(file)
    file.remove()
    return url


def _kept_locally(visit: Visit) -> str:
    """A file with the same name and content is used as it is."""
    name, data = _sent(visit)
    definitions = Path(visit.app.settings.sync_definitions)
    folder = (definitions.parent if definitions.is_file() else definitions) / FOLDER
    try:
        path = write_first_free(folder, numbered_names(name), data)
    except OSError as error:
        raise UserError(f"the file cannot be kept in {folder}: {error.strerror}") from error
    if path is None:
        raise UserError(f"there are too many files named {name} in {folder}: give it another name")
    return str(path)
