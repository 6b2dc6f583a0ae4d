"""The protocol of a state store. SQLite and Azure Tables + Blobs keep it; tests/contract runs one suite on both."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from shared.state.records import DeadLetter, ErrorRecord, JobRequest, Lease, PlanUse, Position, Pruned, RunRecord

__all__ = ["StateStore"]


class StateStore(Protocol):
    """Keeps what outlives a run. Every method may be called from any thread.

    Every method raises `RetryLater` when the store is away or busy for too long and `AbortRun` when it refuses us or
    holds a row that cannot be read; a method that raised has either done all of its work or may be called again with
    the same arguments. What is too large for a record is kept cut, and the record says so.
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

    def last_run(self, sync: str, *, until: datetime | None = None) -> RunRecord | None:
        """The latest run of the sync that a timer, command or job set off, of those that started by a moment.

        Rows of events, and of definitions with mistakes (which started nothing), do not count.
        """

    # -- Errors and files of a run -------------------------------------------------------------------------------

    def add_errors(self, errors: Sequence[ErrorRecord]) -> None:
        """Keep error rows. The same run, side, class, type and column again replaces the row."""

    def errors(self, run_id: str) -> tuple[ErrorRecord, ...]:
        """The error rows of a run: most rows first."""

    def put_file(self, run_id: str, name: str, data: bytes) -> None:
        """Keep a file of a run, such as `<run>_SourceErrors.csv`. The same name again replaces it."""

    def file(self, run_id: str, name: str) -> bytes | None:
        """A file's bytes; None where there is none."""

    def files(self, run_id: str) -> tuple[str, ...]:
        """The names of a run's files, sorted."""

    # -- Leases --------------------------------------------------------------------------------------------------

    def acquire_lease(self, name: str, *, holder: str, seconds: float) -> Lease | None:
        """Take a lease that is free: never held, given back, or not renewed for the time that its holder asked for.

        That time is counted by the store, or by the machine that all users of the store share. What the clock of the
        holder or of the caller says decides nothing, and a lease that was given back is free whatever any clock says.

        Returns:
            The lease with a fencing number higher than any before, or None while somebody else holds it. A holder who
            asks again while it holds the lease gets None too: two runs of one process are two holders.
        """

    def renew_lease(self, lease: Lease, *, seconds: float) -> Lease | None:
        """Move the end of a lease to `seconds` from now.

        Returns:
            The renewed lease, or None where it is lost: expired and taken by another, or released. One that expired
            and that nobody took is renewed: nothing happened in between.
        """

    def release_lease(self, lease: Lease) -> bool:
        """Give a lease back; False where it was not held any more (which harms nobody)."""

    def lease(self, name: str) -> Lease | None:
        """Who holds a lease now; None where nobody does."""

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

    def count_dead_letters(self, sync: str | None = None) -> int:
        """How many events are kept, of one sync or of all."""

    def remove_dead_letters(self, ids: Collection[str]) -> int:
        """Forget events that settled; returns how many were there."""

    def seen(self, sync: str, keys: Collection[str]) -> Mapping[str, Position]:
        """The position of the last event that took effect, by key, for those of `keys` that have one.

        Args:
            sync: Name of the sync.
            keys: Message keys as text, any length; hundreds in one call are meant to be cheap.
        """

    def mark_seen(self, sync: str, positions: Mapping[str, Position]) -> None:
        """Remember, by key, the position of the last event that took effect.

        Within a partition a position never moves back: where a later one is there, it stays.
        """

    def remove_positions(self, before: datetime) -> int:
        """Forget positions that were written before a moment; returns how many. For keeping the store small."""

    # -- Saved plans ---------------------------------------------------------------------------------------------

    def use_plan(self, use: PlanUse) -> PlanUse:
        """Write down that a run applies a saved plan, unless another run has it already: called under the sync's lease.

        Returns:
            Who has the plan: `use`, or the earlier use by another run.
        """

    def plan_use(self, plan_id: str) -> PlanUse | None:
        """Which run applied a saved plan; None where none did."""

    def return_plan(self, use: PlanUse) -> None:
        """Forget that this run has the plan, because it wrote nothing: the plan may be applied."""

    # -- Retention -----------------------------------------------------------------------------------------------

    def prune(self, before: datetime, *, limit: int) -> Pruned:
        """Remove what is older than a moment, in a bounded amount of work.

        Removed are runs that started before it with their errors and files, dead letters kept before it, and leases of
        job requests that nobody holds. The last run of each sync stays whatever its age (schedules are decided by it),
        and so does the last row of its events and definitions. Uses of saved plans stay: a plan that could be applied
        again after some time would not be applied once, and a row is written only where a person saved a plan.

        Args:
            before: The moment.
            limit: How much of each kind is removed at most.

        Returns:
            What is gone. A call that was cut short is made good by the next one.
        """

    # -- Job requests --------------------------------------------------------------------------------------------

    def request_job(self, request: JobRequest) -> None:
        """Ask for a run. The same id again replaces the request."""

    def job_requests(self) -> tuple[JobRequest, ...]:
        """What is asked for, oldest first."""

    def remove_job_request(self, request_id: str) -> bool:
        """Forget a request that was taken up; True for the one caller who removed it."""

    def close(self) -> None:
        """Let go of connections. The store is not used afterwards."""
