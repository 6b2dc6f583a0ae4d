"""Large drops through jobs, in virtual time: each delete ends with its own outcome, however the job fared."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import UUID

import pytest

from shared.dataverse.changes import Applied, Change, ChangeAction, Failed, Outcome, Skipped, WriteLimits
from shared.dataverse.http.connection import Connection
from shared.dataverse.http.service import Service
from shared.dataverse.write.bulk_delete import CALLING_OFF, IDS_A_QUERY, JOBS_AT_ONCE, ROWS_A_JOB, BulkDeleting
from shared.errors import AbortRun, AnswerLost, RetryLater, SyncError
from shared.http.transport import Request, Response
from tests.unit.dataverse.simulation import ACCOUNT, BASE, FixedToken, SimulatedClock


def record(number: int) -> str:
    return str(UUID(int=number + 1))


class Jobs:
    """A service that deletes in jobs, each done so many seconds after it was started."""

    def __init__(self, count: int, *, seconds: float = 20.0, immovable: Iterable[int] = ()) -> None:
        self.clock = SimulatedClock()
        self.there = {record(number) for number in range(count)}
        self.immovable = {record(number) for number in immovable}
        self.seconds = seconds
        self.bodies: list[dict[str, Any]] = []
        self.canceled: list[str] = []
        self.most = 0
        self.refusal: Response | None = None
        self.seconds_of: dict[int, float] = {}  # of some jobs by their place
        self.look: Callable[[], Response] | None = None  # answers those who look at the jobs
        self.calling_off: Response | None = None
        self.end: SyncError | None = None  # ends the ordinary writer after it has met an immovable record
        self.lose = 0
        self._due: dict[str, tuple[float, set[str]]] = {}

    def send(self, request: Request) -> Response:
        self._work()
        path = request.url.removeprefix(BASE)
        if path == "BulkDelete":
            return self.refusal or self._start(json.loads(request.body or b""))
        if path.startswith("asyncoperations?") and self.look is not None:
            return self.look()
        if path.startswith("asyncoperations(") and self.calling_off is not None:
            return self.calling_off
        if path.startswith("asyncoperations("):
            self.canceled.append(path[16:52])
            self._due.pop(path[16:52], None)
            return Response(status=204)
        if path.startswith("asyncoperations?"):
            named = re.findall("%22(.+?)%22", path)
            return _good([{"asyncoperationid": job, "statecode": 0 if job in self._due else 3} for job in named])
        wanted = set(re.findall("%22(.+?)%22", path))
        return _good([{"accountid": one.upper()} for one in sorted(wanted & self.there)])

    def close(self) -> None:
        pass

    @property
    def at_work(self) -> bool:
        """Whether a job will still delete records."""
        return bool(self._due)

    def _start(self, body: dict[str, Any]) -> Response:
        self.bodies.append(body)
        job = str(UUID(int=10**9 + len(self.bodies)))
        values = [query["Criteria"]["Conditions"][0]["Values"] for query in body["QuerySet"]]
        seconds = self.seconds_of.get(len(self.bodies) - 1, self.seconds)
        self._due[job] = (self.clock.seconds + seconds, {one["Value"] for part in values for one in part})
        self.most = max(self.most, len(self._due))
        if self.lose:
            self.lose -= 1
            raise AnswerLost("connection broke")
        return Response(status=200, body=json.dumps({"JobId": job}).encode())

    def _work(self) -> None:
        for job, (due, ids) in list(self._due.items()):
            if due <= self.clock.seconds:
                self.there -= ids - self.immovable
                del self._due[job]

    def write(self, changes: Iterable[Change], limits: WriteLimits) -> Iterator[Outcome]:
        """The ordinary writer, which deletes what can be deleted."""
        failed = 0
        for change in changes:
            if limits.max_errors is not None and failed > limits.max_errors:
                yield Skipped(number=change.number, reason="errors")
            elif change.id in self.immovable and self.end is not None:
                yield Skipped(number=change.number, reason=f"aborted: {self.end.message}")
                raise self.end
            elif change.id in self.immovable:
                failed += 1
                yield Failed(number=change.number, status=400, code="0x80040265", message="Locked")
            else:
                self.there.discard(str(change.id))
                yield Applied(number=change.number, id=change.id, created=False)


class Throttled(Jobs):
    """One that throttles one kind of request from the second one on, for half an hour each time."""

    def __init__(self, count: int, throttled: str, *, seconds: float) -> None:
        super().__init__(count, seconds=seconds)
        self.throttled = throttled
        self.asked = 0

    def send(self, request: Request) -> Response:
        if request.url.removeprefix(BASE).startswith(self.throttled):
            self.asked += 1
            if self.asked > 1:
                body = b'{"error":{"code":"0x80072321","message":"Combined execution time exceeded"}}'
                return Response(status=429, headers={"retry-after": "1800"}, body=body)
        return super().send(request)


def _good(rows: list[dict[str, Any]]) -> Response:
    return Response(status=200, body=json.dumps({"value": rows}).encode())


def deletes(count: int, *, start: int = 0) -> list[Change]:
    return [Change(number=n, action=ChangeAction.DELETE, id=record(n)) for n in range(start, start + count)]


def dropping(jobs: Jobs, *, fewest: int = 100, **limits: Any) -> BulkDeleting:
    service = Service(Connection(service_url=BASE), transport=jobs, users=[FixedToken()], clock=jobs.clock)
    return BulkDeleting(service, ACCOUNT, fewest=fewest, limits=WriteLimits(**limits), write=jobs.write)


def drained(drops: BulkDeleting, changes: Iterable[Change]) -> tuple[dict[int, Outcome], SyncError | None]:
    outcomes: list[Outcome] = []
    error: SyncError | None = None
    try:
        outcomes.extend(drops.outcomes(iter(changes)))
    except SyncError as raised:
        error = raised
    by_number = {outcome.number: outcome for outcome in outcomes}
    assert len(by_number) == len(outcomes)
    return by_number, error


def kinds(outcomes: dict[int, Outcome]) -> set[type]:
    return {type(outcome) for outcome in outcomes.values()}


def test_many_deletes_become_few_jobs() -> None:
    """Ids travel in queries of bounded size, several queries a job, a few jobs at once."""
    jobs = Jobs(30_000)
    outcomes, error = drained(dropping(jobs), deletes(30_000))
    assert (len(outcomes), kinds(outcomes), error) == (30_000, {Applied}, None)
    assert not jobs.there
    assert len(jobs.bodies) == 30_000 / ROWS_A_JOB
    assert jobs.most == JOBS_AT_ONCE
    sizes = {len(query["Criteria"]["Conditions"][0]["Values"]) for body in jobs.bodies for query in body["QuerySet"]}
    assert sizes == {IDS_A_QUERY}
    assert isinstance(outcomes[7], Applied)
    assert outcomes[7].id == record(7)


def test_few_deletes_are_ordinary_requests() -> None:
    """Below the number that the definition names no job is started."""
    jobs = Jobs(99)
    outcomes, _ = drained(dropping(jobs), deletes(99))
    assert (len(outcomes), kinds(outcomes), jobs.bodies) == (99, {Applied}, [])


def test_what_comes_before_the_deletes_is_written_first() -> None:
    """Inserts and updates keep their way and their place."""
    jobs = Jobs(100)
    before = [Change(number=1000 + n, action=ChangeAction.UPDATE, id=f"other-{n}") for n in range(3)]
    outcomes, _ = drained(dropping(jobs), [*before, *deletes(100)])
    assert list(outcomes)[:3] == [1000, 1001, 1002]
    assert (len(outcomes), len(jobs.bodies)) == (103, 1)


def test_records_that_a_job_left_are_deleted_singly_with_their_own_errors() -> None:
    """Records that are still there are deleted one by one: that names code and message."""
    jobs = Jobs(200, immovable=[5, 150])
    outcomes, _ = drained(dropping(jobs), deletes(200))
    failed = {number: outcome for number, outcome in outcomes.items() if isinstance(outcome, Failed)}
    assert (len(outcomes), set(failed)) == (200, {5, 150})
    assert failed[5].message == "Locked"


def test_a_delete_without_an_id_is_an_ordinary_request() -> None:
    """A job names its records by id."""
    jobs = Jobs(150)
    keyed = Change(number=999, action=ChangeAction.DELETE, key='{"accountnumber":"A"}')
    outcomes, _ = drained(dropping(jobs), [*deletes(150), keyed])
    assert (len(outcomes), kinds(outcomes)) == (151, {Applied})


@pytest.mark.parametrize("status", [400, 404])
def test_a_job_that_the_service_refuses_does_not_stop_the_write(status: int) -> None:
    """Its rows are deleted in the ordinary way."""
    jobs = Jobs(150)
    body = json.dumps({"error": {"code": "0x80040203", "message": "No."}}).encode()
    jobs.refusal = Response(status=status, body=body)
    outcomes, error = drained(dropping(jobs), deletes(150))
    assert (len(outcomes), kinds(outcomes), error) == (150, {Applied}, None)


def test_a_privilege_that_is_missing_ends_the_run_with_its_name() -> None:
    """Every delete has its outcome before."""
    jobs = Jobs(150)
    body = json.dumps({"error": {"code": "0x80040220", "message": "Principal is missing prvBulkDelete privilege"}})
    jobs.refusal = Response(status=403, body=body.encode())
    outcomes, error = drained(dropping(jobs), deletes(150))
    assert (len(outcomes), kinds(outcomes)) == (150, {Skipped})
    assert isinstance(error, AbortRun)
    assert "prvBulkDelete" in error.message


def test_a_service_that_stays_unavailable_ends_the_run_as_retry_later() -> None:
    """Likewise, with the jobs that were not begun."""
    jobs = Jobs(12_000)
    jobs.refusal = Response(status=503, body=b'{"error":{"code":"0x1","message":"away"}}')
    outcomes, error = drained(dropping(jobs), deletes(12_000))
    assert (len(outcomes), kinds(outcomes)) == (12_000, {Skipped})
    assert isinstance(error, RetryLater)


def test_the_deadline_cancels_jobs_and_reports_their_outcomes() -> None:
    """Nothing is deleted after the run has ended; what was is applied, the rest is left for the next run."""
    jobs = Jobs(30_000, seconds=25.0)
    drops = dropping(jobs, deadline=jobs.clock.monotonic() + 50)
    outcomes, error = drained(drops, deletes(30_000))
    applied = {number for number, outcome in outcomes.items() if isinstance(outcome, Applied)}
    assert (len(outcomes), error) == (30_000, None)
    assert jobs.clock.seconds <= 50
    assert jobs.there == {record(number) for number in range(30_000) if number not in applied}
    assert 0 < len(applied) < 30_000
    assert {outcome.reason for outcome in outcomes.values() if isinstance(outcome, Skipped)} == {"deadline"}
    jobs.clock.sleep(1000)
    jobs.send(Request(method="GET", url=BASE + "accounts"))
    assert len(jobs.there) == 30_000 - len(applied)


def test_cancelling_calls_jobs_off() -> None:
    """Within a second, not at the next look at the jobs."""
    jobs = Jobs(500, seconds=1000.0)
    outcomes, _ = drained(dropping(jobs, cancelled=lambda: jobs.clock.seconds > 100), deletes(500))
    assert {getattr(outcome, "reason", "") for outcome in outcomes.values()} == {"cancelled"}
    assert (len(jobs.canceled), len(jobs.there)) == (1, 500)
    assert jobs.clock.seconds <= 101.5


@pytest.mark.parametrize("asked", ["BulkDelete", "asyncoperations?", "accounts?"])
def test_cancelling_ends_a_wait_that_the_service_asks_for(asked: str) -> None:
    """Jobs do not go on for as long as a question about them is throttled; each change has an outcome."""
    jobs = Throttled(20_000, asked, seconds=20.0 if asked == "accounts?" else 10_000)

    outcomes, error = drained(dropping(jobs, cancelled=lambda: jobs.clock.seconds > 100), deletes(20_000))

    assert (len(outcomes), error) == (20_000, None)
    assert {getattr(each, "reason", "cancelled") for each in outcomes.values()} == {"cancelled"}
    assert jobs.clock.seconds <= 101.5
    before = set(jobs.there)
    jobs.clock.sleep(20_000)
    jobs.send(Request(method="GET", url=BASE + "other"))
    assert jobs.there == before


def test_too_many_errors_stop_the_rest() -> None:
    """Failures of what jobs left behind count together."""
    jobs = Jobs(30_000, immovable=range(0, 30_000, 100))
    outcomes, _ = drained(dropping(jobs, max_errors=60), deletes(30_000))
    assert len(outcomes) == 30_000
    assert 60 < sum(isinstance(outcome, Failed) for outcome in outcomes.values()) < 300
    assert Skipped in kinds(outcomes)


def test_a_job_whose_answer_was_lost_is_started_again() -> None:
    """Deleting twice does no harm."""
    jobs = Jobs(150)
    jobs.lose = 1
    outcomes, error = drained(dropping(jobs), deletes(150))
    assert (len(outcomes), kinds(outcomes), error) == (150, {Applied}, None)
    assert len(jobs.bodies) == 2


def _jobs_may_not_be_read(jobs: Jobs) -> None:
    body = json.dumps(
        {"error": {"code": "0x80040220", "message": "Principal is missing prvReadAsyncOperation privilege"}}
    )
    jobs.look = lambda: Response(status=403, body=body.encode())


def _jobs_cannot_be_read(jobs: Jobs) -> None:
    def lost() -> Response:
        raise AnswerLost("connection broke")

    jobs.look = lost


def _a_person_stops_the_run(jobs: Jobs) -> None:
    def stopped() -> Response:
        raise KeyboardInterrupt

    jobs.look = stopped


def _a_record_may_not_be_deleted(jobs: Jobs) -> None:
    jobs.seconds_of = {0: 2.0}
    jobs.immovable = {record(7)}
    jobs.end = AbortRun("the application user may not delete account records")


@pytest.mark.parametrize(
    "end", [_jobs_may_not_be_read, _jobs_cannot_be_read, _a_person_stops_the_run, _a_record_may_not_be_deleted]
)
def test_jobs_are_called_off_whatever_ends_the_write(end: Callable[[Jobs], None]) -> None:
    """They would go on deleting what the next run, or a person, may not want to be deleted any more."""
    jobs = Jobs(20_000, seconds=600.0)
    end(jobs)
    with pytest.raises((AbortRun, RetryLater, KeyboardInterrupt)):
        list(dropping(jobs).outcomes(iter(deletes(20_000))))
    assert not jobs.at_work
    assert len(jobs.canceled) == len(jobs.bodies) - len(jobs.seconds_of)


def test_jobs_are_called_off_where_the_caller_takes_no_more_outcomes() -> None:
    jobs = Jobs(20_000, seconds=600.0)
    jobs.seconds_of = {0: 2.0}
    outcomes = dropping(jobs).outcomes(iter(deletes(20_000)))
    assert isinstance(next(outcomes), Applied)
    outcomes.close()
    assert (len(jobs.canceled), jobs.at_work) == (3, False)


def test_jobs_that_cannot_be_called_off_are_not_waited_for_long() -> None:
    """A service that is away keeps the run from ending for about a minute, and no longer."""
    jobs = Jobs(20_000, seconds=600.0)
    _jobs_may_not_be_read(jobs)
    jobs.calling_off = Response(status=503)
    outcomes, error = drained(dropping(jobs), deletes(20_000))
    assert (len(outcomes), kinds(outcomes), type(error)) == (20_000, {Skipped}, AbortRun)
    assert jobs.clock.seconds <= CALLING_OFF + 5
