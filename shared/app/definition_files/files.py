"""Definitions as people edit them: nobody overwrites what another one has saved, and every version is kept."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from shared.app.definition_files.places import FileChangedError, FileContent, Place
from shared.definitions.loading.folders import MOST_BYTES
from shared.errors import SyncError, UserError

__all__ = ["Author", "DefinitionChangedError", "DefinitionFiles", "KeptVersion", "StoredText"]

log = logging.getLogger(__name__)

VERSIONS: Final = ".versions"
"""The subfolder of the versions: repositories do not read subfolders."""
MOST_VERSIONS: Final = 100
"""Versions of a file that are kept."""
_NAME: Final = re.compile(r"(?!\.)[^/\\\x00-\x1f]{1,200}\.ya?ml")
_ID: Final = re.compile(r"[0-9]{8}T[0-9]{12}Z-[0-9a-f]{12}")
Action = Literal["found", "created", "saved", "deleted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who changes a definition."""

    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredText:
    """A definition as it is stored.

    Attributes:
        file: Name of its file.
        version: Names this text: an ETag, or a SHA-256.
    """

    file: str
    text: str = field(repr=False)
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptVersion:
    """A text that a file had, or, where it was deleted, its last one.

    Attributes:
        id: Names it; later versions have greater ids.
        by: Who wrote it; without id where it was written elsewhere, and only found.
    """

    id: str
    at: datetime
    by: Author
    action: Action
    text: str = field(repr=False)


class DefinitionChangedError(UserError):
    """Somebody else has saved or deleted the definition meanwhile; nothing was written.

    Attributes:
        now: The definition as it is; None where it was deleted.
    """

    def __init__(self, file: str, now: StoredText | None) -> None:
        what = "changed" if now else "deleted"
        super().__init__(f"somebody else has {what} {file} meanwhile: your text was not saved")
        self.now = now


