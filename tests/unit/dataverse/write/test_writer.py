"""The writer against a service in memory, in virtual time."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from shared.dataverse.changes import Applied, Change, ChangeAction, Failed, Outcome, Skipped, WriteLimits
from shared.dataverse.write.controller import RequestKind, Sizes
from shared.errors import AbortRun, RetryLater, SyncError
from shared.http.retry import RetryPolicy
from shared.http.transport import AnswerTimedOut, Request, Response
from tests.unit.dataverse.simulation import ACCOUNT, ALL_MESSAGES, BASE, Fault, World, inserts, world
from tests.unit.dataverse.write.test_chunk_results import answer, batch


def settled(outcomes: Iterable[Outcome], changes: int) -> Counter[str]:
    """Count outcomes by kind, after proving that each change has exactly one."""
    listed = list(outcomes)
    assert sorted(outcome.number for outcome in listed) == list(range(changes))
    return Counter(type(outcome).__name__ for outcome in listed)


def drained(here: World, changes: Iterable[Change]) -> tuple[list[Outcome], SyncError | None]:
    """All outcomes, and what the write ended with."""
    outcomes: list[Outcome] = []
    try:
        outcomes.extend(here.writing().outcomes(changes))
    except SyncError as error:
        return outcomes, error
    return outcomes, None


def loaded(count: int, **options: object) -> tuple[World, list[str]]:
    """A world that holds `count` accounts, and their ids in order."""
    made = world(**options)
    ids = {outcome.number: str(outcome.id) for outcome in made.write(inserts(count)) if isinstance(outcome, Applied)}
    made.memory.requests.clear()
    return made, [ids[number] for number in range(count)]


def update(number: int, record: str | None, **values: object) -> Change:
    return Change(
        number=number,
        action=ChangeAction.UPDATE,
        id=record,
        key=json.dumps({"accountnumber": f"A{number}"}),
        payload=json.dumps(values),
        columns=",".join(values),
    )


def delete(number: int, record: str | None) -> Change:
    return Change(number=number, action=ChangeAction.DELETE, id=record, key=json.dumps({"accountnumber": f"A{number}"}))


def upsert(number: int, key: str, **values: object) -> Change:
    payload = json.dumps({"accountnumber": key, **values})
    return Change(number=number, action=ChangeAction.UPSERT, key=json.dumps({"accountnumber": key}), payload=payload)


def test_inserts_go_through_create_multiple_and_come_back_with_their_ids() -> None:
    """Every insert is applied once, in few requests, and its outcome names the new record."""
    here = world()
    outcomes = here.write(inserts(2500))
    assert settled(outcomes, 2500) == {"Applied": 2500}
    assert len(here.memory.records) == 2500
    assert here.memory.requests.keys() == {"CreateMultiple"}
    for outcome in outcomes:
        assert isinstance(outcome, Applied)
        assert outcome.created
        assert here.memory.records[str(outcome.id)]["accountnumber"] == f"A{outcome.number}"


def test_updates_go_through_update_multiple_by_id() -> None:
    """An update sends its id and its columns, however the rows' columns are mixed."""
    here, ids = loaded(300)
    changes = [update(n, ids[n], name=f"New {n}") if n % 2 else update(n, ids[n], revenue=n) for n in range(300)]
    assert settled(here.write(changes), 300) == {"Applied": 300}
    assert here.memory.records[ids[3]]["name"] == "New 3"
    assert here.memory.records[ids[4]]["revenue"] == 4
    assert here.memory.requests.keys() == {"UpdateMultiple"}


def test_deletes_go_through_batches() -> None:
    """Deletes are sent in $batch, and a record that does not exist any more counts as deleted."""
    here, ids = loaded(300)
    del here.memory.records[ids[7]]
    assert settled(here.write([delete(n, ids[n]) for n in range(300)]), 300) == {"Applied": 300}
    assert not here.memory.records
    assert here.memory.requests.keys() == {"$batch"}


