"""From the answers of look-ups to the ids of the changes' records. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from shared.dataverse.http.answers import parsed
from shared.dataverse.http.keys import column_in_url, key_text
from shared.dataverse.write.chunks import Chunk, Target, lookup_key
from shared.definitions.models import KeyMatch
from shared.http.transport import Response

__all__ = ["found_records"]


def found_records(answers: Sequence[Response], chunk: Chunk, target: Target) -> tuple[Mapping[int, str], bool]:
    """Change -> id of the oldest record that has its key; and whether there are strays.

    Strays are records whose key was not asked for: the service treats it as equal to a key that was asked for, and
    does not say to which one. If the sync compares keys more strictly than the service, its comparison decides, and
    there are no strays.

    Raises:
        UnexpectedAnswer: An answer is not one that Dataverse gives.
    """
    pages = [parsed(answer.body, "a look-up", exact=True).rows() for answer in answers]
    record = target.entity.primary_id
    if chunk.apart:
        asked = zip(chunk.changes, pages, strict=True)
        return {change.number: records[0].member(record).guid() for change, records in asked if records}, False
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
    return {number: found[text] for number, text in keys.items() if text in found}, strays


def _values(record: Mapping[str, Any], names: Sequence[str], target: Target) -> Mapping[str, Any]:
    return {name: record.get(column_in_url(target.entity.attributes[name])) for name in names}


def _key_texts(values: Mapping[str, Any], target: Target) -> tuple[str, ...]:
    names = sorted(values)
    return (*names, *key_text(values, names, target.connection.key_match))
