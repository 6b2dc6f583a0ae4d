"""Verdicts on answers, one by one: what is settled, what is sent again, and how."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared.dataverse.changes import Applied, Change, ChangeAction, Failed
from shared.dataverse.http.connection import Connection
from shared.dataverse.http.service_errors import refusal
from shared.dataverse.write.chunk_results import ChunkResult, evaluate
from shared.dataverse.write.chunks import Chunk, NextStep, Target, call_of
from shared.dataverse.write.controller import RequestKind
from shared.definitions.models import KeyMatch
from shared.errors import AbortRun
from shared.http.retry import Trouble
from shared.http.transport import Response
from tests.unit.dataverse.simulation import ACCOUNT, ALL_MESSAGES, BASE

ACTIONS = {
    RequestKind.CREATE: ChangeAction.INSERT,
    RequestKind.UPDATE: ChangeAction.UPDATE,
    RequestKind.UPSERT: ChangeAction.UPSERT,
    RequestKind.DELETE: ChangeAction.DELETE,
}
TARGET = Target(entity=ACCOUNT, connection=Connection(service_url=BASE), messages=ALL_MESSAGES)
ELASTIC = replace(TARGET, entity=replace(ACCOUNT, elastic=True))


def chunk(kind: RequestKind, count: int, *, step: NextStep = NextStep.SEND, **more: Any) -> Chunk:
    return Chunk(kind=kind, changes=tuple(change(kind, number) for number in range(count)), step=step, **more)


def change(kind: RequestKind, number: int) -> Change:
    return Change(
        number=number,
        action=ACTIONS[kind],
        id=None if kind in {RequestKind.CREATE, RequestKind.UPSERT} else f"id-{number}",
        key=json.dumps({"accountnumber": f"A{number}"}),
        payload=json.dumps({"accountnumber": f"A{number}", "name": "x"}),
    )


def answer(status: int, code: str = "", message: str = "no", **error: Any) -> Response:
    return Response(status=status, body=json.dumps({"error": {"code": code, "message": message, **error}}).encode())


def good(value: Any = None) -> Response:
    return Response(status=204 if value is None else 200, body=b"" if value is None else json.dumps(value).encode())


def batch(*parts: Response) -> Response:
    pieces = [
        b"--edge\r\nContent-Type: application/http\r\n\r\n"
        + f"HTTP/1.1 {part.status} X\r\n".encode()
        + "".join(f"{name}: {value}\r\n" for name, value in part.headers.items()).encode()
        + b"\r\n"
        + part.body
        + b"\r\n"
        for part in parts
    ]
    headers = {"content-type": "multipart/mixed; boundary=edge"}
    return Response(status=200, headers=headers, body=b"".join(pieces) + b"--edge--\r\n")


def numbers(changes: Sequence[Change]) -> list[int]:
    return [change.number for change in changes]


def only(result: ChunkResult) -> Chunk:
    (again,) = result.again
    return again


def test_a_refused_chunk_is_halved_and_the_rest_waits() -> None:
    """One of all the rows is bad: half of them are tried."""
    again = only(evaluate(chunk(RequestKind.CREATE, 100), answer(400, "0x80044331"), TARGET))
    assert numbers(again.changes) == list(range(50))
    assert numbers(again.rest) == list(range(50, 100))
    assert again.refused is not None


def test_a_half_that_passes_puts_the_rest_under_suspicion() -> None:
    """The good half is applied, and the other half is divided further."""
    hunted = only(evaluate(chunk(RequestKind.UPDATE, 100), answer(400, "0x80044331"), TARGET))
    result = evaluate(hunted, good(), TARGET)
    assert [type(outcome) for outcome in result.outcomes] == [Applied] * 50
    assert numbers(only(result).changes) == list(range(50, 75))
    assert numbers(only(result).rest) == list(range(75, 100))


def test_a_half_that_fails_sets_the_rest_free() -> None:
    """Nothing is known of the other half any more: it travels with other rows."""
    hunted = only(evaluate(chunk(RequestKind.UPDATE, 100), answer(400, "0x80044331"), TARGET))
    result = evaluate(hunted, answer(400, "0x80044331"), TARGET)
    assert [change.number for _, change in result.released] == list(range(50, 100))
    assert numbers(only(result).changes) == list(range(25))


def test_the_last_rows_that_may_be_invalid_are_sent_in_a_batch() -> None:
    """One request judges each of them by an answer of its own."""
    again = only(evaluate(chunk(RequestKind.CREATE, 10), answer(400, "0x80044331"), TARGET))
    assert (again.step, len(again.changes), again.rest) == (NextStep.SINGLY, 10, ())
    parts = [answer(400, "0x80044331", "too long") if n == 3 else good() for n in range(10)]
    result = evaluate(again, batch(*parts), TARGET)
    assert [outcome.number for outcome in result.outcomes if isinstance(outcome, Failed)] == [3]
    assert not result.again


def test_where_many_rows_are_bad_a_batch_judges_them_all() -> None:
    """Halving would cost more than one request."""
    again = only(evaluate(chunk(RequestKind.CREATE, 500), answer(400, "0x80044331"), TARGET, dense=True))
    assert (again.step, len(again.changes)) == (NextStep.SINGLY, 500)


def test_a_batch_that_is_refused_as_a_whole_gets_smaller_until_it_is_one_row() -> None:
    """The service read no row of it, so no row is the cause; it ends in any case."""
    now = [chunk(RequestKind.CREATE, 5, step=NextStep.SINGLY)]
    failed = []
    for _ in range(20):
        if not now:
            break
        result = evaluate(now.pop(), answer(400, "0x80048d19"), TARGET)
        now += result.again
        failed += [outcome.number for outcome in result.outcomes]
    assert sorted(failed) == list(range(5))


@pytest.mark.parametrize(
    "response",
    [
        Response(status=200, body=b'{"Ids":["1","2"'),
        good({"Ids": ["1"]}),
        good({"Ids": []}),
        good({"Other": 1}),
        Response(status=200, body=b"<html>"),
        Response(status=502),
        Response(status=500, body=b"<html>"),
    ],
)
def test_a_truncated_answer_to_creates_is_a_lost_answer(response: Response) -> None:
    """The records may be there: they are looked up before they are sent again."""
    result = evaluate(chunk(RequestKind.CREATE, 3), response, TARGET)
    assert result.trouble is Trouble.LOST
    assert (only(result).step, only(result).lost) == (NextStep.LOOK_UP, True)


def test_lost_updates_are_simply_sent_again() -> None:
    """By id they are idempotent."""
    result = evaluate(chunk(RequestKind.UPDATE, 3), Response(status=504), TARGET)
    assert (only(result).step, only(result).tries) == (NextStep.SEND, {Trouble.LOST: 1})


@pytest.mark.parametrize("kind", [RequestKind.UPDATE, RequestKind.UPSERT, RequestKind.DELETE])
@pytest.mark.parametrize("status", [200, 202, 206])
def test_a_page_of_a_gateway_says_nothing_about_the_rows(kind: RequestKind, status: int) -> None:
    """Its status is a success, and yet the service may not have got the request."""
    target = replace(TARGET, messages=TARGET.messages | {"DeleteMultiple"})
    page = Response(status=status, headers={"content-type": "text/html"}, body=b"<html>Maintenance</html>")
    result = evaluate(chunk(kind, 3), page, target)
    assert (result.trouble, result.outcomes, only(result).step) == (Trouble.LOST, (), NextStep.SEND)
    for other in (Response(status=202, body=b"{}"), answer(status)):
        assert evaluate(chunk(kind, 3), other, target).trouble is Trouble.LOST
    assert [type(each) for each in evaluate(chunk(kind, 3), good({}), target).outcomes] == [Applied] * 3


def test_a_look_up_settles_what_is_there_and_sends_the_rest() -> None:
    """Creates that took effect are applied with their ids."""
    looking = chunk(RequestKind.CREATE, 3, step=NextStep.LOOK_UP, lost=True)
    result = evaluate(
        looking,
        batch(good({"value": [{"accountid": "00000000-0000-4000-8000-000000000001", "accountnumber": "a1 "}]})),
        TARGET,
    )
    assert list(result.outcomes) == [Applied(number=1, id="00000000-0000-4000-8000-000000000001", created=True)]
    assert numbers(only(result).changes) == [0, 2]
    assert only(result).step is NextStep.SEND


def test_of_several_records_with_a_key_the_oldest_is_meant() -> None:
    """The query asks for the oldest first."""
    looking = Chunk(
        kind=RequestKind.UPDATE, changes=(replace(change(RequestKind.UPDATE, 1), id=None),), step=NextStep.LOOK_UP
    )
    rows = [
        {"accountid": "00000000-0000-4000-8000-0000000000aa", "accountnumber": "A1"},
        {"accountid": "00000000-0000-4000-8000-0000000000bb", "accountnumber": "A1"},
    ]
    result = evaluate(looking, batch(good({"value": rows})), TARGET)
    assert [(kind, change.id) for kind, change in result.released] == [
        (RequestKind.UPDATE, "00000000-0000-4000-8000-0000000000aa")
    ]
    call = call_of(looking, TARGET, "b")
    assert b"$orderby=createdon%20asc" in (call.body or b"")


NEXT = f"{BASE}accounts?$select=accountid&$skiptoken=%3Ccookie%20pagenumber=%222%22%20/%3E"


def keyed(*numbers: int) -> Chunk:
    """A look-up of records by their keys."""
    changes = tuple(replace(change(RequestKind.UPSERT, number), id=None) for number in numbers)
    return Chunk(kind=RequestKind.UPSERT, changes=changes, step=NextStep.LOOK_UP)


def page(*accounts: str, following: str | None = None) -> Response:
    """A page of a look-up, with one record for each account number."""
    rows = [
        {"accountid": f"00000000-0000-4000-8000-00000000000{at}", "accountnumber": number}
        for at, number in enumerate(accounts)
    ]
    return good({"value": rows, **({"@odata.nextLink": following} if following else {})})


def test_a_key_that_is_not_on_a_page_with_a_next_one_is_looked_up_apart() -> None:
    """Its records may be on a next page; one record of each key is enough, since the oldest is the first."""
    result = evaluate(keyed(1, 2), batch(page("A1", "A1", following=NEXT)), TARGET)
    assert [(kind, change.number) for kind, change in result.released] == [(RequestKind.UPDATE, 1)]
    again = only(result)
    assert (again.step, again.apart, numbers(again.changes)) == (NextStep.LOOK_UP, True, [2])
    assert (call_of(again, TARGET, "b").body or b"").count(b"&$top=1 HTTP/1.1") == 1
    ends = evaluate(again, batch(page()), TARGET)
    assert [(kind, change.number) for kind, change in ends.released] == [(RequestKind.CREATE, 2)]


def test_a_key_that_is_compared_more_strictly_is_looked_for_on_the_next_pages() -> None:
    """Asked for apart, the service may answer with records that it alone takes to have the key."""
    strict = replace(TARGET, connection=replace(TARGET.connection, key_match=KeyMatch.EXACT))
    again = only(evaluate(keyed(1, 2, 3), batch(page("a1", "a2", "A3", following=NEXT)), strict))
    assert (again.step, again.apart, numbers(again.changes)) == (NextStep.LOOK_UP, False, [1, 2])
    body = call_of(again, strict, "b").body or b""
    path = NEXT.removeprefix("http://127.0.0.1:5080").encode()
    assert (body.count(b"GET "), body.count(b"GET " + path + b" HTTP/1.1")) == (1, 1)
    assert evaluate(again, batch(page("A1", following=NEXT)), strict).trouble is Trouble.LOST  # a page that repeats
    ends = evaluate(again, batch(page("A1")), strict)
    assert [(kind, change.number) for kind, change in ends.released] == [
        (RequestKind.UPDATE, 1),
        (RequestKind.CREATE, 2),
    ]


def test_a_look_up_that_fails_is_made_again_or_ends_the_run() -> None:
    """Trouble is waited out; a refusal cannot be helped."""
    looking = chunk(RequestKind.CREATE, 3, step=NextStep.LOOK_UP)
    assert evaluate(looking, batch(answer(429, "0x80072322")), TARGET).trouble is Trouble.THROTTLED
    assert isinstance(evaluate(looking, batch(answer(400, "0x0", "Invalid")), TARGET).end, AbortRun)


def test_a_key_that_is_taken_after_a_lost_answer_is_looked_up_again() -> None:
    """The lost request may have been carried out between look-up and repetition."""
    result = evaluate(chunk(RequestKind.CREATE, 3, lost=True), answer(412, "0x80060892"), TARGET)
    assert only(result).step is NextStep.LOOK_UP
    fresh = evaluate(chunk(RequestKind.CREATE, 1), answer(412, "0x80060892"), TARGET)
    assert [type(outcome) for outcome in fresh.outcomes] == [Failed]


@pytest.mark.parametrize("fault", [answer(500, "0x80044150"), answer(500, "0x80040216"), answer(503, "0x1")])
def test_a_server_error_after_a_create_is_checked_by_a_look_up(fault: Response) -> None:
    """A fault that did not undo the creates shows when their keys are taken: they are looked up, not failed."""
    again = only(evaluate(chunk(RequestKind.CREATE, 30), fault, TARGET))
    assert again.step is NextStep.SEND
    assert only(evaluate(again, answer(412, "0x80060892"), TARGET)).step is NextStep.LOOK_UP


def test_a_create_with_an_id_is_looked_up_by_it() -> None:
    """A record of another client with the same key is not the one that was created here."""
    made = tuple(
        replace(change(RequestKind.CREATE, number), id=f"00000000-0000-4000-8000-00000000000{number}")
        for number in range(2)
    )
    looking = Chunk(
        kind=RequestKind.CREATE, changes=(*made, change(RequestKind.CREATE, 2)), step=NextStep.LOOK_UP, lost=True
    )
    body = call_of(looking, TARGET, "b").body or b""
    assert (
        b"PropertyName='accountid',PropertyValues=[%2200000000-0000-4000-8000-000000000000%22,%2200000000-0000-4000-8000-000000000001%22]"
        in body
    )
    assert b"PropertyName='accountnumber',PropertyValues=[%22A2%22]" in body
    rows = [
        {"accountid": "00000000-0000-4000-8000-000000000000", "accountnumber": "other"},
        {"accountid": "00000000-0000-4000-8000-0000000000cc", "accountnumber": "A1"},
    ]
    keyed = [{"accountid": "00000000-0000-4000-8000-0000000000dd", "accountnumber": "A2"}]
    result = evaluate(looking, batch(good({"value": rows}), good({"value": keyed})), TARGET)
    assert [getattr(outcome, "id", None) for outcome in result.outcomes] == [
        "00000000-0000-4000-8000-000000000000",
        "00000000-0000-4000-8000-0000000000dd",
    ]
    assert numbers(only(result).changes) == [1]


def test_a_look_up_is_answered_in_full_or_not_at_all() -> None:
    """A query without an answer says nothing about its records."""
    made = (
        replace(change(RequestKind.CREATE, 0), id="00000000-0000-4000-8000-000000000000"),
        change(RequestKind.CREATE, 1),
    )
    looking = Chunk(kind=RequestKind.CREATE, changes=made, step=NextStep.LOOK_UP, lost=True)
    assert evaluate(looking, batch(good({"value": []})), TARGET).trouble is Trouble.LOST


def test_a_look_up_that_the_server_stumbles_over_is_made_again() -> None:
    """It only reads."""
    looking = chunk(RequestKind.CREATE, 3, step=NextStep.LOOK_UP, lost=True)
    result = evaluate(looking, batch(answer(500, "0x80040216")), TARGET)
    assert (only(result).step, result.trouble) == (NextStep.LOOK_UP, Trouble.DATABASE)


def test_a_row_of_a_batch_is_throttled_as_often_as_it_takes() -> None:
    """Being throttled says nothing about the row."""
    tired = chunk(RequestKind.DELETE, 1).tried(Trouble.THROTTLED)
    for _ in range(9):
        tired = only(evaluate(tired, batch(answer(429, "0x80072322")), TARGET))
    assert tired.tries == {Trouble.THROTTLED: 10}


@pytest.mark.parametrize("step", [NextStep.SINGLY, NextStep.SEND])
def test_a_create_that_meets_faults_fails_only_when_it_is_not_there(step: NextStep) -> None:
    """Chance may have played a part, so it is tried once more; then looked for; then the fault is final."""

    def fault(at: Chunk) -> ChunkResult:
        said = answer(500, "0x80040216")
        return evaluate(at, batch(said) if at.step is NextStep.SINGLY else said, TARGET)

    again = only(fault(chunk(RequestKind.CREATE, 1, step=step)))
    assert again.lost
    looking = only(fault(again))
    assert looking.step is NextStep.LOOK_UP
    found = evaluate(
        looking,
        batch(good({"value": [{"accountid": "00000000-0000-4000-8000-000000000000", "accountnumber": "A0"}]})),
        TARGET,
    )
    assert list(found.outcomes) == [Applied(number=0, id="00000000-0000-4000-8000-000000000000", created=True)]
    missing = evaluate(looking, batch(good({"value": []})), TARGET)
    assert [(type(outcome), outcome.number) for outcome in missing.outcomes] == [(Failed, 0)]
    assert [type(outcome) for outcome in fault(only(fault(chunk(RequestKind.UPDATE, 1, step=step)))).outcomes] == [
        Failed
    ]


def test_creates_of_a_batch_fail_only_when_their_records_are_not_there() -> None:
    """Each keeps its own refusal while their records are looked up; after a plain refusal nothing is looked up."""
    refused = [good(), answer(412, "0x80040333", "a double"), answer(400, "0x80044331", "too long")]
    singly = chunk(RequestKind.CREATE, 3, step=NextStep.SINGLY, lost=True)
    looking = only(evaluate(singly, batch(*refused), TARGET))
    assert (looking.step, numbers(looking.changes)) == (NextStep.LOOK_UP, [1, 2])
    result = evaluate(looking, batch(page("A1")), TARGET)
    applied, failed = result.outcomes
    assert (applied.number, getattr(applied, "created", None)) == (1, True)
    assert isinstance(failed, Failed)
    assert (failed.number, failed.code, failed.sent, result.again) == (2, "0x80044331", False, ())
    plain = evaluate(replace(singly, lost=False), batch(*refused), TARGET)
    assert [type(outcome) for outcome in plain.outcomes] == [Applied, Failed, Failed]


def test_a_create_whose_look_up_does_not_succeed_may_have_been_made() -> None:
    """It is not known whether the lost request was carried out."""
    looking = chunk(RequestKind.CREATE, 1, step=NextStep.LOOK_UP, lost=True)
    (failed,) = evaluate(looking, answer(413), TARGET).outcomes
    assert isinstance(failed, Failed)
    assert failed.sent


def test_a_lost_race_of_upserts_is_run_once_more() -> None:
    """The second try meets the record and updates it; a second refusal is final for a lone row."""
    first = evaluate(chunk(RequestKind.UPSERT, 1), answer(412, "0x80060892"), TARGET)
    assert only(first).changes == chunk(RequestKind.UPSERT, 1).changes
    assert [type(outcome) for outcome in evaluate(only(first), answer(412, "0x80060892"), TARGET).outcomes] == [Failed]


@pytest.mark.parametrize("status", [405, 501])
def test_a_message_that_is_not_there_after_all_is_struck_off(status: int) -> None:
    """What sdkmessagefilters lists may still be refused; $batch takes over."""
    result = evaluate(chunk(RequestKind.UPSERT, 5), answer(status, "0x80040800"), TARGET)
    assert result.lacks == "UpsertMultiple"
    without = replace(TARGET, messages=TARGET.messages - {result.lacks})
    assert call_of(only(result), without, "b").path == "$batch"


@pytest.mark.parametrize(
    ("code", "message", "missing"),
    [
        ("0x80040800", "The 'UpdateMultiple' method does not support entities of type 'account'.", True),
        ("0x80040800", "UpdateMultiple has not yet been implemented.", True),
        ("0x0", "The operation is not supported for this table.", True),
        ("", "The operation is not implemented.", True),
        ("0x80040800", "The 'Create' method does not support entities of type 'accountleads'.", False),
        ("0x80040203", "The country XX is not supported.", False),
        ("0x80044331", "A name with 300 letters is not supported.", False),
    ],
)
def test_a_message_is_missing_only_where_the_service_speaks_of_it(code: str, message: str, *, missing: bool) -> None:
    """The words of an error about a row, or of a request that a plug-in makes itself, say nothing about the table."""
    result = evaluate(chunk(RequestKind.UPDATE, 40), answer(400, code, message), TARGET)
    assert result.lacks == ("UpdateMultiple" if missing else "")
    assert len(only(result).changes) == (40 if missing else 20)


def test_too_large_a_request_is_sent_in_halves() -> None:
    """413 says nothing about a row, unless it is alone."""
    result = evaluate(chunk(RequestKind.CREATE, 9), answer(413), TARGET)
    assert result.too_long
    assert [len(again.changes) for again in result.again] == [4, 5]
    assert [type(outcome) for outcome in evaluate(chunk(RequestKind.CREATE, 1), answer(413), TARGET).outcomes] == [
        Failed
    ]


def test_parts_of_a_batch_are_judged_one_by_one() -> None:
    """A record that does not exist counts as deleted; a temporary failure is tried again; a refusal is final; a missing privilege ends the run."""
    parts = [good(), answer(404, "0x80040217"), answer(429, "0x80072322"), answer(400, "0x80040265", "Locked")]
    result = evaluate(chunk(RequestKind.DELETE, 4), batch(*parts), TARGET)
    assert [type(outcome) for outcome in result.outcomes] == [Applied, Applied, Failed]
    assert (numbers(only(result).changes), result.trouble) == ([2], Trouble.THROTTLED)
    refused = answer(403, "0x80040220", "missing prvDeleteAccount privilege")
    assert isinstance(evaluate(chunk(RequestKind.DELETE, 1), batch(refused), TARGET).end, AbortRun)


def test_a_delete_that_is_refused_because_of_another_record_has_failed() -> None:
    """What reacts to a delete may ask for a record that is not there: the service's code is the same, its id is not."""
    ours, other = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
    removal = replace(change(RequestKind.DELETE, 0), id=ours)
    deletes = Chunk(kind=RequestKind.DELETE, changes=(removal, replace(removal, number=1)))
    parts = [answer(404, "0x80040217", f"contact With Id = {each} Does Not Exist") for each in (ours.upper(), other)]
    gone, there = evaluate(deletes, batch(*parts), TARGET).outcomes
    assert gone == Applied(number=0, id=ours, created=False)
    assert isinstance(there, Failed)
    assert (there.code, there.message) == ("0x80040217", f"contact With Id = {other} Does Not Exist")


