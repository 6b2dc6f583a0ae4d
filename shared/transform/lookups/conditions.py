"""Filters as SQL, for records as the run leaves them: of lookups in the table that is synced, and of new records.

The service knows a record as it was before the run, so it cannot be asked. Such a filter may contain comparisons of a
column with a value, joined with `and`, `or`, `not` and brackets. Nulls compare as in the service: a comparison with an
empty column is false, except for `ne`, which is true; `not` turns the operator round.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from shared.definitions.models import KeyMatch, ParameterValue
from shared.definitions.parameters import compared_text
from shared.entities import AttributeMetadata, AttributeType, DateBehavior, EntityMetadata
from shared.odata import column_of_member
from shared.transform.keys import normalise_key
from shared.workspace import literal

__all__ = ["Held", "UnclearFilterError", "condition_columns", "condition_sql", "condition_values", "possible_sql"]


class Held(NamedTuple):
    """What is known of a column of a record.

    Attributes:
        value: SQL of what the record holds; of a lookup, the id.
        known: SQL of the condition under which it holds that.
    """

    attribute: AttributeMetadata
    value: str
    known: str


class UnclearFilterError(ValueError):
    """A filter has a part that cannot be worked out here; the message says which parts can."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column compared with a value.

    Attributes:
        column: Logical name.
        operator: `eq`, `ne`, `gt`, `ge`, `lt` or `le`.
        value: As the filter has it: `null`, `'text'`, `12`, `true`, an id, a date, or `@parameter`.
    """

    column: str
    operator: str
    value: str

    @property
    def parameter(self) -> str:
        """The parameter that is the value; empty where it is none."""
        return self.value[1:] if self.value.startswith("@") else ""

    def negated(self) -> Comparison:
        """The same behind `not`."""
        return Comparison(self.column, _NEGATED[self.operator], self.value)


@dataclass(frozen=True, slots=True)
class _Joined:
    """Several parts, joined with AND or OR."""

    word: str
    parts: tuple[_Part, ...]

    def negated(self) -> _Joined:
        return _Joined("OR" if self.word == "AND" else "AND", tuple(part.negated() for part in self.parts))


_Part = Comparison | _Joined
_ID: Final = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_TOKEN: Final = re.compile(rf"{_ID}|'(?:[^']|'')*'|@?[A-Za-z_]\w*|-?[0-9][\w.:+-]*|[^\s]", re.ASCII)
_VALUE: Final = re.compile(rf"{_ID}|'(?:[^']|'')*'|@\w+|-?[0-9][\w.:+-]*|null|true|false", re.ASCII | re.IGNORECASE)
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")
_NEGATED: Final = {"eq": "ne", "ne": "eq", "gt": "le", "le": "gt", "ge": "lt", "lt": "ge"}
_TURNED: Final = {"eq": "eq", "ne": "ne", "gt": "lt", "lt": "gt", "ge": "le", "le": "ge"}
_SIGNS: Final = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_DEEPEST: Final = 50  # brackets in brackets
_SAID: Final = (
    "the filter of a lookup in the table that is synced can compare columns with values (eq, ne, gt, ge, lt, le), "
    "joined with and, or, not and brackets"
)

_TEXTS: Final = frozenset({AttributeType.STRING, AttributeType.MEMO})
_NUMBERS: Final = frozenset(
    {
        AttributeType.INTEGER, AttributeType.BIGINT, AttributeType.DECIMAL, AttributeType.MONEY, AttributeType.DOUBLE,
        AttributeType.PICKLIST, AttributeType.STATE, AttributeType.STATUS,
    }
)  # fmt: skip
_IDS: Final = frozenset(
    {AttributeType.LOOKUP, AttributeType.CUSTOMER, AttributeType.OWNER, AttributeType.UNIQUEIDENTIFIER}
)
_COMPARED: Final = _TEXTS | _NUMBERS | _IDS | {AttributeType.BOOLEAN, AttributeType.DATETIME}


def condition_columns(condition: str) -> tuple[str, ...]:
    """The columns that a filter names, each once; empty where it cannot be read."""
    try:
        return tuple(dict.fromkeys(each.column for each in _comparisons(_read(condition))))
    except UnclearFilterError:
        return ()


def condition_sql(
    condition: str, entity: EntityMetadata, value: Callable[[AttributeMetadata], str], match: KeyMatch
) -> str:
    """The SQL of a filter, true or false for each record.

    Args:
        condition: The OData filter; its parameters become variables of the workspace, see `condition_values`.
        entity: The table.
        value: Gives the SQL of what a record holds in a column; of a lookup, its id.
        match: How the sync compares keys: it tells whether the service regards accents.

    Raises:
        UnclearFilterError: It has a part that cannot be worked out here.
    """
    return _sql(_read(condition), entity, value, match)


def possible_sql(condition: str, held: Mapping[str, Held], match: KeyMatch) -> str:
    """The SQL of whether a record may pass a filter, as far as that is known; `true` where nothing of it is.

    Args:
        condition: The OData filter; its parameters become variables of the workspace, see `condition_values`.
        held: By column. What is compared with another column is not known.
        match: How the sync compares keys: it tells whether the service regards accents.
    """
    try:
        return _possible(_read(condition), held, match)
    except UnclearFilterError:
        return "true"


def condition_values(
    condition: str, entity: EntityMetadata, values: Mapping[str, ParameterValue]
) -> dict[str, str | None]:
    """The variables that the SQL of a filter reads: each parameter as the service gets it for the column beside it.

    Empty for a filter that cannot be worked out here.

    Args:
        condition: The OData filter.
        entity: The table.
        values: The parameters of the run.

    Raises:
        UserError: A parameter has no value, or the value does not fit the column.
    """
    try:
        compared = [each for each in _comparisons(_read(condition)) if each.parameter]
    except UnclearFilterError:
        return {}
    attributes = ((each, entity.attributes.get(each.column)) for each in compared)
    return {
        _variable(each.parameter, attribute): compared_text(each.parameter, values, attribute)
        for each, attribute in attributes
        if attribute is not None and attribute.type in _COMPARED
    }


def _variable(parameter: str, attribute: AttributeMetadata) -> str:
    """The name by which a workspace knows the value of a parameter as one of a column: no parameter has an `@`."""
    return f"{parameter}@{attribute.name}"


def _possible(part: _Part, held: Mapping[str, Held], match: KeyMatch) -> str:
    """A part that is not known may be true: behind `not` there are only turned operators."""
    if isinstance(part, _Joined):
        parts = [_possible(each, held, match) for each in part.parts]
        if part.word == "OR" and "true" in parts:
            return "true"
        parts = [each for each in parts if each != "true"]
        return f"({f' {part.word} '.join(parts)})" if parts else "true"
    if part.column not in held:
        return "true"
    attribute, value, known = held[part.column]
    try:
        passes = _compared(part, attribute, value, match)
    except UnclearFilterError:
        return "true"
    return passes if known == "true" else f"({passes} OR NOT ({known}))"


def _comparisons(part: _Part) -> Iterator[Comparison]:
    if isinstance(part, Comparison):
        yield part
    else:
        for each in part.parts:
            yield from _comparisons(each)


def _read(condition: str) -> _Part:
    reading = _Reading(_TOKEN.findall(condition))
    part = reading.alternatives(0)
    if reading.next():
        raise UnclearFilterError(_SAID)
    return part


class _Reading:
    """Reads a filter from left to right."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def next(self) -> str:
        """The next word; empty at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def alternatives(self, depth: int) -> _Part:
        """Conditions with `or` between them."""
        parts = [self._all(depth)]
        while self._takes("or"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else _Joined("OR", tuple(parts))

    def _all(self, depth: int) -> _Part:
        parts = [self._one(depth)]
        while self._takes("and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else _Joined("AND", tuple(parts))

    def _one(self, depth: int) -> _Part:
        if depth > _DEEPEST:
            raise UnclearFilterError(_SAID)
        if self._takes("not"):
            return self._one(depth + 1).negated()
        if not self._takes("("):
            return self._comparison()
        part = self.alternatives(depth + 1)
        if not self._takes(")"):
            raise UnclearFilterError(_SAID)
        return part

    def _comparison(self) -> Comparison:
        left, operator, right = self._taken(), self._taken().lower(), self._taken()
        if operator not in _NEGATED:
            raise UnclearFilterError(_SAID)
        if _VALUE.fullmatch(left):
            left, operator, right = right, _TURNED[operator], left
        if not _NAME.fullmatch(left) or not _VALUE.fullmatch(right):
            raise UnclearFilterError(_SAID)
        return Comparison(column_of_member(left), operator, right)

    def _taken(self) -> str:
        found = self.next()
        self._at += 1
        return found

    def _takes(self, word: str) -> bool:
        found = self.next().lower() == word
        self._at += found
        return found


def _sql(part: _Part, entity: EntityMetadata, value: Callable[[AttributeMetadata], str], match: KeyMatch) -> str:
    if isinstance(part, _Joined):
        return "(" + f" {part.word} ".join(_sql(each, entity, value, match) for each in part.parts) + ")"
    attribute = entity.attributes.get(part.column)
    if attribute is None:
        raise UnclearFilterError(f"{entity.logical_name} has no column {part.column}")
    return _compared(part, attribute, value(attribute), match)


def _compared(part: Comparison, attribute: AttributeMetadata, held: str, match: KeyMatch) -> str:
    same = part.operator in {"eq", "ne"}
    empty = f"({held}) IS {'NOT ' if part.operator == 'ne' else ''}NULL"
    if part.value.lower() == "null":
        if not same:
            raise UnclearFilterError(f"{part.column} can be compared with null by eq and ne alone")
        return empty
    if attribute.type not in _COMPARED:
        raise UnclearFilterError(f"{part.column} is of type {attribute.type}, which such a filter cannot compare")
    wanted = _typed(part, attribute)
    if attribute.type in _TEXTS:
        held, wanted = (normalise_key(attribute, text, _of_service(match)) for text in (held, wanted))
    if same:
        equal = f"({held} = {wanted}) IS {'NOT ' if part.operator == 'ne' else ''}TRUE"
        if not part.parameter:
            return equal
        return f"CASE WHEN {_given(part, attribute)} IS NULL THEN {empty} ELSE {equal} END"
    if attribute.type not in _NUMBERS | {AttributeType.DATETIME}:
        raise UnclearFilterError(f"{part.column} is of type {attribute.type}: its filter can have eq and ne alone")
    return f"({held} {_SIGNS[part.operator]} {wanted}) IS TRUE"


def _of_service(match: KeyMatch) -> KeyMatch:
    """How the service compares texts: without case also where the sync compares its keys exactly."""
    return KeyMatch.SERVICE if match is KeyMatch.EXACT else match


def _typed(part: Comparison, attribute: AttributeMetadata) -> str:
    """SQL of a value in the type of the column that it is compared with."""
    kind, value = attribute.type, part.value
    if part.parameter:
        return _parameter(_given(part, attribute), attribute)
    if kind in _TEXTS and value.startswith("'"):
        return literal(value[1:-1].replace("''", "'"))
    if kind in _NUMBERS and _NUMBER.fullmatch(value):
        return value
    if kind is AttributeType.BOOLEAN and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    if kind in _IDS and re.fullmatch(_ID, value):
        return f"CAST({literal(value)} AS UUID)"
    if kind is AttributeType.DATETIME and (_DAY.fullmatch(value) or _MOMENT.fullmatch(value)):
        return f"TRY_CAST({literal(value.removesuffix('Z'))} AS {_moment(attribute)})"
    raise UnclearFilterError(f"{attribute.name} is of type {kind}: the filter compares it with another kind of value")


_WORDS: Final[Mapping[str, str]] = {"true": "true", "false": "false", "1": "true", "0": "false"}


def _moment(attribute: AttributeMetadata) -> str:
    return "DATE" if attribute.date_behavior is DateBehavior.DATE_ONLY else "TIMESTAMP"


def _given(part: Comparison, attribute: AttributeMetadata) -> str:
    """SQL of the text that `condition_values` gives for a parameter; NULL for null."""
    return f"CAST(getvariable('p_{_variable(part.parameter, attribute)}') AS VARCHAR)"


def _parameter(text: str, attribute: AttributeMetadata) -> str:
    """SQL of that text as a value of the column's type."""
    kind = attribute.type
    if kind in _TEXTS:
        return text
    if kind is AttributeType.BOOLEAN:
        return f"TRY_CAST({text} AS BOOLEAN)"
    if kind in _NUMBERS:
        return f"TRY_CAST({text} AS {'DOUBLE' if kind is AttributeType.DOUBLE else 'DECIMAL(38, 10)'})"
    if kind is AttributeType.DATETIME:
        return f"TRY_CAST(rtrim({text}, 'Z') AS {_moment(attribute)})"
    return f"TRY_CAST({text} AS UUID)"
