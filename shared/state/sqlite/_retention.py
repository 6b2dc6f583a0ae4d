"""Removing what is older than the time that it is kept for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.state.job_kinds import TAKEN_BACK, UNBEGUN_RETRY
from shared.state.records import RETRY, RemovedCounts
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
OLD_RUNS = f"""
    SELECT run_id FROM runs AS old WHERE started < ? AND (old."trigger" IN ({NEVER_LAST}) OR EXISTS (
        SELECT 1 FROM runs AS later WHERE later.sync = old.sync AND later.started > old.started
        AND later."trigger" NOT IN ({NEVER_LAST})
        AND (later."trigger" IN ('events', 'definition')) = (old."trigger" IN ('events', 'definition'))))
    ORDER BY started LIMIT ?
"""
OLD_LEASES = "SELECT name FROM leases WHERE name >= 'job/' AND name < 'job0' AND expires < ? LIMIT ?"


class Retention(JobRows, JournalRows, LeaseRows, LedgerRows, MirrorFiles, PeopleRows, RunRows):
    """The part of the state store that keeps it small."""

    def prune(self, before: datetime, *, limit: int) -> RemovedCounts:
        """See `StateStore.prune`."""
        moment, most = tables.text(before), min(limit, MOST_ROWS)
        runs = [str(run_id) for (run_id,) in self._all(OLD_RUNS, (moment, most))]
        for at in range(0, len(runs), TOGETHER):
            self._remove_runs(runs[at : at + TOGETHER])
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
            more=max(len(runs), letters, len(leases), ledgers, mirrors, jobs, notes) >= limit,
        )

    def _remove_runs(self, run_ids: Sequence[str]) -> None:
        with self._writing() as db:
            for table in ("errors", "files", "journals", "rows_to_mend", "runs"):
                db.execute(f"DELETE FROM {table} WHERE run_id IN ({marks(run_ids)})", run_ids)