def test_creates_of_a_batch_whose_answer_was_lost_are_looked_up() -> None:
    """A 502 inside a batch is as ambiguous as one around it."""
    result = evaluate(chunk(RequestKind.CREATE, 2, step=NextStep.SINGLY), batch(Response(status=502), good()), TARGET)
    assert (only(result).step, numbers(only(result).changes)) == (NextStep.LOOK_UP, [0])


def test_rows_that_wait_go_on_once_when_the_rows_of_a_batch_go_on_in_several_ways() -> None:
    """A table without bulk messages: each row has one outcome, or is in one request, or is free for one."""
    without = replace(TARGET, messages=frozenset())
    hunted = only(evaluate(chunk(RequestKind.UPDATE, 40).tried("again"), answer(500, "0x80040216"), without))
    assert len(hunted.rest) == 20
    troubles = [answer(429, "0x80072322"), Response(status=502), answer(500, "0x80044150"), good()]
    result = evaluate(hunted, batch(*troubles * 5), without)
    assert numbers([row for _, row in result.released]) == list(range(20, 40))
    sent = [number for again in result.again for number in numbers((*again.changes, *again.rest))]
    assert sorted((*sent, *(outcome.number for outcome in result.outcomes))) == list(range(20))
    assert numbers(only(evaluate(hunted, batch(*troubles[:1] * 20), without)).rest) == list(range(20, 40))


