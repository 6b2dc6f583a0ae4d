"""Formats of dates, in .NET and in strptime tokens."""

from __future__ import annotations

import re
from datetime import date, datetime

import pytest

from shared.transform.notation.dates import read_format, sample_of
from shared.workspace import Workspace, literal


@pytest.mark.parametrize(
    ("written", "text", "moment"),
    [
        ("dd/MM/yyyy", "31/01/2024", "2024-01-31T00:00:00"),
        ("dd/MM/yyyy", "1/2/2024", None),
        ("dd/MM/yyyy", "31/02/2024", None),
        ("dd/MM/yyyy", "2024-01-31", None),
        ("d/M/yyyy", "1/2/2024", "2024-02-01T00:00:00"),
        ("d/M/yyyy", "11/12/2024", "2024-12-11T00:00:00"),
        ("yyyyMMdd", "20240131", "2024-01-31T00:00:00"),
        ("dd.MM.yy HH:mm", "31.01.24 17:05", "2024-01-31T17:05:00"),
        ("MM/dd/yyyy hh:mm:ss tt", "01/31/2024 05:06:07 PM", "2024-01-31T17:06:07"),
        ("dd MMM yyyy", "31 Jan 2024", "2024-01-31T00:00:00"),
        ("d MMMM yyyy", "1 january 2024", "2024-01-01T00:00:00"),
        ("yyyy-MM-dd'T'HH:mm:ss.fff", "2024-01-31T10:20:30.987", "2024-01-31T10:20:30.987000"),
        ("yyyy-MM-dd HH:mm:ss.fffffff", "2024-01-31 10:20:30.9876543", "2024-01-31T10:20:30.987654"),
        ("yyyy-MM-dd HH:mm:ss.fffffff", "2024-12-31 23:59:59.9999999", "2024-12-31T23:59:59.999999"),
        ("yyyy-MM-dd HH:mm:ss.fffffffK", "2024-12-31 23:59:59.9999999Z", "2024-12-31T23:59:59.999999"),
        ("yyyy-MM-dd HH:mm:ss.FFFFFFFK", "2024-12-31 23:59:59.9999999-01:00", "2025-01-01T00:59:59.999999"),
        ("yyyy-MM-dd HH:mm:ss.fffffff", "9999-12-31 23:59:59.9999999", "9999-12-31T23:59:59.999999"),
        ("yyyy-MM-dd HH:mm:ss.fffffff", "1969-12-31 23:59:59.9999999", "1969-12-31T23:59:59.999999"),
        ("yyyy-MM-dd HH:mm:ss.fff", "9999-12-31 00:00:00.000", "9999-12-31T00:00:00"),
        ("yyyy-MM-dd HH:mm:ss.fff", "1600-01-31 10:20:30.123", "1600-01-31T10:20:30.123000"),
        ("yyyy-MM-dd HH:mm:ss.fffffff", "2024-12-31 23:59:59.999999", None),
        ("d/M/yyyy H:mm:ss.fff", "1/2/2024 3:59:59.9999999", "2024-02-01T03:59:59.999999"),
        ("yyyyMMddHHmmssfffffff", "202412312359599999999", "2024-12-31T23:59:59.999999"),
        ("yyyyMMdd'T'HHmmss,FFFFFFF", "20241231T235959,5", "2024-12-31T23:59:59.500000"),
        ("d MMMM yyyy h:mm:ss.FFFFFFF tt", "1 December 2024 9:59:59.9999999 pm", "2024-12-01T21:59:59.999999"),
        ("yyyy-MM-ddTHH:mm:sszzz", "2024-01-31T10:20:30+02:00", "2024-01-31T08:20:30"),
        ("yyyy-MM-dd HH:mm:ssK", "2024-01-31 10:20:30Z", "2024-01-31T10:20:30"),
        ('dd"/"MM\\/yyyy', "31/01/2024", "2024-01-31T00:00:00"),
        ("yyyy'%'MM", "2024%02", "2024-02-01T00:00:00"),
        ("%d/%m/%Y", "31/01/2024", "2024-01-31T00:00:00"),
        ("%-d.%-m.%y", "1.2.24", "2024-02-01T00:00:00"),
        ("%Y-%m-%d %H:%M:%S.%n", "2024-12-31 23:59:59.999999999", "2024-12-31T23:59:59.999999"),
        ("%Y%m%d%H%M%S%n", "20241231235959999999", "2024-12-31T23:59:59.999999"),
        ("%xT%X.%n", "9999-12-31T23:59:59.999999999", "9999-12-31T23:59:59.999999"),
        ("%A %d %b %Y %% %z %T.%n", "Tuesday 31 Dec 2024 % +0100 23:59:59.9999999", "2024-12-31T22:59:59.999999"),
        ("%Y/%j %Z %S.%n", "2024/366 UTC 59.9999999", "2024-12-31T00:00:59.999999"),
    ],
)
def test_a_date_is_read_in_the_format_that_is_named(
    workspace: Workspace, written: str, text: str, moment: str | None
) -> None:
    """The text has to have that form, with as many digits as the format says."""
    ((found,),) = workspace.query(f"SELECT {read_format(written).timestamp(literal(text))}")
    assert found == (None if moment is None else datetime.fromisoformat(moment))


