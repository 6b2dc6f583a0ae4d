"""What an answer means for the rows of a chunk: outcomes, what to send next, what to learn. Pure.

A bulk request on a standard table is all or nothing. When one is refused because of a row, its rows are halved: the
first half is sent again while the rest waits. If the first half succeeds, the bad row is in the rest. If it fails, the
rest is released and sent with other rows. The last few rows, or whole chunks with many bad rows, are sent one by one
in a `$batch` that continues after errors. So each bad row needs fewer than log2(rows) requests, every row gets its own
result, and every good row is written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.dataverse.changes import NO_CODE, Applied, Change, Failed, Outcome
from shared.dataverse.http.answers import UnexpectedAnswer, parsed
from shared.dataverse.http.batch_requests import decoded
from shared.dataverse.http.service_errors import (
    FIRST_REFUSAL,
    TIMEOUT_CODE,
    Conflict,
    Refusal,
    conflict,
    ends_run,
    error_of,
    refusal,
)
from shared.dataverse.write.bulk import details_of, ids_of
from shared.dataverse.write.chunks import APART, READS, Chunk, NextStep, Target, halved, queries_of, trouble_of
from shared.dataverse.write.closing import marked_read, times_read
from shared.dataverse.write.controller import RequestKind
from shared.dataverse.write.links import is_in_effect_already
from shared.dataverse.write.lookup_answers import looked_up, read_again
from shared.errors import AbortRun
from shared.http.retry import Trouble
from shared.http.transport import Response

__all__ = ["ChunkResult", "evaluate", "lost", "too_often"]

_NO_SUCH_MESSAGE = "0x80040800"  # a table does not have a message, or the message is not implemented
_GONE = frozenset({"0x80040217", "0x80060891"})  # no record with this id, with this key
_GUID_IN_URL = re.compile(r"\(([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\)")
_TOO_LARGE = 413
_SERVER_ERROR = 500
_MOST_TIMEOUTS = 5
_MOST_ROLLBACKS = 6  # of one operation in a `$batch`: as many as of a whole request
_FEW = 16  # rows that one $batch isolates at a lower cost than four more halvings
_AGAIN = "again"  # counts repeats after a refusal that may be temporary
_CHECK = "check"  # a change was refused, perhaps because it is in effect already
_SOUGHT = "sought"  # counts look-ups of creates that were refused after a lost answer
_UNSUPPORTED = re.compile(r"not (?:yet been )?(?:implemented|supported)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkResult:
    """The result of a chunk.

    Attributes:
        outcomes: Rows that are settled.
        again: Chunks to send, before anything new.
        released: Rows that are sent again with other rows, because they did not cause the refusal so far.
        trouble: What kept the request from an answer; `again` then holds the chunk, to wait first.
        too_long: The request was too much for the database or the client.
        end: Ends the run.
        lacks: The bulk message that the table does not support.
    """

    outcomes: Sequence[Outcome] = ()
    again: Sequence[Chunk] = ()
    released: Sequence[tuple[RequestKind, Change]] = ()
    trouble: Trouble | None = None
    too_long: bool = False
    end: AbortRun | None = None
    lacks: str = ""


def evaluate(chunk: Chunk, response: Response, target: Target, *, dense: bool = False) -> ChunkResult:
    """What an answer means for the rows of a chunk.

    Args:
        chunk: What was sent.
        response: The answer.
        target: The table.
        dense: So many rows are bad that halving would cost more than sending each row separately.
    """
    if response.status >= FIRST_REFUSAL:
        return _refused(chunk, refusal(response), response, target, dense=dense)
    try:
        if chunk.step is NextStep.LOOK_UP:
            return _looked_up(chunk, decoded(response), target)
        if chunk.step in APART or not target.message_of(chunk.kind):
            return _each(chunk, decoded(response), target)
        return _accepted(chunk, ids_of(response, created=len(chunk.changes) if chunk.kind is RequestKind.CREATE else 0))
    except (ValueError, UnexpectedAnswer):
        # A success status with an incomplete or unexpected body is treated as a lost answer.
        return lost(chunk)


def lost(chunk: Chunk) -> ChunkResult:
    """The answer is not known: creates are looked up first; all else is sent again, and may be in effect already."""
    again = _doubted(chunk).tried(Trouble.LOST)
    if chunk.kind is RequestKind.CREATE:
        again = replace(again, step=NextStep.LOOK_UP)
    return ChunkResult(again=(again,), trouble=Trouble.LOST)


def _doubted(chunk: Chunk) -> Chunk:
    """A fault of the server should have undone the rows; what they meet afterwards may show that it has not."""
    return replace(chunk, lost=chunk.lost or chunk.step not in READS)


def too_often(chunk: Chunk, refused: Refusal) -> ChunkResult:
    """The database rolled the rows back several times: send fewer rows together; a single row has failed."""
    if len(chunk.changes) == 1:
        return _alone(chunk, refused)
    return ChunkResult(again=halved(replace(chunk, tries={}, not_before=0.0)))


def _accepted(chunk: Chunk, ids: Sequence[str]) -> ChunkResult:
    created = {RequestKind.CREATE: True, RequestKind.UPDATE: False, RequestKind.DELETE: False}.get(chunk.kind)
    outcomes = tuple(
        Applied(number=change.number, id=ids[at] if ids else change.id, created=created)
        for at, change in enumerate(chunk.changes)
    )
    return replace(_rest_is_bad(chunk), outcomes=(*outcomes, *_rest_is_bad(chunk).outcomes))


def _rest_is_bad(chunk: Chunk) -> ChunkResult:
    """After the first half was written: the bad row is in the rest, and the refusal is about that row."""
    if chunk.refused is None or not chunk.rest:
        return ChunkResult()
    return ChunkResult(again=(_narrowed(chunk, chunk.rest, chunk.refused),))


def _narrowed(chunk: Chunk, suspects: tuple[Change, ...], refused: Refusal) -> Chunk:
    """The next request to isolate a bad row: half of the remaining rows, or the last few one by one."""
    # If a look-up has shown that another record has the key, the rows are not looked up again.
    tries = {what: count for what, count in chunk.tries.items() if what == _SOUGHT}
    fresh = replace(chunk, tries=tries, not_before=0.0, since=None)
    if len(suspects) <= _FEW:
        return replace(fresh, changes=suspects, step=NextStep.SINGLY, rest=(), refused=None)
    middle = len(suspects) // 2
    return replace(fresh, changes=suspects[:middle], rest=suspects[middle:], refused=refused)


def _failed(chunk: Chunk, change: Change, refused: Refusal) -> Failed:
    """The record of a refused delete is there, and a refused create is looked up: neither has had an effect before."""
    status, code, message, column = refused.status, refused.code, refused.message, refused.column
    settled = chunk.kind is RequestKind.DELETE or (
        chunk.kind is RequestKind.CREATE and chunk.step is not NextStep.LOOK_UP
    )
    sent = (chunk.lost or chunk.step is NextStep.CHECK) and not settled
    return Failed(number=change.number, status=status, code=code, message=message, column=column, sent=sent)


def _refused(chunk: Chunk, refused: Refusal, response: Response, target: Target, *, dense: bool) -> ChunkResult:
    met = trouble_of(chunk, target, response, refused)
    if met is None and chunk.step is NextStep.LOOK_UP and refused.status >= _SERVER_ERROR:
        met = Trouble.DATABASE  # looking up again is safe, and may succeed later
    if target.entity.elastic and chunk.step is NextStep.SEND and details_of(response):
        return _in_part(chunk, response, met)
    if met is Trouble.LOST:
        return lost(chunk)
    if refused.code == TIMEOUT_CODE or (refused.status == _TOO_LARGE and not refused.by_plug_in):
        return _too_much(_doubted(chunk) if refused.status >= _SERVER_ERROR else chunk, refused)
    if met is not None:
        doubtful = met is not Trouble.THROTTLED or target.entity.elastic
        return ChunkResult(again=((_doubted(chunk) if doubtful else chunk).tried(met),), trouble=met)
    if _is_missing_message(chunk, refused, target):
        return ChunkResult(again=(chunk,), lacks=target.message_of(chunk.kind))
    doing = "read" if chunk.step is NextStep.LOOK_UP else chunk.kind.value
    if ends_run(refused) or chunk.step is NextStep.LOOK_UP:
        error = error_of(refused, table=target.entity.logical_name, doing=doing)
        end = error if isinstance(error, AbortRun) else AbortRun(f"looking up records failed: {refused}")
        return ChunkResult(end=end)
    if target.entity.elastic and chunk.step is NextStep.SEND:
        if chunk.kind is RequestKind.CREATE:  # some of them may be there, and the refusal is about others
            return ChunkResult(again=(replace(_doubted(chunk), step=NextStep.LOOK_UP, after=NextStep.SINGLY),))
        return ChunkResult(again=(replace(chunk, step=NextStep.SINGLY),))
    return _row_refused(chunk, refused, dense=dense)


def _in_part(chunk: Chunk, response: Response, met: Trouble | None) -> ChunkResult:
    """An elastic table wrote some rows: the others are sent one by one, to get the error of each."""
    details = details_of(response) or {}
    written = {index: record for index, (status, record) in details.items() if status < FIRST_REFUSAL}
    created = {RequestKind.CREATE: True, RequestKind.UPSERT: None}.get(chunk.kind, False)
    outcomes = tuple(
        Applied(number=change.number, id=written[index] or change.id, created=created)
        for index, change in enumerate(chunk.changes)
        if index in written
    )
    others = tuple(change for index, change in enumerate(chunk.changes) if index not in written)
    if not others:
        return ChunkResult(outcomes=outcomes)
    if met is None:
        return ChunkResult(outcomes=outcomes, again=(replace(chunk, changes=others, step=NextStep.SINGLY),))
    again = _undone(chunk, met, others)
    return ChunkResult(outcomes=outcomes, again=(again,), trouble=met)


def _too_much(chunk: Chunk, refused: Refusal) -> ChunkResult:
    if len(chunk.changes) > 1:
        return ChunkResult(again=halved(chunk.tried(Trouble.DATABASE)), too_long=True)
    if refused.status == _TOO_LARGE or chunk.tries.get(Trouble.DATABASE, 0) > _MOST_TIMEOUTS:
        return _alone(chunk, refused)
    return ChunkResult(again=(chunk.tried(Trouble.DATABASE),), trouble=Trouble.DATABASE, too_long=True)


def _is_missing_message(chunk: Chunk, refused: Refusal, target: Target) -> bool:
    """A table without the bulk message is reported in several ways: 405 or 501, a code of its own, or only a message.

    A message with the code of something else is about a row, whatever its words are.
    """
    message = target.message_of(chunk.kind)
    if chunk.step is not NextStep.SEND or not message or refused.by_plug_in:
        return False
    if refused.status in {405, 501}:
        return True
    if refused.code == _NO_SUCH_MESSAGE:
        return message in refused.message  # not where a plug-in passes on what its own request was answered
    return refused.code in {"", NO_CODE} and bool(_UNSUPPORTED.search(refused.message))


def _row_refused(chunk: Chunk, refused: Refusal, *, dense: bool) -> ChunkResult:
    """Refused because of a row: try again if it can be temporary, then isolate the row."""
    if conflict(refused) is Conflict.KEY_TAKEN and chunk.kind is RequestKind.UPSERT and _AGAIN not in chunk.tries:
        # Two upserts of one new key at the same time: one is refused, and succeeds as an update.
        return ChunkResult(again=(chunk.tried(_AGAIN),))
    if refused.status >= _SERVER_ERROR and _AGAIN not in chunk.tries:
        return ChunkResult(again=(_doubted(chunk).tried(_AGAIN),))
    if len(chunk.changes) == 1:
        return _alone(chunk, refused)
    if chunk.step in APART:
        return ChunkResult(again=halved(chunk))  # the batch itself was refused: no row of it was looked at
    if _may_be_ours(chunk):
        return ChunkResult(again=(replace(chunk, step=NextStep.LOOK_UP).tried(_SOUGHT),))
    released = tuple((chunk.kind, change) for change in chunk.rest)
    if dense:
        return ChunkResult(again=(replace(chunk, step=NextStep.SINGLY, rest=(), refused=None),), released=released)
    return ChunkResult(again=(_narrowed(chunk, chunk.changes, refused),), released=released)


def _may_be_ours(chunk: Chunk) -> bool:
    """Whether creates may be refused because of the records that they have made themselves.

    An answer was lost, and the request may have been processed after the look-up. Whatever refuses the creates now,
    their key or a rule against duplicates, has met these records, so one look-up for each lost answer is enough.
    """
    sought = chunk.tries.get(_SOUGHT, 0)
    return chunk.kind is RequestKind.CREATE and chunk.lost and sought <= chunk.tries.get(Trouble.LOST, 0)


def _alone(chunk: Chunk, refused: Refusal) -> ChunkResult:
    released = tuple((chunk.kind, change) for change in (*chunk.changes[1:], *chunk.rest))
    failed = _failed(chunk, chunk.changes[0], refused)
    if _may_have_acted(chunk, failed):
        return ChunkResult(again=(_unless_there(chunk, [failed]),), released=released)
    return ChunkResult(outcomes=(failed,), released=released)


def _may_have_acted(chunk: Chunk, failed: Failed) -> bool:
    """Whether a create that is refused finally may have made its record: with this request, or with an earlier one."""
    unsure = chunk.lost or failed.status >= _SERVER_ERROR
    return chunk.kind is RequestKind.CREATE and chunk.step is not NextStep.LOOK_UP and unsure


def _unless_there(chunk: Chunk, verdicts: Sequence[Failed]) -> Chunk:
    """The last look-up of creates: they have failed, except those whose records are there."""
    failed = {each.number: each for each in verdicts}
    changes = tuple(change for change in chunk.changes if change.number in failed)
    looking = replace(chunk, changes=changes, step=NextStep.LOOK_UP, verdicts=failed, lost=True)
    return replace(looking, rest=(), refused=None, tries={})


def _each(chunk: Chunk, answers: Sequence[Response], target: Target) -> ChunkResult:
    """The parts of a `$batch`, one for each row."""
    if len(answers) < len(chunk.changes):
        raise ValueError("the answer to a batch is incomplete")
    outcomes: list[Outcome] = []
    undone: dict[str, list[Change]] = {}
    verdicts: list[Failed] = []
    released: list[tuple[RequestKind, Change]] = []
    end: AbortRun | None = None
    for change, answer in zip(chunk.changes, answers, strict=True):
        match _one(chunk, change, answer, target):
            case str() as met:
                undone.setdefault(met, []).append(change)
            case AbortRun() as error:
                end = error
            case Change() as left:
                released.append((chunk.kind, left))
            case Failed() as failed if _may_have_acted(chunk, failed):
                verdicts.append(failed)
            case outcome:
                outcomes.append(outcome)
    if len(undone) > 1 or _CHECK in undone:  # the rows go on in several ways: those that wait are in none of them
        released += ((chunk.kind, change) for change in chunk.rest)
        chunk = replace(chunk, rest=(), refused=None)
    again = [_undone(chunk, met, tuple(changes)) for met, changes in undone.items()]
    again += [_unless_there(chunk, verdicts)] if verdicts else []
    worst = next((met for met in undone if isinstance(met, Trouble)), None)
    rest = _rest_is_bad(chunk) if not undone and end is None else ChunkResult()
    return ChunkResult(
        outcomes=(*outcomes, *rest.outcomes), again=(*again, *rest.again), released=released, trouble=worst, end=end
    )


def _undone(chunk: Chunk, met: str, changes: tuple[Change, ...]) -> Chunk:
    """Rows of a request with an answer for each row, and trouble: it is unknown whether they were written."""
    again = replace(chunk, changes=changes)
    if met == _CHECK:
        return replace(again, step=NextStep.CHECK, tries={}, lost=False)
    return lost(again).again[0] if met is Trouble.LOST else _doubted(again).tried(met)


def _one(chunk: Chunk, change: Change, answer: Response, target: Target) -> Outcome | Change | str | AbortRun:
    """The result of a row; what is left to do; trouble or `_CHECK`, if it is not known yet."""
    if answer.status < FIRST_REFUSAL:
        return _succeeded(chunk, change, answer, target)
    refused = refusal(answer)
    met = trouble_of(chunk, target, answer, refused)
    if met is None and refused.status >= _SERVER_ERROR and not chunk.tries:
        met = Trouble.DATABASE  # an error that can be temporary: try again
    if met is not None and (met is not Trouble.DATABASE or chunk.tries.get(met, 0) < _MOST_ROLLBACKS):
        return met
    gone = chunk.kind is RequestKind.DELETE and refused.code in _GONE and refused.may_be_about(str(change.id))
    if gone or is_in_effect_already(chunk.kind, change, refused):
        return Applied(number=change.number, id=change.id, created=False)
    if conflict(refused) is Conflict.KEY_TAKEN and chunk.kind is RequestKind.UPSERT and not chunk.tries:
        return Trouble.DATABASE
    if ends_run(refused):
        error = error_of(refused, table=target.entity.logical_name, doing=chunk.kind.value)
        return error if isinstance(error, AbortRun) else AbortRun(str(refused))
    return _final(chunk, change, refused)


def _final(chunk: Chunk, change: Change, refused: Refusal) -> Failed | Change | str:
    """The result of a row that the service refuses, unless the record has to be read first."""
    failed = _failed(chunk, change, refused)
    if _may_be_in_effect(chunk, change, failed):
        return _CHECK
    if chunk.step is NextStep.CHECK and chunk.kind is RequestKind.RESTORE and refused.code in _GONE:
        return marked_read(change)  # it is not there: the next refusal tells why
    return failed


def _may_be_in_effect(chunk: Chunk, change: Change, failed: Failed) -> bool:
    """Whether a change may be refused because of what it has done itself before, or an action because of its state."""
    if chunk.step is NextStep.CLOSE:
        return not times_read(change) or (chunk.lost and times_read(change) == 1)
    guarded = chunk.kind is RequestKind.UPDATE and bool(change.version) and failed.edited
    return chunk.lost and (guarded or (chunk.kind is RequestKind.RESTORE and not times_read(change)))


def _succeeded(chunk: Chunk, change: Change, answer: Response, target: Target) -> Outcome | Change:
    if chunk.step is NextStep.CHECK:
        return read_again(change, answer, target.entity)
    return _applied(chunk.kind, change, answer, target)


def _applied(kind: RequestKind, change: Change, answer: Response, target: Target) -> Applied:
    if kind is RequestKind.CREATE:
        found = _GUID_IN_URL.search(answer.headers.get("odata-entityid") or answer.headers.get("location") or "")
        return Applied(number=change.number, id=found[1] if found else change.id, created=True)
    if kind is RequestKind.UPSERT and answer.body:
        created = answer.status == 201  # noqa: PLR2004 - Created
        record = parsed(answer.body, "an upsert").member(target.entity.primary_id).guid()
        return Applied(number=change.number, id=record, created=created)
    new = None if kind is RequestKind.UPSERT else kind in {RequestKind.ASSOCIATE, RequestKind.RESTORE}
    return Applied(number=change.number, id=change.id, created=new)


def _looked_up(chunk: Chunk, answers: Sequence[Response], target: Target) -> ChunkResult:
    """Records found by key: creates that took effect are done, the others get their id or their outcome."""
    for answer in answers:
        if answer.status >= FIRST_REFUSAL:
            return _refused(chunk, refusal(answer), answer, target, dense=False)
    if len(answers) < len(queries_of(chunk, target)):
        raise ValueError("a batch was answered in part")
    known = looked_up(answers, chunk, target)
    if known.again:
        return ChunkResult(outcomes=known.outcomes, again=known.again, released=known.released)
    rest = _rest_is_bad(replace(chunk, step=NextStep.SEND))
    return ChunkResult(outcomes=(*known.outcomes, *rest.outcomes), again=rest.again, released=known.released)
