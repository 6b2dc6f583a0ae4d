"""Definitions in a folder of this machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.app.definition_files.places import FileChangedError, FileContent
from shared.app.definition_files.whole import write_whole
from shared.definitions.loading.folders import MOST_BYTES
from shared.errors import UserError

__all__ = ["LocalPlace"]


class LocalPlace:
    """A local folder.

    Args:
        folder: The folder; it is made with the first file.
        read_only: Why nothing can be written; empty where files can be written.
    """

    def __init__(self, folder: Path, read_only: str = "") -> None:
        self._folder = folder
        self._read_only = read_only

    @property
    def shown(self) -> str:
        """The path."""
        return str(self._folder)

    @property
    def read_only(self) -> str:
        """See `Place`."""
        return self._read_only

    def names(self, folder: str) -> list[str]:
        """See `Place`."""
        path = self._folder / folder
        return sorted(each.name for each in path.iterdir() if each.is_file()) if path.is_dir() else []

    def read(self, name: str) -> FileContent | None:
        """See `Place`."""
        path = self._folder / name
        if not path.is_file():
            return None
        try:
            with path.open("rb") as file:
                content = file.read(2 * MOST_BYTES + 1)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from error
        if len(content) > 2 * MOST_BYTES:  # a kept version has some bytes around the text
            raise UserError(f"{path} is larger than {MOST_BYTES:,} bytes, the limit for a definition")
        return FileContent(content=content, version=_version(content))

    def write(self, name: str, content: bytes, expected: str | None) -> str:
        """See `Place`."""
        path = self._folder / name
        with _explained(path), self._locked():
            self._check(name, expected)
            write_whole(path, content)
        return _version(content)

    def remove(self, name: str, expected: str) -> None:
        """See `Place`."""
        with _explained(self._folder / name), self._locked():
            self._check(name, expected)
            (self._folder / name).unlink()

    def _check(self, name: str, expected: str | None) -> None:
        held = self.read(name)
        if (held.version if held else None) != expected:
            raise FileChangedError

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes of this machine from writing between the look and the write."""
        self._folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
