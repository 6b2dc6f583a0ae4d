"""The SQL of a listener over `new.*` and `old.*`: its filter and its message key.

A field has the type that JSON gives it, so the events of a batch are asked in one query for each combination of types:
one in nearly every batch. If a query fails, its events are tried one by one, to find the event that causes the error.

Numbers with a point are binary while all of an event are short: two of them are then equal only if they are the same
number. Otherwise those of the event are decimal numbers, of which no two are taken for one. The text of a number in
`message_key` is the same in both types.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

import duckdb

from shared.definitions.models import SyncDefinition
from shared.definitions.models.listener import Topic
from shared.errors import DefinitionError, Problem
from shared.events.bodies import json_text
from shared.events.records import Event, Undecodable, Unusable
from shared.workspace import Workspace, checked, json_rows

__all__ = ["SelectedEvents", "Selection", "listener_problems"]

_TEXT_OR_FIELD: Final = re.compile(
    r"""'(?:[^']|'')*'|\b(new|old)((?:\s*\.\s*(?:[A-Za-z_]\w*|"(?:[^"]|"")*"))+)""", re.IGNORECASE
)
_PART: Final = re.compile(r'[A-Za-z_]\w*|"(?:[^"]|"")*"')
_NO_TYPE: Final = "NULL"
_LARGEST: Final = 2**127  # HUGEINT
_NUMBER: Final = re.compile(r"\d[\d_.]*")
_SHORT: Final = 15  # digits: so many are the same in decimal and in binary
_LEAST: Final = -4  # power of ten of the first digit
_MOST_PLACES: Final = 18  # of a decimal number: so a whole number of 20 digits can still be compared with it
_MOST_DIGITS: Final = 38  # of a decimal number
_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedEvents:
    """The events of a batch that a listener takes; positions are indices into the batch.

    Attributes:
        wanted: The events that the filter lets through, with their message key where the listener gives one.
        filtered: How many it does not.
        failed: Events whose expressions could not be computed.
    """

    wanted: tuple[tuple[int, Event], ...]
    filtered: int
    failed: tuple[tuple[int, Undecodable], ...]


class Selection:
    """A listener's filter and message key, ready to be asked."""

    def __init__(self, topic: Topic) -> None:
        """Check the expressions.

        Raises:
            DefinitionError: One of them is not allowed or no SQL.
        """
        texts = (topic.filter, topic.message_key)
        self._paths = tuple(sorted({path for text in texts if text for path in _paths(text)}))
        self._filter = self._sql_of(topic.filter, "listener.topic.filter")
        self._key = self._sql_of(topic.message_key, "listener.topic.message_key")
        self._exact = any(sum(map(str.isdigit, number)) > _SHORT for t in texts if t for number in _NUMBER.findall(t))

    def _sql_of(self, text: str | None, origin: str) -> str | None:
        """The SQL of an expression, in which each field is a column with a name of its own.

        As members of an object, `new.a` and `new.a.b`, or `new.A` and `new.a`, would get in the way of each other.
        """
        if not text:
            return None
        checked(text, names=[".".join(path) for path in self._paths], origin=origin)
        columns = {path: _column(number) for number, path in enumerate(self._paths)}
        renamed = _TEXT_OR_FIELD.sub(lambda found: columns[_path(found)] if found[1] else found[0], text)
        return checked(renamed, names=[*columns.values()], origin=origin)

    def select(self, events: Sequence[Event], workspace: Workspace) -> SelectedEvents:
        """Ask the expressions for a batch."""
        if self._filter is None and self._key is None:
            return SelectedEvents(wanted=tuple(enumerate(events)), filtered=0, failed=())
        alike: dict[tuple[str, ...], dict[int, str]] = defaultdict(dict)
        answers: dict[int, tuple[bool | None, str | None] | Undecodable] = {}
        for index, event in enumerate(events):
            values = self._values(event)
            row = _document(index, values)
            if isinstance(row, Unusable):
                answers[index] = Undecodable(
                    reason=f"the listener's filter or message key uses a value that cannot be used: {row.reason}"
                )
            else:
                alike[tuple(kind for kind, _ in values)][index] = row
        for types, rows in alike.items():
            answers |= self._asked(types, rows, workspace)
        return _sorted_out(events, answers)

    def _values(self, event: Event) -> list[tuple[str, Any]]:
        """What the expressions read of an event: DuckDB types and values."""
        values = [_at(event, path) for path in self._paths]
        exact = self._exact or any(isinstance(value, Decimal) and not _is_short(value) for value in values)
        return [_typed(value, exact=exact) for value in values]

    def _asked(
        self, types: Sequence[str], rows: Mapping[int, str], workspace: Workspace
    ) -> dict[int, tuple[bool | None, str | None] | Undecodable]:
        try:
            found = workspace.query(self._sql(types), [f"[{','.join(rows.values())}]"])
        except duckdb.Error:
            if len(rows) == 1:
                reason = "the listener's filter or message key cannot be computed: a value does not fit the expression"
                return {index: Undecodable(reason=reason) for index in rows}
            return {
                index: answer
                for one, row in rows.items()
                for index, answer in self._asked(types, {one: row}, workspace).items()
            }
        return {index: (passes, key) for index, passes, key in found}

    def _sql(self, types: Sequence[str]) -> str:
        # JSON is handed over as a text: read as a value, its numbers would be binary fractions.
        fields = {f"f{n}": "VARCHAR" if kind == "JSON" else kind for n, kind in enumerate(types) if kind != _NO_TYPE}
        values = (f"CAST(r.f{n} AS {kind})" if kind != _NO_TYPE else kind for n, kind in enumerate(types))
        columns = "".join(f", {value} AS {_column(number)}" for number, value in enumerate(values))
        return (
            f"SELECT n, CAST({self._filter or 'true'} AS BOOLEAN), CAST({self._key or 'NULL'} AS VARCHAR) "
            f"FROM (SELECT r.n{columns} FROM {json_rows({'n': 'BIGINT'} | fields)})"
        )


