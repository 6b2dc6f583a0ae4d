"""Paths that a source must not read: they contain data of the process, such as secrets in its environment."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from shared.errors import UserError
from shared.settings import LOCAL_SETTINGS_FILE

__all__ = ["check_local", "check_system"]

# What the kernel shows of itself and its processes, devices, and where containers are given their secrets.
_SYSTEM: Final = tuple(map(Path, ("/proc", "/sys", "/dev", "/run/secrets", "/var/run/secrets")))
_DATA: Final = Path("/dev/shm")  # noqa: S108 - a folder in memory, for ordinary files
# Of fsspec: these keep copies and leave the path as it is. Others over local files could lead to another path.
_CACHES: Final = frozenset({"simplecache", "filecache", "blockcache", "cached"})
_LOCAL: Final = frozenset({"file", "local"})


def check_local(path: str, roots: Sequence[str] = ()) -> None:
    """Accept a local path that does not exist or is a regular file.

    Args:
        path: A path; one with a pattern is looked at as if its signs were letters.
        roots: The only folders that files are read from; any folder where there is none.

    Raises:
        UserError: It is something else, is in another folder, or leads there by links.
    """
    try:
        target = Path(os.path.realpath(path))
        _check_root(path, target, roots)
        about = target.stat()
    except (OSError, ValueError):
        return
    if any(target.is_relative_to(place) for place in _SYSTEM) and not target.is_relative_to(_DATA):
        raise UserError(f"{path} is refused: it is a system file, which may contain secrets of this process")
    if target.name.casefold() == LOCAL_SETTINGS_FILE:
        raise UserError(f"{path} is refused: it contains this app's settings and secrets")
    if not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode):
        raise UserError(f"{path} is a pipe, a socket or a device: write the data to a regular file")


def _check_root(path: str, target: Path, roots: Sequence[str]) -> None:
    if roots and not any(target.is_relative_to(os.path.realpath(root)) for root in roots):
        raise UserError(
            f"{path} is refused: this app reads local files only from {', '.join(roots)}; read it from storage, as in "
            "abfs://container/file.csv, or add its folder to the setting SOURCE_ROOTS"
        )


def check_system(system: Any, path: str, roots: Sequence[str] = ()) -> None:
    """The same for a path of an fsspec file system, where local files lie below it.

    Raises:
        UserError: As `check_local`; or local files are named through something that changes paths.
    """
    while not _protocols(system) & _LOCAL:
        below = getattr(system, "fs", None)
        if below is None:
            return
        if not _protocols(system) & _CACHES and _protocols(below) & _LOCAL:
            raise UserError(f"{path}: write only the path of a local file")
        system = below
    check_local(path, roots)


def _protocols(system: Any) -> frozenset[str]:
    named = getattr(system, "protocol", ())
    return frozenset((named,) if isinstance(named, str) else named)
