"""Telling a record by values that the source wrote: in rows in error, error files, plans, mended rows and events."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from shared.definitions.models import KeyMatch
from shared.jobs.batch.mending.mended_file import MOST_BYTES, delimiter_of
from shared.redaction import ERASED
from shared.state.mending import REASON_COLUMN, ROW_COLUMN
from shared.transform.keys import folded

__all__ = ["SHORTEST_IN_TEXTS", "RecordValues", "all_values", "example_values", "found_in_texts", "lines_of"]

SHORTEST_IN_TEXTS: Final = 4
"""Characters of the longest value of a key that is looked for within texts: shorter ones are parts of any text."""

_DEEPEST: Final = 64  # levels of a JSON text that are looked into
_LONGEST: Final = 100  # characters of a number or a date; a longer value is neither
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d*)?")
_DATES: Final = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d")
# A letter or digit of a script that writes words apart: in others, a key may stand between letters.
_LETTER: Final = r"[^\W\u2e80-\u9fff\uac00-\ud7ff\uf900-\uffef]"
# No part of a longer word, number or address: `C-1` is not in `C-12`, `C-1-B`, `c-1@example.com` and `C-1.5`.
_NOT_BEHIND: Final = rf"(?<!{_LETTER})(?<!{_LETTER}[-@])(?<!\d\.)"
_NOT_BEFORE: Final = rf"(?!{_LETTER})(?![-@]{_LETTER})(?!\.\d)"
_HOST: Final = re.compile(r"://[^/\s]*")
_NO_VALUES: Final = frozenset({"row", "line", "rowno", ROW_COLUMN, REASON_COLUMN})


class RecordValues:
    """Tells whether values are those of a record.

    The source may write a key in another way than Dataverse stores it: with blanks around it, accents or other case,
    zeros before or after a number, or a date in another order. All of them count as the key.

    Args:
        key: The values of the record's key in their order, or its id.
        ids: The ids of the record.
    """

    def __init__(self, key: Sequence[str], ids: set[str]) -> None:
        self._parts = [_forms(part) for part in key]
        self._whole = _forms(", ".join(key))
        self._ids = ids
        self._words = [_word(part) for part in key]
        self._long = [word for word, part in zip(self._words, key, strict=True) if _is_long(part)]

    def are_in(self, values: Sequence[str]) -> bool:
        """Whether some values have the whole key, in one value or in several, or an id."""
        known = {form for value in values for form in _forms(value)}
        if not known.isdisjoint(self._whole) or not known.isdisjoint(self._ids):
            return True
        return all(not known.isdisjoint(part) for part in self._parts)

    def are_named_in(self, *texts: str) -> bool:
        """Whether texts, such as messages and parameters, name the record: by its whole key, or by an id.

        In a text the key stands as it is, as a word, in upper or lower case and with other accents; numbers also with
        zeros before and after them. A short key is not looked for: see `found_in_texts`.
        """
        known = [_plain(text) for text in texts]
        if any(record in text for record in self._ids for text in known):
            return True
        return bool(self._long) and all(any(word.search(text) for text in known) for word in self._words)

    def without(self, texts: Mapping[str, Any]) -> dict[str, Any]:
        """Values by name, with `ERASED` in the place of those that have the key or the id, if all together do."""
        if not self.are_named_in(*map(str, texts.values())):
            return dict(texts)
        return {name: ERASED if self._is_part(str(value)) else value for name, value in texts.items()}

    def _is_part(self, text: str) -> bool:
        plain = _plain(text)
        return any(word.search(plain) for word in self._long) or any(record in plain for record in self._ids)

    def are_in_plan(self, data: bytes) -> bool:
        """Whether a JSON text, a plan or an answer, has a change, an error or a value of the record, or names it.

        Its other numbers and texts, such as how many records are created, are no values of records. A text that cannot
        be read counts: nobody can see what it has.
        """
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return True
        if any(map(self._are_key, _changed_keys(value, _DEEPEST))) or any(map(self.are_in, _examples(value, _DEEPEST))):
            return True
        texts = {text.casefold() for text in _scalars(value, _DEEPEST)}
        return not self._ids.isdisjoint(texts) or any(self.are_named_in(*told) for told in _told(value, _DEEPEST))

    def _are_key(self, values: Sequence[str]) -> bool:
        """Whether some values are the key, complete: none is missing, and there is no other one."""
        if len(values) == 1 and not _forms(values[0]).isdisjoint(self._whole):
            return True
        parts = self._parts
        return len(values) == len(parts) and not any(map(frozenset.isdisjoint, map(_forms, values), parts))


def lines_of(data: bytes, *, delimiter: str = "") -> tuple[list[str], list[list[str]], list[list[str]]]:
    """A CSV file: its header, its lines, and of each line the values that a record can have; no numbers of rows.

    Args:
        data: The file.
        delimiter: Of its fields; empty for a file that a person sent, whose header tells it.
    """
    text = data.decode("utf-8-sig", "replace")
    csv.field_size_limit(MOST_BYTES)  # the usual limit is 128 KB
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or delimiter_of(text))
    header, lines = next(reader, []), list(reader)
    other = {place for place, name in enumerate(header) if name.strip().casefold() in _NO_VALUES}
    return header, lines, [[value for place, value in enumerate(line) if place not in other] for line in lines]


def all_values(data: bytes) -> list[str] | None:
    """The texts, numbers and ids in a JSON text; None for one that is no JSON."""
    try:
        return list(_scalars(json.loads(data), _DEEPEST))
    except (ValueError, RecursionError):
        return None


def example_values(example: Mapping[str, Any]) -> list[str]:
    """The values of an example of an error, without the numbers of its row and line."""
    return [text for name in example if name not in _NO_VALUES for text in _scalars(example[name], _DEEPEST)]


def _changed_keys(value: Any, depth: int) -> Iterator[list[str]]:
    """The keys of the changes in a plan, before and after each."""
    for each in _objects(value, depth):
        if "key" in each:
            yield from _keys(each)


def _examples(value: Any, depth: int) -> Iterator[list[str]]:
    """The values of the examples of the errors in a plan."""
    for each in _objects(value, depth):
        for example in each.get("examples") or ():
            if isinstance(example, Mapping):
                yield example_values(example)


def _told(value: Any, depth: int) -> Iterator[list[str]]:
    """The messages in a plan, and its parameters."""
    for each in _objects(value, depth):
        yield [message] if isinstance(message := each.get("message"), str) else []
        yield list(_scalars(each.get("parameters"), _DEEPEST))


def _objects(value: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
    each = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for inner in each if depth else ():
        yield from _objects(inner, depth - 1)


def _keys(change: Mapping[str, Any]) -> Iterator[list[str]]:
    key = change["key"]
    yield list(_scalars(key, _DEEPEST))
    columns = change.get("columns")
    if not isinstance(key, Mapping) or not isinstance(columns, list):
        return
    for side in ("before", "after"):
        sides = {each.get("column"): each.get(side) for each in columns if isinstance(each, Mapping)}
        yield list(_scalars([sides.get(name, value) for name, value in key.items()], _DEEPEST))


def _scalars(value: Any, depth: int) -> Iterator[str]:
    match value:
        case Mapping() if depth:
            for each in value.values():
                yield from _scalars(each, depth - 1)
        case list() if depth:
            for each in value:
                yield from _scalars(each, depth - 1)
        case str() | int() | float():
            yield str(value)


def found_in_texts(key: Sequence[str]) -> bool:
    """Whether a key is looked for within texts: one of its values has enough characters."""
    return any(map(_is_long, key))


def _is_long(part: str) -> bool:
    return len(part.strip()) >= SHORTEST_IN_TEXTS


def _plain(text: str) -> str:
    """A text in the form in which it is searched: hosts of addresses are left out, for they have names of companies."""
    return folded(_HOST.sub("://", text), KeyMatch.SERVICE)


def _word(part: str) -> re.Pattern[str]:
    """The pattern of a value of a key in a text as `_plain` gives it."""
    text = _plain(part.strip())
    shown = re.escape(text).replace(r"\ ", r"\s+")
    if len(text) <= _LONGEST and _NUMBER.fullmatch(text):
        digits = f"{abs(Decimal(text)).normalize():f}"
        if len(digits) >= SHORTEST_IN_TEXTS:  # with zeros, a shorter one would be any number
            shown = rf"0*{re.escape(digits)}{'0*' if '.' in digits else r'(?:[.]0+)?'}"
    return re.compile(f"{_NOT_BEHIND}{shown}{_NOT_BEFORE}")


@lru_cache(maxsize=10_000)
def _forms(text: str) -> frozenset[str]:
    """The forms of a value under which equal ones are found: as a text, as a number, and as a moment."""
    plain = text.strip()
    found = {folded(plain, KeyMatch.SERVICE), plain.casefold()}
    if len(plain) <= _LONGEST:
        if _NUMBER.fullmatch(plain):
            found.add(f"number {Decimal(plain).normalize():f}")
        found.update(f"moment {moment:%Y-%m-%dT%H:%M:%S.%f}" for moment in _moments(plain))
    return frozenset(found - {""})  # signs alone fold to nothing, as every missing value does


def _moments(text: str) -> Iterator[datetime]:
    if not text[:1].isdigit():
        return
    day, _, time = text.partition(" ")
    for form in (None, *_DATES):
        try:
            moment = datetime.fromisoformat(text) if form is None else datetime.strptime(day, form)  # noqa: DTZ007
            if form is not None and time:
                moment = datetime.fromisoformat(f"{moment:%Y-%m-%d}T{time}")
        except ValueError:
            continue
        try:
            yield (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except OverflowError:
            continue