def listener_problems(definition: SyncDefinition) -> tuple[Problem, ...]:
    """What is wrong with the expressions of a definition's listener; empty where it has none."""
    try:
        Selection(definition.listener.topic if definition.listener else Topic())
    except DefinitionError as error:
        return error.problems
    return ()


def _sorted_out(
    events: Sequence[Event], answers: Mapping[int, tuple[bool | None, str | None] | Undecodable]
) -> SelectedEvents:
    wanted: list[tuple[int, Event]] = []
    failed: list[tuple[int, Undecodable]] = []
    filtered = 0
    for index, event in enumerate(events):
        match answers[index]:
            case Undecodable(reason=reason):
                failed.append((index, Undecodable(reason=reason, item=event.position.item)))
            case True, key:
                wanted.append((index, replace(event, key=key or "")))
            case _:
                filtered += 1
    return SelectedEvents(wanted=tuple(wanted), filtered=filtered, failed=tuple(failed))


def _paths(expression: str) -> Iterable[_Path]:
    """The fields that an expression reads, spelled as in the expression."""
    return (_path(found) for found in _TEXT_OR_FIELD.finditer(expression) if found[1])


def _path(found: re.Match[str]) -> _Path:
    names = (part.strip('"').replace('""', '"') for part in _PART.findall(found[2]))
    return (found[1].lower(), *names)


def _column(number: int) -> str:
    return f"_field_{number}"


def _at(event: Event, path: _Path) -> Any:
    value: Any = event.fields if path[0] == "new" else event.old
    for name in path[1:]:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _typed(value: Any, *, exact: bool) -> tuple[str, Any]:
    """A field as expressions see it: its DuckDB type, and its value or why there is none."""
    match value:
        case None:  # it fits every expression: nothing is neither text nor number
            return _NO_TYPE, None
        case bool():
            return "BOOLEAN", value
        case int() if abs(value) < _LARGEST:
            return "HUGEINT", value
        case Decimal():
            return _exactly(value) if exact else ("DOUBLE", value)
        case dict() | list():
            return "JSON", json_text(value)
        case _:
            return "VARCHAR", value


def _is_short(number: Decimal) -> bool:
    """Whether a number is the same in decimal and in binary, and no other one is the same in binary."""
    size = number.copy_abs()
    usual = not number or _LEAST <= size.adjusted() < _SHORT  # beyond, the two types also have other texts
    return usual and Decimal(repr(float(number))) == number


def _exactly(number: Decimal) -> tuple[str, Any]:
    """A number as a decimal number; as a binary one only where it does not fit, and as text where that is not equal."""
    whole, _, places = format(number.copy_abs(), "f").partition(".")
    places = places.rstrip("0") or "0"
    if len(places) <= _MOST_PLACES and len(whole) + len(places) <= _MOST_DIGITS:
        return f"DECIMAL({_MOST_DIGITS},{len(places)})", number
    if places != "0" or Decimal(repr(float(number))) == number:
        return "DOUBLE", number
    return ("HUGEINT" if abs(int(number)) < _LARGEST else "VARCHAR"), int(number)


def _document(index: int, values: Sequence[tuple[str, Any]]) -> str | Unusable:
    return json_text({"n": index} | {f"f{n}": value for n, (_, value) in enumerate(values) if value is not None})
