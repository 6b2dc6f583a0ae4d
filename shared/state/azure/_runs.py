"""Execution log, error rows and files in tables and blobs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from shared.errors import RetryLater
from shared.state._bounds import fitting_error, fitting_run
from shared.state.azure._storage import MEMORY, Storage, document, explained, key, read_record
from shared.state.mending import RowsToMend
from shared.state.records import RETRY, ErrorRecord, RunRecord

__all__ = ["ERRORS", "EVERY_SYNC", "RUNS", "RUN_PLACES", "RunTables", "folder", "left", "place_to_mend"]

RUNS, RUN_PLACES, LAST_RUNS, ERRORS = "runs", "runplaces", "lastruns", "errors"
EVERY_SYNC = "h.all"
END_OF_TIME = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
# Triggers of rows that no schedule is decided by; see `StateStore.last_run`.
APART = frozenset({"events", "definition", RETRY})
# How often a row that another process changes at the same time is tried again.
TURNS = 10
# What a person sees of a long message in a table browser; the whole is in the document.
SHOWN = 500


class RunTables(Storage):
    """The part of the state store that a run writes its log to.

    Tables sort by partition and row key alone, so a run is stored twice in `runs`, newest first: among all and among
    those of its sync. `runplaces` finds it by its id. `lastruns` has the last run of each sync, of those that decide a
    schedule, in one partition: one query reads them all.
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
        if run.trigger not in APART:
            self._keep_last(run)

    def _keep_last(self, run: RunRecord) -> None:
        """Make a run the last one of its sync, unless one that started later is there."""
        entity = _last_entity(run.sync, run)
        for _ in range(TURNS):
            there = self._get(LAST_RUNS, EVERY_SYNC, entity["RowKey"])
            if there and there["run"] and there["run"] < entity["run"]:
                return
            if self._put_after(LAST_RUNS, entity, there):
                return
        raise RetryLater(f"The last run of {run.sync!r} is being written by other processes", retry_after=1)

    def run(self, run_id: str) -> RunRecord | None:
        """See `StateStore.run`."""
        place = self._get(RUN_PLACES, key(run_id), "run")
        found = self._get(RUNS, key(place["sync"]), place["row"]) if place else None
        return _run(found) if found else None

    def runs(self, sync: str | None = None, limit: int = 50) -> tuple[RunRecord, ...]:
        """See `StateStore.runs`."""
        partition = EVERY_SYNC if sync is None else key(sync)
        return tuple(map(_run, self._query(RUNS, f"PartitionKey eq '{partition}'", limit=limit)))

    def last_run(self, sync: str, *, until: datetime | None = None, retries: bool = False) -> RunRecord | None:
        """See `StateStore.last_run`."""
        condition = f"PartitionKey eq '{key(sync)}' and trigger ne 'events' and trigger ne 'definition'"
        if not retries:
            condition += f" and trigger ne '{RETRY}'"
        if until is not None:
            condition += f" and RowKey ge '{left(until):020}'"
        return next(map(_run, self._query(RUNS, condition, limit=1)), None)

    def last_runs(self, syncs: Collection[str], *, until: datetime | None = None) -> Mapping[str, RunRecord]:
        """See `StateStore.last_runs`."""
        rows = {row["sync"]: row for row in self._query(LAST_RUNS, f"PartitionKey eq '{EVERY_SYNC}'")}
        wanted = [*dict.fromkeys(syncs)]
        found = [read_record(RunRecord, LAST_RUNS, row) for sync in wanted if (row := rows.get(sync)) and row["run"]]
        found += filter(None, self._each(self._moved, (sync for sync in wanted if sync not in rows)))
        later = [run.sync for run in found if until is not None and run.started > until]
        earlier = self._each(lambda sync: self.last_run(sync, until=until), later)
        return {run.sync: run for run in [*(run for run in found if run.sync not in later), *filter(None, earlier)]}

    def _moved(self, sync: str) -> RunRecord | None:
        """The last run of a sync that has no row in `lastruns`: it never ran, or an older version wrote its runs.

        It gets a row, without a run where there is none, so that this is asked once.
        """
        run = self.last_run(sync)
        self._put_after(LAST_RUNS, _last_entity(sync, run), None)
        return run

    def runs_starting(self, text: str, limit: int = 50) -> tuple[RunRecord, ...]:
        """See `StateStore.runs_starting`."""
        if key(text) != text:  # ids with other characters are kept as digests, which begin otherwise
            return ()
        # A range of partitions; no character of an id sorts after it.
        condition = f"PartitionKey ge '{text}' and PartitionKey lt '{text}~'"
        places = self._query(RUN_PLACES, condition, limit=limit)
        found = self._each(lambda place: self._get(RUNS, key(place["sync"]), place["row"]), places)
        return tuple(_run(row) for row in found if row)

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

    def put_rows_to_mend(self, run_id: str, rows: RowsToMend) -> None:
        """See `StateStore.put_rows_to_mend`."""
        with explained():
            self._files(MEMORY).upload_blob(place_to_mend(key(run_id)), rows.to_bytes(), overwrite=True)

    def rows_to_mend(self, run_id: str) -> RowsToMend | None:
        """See `StateStore.rows_to_mend`."""
        with explained():
            try:
                data = self._files(MEMORY).download_blob(place_to_mend(key(run_id))).readall()
            except ResourceNotFoundError:
                return None
        return RowsToMend.of_bytes(data, run_id)


def _newest_first(run: RunRecord) -> str:
    """A row key that sorts the latest start first."""
    return f"{left(run.started):020}-{key(run.run_id)}"


def _last_entity(sync: str, run: RunRecord | None) -> dict[str, Any]:
    kept = {"run": _newest_first(run), **document(asdict(run))} if run else {"run": ""}
    return {"PartitionKey": EVERY_SYNC, "RowKey": key(sync), "sync": sync, **kept}


def folder(run_id: str) -> str:
    """Where the files of a run are."""
    return f"runs/{run_id}/"


def place_to_mend(run_key: str) -> str:
    """Where the rows to mend of a run are, by the key of its id, in the container for what holds values of rows."""
    return f"to-mend/{run_key}.json"


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