def test_upserts_by_key_leave_the_key_out_of_the_body() -> None:
    """An upsert names its record by alternate key; records appear or change."""
    here, _ = loaded(50)
    outcomes = here.write([upsert(n, f"A{n}", name="Both") for n in range(100)])
    assert settled(outcomes, 100) == {"Applied": 100}
    assert len(here.memory.records) == 100
    assert all(row["name"] == "Both" for row in here.memory.records.values())
    assert here.memory.requests.keys() == {"UpsertMultiple"}


def test_upserts_whose_key_may_not_stand_in_a_url_are_looked_up() -> None:
    """Reserved characters in a key lead to a look-up by filter and then to an update or a create."""
    here = world()
    here.write([upsert(0, "A/1", name="One")])
    outcomes = here.write([upsert(0, "A/1", name="Two"), upsert(1, "B&2", name="Two"), upsert(2, "C3", name="Two")])
    assert settled(outcomes, 3) == {"Applied": 3}
    assert sorted(row["accountnumber"] for row in here.memory.records.values()) == ["A/1", "B&2", "C3"]
    assert all(row["name"] == "Two" for row in here.memory.records.values())


def test_updates_and_deletes_without_an_id_find_their_record_by_key() -> None:
    """A delta names records by key; a missing one fails an update and satisfies a delete."""
    here, ids = loaded(10)
    changes = [update(n, None, name="Found") for n in range(5)]
    changes += [update(99, None, name="Nobody"), delete(5, None), delete(98, None)]
    outcomes = {outcome.number: outcome for outcome in here.write(changes)}
    assert here.memory.records[ids[4]]["name"] == "Found"
    assert ids[5] not in here.memory.records
    assert isinstance(outcomes[98], Applied)
    failed = outcomes[99]
    assert isinstance(failed, Failed)
    assert failed.status == 404


def test_a_table_without_bulk_messages_is_written_through_batches() -> None:
    """Creates, updates and upserts fall back to $batch where the table lacks their message."""
    here = world(messages=frozenset())
    outcomes = here.write(inserts(250))
    assert settled(outcomes, 250) == {"Applied": 250}
    assert all(isinstance(outcome, Applied) and outcome.id in here.memory.records for outcome in outcomes)
    changes = [upsert(n, f"A{n}", name="Again") for n in range(240, 260)]
    created = {outcome.number: outcome for outcome in here.write(changes)}
    assert [getattr(created[n], "created", None) for n in (249, 250)] == [False, True]


@pytest.mark.parametrize("action", [ChangeAction.INSERT, ChangeAction.UPDATE])
def test_a_batch_with_several_kinds_of_trouble_sends_the_rows_that_wait_once(action: ChangeAction) -> None:
    """Half of the rows wait while a fault of the server is narrowed down, and the others meet two kinds of trouble."""
    here, ids = loaded(40, messages=frozenset(), sizes=Sizes(first=100), parallel=1, most_parallel=1)
    changes = [update(n, ids[n], name="New") for n in range(40)]
    if action is ChangeAction.INSERT:
        changes = list(inserts(40, start=40))
    troubles = [answer(429, "0x80072322"), Response(status=502)]
    sent: list[int] = []

    def gate(request: Request, now: float) -> Response | None:
        sent.append((request.body or b"").count(b"Content-ID: "))
        if sent[-1] == 40:
            return answer(500, "0x80040216")
        return batch(*troubles * 10) if sent[-1] == 20 and 20 not in sent[:-1] else None

    here.memory.gate = gate
    outcomes = here.write(changes)
    assert sorted(each.number for each in outcomes) == [each.number for each in changes]
    assert {type(each) for each in outcomes} == {Applied}
    assert 20 in sent


def test_updates_that_a_gateway_answers_with_a_page_are_sent_again() -> None:
    """The page has the status of a success, and the service has not got the request."""
    here, ids = loaded(40)
    here.memory.log.clear()
    page = Response(status=200, headers={"content-type": "text/html"}, body=b"<html>Maintenance</html>")
    here.memory.gate = lambda request, now: page if len(here.memory.log) == 1 else None
    outcomes = here.write([update(n, ids[n], name="New") for n in range(40)])
    assert settled(outcomes, 40) == {"Applied": 40}
    assert {row["name"] for row in here.memory.records.values()} == {"New"}


