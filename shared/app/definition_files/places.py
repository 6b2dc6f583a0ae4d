"""Where files of definitions are: what each place can do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["FileChangedError", "FileContent", "Place"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContent:
    """The content of a file.

    Attributes:
        version: Names the content: an ETag, or a SHA-256.
    """

    content: bytes = field(repr=False)
    version: str


class FileChangedError(Exception):
    """The file is another one than the caller has read; nothing was written."""


class Place(Protocol):
    """A folder of files. Names are relative to it, with `/` between folders."""

    @property
    def shown(self) -> str:
        """What people call it: a path or URL."""

    @property
    def read_only(self) -> str:
        """Why nothing can be written, and what to do; empty where files can be written."""

    def names(self, folder: str) -> list[str]:
        """The names of the files of a subfolder, without those of its subfolders, in order; empty where it is none.

        Args:
            folder: Empty for the place itself.
        """

    def read(self, name: str) -> FileContent | None:
        """A file; None where there is none.

        Raises:
            UserError: It is larger than a definition may be.
        """

    def write(self, name: str, content: bytes, expected: str | None) -> str:
        """Write a file, and return its new version.

        Args:
            name: The file.
            content: All of it.
            expected: The version that is replaced; None for a file that does not exist yet.

        Raises:
            NotAsExpectedError: It has another version.
        """

    def remove(self, name: str, expected: str) -> None:
        """Remove a file.

        Raises:
            NotAsExpectedError: It has another version than the expected one, or is not there.
        """