def test_rows_that_wait_are_not_taken_for_those_that_are_checked() -> None:
    """Restores whose answer was lost are read where they are refused; those that wait were not refused."""
    restores = chunk(RequestKind.UPDATE, 10, rest=chunk(RequestKind.UPDATE, 40).changes[10:], lost=True)
    hunted = replace(restores, kind=RequestKind.RESTORE, refused=refusal(answer(500, "0x80040216")))
    result = evaluate(hunted, batch(*[answer(404, "0x80040217")] * 10), TARGET)
    assert (only(result).step, numbers(only(result).changes), only(result).rest) == (NextStep.CHECK, [*range(10)], ())
    assert numbers([row for _, row in result.released]) == list(range(10, 40))


def test_an_elastic_table_says_which_rows_it_wrote() -> None:
    """Those are applied; the others are sent one by one, for their own messages."""
    listed = [
        {"RequestIndex": 0, "Id": "00000000-0000-4000-8000-000000000000", "StatusCode": 200},
        {"RequestIndex": 1, "Id": "", "StatusCode": 400},
    ]
    details = {"@Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails": json.dumps(listed)}
    result = evaluate(chunk(RequestKind.CREATE, 2), answer(400, "0x80044331", **details), ELASTIC)
    assert list(result.outcomes) == [Applied(number=0, id="00000000-0000-4000-8000-000000000000", created=True)]
    assert (only(result).step, numbers(only(result).changes)) == (NextStep.SINGLY, [1])


