"""Mirrors: files in a folder beside the database, of each sync its parts and a manifest that names those that count.

A manifest is replaced at once, in a transaction of the database: so processes wait for each other.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from shared.entities import MirrorHead
from shared.errors import RetryLater
from shared.state._reading import mirror_head
from shared.state.sqlite._database import Database

__all__ = ["MirrorFiles"]

_MANIFEST: Final = "manifest.json"
_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_OWNER_ONLY: Final = 0o700  # the files have values of rows


class MirrorFiles(Database):
    """The part of the state store that keeps mirrors."""

    def mirror(self, sync: str) -> MirrorHead | None:
        """See `StateStore.mirror`."""
        with self._on_disk():
            return _head(self._folder_of(sync) / _MANIFEST)

    def mirror_part(self, sync: str, name: str, into: Path) -> bool:
        """See `StateStore.mirror_part`."""
        if not _NAME.fullmatch(name):
            return False
        with self._on_disk():
            return _share(self._folder_of(sync) / name, into)

    def mirror_parts(self, sync: str) -> tuple[str, ...]:
        """See `StateStore.mirror_parts`."""
        folder = self._folder_of(sync)
        with self._on_disk():
            names = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
        return tuple(sorted(names - {_MANIFEST}))

    def put_mirror_part(self, sync: str, name: str, file: Path) -> None:
        """See `StateStore.put_mirror_part`."""
        with self._on_disk():
            folder = self._folder_of(sync)
            folder.mkdir(parents=True, exist_ok=True, mode=_OWNER_ONLY)
            passing = folder / f"{uuid.uuid4().hex}.tmp"
            _share(file, passing)
            _settle(passing, folder / name)

    def swap_mirror(
        self, sync: str, manifest: str, parts: Sequence[str], *, expected: MirrorHead | None, fence: int
    ) -> MirrorHead | None:
        """See `StateStore.swap_mirror`."""
        folder = self._folder_of(sync)
        with self._writing(), self._on_disk():
            found = _head(folder / _MANIFEST)
            if (found.version if found else None) != (expected.version if expected else None):
                return None
            if found and found.fence > fence:
                return None
            folder.mkdir(parents=True, exist_ok=True, mode=_OWNER_ONLY)
            passing = folder / f"{uuid.uuid4().hex}.tmp"
            content = {"manifest": manifest, "parts": list(parts), "fence": fence, "swap": uuid.uuid4().hex}
            passing.write_text(json.dumps(content), "utf-8")
            _settle(passing, folder / _MANIFEST)
            _remove_others(folder, {*parts, _MANIFEST})
            return _head(folder / _MANIFEST)

    def _remove_old_mirrors(self, before: datetime, limit: int) -> int:
        """Remove mirrors that were last swapped before a moment; returns how many."""
        removed = 0
        with self._writing(), self._on_disk():
            found = self._mirrors.iterdir() if self._mirrors.is_dir() else ()
            for folder in (each for each in found if each.is_dir()):  # a file, such as .DS_Store, is not ours
                if removed < limit and _swapped(folder) < before:
                    shutil.rmtree(folder)
                    removed += 1
        return removed

    @property
    def _mirrors(self) -> Path:
        return self._file.with_name(f"{self._file.name}-mirrors")

    def _folder_of(self, sync: str) -> Path:
        return self._mirrors / (sync if _NAME.fullmatch(sync) else f"h.{hashlib.sha256(sync.encode()).hexdigest()}")

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            said = error.strerror or type(error).__name__
            raise RetryLater(f"The folder {self._mirrors} is not available: {said}", retry_after=5) from error


def _head(manifest: Path) -> MirrorHead | None:
    """What a manifest says; None where there is none."""
    try:
        data = manifest.read_bytes()
    except FileNotFoundError:
        return None
    return mirror_head(data, hashlib.sha256(data).hexdigest())


def _share(file: Path, into: Path) -> bool:
    """The same file under another name, as a copy where the file systems differ; False where there is no file."""
    try:
        os.link(file, into)
    except FileNotFoundError:
        return False
    except OSError:
        shutil.copyfile(file, into)
    return True


def _settle(passing: Path, place: Path) -> None:
    """Give a file its name after its content is on the disk: a power cut leaves the old one or the new one."""
    with passing.open("rb+") as opened:
        os.fsync(opened.fileno())
    passing.replace(place)


def _remove_others(folder: Path, keep: Collection[str]) -> None:
    for file in folder.iterdir():
        if file.name not in keep:
            file.unlink(missing_ok=True)


def _swapped(folder: Path) -> datetime:
    """When a mirror was last swapped; for one that never was, when something was put there."""
    manifest = folder / _MANIFEST
    return datetime.fromtimestamp((manifest if manifest.exists() else folder).stat().st_mtime, UTC)
