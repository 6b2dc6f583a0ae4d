"""The errors of a run as JSON and text."""

from __future__ import annotations

import pytest

from shared.jobs import ErrorRow
from shared.state import ErrorRecord
from shared.views.errors import first_rows


def test_an_error_in_the_log_has_the_fields_of_the_summary() -> None:
    """A program reads `errors --json` and `run --json` in the same way."""
    row = ErrorRow(
        side="source",
        error_class="Invalid Row",
        error_type="Duplicate Key",
        column="",
        rows=(4, 9),
        count=2,
        message="m",
    )
    record = ErrorRecord(
        run_id="r", error_class="Invalid Row", error_type="Duplicate Key", rows=(4, 9), count=2, message="m"
    )
    assert record.to_json() == row.to_json()


@pytest.mark.parametrize(
    ("rows", "count", "text"),
    [
        ((), 0, ""),
        ((4, 9), 2, "4, 9"),
        ((1, 2, 3, 4, 5), 5, "1, 2, 3, 4, 5"),
        ((1, 2, 3, 4, 5, 6), 12, "1, 2, 3, 4, 5, …"),
    ],
)
def test_the_first_five_rows_are_shown(rows: tuple[int, ...], count: int, text: str) -> None:
    """An ellipsis says that there are more."""
    assert first_rows(rows, count) == text


def test_a_row_is_named_by_its_key_its_line_and_its_value() -> None:
    """Where they are known; a long value is cut."""
    examples = [
        {"row": 3, "key": "C-3"},
        {"row": 4, "key": "C-4", "line": 1005, "value": "n/a"},
        {"row": 5, "value": "v" * 99},
    ]
    assert first_rows((3, 4, 5, 6), 4, examples) == (f"3 (C-3), 4 (C-4, line 1,005: 'n/a'), 5 ('{'v' * 29}…'), 6")
