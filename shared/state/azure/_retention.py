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
from shared.state.azure._runs import ERRORS, EVERY_SYNC, RUN_PLACES, RUNS, folder, left, place_to_mend
from shared.state.azure._storage import MEMORY, key, read_record
from shared.state.job_kinds import TAKEN_BACK, UNBEGUN_RETRY
from shared.state.records import RETRY, RemovedCounts, RunRecord

__all__ = ["Retention"]

KEYS: Final = ["PartitionKey", "RowKey"]
# Rows that are not of runs; the last of them stays.
APART: Final = "(trigger eq 'events' or trigger eq 'definition')"

# Triggers of rows of which nobody needs the last one.
NEVER_LAST: Final = frozenset({RETRY, TAKEN_BACK, UNBEGUN_RETRY})


class Retention(JobTables, JournalFiles, LeaseTables, LedgerFiles, MirrorFiles, PeopleTables, EventTables):
    """The part of the state store that keeps it small."""

    def prune(self, before: datetime, *, limit: int) -> RemovedCounts:
        """See `StateStore.prune`."""
        runs = list(islice(self._old_runs(before), limit))
        self._remove_runs(runs)
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
        return replace(removed, more=max(*counts, notes) >= limit)

    def _old_runs(self, before: datetime) -> Iterator[dict[str, str]]:
        """The keys of the rows of runs that may go, among those of all syncs, with their sync."""
        condition = f"PartitionKey eq '{EVERY_SYNC}' and RowKey ge '{left(before) + 1:020}'"
        followed: set[tuple[str, bool]] = set()
        for row in self._each_of(RUNS, condition, select=[*KEYS, "sync", "trigger"]):
            kind = (row["sync"], row["trigger"] in {"events", "definition"})
            # They come newest first, so what follows the first of a kind has a later one.
            if row["trigger"] in NEVER_LAST or kind in followed or self._has_later(row, apart=kind[1]):
                yield {name: row[name] for name in (*KEYS, "sync")}
            if row["trigger"] not in NEVER_LAST:
                followed.add(kind)

    def _has_later(self, row: Mapping[str, Any], *, apart: bool) -> bool:
        others = " and ".join(f"trigger ne '{each}'" for each in sorted(NEVER_LAST))
        kind = APART if apart else f"not {APART} and {others}"
        condition = f"PartitionKey eq '{key(row['sync'])}' and RowKey lt '{row['RowKey']}' and {kind}"
        return bool(self._query(RUNS, condition, select=KEYS, limit=1))

    def _remove_runs(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Remove runs with all that belongs to them; the row that they are found by goes last."""
        runs = [row["RowKey"].partition("-")[2] for row in rows]
        errors = self._each(lambda run: self._query(ERRORS, f"PartitionKey eq '{run}'", select=KEYS), runs)
        self._delete(ERRORS, [error for found in errors for error in found])
        files = self._each(self._files_of, rows)
        self._delete_files(path for found in files for path in found)
        self._delete_files(map(place_to_mend, runs), MEMORY)
        self._remove_journals(runs)
        self._delete(RUN_PLACES, [{"PartitionKey": run, "RowKey": "run"} for run in runs])
        self._delete(RUNS, [{"PartitionKey": key(row["sync"]), "RowKey": row["RowKey"]} for row in rows])
        self._delete(RUNS, [{name: row[name] for name in KEYS} for row in rows])

    def _files_of(self, row: Mapping[str, str]) -> list[str]:
        run_id = row["RowKey"].partition("-")[2]
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
