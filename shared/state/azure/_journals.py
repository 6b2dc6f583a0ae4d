"""Journals of runs as blobs, and a row for each sync that is paused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from itertools import groupby, islice
from typing import Final

from shared.state.azure._errors import explained
from shared.state.azure._storage import MEMORY, Storage, document, key, read_record
from shared.state.records import Pause

__all__ = ["JournalFiles", "journal_folder"]

_FOLDER: Final = "journals/"
_PAUSES: Final = "pauses"
_EVERY_SYNC: Final = "h.all"


class JournalFiles(Storage):
    """The part of the state store that undoing needs; journals lie in the container for what holds values of rows."""

    def put_journal_part(self, run_id: str, name: str, data: bytes) -> None:
        """See `StateStore.put_journal_part`."""
        self._put_file(f"{journal_folder(key(run_id))}{name}", data, MEMORY)

    def journal_part(self, run_id: str, name: str) -> bytes | None:
        """See `StateStore.journal_part`."""
        return self._read_file(f"{journal_folder(key(run_id))}{name}", MEMORY)

    def journal_parts(self, run_id: str) -> tuple[str, ...]:
        """See `StateStore.journal_parts`."""
        paths = self._file_names(journal_folder(key(run_id)), MEMORY)
        return tuple(sorted(path.rpartition("/")[2] for path in paths))

    def prune_journals(self, before: datetime, *, limit: int) -> int:
        """See `StateStore.prune_journals`."""
        with explained():
            blobs = self._files(MEMORY).list_blobs(name_starts_with=_FOLDER)
            # They come in the order of their names.
            runs = groupby(blobs, key=lambda blob: str(blob.name).split("/")[1])
            young = ((run, max(blob.last_modified for blob in parts)) for run, parts in runs)
            old = list(islice((run for run, written in young if written < before), limit))
        self._remove_journals(old)
        return len(old)

    def _remove_journals(self, runs: list[str]) -> None:
        """Remove the journals of runs, given by the keys of their ids."""
        for run in runs:
            self._delete_files(self._file_names(journal_folder(run), MEMORY), MEMORY)

    def pause(self, pause: Pause) -> None:
        """See `StateStore.pause`."""
        keys = {"PartitionKey": _EVERY_SYNC, "RowKey": key(pause.sync)}
        self._put(_PAUSES, {**keys, "sync": pause.sync, **document(asdict(pause))})

    def pauses(self) -> Mapping[str, Pause]:
        """See `StateStore.pauses`."""
        rows = self._query(_PAUSES, f"PartitionKey eq '{_EVERY_SYNC}'")
        found = [read_record(Pause, _PAUSES, row) for row in rows]
        return {each.sync: each for each in sorted(found, key=lambda pause: pause.sync)}

    def resume(self, sync: str) -> bool:
        """See `StateStore.resume`."""
        row = self._get(_PAUSES, _EVERY_SYNC, key(sync))
        if row is not None:
            self._delete(_PAUSES, [row])
        return row is not None


def journal_folder(run_key: str) -> str:
    """Where the journal of a run is, by the key of its id."""
    return f"{_FOLDER}{run_key}/"
