"""Ledgers: a blob for each part, and a manifest that names those that count.

The manifest is swapped with `If-Match`: of two writers who read the same one, the second is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Final

from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

from shared.entities import LedgerHead
from shared.state._reading import reading
from shared.state.azure._errors import explained
from shared.state.azure._ledger_entries import LedgerEntryTables
from shared.state.azure._manifests import MANIFEST, part_names, unless_changed
from shared.state.azure._storage import MEMORY, key

__all__ = ["LedgerFiles"]

_FOLDER: Final = "ledgers/"


class LedgerFiles(LedgerEntryTables):
    """The part of the state store that keeps ledgers."""

    def ledger(self, sync: str) -> LedgerHead | None:
        """See `StateStore.ledger`."""
        with explained():
            try:
                found = self._files(MEMORY).download_blob(_path(sync, MANIFEST))
            except ResourceNotFoundError:
                return None
            text, etag = found.readall(), found.properties.etag
        with reading(_FOLDER, sync):
            manifest = json.loads(text)
            return LedgerHead(parts=tuple(map(str, manifest["parts"])), version=str(etag), fence=int(manifest["fence"]))

    def ledger_part(self, sync: str, name: str) -> bytes | None:
        """See `StateStore.ledger_part`."""
        return self._read_file(_path(sync, name), MEMORY)

    def ledger_parts(self, sync: str) -> tuple[str, ...]:
        """See `StateStore.ledger_parts`."""
        return part_names(self._file_names(_path(sync, ""), MEMORY))

    def put_ledger_part(self, sync: str, name: str, data: bytes) -> None:
        """See `StateStore.put_ledger_part`."""
        self._put_file(_path(sync, name), data, MEMORY)

    def swap_ledger(
        self, sync: str, parts: Sequence[str], *, expected: LedgerHead | None, fence: int
    ) -> LedgerHead | None:
        """See `StateStore.swap_ledger`."""
        if expected is not None and expected.fence > fence:
            return None
        if not self._put_manifest(sync, json.dumps({"sync": sync, "parts": list(parts), "fence": fence}), expected):
            return None
        swapped = self.ledger(sync)
        if swapped is None or (swapped.parts, swapped.fence) != (tuple(parts), fence):
            return None  # another holder has swapped it since
        self._remove_other_files(_path(sync, ""), keep=(*parts, MANIFEST))
        return swapped

    def _put_manifest(self, sync: str, text: str, expected: LedgerHead | None) -> bool:
        condition = unless_changed(expected.version if expected else None)
        with explained():
            try:
                self._files(MEMORY).upload_blob(_path(sync, MANIFEST), text.encode(), **condition)
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
                # Another writer was faster, unless our own first try got through and its answer was lost.
                return self._read_manifest(sync) == text
        return True

    def _read_manifest(self, sync: str) -> str:
        return (self.ledger_part(sync, MANIFEST) or b"").decode()

    def _remove_old_ledgers(self, before: datetime, limit: int) -> int:
        """Remove ledgers that were last swapped, and used by events, before a moment; returns how many."""
        syncs = [
            *islice((sync for sync in self._not_swapped(before) if not self._is_used(sync, before)), limit),
            *(sync for sync in self._unused(before, limit) if not self._has_manifest(sync)),
        ][:limit]
        for sync in syncs:
            self._remove_entries(sync)
            self._remove_files(sync)
        return len(syncs)

    def _not_swapped(self, before: datetime) -> Iterator[str]:
        """The keys of the syncs whose ledger was last swapped before a moment."""
        with explained():
            blobs = self._files(MEMORY).list_blobs(name_starts_with=_FOLDER)
            for blob in blobs:
                if blob.name.endswith(f"/{MANIFEST}") and blob.last_modified < before:
                    yield blob.name.removeprefix(_FOLDER).removesuffix(f"/{MANIFEST}")

    def _has_manifest(self, sync_key: str) -> bool:
        with explained():
            return bool(self._files(MEMORY).get_blob_client(f"{_FOLDER}{sync_key}/{MANIFEST}").exists())

    def _remove_files(self, sync_key: str) -> None:
        """Remove the parts of a ledger; the manifest goes last."""
        folder = f"{_FOLDER}{sync_key}/"
        self._remove_other_files(folder, keep=[MANIFEST])
        self._delete_files([f"{folder}{MANIFEST}"], MEMORY)


def _path(sync: str, name: str) -> str:
    return f"{_FOLDER}{key(sync)}/{name}"