@pytest.mark.parametrize("bad", [1, 15])
def test_invalid_rows_are_found_and_the_others_are_written(bad: int) -> None:
    """Scattered bad rows cost at most 2 % more requests than bad x log2(chunk) predicts; all good rows are written."""
    rows, every = 20_000, 20_000 // bad
    here = world(bad=lambda row: "too long" if int(row["accountnumber"][1:]) % every == every - 3 else None)
    plain = world()
    plain.write(inserts(rows))
    outcomes = here.write(inserts(rows))
    assert settled(outcomes, rows) == {"Applied": rows - bad, "Failed": bad}
    failed = [outcome.number for outcome in outcomes if isinstance(outcome, Failed)]
    assert all(number % every == every - 3 for number in failed)
    extra = here.memory.requests.total() - plain.memory.requests.total()
    assert extra <= 1.02 * bad * math.log2(1000) + 2


def test_many_invalid_rows_are_found_in_one_batch_each() -> None:
    """Where a good part of the rows is bad, one $batch for each chunk finds them all."""
    here = world(bad=lambda row: "bad" if int(row["accountnumber"][1:]) % 3 == 0 else None)
    outcomes = here.write(inserts(5000))
    assert settled(outcomes, 5000) == {"Applied": 3333, "Failed": 1667}
    assert here.memory.requests.total() < 250


@pytest.mark.parametrize("kind", ["unsent", "drop_before", "drop_after", "timeout_after"])
def test_a_broken_connection_neither_loses_nor_doubles_inserts(kind: str) -> None:
    """Whether the server acted or not, each insert ends as exactly one record."""
    here = world(key_guarded=False, faults=[Fault(kind=kind, times=3)])
    outcomes = here.write(inserts(500))
    assert settled(outcomes, 500) == {"Applied": 500}
    numbers = Counter(row["accountnumber"] for row in here.memory.records.values())
    assert numbers == {f"A{n}": 1 for n in range(500)}
    assert all(isinstance(outcome, Applied) and outcome.id in here.memory.records for outcome in outcomes)


@pytest.mark.parametrize("bulk", [True, False])
def test_rows_with_long_texts_are_written_with_few_in_a_request(*, bulk: bool) -> None:
    """What a request holds is bounded in characters too, in a bulk message as in a `$batch`; all rows are written."""
    here = world(messages=ALL_MESSAGES if bulk else frozenset())
    text = "x" * 200_000
    long = [replace(one, payload=json.dumps({**json.loads(one.payload), "name": text})) for one in inserts(100)]
    assert settled(here.write(long), 100) == Counter(Applied=100)
    lengths = [len(request.body or b"") for request in here.memory.log if request.method == "POST"]
    assert sum(lengths) > 20_000_000
    assert max(lengths) < 4_100_000


@pytest.mark.parametrize("action", [ChangeAction.INSERT, ChangeAction.UPDATE])
@pytest.mark.parametrize("fits", [40, 7, 1])
def test_what_is_not_answered_in_time_is_sent_with_fewer_rows(action: ChangeAction, fits: int) -> None:
    """A plug-in may take seconds for each row: creates too are divided until a request is answered, and none is doubled."""

    def slow(request: Request, _now: float) -> None:
        if (request.body or b"").count(b'"@odata.type"') > fits:
            raise AnswerTimedOut("no answer in time")

    here, ids = loaded(0 if action is ChangeAction.INSERT else 230)
    here.memory.gate = slow
    changes = inserts(230) if action is ChangeAction.INSERT else (update(n, ids[n], name="New") for n in range(230))
    assert settled(here.write(changes), 230) == {"Applied": 230}
    assert numbers(here) == {f"A{n}": 1 for n in range(230)}


