"""Watermarks: how far a source has been read, as a value of one of its columns, and never of a clock.

A watermark is a value that the source itself has given. The next read takes the rows from it on, itself included, so
that rows with the same value are not lost; and those without a value.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Mapping
from ctypes import c_float
from dataclasses import asdict, dataclass, field
from decimal import Context, Decimal, InvalidOperation
from enum import StrEnum
from typing import Final, Protocol, TypeVar, runtime_checkable

from shared.definitions.models import Column, WatermarkedSource
from shared.errors import DefinitionError, Problem, UserError
from shared.sources.typed import found_name
from shared.workspace import Workspace

__all__ = [
    "MOST_MARKS",
    "Mark",
    "Marks",
    "Scale",
    "Value",
    "Watermarked",
    "later",
    "nearest_single",
    "parameter_of",
    "start_of",
    "unfit",
    "unusable",
    "watermark_column",
]

Value = Decimal | float | dt.date | dt.datetime | str
ColumnT = TypeVar("ColumnT", bound=Column)
MOST_MARKS: Final = 20
"""Watermarks that are kept of a sync."""


_EXACT: Final = Context(prec=400)  # digits: more than a value has with its overlap


class Scale(StrEnum):
    """What the values of a watermark's column are, and how they are ordered."""

    NUMBER = "number"
    SINGLE = "single"
    """A floating-point number of 32 bits: one that is written with fewer digits means the nearest of them."""
    DAY = "day"
    TIME = "time"
    """A moment, with the offset that it is written with, or without one."""
    INSTANT = "instant"
    """A moment of a column that has no offset of its own: read in UTC, whatever time zone the database shows."""
    TEXT = "text"
    """A text, ordered by its characters (Unicode code points)."""
    COLLATED = "collated"
    """A text, in an order that only the source knows."""


