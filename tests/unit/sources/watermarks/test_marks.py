"""The start of a read: the last watermark minus the overlap, in the notation of the source."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions.models import Watermark
from shared.errors import UserError
from shared.sources.watermarks.marks import MOST_MARKS, Mark, Marks, Scale, later, parameter_of, start_of


def mark(value: str, scale: str = "") -> Mark:
    return Mark(value=value, scale=scale, identity="")


TZ = dt.timezone(dt.timedelta(hours=2))
STARTS = [
    ("5", Scale.NUMBER, 0, Decimal(5)),
    ("12345678901234567890.0000000001", Scale.NUMBER, 0, Decimal("12345678901234567890.0000000001")),
    ("5", Scale.NUMBER, 0.1, Decimal("4.9")),
    ("999999999999999999999999999999999999.5", Scale.NUMBER, 5, Decimal("999999999999999999999999999999999994.5")),
    ("0.7", Scale.SINGLE, 0, 0.699999988079071),
    ("0.7", Scale.SINGLE, 0.1, 0.6000000238418579),
    ("2024-01-31", Scale.DAY, 0, dt.date(2024, 1, 31)),
    ("2024-01-31", Scale.DAY, 60, dt.date(2024, 1, 30)),
    ("2024-01-31 10:00:00.5", Scale.TIME, 0, dt.datetime(2024, 1, 31, 10, 0, 0, 500000)),  # noqa: DTZ001 - no zone is meant
    ("2024-01-31 10:00:00+02", Scale.TIME, 60, dt.datetime(2024, 1, 31, 9, 59, tzinfo=TZ)),
    ("any", Scale.TEXT, 0, "any"),
    ("2024-01-31", Scale.TEXT, 60, "2024-01-30"),
    ("2024-01-31T00:00:00.250Z", Scale.TEXT, 60, "2024-01-30T23:59:00"),
    ("2024-01-31 00:00", Scale.TEXT, 60, "2024-01-30 23:59"),
    ("2024-01-31T00", Scale.TEXT, 60, "2024-01-30T23"),
    ("20240301", Scale.TEXT, 60, "20240229"),
    ("20240131T120000Z", Scale.TEXT, 300, "20240131T115500"),
    ("20240131 1200", Scale.TEXT, 300, "20240131 1155"),
    ("20240131T12", Scale.TEXT, 300, "20240131T11"),
    ("2024-01-31T120000.5", Scale.TEXT, 300, "2024-01-31T115500"),
    ("20240131T12:00:00", Scale.TEXT, 300, "20240131T11:55:00"),
    ("0001-01-01", Scale.DAY, 1e9, dt.date(1, 1, 1)),
    ("0001-01-01T00:00:00+02:00", Scale.TIME, 60, dt.datetime(1, 1, 1, tzinfo=TZ)),
    ("2024-01-31", Scale.DAY, 1e300, dt.date(1, 1, 1)),
    ("0001-01-01T00:00:10.5Z", Scale.TEXT, 60, "0001-01-01T00:00:00"),
]


@pytest.mark.parametrize(("value", "scale", "overlap", "start"), STARTS)
def test_a_read_begins_at_the_watermark_minus_the_overlap(
    value: str, scale: Scale, overlap: float, start: object
) -> None:
    """With its type and all of its digits."""
    assert start_of(mark(value), scale, overlap) == start


@pytest.mark.parametrize(
    ("value", "scale", "overlap"),
    [
        ("x", Scale.NUMBER, 0),
        ("NaN", Scale.NUMBER, 0),
        ("1e39", Scale.SINGLE, 0),
        ("x", Scale.DAY, 0),
        ("x", Scale.TIME, 0),
        ("x", Scale.TEXT, 1),
        ("2024-W05", Scale.TEXT, 1),
        ("2024W051", Scale.COLLATED, 1),
        ("2024-01-31T25:00", Scale.TIME, 0),
    ],
)
def test_a_watermark_that_does_not_fit_the_column_is_reported(value: str, scale: Scale, overlap: float) -> None:
    """With the command that changes it."""
    with pytest.raises(UserError, match=r"dynamics-sync watermark NAME --set VALUE"):
        start_of(mark(value), scale, overlap)


SENT = [
    ("5", Scale.NUMBER, 0, 5),
    ("9007199254740993", Scale.NUMBER, 0, 9007199254740993),
    ("0.1", Scale.NUMBER, 0, 0.1),
    ("5", Scale.NUMBER, 0.5, 4.5),
    ("2024-01-31", Scale.TIME, 60, "2024-01-30"),
    ("2024-01-31T10:00Z", Scale.TIME, 60, "2024-01-31T09:59Z"),
    ("2024-01-31 10:00:00.1234567+02:00", Scale.TIME, 60, "2024-01-31 09:59:00.1234560+02:00"),
    ("20240131", Scale.COLLATED, 60, "20240130"),
    ("20240131T1000+0200", Scale.COLLATED, 60, "20240131T0959+0200"),
    ("20240131T10", Scale.COLLATED, 60, "20240131T09"),
    ("2024-01-31T10:00:00.5", Scale.COLLATED, 1, "2024-01-31T09:59:59.5"),
    ("2024-01-31T10:00:00.5", Scale.TIME, 0, "2024-01-31T10:00:00.5"),
    ("any", Scale.COLLATED, 0, "any"),
    ("0001-01-01T00:00:00Z", Scale.TIME, 60, "0001-01-01T00:00:00Z"),
]


@pytest.mark.parametrize(("value", "scale", "overlap", "expected"), SENT)
def test_a_service_is_sent_the_watermark_in_its_notation(
    value: str, scale: Scale, overlap: float, expected: str | float
) -> None:
    """With the same separator, digits and offset; digits that Python does not have become zeros."""
    sent = parameter_of(mark(value), scale, overlap)
    assert (sent, type(sent)) == (expected, type(expected))


@pytest.mark.parametrize("scale", [Scale.NUMBER, Scale.TIME])
def test_a_value_that_cannot_be_sent_is_reported(scale: Scale) -> None:
    """With the command that changes it."""
    with pytest.raises(UserError, match=r"the watermark 2024-W05 is not .* --set VALUE"):
        parameter_of(mark("2024-W05"), scale, 0)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**9), max_value=10**9))
def test_a_number_that_is_sent_is_not_past_the_watermark(number: Decimal) -> None:
    """Where its type does not have all digits, it is a bit less."""
    sent = Decimal(repr(parameter_of(mark(format(number, "f")), Scale.NUMBER, 0)))
    assert sent <= number
    assert number - sent <= abs(number) * Decimal("1e-15")


MOMENTS = st.datetimes(dt.datetime(1000, 1, 1), dt.datetime(9000, 1, 1))  # noqa: DTZ001 - texts have no zone here


FORMS = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y%m%dT%H%M%S", "%Y%m%d %H%M", "%Y-%m-%d", "%Y%m%d"]


@given(last=MOMENTS, seconds=st.integers(0, 3599), form=st.sampled_from(FORMS))
def test_no_text_within_the_overlap_is_before_the_start(last: dt.datetime, seconds: int, form: str) -> None:
    """For every notation of ISO 8601."""
    last = dt.datetime.strptime(last.strftime(form), form)  # noqa: DTZ007 - texts have no zone here
    row = last - dt.timedelta(seconds=seconds)
    start = start_of(mark(last.strftime(form)), Scale.TEXT, 3600.0)
    assert isinstance(start, str)
    for ending in ("", "Z", "+00:00"):
        assert row.strftime(form) + ending >= start


def test_a_stored_watermark_is_read_again() -> None:
    """An absent one and a reset are no watermark."""
    made = Mark(value="ü", scale="text", identity="x")
    assert Mark.read(made.to_text()) == made
    assert (Mark.read(None), Mark.read("")) == (None, None)


@pytest.mark.parametrize(
    ("own", "other", "past"),
    [
        (mark("10", "number"), mark("9", "number"), True),
        (mark("9", "number"), mark("10", "number"), False),
        (mark("9", "number"), mark("9", "number"), False),
        (mark("9", "number"), None, True),
        (mark("9", "number"), mark("10", "text"), True),
        (mark("2024-01-31 10:00:00", "time"), mark("2024-01-31 10:00:00+00", "time"), True),
        (mark("B", "text"), mark("b", "text"), False),
    ],
)
def test_watermarks_are_ordered_by_their_scale(own: Mark, other: Mark | None, *, past: bool) -> None:
    """Numbers by size, texts by characters; values that cannot be compared count as later."""
    assert later(own, other) is past


def test_the_watermarks_of_a_sync_are_read_again() -> None:
    """Also the one watermark that an older version has kept."""
    first, second = (Mark(value="1", scale="number", identity=each) for each in "ab")
    kept = Marks().with_mark(first).with_mark(second)
    assert Marks.read(kept.to_text()) == kept
    assert Marks.read(first.to_text()) == Marks().with_mark(first)
    assert Marks.read(None) == Marks.read("") == Marks()


def test_the_watermark_that_moved_longest_ago_is_given_up() -> None:
    """So that a parameter with another value in each run does not fill the state store."""
    kept = Marks()
    for number in range(MOST_MARKS):
        kept = kept.with_mark(Mark(value="1", scale="number", identity=str(number)))
    kept = kept.with_mark(Mark(value="2", scale="number", identity="0"))
    kept = Marks.read(kept.with_mark(Mark(value="1", scale="number", identity="new")).to_text())
    assert {*kept.marks} == {*map(str, range(MOST_MARKS)), "new"} - {"1"}
    assert kept.marks["0"].value == "2"


def test_an_overlap_is_a_duration_or_a_number() -> None:
    """Zero is allowed, and a negative one is not."""
    read = [Watermark(column="c", overlap=each).overlap for each in ("5m", "90s", "1h", 5, 0)]
    assert read == [300, 90, 3600, 5, 0]
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        Watermark(column="c", overlap=-1)