@pytest.mark.parametrize("guarded", [True, False])
def test_a_create_that_takes_effect_late_is_not_doubled(guarded: bool) -> None:  # noqa: FBT001 - a test's parameter
    """The service may act long after the connection broke: a key or an id made here refuses the second copy."""
    entity = ACCOUNT if guarded else replace(ACCOUNT, keys=())
    here = world(entity=entity, key_guarded=guarded, faults=[Fault(kind="late", times=2)])
    outcomes = here.write(inserts(200))
    here.memory.clock.sleep(5)
    here.write([])
    here.memory.send(Request(method="GET", url=BASE + "accounts?$filter=PropertyValues=[])"))
    assert settled(outcomes, 200) == {"Applied": 200}
    assert Counter(row["accountnumber"] for row in here.memory.records.values()) == {f"A{n}": 1 for n in range(200)}
    assert {str(getattr(outcome, "id", None)) for outcome in outcomes} == set(here.memory.records)


def test_a_gateway_error_counts_as_a_lost_answer() -> None:
    """After a 502 the request may have been carried out: creates are looked up before they are sent again."""
    here = world(key_guarded=False, faults=[Fault(kind="status", status=502)])
    assert settled(here.write(inserts(100)), 100) == {"Applied": 100}
    assert here.memory.requests["$batch"] == 1


def test_throttling_pauses_until_the_moment_the_service_names() -> None:
    """After a 429 nothing is sent before Retry-After has passed."""
    throttle = Fault(kind="status", status=429, code="0x80072322", headers={"retry-after": "17"})
    here = world(faults=[throttle])
    sent: list[float] = []

    def note(_: object, now: float) -> None:
        sent.append(now)

    here.memory.gate = note
    assert settled(here.write(inserts(2000)), 2000) == {"Applied": 2000}
    assert min(moment for moment in sent if moment > 1) >= 17
    assert here.service.meter.usage().throttled == 1


def test_a_missing_privilege_ends_the_run_and_accounts_for_every_change() -> None:
    """A 403 that names a privilege ends the write: the rest is skipped, then AbortRun says which privilege."""
    refusal = Fault(
        kind="status", status=403, code="0x80040220", message="Principal user is missing prvCreateAccount privilege."
    )
    here = world(faults=[refusal])
    outcomes, error = drained(here, inserts(3000))
    assert isinstance(error, AbortRun)
    assert "prvCreateAccount" in error.message
    assert settled(outcomes, 3000)["Skipped"] > 0


def test_an_error_that_nobody_foresaw_takes_no_outcome_away() -> None:
    """Requests in flight are answered first; then the error is raised as it is, and its text is in no outcome."""

    def gate(request: Request, _: float) -> None:
        if len(here.memory.log) == 6:
            raise LookupError("a text that may hold anything")

    here = world(gate=gate)
    outcomes: list[Outcome] = []
    with pytest.raises(LookupError):
        outcomes.extend(here.writing().outcomes(inserts(3000)))
    counts = settled(outcomes, 3000)
    assert counts["Applied"] == len(here.memory.records) > 0
    skipped = [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
    assert {each.reason for each in skipped} == {
        "aborted: an error that the program does not handle (LookupError)",
    }
    assert sum(each.sent for each in skipped) == 100


def test_a_service_that_stays_unavailable_ends_the_run_as_retry_later() -> None:
    """503 for too long raises RetryLater after every change has its outcome."""
    here = world(faults=[Fault(kind="status", status=503, code="0x80040216", times=10_000)])
    outcomes, error = drained(here, inserts(300))
    assert isinstance(error, RetryLater)
    assert settled(outcomes, 300) == {"Skipped": 300}


def test_the_deadline_stops_at_a_chunk_boundary() -> None:
    """Nothing is in flight at the deadline; what is left is skipped and says why."""
    here = world()
    deadline = here.memory.clock.monotonic() + 5
    here.limits = WriteLimits(deadline=deadline)
    outcomes = here.write(inserts(100_000))
    assert here.memory.clock.monotonic() <= deadline
    counts = settled(outcomes, 100_000)
    assert counts["Applied"] == len(here.memory.records) > 10_000
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, Skipped)} == {"deadline"}


