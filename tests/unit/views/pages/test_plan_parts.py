"""What a page of a plan shows of long values."""

from __future__ import annotations

from typing import Any

import pytest

from shared.views.pages.plan_parts import MOST_OF_A_VALUE, Change, shown_change, shown_key
from shared.views.plan_page import plan_page
from tests.unit.views.test_plan_page import plan, read

LONGEST = 1_048_576  # characters of a column of several lines


def change(before: str | None, after: str | None, key: str = "1") -> dict[str, Any]:
    """The change of one column."""
    columns = [{"column": "notes", "before": before, "after": after}]
    return {"action": "update", "key": {"id": key}, "row": 1, "columns": columns}


def shown(before: str | None, after: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The values of this column as they are shown, and their notes."""
    (column,) = shown_change(change(before, after)).columns
    return column.values, column.notes


@pytest.mark.parametrize("text", ["", "short", "x" * MOST_OF_A_VALUE])
def test_a_value_that_is_not_long_is_shown_whole(text: str) -> None:
    """Without a note."""
    assert shown(text, "other") == ((text, "other"), ("", ""))


def test_a_long_value_is_shortened_and_says_how_long_it_is() -> None:
    """The other side may be short, empty or the same."""
    long = "x" * LONGEST
    part, note = f"{'x' * MOST_OF_A_VALUE}…", "shortened: it has 1,048,576 characters"
    assert shown("short", long) == (("short", part), ("", note))
    assert shown(None, long) == (("", part), ("", note))
    assert shown(long, long) == ((part, part), (note, note))


def test_a_difference_behind_the_bound_is_shown() -> None:
    """The approver sees what changes, wherever in the text it is."""
    begin = "x" * 700_000
    values, notes = shown(f"{begin}old{'y' * 1_000}", f"{begin}new")
    assert [("old" in values[0], "new" in values[1]), [len(each) <= MOST_OF_A_VALUE + 2 for each in values]] == [
        (True, True),
        [True, True],
    ]
    assert [each.startswith("…") for each in values] == [True, True]
    assert notes == (
        "shortened: it has 701,003 characters, shown from character 699,901 on",
        "shortened: it has 700,003 characters, shown from character 699,901 on",
    )


def test_a_long_key_is_shortened() -> None:
    """A key is a text of the source, too."""
    key = "k" * 4_000
    expected = f"{'k' * MOST_OF_A_VALUE}… (4,000 characters)"
    assert shown_key({"id": key}) == expected
    made: Change = shown_change(change("a", "b", key))
    assert made.key == expected


def test_a_page_of_long_values_stays_small() -> None:
    """The object of `plan --json` has the whole values; the page has a part of each, and says so."""
    sample = [change("a" * LONGEST, "b" * LONGEST) for _ in range(50)]
    made = plan(sample=sample)
    page = plan_page(made)
    assert len(page) < 200_000
    assert read(page).count("shortened: it has 1,048,576 characters") == 100
    assert len(made["sample"][0]["columns"][0]["after"]) == LONGEST
