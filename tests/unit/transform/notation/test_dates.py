"""Formats of dates, in .NET and in strptime tokens."""

from __future__ import annotations

from datetime import datetime

import pytest

from shared.transform.notation.dates import read_format
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
        ("yyyy-MM-ddTHH:mm:sszzz", "2024-01-31T10:20:30+02:00", "2024-01-31T08:20:30"),
        ("yyyy-MM-dd HH:mm:ssK", "2024-01-31 10:20:30Z", "2024-01-31T10:20:30"),
        ('dd"/"MM\\/yyyy', "31/01/2024", "2024-01-31T00:00:00"),
        ("yyyy'%'MM", "2024%02", "2024-02-01T00:00:00"),
        ("%d/%m/%Y", "31/01/2024", "2024-01-31T00:00:00"),
        ("%-d.%-m.%y", "1.2.24", "2024-02-01T00:00:00"),
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
    """What cannot be read is said, with an example of what can."""
    with pytest.raises(ValueError, match=r"is not a supported \.NET date token"):
        read_format(written)
