"""Private temporary folders: those that a process left behind when it was stopped are removed by the next one."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
import time
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

__all__ = ["PrivateFolder"]

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_SETTLED_SECONDS: Final = 60.0  # a folder is locked long before it is that old


class PrivateFolder:
    """A temporary folder of this process, with the rows of a run or with an uploaded file.

    It is locked until it is closed or the process ends, whatever ends it. So a folder that is not locked belongs to a
    process that was killed, and holds data and disk space for nothing: making a folder removes those beside it.

    Attributes:
        path: The folder, empty at first; only this user may read it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        lock = os.open(path, os.O_RDONLY)
        self._unlock = weakref.finalize(self, os.close, lock)
        with suppress(OSError):  # a file system without locks: then nobody can take it for one that is left behind
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @classmethod
    def make(cls, kind: str, *, inside: str | Path | None = None) -> Self:
        """Make a folder, and remove those of the same kind whose process is gone.

        Args:
            kind: What it is for; its name begins with it.
            inside: The folder in which it is made; the temporary folder of the system when not given.

        Raises:
            OSError: It cannot be made.
        """
        parent = Path(inside or tempfile.gettempdir())
        prefix = f"{kind}-{_machine()}-"
        _remove_abandoned(parent, prefix)
        return cls(Path(tempfile.mkdtemp(prefix=prefix, dir=parent)).resolve())

    def __enter__(self) -> Path:
        """Return the path."""
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Remove the folder with all that is in it; closing twice is fine."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._unlock()


def _machine() -> str:
    """What tells this machine from others that share a folder: they do not see the locks of each other."""
    try:
        return _BOOT.read_text("ascii").strip()[:8]
    except OSError:
        return socket.gethostname()


def _remove_abandoned(parent: Path, prefix: str) -> None:
    with suppress(OSError):
        for entry in os.scandir(parent):
            if entry.name.startswith(prefix):
                _remove_if_abandoned(entry.path)


def _remove_if_abandoned(folder: str) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY)
    except OSError:  # it went away, or belongs to another user
        return
    try:
        if time.time() - os.fstat(lock).st_mtime < _SETTLED_SECONDS:
            return
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # somebody has it, or nobody can lock it
        return
    finally:
        os.close(lock)
