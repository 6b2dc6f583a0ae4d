"""The temporary disk that the runs of this process share: who uses how much, and whether one more run fits."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shared.errors import NoRoomError, UserError

__all__ = ["DiskSpace", "DiskUse", "free_bytes", "writing"]

MB: Final = 1_000_000
# A run's folder holds a handful of files: looking at it takes less than a tenth of a millisecond.
LOOK_SECONDS: Final = 0.25


def free_bytes(folder: Path) -> int:
    """How much can be written below a folder, in bytes, as its file system says.

    Raises:
        OSError: There is no such folder.
    """
    return shutil.disk_usage(folder).free


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Explain why a file in the folder of a workspace cannot be written: its disk may be full.

    Raises:
        NoRoomError: With the reason, and what to do.
    """
    try:
        yield
    except OSError as error:
        raise NoRoomError(
            f"the workspace's folder {folder} cannot be written: {error.strerror or type(error).__name__}; free disk "
            "space there, or set WORKSPACE_TEMP to another folder. Neither the source nor the target is the cause"
        ) from error


class DiskUse:
    """What one run uses of the disk.

    Attributes:
        needed: Bytes that it is expected to use in all.
        peak: The most bytes that its folder held at one moment, as far as it was looked at.
    """

    def __init__(self, needed: int = 0) -> None:
        self.needed = needed
        self.peak = 0
        self._folder: Path | None = None
        self._over = threading.Event()

    @property
    def peak_mb(self) -> float:
        """The peak until now in MB (millions of bytes)."""
        self.look()
        return self.peak / MB

    @property
    def to_come(self) -> int:
        """Bytes that are expected and not yet used."""
        return max(0, self.needed - self.look())

    def look(self) -> int:
        """Return the size of the run's folder now, in bytes; it counts for the peak."""
        size = _size(self._folder) if self._folder else 0
        self.peak = max(self.peak, size)
        return size

    def watch(self, folder: Path) -> None:
        """Look at a folder again and again until `end`."""
        self._folder = folder
        threading.Thread(target=self._watch, name="disk-use", daemon=True).start()

    def end(self) -> None:
        """Look no more."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.look()


class DiskSpace:
    """The temporary folder of all runs of a process.

    Args:
        folder: Where runs have their folders; the system's temporary folder when empty.
        limit: Bytes that all runs may use together; None for what the disk has.
        free_space: Tells how many bytes can be written below a folder.
    """

    def __init__(
        self, folder: str | Path = "", *, limit: int | None = None, free_space: Callable[[Path], int] = free_bytes
    ) -> None:
        self._folder = Path(folder or tempfile.gettempdir())
        self._limit = limit
        self._free_space = free_space
        self._uses: dict[str, DiskUse] = {}
        self._changed = threading.Condition()

    @contextmanager
    def used_by(self, name: str) -> Iterator[DiskUse]:
        """Count a run as one that uses the disk; one that waited for its place (`held`) keeps it."""
        with self._changed:
            use = self._uses.get(name)
            mine = use is None
            if use is None:
                use = self._uses[name] = DiskUse()
        try:
            yield use
        finally:
            use.end()
            if mine:
                self._leave(name)

    @contextmanager
    def held(self, name: str, needed: int, *, until: float | None = None) -> Iterator[bool]:
        """Wait until a run fits beside the others, or is the only one, and keep its place in the block.

        Args:
            name: The run's sync.
            needed: Bytes that it is expected to use.
            until: Monotonic time at which waiting ends; None for no limit.

        Yields:
            Whether it may start; False when the time was over.
        """
        with self._changed:
            fits = self._changed.wait_for(lambda: self._fits(needed), _left(until))
            if fits:
                self._uses[name] = DiskUse(needed)
        try:
            yield fits
        finally:
            if fits:
                self._leave(name)

    def require(self, name: str, needed: int) -> None:
        """Say so where a run does not fit beside the others.

        Raises:
            UserError: It needs more than is free.
        """
        with self._changed:
            free = self._free(besides=name)
        if free is not None and needed > free:
            raise UserError(
                f"the run needs about {_mb(needed)} MB of temporary disk, and {_mb(free)} MB are free in "
                f"{self._folder}. Free disk space, let WORKSPACE_TEMP name a folder on another disk, or start fewer "
                "runs at the same time. Nothing was begun"
            )

    def _fits(self, needed: int) -> bool:
        free = self._free()
        return not self._uses or free is None or needed <= free

    def _free(self, besides: str = "") -> int | None:
        """Bytes that no run uses or is expected to use; None where the folder is missing, which opening it tells."""
        others = [use for name, use in self._uses.items() if name != besides]
        try:
            free = self._free_space(self._folder)
        except OSError:
            return None
        if self._limit is not None:
            free = min(free, self._limit - sum(use.look() for use in self._uses.values()))
        return max(0, free - sum(use.to_come for use in others))

    def _leave(self, name: str) -> None:
        with self._changed:
            self._uses.pop(name, None)
            self._changed.notify_all()


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())


def _size(folder: Path) -> int:
    """Bytes of the files below a folder; one that goes away meanwhile has none."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                # What is on the disk, not how long the file is: DuckDB's temporary files have holes.
                total += os.stat(os.path.join(place, name)).st_blocks * 512  # noqa: PTH116, PTH118 - 4 times as fast
            except OSError:
                continue
    return total


def _mb(size: int) -> str:
    return f"{size / MB:,.0f}"