@pytest.mark.parametrize("written", ["ddddd", "yyyyy", "dd/MM/yyy", "ttt"])
def test_an_unknown_token_is_named(written: str) -> None:
    """The message has an example of the supported tokens."""
    with pytest.raises(ValueError, match=r"not a (token of a )?date format"):
        read_format(written)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("dd/MM/jjjj", "jjjj is not a token of a date format: yyyy is the year"),
        ("DD/MM/YYYY", "DD is not a token of a date format: dd is the day"),
        ("dd/mm/yyyy", "this format has no month: add MM; mm is the minute"),
        ("dd/MM", "this format has no year"),
        ("HH:mm", "this format has no year"),
        ("ISO", "this is not a date format"),
        ("%d/%m/%Q", "%Q is not a token of strptime"),
        ("%d/%m", "this format has no year: add %Y"),
        ("%Y-%d", "this format has no month: add %m"),
        ("%Y-%M-%d", "this format has no month: add %m; %M is the minute"),
        ("yyyy-mm", "this format has no hour: add HH; MM is the month"),
        ("MM/dd/yyyy hh:mm", "hh is an hour of half a day: write HH for 0 to 23, or add tt"),
        ("%x %I:%M", "%I is an hour of half a day: write %H for 0 to 23, or add %p"),
        ("%", "this is not a date format"),
    ],
)
def test_a_format_that_reads_no_date_is_refused(written: str, message: str) -> None:
    """It would match no date, or give wrong dates."""
    with pytest.raises(ValueError, match=re.escape(message)):
        read_format(written)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("dd.MM.yyyy HH:MM", "MM and MM are both the month, so one is read over the other; mm is the minute"),
        ("%d.%m.%Y %H:%m", "%m and %m are both the month, so one is read over the other; %M is the minute"),
        ("d MMM yyyy HH:M:ss", "MMM and M are both the month"),
        ("dd/MM/yyyy dd", "dd and dd are both the day"),
        ("dd.MM.yy yyyy", "yy and yyyy are both the year"),
        ("yyyy-MM-dd HH hh tt", "HH and hh are both the hour"),
        ("%H:%M %c", "%H and %c are both the hour"),
        ("%Y-%m-%d %X.%f %g", "%f and %g are both the fraction of a second"),
        ("yyyy-MM-ddTHH:mm:sszzzK", "zzz and K are both the offset from UTC"),
    ],
)
def test_a_format_in_which_a_part_is_there_twice_is_refused(written: str, message: str) -> None:
    """DuckDB takes the last of them: `HH:MM` would read the minute as the month of a date."""
    with pytest.raises(ValueError, match=re.escape(message)):
        read_format(written)


@pytest.mark.parametrize("written", ["dddd, d MMMM yyyy", "%A %d %b %Y", "%G-W%V-%u", "%Y-%j", "%Y-%m-%d W%V %G"])
def test_weekdays_and_weeks_beside_a_date_are_no_mistake(written: str) -> None:
    """The date does not depend on them."""
    assert read_format(written).strptime


@pytest.mark.parametrize(
    ("written", "sample"),
    [("dd-MM-yy", "31-01-24"), ("%d.%m.%Y %H:%M", "31.01.2024 13:05"), ("MMMM d, yyyy", "January 31, 2024")],
)
def test_a_format_has_an_example(workspace: Workspace, written: str, sample: str) -> None:
    """And the example can be read in the format."""
    assert sample_of(written) == sample
    ((found,),) = workspace.query(f"SELECT {read_format(written).timestamp(literal(sample))}")
    assert found.date() == date(2024, 1, 31)
