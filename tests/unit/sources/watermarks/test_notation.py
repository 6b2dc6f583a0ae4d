"""A watermark among dates that are texts is written as they are."""

from __future__ import annotations

import pytest

from shared.errors import UserError
from shared.sources.watermarks.notation import check_notation

USUAL = ["2024-01-01 10:00:00", "n/a", "", "2024-01-02 11:00:00.123"]


@pytest.mark.parametrize(
    ("value", "others"),
    [
        ("2024-01-31", []),
        ("2024-01-31T10:00:00Z", ["n/a", ""]),
        ("2024-01-31 10:00:00", USUAL),
        ("2024-01-31 10:00", USUAL),
        ("2024-01-31", USUAL),
        ("2024-01-31 10:00:00.123456", USUAL),
        ("2024-01-31 10:00:00", ["2024-01-01"]),
        ("2024-01-31T10:00:00+02:00", ["2024-01-31T10:00:00+01:00"]),
        ("20240131", ["20240101"]),
        ("2024/01/31", ["2024/01/01"]),
        ("31.01.2024", ["01.01.2024", "2024-01-01"]),
    ],
)
def test_dates_in_the_notation_of_the_column_fit(value: str, others: list[str]) -> None:
    """A day or a moment with fewer digits too, which begins like a longer one."""
    check_notation(value, others)


@pytest.mark.parametrize(
    ("value", "others", "said"),
    [
        ("31.01.2024", [], "is not a date such as 2024-01-31 or"),
        ("abc", ["abc"], "is not a date such as 2024-01-31 or"),
        ("31.01.2024", USUAL, "like 9999-99-99 99:99:99 "),
        ("20", USUAL, "like 9999-99-99 99:99:99 "),
        ("2024-13-31 10:00:00", USUAL, "like 9999-99-99 99:99:99 "),
        ("2024-01-31T10:00:00", USUAL, "like 9999-99-99 99:99:99 "),
        ("2024-01-31T10:00:00+02:00", ["2024-01-31T10:00:00Z"], "like 9999-99-99T99:99:99Z "),
        ("2024-01-31", ["2024/01/01"], "like 9999/99/99 "),
        ("2024/1/31", ["2024/01/01"], "like 9999/99/99 "),
    ],
)
def test_other_texts_are_refused_without_a_value_of_the_column(value: str, others: list[str], said: str) -> None:
    """The message shows how its dates are written, and the command."""
    with pytest.raises(UserError, match=rf"the watermark {value.replace('+', '.')} .*--set VALUE") as caught:
        check_notation(value, others)
    assert said in caught.value.message
