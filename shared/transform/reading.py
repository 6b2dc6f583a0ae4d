"""Columns that are read: from the text of a source to a typed value, layer by layer.

Each step of a value is a separate layer: an expression that is written twice is planned and computed twice, and with
hundreds of columns the planning takes longer than the work. The layers of all columns are made side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Final

from shared.definitions.models import Column, ColumnType, TypedColumn
from shared.definitions.models.notation import EXCEL, POSIX_PIVOT
from shared.errors import DefinitionError, Problem
from shared.transform.notation.blanks import trimmed
from shared.transform.notation.dates import (
    DateFormat,
    expected_date,
    has_offset,
    in_calendar,
    iso_timestamp,
    read_format,
)
from shared.transform.notation.documents import json_text
from shared.transform.notation.faults import fault_message, is_fault
from shared.transform.notation.fractions import cut_moment
from shared.transform.notation.moments import ZonedClock, excel_timestamp
from shared.transform.notation.numbers import (
    NUMBER,
    has_notation,
    number,
    number_example,
    plain_number,
    untrimmed_number,
)
from shared.transform.notation.words import boolean, truth_words, without_words
from shared.transform.rules import ErrorType
from shared.workspace import literal, quoted

__all__ = [
    "Misfit",
    "Reading",
    "cleaned",
    "is_typed",
    "read_columns",
    "reading",
    "text_name",
    "written",
]

Items = tuple[tuple[str, str], ...]
"""(SQL, name) of columns; a name that is there already gets a new value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """A way in which a text is not a value of its column.

    Attributes:
        broken: SQL condition over the columns of a reading.
        message: What was expected; never what was found.
    """

    error: ErrorType
    broken: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the text of a column becomes its value.

    Attributes:
        layers: The columns of each layer, over the text; one of the last ones has the column's label.
        misfits: What can be wrong with the text.
        attempt: SQL over the text as the source has it. Where it gives a value, the text is not cleaned: that takes
            longer than most readings. Empty for columns whose text is always cleaned.
    """

    layers: tuple[Items, ...]
    misfits: tuple[Misfit, ...] = ()
    attempt: str = ""


def text_name(column: Column) -> str:
    """The name under which the text of a column is kept."""
    return quoted(f"text:{column.label}")


def written(column: Column) -> str:
    """The name in `shaped` under which a number that is read keeps every digit: its text in plain notation."""
    return quoted(f"number:{column.label}") if has_notation(column) else text_name(column)


def reading(column: Column, null_values: Sequence[str] = ()) -> Reading:
    """How the text of a column becomes its value; a cell with an error is told as that, whatever the column's type is.

    Args:
        column: A column that is read.
        null_values: Texts that mean no value in columns without a list of their own.

    Raises:
        DefinitionError: A format of its dates cannot be read; the path starts at the column.
    """
    how, marks = _reading(column, null_values), _faults(column)
    if not marks:
        return how
    text = text_name(column)
    faults = (
        Misfit(
            error=ErrorType.INVALID_FORMAT,
            broken=f"{text} IS NOT DISTINCT FROM {literal(mark)}",
            message=fault_message(mark),
        )
        for mark in marks
    )
    others = (replace(each, broken=f"({each.broken}) AND NOT {is_fault(text, marks)}") for each in how.misfits)
    return replace(how, misfits=(*faults, *others))


def _reading(column: Column, null_values: Sequence[str]) -> Reading:
    text, value = text_name(column), quoted(column.label)
    if is_typed(column, null_values):
        message = f"this {column.type} of the source is out of range"
        layers: tuple[Items, ...] = (((in_calendar(value), value),),) if column.type is ColumnType.DATE else ()
        return Reading(layers=layers, misfits=(_misfit(column, value, ErrorType.INVALID_FORMAT, message),))
    match column.type:
        case ColumnType.TEXT:
            return _text_reading(column)
        case ColumnType.NUMBER:
            return _direct_number(column) if _is_direct(column, null_values) else _number(column)
        case ColumnType.BOOL:
            words = truth_words(column)
            message = f"not one of {', '.join(words)}"
            return Reading(
                layers=(((boolean(text, words=words), value),),),
                misfits=(_misfit(column, value, ErrorType.INVALID_FORMAT, message),),
            )
        case ColumnType.DATE:
            return _date(column)
        case ColumnType.JSON:
            message = 'not JSON; write a document such as {"a": 1}, and text in quotes'
            return Reading(
                layers=(((json_text(text), value),),),
                misfits=(_misfit(column, value, ErrorType.INVALID_FORMAT, message),),
            )


def _text_reading(column: Column) -> Reading:
    text, marks = text_name(column), _faults(column)
    value = f"CASE WHEN NOT {is_fault(text, marks)} THEN {text} END" if marks else text
    return Reading(layers=(((value, quoted(column.label)),),))


def _faults(column: Column) -> tuple[str, ...]:
    """The marks of errors that values of the column have."""
    return column.faults if isinstance(column, TypedColumn) else ()


def _misfit(column: Column, value: str, error: ErrorType, message: str) -> Misfit:
    return Misfit(error=error, broken=f"{text_name(column)} IS NOT NULL AND {value} IS NULL", message=message)


def _number(column: Column) -> Reading:
    value, plain = quoted(column.label), written(column)
    read: Items = ((number(plain), value),)
    if not has_notation(column):
        message = "not a number; it must be written plainly, as in 1250.50, -3 or 1e6"
        return Reading(layers=(read,), misfits=(_misfit(column, value, ErrorType.INVALID_FORMAT, message),))
    message = f"not a number; it must be written plainly, as in {number_example(column)}"
    if column.thousands_separator:
        message += ", with three digits in each group after the first"
    return Reading(
        layers=(((plain_number(column, text_name(column)), plain),), read),
        misfits=(_misfit(column, value, ErrorType.INVALID_FORMAT, message),),
    )


def _is_direct(column: Column, null_values: Sequence[str]) -> bool:
    """Whether the text of a number has no other meaning than the number, so that it need not be cleaned first."""
    kept = column.replace or column.max_length is not None or has_notation(column)
    return not kept and not _null_words(column, null_values) and _source_text(column) == quoted(column.name)


def _direct_number(column: Column) -> Reading:
    text, attempted = text_name(column), _attempted(column)
    read = _number(column)
    value = f"coalesce({attempted}, {number(text)})"
    return replace(read, layers=(((value, quoted(column.label)),),), attempt=untrimmed_number(quoted(column.name)))


def _attempted(column: Column) -> str:
    return quoted(f"attempt:{column.label}")


def _date(column: Column) -> Reading:
    formats = _formats(column)
    zoned = column.time_zone is not None and not (formats and all(each and each.has_offset for each in formats))
    clock = ZonedClock(
        label=column.label,
        zone=column.time_zone or "",
        policy=column.on_ambiguous_time,
        local=quoted(f"local:{column.label}"),
    )
    value = clock.read if zoned else quoted(column.label)
    layers, local = _formatted(column, formats, value) if formats else _iso(column, value)
    error = ErrorType.INPUT_FORMAT if column.input_formats else ErrorType.INVALID_FORMAT
    misfits = [_misfit(column, value, error, expected_date(column.input_formats))]
    if zoned:
        layers = (*layers[:-1], (*layers[-1], (local, clock.local)), *clock.layers())
        misfits += [
            Misfit(error=ErrorType.INPUT_FORMAT, broken=broken, message=said) for broken, said in clock.faults()
        ]
    return Reading(layers=layers, misfits=tuple(misfits))


def _iso(column: Column, value: str) -> tuple[tuple[Items, ...], str]:
    """The layers that read a date in ISO form, and the condition that it names no offset."""
    text = text_name(column)
    return (((iso_timestamp(text), value),), ((in_calendar(value), value),)), f"NOT {has_offset(text)}"


def _formats(column: Column) -> tuple[DateFormat | None, ...]:
    """The formats of a column's dates, that of the source's own ones first; None for Excel's serial numbers."""
    own = column.moment_format if isinstance(column, TypedColumn) else ""
    formats: list[DateFormat | None] = [read_format(own)] if own else []
    problems: list[Problem] = []
    for place, each in enumerate(column.input_formats):
        try:
            formats.append(None if each == EXCEL else read_format(each))
        except ValueError as error:
            path = "input_format" if isinstance(column.input_format, str) else f"input_format[{place}]"
            problems.append(Problem(message=str(error), path=path))
    if not problems and column.pivot is not None and not any(each and each.has_short_year for each in formats):
        message = "a pivot is for two-digit years, and no input_format of this column has one (yy or %y)"
        problems.append(Problem(message=message, path="pivot"))
    if problems:
        raise DefinitionError(problems)
    return tuple(formats)