def test_an_elastic_table_that_does_not_say_is_asked() -> None:
    """Creates are looked up, and those that are missing sent one by one, as updates are: a refusal is no lost answer."""
    result = evaluate(chunk(RequestKind.CREATE, 2), answer(400, "0x1"), ELASTIC)
    assert (only(result).step, only(result).lost, only(result).tries, result.trouble) == (
        NextStep.LOOK_UP,
        True,
        {},
        None,
    )
    missing = only(evaluate(only(result), batch(page("A0")), ELASTIC))
    assert (missing.step, numbers(missing.changes)) == (NextStep.SINGLY, [1])
    assert only(evaluate(chunk(RequestKind.UPDATE, 2), answer(400, "0x1"), ELASTIC)).step is NextStep.SINGLY


def test_an_elastic_table_that_is_throttled_in_part_repeats_only_the_rest() -> None:
    """What it wrote stays written, and what it may have written is not failed for being there."""
    listed = [
        {"RequestIndex": 0, "Id": "00000000-0000-4000-8000-000000000000", "StatusCode": 200},
        {"RequestIndex": 1, "Id": "", "StatusCode": 429},
    ]
    details = {"@Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails": json.dumps(listed)}
    result = evaluate(chunk(RequestKind.CREATE, 2), answer(429, "0x80072322", **details), ELASTIC)
    assert list(result.outcomes) == [Applied(number=0, id="00000000-0000-4000-8000-000000000000", created=True)]
    assert (numbers(only(result).changes), only(result).lost, result.trouble) == ([1], True, Trouble.THROTTLED)
    assert only(evaluate(chunk(RequestKind.CREATE, 2), answer(429, "0x80072322"), ELASTIC)).lost


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("code", ["0x80040265", "0x80048d03", "0x80048d04"])
def test_what_a_plug_in_refuses_is_no_trouble_of_the_service(status: int, code: str) -> None:
    """But the storage of an elastic table has the same codes for its limits, and so has a read."""
    sent = chunk(RequestKind.UPDATE, 1, step=NextStep.SINGLY, tries={"again": 1})
    refused = answer(status, code, "Come back in the evening")
    for response in (refused, batch(refused)):
        (outcome,) = evaluate(sent, response, TARGET).outcomes
        assert isinstance(outcome, Failed)
        assert (outcome.code, outcome.message) == (code, "Come back in the evening")
        assert evaluate(sent, response, ELASTIC).trouble in {Trouble.THROTTLED, Trouble.UNAVAILABLE}
    assert evaluate(replace(sent, step=NextStep.LOOK_UP), batch(refused), TARGET).trouble is not None


def test_a_plug_in_does_not_take_a_bulk_message_away() -> None:
    """Neither by its words nor by its status: the rows are halved until the bad one is found."""
    for status in (400, 405, 501):
        result = evaluate(chunk(RequestKind.UPDATE, 40), answer(status, "0x80040265", "XX is not supported."), TARGET)
        assert not result.lacks
        assert len(result.again) == 1
