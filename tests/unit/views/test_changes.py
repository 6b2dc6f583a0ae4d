"""A plan as values."""

from __future__ import annotations

from typing import Any

from shared.views.changes import ChangeLine, change_lines, shown_counts


def change(*columns: dict[str, Any]) -> dict[str, Any]:
    return {"action": "update", "row": 3, "id": "i", "key": {"number": "A", "site": 7}, "columns": list(columns)}


def test_a_change_has_one_line_for_each_column() -> None:
    """Each line has the whole change, and the first one is marked."""
    sample = [change({"column": "name", "before": "a", "after": None}, {"column": "size", "before": 1, "after": 2})]
    common: dict[str, Any] = {"action": "update", "row": 3, "key": ("A", 7)}
    assert list(change_lines(sample)) == [
        ChangeLine(**common, first=True, column="name", before="a", after=None),
        ChangeLine(**common, first=False, column="size", before=1, after=2),
    ]


def test_a_change_without_columns_has_one_line() -> None:
    """It is first, and has no column and no values."""
    (line,) = change_lines([change()])
    assert (line.first, line.column, line.before, line.after) == (True, "", None, None)


def test_created_updated_and_deleted_are_shown_also_where_they_are_0() -> None:
    """The other counts are shown where there are records, in a fixed order."""
    names = ("ignored", "unchanged", "upserted", "expired", "deleted", "updated", "created")
    planned = dict.fromkeys(names, 0) | {"ignored": 2, "expired": 1}
    assert list(shown_counts(planned).items()) == [
        ("created", 0),
        ("updated", 0),
        ("deleted", 0),
        ("expired", 1),
        ("ignored", 2),
    ]
