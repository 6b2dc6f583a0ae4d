"""Changes with a condition: the version that a record must still have, and columns that only a new record gets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.dataverse.changes import Applied, Change, ChangeAction, Failed, Outcome, WriteLimits
from shared.dataverse.http.connection import Connection
from shared.dataverse.write.chunks import MESSAGES, Chunk, NextStep, Target, call_of, lookup_key, step_of
from shared.dataverse.write.controller import RequestKind
from shared.dataverse.write.feed import Feed
from shared.dataverse.write.second_steps import SecondSteps
from shared.http.transport import Request
from tests.unit.dataverse.simulation import ACCOUNT, Fault, World, inserts, world

ID = "11111111-2222-3333-4444-555555555555"
VERSION = 'W/"77"'
GUARDED = Change(number=1, action=ChangeAction.UPDATE, id=ID, payload='{"name":"x"}', version=VERSION)
ONCE = Change(
    number=1,
    action=ChangeAction.UPSERT,
    key='{"accountnumber":"A1"}',
    payload='{"name":"x"}',
    on_create='{"size":1.10}',
)


@pytest.mark.parametrize(("change", "condition"), [(GUARDED, VERSION), (replace(GUARDED, version=""), "*")])
def test_an_update_names_the_version_that_was_compared(change: Change, condition: str) -> None:
    """A bulk request cannot contain a version, so the update is sent alone; any other update must only not create a record."""
    target = Target(
        entity=ACCOUNT,
        connection=Connection(service_url="https://org.crm.dynamics.com/api/data/v9.2/"),
        messages=frozenset(MESSAGES.values()),
    )
    chunk = Chunk(kind=RequestKind.UPDATE, changes=(change,), step=NextStep.SINGLY)
    call = call_of(chunk, target, "b")
    assert (call.path, f"If-Match: {condition}\r\n".encode() in (call.body or b"")) == ("$batch", True)
    assert step_of(change, ACCOUNT) is (NextStep.SINGLY if change.version else NextStep.SEND)


def test_a_guarded_update_that_comes_back_is_still_sent_by_itself() -> None:
    """In a bulk request it would overwrite what others wrote."""
    feed = Feed([GUARDED], lambda change: step_of(change, ACCOUNT))
    chunk = feed.take(lambda _: 10, 1)
    assert chunk is not None
    feed.put_back(RequestKind.UPDATE, GUARDED)
    again = feed.take(lambda _: 10, 1)
    assert [each.step for each in (chunk, again) if each] == [NextStep.SINGLY, NextStep.SINGLY]


@pytest.mark.parametrize(
    ("status", "code", "edited"),
    [(412, "0x80060882", True), (412, "", True), (412, "0x80060892", False), (404, "0x80040217", False)],
)
def test_a_record_of_another_version_is_not_an_error(status: int, code: str, *, edited: bool) -> None:
    """It does not count for `max_errors`; any other refusal does, and so does one that no version explains."""
    failed = Failed(number=1, status=status, code=code, message="no")
    assert failed.edited is edited
    assert WriteLimits().counts(failed, GUARDED) is not edited
    assert WriteLimits().counts(failed, replace(GUARDED, version=""))


def test_the_second_request_of_a_change_names_no_version() -> None:
    """The first one has just given the record another."""
    first = replace(GUARDED, later='{"statecode":1}')
    following = SecondSteps().next(first, Applied(number=1, id=ID))
    assert following is not None
    assert (following[1].version, following[1].payload) == ("", '{"statecode":1}')


def test_an_upsert_with_columns_for_a_new_record_is_looked_up_first() -> None:
    """By its id where it has one, else by its key."""
    assert step_of(ONCE, ACCOUNT) is NextStep.LOOK_UP
    assert lookup_key(RequestKind.UPSERT, ONCE, ACCOUNT) == {"accountnumber": "A1"}
    assert lookup_key(RequestKind.UPSERT, replace(ONCE, id=ID), ACCOUNT) == {"accountid": ID}
    assert step_of(replace(ONCE, on_create=""), ACCOUNT) is NextStep.SEND


def test_columns_for_a_new_record_are_added_to_its_payload_alone() -> None:
    """Two requests: the look-up, then a create with them or an update without; numbers keep their digits."""
    here = world()
    here.write([replace(ONCE, on_create='{"name":"first","revenue":1.10}', payload="{}")])
    here.write([replace(ONCE, on_create='{"name":"second"}', payload='{"revenue":2.20}')])
    (record,) = here.memory.records.values()
    assert record["name"] == "first"
    assert str(record["revenue"]) == "2.2"


LOST = ["drop_before", "drop_after", "late", "timeout_after", "unsent", "status_after", "part_after"]


def guarded(here: World, count: int, action: ChangeAction = ChangeAction.UPDATE) -> list[Change]:
    """Records, and changes of them that name their versions."""
    here.write(inserts(count))
    here.memory.log.clear()
    return [
        Change(number=number, action=action, id=record, payload=f'{{"name":"new {number}"}}', version=version)
        for number, (record, version) in enumerate(
            [(record, here.memory.version(record)) for record in here.memory.records]
        )
    ]


@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize("code", ["0x80044150", ""], ids=["database", "unavailable"])
def test_the_own_write_is_not_an_edit_of_others_after_a_lost_answer(kind: str, code: str) -> None:
    """The record has another version when the update is sent again: whether it has the values is read."""
    here = world()
    changes = guarded(here, 12)
    here.memory.faults = [Fault(kind=kind, times=2, status=503, code=code)]
    assert sorted(here.write(changes), key=number_of) == [
        Applied(number=change.number, id=change.id, created=False) for change in changes
    ]
    assert [here.memory.records[str(change.id)]["name"] for change in changes] == [f"new {n}" for n in range(12)]


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_it_is_not_known_whether_an_update_was_made_where_others_have_changed_the_record_too(kind: str) -> None:
    """It counts as edited, and as one that may have been made."""
    here = world()
    changes = guarded(here, 2)
    here.memory.faults = [Fault(kind=kind)]
    edited = str(changes[1].id)

    def edit(request: Request, _: float) -> None:
        if len(here.memory.log) == 2:
            here.memory.records[edited]["name"] = "of a person"
            here.memory.written[edited] += 1

    here.memory.gate = edit
    first, second = sorted(here.write(changes), key=number_of)
    assert isinstance(first, Applied)
    assert isinstance(second, Failed)
    assert (second.edited, second.sent, here.memory.records[edited]["name"]) == (True, True, "of a person")


def test_an_edit_of_others_is_one_where_no_answer_was_lost() -> None:
    """Nothing is read, and the change was not made."""
    here = world()
    (change,) = guarded(here, 1)
    here.memory.written[str(change.id)] += 1
    (outcome,) = here.write([change])
    assert isinstance(outcome, Failed)
    assert (outcome.edited, outcome.sent, len(here.memory.log)) == (True, False, 1)


@pytest.mark.parametrize("kind", LOST)
def test_a_guarded_delete_is_made_once_after_a_lost_answer(kind: str) -> None:
    """A record that is gone counts as deleted."""
    here = world()
    changes = guarded(here, 3, ChangeAction.DELETE)
    here.memory.faults = [Fault(kind=kind, times=2, code="0x80044150")]
    assert all(isinstance(outcome, Applied) for outcome in here.write(changes))
    assert here.memory.records == {}


@pytest.mark.parametrize("kind", LOST)
def test_a_record_that_is_there_counts_as_restored_after_a_lost_answer(kind: str) -> None:
    """The recycle bin has it no more; of a record that is nowhere the refusal is told."""
    here = world()
    here.write(inserts(3))
    here.memory.deleted, here.memory.records = here.memory.records, {}
    restores = [
        Change(number=number, action=ChangeAction.RESTORE, id=record)
        for number, record in enumerate([*here.memory.deleted, ID])
    ]
    here.memory.faults = [Fault(kind=kind, times=2, code="0x80044150")]
    *restored, missing = sorted(here.write(restores), key=number_of)
    assert restored == [Applied(number=each.number, id=each.id, created=True) for each in restores[:3]]
    assert isinstance(missing, Failed)
    assert (missing.code, missing.sent, len(here.memory.records)) == ("0x80040217", False, 3)


def test_a_restore_that_only_meets_faults_comes_to_an_end() -> None:
    """Its record is looked up once; the last refusal is told."""
    here = world()
    here.memory._restore = lambda record: here.memory._error(500, "0x80040216", "no")  # type: ignore[method-assign]
    (outcome,) = here.write([Change(number=0, action=ChangeAction.RESTORE, id=ID)])
    assert isinstance(outcome, Failed)
    assert (outcome.message, outcome.sent) == ("no", True)
    assert len(here.memory.log) < 10


def test_a_refused_update_may_have_been_made_by_a_request_without_an_answer() -> None:
    """Of a refused create or delete the record is looked at, so that it is known."""
    here: World = world(bad=lambda row: "no" if len(here.memory.log) > 1 else None)
    (change,) = guarded(here, 1)
    here.memory.faults = [Fault(kind="drop_after")]
    (outcome,) = here.write([replace(change, version="")])
    assert isinstance(outcome, Failed)
    assert (outcome.message, outcome.sent) == ("no", True)


def number_of(outcome: Outcome) -> int:
    return outcome.number