def test_too_many_errors_stop_the_rest() -> None:
    """More failures than max_errors skip what is left; what was written stays."""
    here = world(bad=lambda row: "bad", limits=WriteLimits(max_errors=10))
    counts = settled(here.write(inserts(2000)), 2000)
    assert counts["Failed"] > 10
    assert counts["Skipped"] > 0


def test_a_cancelled_write_skips_the_rest() -> None:
    """Once cancelled, nothing more is sent."""
    here = world()
    here.limits = WriteLimits(cancelled=lambda: here.memory.clock.seconds > 1)
    counts = settled(here.write(inserts(50_000)), 50_000)
    assert counts["Applied"] == len(here.memory.records)
    assert counts["Skipped"] > 0


def test_a_write_that_ends_says_which_changes_may_have_been_made() -> None:
    """Those whose answer was lost; what was never sent has not been made."""
    here = world(faults=[Fault(kind="drop_after")])
    here.limits = WriteLimits(cancelled=lambda: bool(here.memory.records))
    outcomes = here.write(inserts(50_000))
    settled(outcomes, 50_000)
    known = {outcome.number for outcome in outcomes if isinstance(outcome, Applied)}
    doubtful = {outcome.number for outcome in outcomes if isinstance(outcome, Skipped) and outcome.sent}
    made = {int(row["accountnumber"][1:]) for row in here.memory.records.values()}
    assert made - known
    assert made <= known | doubtful
    assert len(doubtful) < 10_000


def test_two_changes_of_one_record_are_never_in_flight_together() -> None:
    """A later change of the same record waits for the earlier one, and wins."""
    here, ids = loaded(20)
    changes = [update(n, ids[n % 20], name=f"Version {n}") for n in range(200)]
    assert settled(here.write(changes), 200) == {"Applied": 200}
    assert here.memory.records[ids[5]]["name"] == "Version 185"


def test_a_refusal_says_nothing_about_the_time_that_rows_take() -> None:
    """It is answered at once; if its time counted as speed, parallelism would stay low."""
    here, ids = loaded(40, bad=lambda row: "no" if row.get("name") == "bad" else None, row_seconds=0.1)
    here.write([update(number, record, name="good") for number, record in enumerate(ids)])
    control = here.sending_users[0].controller
    before = control.seconds(RequestKind.UPDATE) / control.rows(RequestKind.UPDATE)
    here.memory.row_seconds = 0.0
    outcomes = here.write([update(number, record, name="bad") for number, record in enumerate(ids)])
    assert settled(outcomes, 40) == {"Failed": 40}
    assert control.seconds(RequestKind.UPDATE) / control.rows(RequestKind.UPDATE) == before


def test_deadlocks_lower_parallelism_and_are_repeated() -> None:
    """A rolled-back transaction is sent again, with fewer requests at once."""
    here = world(faults=[Fault(kind="status", status=500, code="0x80044150", message="Sql Number: 1205", times=2)])
    assert settled(here.write(inserts(300)), 300) == {"Applied": 300}
    assert here.sending_users[0].controller.parallel < 8


def test_sql_timeouts_make_the_chunks_smaller() -> None:
    """A chunk that took too long for the database is sent in halves."""
    here = world(faults=[Fault(kind="status", status=500, code="0x80044151", message="timeout", times=1)])
    assert settled(here.write(inserts(100)), 100) == {"Applied": 100}
    assert max(here.memory.carried) <= 50


def test_a_lost_upsert_race_is_repeated_once() -> None:
    """The loser of two upserts of one new key gets 412 and succeeds as an update."""
    here = world(faults=[Fault(kind="status", status=412, code="0x80060892", message="already exists", times=1)])
    assert settled(here.write([upsert(0, "A0", name="x")]), 1) == {"Applied": 1}


def test_a_first_load_is_near_the_limit_of_the_service() -> None:
    """100,000 inserts at 30 ms + 1 ms a row and 8 requests at once take at most 1/0.9 of the computed time."""
    here = world(most_parallel=8)
    here.write(inserts(100_000))
    ceiling = (100 * 0.03 + 100_000 * 0.001) / 8
    assert here.memory.clock.seconds <= ceiling / 0.9


