"""Ledgers: a blob for each part, and a manifest that names those that count.

The manifest is swapped with `If-Match`: of two writers who read the same one, the second is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby
from typing import Final

from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

from shared.entities import LedgerHead
from shared.state._reading import reading
from shared.state.azure._conditions import MANIFEST, part_names, unchanged, unless_changed
from shared.state.azure._errors import explained
from shared.state.azure._ledger_entries import LedgerEntryTables
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
        """Remove ledgers that were last swapped, and used by events, before a moment; returns how many.

        A run or an event may begin to use one at any time: each part of the work has the condition that nobody has.
        """
        removed: set[str] = set()
        for folder in chain(self._old_folders(before), map(_Folder, self._unused(before, limit))):
            if len(removed) == limit:
                break
            if self._remove_ledger(folder, before):
                removed.add(folder.sync)
        return len(removed)

    def _old_folders(self, before: datetime) -> Iterator[_Folder]:
        """Ledgers that were last swapped before a moment, and old parts that no manifest names."""
        with explained():
            blobs = self._files(MEMORY).list_blobs(name_starts_with=_FOLDER)
            for folder, found in groupby(blobs, key=lambda blob: str(blob.name).rpartition("/")[0]):
                ages = {str(blob.name): (blob.last_modified < before, f'"{blob.etag}"') for blob in found}
                is_old, version = ages.pop(f"{folder}/{MANIFEST}", (True, ""))
                parts = tuple(path for path, (old, _) in ages.items() if old)
                if is_old and (version or parts):
                    yield _Folder(folder.removeprefix(_FOLDER), version, parts)

    def _remove_ledger(self, folder: _Folder, before: datetime) -> bool:
        """Remove an old ledger, its manifest first: whoever swaps it meanwhile keeps it whole."""
        use = self._use(folder.sync)
        if use is not None and use["used"] >= before:
            return False
        entries = self._entry_rows(folder.sync)
        if not self._is_without_manifest(folder):
            return False
        self._delete_files(folder.parts, MEMORY)
        self._remove_entries(entries, use)
        return True

    def _is_without_manifest(self, folder: _Folder) -> bool:
        """Whether there is no manifest any more; the version that was old is deleted, and no later one."""
        manifest = self._files(MEMORY).get_blob_client(f"{_FOLDER}{folder.sync}/{MANIFEST}")
        with explained():
            if not folder.version:
                return not manifest.exists()
            try:
                manifest.delete_blob(**unchanged(folder.version))
            except ResourceModifiedError:
                return False
            except ResourceNotFoundError:
                return True  # another instance was faster, or our own first try, whose answer was lost
        return True


@dataclass(frozen=True, slots=True)
class _Folder:
    """What there was of a ledger when the blobs were listed.

    Attributes:
        sync: The key of its sync.
        version: That of its manifest; empty where it had none.
        parts: The paths of its old parts: a run that begins uses none of them without its manifest.
    """

    sync: str
    version: str = ""
    parts: tuple[str, ...] = ()


def _path(sync: str, name: str) -> str:
    return f"{_FOLDER}{key(sync)}/{name}"
