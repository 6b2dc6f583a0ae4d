"""Requests for a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.errors import UserError
from shared.jobs.requests import keep_job, new_request, request_run, stop
from shared.state import Job, JobKind, JobRequest, RunRecord, RunState, StateStore
from shared.state.sqlite import SqliteStateStore
from tests.store_in_front import StoreInFront

DEFINITION: dict[str, Any] = {
    "name": "accounts",
    "parameters": {"day": {"default": "today"}, "region": {"default": "North"}},
    "source": {"type": "delimited", "path": "a.csv", "columns": [{"name": "number"}]},
    "destination": {
        "type": "dynamics",
        "entity": "account",
        "service_url": "https://org.crm.dynamics.com/api/data/v9.2/",
        "id_column": "accountid",
        "mappings": [{"source": "number", "target": "accountnumber"}],
    },
    "sync_behaviour": {"sync_key": ["accountnumber"]},
}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateStore]:
    store = SqliteStateStore(tmp_path / "state.db")
    yield store
    store.close()


def test_a_request_is_in_the_state_store_as_it_was_made(state: StateStore) -> None:
    """With the parameters as text, and with who asked."""
    definition = SyncDefinition.model_validate(DEFINITION)
    request = request_run(state, definition, {"day": "2024-01-31"}, force=True, requested_by="ann")
    assert state.job_requests() == (request,)
    assert (request.sync, request.parameters) == ("accounts", {"day": "2024-01-31"})
    assert (request.force, request.requested_by) == (True, "ann")


def test_an_unknown_parameter_is_refused_and_nothing_is_requested(state: StateStore) -> None:
    """The error lists the parameters that there are."""
    definition = SyncDefinition.model_validate(DEFINITION)
    with pytest.raises(UserError, match="accounts has no parameter moon; it has: day, region"):
        request_run(state, definition, {"moon": "full"}, force=False, requested_by="ann")
    assert state.job_requests() == ()


@pytest.mark.parametrize("kind", [JobKind.RUN, JobKind.PLAN, JobKind.APPLY, JobKind.RETRY])
def test_a_sync_of_events_alone_is_not_started(state: StateStore, kind: JobKind) -> None:
    """With the sentence of `run`, and nothing is requested; the undo of an earlier run reads no source."""
    source = {"type": "events", "columns": [{"name": "number"}]}
    definition = SyncDefinition.model_validate({**DEFINITION, "source": source})
    said = "a source of type events gets its rows from the listener: this sync cannot run as a batch"
    with pytest.raises(UserError, match=said):
        new_request(definition, {}, kind=kind, force=False, requested_by="ann")
    with pytest.raises(UserError, match=said):
        request_run(state, definition, {}, force=False, requested_by="ann")
    assert state.job_requests() == ()
    assert new_request(definition, {}, kind=JobKind.UNDO, force=False, requested_by="ann").kind is JobKind.UNDO


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
RUN = RunRecord(run_id="r1", sync="accounts", version="1", trigger="timer", state="Running", started=NOON)


def begun(state: StateStore, *, kind: JobKind = JobKind.RUN, trigger: str = "timer") -> Job:
    """A job whose run r1 is under way."""
    of = "r0" if kind.about_run else ""
    job = state.request_job(
        JobRequest(id="j1", sync="accounts", requested=NOON, trigger=trigger, kind=kind, of=of, requested_by="bea")
    )
    job = replace(job, state=RunState.RUNNING.value, runs=("r1",))
    state.put_job(job)
    return job


def again(job: Job) -> Job:
    return replace(job, state=RunState.QUEUED.value, not_before=NOON, message="Dataverse is unavailable")


class TestKeepJob:
    @pytest.mark.parametrize(
        ("trigger", "kind", "row"),
        [("timer", JobKind.RUN, "timer"), ("job", JobKind.RUN, "job"), ("job", JobKind.UNDO, "taken-back")],
    )
    def test_a_job_whose_run_was_stopped_does_not_wait_again(
        self, state: StateStore, trigger: str, kind: JobKind, row: str
    ) -> None:
        """It ends as Cancelled, and its row in the log keeps the schedule from going on with it."""
        job = begun(state, trigger=trigger, kind=kind)
        state.begin_run(replace(RUN, trigger="undo" if kind is JobKind.UNDO else trigger, state="Interrupted"))
        state.cancel_run("r1", "ann")
        kept = keep_job(state, again(job))
        assert kept == state.job("j1")
        assert (kept.state, kept.message, kept.not_before) == ("Cancelled", "cancelled by ann", None)
        (latest, _) = state.runs("accounts")
        assert (latest.state, latest.trigger, latest.message) == ("Cancelled", row, "cancelled by ann")
        assert latest.counts["writes"] == 0

    def test_a_run_that_was_not_begun_is_asked_for_too(self, state: StateStore) -> None:
        """Its id is not among those of the job, and the row in the log has the id of the job."""
        job = state.request_job(JobRequest(id="j1", sync="accounts", requested=NOON, trigger="timer"))
        state.cancel_run("r2", "ann")
        assert keep_job(state, job, "r1").waits
        assert keep_job(state, job, "r2").state == "Cancelled"
        assert [(run.run_id, run.state) for run in state.runs("accounts")] == [("j1", "Cancelled")]

    @pytest.mark.parametrize("state_name", ["Succeeded", "Failed"])
    def test_a_job_that_has_ended_keeps_its_end(self, state: StateStore, state_name: str) -> None:
        """The mark came too late, and nothing comes again."""
        ended = replace(begun(state), state=state_name, ended=NOON)
        state.cancel_run("r1", "ann")
        assert keep_job(state, ended) == state.job("j1") == ended
        assert state.runs("accounts") == ()


class TestStop:
    def test_a_run_that_will_see_the_mark_is_told_as_running(self, state: StateStore) -> None:
        """It is marked, and its job stays as it is."""
        job = begun(state)
        lease = state.acquire_lease("job/j1", holder="worker", seconds=60)
        assert lease is not None
        assert stop(state, RUN, "ann") == RunState.RUNNING
        assert (state.cancelled_by("r1"), state.job("j1")) == ("ann", job)

    @pytest.mark.parametrize("mark_is_seen", [True, False])
    def test_a_job_that_waits_again_at_this_moment_is_ended(self, state: StateStore, *, mark_is_seen: bool) -> None:
        """Whichever comes first, the mark or the row: the person is told what became of the job."""
        job = begun(state)
        lease = state.acquire_lease("job/j1", holder="worker", seconds=60)
        assert lease is not None

        def keep(*_: object) -> None:
            keep_job(state, again(job))
            state.release_lease(lease)

        front = StoreInFront(state)
        (front.after if mark_is_seen else front.before)["cancel_run"] = keep
        assert stop(front, RUN, "ann") == RunState.CANCELLED
        found = state.job("j1")
        assert found is not None
        assert found.message == ("cancelled by ann" if mark_is_seen else "taken back by ann")
        assert [run.state for run in state.runs("accounts")] == ["Cancelled"]
