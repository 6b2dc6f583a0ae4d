"""Execution log, error rows and files in tables and blobs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from shared.state._bounds import fitting_error, fitting_run
from shared.state.azure._storage import Storage, document, explained, key, read_record
from shared.state.records import ErrorRecord, RunRecord

__all__ = ["ERRORS", "EVERY_SYNC", "RUNS", "RUN_PLACES", "RunTables", "folder", "left"]

RUNS, RUN_PLACES, ERRORS = "runs", "runplaces", "errors"
EVERY_SYNC = "h.all"
END_OF_TIME = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
# What a person sees of a long message in a table browser; the whole is in the document.
SHOWN = 500


class RunTables(Storage):
    """The part of the state store that a run writes its log to.

    Tables sort by partition and row key alone, so a run is stored twice in `runs`, newest first: among all and among
    those of its sync. `runplaces` finds it by its id.
    """

    def begin_run(self, run: RunRecord) -> None:
        """See `StateStore.begin_run`."""
        row = _newest_first(run)
        self._put(RUN_PLACES, {"PartitionKey": key(run.run_id), "RowKey": "run", "sync": run.sync, "row": row})
        self.finish_run(run)

    def finish_run(self, run: RunRecord) -> None:
        """See `StateStore.finish_run`."""
        run = fitting_run(run)
        shown = {
            "sync": run.sync,
            "state": run.state,
            "trigger": run.trigger,
            "started": run.started,
            "duration": run.duration,
            "message": run.message[:SHOWN],
        }
        entity = {"RowKey": _newest_first(run), **shown, **document(asdict(run))}
        for partition in (key(run.sync), EVERY_SYNC):
            self._put(RUNS, {"PartitionKey": partition, **entity})

    def run(self, run_id: str) -> RunRecord | None:
        """See `StateStore.run`."""
        place = self._get(RUN_PLACES, key(run_id), "run")
        found = self._get(RUNS, key(place["sync"]), place["row"]) if place else None
        return _run(found) if found else None

    def runs(self, sync: str | None = None, limit: int = 50) -> tuple[RunRecord, ...]:
        """See `StateStore.runs`."""
        partition = EVERY_SYNC if sync is None else key(sync)
        return tuple(map(_run, self._query(RUNS, f"PartitionKey eq '{partition}'", limit=limit)))

    def last_run(self, sync: str, *, until: datetime | None = None) -> RunRecord | None:
        """See `StateStore.last_run`."""
        condition = f"PartitionKey eq '{key(sync)}' and trigger ne 'events' and trigger ne 'definition'"
        if until is not None:
            condition += f" and RowKey ge '{left(until):020}'"
        return next(map(_run, self._query(RUNS, condition, limit=1)), None)

    def add_errors(self, errors: Sequence[ErrorRecord]) -> None:
        """See `StateStore.add_errors`."""
        entities = {
            _error_key(error): {**_error_keys(error), **document(asdict(error))} for error in map(fitting_error, errors)
        }
        self._transact(ERRORS, [("upsert", entity, {"mode": "replace"}) for entity in entities.values()])

    def errors(self, run_id: str) -> tuple[ErrorRecord, ...]:
        """See `StateStore.errors`."""
        found = [
            read_record(ErrorRecord, ERRORS, entity)
            for entity in self._query(ERRORS, f"PartitionKey eq '{key(run_id)}'")
        ]
        return tuple(sorted(found, key=lambda one: (-one.count, *_identity(one))))

    def put_file(self, run_id: str, name: str, data: bytes) -> None:
        """See `StateStore.put_file`."""
        self._put_file(f"{folder(run_id)}{name}", data)

    def file(self, run_id: str, name: str) -> bytes | None:
        """See `StateStore.file`."""
        return self._read_file(f"{folder(run_id)}{name}")

    def files(self, run_id: str) -> tuple[str, ...]:
        """See `StateStore.files`."""
        start = folder(run_id)
        with explained():
            names = list(self._files().list_blob_names(name_starts_with=start))
        return tuple(sorted(name.removeprefix(start) for name in names))


def _newest_first(run: RunRecord) -> str:
    """A row key that sorts the latest start first."""
    return f"{left(run.started):020}-{key(run.run_id)}"


def folder(run_id: str) -> str:
    """Where the files of a run are."""
    return f"runs/{run_id}/"


def left(moment: datetime) -> int:
    """A number that is smaller the later a moment is."""
    return (END_OF_TIME - moment) // timedelta(microseconds=1)


def _run(entity: Mapping[str, Any]) -> RunRecord:
    return read_record(RunRecord, RUNS, entity)


def _error_key(error: ErrorRecord) -> tuple[str, str]:
    keys = _error_keys(error)
    return keys["PartitionKey"], keys["RowKey"]


def _error_keys(error: ErrorRecord) -> dict[str, str]:
    what = "\x00".join(_identity(error))
    return {"PartitionKey": key(error.run_id), "RowKey": hashlib.sha256(what.encode()).hexdigest()}


def _identity(error: ErrorRecord) -> tuple[str, ...]:
    return error.side, error.error_class, error.error_type, error.column, error.message
