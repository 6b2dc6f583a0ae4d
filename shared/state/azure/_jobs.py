"""Jobs, and marks of runs that are to stop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from azure.data.tables import TableEntity, TableTransactionError

from shared.errors import RetryLater
from shared.state._reading import job_record, jobs_known_here, reading
from shared.state.azure._storage import MEMORY, PREFIX, Storage, document, key, read_document
from shared.state.records import Job, JobRequest, RunState

__all__ = ["JobTables"]

JOBS: Final = "jobs"
# Open jobs have a partition of their own, so that the ended ones do not make reading them slow. A request has a second
# row there, a mark that is named by what it asks for: of two that are kept at the same moment, one is refused. Rows of
# one partition are written in one transaction. Which jobs wait is in their own rows alone.
OPEN, ENDED, CANCELLED = "job", "ended", "cancelled"
# Each repetition means that another process wrote in between.
TURNS: Final = 20
_FOLDER: Final = "jobs/"


class JobTables(Storage):
    """The part of the state store that keeps jobs."""

    def request_job(self, request: JobRequest) -> Job:
        """See `StateStore.request_job`."""
        if ended := self._get(JOBS, ENDED, key(request.id)):
            return _job(ended)
        job, mark = Job.of(request), {"PartitionKey": OPEN, "RowKey": _mark_key(request), "job": key(request.id)}
        before: TableEntity | None = None
        for _ in range(TURNS):
            if known := self._same_job(request):
                return known
            try:
                self._submit(JOBS, [self._write_after(mark, before), ("create", _row(job))])
            except TableTransactionError:  # one for the same thing is there, or our own, whose answer was lost
                if found := self.job(request.id):
                    return found
                before = self._get(JOBS, OPEN, mark["RowKey"])
                waiting = self._open_job(before["job"]) if before else None
                if waiting is not None and waiting.waits:
                    return waiting
                continue
            return job
        raise RetryLater(f"The job of {request.sync!r} is being requested by other processes", retry_after=1)

    def put_job(self, job: Job) -> None:
        """See `StateStore.put_job`."""
        # In place first: a job that has ended is never seen as open again, whatever comes between.
        self._put(JOBS, _row(job))
        if not job.waits:
            self._remove_mark(job)
        if job.ended is not None:
            self._put(JOBS, {**_row(job), "PartitionKey": ENDED})
            self._delete(JOBS, [{"PartitionKey": OPEN, "RowKey": key(job.id)}])

    def remove_job(self, job_id: str) -> None:
        """See `StateStore.remove_job`."""
        job = self._open_job(key(job_id))
        if job is not None:
            self._remove_mark(job)
            self._delete(JOBS, [{"PartitionKey": OPEN, "RowKey": key(job_id)}])
            self._remove_job_files([key(job_id)])

    def job(self, job_id: str) -> Job | None:
        """See `StateStore.job`."""
        if found := self._open_job(key(job_id)):
            return found
        row = self._get(JOBS, ENDED, key(job_id))
        return _job(row) if row else None

    def jobs_starting(self, text: str, limit: int = 50) -> tuple[Job, ...]:
        """See `StateStore.jobs_starting`."""
        if key(text) != text:  # ids with other characters are kept as digests, which begin otherwise
            return ()
        # A range of rows; no character of an id sorts after it.
        found = (
            row
            for partition in (OPEN, ENDED)
            for row in self._query(
                JOBS, f"PartitionKey eq '{partition}' and RowKey ge '{text}' and RowKey lt '{text}~'", limit=limit
            )
        )
        rows = {row["RowKey"]: row for row in found if "job" not in row}
        return tuple(jobs_known_here(rows.values(), _job))[:limit]

    def jobs(self) -> tuple[Job, ...]:
        """See `StateStore.jobs`."""
        # Ended ones last: of a job that has two rows, because its process died at that moment, this one counts.
        found = (row for partition in (OPEN, ENDED) for row in self._query(JOBS, f"PartitionKey eq '{partition}'"))
        rows = {row["RowKey"]: row for row in found if _is_job(row)}
        return tuple(jobs_known_here(rows.values(), _job))

    def open_jobs(self) -> tuple[Job, ...]:
        """See `StateStore.open_jobs`."""
        return tuple(sorted(self._each_open_job(), key=lambda job: (job.since, job.id)))

    def job_requests(self) -> tuple[JobRequest, ...]:
        """See `StateStore.job_requests`."""
        waiting = (job.request for job in self._each_open_job() if job.waits)
        return tuple(sorted(waiting, key=lambda request: (request.requested, request.id)))

    def put_job_file(self, job_id: str, name: str, data: bytes) -> None:
        """See `StateStore.put_job_file`."""
        self._put_file(f"{_folder(key(job_id))}{name}", data, MEMORY)

    def job_file(self, job_id: str, name: str) -> bytes | None:
        """See `StateStore.job_file`."""
        return self._read_file(f"{_folder(key(job_id))}{name}", MEMORY)

    def job_files(self) -> tuple[tuple[str, str], ...]:
        """See `StateStore.job_files`; ids of jobs are their own keys."""
        parts = (name.removeprefix(_FOLDER).partition("/") for name in self._file_names(_FOLDER, MEMORY))
        return tuple((job, name) for job, _, name in parts)

    def remove_job_file(self, job_id: str, name: str) -> None:
        """See `StateStore.remove_job_file`."""
        self._delete_files([f"{_folder(key(job_id))}{name}"], MEMORY)

    def cancel_run(self, run_id: str, by: str) -> None:
        """See `StateStore.cancel_run`."""
        keys = {"PartitionKey": CANCELLED, "RowKey": key(run_id)}
        self._put(JOBS, {**keys, "requested_by": by, "ended": self._now().isoformat()})

    def cancelled_by(self, run_id: str) -> str | None:
        """See `StateStore.cancelled_by`."""
        row = self._get(JOBS, CANCELLED, key(run_id))
        return str(row["requested_by"]) if row else None

    def _same_job(self, request: JobRequest) -> Job | None:
        """The open job of a request, or the first one for the same thing that waits.

        A job waits again after each run that is to be repeated, also if a later one has its mark by then.
        """
        same = f"same eq '{request.sameness}' and state eq '{RunState.QUEUED.value}'"
        rows = self._query(JOBS, f"PartitionKey eq '{OPEN}' and (RowKey eq '{key(request.id)}' or ({same}))")
        found = [job for job in jobs_known_here(rows, _job) if job.ended is None]
        return min(found, key=lambda job: (job.id != request.id, job.request.requested, job.id), default=None)

    def _each_open_job(self) -> Iterator[Job]:
        rows = filter(_is_job, self._query(JOBS, f"PartitionKey eq '{OPEN}'"))
        return (job for job in jobs_known_here(rows, _job) if job.ended is None)

    def _open_job(self, row_key: str) -> Job | None:
        row = self._get(JOBS, OPEN, row_key)
        return _job(row) if row else None

    def _remove_mark(self, job: Job) -> None:
        """Let the next request for the same thing make a job of its own."""
        mark = self._get(JOBS, OPEN, _mark_key(job.request))
        if mark is not None and mark["job"] == key(job.id):
            self._delete(JOBS, [mark])

    def _remove_old_jobs(self, before: datetime, limit: int) -> int:
        """Remove jobs that ended before a moment, and marks of runs that are older; returns how many rows."""
        # A job that has ended may have stayed among the open ones, where its process died at that moment.
        old = f"ended lt '{before.isoformat()}' and ended ne ''"
        rows = [
            row
            for partition in (ENDED, CANCELLED, OPEN)
            for row in self._query(
                JOBS, f"PartitionKey eq '{partition}' and {old}", select=["PartitionKey", "RowKey"], limit=limit
            )
        ]
        self._remove_job_files([row["RowKey"] for row in rows if row["PartitionKey"] != CANCELLED])
        self._delete(JOBS, rows)
        return len(rows)

    def _remove_job_files(self, job_keys: Iterable[str]) -> None:
        names = self._each(lambda job_key: self._file_names(_folder(job_key), MEMORY), job_keys)
        self._delete_files((name for found in names for name in found), MEMORY)


def _folder(job_key: str) -> str:
    """Where the files of a job are, in the container for what holds values of rows."""
    return f"{_FOLDER}{job_key}/"


def _is_job(row: TableEntity) -> bool:
    """Whether a row is a job; `taken` is of an earlier version, whose requests had no other state."""
    return "job" not in row and not row.get("taken")


def _mark_key(request: JobRequest) -> str:
    return f"same.{request.sameness}"


def _row(job: Job) -> dict[str, Any]:
    request, ended = job.request, job.ended.isoformat() if job.ended else ""
    shown = {"sync": request.sync, "same": request.sameness, "state": job.state, "ended": ended}
    return {"PartitionKey": OPEN, "RowKey": key(job.id), **shown, **document(asdict(job))}


def _job(row: Mapping[str, Any] | TableEntity) -> Job:
    with reading(f"{PREFIX}{JOBS}", f"{row['PartitionKey']}/{row['RowKey']}"):
        return job_record(read_document(row))
