"""Jobs, and marks of runs that are to stop."""

from __future__ import annotations

from dataclasses import asdict

from shared.state._bounds import json_text
from shared.state._reading import job_record, jobs_known_here, json_object, reading
from shared.state.records import Job, JobRequest, RunState
from shared.state.sqlite import _tables as tables
from shared.state.sqlite._database import MOST_ROWS, Database

__all__ = ["JobRows"]

FIELDS = ("id", "sameness", "state", "requested", "since", "ended", "document")
SELECT = "SELECT id, document FROM jobs"


class JobRows(Database):
    """The part of the state store that keeps jobs."""

    def request_job(self, request: JobRequest) -> Job:
        """See `StateStore.request_job`."""
        with self._writing() as db:
            same = "id = ? OR (sameness = ? AND state = ?) ORDER BY id = ? DESC, requested LIMIT 1"
            values = (request.id, request.sameness, RunState.QUEUED.value, request.id)
            if found := db.execute(f"{SELECT} WHERE {same}", values).fetchone():
                return _job(*found)
            job = Job.of(request)
            db.execute(tables.insert("jobs", FIELDS), _row(job))
            return job

    def put_job(self, job: Job) -> None:
        """See `StateStore.put_job`."""
        with self._writing() as db:
            db.execute(tables.replace("jobs", FIELDS), _row(job))

    def remove_job(self, job_id: str) -> None:
        """See `StateStore.remove_job`."""
        with self._writing() as db:
            db.execute("DELETE FROM job_files WHERE job_id = ?", (job_id,))
            db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def job(self, job_id: str) -> Job | None:
        """See `StateStore.job`."""
        found = self._one(f"{SELECT} WHERE id = ?", (job_id,))
        return _job(*found) if found else None

    def jobs_starting(self, text: str, limit: int = 50) -> tuple[Job, ...]:
        """See `StateStore.jobs_starting`."""
        # A range of the primary key; nothing sorts after the last character of Unicode.
        values = (text, f"{text}\U0010ffff", min(limit, MOST_ROWS))
        rows = self._all(f"{SELECT} WHERE id >= ? AND id < ? LIMIT ?", values)
        return tuple(jobs_known_here(rows, lambda row: _job(*row)))

    def jobs(self) -> tuple[Job, ...]:
        """See `StateStore.jobs`."""
        return tuple(jobs_known_here(self._all(SELECT), lambda row: _job(*row)))

    def open_jobs(self) -> tuple[Job, ...]:
        """See `StateStore.open_jobs`."""
        rows = self._all(f"{SELECT} WHERE ended IS NULL ORDER BY since, id")
        return tuple(jobs_known_here(rows, lambda row: _job(*row)))

    def job_requests(self) -> tuple[JobRequest, ...]:
        """See `StateStore.job_requests`."""
        waiting = f"{SELECT} WHERE ended IS NULL AND state = ? ORDER BY requested, id"
        rows = self._all(waiting, (RunState.QUEUED.value,))
        return tuple(job.request for job in jobs_known_here(rows, lambda row: _job(*row)))

    def put_job_file(self, job_id: str, name: str, data: bytes) -> None:
        """See `StateStore.put_job_file`."""
        with self._writing() as db:
            db.execute(tables.replace("job_files", ("job_id", "name", "data")), (job_id, name, data))

    def job_files(self) -> tuple[tuple[str, str], ...]:
        """See `StateStore.job_files`."""
        return tuple((str(job), str(name)) for job, name in self._all("SELECT job_id, name FROM job_files"))

    def remove_job_file(self, job_id: str, name: str) -> None:
        """See `StateStore.remove_job_file`."""
        with self._writing() as db:
            db.execute("DELETE FROM job_files WHERE job_id = ? AND name = ?", (job_id, name))

    def job_file(self, job_id: str, name: str) -> bytes | None:
        """See `StateStore.job_file`."""
        found = self._one("SELECT data FROM job_files WHERE job_id = ? AND name = ?", (job_id, name))
        return tables.content(found[0]) if found else None

    def cancel_run(self, run_id: str, by: str) -> None:
        """See `StateStore.cancel_run`."""
        with self._writing() as db:
            sql = tables.replace("cancelled_runs", ("run_id", "requested_by", "requested"))
            db.execute(sql, (run_id, by, tables.text(self._now())))

    def cancelled_by(self, run_id: str) -> str | None:
        """See `StateStore.cancelled_by`."""
        found = self._one("SELECT requested_by FROM cancelled_runs WHERE run_id = ?", (run_id,))
        return str(found[0]) if found else None

    def _remove_old_jobs(self, moment: str, limit: int) -> int:
        """Remove jobs that ended before a moment with their files, and older marks of runs; returns how many jobs."""
        with self._writing() as db:
            old, most = (
                "SELECT id FROM jobs WHERE ended < ? ORDER BY ended, id LIMIT ?",
                (moment, min(limit, MOST_ROWS)),
            )
            db.execute(f"DELETE FROM job_files WHERE job_id IN ({old})", most)
            jobs = db.execute(f"DELETE FROM jobs WHERE id IN ({old})", most).rowcount
            db.execute("DELETE FROM cancelled_runs WHERE requested < ?", (moment,))
        return jobs


def _row(job: Job) -> tuple[str | None, ...]:
    request = job.request
    ended = tables.text(job.ended) if job.ended else None
    moments = (tables.text(request.requested), tables.text(job.since), ended)
    return (job.id, request.sameness, job.state, *moments, json_text(asdict(job)))


def _job(job_id: str, document: str) -> Job:
    with reading("jobs", job_id):
        return job_record(json_object(document, "document"))
