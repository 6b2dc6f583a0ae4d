"""From the answers of look-ups to the changes' records: their ids, and what is left to do for them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from shared.dataverse.changes import (
    OTHER_VERSION,
    PRECONDITION_FAILED,
    Applied,
    Change,
    ChangeAction,
    Failed,
    Outcome,
)
from shared.dataverse.http.answers import Answer, UnexpectedAnswer, parsed
from shared.dataverse.http.keys import column_in_url, key_text
from shared.dataverse.http.sent_values import has_values
from shared.dataverse.write.chunks import Chunk, Target, lookup_key
from shared.dataverse.write.closing import checked, closes
from shared.dataverse.write.controller import RequestKind
from shared.dataverse.write.second_steps import as_new
from shared.definitions.models import KeyMatch
from shared.entities import EntityMetadata
from shared.http.transport import Response

__all__ = ["LookedUp", "looked_up", "read_again"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """What a look-up means for the changes of a chunk.

    Attributes:
        outcomes: Changes that are settled.
        again: Chunks for changes that are not: their look-up goes on, or their records are not there.
        released: Changes whose record is known now, or that it has to be made: they are sent with others.
    """

    outcomes: Sequence[Outcome]
    again: Sequence[Chunk]
    released: Sequence[tuple[RequestKind, Change]]


def looked_up(answers: Sequence[Response], chunk: Chunk, target: Target) -> LookedUp:
    """What the answers to a look-up mean: creates that took effect are done, the others get their id or their outcome.

    Raises:
        UnexpectedAnswer: An answer is not one that Dataverse gives.
    """
    found, onward = _found_records(answers, chunk, target)
    outcomes: list[Outcome] = []
    missing: list[Change] = []
    doubtful: list[Change] = []
    released: list[tuple[RequestKind, Change]] = []
    for change in chunk.changes:
        record = found.get(change.number)
        if record is None and onward is not None:
            doubtful.append(change)
        elif chunk.kind is not RequestKind.CREATE:
            _addressed(change, record, outcomes, released)
        elif record is not None:
            outcomes.append(Applied(number=change.number, id=record, created=True))
        elif change.number in chunk.verdicts:
            outcomes.append(chunk.verdicts[change.number])
        else:
            missing.append(change)
    again = [replace(onward, changes=tuple(doubtful))] if onward is not None and doubtful else []
    if missing:
        again.append(replace(chunk, changes=tuple(missing), step=chunk.after, links=()))
    return LookedUp(outcomes=outcomes, again=again, released=released)


def _found_records(answers: Sequence[Response], chunk: Chunk, target: Target) -> tuple[Mapping[int, str], Chunk | None]:
    """Change -> id of the oldest record that has its key; and how the look-up of the other changes goes on.

    It goes on where there are more records than a page holds, and where there are strays: records whose key was not
    asked for. The service treats it as equal to a key that was asked for, and does not say to which one. Then each key
    is asked for apart. If the sync compares keys more strictly than the service, its comparison decides: there are no
    strays, and only the next pages show whether a record has the key.

    Returns:
        The ids, and the chunk to send for the changes that have none; None where they have no record.

    Raises:
        UnexpectedAnswer: An answer is not one that Dataverse gives.
    """
    envelopes = [parsed(answer.body, "a look-up", exact=True) for answer in answers]
    pages = [envelope.rows() for envelope in envelopes]
    record = target.entity.primary_id
    if chunk.apart:
        asked = zip(chunk.changes, pages, strict=True)
        return {change.number: records[0].member(record).guid() for change, records in asked if records}, None
    keys = {
        change.number: _key_texts(lookup_key(chunk.kind, change, target.entity), target) for change in chunk.changes
    }
    # Nearly always one set of columns: only where some of the creates bring their ids there are two.
    columns = {tuple(lookup_key(chunk.kind, change, target.entity)): None for change in chunk.changes}
    found: dict[tuple[str, ...], str] = {}
    strays = False
    wanted = frozenset(keys.values())
    lenient = target.connection.key_match is KeyMatch.SERVICE
    for each in chain.from_iterable(pages):
        texts = [_key_texts(_values(each.members(), names, target), target) for names in columns]
        strays |= lenient and wanted.isdisjoint(texts)
        for text in texts:
            found.setdefault(text, each.member(record).guid())
    links = _next_links(envelopes, chunk)
    onward = replace(chunk, apart=True) if lenient else replace(chunk, links=links)
    return {number: found[text] for number, text in keys.items() if text in found}, onward if strays or links else None


def _next_links(envelopes: Sequence[Answer], chunk: Chunk) -> tuple[str, ...]:
    """The next pages of those answers that have one, as paths of the host."""
    links = [urlsplit(link) for envelope in envelopes if (link := envelope.link("@odata.nextLink")) is not None]
    paths = tuple(f"{link.path}?{link.query}" for link in links)
    if not set(paths).isdisjoint(chunk.links):
        raise UnexpectedAnswer("the pages of a look-up repeat: the service returned a next page that was read already")
    return paths


def _values(record: Mapping[str, Any], names: Sequence[str], target: Target) -> Mapping[str, Any]:
    return {name: record.get(column_in_url(target.entity.attributes[name])) for name in names}


def _key_texts(values: Mapping[str, Any], target: Target) -> tuple[str, ...]:
    names = sorted(values)
    return (*names, *key_text(values, names, target.connection.key_match))


def _addressed(
    change: Change, record: str | None, outcomes: list[Outcome], released: list[tuple[RequestKind, Change]]
) -> None:
    """A change, no create, whose record was looked up: it gets the id, or the outcome of a missing record."""
    kinds = {ChangeAction.DELETE: RequestKind.DELETE}
    if record is not None:
        kind = kinds.get(change.action, RequestKind.UPDATE)
        released.append((kind, replace(change, id=record, on_create="")))
    elif change.action is ChangeAction.UPSERT:
        released.append((RequestKind.CREATE, as_new(change)))
    elif change.action is ChangeAction.DELETE:
        outcomes.append(Applied(number=change.number, created=False))
    else:
        message = "A record with the specified key values does not exist"
        outcomes.append(Failed(number=change.number, status=404, code="0x80060891", message=message))


def read_again(change: Change, answer: Response, entity: EntityMetadata) -> Applied | Failed | Change:
    """What is left to do for a change that was refused and may be in effect: its record was read, and is there.

    A restored record is one that is there. An update is in effect if the record has its values; whoever has written
    them, they are not an edit. If it has others, somebody has changed the record before the update or after it.

    Raises:
        UnexpectedAnswer: The answer is not one that Dataverse gives.
    """
    if closes(change.payload):
        return checked(change, answer, entity)
    restored = change.action is ChangeAction.RESTORE
    if restored or has_values(parsed(answer.body, "a look-up", exact=True), change.payload, entity):
        return Applied(number=change.number, id=change.id, created=restored)
    return Failed(
        number=change.number,
        status=PRECONDITION_FAILED,
        code=OTHER_VERSION,
        message="The version of the existing record doesn't match the RowVersion property provided.",
        sent=True,
    )
