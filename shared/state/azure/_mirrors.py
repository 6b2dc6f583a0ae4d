"""Mirrors: a blob for each part, and a manifest that names those that count.

The manifest is swapped with `If-Match`: of two writers who read the same one, the second is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

from shared.entities import MirrorHead
from shared.state.azure._storage import MEMORY, Storage, explained, key

__all__ = ["MirrorFiles"]

_FOLDER: Final = "mirrors/"
_MANIFEST: Final = "manifest.json"
_SIDE_BY_SIDE: Final = 4  # requests of one upload or download; each has some megabytes


class MirrorFiles(Storage):
    """The part of the state store that keeps mirrors."""

    def mirror(self, sync: str) -> MirrorHead | None:
        """See `StateStore.mirror`."""
        with explained():
            try:
                found = self._files(MEMORY).download_blob(_path(sync, _MANIFEST))
            except ResourceNotFoundError:
                return None
            return _head(found.readall(), str(found.properties.etag))

    def mirror_part(self, sync: str, name: str, into: Path) -> bool:
        """See `StateStore.mirror_part`."""
        with explained():
            try:
                found = self._files(MEMORY).download_blob(_path(sync, name), max_concurrency=_SIDE_BY_SIDE)
            except ResourceNotFoundError:
                return False
            with into.open("wb") as file:
                found.readinto(file)
        return True

    def put_mirror_part(self, sync: str, name: str, file: Path) -> None:
        """See `StateStore.put_mirror_part`."""
        with explained(), file.open("rb") as opened:
            self._files(MEMORY).upload_blob(
                _path(sync, name), opened, overwrite=True, max_concurrency=_SIDE_BY_SIDE, length=file.stat().st_size
            )

    def swap_mirror(
        self, sync: str, manifest: str, parts: Sequence[str], *, expected: MirrorHead | None, fence: int
    ) -> MirrorHead | None:
        """See `StateStore.swap_mirror`."""
        if expected is not None and expected.fence > fence:
            return None
        text = json.dumps({"sync": sync, "manifest": manifest, "parts": list(parts), "fence": fence})
        condition: dict[str, Any] = {"overwrite": False}
        if expected is not None:
            condition = {
                "overwrite": True, "etag": expected.version, "match_condition": MatchConditions.IfNotModified,
            }  # fmt: skip
        with explained():
            try:
                blob = self._files(MEMORY).get_blob_client(_path(sync, _MANIFEST))
                version = str(blob.upload_blob(text.encode(), **condition)["etag"])
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
                return None  # a mirror that was not swapped, because an answer was lost, is read again
        self._remove_mirror_parts(sync, keep=frozenset(parts))
        return MirrorHead(manifest=manifest, parts=tuple(parts), version=version, fence=fence)

    def _remove_mirror_parts(self, sync: str, *, keep: frozenset[str]) -> None:
        folder = _path(sync, "")
        with explained():
            paths = list(self._files(MEMORY).list_blob_names(name_starts_with=folder))
        kept = {f"{folder}{name}" for name in (*keep, _MANIFEST)}
        self._delete_files((path for path in paths if path not in kept), MEMORY)

    def _remove_old_mirrors(self, before: datetime, limit: int) -> int:
        """Remove mirrors that were last swapped before a moment; returns how many. The manifest goes last."""
        with explained():
            blobs = self._files(MEMORY).list_blobs(name_starts_with=_FOLDER)
            old = (blob.name for blob in blobs if blob.name.endswith(f"/{_MANIFEST}") and blob.last_modified < before)
            manifests = list(islice(old, limit))
            for manifest in manifests:
                folder = manifest.removesuffix(_MANIFEST)
                parts = list(self._files(MEMORY).list_blob_names(name_starts_with=folder))
                self._delete_files((name for name in parts if name != manifest), MEMORY)
        self._delete_files(manifests, MEMORY)
        return len(manifests)


def _head(data: bytes, version: str) -> MirrorHead:
    """What a manifest says; one that cannot be read says nothing, and can be replaced."""
    try:
        read = json.loads(data)
        parts = tuple(map(str, read["parts"]))
        return MirrorHead(manifest=str(read["manifest"]), parts=parts, version=version, fence=int(read["fence"]))
    except (LookupError, TypeError, ValueError):
        return MirrorHead(manifest="", parts=(), version=version, fence=0)


def _path(sync: str, name: str) -> str:
    return f"{_FOLDER}{key(sync)}/{name}"
