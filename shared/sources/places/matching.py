"""The files that a pattern names, or that are in a folder: all of them, or an error.

The standard library passes over a folder that cannot be listed. To a sync its rows would be missing, and their records
would be dropped.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

__all__ = ["below", "is_file", "matching"]

_MAGIC: Final = frozenset("*?[")
_AT_ANY_DEPTH: Final = "**"
_Folders = frozenset[tuple[int, int]]  # device and number of each folder on the way


def matching(pattern: str) -> list[str]:
    """The paths that a pattern names, in order.

    `*`, `?` and `[…]` stand for parts of a name, and `**` for folders at any depth, links to folders too. As in a shell
    they stand for no name that begins with a dot.

    Args:
        pattern: Relative or absolute; also a path without any of these signs.

    Raises:
        OSError: A folder cannot be listed, or a link leads to nothing; `filename` says which.
    """
    if os.sep != "/":
        pattern = pattern.replace(os.sep, "/")
    parts = [part for part in pattern.split("/") if part]
    return sorted(set(_found("/" if pattern.startswith("/") else "", parts, frozenset())))


def below(folder: str, ending: str) -> list[str]:
    """The files in a folder and in the folders below it whose names end so, in order; links to folders are no folders.

    Raises:
        OSError: A folder cannot be listed; `filename` says which.
    """
    found = []
    for place, _, names in os.walk(folder, onerror=_raise):
        found += [_joined(place, name) for name in names if name.endswith(ending)]
    return sorted(found)


def is_file(path: str) -> bool:
    """Whether a path that was found is a file, or a link to one.

    Raises:
        OSError: It is a link to nothing, or gone by now; its rows would be missing.
    """
    return stat.S_ISREG(Path(path).stat().st_mode)


def _raise(error: OSError) -> None:
    raise error


def _found(place: str, parts: Sequence[str], way: _Folders) -> Iterator[str]:
    """The paths in a folder that the parts of a pattern name."""
    if not parts:
        yield place
        return
    part, rest = parts[0], parts[1:]
    if part == _AT_ANY_DEPTH:
        yield from _found(place, rest or ["*"], way)
        for folder, here in _folders(place, way or _identity(place)):
            yield from _found(folder, parts, here)
    elif _MAGIC & set(part):
        for path in _entries(place, part):
            if not rest or _is_folder(path):
                yield from _found(path, rest, way)
    elif _is_there(path := _joined(place, part)):
        yield from _found(path, rest, way)


def _folders(place: str, way: _Folders) -> Iterator[tuple[str, _Folders]]:
    """The folders in a folder, each with the way to it; not those that it is in, to which a link may lead."""
    for path in _entries(place, "*"):
        if _is_folder(path):
            here = _identity(path)
            if way.isdisjoint(here):
                yield path, way | here


def _identity(path: str) -> _Folders:
    """What tells a folder from others, whatever link leads to it; nothing of one that is not there."""
    try:
        found = Path(path or ".").stat()
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    return frozenset({(found.st_dev, found.st_ino)})


def _entries(place: str, pattern: str) -> Iterator[str]:
    """The paths in a folder whose names fit; none where it is no folder."""
    try:
        names = os.listdir(place or ".")  # noqa: PTH208 - the text stays as it is written
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if fnmatch(name, pattern) and (pattern.startswith(".") or not name.startswith(".")):
            yield _joined(place, name)


def _is_folder(path: str) -> bool:
    """Whether a path is a folder, or a link to one.

    Raises:
        OSError: It is a link to nothing, or cannot be looked at.
    """
    try:
        return stat.S_ISDIR(Path(path).stat().st_mode)
    except FileNotFoundError:
        if not _is_there(path):  # removed in this moment
            return False
        raise


def _is_there(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _joined(place: str, name: str) -> str:
    return name if not place else f"{place.rstrip('/')}/{name}"
