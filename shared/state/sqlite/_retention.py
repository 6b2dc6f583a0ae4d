"""Removing what is older than the time that it is kept for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.state.job_kinds import TAKEN_BACK, UNBEGUN_RETRY
from shared.state.records import RETRY, RemovedCounts, RunState
from shared.state.sqlite import _tables as tables
from shared.state.sqlite._database import MOST_ROWS, marks
from shared.state.sqlite._jobs import JobRows
from shared.state.sqlite._journals import JournalRows
from shared.state.sqlite._leases import LeaseRows
from shared.state.sqlite._ledgers import LedgerRows
from shared.state.sqlite._mirrors import MirrorFiles
from shared.state.sqlite._people import PeopleRows
from shared.state.sqlite._runs import RunRows

__all__ = ["Retention"]

# Runs in one transaction: other processes wait for it, and a run's files may hold megabytes.
TOGETHER = 25
# Triggers of rows of which nobody needs the last one.
NEVER_LAST = f"'{RETRY}', '{TAKEN_BACK}', '{UNBEGUN_RETRY}'"
COMPLETED = f"'{RunState.SUCCEEDED.value}', '{RunState.COMPLETED_WITH_ERRORS.value}'"
_LATER = f"""
    SELECT 1 FROM runs AS later WHERE later.sync = old.sync AND later.started > old.started
    AND later."trigger" NOT IN ({NEVER_LAST})
    AND (later."trigger" IN ('events', 'definition')) = (old."trigger" IN ('events', 'definition'))
"""
# Whether nobody needs the row: it is neither the last one nor that of the last success.
_GOES = f"""
    (old."trigger" IN ({NEVER_LAST}) OR (EXISTS ({_LATER}) AND (
        old."trigger" IN ('events', 'definition') OR old.state NOT IN ({COMPLETED})
        OR EXISTS ({_LATER} AND later.state IN ({COMPLETED})))))
"""
OLD_RUNS = f"SELECT run_id FROM runs AS old WHERE started < ? AND {_GOES} ORDER BY started LIMIT ?"
# What a run consists of beside its row and its journal, which has a time of its own.
_PARTS = ("errors", "files", "rows_to_mend")
_HAS_PARTS = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE run_id = old.run_id)" for table in _PARTS)
OLD_WITH_PARTS = f"SELECT run_id FROM runs AS old WHERE started < ? AND NOT {_GOES} AND ({_HAS_PARTS}) LIMIT ?"
OLD_LEASES = "SELECT name FROM leases WHERE name >= 'job/' AND name < 'job0' AND expires < ? LIMIT ?"


class Retention(JobRows, JournalRows, LeaseRows, LedgerRows, MirrorFiles, PeopleRows, RunRows):
    """The part of the state store that keeps it small."""

    def prune(self, before: datetime, *, limit: int) -> RemovedCounts:
        """See `StateStore.prune`."""
        moment, most = tables.text(before), min(limit, MOST_ROWS)
        runs = [str(run_id) for (run_id,) in self._all(OLD_RUNS, (moment, most))]
        self._remove_of_runs(runs, (*_PARTS, "journals", "runs"))
        emptied = [str(run_id) for (run_id,) in self._all(OLD_WITH_PARTS, (moment, most))]
        self._remove_of_runs(emptied, _PARTS)
        leases = [name for (name,) in self._all(OLD_LEASES, (moment, most)) if self.lease(name) is None]
        ledgers = self._remove_old_ledgers(moment, most)
        mirrors = self._remove_old_mirrors(before, most)
        jobs = self._remove_old_jobs(moment, most)
        notes = self._remove_old_notes(moment, most)
        with self._writing() as db:
            sql = "DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters WHERE kept < ? LIMIT ?)"
            letters = db.execute(sql, (moment, most)).rowcount
            db.executemany("DELETE FROM leases WHERE name = ?", [(name,) for name in leases])
        return RemovedCounts(
            runs=len(runs),
            dead_letters=letters,
            leases=len(leases),
            ledgers=ledgers,
            mirrors=mirrors,
            jobs=jobs,
            more=max(len(runs), len(emptied), letters, len(leases), ledgers, mirrors, jobs, notes) >= limit,
        )

    def _remove_of_runs(self, runs: Sequence[str], kinds: Sequence[str]) -> None:
        """Remove the rows of some runs from these tables."""
        for at in range(0, len(runs), TOGETHER):
            run_ids = runs[at : at + TOGETHER]
            with self._writing() as db:
                for table in kinds:
                    db.execute(f"DELETE FROM {table} WHERE run_id IN ({marks(run_ids)})", run_ids)
