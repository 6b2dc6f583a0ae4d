"""Execution log, error rows and files in tables and blobs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.data.tables import TableEntity, TableTransactionError

from shared.errors import RetryLater
from shared.state._bounds import fitting_error, fitting_run
from shared.state._reading import moment, reading
from shared.state.azure._storage import MEMORY, PREFIX, Storage, document, key, read_record
from shared.state.job_kinds import TAKEN_BACK, UNBEGUN_RETRY
from shared.state.mending import RowsToMend
from shared.state.records import RETRY, ErrorRecord, LatestRows, RunRecord, RunState

__all__ = [
    "COMPLETED",
    "ERRORS",
    "EVERY_SYNC",
    "LAST_APART",
    "LAST_RUNS",
    "RUNS",
    "RUN_PLACES",
    "RunTables",
    "folder",
    "left",
    "place_of",
    "place_to_mend",
    "rows_of",
]

RUNS, RUN_PLACES, LAST_RUNS, ERRORS = "runs", "runplaces", "lastruns", "errors"
EVERY_SYNC = "h.all"
# Trigger -> where the last row of each sync that it set off is kept, of those that no schedule is decided by.
LAST_APART = {"events": "h.events", RETRY: "h.retries"}
END_OF_TIME = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
# Triggers of rows that no schedule is decided by; see `StateStore.last_run`.
APART = frozenset({"events", "definition", RETRY, TAKEN_BACK, UNBEGUN_RETRY})
COMPLETED = (RunState.SUCCEEDED, RunState.COMPLETED_WITH_ERRORS)
# How often a row that another process changes at the same time is tried again.
TURNS = 10
NO_START = " and ".join(f"trigger ne '{each}'" for each in ("events", "definition", TAKEN_BACK, UNBEGUN_RETRY))
NOT_APART = f"{NO_START} and trigger ne '{RETRY}'"
# Rows of which each is read by its keys: reading all rows of a partition takes longer than that.
FEW = 4
# What a person sees of a long message in a table browser; the whole is in the document.
SHOWN = 500
_Row = Mapping[str, Any]


def place_of(run: RunRecord) -> dict[str, Any]:
    """The row of `runplaces` of a run."""
    return {"PartitionKey": key(run.run_id), "RowKey": "run", "sync": run.sync, "row": _newest_first(run)}


def rows_of(run: RunRecord) -> list[dict[str, Any]]:
    """The two rows of `runs` of a run: among those of its sync, and among all."""
    shown = {
        "sync": run.sync,
        "state": run.state,
        "trigger": run.trigger,
        "started": run.started,
        "duration": run.duration,
        "message": run.message[:SHOWN],
    }
    entity = {"RowKey": _newest_first(run), **shown, **document(asdict(run))}
    return [{"PartitionKey": partition, **entity} for partition in (key(run.sync), EVERY_SYNC)]


class RunTables(Storage):
    """The part of the state store that a run writes its log to.

    Tables sort by partition and row key alone, so a run is stored twice in `runs`, newest first: among all and among
    those of its sync. `runplaces` finds it by its id. `lastruns` has the last run of each sync, of those that decide a
    schedule, in one partition, and the last rows of its events and retries in two others: one query each
    reads them all.
    """

    def begin_run(self, run: RunRecord) -> None:
        """See `StateStore.begin_run`."""
        self._put(RUN_PLACES, place_of(run))
        self.finish_run(run)

    def finish_run(self, run: RunRecord) -> None:
        """See `StateStore.finish_run`."""
        run = fitting_run(run)
        rows = [(RUNS, row) for row in rows_of(run)]
        if apart := LAST_APART.get(run.trigger):
            rows += self._last_apart(apart, run)
        self._each(lambda row: self._put(*row), rows)
        if run.trigger not in APART:
            self._keep_last(run)

    def _last_apart(self, partition: str, run: RunRecord) -> list[tuple[str, dict[str, Any]]]:
        """The row of `lastruns` of such a run; none for a retry where a later one is there.

        Of events, each process has a row: which one is shown does not matter.
        """
        there = self._get(LAST_RUNS, partition, key(run.sync)) if run.trigger == RETRY else None
        is_later = there is not None and there["run"] and there["run"] < _newest_first(run)
        return [] if is_later else [(LAST_RUNS, _last_entity(partition, run.sync, run))]

    def _keep_last(self, run: RunRecord) -> None:
        """Make a run the last one of its sync, unless one that started later is there, and note when it succeeded."""
        for _ in range(TURNS):
            there = self._get(LAST_RUNS, EVERY_SYNC, key(run.sync))
            entity = _following(there, run)
            if entity is None or self._put_after(LAST_RUNS, entity, there):
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
        condition = NO_START if retries else NOT_APART
        return self._latest(sync, condition if until is None else f"{condition} and RowKey ge '{left(until):020}'")

    def _latest(self, sync: str, condition: str) -> RunRecord | None:
        """The latest row of a sync that meets an OData condition."""
        rows = self._query(RUNS, f"PartitionKey eq '{key(sync)}' and {condition}", limit=1)
        return next(map(_run, rows), None)

    def last_runs(self, syncs: Collection[str], *, until: datetime | None = None) -> Mapping[str, RunRecord]:
        """See `StateStore.last_runs`."""
        names = [*dict.fromkeys(syncs)]
        rows = self._last_rows(names, self._kept_last(names, EVERY_SYNC))
        found = [run for name in names if (run := _last_run(rows[name]))]
        later = [run.sync for run in found if until is not None and run.started > until]
        earlier = self._each(lambda sync: self.last_run(sync, until=until), later)
        return {run.sync: run for run in [*(run for run in found if run.sync not in later), *filter(None, earlier)]}

    def latest_rows(self, syncs: Collection[str]) -> Mapping[str, LatestRows]:
        """See `StateStore.latest_rows`."""
        names = [*dict.fromkeys(syncs)]
        there = self._kept_last(names, EVERY_SYNC, *LAST_APART.values())
        last = self._last_rows(names, there)
        events, retries = (self._last_rows_apart(names, there, trigger) for trigger in LAST_APART)
        return {
            name: LatestRows(
                run=_last_run(last[name]),
                events=_last_run(events[name]),
                retry=_last_run(retries[name]),
                succeeded=_time_of_success(last[name]),
            )
            for name in names
        }

    def _kept_last(self, syncs: Sequence[str], *partitions: str) -> dict[tuple[str, str], TableEntity]:
        """Rows of `lastruns` by partition and sync: each of a few syncs alone, or all of a partition at once."""
        if len(syncs) <= FEW:
            places = [(partition, key(sync)) for partition in partitions for sync in syncs]
            rows = [row for row in self._each(lambda place: self._get(LAST_RUNS, *place), places) if row]
        else:
            conditions = (f"PartitionKey eq '{partition}'" for partition in partitions)
            rows = [row for part in self._each(lambda each: self._query(LAST_RUNS, each), conditions) for row in part]
        return {(row["PartitionKey"], row["sync"]): row for row in rows}

    def _last_rows(self, syncs: Sequence[str], there: Mapping[tuple[str, str], TableEntity]) -> dict[str, _Row]:
        """The rows of the last runs of some syncs, by sync, each with the moment of its last success."""
        found: dict[str, _Row] = {sync: row for sync in syncs if (row := there.get((EVERY_SYNC, sync)))}
        rest = [sync for sync in syncs if "succeeded" not in found.get(sync, {})]
        moved = self._each(lambda sync: self._moved(sync, there.get((EVERY_SYNC, sync))), rest)
        return found | dict(zip(rest, moved, strict=True))

    def _moved(self, sync: str, there: TableEntity | None) -> dict[str, Any]:
        """The row of a sync that has none, or an incomplete one: it never ran, or an older version wrote its runs.

        It is kept, without a run where there is none, so that this is asked once.
        """
        completed = " or ".join(f"state eq '{state.value}'" for state in COMPLETED)
        good, run = self._latest(sync, f"{NOT_APART} and ({completed})"), self.last_run(sync)
        row = _last_entity(EVERY_SYNC, sync, run) | _success(good.ended if good else None)
        self._put_after(LAST_RUNS, row, there)
        return row

    def _last_rows_apart(
        self, syncs: Sequence[str], there: Mapping[tuple[str, str], TableEntity], trigger: str
    ) -> dict[str, _Row]:
        """The same of rows that no schedule is decided by."""
        partition = LAST_APART[trigger]
        found: dict[str, _Row] = {sync: row for sync in syncs if (row := there.get((partition, sync)))}
        rest = [sync for sync in syncs if sync not in found]
        moved = self._each(lambda sync: self._moved_apart(sync, trigger), rest)
        return found | dict(zip(rest, moved, strict=True))

    def _moved_apart(self, sync: str, trigger: str) -> dict[str, Any]:
        row = _last_entity(LAST_APART[trigger], sync, self._latest(sync, f"trigger eq '{trigger}'"))
        self._put_after(LAST_RUNS, row, None)
        return row

    def _renew_last_apart(self, there: TableEntity, trigger: str) -> None:
        """Replace such a row of `lastruns` by what the execution log has now, unless it was written meanwhile."""
        last = self._latest(there["sync"], f"trigger eq '{trigger}'")
        row = _last_entity(there["PartitionKey"], there["sync"], last)
        if row["run"] != there["run"]:
            self._put_after(LAST_RUNS, row, there)

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
        self._transact(ERRORS, _puts({_error_key(error): error for error in map(fitting_error, errors)}))

    def replace_errors(self, before: Sequence[ErrorRecord], after: Sequence[ErrorRecord]) -> None:
        """See `StateStore.replace_errors`; a hundred rows are replaced in one transaction."""
        new = {_error_key(error): error for error in map(fitting_error, after)}
        gone = [_error_keys(error) for error in before if _error_key(error) not in new]
        try:
            self._transact(ERRORS, [*(("delete", row) for row in gone), *_puts(new)])
        except TableTransactionError:  # a row is deleted already
            self.add_errors(after)
            self._delete(ERRORS, gone)

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
        return tuple(sorted(name.removeprefix(start) for name in self._file_names(start)))

    def put_rows_to_mend(self, run_id: str, rows: RowsToMend) -> None:
        """See `StateStore.put_rows_to_mend`."""
        self._put_file(place_to_mend(key(run_id)), rows.to_bytes(), MEMORY)

    def rows_to_mend(self, run_id: str) -> RowsToMend | None:
        """See `StateStore.rows_to_mend`."""
        data = self._read_file(place_to_mend(key(run_id)), MEMORY)
        return None if data is None else RowsToMend.of_bytes(data, run_id)


def _newest_first(run: RunRecord) -> str:
    """A row key that sorts the latest start first."""
    return f"{left(run.started):020}-{key(run.run_id)}"


def _last_entity(partition: str, sync: str, run: RunRecord | None) -> dict[str, Any]:
    kept = {"run": _newest_first(run), **document(asdict(run))} if run else {"run": ""}
    return {"PartitionKey": partition, "RowKey": key(sync), "sync": sync, **kept}


def _last_run(row: Mapping[str, Any]) -> RunRecord | None:
    return read_record(RunRecord, LAST_RUNS, row) if row["run"] else None


def _following(there: TableEntity | None, run: RunRecord) -> Mapping[str, Any] | None:
    """The row of `lastruns` after a run was written; None where it stays as it is.

    A row without a moment of success is incomplete: what an older version wrote before is not known.
    """
    success = _success(run.ended) if run.state in COMPLETED and run.ended else {}
    known = {"succeeded": there["succeeded"]} if there and "succeeded" in there else {}
    if there and there["run"] and there["run"] < _newest_first(run):  # it started later
        later = success and known and success["succeeded"] > known["succeeded"]
        return {**there, **success} if later else None
    return _last_entity(EVERY_SYNC, run.sync, run) | known | success


def _success(ended: datetime | None) -> dict[str, str]:
    return {"succeeded": ended.astimezone(UTC).isoformat(timespec="microseconds") if ended else ""}


def _time_of_success(row: Mapping[str, Any]) -> datetime | None:
    with reading(f"{PREFIX}{LAST_RUNS}", str(row["RowKey"])):
        return moment(row["succeeded"]) if row["succeeded"] else None


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


def _puts(errors: Mapping[tuple[str, str], ErrorRecord]) -> list[tuple[Any, ...]]:
    """What writes error rows, by their keys."""
    rows = ({**_error_keys(error), **document(asdict(error))} for error in errors.values())
    return [("upsert", row, {"mode": "replace"}) for row in rows]


def _error_key(error: ErrorRecord) -> tuple[str, str]:
    keys = _error_keys(error)
    return keys["PartitionKey"], keys["RowKey"]


def _error_keys(error: ErrorRecord) -> dict[str, str]:
    what = "\x00".join(_identity(error))
    return {"PartitionKey": key(error.run_id), "RowKey": hashlib.sha256(what.encode()).hexdigest()}


def _identity(error: ErrorRecord) -> tuple[str, ...]:
    return error.side, error.error_class, error.error_type, error.column, error.message
