"""Removing what is older than the time that it is kept for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, Final

from azure.data.tables import TableEntity

from shared.state.azure._events import LETTERS, EventTables
from shared.state.azure._jobs import JobTables
from shared.state.azure._journals import JournalFiles
from shared.state.azure._leases import LEASES, LeaseTables
from shared.state.azure._ledgers import LedgerFiles
from shared.state.azure._mirrors import MirrorFiles
from shared.state.azure._people import PeopleTables
from shared.state.azure._runs import (
    COMPLETED,
    ERRORS,
    EVERY_SYNC,
    LAST_APART,
    LAST_RUNS,
    RUN_PLACES,
    RUNS,
    folder,
    left,
    place_to_mend,
)
from shared.state.azure._storage import MEMORY, key, read_record
from shared.state.job_kinds import TAKEN_BACK, UNBEGUN_RETRY
from shared.state.records import RETRY, RemovedCounts, RunRecord

__all__ = ["Retention"]

KEYS: Final = ["PartitionKey", "RowKey"]
# Triggers of rows of which nobody needs the last one.
NEVER_LAST: Final = frozenset({RETRY, TAKEN_BACK, UNBEGUN_RETRY})
_APART: Final = "(trigger eq 'events' or trigger eq 'definition')"
_OF_RUNS: Final = " and ".join([f"not {_APART}", *(f"trigger ne '{each}'" for each in sorted(NEVER_LAST))])
_COMPLETED: Final = " or ".join(f"state eq '{state.value}'" for state in COMPLETED)
# Kind of rows, of which the last one stays -> their condition: rows that are not of runs, runs, and successes.
_LAST_OF: Final = {
    "apart": _APART,
    "run": _OF_RUNS,
    "success": f"{_OF_RUNS} and ({_COMPLETED})",
}


class Retention(JobTables, JournalFiles, LeaseTables, LedgerFiles, MirrorFiles, PeopleTables, EventTables):
    """The part of the state store that keeps it small."""

    def prune(self, before: datetime, *, limit: int) -> RemovedCounts:
        """See `StateStore.prune`."""
        staying: list[dict[str, str]] = []
        runs = list(islice(self._old_runs(before, staying), limit))
        self._remove_runs(runs)
        emptied = self._remove_parts(staying, limit)
        self._renew_last_rows(before)
        kept = f"kept lt '{before.isoformat()}'"
        letters = self._query(LETTERS, kept, select=KEYS, limit=limit)
        self._remove_letters({(row["PartitionKey"], row["RowKey"]) for row in letters})
        leases = self._old_leases(before, limit)
        self._delete(LEASES, leases)
        removed = RemovedCounts(
            runs=len(runs),
            dead_letters=len(letters),
            leases=len(leases),
            ledgers=self._remove_old_ledgers(before, limit),
            mirrors=self._remove_old_mirrors(before, limit),
            jobs=self._remove_old_jobs(before, limit),
        )
        notes = self._remove_old_notes(before, limit)
        counts = (removed.runs, removed.dead_letters, removed.leases, removed.ledgers, removed.mirrors, removed.jobs)
        return replace(removed, more=max(*counts, notes, emptied) >= limit)

    def _old_runs(self, before: datetime, staying: list[dict[str, str]]) -> Iterator[dict[str, str]]:
        """The keys of the rows of runs that may go, among those of all syncs, with their sync.

        Args:
            before: When runs have started that are old.
            staying: Gets the keys of the other old rows, as far as they are read.
        """
        condition = f"PartitionKey eq '{EVERY_SYNC}' and RowKey ge '{left(before) + 1:020}'"
        followed: set[tuple[str, str]] = set()
        for row in self._each_of(RUNS, condition, select=[*KEYS, "sync", "trigger", "state"]):
            keys, kinds = {name: row[name] for name in (*KEYS, "sync")}, _kinds(row)
            # They come newest first, so what follows the first of a kind has a later one.
            if all((row["sync"], kind) in followed or self._has_later(row, kind) for kind in kinds):
                yield keys
            else:
                staying.append(keys)
            followed.update((row["sync"], kind) for kind in kinds)

    def _has_later(self, row: Mapping[str, Any], kind: str) -> bool:
        condition = f"PartitionKey eq '{key(row['sync'])}' and RowKey lt '{row['RowKey']}' and {_LAST_OF[kind]}"
        return bool(self._query(RUNS, condition, select=KEYS, limit=1))

    def _remove_runs(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Remove runs with all that belongs to them; the row that they are found by goes last."""
        runs = [*map(_key_of_run, rows)]
        self._remove_parts(rows, len(rows))
        self._remove_journals(runs)
        self._delete(RUN_PLACES, [{"PartitionKey": run, "RowKey": "run"} for run in runs])
        self._delete(RUNS, [{"PartitionKey": key(row["sync"]), "RowKey": row["RowKey"]} for row in rows])
        self._delete(RUNS, [{name: row[name] for name in KEYS} for row in rows])

    def _remove_parts(self, rows: Sequence[Mapping[str, str]], limit: int) -> int:
        """Remove what belongs to runs beside their rows and their journals, which have a time of their own.

        Returns:
            From how many runs something was removed, `limit` of them at most.
        """
        found = zip(self._each(self._errors_of, rows), self._each(self._files_of, rows), rows, strict=True)
        full = list(islice(((errors, files) for errors, files, _ in found if errors or files), limit))
        self._delete(ERRORS, [error for errors, _ in full for error in errors])
        self._delete_files(path for _, files in full for path in files)
        self._delete_files((place_to_mend(_key_of_run(row)) for row in rows), MEMORY)
        return len(full)

    def _renew_last_rows(self, before: datetime) -> None:
        """Let `lastruns` name no row of events or retry that is not kept any more."""
        for trigger, partition in LAST_APART.items():
            condition = f"PartitionKey eq '{partition}' and run ge '{left(before) + 1:020}'"
            for row in self._query(LAST_RUNS, condition):
                self._renew_last_apart(row, trigger)

    def _errors_of(self, row: Mapping[str, str]) -> list[TableEntity]:
        return self._query(ERRORS, f"PartitionKey eq '{_key_of_run(row)}'", select=KEYS)

    def _files_of(self, row: Mapping[str, str]) -> list[str]:
        run_id = _key_of_run(row)
        if run_id.startswith("h."):  # a digest: the row has the id
            found = self._get(RUNS, row["PartitionKey"], row["RowKey"])
            run_id = read_record(RunRecord, RUNS, found).run_id if found else run_id
        return [f"{folder(run_id)}{name}" for name in self.files(run_id)]

    def _old_leases(self, before: datetime, limit: int) -> list[TableEntity]:
        """Leases of job requests: their ids are never used again, so their fencing numbers are not needed."""
        written = before.isoformat().replace("+00:00", "Z")
        condition = f"name ge 'job/' and name lt 'job0' and Timestamp lt datetime'{written}'"
        rows = self._query(LEASES, condition, limit=limit)
        return [row for row in rows if self.lease(row["name"]) is None]


def _key_of_run(row: Mapping[str, str]) -> str:
    return row["RowKey"].partition("-")[2]


def _kinds(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds of rows of which a row may be the last one that is needed."""
    if row["trigger"] in NEVER_LAST:
        return ()
    if row["trigger"] in {"events", "definition"}:
        return ("apart",)
    return ("run", "success") if row["state"] in COMPLETED else ("run",)