def _formatted(column: Column, formats: Sequence[DateFormat | None], value: str) -> tuple[tuple[Items, ...], str]:
    """The layers that read a date in the first format that fits, and the condition that this one has no offset."""
    text = text_name(column)
    names = [quoted(f"format{place}:{column.label}") for place, _ in enumerate(formats)]
    read = tuple(
        (number(text) if each is None else each.timestamp(text), name)
        for each, name in zip(formats, names, strict=True)
    )
    pivot = POSIX_PIVOT if column.pivot is None else column.pivot
    moments = [
        excel_timestamp(name) if each is None else each.pivoted(name, text, pivot)
        for each, name in zip(formats, names, strict=True)
    ]
    mixed = len({bool(each and each.has_offset) for each in formats}) > 1
    branches = (
        f"WHEN {name} IS NOT NULL THEN {literal(not (each and each.has_offset))}"
        for each, name in zip(formats, names, strict=True)
    )
    local = f"CASE {' '.join(branches)} END" if mixed else "true"
    if mixed or moments != names:
        return (read, ((_first(moments), value),)), local
    return (((_first([sql for sql, _ in read]), value),),), local


def _first(values: Sequence[str]) -> str:
    return f"coalesce({', '.join(values)})" if len(values) > 1 else values[0]


def read_columns(columns: Sequence[Column], readings: Sequence[Reading], null_values: Sequence[str]) -> str:
    """SQL for the text and the value of each column over `source_raw`.

    Args:
        columns: The columns that are read.
        readings: What `reading` gives for each of them.
        null_values: Texts that mean no value in columns without a list of their own.
    """
    nothing = [_null_words(column, null_values) for column in columns]
    first = (
        quoted(column.name) if how.attempt else _first_text(column, words)
        for column, how, words in zip(columns, readings, nothing, strict=True)
    )
    texts = "".join(f", {text} AS {text_name(column)}" for column, text in zip(columns, first, strict=True))
    attempts = [(how.attempt, _attempted(column)) for column, how in zip(columns, readings, strict=True) if how.attempt]
    texts += "".join(f", {attempt} AS {name}" for attempt, name in attempts)
    typed = [column for column in columns if is_typed(column, null_values)]
    texts += "".join(f", {_typed_value(column)} AS {quoted(column.label)}" for column in typed)
    meant = tuple(
        (_replaced(column, without_words(text_name(column), words)), text_name(column))
        for column, words in zip(columns, nothing, strict=True)
        if words
    )
    filled = tuple((_filled(column, how), text_name(column)) for column, how in zip(columns, readings, strict=True))
    sql, known = f"SELECT _row{texts}\n  FROM source_raw", {text_name(column) for column in columns}
    known |= {quoted(column.label) for column in typed}
    layers = zip_longest(*(each.layers for each in readings), fillvalue=())
    for items in (meant, filled, *(tuple(chain.from_iterable(layer)) for layer in layers)):
        sql = _layer(sql, items, known)
        known.update(name for _, name in items)
    return sql


