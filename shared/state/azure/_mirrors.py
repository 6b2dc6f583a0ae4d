"""Mirrors: a blob for each part, and a manifest that names those that count.

The manifest is swapped with `If-Match`: of two writers who read the same one, the second is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

from shared.entities import MirrorHead
from shared.errors import RetryLater
from shared.state._reading import mirror_head
from shared.state.azure._conditions import MANIFEST, part_names, unless_changed
from shared.state.azure._errors import explained
from shared.state.azure._storage import MEMORY, Storage, key

__all__ = ["MirrorFiles"]

_FOLDER: Final = "mirrors/"
_SIDE_BY_SIDE: Final = 4  # requests of one upload or download; each has some megabytes


class MirrorFiles(Storage):
    """The part of the state store that keeps mirrors."""

    def mirror(self, sync: str) -> MirrorHead | None:
        """See `StateStore.mirror`."""
        with explained():
            try:
                found = self._files(MEMORY).download_blob(_path(sync, MANIFEST))
            except ResourceNotFoundError:
                return None
            return mirror_head(found.readall(), str(found.properties.etag))

    def mirror_part(self, sync: str, name: str, into: Path) -> bool:
        """See `StateStore.mirror_part`."""
        with explained():
            try:
                found = self._files(MEMORY).download_blob(_path(sync, name), max_concurrency=_SIDE_BY_SIDE)
            except ResourceNotFoundError:
                return False
            try:
                with into.open("wb") as file:
                    found.readinto(file)
            except OSError as error:
                raise RetryLater(f"A part of a mirror cannot be written: {error.strerror}", retry_after=10) from error
        return True

    def mirror_parts(self, sync: str) -> tuple[str, ...]:
        """See `StateStore.mirror_parts`."""
        return part_names(self._file_names(_path(sync, ""), MEMORY))

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
        condition = unless_changed(expected.version if expected else None)
        with explained():
            try:
                blob = self._files(MEMORY).get_blob_client(_path(sync, MANIFEST))
                version = str(blob.upload_blob(text.encode(), **condition)["etag"])
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
                return None  # a mirror that was not swapped, because an answer was lost, is read again
        self._remove_other_files(_path(sync, ""), keep=(*parts, MANIFEST))
        return MirrorHead(manifest=manifest, parts=tuple(parts), version=version, fence=fence)

    def _remove_old_mirrors(self, before: datetime, limit: int) -> int:
        """Remove mirrors that were last swapped before a moment; returns how many. The manifest goes last."""
        with explained():
            blobs = self._files(MEMORY).list_blobs(name_starts_with=_FOLDER)
            old = (blob.name for blob in blobs if blob.name.endswith(f"/{MANIFEST}") and blob.last_modified < before)
            manifests = list(islice(old, limit))
        for manifest in manifests:
            self._remove_other_files(manifest.removesuffix(MANIFEST), keep=[MANIFEST])
        self._delete_files(manifests, MEMORY)
        return len(manifests)


def _path(sync: str, name: str) -> str:
    return f"{_FOLDER}{key(sync)}/{name}"