_WANTED: Final = {
    Scale.NUMBER: "a number",
    Scale.SINGLE: "a number of 32 bits",
    Scale.DAY: "a day such as 2024-01-31",
    Scale.TIME: "a moment such as 2024-01-31T12:00:00",
    Scale.INSTANT: "a moment such as 2024-01-31T12:00:00+00:00",
    Scale.TEXT: "a moment such as 2024-01-31T12:00:00, which an overlap needs",
    Scale.COLLATED: "a moment such as 2024-01-31T12:00:00, which an overlap needs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A watermark.

    Attributes:
        value: A value of the column, as the source wrote it.
        scale: What it is; empty if a person has set it.
        identity: Of what it is; see `identity_of`.
    """

    value: str
    scale: str
    identity: str

    def to_text(self) -> str:
        """The text that a plan has."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str | None) -> Mark | None:
        """Read what `to_text` wrote; None for an empty text."""
        return cls(**json.loads(text)) if text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The watermarks of a sync as the state store keeps them: one for each environment, table, and so on.

    Attributes:
        marks: Identity -> watermark, the one that moved last at the end.
    """

    marks: Mapping[str, Mark] = field(default_factory=dict)

    def with_mark(self, mark: Mark) -> Marks:
        """The watermarks when one has moved; too many of them lose the one that moved longest ago."""
        others = [each for identity, each in self.marks.items() if identity != mark.identity]
        return Marks(marks={each.identity: each for each in [*others, mark][-MOST_MARKS:]})

    def to_text(self) -> str:
        """The text that the state store keeps."""
        return json.dumps({"marks": [asdict(mark) for mark in self.marks.values()]})

    @classmethod
    def read(cls, text: str | None) -> Marks:
        """Read what `to_text` wrote, or the one watermark of an older version; none where they were reset."""
        kept = json.loads(text) if text else {"marks": []}
        found = [Mark(**each) for each in kept.get("marks", [kept])]
        return cls(marks={mark.identity: mark for mark in found})


@runtime_checkable
class Watermarked(Protocol):
    """A source that can be read from a watermark on."""

    @property
    def began_anew(self) -> bool:
        """Whether `load` left out the watermark, because it is of something else, or of a column of another type."""
        ...

    def start_at(self, mark: Mark | None, identity: str) -> None:
        """Read only what is past a watermark, less the overlap.

        Args:
            mark: The watermark; None to read everything.
            identity: Of what the watermark of this read is; see `identity_of`.
        """
        ...

    def check(self, workspace: Workspace, mark: Mark) -> None:
        """Check that a read can start at a watermark; for that, the source tells the type of its column.

        Raises:
            UserError: The value does not fit the column, or the source cannot be read.
            DefinitionError: The column cannot be the one of a watermark.
        """
        ...

    def reached(self, workspace: Workspace, unfinished: str) -> Mark | None:
        """How far the source has been read, and everything up to there is settled; None where that is not known.

        Args:
            workspace: Has `source_raw`.
            unfinished: SQL that gives the `_row` of each row that is not settled.
        """
        ...


def watermark_column(source: WatermarkedSource, columns: Mapping[str, ColumnT]) -> tuple[str, ColumnT]:
    """The column of the watermark, and its name in the source.

    Args:
        source: The definition's source.
        columns: Name in the source -> each column that is read.

    Raises:
        DefinitionError: It is not read.
    """
    name = source.watermark.column if source.watermark else ""
    for own, column in columns.items():
        if name in {own, column.label, column.name}:
            return own, column
    own = found_name(name, columns) or ""
    if not own:
        raise unusable(f"the source has no column {name}; there are: {', '.join(columns)}")
    return own, columns[own]


def unusable(message: str) -> DefinitionError:
    """The error about a column that cannot be the one of a watermark."""
    return DefinitionError([Problem(message=message, path="source.watermark.column")])


def start_of(mark: Mark, scale: Scale, overlap: float) -> Value:
    """The value that a read starts at, for a comparison of values.

    Args:
        mark: How far the source has been read.
        scale: What the column holds.
        overlap: Seconds of moments, days and texts that are moments; a difference of numbers.

    Raises:
        UserError: The value does not belong to the scale, or there is no such thing as an overlap of it.
    """
    try:
        return _start(mark.value, scale, overlap)
    except (ValueError, InvalidOperation):
        raise unfit(mark.value, _WANTED[scale]) from None


def parameter_of(mark: Mark, scale: Scale, overlap: float) -> str | int | float:
    """The value that a read starts at, for a service that compares by itself: in the notation of the value.

    A number is the greatest of its type that is not past the value.

    Args:
        mark: How far the source has been read.
        scale: What the column holds.
        overlap: As in `start_of`.

    Raises:
        UserError: As `start_of`.
    """
    try:
        if scale is Scale.NUMBER:
            return _not_past(Decimal(str(_start(mark.value, scale, overlap))))
        if scale is Scale.TIME or overlap:
            return _in_its_notation(mark.value, overlap)
    except (ValueError, InvalidOperation):
        raise unfit(mark.value, _WANTED[scale]) from None
    return mark.value


def unfit(value: str, wanted: str) -> UserError:
    """The error about a watermark that does not fit its column.

    Args:
        value: The watermark.
        wanted: What it must be, such as `a number`.
    """
    return UserError(
        f"the watermark {value} is not {wanted}; give it another value with `dynamics-sync watermark NAME --set "
        "VALUE`, or remove it with --reset"
    )


def _start(value: str, scale: Scale, overlap: float) -> Value:
    match scale:
        case Scale.NUMBER:
            return _number_before(value, overlap)
        case Scale.SINGLE:
            return _single_before(value, overlap)
        case Scale.DAY:
            return _moment_before(value, overlap).date()
        case Scale.TIME | Scale.INSTANT:
            return _moment_before(value, overlap)
        case Scale.TEXT | Scale.COLLATED:
            return _text_before(value, overlap) if overlap else value


def _moment_before(value: str, overlap: float) -> dt.datetime:
    """The moment before that of a value; the first one of the calendar where there is none so early."""
    moment = dt.datetime.fromisoformat(value)
    try:
        return moment - dt.timedelta(seconds=overlap)
    except OverflowError:
        return dt.datetime.min.replace(tzinfo=moment.tzinfo)


def nearest_single(value: float) -> float:
    """The number of 32 bits that is nearest to a number; infinite beyond the greatest of them."""
    return c_float(value).value


def _number_before(value: str, overlap: float) -> Decimal:
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError(value)
    return _EXACT.subtract(number, Decimal(str(overlap))) if overlap else number


def _single_before(value: str, overlap: float) -> float:
    single = nearest_single(float(_number_before(value, overlap)))
    if not math.isfinite(single):
        raise ValueError(value)
    return single


# ISO 8601 with or without its dashes and colons, each of them on its own.
_MOMENT: Final = re.compile(
    r"\d{4}(?P<dash>-?)\d{2}(?P=dash)\d{2}"
    r"(?:(?P<between>\D)(?P<time>\d{2}(?:(?P<colon>:?)\d{2}(?:(?P=colon)\d{2})?)?)(?P<fraction>\.\d+)?(?P<zone>.*))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class _Written:
    """A moment in the notation of a value; its digits end where those of the value end, so it is not past the moment.

    Attributes:
        day: The day.
        time: With the sign before it; empty where the value is a day.
        fraction: With the point before it; empty where the value has none.
        zone: That of the value.
    """

    day: str
    time: str
    fraction: str
    zone: str


def _written_before(value: str, overlap: float) -> _Written:
    """The moment before the one of a value.

    Raises:
        ValueError: The value is no moment, or is written in another way, such as `2024-W05`.
    """
    moment = _moment_before(value, overlap)
    parts = _MOMENT.fullmatch(value)
    if parts is None:
        raise ValueError(value)
    day = moment.date().isoformat().replace("-", parts["dash"])
    if parts["time"] is None:
        return _Written(day, "", "", "")
    colon, digits = parts["colon"] or "", len(parts["fraction"] or "")
    time = moment.strftime(f"%H{colon}%M{colon}%S")[: len(parts["time"])]
    return _Written(day, parts["between"] + time, f".{moment:%f}".ljust(digits, "0")[:digits], parts["zone"])


def _text_before(value: str, overlap: float) -> str:
    """A text that is ordered before all moments from then on: in the same notation, without fractions and offset."""
    written = _written_before(value, overlap)
    return written.day + written.time


def _in_its_notation(value: str, overlap: float) -> str:
    """A moment before another one, with the same separator, as many digits, and the same offset."""
    written = _written_before(value, overlap)
    return written.day + written.time + written.fraction + written.zone


def _not_past(number: Decimal) -> int | float:
    if number == number.to_integral_value():
        return int(number)
    nearest = float(number)  # its shortest text is what is sent
    return nearest if Decimal(repr(nearest)) <= number else math.nextafter(nearest, -math.inf)


def later(mark: Mark, than: Mark | None) -> bool:
    """Whether a watermark is past another one; also where the two cannot be compared."""
    if than is None or than.scale != mark.scale:
        return True
    scale = Scale(mark.scale)
    own, other = start_of(mark, scale, 0), start_of(than, scale, 0)
    try:
        return own > other  # type: ignore[operator]  # both are of one scale
    except TypeError:  # a moment with an offset and one without
        return True