def _filled(column: Column, how: Reading) -> str:
    """SQL for the text with null in place of empty text."""
    text = text_name(column)
    if not how.attempt:
        return f"nullif({text}, '')"
    return f"CASE WHEN {_attempted(column)} IS NOT NULL THEN {text} ELSE nullif({cleaned(column, text)}, '') END"


def _layer(sql: str, items: Items, known: AbstractSet[str]) -> str:
    """One more layer with new columns, and with new values of known ones."""
    if not items:
        return sql
    again = ", ".join(f"{value} AS {name}" for value, name in items if name in known)
    new = "".join(f", {value} AS {name}" for value, name in items if name not in known)
    return f"SELECT *{f' REPLACE ({again})' if again else ''}{new}\n  FROM ({sql})"


_OF_TEXT: Final = (
    *("replace", "null_values", "decimal_separator", "thousands_separator", "strip"),
    *("input_format", "time_zone", "on_ambiguous_time", "pivot", "true_values", "false_values"),
)
"""Keys that need the text of a value."""


def is_typed(column: Column, null_values: Sequence[str]) -> bool:
    """Whether a column's value is taken from the source as it is, and not read from its text.

    Args:
        column: A column that is read.
        null_values: Texts that mean no value in columns without a list of their own.
    """
    return (
        isinstance(column, TypedColumn)
        and column.raw is column.type
        and column.raw is not ColumnType.TEXT
        and not null_values
        and not any(getattr(column, key) for key in _OF_TEXT)
    )


def _typed_value(column: Column) -> str:
    raw = quoted(column.name)
    match column.type:
        case ColumnType.NUMBER:
            return f"TRY_CAST({raw} AS {NUMBER})"
        case ColumnType.DATE:
            return cut_moment(raw, f"TRY_CAST({raw} AS TIMESTAMP)")
        case _:
            return raw


def _null_words(column: Column, usual: Sequence[str]) -> tuple[str, ...]:
    words = usual if column.null_values is None else column.null_values
    return tuple(dict.fromkeys(word for word in words if word))  # empty text is null in any case


def _first_text(column: Column, nothing: Sequence[str]) -> str:
    raw = _source_text(column)
    return _trimmed(column, raw) if nothing else cleaned(column, raw)


def _source_text(column: Column) -> str:
    """SQL for the text of a column of `source_raw`: as the files have it, or as a typed value is written."""
    raw = quoted(column.name)
    if not isinstance(column, TypedColumn) or column.raw is ColumnType.TEXT:
        return raw
    return f"CAST({raw} AS VARCHAR)"


def cleaned(column: Column, raw: str) -> str:
    """SQL for the text for the rules: trimmed if configured, or if blanks have no meaning. `raw` is a column."""
    return _replaced(column, _trimmed(column, raw))


def _trimmed(column: Column, raw: str) -> str:
    return trimmed(raw) if column.trim or column.type is not ColumnType.TEXT else raw


def _replaced(column: Column, text: str) -> str:
    raw = text
    for replacement in column.replace:
        text = f"regexp_replace({text}, {literal(replacement.pattern)}, {literal(replacement.with_)}, 'g')"
    if column.replace and _faults(column):
        return f"CASE WHEN {is_fault(raw, _faults(column))} THEN {raw} ELSE {text} END"
    return text
