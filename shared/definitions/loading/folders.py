"""Where definitions are: a folder of this machine, or anywhere that fsspec reaches."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from shared.remote import OpenUrl

__all__ = ["MOST_BYTES", "OF_THE_FILE", "File", "Folder", "folder_at", "is_local"]

# 3,000 columns take 100 kB. YAML is read at about that much a second, and each changed file is read within a tick.
MOST_BYTES: Final = 1_000_000
# What is wrong with one file, unlike a folder or a storage that is unavailable.
OF_THE_FILE: Final = frozenset({
    errno.ENOENT, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO, errno.EINVAL, errno.ENAMETOOLONG, errno.EAGAIN,
    errno.EISDIR, errno.ENODEV,
})  # fmt: skip
_SUFFIXES: Final = (".yaml", ".yml")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class File:
    """A file and what changes when its content does: ETag or time, and size."""

    name: str
    version: str


class Folder(Protocol):
    """Where the files are."""

    def files(self) -> list[File]:
        """Every file that may be a definition, in the order of their names.

        Raises:
            OSError: The folder cannot be read.
        """
        ...

    def shown(self, name: str) -> str:
        """What problems call a file."""
        ...

    def read(self, name: str) -> bytes:
        """The content of a file, up to one byte more than `MOST_BYTES`.

        Raises:
            OSError: It cannot be read; one of `OF_THE_FILE` if the cause is this file alone.
        """
        ...


def folder_at(location: str, open_url: OpenUrl) -> Folder:
    """The folder, or the one file, at a local path or an fsspec URL."""
    return _LocalFolder(Path(location)) if is_local(location) else _RemoteFolder(location, open_url)


def is_local(location: str) -> bool:
    """Whether a location is a path of this machine; every URL holds "://"."""
    return "://" not in location


def _is_definition(name: str) -> bool:
    return name.endswith(_SUFFIXES) and not name.startswith(".")


@dataclass(frozen=True, slots=True)
class _LocalFolder:
    path: Path

    def files(self) -> list[File]:
        if self.path.is_file():
            return [self._file(self.path)]
        return [
            self._file(path) for path in sorted(self.path.iterdir()) if _is_definition(path.name) and not path.is_dir()
        ]

    @staticmethod
    def _file(path: Path) -> File:
        try:
            about = path.stat()
        except OSError as error:
            if error.errno not in OF_THE_FILE:
                raise
            return File(path.name, "")  # a broken or circular link: reading it reports the error
        return File(path.name, f"{about.st_mtime_ns}-{about.st_size}-{about.st_ino}")

    def shown(self, name: str) -> str:
        return str(self.path if self.path.is_file() else self.path / name)

    def read(self, name: str) -> bytes:
        path = self.shown(name)
        if not stat.S_ISREG(Path(path).stat().st_mode):  # opening a device may set it going
            raise _not_a_file(path)
        # A pipe that replaced the file meanwhile would block the opening, and a device may have no end.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _not_a_file(path)
            return file.read(MOST_BYTES + 1)


def _not_a_file(path: str) -> OSError:
    return OSError(errno.EINVAL, "it is a pipe, a device or a socket, but a definition must be a regular file", path)


@dataclass(slots=True)
class _RemoteFolder:
    """A folder behind an fsspec URL. Whatever its driver raises becomes an OSError."""

    url: str
    open_url: OpenUrl
    paths: dict[str, str] = field(default_factory=dict)

    def _asked(self, question: Callable[[Any, str], _Answer]) -> _Answer:
        try:
            return question(*self.open_url(self.url))
        except OSError:
            raise
        # A driver raises what it likes: azure.core, botocore and aiohttp each have a tree of their own.
        except Exception as error:
            raise OSError(f"{type(error).__name__}: {error}") from error

    def files(self) -> list[File]:
        found = self._asked(lambda system, path: [*_listed(system, path)])
        self.paths = {Path(each["name"]).name: each["name"] for each in found}
        return sorted((File(name, _version(each)) for name, each in zip(self.paths, found, strict=True)), key=str)

    def shown(self, name: str) -> str:
        return self.url if self.url.endswith(_SUFFIXES) else f"{self.url.rstrip('/')}/{name}"

    def read(self, name: str) -> bytes:
        return self._asked(lambda system, _: bytes(system.cat_file(self.paths[name], start=0, end=MOST_BYTES + 1)))


def _listed(system: Any, path: str) -> Iterator[dict[str, Any]]:
    system.invalidate_cache()  # drivers keep listings; a change would stay unseen
    for each in system.ls(path, detail=True):
        if each["type"] == "file" and _is_definition(Path(each["name"]).name):
            yield each


def _version(about: Mapping[str, Any]) -> str:
    """The attribute that changes with the content; drivers have different names for it."""
    keys = ("etag", "ETag", "last_modified", "LastModified", "mtime", "created", "size")
    return "-".join(str(about[key]) for key in keys if about.get(key) is not None)
