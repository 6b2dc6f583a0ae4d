"""Links, the pairs of many-to-many relationships: the requests, and what the answers mean."""

from __future__ import annotations

import json

import pytest

from shared.dataverse.changes import Applied, Change, ChangeAction, Failed
from shared.dataverse.http.connection import Connection
from shared.dataverse.write.chunk_results import evaluate, lost
from shared.dataverse.write.chunks import Chunk, NextStep, Target, call_of, kind_of, step_of
from shared.dataverse.write.controller import RequestKind
from shared.dataverse.write.links import link_changes
from shared.errors import AbortRun
from shared.http.retry import Trouble
from tests.unit.dataverse.links import LINKS, ONE, TWO
from tests.unit.dataverse.simulation import BASE
from tests.unit.dataverse.write.test_chunk_results import answer, batch, good

OTHER = "00000000-2222-3333-4444-555555555555"
TARGET = Target(entity=LINKS, connection=Connection(service_url=BASE), messages=frozenset())


def link(action: ChangeAction, number: int = 0) -> Change:
    change = Change(number=number, action=action, key=json.dumps({"leadid": TWO, "accountid": ONE}))
    (made,) = link_changes([change])
    return made


def chunk(action: ChangeAction, count: int = 1) -> Chunk:
    changes = tuple(link(action, number) for number in range(count))
    return Chunk(kind=kind_of(changes[0]), changes=changes, step=step_of(changes[0], LINKS))


@pytest.mark.parametrize("action", [ChangeAction.INSERT, ChangeAction.UPSERT, ChangeAction.UPDATE])
def test_every_write_of_a_link_associates_two_records(action: ChangeAction) -> None:
    """The second record is named by its whole URL; nothing is looked up, and the intersect table is not written."""
    sent = chunk(action, 2)
    assert (sent.kind, sent.step) == (RequestKind.ASSOCIATE, NextStep.SEND)
    call = call_of(sent, TARGET, "edge")
    text = (call.body or b"").decode()
    assert call.path == "$batch"
    assert text.count(f"POST /api/data/v9.2/accounts({ONE})/accountleads_association/$ref HTTP/1.1") == 2
    assert text.count(f'{{"@odata.id": "{BASE}leads({TWO})"}}') == 2
    assert "accountleadscollection" not in text


def test_a_delete_of_a_link_disassociates() -> None:
    sent = chunk(ChangeAction.DELETE)
    text = (call_of(sent, TARGET, "edge").body or b"").decode()
    assert sent.kind is RequestKind.DISASSOCIATE
    assert f"DELETE /api/data/v9.2/accounts({ONE})/accountleads_association({TWO})/$ref HTTP/1.1" in text


def test_a_link_that_is_there_already_is_applied() -> None:
    taken, new = answer(412, "0x80040237", "Cannot insert duplicate key."), good()
    result = evaluate(chunk(ChangeAction.INSERT, 2), batch(taken, new), TARGET)
    assert result.outcomes == (Applied(number=0, created=False), Applied(number=1, created=True))


def test_a_link_that_does_not_exist_any_more_is_applied() -> None:
    gone = answer(404, "0x80040217", "account With Id Does Not Exist")
    result = evaluate(chunk(ChangeAction.DELETE, 2), batch(gone, good()), TARGET)
    assert result.outcomes == (Applied(number=0, created=False), Applied(number=1, created=False))


@pytest.mark.parametrize("code", ["0x80040265", "0x80048d02"])
def test_a_plug_in_that_refuses_to_remove_a_link_has_not_removed_it(code: str) -> None:
    """It may choose the status of a link that is not there."""
    (outcome,) = evaluate(chunk(ChangeAction.DELETE), batch(answer(404, code, "This member stays")), TARGET).outcomes
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.message) == (code, "This member stays")


@pytest.mark.parametrize("record", [ONE, TWO.upper()])
def test_a_link_whose_record_does_not_exist_any_more_is_applied(record: str) -> None:
    gone = answer(404, "0x80040217", f"account With Id = {record} Does Not Exist")
    result = evaluate(chunk(ChangeAction.DELETE), batch(gone), TARGET)
    assert result.outcomes == (Applied(number=0, created=False),)


def test_a_link_that_is_refused_because_of_another_record_has_failed() -> None:
    """What reacts to the removal asks for another record; the link is there."""
    other = answer(404, "0x80040217", f"contact With Id = {OTHER} Does Not Exist")
    (outcome,) = evaluate(chunk(ChangeAction.DELETE), batch(other), TARGET).outcomes
    assert isinstance(outcome, Failed)
    assert (outcome.status, outcome.code) == (404, "0x80040217")


def test_a_link_to_a_record_that_does_not_exist_has_failed() -> None:
    gone = answer(404, "0x80040217", "lead With Id Does Not Exist")
    (outcome,) = evaluate(chunk(ChangeAction.INSERT), batch(gone), TARGET).outcomes
    assert isinstance(outcome, Failed)
    assert outcome.message == "lead With Id Does Not Exist"


@pytest.mark.parametrize("action", [ChangeAction.INSERT, ChangeAction.DELETE])
def test_an_address_that_the_service_does_not_have_ends_the_run(action: ChangeAction) -> None:
    unknown = answer(404, "0x8006088a", "Resource not found for the segment")
    assert isinstance(evaluate(chunk(action), batch(unknown), TARGET).end, AbortRun)


@pytest.mark.parametrize("action", [ChangeAction.INSERT, ChangeAction.DELETE])
def test_a_request_whose_answer_was_lost_is_sent_again_as_it_was(action: ChangeAction) -> None:
    """A link made twice is one link: nothing is looked up."""
    sent = chunk(action)
    (again,) = lost(sent).again
    assert (again.step, again.changes) == (NextStep.SEND, sent.changes)


def test_a_throttled_link_is_sent_again_and_the_others_are_settled() -> None:
    result = evaluate(chunk(ChangeAction.INSERT, 2), batch(good(), answer(429, "0x80072322")), TARGET)
    assert result.outcomes == (Applied(number=0, created=True),)
    assert (result.trouble, [change.number for change in result.again[0].changes]) == (Trouble.THROTTLED, [1])