def test_several_application_users_share_the_work() -> None:
    """Two users are nearly twice as fast as one, four nearly four times."""
    taken = []
    for users in (1, 2, 4):
        here = world(users=users, most_parallel=4, parallel=4)
        assert settled(here.write(inserts(40_000)), 40_000) == {"Applied": 40_000}
        taken.append(here.memory.clock.seconds)
    assert taken[0] / taken[1] >= 1.8
    assert taken[0] / taken[2] >= 3.4


UNGUARDED = replace(ACCOUNT, keys=())


def numbers(here: World) -> Counter[str]:
    return Counter(row["accountnumber"] for row in here.memory.records.values())


def test_an_upsert_that_has_to_create_is_not_doubled_by_a_late_service() -> None:
    """Without an alternate key over the sync key, the id made here refuses the second copy of an upsert too."""
    here = world(entity=UNGUARDED, key_guarded=False, faults=[Fault(kind="late", times=2)])
    outcomes = here.write([upsert(0, "A0", name="x")])
    here.memory.clock.sleep(5)
    here.memory.send(Request(method="GET", url=BASE + "accounts?$filter=PropertyValues=[])"))
    assert settled(outcomes, 1) == {"Applied": 1}
    assert numbers(here) == {"A0": 1}


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("code", ["0x80044150", "0x80044151", "0x80040216", "0x80040255"])
@pytest.mark.parametrize("bulk", [True, False])
def test_a_create_that_took_effect_and_was_answered_with_an_error_is_found(
    *, guarded: bool, code: str, bulk: bool
) -> None:
    """Whatever the fault claims, creates that took effect end as applied with the id that they have."""
    kinds = ["status_after", "part_after"] if not bulk else ["status_after"]
    here = world(
        entity=ACCOUNT if guarded else UNGUARDED,
        key_guarded=guarded,
        messages=ALL_MESSAGES if bulk else frozenset(),
        faults=[Fault(kind=kind, status=500, code=code, times=2) for kind in kinds],
    )
    outcomes = here.write(inserts(300))
    assert settled(outcomes, 300) == {"Applied": 300}
    assert {str(getattr(outcome, "id", None)) for outcome in outcomes} == set(here.memory.records)
    assert numbers(here) == {f"A{n}": 1 for n in range(300)}


@pytest.mark.parametrize("kind", ["drop_after", "timeout_after", "status_after", "late"])
@pytest.mark.parametrize("count", [1, 5, 300])
@pytest.mark.parametrize("bulk", [True, False])
def test_a_create_that_took_effect_is_found_whatever_refuses_its_repetition(
    *, kind: str, count: int, bulk: bool
) -> None:
    """A rule against duplicates finds the record that the first request has made; a row that is invalid still fails."""
    here = world(
        entity=UNGUARDED,
        key_guarded=False,
        messages=ALL_MESSAGES if bulk else frozenset(),
        faults=[Fault(kind=kind, status=500, code="0x80044150", times=2)],
    )

    def refusal(row: Mapping[str, Any]) -> str | None:
        invalid = row.get("name") == "Company 3"
        return "invalid" if invalid else "a double" if here.memory.by_number(row.get("accountnumber")) else None

    here.memory.bad = refusal
    outcomes = here.write(inserts(count))
    here.memory.clock.sleep(5)
    failed = {outcome.number: outcome for outcome in outcomes if isinstance(outcome, Failed)}
    assert settled(outcomes, count) == Counter(Applied=count - len(failed), Failed=len(failed))
    assert [*failed] == ([3] if count > 3 else [])
    assert numbers(here) == {f"A{n}": 1 for n in range(count) if n != 3}
    assert {str(outcome.id) for outcome in outcomes if isinstance(outcome, Applied)} == set(here.memory.records)


