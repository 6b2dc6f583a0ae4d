"""The protocol of a state store. SQLite and Azure Tables + Blobs keep it; tests/contract runs one suite on both."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from shared.entities import LedgerEntry, LedgerHead, MirrorHead
from shared.state.event_records import DeadLetter, Position
from shared.state.mending import RowsToMend
from shared.state.records import (
    AuditEntry,
    ErrorRecord,
    Job,
    JobRequest,
    LatestRows,
    Lease,
    Pause,
    PlanUse,
    RemovedCounts,
    RunRecord,
)

__all__ = ["StateStore"]


class StateStore(Protocol):
    """Keeps what outlives a run. Every method may be called from any thread.

    Every method raises `RetryLater` when the store is unavailable or busy for too long, and `AbortRun` when it refuses
    access or holds a row that cannot be read. A method that raised has either done all of its work or may be called
    again with the same arguments. A value that is too large for a record is cut, and the record shows it.
    """

    # -- Execution log -------------------------------------------------------------------------------------------

    def begin_run(self, run: RunRecord) -> None:
        """Write the row of a run that starts. A row of the same `run_id` is replaced."""

    def finish_run(self, run: RunRecord) -> None:
        """Replace the row of a run that has ended."""

    def run(self, run_id: str) -> RunRecord | None:
        """The row of one run; None where there is none."""

    def runs(self, sync: str | None = None, limit: int = 50) -> tuple[RunRecord, ...]:
        """The latest rows, newest first, of one sync or of all."""

    def last_run(self, sync: str, *, until: datetime | None = None, retries: bool = False) -> RunRecord | None:
        """The latest run of the sync that a timer, command or job set off, of those that started by a moment.

        Rows of events, of definitions with mistakes and of requests that were taken back (which started nothing) and of
        retries (which read no source) do not count; with `retries`, those of retries do.
        """

    def last_runs(self, syncs: Collection[str], *, until: datetime | None = None) -> Mapping[str, RunRecord]:
        """The same for many syncs at once, by sync; without those that have no such run.

        In a store that an older version of the program writes too, a run may be the one before the latest.
        """

    def latest_rows(self, syncs: Collection[str]) -> Mapping[str, LatestRows]:
        """What people are shown of many syncs at once, by sync: an entry for each.

        The number of requests to the store does not grow with the syncs. In a store that an older version of the
        program writes too, a run may be the one before the latest.
        """

    def runs_starting(self, text: str, limit: int = 50) -> tuple[RunRecord, ...]:
        """Rows of the runs whose id begins with a text, in any order."""

    # -- Errors and files of a run -------------------------------------------------------------------------------

    def add_errors(self, errors: Sequence[ErrorRecord]) -> None:
        """Keep error rows. The same run, side, class, type and column again replaces the row."""

    def replace_errors(self, before: Sequence[ErrorRecord], after: Sequence[ErrorRecord]) -> None:
        """Keep error rows in the place of others.

        Args:
            before: Rows of one run as they were read.
            after: Rows of the same run, whose messages may be other ones.
        """

    def errors(self, run_id: str) -> tuple[ErrorRecord, ...]:
        """The error rows of a run: most rows first."""

    def put_file(self, run_id: str, name: str, data: bytes) -> None:
        """Keep a file of a run, such as `<run>_SourceErrors.csv`. The same name again replaces it."""

    def file(self, run_id: str, name: str) -> bytes | None:
        """A file's bytes; None where there is none."""

    def files(self, run_id: str) -> tuple[str, ...]:
        """The names of a run's files, sorted."""

    def put_rows_to_mend(self, run_id: str, rows: RowsToMend) -> None:
        """Keep the rows in error of a run, which hold values. They replace those that are there."""

    def rows_to_mend(self, run_id: str) -> RowsToMend | None:
        """The rows in error of a run; None where none were kept."""

    # -- Journals ------------------------------------------------------------------------------------------------

    def put_journal_part(self, run_id: str, name: str, data: bytes) -> None:
        """Keep a part of the journal of a run, which holds values of records. The same name again replaces it."""

    def journal_part(self, run_id: str, name: str) -> bytes | None:
        """One part of a journal; None where it is missing."""

    def journal_parts(self, run_id: str) -> tuple[str, ...]:
        """The names of the parts of a run's journal, sorted; none where the run has no journal."""

    def prune_journals(self, before: datetime, *, limit: int) -> int:
        """Remove journals that were written before a moment, `limit` of them at most; returns how many."""

    # -- Paused syncs --------------------------------------------------------------------------------------------

    def pause(self, pause: Pause) -> None:
        """Let a sync run no more until `resume`. A pause that is there is replaced."""

    def pauses(self) -> Mapping[str, Pause]:
        """The syncs that are paused, by name."""

    def resume(self, sync: str) -> bool:
        """Let a sync run again; False if it was not paused."""

    # -- Leases --------------------------------------------------------------------------------------------------

    def acquire_lease(self, name: str, *, holder: str, seconds: float) -> Lease | None:
        """Take a lease that is free: never held, given back, or not renewed for the time that its holder asked for.

        The store counts that time, or the machine that all users of the store share. The clocks of the holder and of
        the caller are not used. A lease that was released is free at once.

        Returns:
            The lease with a fencing number higher than any before, or None while another holder has it. A holder that
            asks again while it holds the lease also gets None: two runs of one process are two holders.
        """

    def renew_lease(self, lease: Lease, *, seconds: float) -> Lease | None:
        """Move the end of a lease to `seconds` from now.

        Returns:
            The renewed lease, or None where it is lost: expired and taken by another, or released. A lease that
            expired and was not taken is renewed, because nothing happened in between.
        """

    def release_lease(self, lease: Lease) -> bool:
        """Release a lease; False if it was not held any more, which is harmless."""

    def lease(self, name: str) -> Lease | None:
        """The current lease of a name; None if it is free."""

    # -- Watermarks ----------------------------------------------------------------------------------------------

    def watermark(self, sync: str) -> str | None:
        """How far a source has been read, as the source wrote it; None before the first time."""

    def set_watermark(self, sync: str, value: str, *, fence: int) -> bool:
        """Move the watermark.

        Args:
            sync: Name of the sync.
            value: The new watermark.
            fence: Fencing number of the lease under which it was earned.

        Returns:
            False, changing nothing, where a holder with a higher number has moved it already.
        """

    # -- Events --------------------------------------------------------------------------------------------------

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Keep events that could not be applied. One with an id that is there replaces it (`kept` stays)."""

    def dead_letters(
        self, sync: str | None = None, *, ids: Collection[str] = (), limit: int = 1000
    ) -> tuple[DeadLetter, ...]:
        """Kept events by partition and sequence number, of one sync or of all, or those with the given ids."""

    def dead_letter_sizes(self, sync: str | None = None) -> Mapping[str, int]:
        """Id -> how many bytes its event has at most, in the order of `dead_letters`, of one sync or of all."""

    def count_dead_letters(self, sync: str | None = None) -> int:
        """How many events are kept, of one sync or of all."""

    def dead_letter_counts(self) -> Mapping[str, int]:
        """How many events are kept, by sync; under the empty name those that no listener took."""

    def remove_dead_letters(self, ids: Collection[str]) -> int:
        """Remove events that were applied; returns how many there were. One that is kept again at this moment stays."""

    def seen(self, sync: str, keys: Collection[str]) -> Mapping[str, Position]:
        """The position of the last event that took effect, by key, for those of `keys` that have one.

        Args:
            sync: Name of the sync.
            keys: Message keys as text, any length; a call with hundreds of keys is fast.
        """

    def mark_seen(self, sync: str, positions: Mapping[str, Position]) -> None:
        """Remember, by key, the position of the last event that took effect.

        Within a partition a position never moves back: where a later one is there, it stays.
        """

    def copy_positions(self, old: str, new: str) -> None:
        """Let a sync have the positions of another one, with their age, as if it had marked them as seen."""

    def remove_positions(self, before: datetime, *, limit: int) -> int:
        """Remove so many positions that were written before a moment; returns how many. Keeps the store small."""

    # -- Saved plans ---------------------------------------------------------------------------------------------

    def use_plan(self, use: PlanUse) -> PlanUse:
        """Write down that a run applies a saved plan, unless another run has it already: called under the sync's lease.

        Returns:
            Who has the plan: `use`, or the earlier use by another run.
        """

    def plan_use(self, plan_id: str) -> PlanUse | None:
        """Which run applied a saved plan; None where none did."""

    def return_plan(self, use: PlanUse) -> None:
        """Remove the use of the plan by this run, which wrote nothing: the plan can be applied again."""

    # -- Ledgers -------------------------------------------------------------------------------------------------

    def ledger(self, sync: str) -> LedgerHead | None:
        """What the ledger of a sync consists of; None where it has none."""

    def ledger_part(self, sync: str, name: str) -> bytes | None:
        """One part of a ledger; None where it is missing."""

    def ledger_parts(self, sync: str) -> tuple[str, ...]:
        """The names of all parts that are kept, sorted: also those of a run that died before it swapped the ledger."""

    def put_ledger_part(self, sync: str, name: str, data: bytes) -> None:
        """Keep a part, which belongs to the ledger once `swap_ledger` names it. Names are used once."""

    def swap_ledger(
        self, sync: str, parts: Sequence[str], *, expected: LedgerHead | None, fence: int
    ) -> LedgerHead | None:
        """Let the ledger consist of other parts, at once; see `LedgerStore.swap_ledger`."""

    def ledger_entries(self, sync: str, ids: Collection[str] | None = None) -> Mapping[str, LedgerEntry]:
        """The entries of some records, or all of a sync; a call with hundreds of ids is fast."""

    def put_ledger_entries(self, sync: str, entries: Mapping[str, LedgerEntry]) -> Mapping[str, LedgerEntry]:
        """Write entries that are unchanged since they were read; see `LedgerStore.put_ledger_entries`."""

    def remove_ledger_entries(self, sync: str, entries: Mapping[str, LedgerEntry]) -> None:
        """Remove entries that are unchanged since they were read; the others stay."""

    def use_ledger(self, sync: str) -> None:
        """Note that the ledger is in use; see `LedgerStore.use_ledger`."""

    # -- Mirrors -------------------------------------------------------------------------------------------------

    def mirror(self, sync: str) -> MirrorHead | None:
        """What the mirror of a sync consists of; None where it has none, or one that cannot be read."""

    def mirror_part(self, sync: str, name: str, into: Path) -> bool:
        """Put one part of a mirror into a file that does not exist; False where the part is missing."""

    def mirror_parts(self, sync: str) -> tuple[str, ...]:
        """The names of all parts that are kept, sorted: also those that no manifest names, or a damaged one."""

    def put_mirror_part(self, sync: str, name: str, file: Path) -> None:
        """Keep a file as a part, which belongs to the mirror once `swap_mirror` names it. Names are used once."""

    def swap_mirror(
        self, sync: str, manifest: str, parts: Sequence[str], *, expected: MirrorHead | None, fence: int
    ) -> MirrorHead | None:
        """Let the mirror consist of other parts, at once; see `MirrorStore.swap_mirror`."""

    # -- Retention -----------------------------------------------------------------------------------------------

    def prune(self, before: datetime, *, limit: int) -> RemovedCounts:
        """Remove what is older than a moment, in a bounded amount of work.

        Removed are runs that started before it with their errors, files, journals and rows to mend, dead letters kept
        before it, mirrors that no run has swapped since then, ledgers that neither a run has swapped nor an event has
        used, jobs that ended (with their files) and runs that were asked to stop before then, notes of progress and
        entries of the audit log from before then, and leases of jobs that are free. The row of the last run of each
        sync that is no retry stays at any age (the schedule needs it), and so do that of its last success and the last
        one of its events and definitions, with their journals; what else belongs to these runs is removed. A row of a
        request that was taken back does not stay. Uses of saved plans stay: a plan that could be applied again after
        some time would not be applied once, and a row is written only where a person saved a plan.

        Args:
            before: The moment.
            limit: How much of each kind is removed at most.

        Returns:
            What was removed. The next call completes a call that was interrupted.
        """

    # -- Jobs ----------------------------------------------------------------------------------------------------

    def request_job(self, request: JobRequest) -> Job:
        """Keep a job for a request, unless one for the same thing waits (`JobRequest.sameness`).

        Returns:
            The new job, or the one that waits. The same id again gives the job that is there, whatever its state.
        """

    def put_job(self, job: Job) -> None:
        """Replace the row of a job; for the holder of the job's lease alone."""

    def remove_job(self, job_id: str) -> None:
        """Remove a job that has nothing to do; likewise."""

    def job(self, job_id: str) -> Job | None:
        """One job, also one that has ended; None where there is none.

        Raises:
            NewerJobError: Only a newer version of the program can do what it asks for.
        """

    def jobs_starting(self, text: str, limit: int = 50) -> tuple[Job, ...]:
        """Jobs whose id begins with a text, also ended ones, in any order; without those of newer versions."""

    def jobs(self) -> tuple[Job, ...]:
        """All jobs, also those that have ended, in any order; without those of newer versions."""

    def open_jobs(self) -> tuple[Job, ...]:
        """The jobs that have not ended, those that have waited longest first; without those of newer versions."""

    def job_requests(self) -> tuple[JobRequest, ...]:
        """The requests of the jobs that wait, oldest first; without those of newer versions."""

    def put_job_file(self, job_id: str, name: str, data: bytes) -> None:
        """Keep what a job works on or finds out; it may hold values of rows, and goes with the job."""

    def job_file(self, job_id: str, name: str) -> bytes | None:
        """A file of a job; None where there is none."""

    def job_files(self) -> tuple[tuple[str, str], ...]:
        """All files of jobs: the id of the job and the name of the file, in any order."""

    def remove_job_file(self, job_id: str, name: str) -> None:
        """Remove a file of a job; it need not be there."""

    def cancel_run(self, run_id: str, by: str) -> None:
        """Mark a run as one that is to stop; its writer looks at the mark between two requests."""

    def cancelled_by(self, run_id: str) -> str | None:
        """Who asked a run to stop; None where nobody did."""

    # -- What people see and do ----------------------------------------------------------------------------------

    def note_progress(self, run_id: str, progress: Mapping[str, Any]) -> None:
        """Replace what is known of the progress of a run or job: a small JSON object."""

    def progress(self, run_id: str) -> Mapping[str, Any]:
        """What was noted last; empty where nothing was."""

    def add_audit(self, entry: AuditEntry) -> None:
        """Keep what a person did. Texts that are too long are cut. Entries are never changed; they go with `prune`."""

    def audit(
        self, sync: str | None = None, limit: int = 50, *, before: datetime | None = None
    ) -> tuple[AuditEntry, ...]:
        """The latest entries, newest first, of one sync or of all; of those from before a moment, where it is given."""

    def close(self) -> None:
        """Close the connections. The store is not used afterwards."""
