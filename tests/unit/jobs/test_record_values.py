"""Telling a record by the values that a source, a plan or a mended file has of it."""

from __future__ import annotations

import json

import pytest

from shared.jobs.batch.undo.record_values import RecordValues, lines_of

ID = "6a0ee1a7-8f4c-4b8c-9d39-1c2f1ad2a0e7"


@pytest.mark.parametrize(
    ("key", "written", "found"),
    [
        ("A2", " a2  ", True),
        ("José", "JOSE", True),
        ("1.5", "01.50", True),
        ("7", "7.0", True),
        ("7", "70", False),
        ("2024-01-31", "31.01.2024", True),
        ("2024-01-31", "2024-01-31 00:00:00", True),
        ("2024-01-31T09:00:00Z", "2024-01-31T10:00:00+01:00", True),
        ("2024-01-31T09:00:00Z", "31.01.2024 09:00", True),
        ("2024-01-31", "30.01.2024", False),
        ("A2", "A21", False),
        ("´", "", False),
    ],
)
def test_a_key_is_found_as_the_source_writes_it(key: str, written: str, *, found: bool) -> None:
    """Blanks, case, accents, zeros and the order of a date aside; a missing value is no key."""
    assert RecordValues([key], set()).are_in(["other", written]) == found


def test_a_key_of_several_values_is_found_complete() -> None:
    """One of its values alone is that of many records."""
    record = RecordValues(["A1", "2"], set())
    assert record.are_in(["2.0", "Jane", "a1 "])
    assert record.are_in(["A1, 2"])
    assert not record.are_in(["A1", "3"])


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        ({"planned": {"created": 1, "source": {"rows": 1}}, "requests": 1}, False),
        ({"sample": [{"row": 1, "key": {"number": 2}, "columns": []}]}, False),
        ({"sample": [{"row": 5, "key": {"number": 1}, "columns": []}]}, True),
        ({"sample": [{"key": {"number": 2}, "columns": [{"column": "number", "before": "1", "after": 2}]}]}, True),
        ({"sample": [{"key": {"number": 2}, "columns": [{"column": "tries", "before": 1, "after": 2}]}]}, False),
        ({"sample": [{"key": {"number": 1, "site": "B"}, "columns": []}]}, False),
        ({"errors": [{"count": 1, "rows": [1], "examples": [{"row": 1, "line": 1, "key": "2"}]}]}, False),
        ({"errors": [{"examples": [{"row": 3, "key": "1 "}]}]}, True),
        ({"sample": [{"id": ID.upper(), "key": {"number": 9}}]}, True),
    ],
)
def test_numbers_of_a_plan_are_no_keys(plan: dict[str, object], *, found: bool) -> None:
    """Only keys before and after changes, examples of errors, and ids are those of records."""
    assert RecordValues(["1"], {ID}).are_in_plan(json.dumps({"plan": plan}).encode()) == found


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_mended_rows_may_have_another_delimiter(delimiter: str) -> None:
    """The number of the row is no value of it."""
    text = "\r\n".join(delimiter.join(line) for line in (["number", "name", "to_mend_row"], ["B2", "Bob", "1"]))
    _, _, ((*values,),) = lines_of(text.encode())
    assert values == ["B2", "Bob"]