def test_creates_of_the_second_half_of_a_divided_request_are_found_too() -> None:
    """A look-up of the first half says nothing of the other one, which an earlier request has made as well."""
    faults = [Fault(kind=kind, status=500, code="0x80040216", times=2) for kind in ("status_after", "status")]
    here = world(hint=1, faults=faults)
    outcomes = here.write(inserts(40))
    assert settled(outcomes, 40) == Counter(Applied=40)
    assert numbers(here) == {f"A{n}": 1 for n in range(40)}


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "timeout_after", "status_after", "late"])
@pytest.mark.parametrize("bulk", [True, False])
def test_a_record_that_another_client_created_is_not_taken_for_ours(*, kind: str, bulk: bool) -> None:
    """After a fault a record with an insert's key may be ours or another's: only ours has the id that we gave it."""
    here = world(
        messages=ALL_MESSAGES if bulk else frozenset(),
        faults=[Fault(kind=kind, status=500, code="0x80040216", times=3)],
    )
    theirs = here.memory.send(request("POST", {"accountnumber": "A5", "name": "theirs"}, unharmed=here))
    assert theirs.status == 204
    outcomes = here.write(inserts(100))
    here.memory.clock.sleep(5)
    assert settled(outcomes, 100) == {"Applied": 99, "Failed": 1}
    (failed,) = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert (failed.number, failed.code) == (5, "0x80060892")
    assert [row["name"] for row in here.memory.records.values() if row["accountnumber"] == "A5"] == ["theirs"]
    assert numbers(here) == {f"A{n}": 1 for n in range(100)}


@pytest.mark.parametrize("adopting", [True, False])
def test_taken_keys_do_not_stop_a_writer_whose_caller_adopts(*, adopting: bool) -> None:
    """It looks for the records first; without that they are failures like any other, and the limit stops the rest."""
    here = world(limits=WriteLimits(max_errors=1, adopting=adopting))
    for number in range(20):
        here.memory.send(request("POST", {"accountnumber": f"A{number}", "name": "theirs"}, unharmed=here))
    ends = settled(here.write(inserts(3000)), 3000)
    assert (ends == {"Applied": 2980, "Failed": 20}) is adopting
    assert ("Skipped" in ends) is not adopting


def test_a_key_that_is_taken_is_reported_without_many_tries() -> None:
    """One look-up for each lost answer shows whose the record is; waiting would not change it."""
    here = world(faults=[Fault(kind="drop_before")])
    here.memory.send(request("POST", {"accountnumber": "A0", "name": "theirs"}, unharmed=here))
    began = here.memory.clock.seconds
    assert settled(here.write(inserts(1)), 1) == {"Failed": 1}
    assert here.memory.clock.seconds - began < 5
    assert here.memory.requests["$batch"] <= 4


def request(method: str, row: dict[str, str], *, unharmed: World) -> Request:
    """A request of another client, without faults."""
    unharmed.memory.faults.insert(0, Fault(kind="none"))
    return Request(method=method, url=BASE + "accounts", body=json.dumps(row).encode())


def test_a_create_brings_no_id_where_the_table_takes_none() -> None:
    """Then only the key shows what a lost request has created."""
    fixed = replace(ACCOUNT.attributes["accountid"], creatable=False)
    entity = replace(ACCOUNT, attributes={**ACCOUNT.attributes, "accountid": fixed})
    here = world(entity=entity, faults=[Fault(kind="drop_after", times=2)])
    assert settled(here.write(inserts(100)), 100) == {"Applied": 100}
    assert numbers(here) == {f"A{n}": 1 for n in range(100)}
    assert not any(b'"accountid":' in (sent.body or b"") for sent in here.memory.log)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="status", status=429, code="0x80072322", headers={"retry-after": "17"}, times=1000),
        Fault(kind="status", status=429, code="0x80072321", headers={"retry-after": "300"}, times=1000),
        Fault(kind="status", status=503, code="0x80040216", times=1000),
        Fault(kind="status", status=500, code="0x80044150", times=1000),
        Fault(kind="drop_before", times=1000),
        Fault(kind="unsent", times=1000),
    ],
)
def test_a_short_retry_policy_ends_the_write_early(fault: Fault) -> None:
    """However often the service says later, after the time given the caller hears it, with every change accounted for."""
    here = world(faults=[fault], retry_policy=RetryPolicy(seconds=60.0, attempts=1000))
    outcomes, error = drained(here, inserts(50))
    assert here.memory.clock.seconds <= 75
    if isinstance(error, RetryLater):
        assert settled(outcomes, 50) == {"Skipped": 50}
    else:  # the database rolled each row back time and again: that is the rows' outcome
        assert settled(outcomes, 50) == {"Failed": 50}