class DefinitionFiles:
    """The files of a place.

    Args:
        place: Where they are.
        look_again: Called after each change, so that the change is seen at once.
        now: Gives the time (aware, UTC).
    """

    def __init__(
        self,
        place: Place,
        look_again: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._place = place
        self._look_again = look_again
        self._now = now

    @property
    def place(self) -> str:
        """The path or URL of the folder."""
        return self._place.shown

    @property
    def read_only(self) -> str:
        """Why nothing can be changed, and what to do; empty where definitions can be changed."""
        return self._place.read_only

    def read(self, file: str) -> StoredText | None:
        """A definition; None where there is no such file.

        Raises:
            UserError: It cannot be read.
            RetryLater: The storage is unavailable.
        """
        held = self._place.read(_checked(file))
        return _stored(file, held) if held else None

    def write(
        self, file: str, text: str, *, expected: str | None, by: Author, note: Callable[[], None] = lambda: None
    ) -> StoredText:
        """Save a definition and note elsewhere that it was saved, or do neither.

        Args:
            file: Name of the file.
            text: Its whole text.
            expected: The version that was edited; None for a new file.
            by: Who saves it.
            note: Called when the file has the text: if it fails, the file gets back what it had.

        Raises:
            DefinitionChangedError: The file has another version.
            UserError: Nothing can be written, or the text is too large.
            RetryLater: The storage is unavailable.
            SyncError: That of `note`, which then says whether the file is as it was.
        """
        content = text.encode()
        if len(content) > MOST_BYTES:
            raise UserError(f"a definition has at most {MOST_BYTES:,} bytes, and this one has {len(content):,}")
        before = self._expected(file, expected)
        if before is not None:
            self._keep_found(file, before)
        known = self._ids(file)
        try:
            version = self._place.write(file, content, expected)
        except FileChangedError:
            raise DefinitionChangedError(file, self.read(file)) from None
        with self._noted(file, before, version, known):
            self._keep(file, text, "saved" if before else "created", by)
            note()
        return StoredText(file=file, text=text, version=version)

    def delete(self, file: str, *, expected: str, by: Author, note: Callable[[], None] = lambda: None) -> None:
        """Delete a definition and note it elsewhere, or do neither, as `write` does; its versions stay.

        Raises:
            DefinitionChangedError: The file has another version.
            UserError: Nothing can be written.
            RetryLater: The storage is unavailable.
            SyncError: That of `note`.
        """
        before = self._expected(file, expected)
        if before is not None:
            self._keep_found(file, before)
        known = self._ids(file)
        try:
            self._place.remove(file, expected)
        except FileChangedError:
            raise DefinitionChangedError(file, self.read(file)) from None
        with self._noted(file, before, None, known):
            self._keep(file, before.text if before else "", "deleted", by)
            note()

    def versions(self, file: str, limit: int = MOST_VERSIONS, *, before: str = "") -> tuple[KeptVersion, ...]:
        """The latest versions of a file, newest first.

        Args:
            file: Name of the file.
            limit: How many, at most.
            before: Only versions that are older than the one of this id; all where it is empty.

        Raises:
            UserError: `file` is no name of such a file.
            RetryLater: The storage is unavailable.
        """
        ids = [each for each in self._ids(file) if not before or each < before]
        ids = ids[-limit:][::-1] if limit else []
        return tuple(found for each in ids if (found := self.version(file, each)) is not None)

    def version(self, file: str, version_id: str) -> KeptVersion | None:
        """One version of a file; None where there is none."""
        if not _ID.fullmatch(version_id):
            return None
        held = self._place.read(_path(file, version_id))
        return _kept(version_id, held) if held else None

    def deleted(self, file: str) -> KeptVersion | None:
        """The last text of a file that was deleted here; None where the file is there, or was deleted elsewhere.

        Raises:
            UserError: It is no name of such a file.
            RetryLater: The storage is unavailable.
        """
        newest = self.versions(file, 1) if self.read(file) is None else ()
        return newest[0] if newest and newest[0].action == "deleted" else None

    def _expected(self, file: str, expected: str | None) -> StoredText | None:
        """The file as it is, if it is the one that is expected."""
        if self.read_only:
            raise UserError(self.read_only)
        now = self.read(file)
        if (now.version if now else None) != expected:
            raise DefinitionChangedError(file, now)
        return now

    @contextmanager
    def _noted(
        self, file: str, before: StoredText | None, version: str | None, known: Collection[str]
    ) -> Iterator[None]:
        """Note a change in the block: if that fails, the file is put back, unless somebody has changed it since.

        Args:
            file: Name of the file.
            before: What it had; None where there was none.
            version: What it has; None where it was deleted.
            known: The ids of its versions before the change.
        """
        try:
            yield
        except SyncError as error:
            said = "nothing was changed"
            try:
                self._put_back(file, before, version)
            except (FileChangedError, SyncError):
                log.exception("%s was changed, and the change could not be noted", file)
                said = f"{file} was changed all the same, and the change may be noted nowhere"
            else:
                with suppress(FileChangedError, SyncError):
                    self._remove_versions(file, set(self._ids(file)).difference(known))
            error.say_too(said)
            raise
        finally:
            self._look_again()

    def _put_back(self, file: str, before: StoredText | None, version: str | None) -> None:
        if before is not None:
            self._place.write(file, before.text.encode(), version)
        elif version is not None:
            self._place.remove(file, version)

    def _keep_found(self, file: str, now: StoredText) -> None:
        """Keep a text that was not written here: nothing that is replaced is lost."""
        newest = self.versions(file, 1)
        if not newest or newest[0].action == "deleted" or newest[0].text != now.text:
            self._keep(file, now.text, "found", Author())

    def _keep(self, file: str, text: str, action: Action, by: Author) -> None:
        at = self._now()
        mark = hashlib.sha256(f"{action} {text}".encode()).hexdigest()[:12]
        value = {"at": at.isoformat(), "by": by.id, "name": by.name, "action": action, "text": text}
        try:
            path = _path(file, f"{at:%Y%m%dT%H%M%S%f}Z-{mark}")
            self._place.write(path, json.dumps(value, ensure_ascii=False).encode(), None)
        except FileChangedError:  # the same text at the same moment is the same version
            return
        self._remove_versions(file, self._ids(file)[:-MOST_VERSIONS])

    def _remove_versions(self, file: str, ids: Iterable[str]) -> None:
        for each in ids:
            if (held := self._place.read(_path(file, each))) is not None:
                self._place.remove(_path(file, each), held.version)

    def _ids(self, file: str) -> list[str]:
        """The ids of the versions of a file, the oldest first."""
        names = self._place.names(f"{VERSIONS}/{_checked(file)}")
        return [name.removesuffix(".json") for name in names if _ID.fullmatch(name.removesuffix(".json"))]


def _checked(file: str) -> str:
    if not _NAME.fullmatch(file):
        raise UserError(f"{file}: the file of a definition has a name such as customers.yaml")
    return file


def _path(file: str, version_id: str) -> str:
    return f"{VERSIONS}/{_checked(file)}/{version_id}.json"


def _stored(file: str, held: FileContent) -> StoredText:
    if len(held.content) > MOST_BYTES:
        raise UserError(f"{file} is larger than {MOST_BYTES:,} bytes, the limit for a definition")
    try:
        return StoredText(file=file, text=held.content.decode(), version=held.version)
    except UnicodeDecodeError:
        raise UserError(f"{file} is not UTF-8 text, so it cannot be edited here") from None


def _kept(version_id: str, held: FileContent) -> KeptVersion | None:
    try:
        value: dict[str, Any] = json.loads(held.content)
        by = Author(id=value["by"], name=value["name"])
        at = datetime.fromisoformat(value["at"])
        return KeptVersion(id=version_id, at=at, by=by, action=value["action"], text=value["text"])
    except (ValueError, KeyError, TypeError):
        return None  # somebody put another file there
