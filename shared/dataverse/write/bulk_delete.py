"""Large drops through `BulkDelete`: the service deletes in its own jobs, and the rows are looked up afterwards.

A job reports how many rows it deleted, but not which ones. So each row's outcome comes from a look-up: a row that is
not found is applied, and what is still there is deleted in the ordinary way, which succeeds or reports the reason.
Deleting twice is safe, so a job whose answer was lost is simply started again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice

from shared.dataverse.changes import Applied, Change, ChangeAction, Failed, Outcome, Skipped, WriteLimits
from shared.dataverse.http.answers import Answer, UnexpectedAnswer
from shared.dataverse.http.keys import lookups
from shared.dataverse.http.service import Call, Service
from shared.dataverse.http.waiting import WaitStoppedError
from shared.dataverse.write.writer import POLL_SECONDS
from shared.entities import EntityMetadata
from shared.errors import RequestRefused, SyncError

__all__ = ["BulkDeleting", "Write"]

Write = Callable[[Iterable[Change], WriteLimits], Iterator[Outcome]]

ROWS_A_JOB = 5000  # Microsoft's samples show 13 to 40 seconds for a job of 100 rows: the fewer jobs the better
IDS_A_QUERY = 500  # a query's parameters are bounded (SQL Server takes 2,100)
JOBS_AT_ONCE = 4
FIRST_PAUSE = 0.5  # seconds between looks at the jobs; grows while nothing happens
LONGEST_PAUSE = 15.0
GRACE = 10.0  # seconds before the deadline, for calling jobs off and looking at what they did
CALLING_OFF = 60.0  # seconds in which calling jobs off is tried again where the service is not available
_COMPLETED = 3  # statecode of an asyncoperation; its statuscode is then 30 succeeded, 31 failed, 32 canceled
_CANCELLED = "cancelled"  # what limits call a stop by `cancelled`
_CALLED_OFF = b'{"statecode":3,"statuscode":32}'


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    id: str
    changes: tuple[Change, ...]


class BulkDeleting:
    """One call of the writer in which many deletes become jobs.

    Args:
        service: Sends the requests and has the clock.
        entity: A standard table.
        fewest: So many deletes at least, or none is done by a job.
        limits: What ends the write early.
        write: The ordinary writer.
    """

    def __init__(
        self, service: Service, entity: EntityMetadata, *, fewest: int, limits: WriteLimits, write: Write
    ) -> None:
        self._service = service
        self._clock = service.clock
        self._entity = entity
        self._fewest = fewest
        self._limits = limits
        self._write = write
        self._failed = 0
        self._stopped = ""

    def outcomes(self, changes: Iterable[Change]) -> Generator[Outcome, None, None]:
        """Write; one outcome for each change.

        Raises:
            AbortRun: Nothing more can succeed; every change has had its outcome before this is raised.
            RetryLater: The service is unavailable; likewise.
        """
        rest, met = iter(changes), list[Change]()
        yield from _accounted(self._ordinary(_until_delete(rest, met)), chain(met, rest))
        deletes = [*met, *islice(rest, self._fewest - 1 if met else 0)]
        rest = chain(deletes, rest)
        in_jobs = len(deletes) >= self._fewest and all(map(_by_id, deletes))
        yield from _accounted(self._in_jobs(rest) if in_jobs else self._ordinary(rest), rest)
        yield from (Skipped(number=change.number, reason=self._stopped) for change in rest)

    def _ordinary(self, changes: Iterable[Change]) -> Iterator[Outcome]:
        """The ordinary writer, under what is left of the limits."""
        if self._stopped:
            return
        for outcome in self._write(changes, self._limits.after(self._failed)):
            self._failed += isinstance(outcome, Failed)
            if isinstance(outcome, Skipped):
                self._stopped = outcome.reason
            yield outcome
        self._stop_if_due(grace=0.0)

    def _stop_if_due(self, *, grace: float = GRACE) -> None:
        self._stopped = self._stopped or self._limits.reason_to_stop(
            errors=self._failed, now=self._clock.monotonic(), needed=grace
        )

    def _in_jobs(self, changes: Iterator[Change]) -> Iterator[Outcome]:
        jobs: list[_Job] = []
        return _accounted(self._worked(changes, jobs), (change for job in jobs for change in job.changes), sent=True)

    def _worked(self, changes: Iterator[Change], jobs: list[_Job]) -> Iterator[Outcome]:
        try:
            yield from self._until_stopped(changes, jobs)
        finally:  # also where an error ends the write, a person does, or the caller takes no more outcomes
            self._call_off(jobs)
        for job in tuple(jobs):
            yield from self._seen(job, jobs)

    def _until_stopped(self, changes: Iterator[Change], jobs: list[_Job]) -> Iterator[Outcome]:
        """Start jobs and look at those that have ended; `jobs` has those that are at work."""
        pause = FIRST_PAUSE
        while True:
            self._stop_if_due()
            while not self._stopped and len(jobs) < JOBS_AT_ONCE and (taken := tuple(islice(changes, ROWS_A_JOB))):
                yield from self._started(taken, jobs)
            if not jobs:
                return
            self._wait(pause)
            if self._stopped:
                return
            done = self._done(jobs)
            pause = FIRST_PAUSE if done else min(pause * 1.5, LONGEST_PAUSE)
            for job in done:
                yield from self._seen(job, jobs)

    def _started(self, changes: tuple[Change, ...], jobs: list[_Job]) -> Iterator[Outcome]:
        """Start a job; rows without an id, and all rows where the service will not have the job, go the other way."""
        named = tuple(change for change in changes if _by_id(change))
        others = [change for change in changes if not _by_id(change)]
        jobs.append(_Job(id="", changes=changes))  # until there is one: an error leaves no change without its outcome
        try:
            started = [_Job(id=self._job_of(named), changes=named)] if named else []
        except (RequestRefused, UnexpectedAnswer):
            started, others = [], list(changes)
        except WaitStoppedError:  # the job may have been started: its answer may be what was lost
            self._stopped = _CANCELLED
            jobs.pop()
            yield from self._skipped(changes)
            return
        jobs[-1:] = started
        if others:
            yield from self._ordinary(others)

    def _job_of(self, changes: Sequence[Change]) -> str:
        """Start a job and return its id."""
        return self._fetched(self._call(changes)).member("JobId").guid()

    def _fetched(self, call: Call) -> Answer:
        """The answer to a request; a wait for it ends when the write is cancelled, by `WaitStoppedError`."""
        with self._service.until(None, stopped=self._limits.cancelled):
            return self._service.fetch_json(call)

    def _skipped(self, changes: Iterable[Change]) -> Iterator[Outcome]:
        """The outcomes of changes of a job of which it is not known what it has deleted, or may still delete."""
        return (Skipped(number=change.number, reason=self._stopped, sent=True) for change in changes)

    def _call(self, changes: Sequence[Change]) -> Call:
        ids = [str(change.id) for change in changes]
        parts = [ids[at : at + IDS_A_QUERY] for at in range(0, len(ids), IDS_A_QUERY)]
        body = {
            "JobName": f"Delete {len(ids)} {self._entity.logical_name} records",
            "SendEmailNotification": False,
            "ToRecipients": [],
            "CCRecipients": [],
            "RecurrencePattern": "",
            "StartDateTime": f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}",
            "QuerySet": [_query(self._entity, part) for part in parts],
        }
        return Call(
            method="POST",
            path="BulkDelete",
            headers=self._service.connection.write_headers,
            body=json.dumps(body).encode(),
            table=self._entity.logical_name,
            doing="bulk delete",
            writes=True,
        )

    def _wait(self, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0 and not self._stopped:
            self._clock.sleep(min(left, POLL_SECONDS))
            self._stop_if_due()

    def _done(self, jobs: Sequence[_Job]) -> list[_Job]:
        """The jobs that have ended, well or badly; one that is not known any more has ended too."""
        among = ",".join(f"%22{job.id}%22" for job in jobs)
        path = (
            "asyncoperations?$select=statecode&$filter=Microsoft.Dynamics.CRM.In"
            f"(PropertyName='asyncoperationid',PropertyValues=[{among}])"
        )
        try:
            rows = self._fetched(Call(path=path, table="asyncoperation")).rows()
        except WaitStoppedError:
            self._stopped = _CANCELLED
            return []
        at_work = {
            row.member("asyncoperationid").guid() for row in rows if row.member("statecode").whole() != _COMPLETED
        }
        return [job for job in jobs if job.id not in at_work]

    def _call_off(self, jobs: Sequence[_Job]) -> None:
        """Keep jobs from deleting after the run has ended; one that has ended cannot be kept."""
        with self._service.until(self._clock.monotonic() + CALLING_OFF):
            for job in (each for each in jobs if each.id):
                call = Call(
                    method="PATCH",
                    path=f"asyncoperations({job.id})",
                    headers={"If-Match": "*"},
                    body=_CALLED_OFF,
                    table="asyncoperation",
                    doing="cancel",
                    writes=True,
                )
                with suppress(SyncError):
                    self._service.fetch(call)

    def _seen(self, job: _Job, jobs: list[_Job]) -> Iterator[Outcome]:
        try:
            there = self._there(job.changes)
        except WaitStoppedError:
            self._stopped = self._stopped or _CANCELLED
            there = frozenset(str(change.id).lower() for change in job.changes)  # as far as is known
        jobs.remove(job)
        still = [change for change in job.changes if str(change.id).lower() in there]
        for change in job.changes:
            if str(change.id).lower() not in there:
                yield Applied(number=change.number, id=change.id, created=False)
        if still and not self._stopped:
            yield from self._ordinary(still)
        elif still:
            yield from self._skipped(still)  # that the job is called off is not known

    def _there(self, changes: Sequence[Change]) -> frozenset[str]:
        """Which of the records exist."""
        primary, found = self._entity.primary_id, set[str]()
        for query in lookups(self._entity, ({primary: str(change.id)} for change in changes)):
            answer = self._fetched(Call(path=query.path, table=self._entity.logical_name))
            found.update(row.member(primary).guid() for row in answer.rows())
        return frozenset(found)


def _accounted(outcomes: Iterator[Outcome], left: Iterable[Change], *, sent: bool = False) -> Iterator[Outcome]:
    """The outcomes; where they end in an error, first one for each change that is left."""
    try:
        yield from outcomes
    except SyncError as error:
        reason = f"aborted: {error.message}"
        yield from (Skipped(number=change.number, reason=reason, sent=sent) for change in left)
        raise


def _until_delete(changes: Iterator[Change], met: list[Change]) -> Iterator[Change]:
    """The changes before the first delete, which is put into `met`."""
    for change in changes:
        if change.action is ChangeAction.DELETE:
            met.append(change)
            return
        yield change


def _by_id(change: Change) -> bool:
    return change.action is ChangeAction.DELETE and change.id is not None


def _query(entity: EntityMetadata, ids: Sequence[str]) -> dict[str, object]:
    """A QueryExpression for the records with these ids (Microsoft: "BulkDelete action")."""
    crm = "Microsoft.Dynamics.CRM"
    condition = {
        "@odata.type": f"{crm}.ConditionExpression",
        "AttributeName": entity.primary_id,
        "Operator": "In",
        "Values": [{"Value": record, "Type": "System.Guid"} for record in ids],
    }
    return {
        "@odata.type": f"{crm}.QueryExpression",
        "EntityName": entity.logical_name,
        "ColumnSet": {"@odata.type": f"{crm}.ColumnSet", "AllColumns": False, "Columns": []},
        "Criteria": {"@odata.type": f"{crm}.FilterExpression", "FilterOperator": "And", "Conditions": [condition]},
    }