def test_a_pause_that_is_longer_than_all_retries_is_not_waited_for() -> None:
    """A pause that Dataverse asked an earlier write for also applies to the next one: it raises at once, with the time to wait."""
    throttle = Fault(kind="status", status=429, code="0x80072322", headers={"retry-after": "300"}, times=1)
    here = world(faults=[throttle], retry_policy=RetryPolicy(seconds=60.0))
    assert isinstance(drained(here, inserts(5))[1], RetryLater)
    here.memory.clock.sleep(100)
    outcomes, error = drained(here, inserts(5))
    assert settled(outcomes, 5) == {"Skipped": 5}
    assert isinstance(error, RetryLater)
    assert error.retry_after == pytest.approx(200, abs=1)
    assert here.memory.clock.seconds == pytest.approx(100, abs=1)
    here.memory.clock.sleep(200)
    assert settled(here.write(inserts(5)), 5) == {"Applied": 5}


def refusing(until: float, answer: bytes, head: str) -> Callable[[Request, float], Response | None]:
    """A gate that refuses each operation of a `$batch` until a moment; `head` may tell the seconds that are left."""

    def gate(request: Request, now: float) -> Response | None:
        left = until - now
        if not request.url.endswith("$batch") or left <= 0:
            return None
        part = f"--r\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 {head.format(left=left)}\r\n\r\n".encode()
        whole = (part + answer + b"\r\n") * (request.body or b"").count(b"Content-ID: ") + b"--r--\r\n"
        return Response(status=200, headers={"content-type": "multipart/mixed; boundary=r"}, body=whole)

    return gate


@pytest.mark.parametrize("ids", [True, False])
def test_throttling_of_an_operation_pauses_until_the_moment_that_it_names(ids: bool) -> None:  # noqa: FBT001 - a case
    """Deletes in a `$batch`, and the look-up of records without an id; the answer to the whole has no such header."""
    here, records = loaded(3)
    start, tries = here.memory.clock.seconds, len(here.memory.log)
    answer = b'{"error":{"code":"0x80072322","message":"Number of requests exceeded the limit."}}'
    here.memory.gate = refusing(start + 100, answer, "429 X\r\nRetry-After: {left:.0f}")
    outcomes = here.write([delete(number, records[number] if ids else None) for number in range(3)])
    assert settled(outcomes, 3) == {"Applied": 3}
    assert here.memory.clock.seconds >= start + 99
    assert len(here.memory.log) - tries <= 4


def test_an_operation_that_is_refused_for_too_long_keeps_its_own_reason() -> None:
    """Not the status of the whole answer, which is a success."""
    answer = b'{"error":{"code":"0x80044150","message":"Generic SQL error."}}'
    here, records = loaded(1, retry_policy=RetryPolicy(seconds=5))
    here.memory.gate = refusing(math.inf, answer, "500 X")
    (outcome,) = here.write([delete(0, records[0])])
    assert isinstance(outcome, Failed)
    assert (outcome.status, outcome.code, outcome.message) == (500, "0x80044150", "Generic SQL error.")


def test_an_operation_that_is_throttled_for_too_long_tells_why() -> None:
    answer = b'{"error":{"code":"0x80072322","message":"Number of requests exceeded the limit."}}'
    here, records = loaded(1)
    here.memory.gate = refusing(math.inf, answer, "429 X\r\nRetry-After: 4000")
    _, error = drained(here, [delete(0, records[0])])
    assert isinstance(error, RetryLater)
    assert "0x80072322: Number of requests exceeded the limit." in error.message
    assert error.retry_after == 4000
