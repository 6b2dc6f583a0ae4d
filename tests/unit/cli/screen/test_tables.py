"""Tables on the terminal: within 80 columns, with whole names, and numbers as people write them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from shared.cli.screen.tables import error_table, sample_table, shown
from shared.jobs import ErrorRow


def printed(table: RenderableType, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False, markup=False).print(table)
    return stream.getvalue()


SAMPLE = {
    "action": "update",
    "row": 3,
    "id": None,
    "key": {"accountnumber": "C-00003"},
    "columns": [
        {"column": "address1_stateorprovince", "display_name": "State", "before": "x" * 50, "after": "y" * 50},
        {"column": "revenue", "before": None, "after": 1100040000.0},
        {
            "column": "industrycode",
            "before": 1,
            "before_name": "1 Accounting",
            "after": 7,
            "after_name": "7 Consulting",
        },
    ],
}


@pytest.mark.parametrize("width", [80, 140])
def test_examples_fit_into_the_terminal_and_names_are_whole(width: int) -> None:
    """Names of columns and keys are neither cut nor broken; values may take several lines."""
    out = printed(sample_table([SAMPLE]), width)
    assert max(map(len, out.splitlines())) <= width
    assert "…" not in out
    for word in ("address1_stateorprovince", "State", "C-00003", "row 3", "1 Accounting", "7 Consulting"):
        assert word in out


def test_errors_fit_into_80_columns() -> None:
    """The message is whole over several lines, and the rows have their keys."""
    error = ErrorRow(
        side="source",
        error_class="Invalid Row",
        error_type="Invalid Format Exception",
        column="year_established_in_register",
        rows=(1, 2),
        count=2,
        message="not a date in dd-MM-yy",
        examples=({"row": 1, "key": "K-1"},),
    )
    out = printed(error_table([error]))
    assert max(map(len, out.splitlines())) <= 80
    assert "year_established_in_register" in out
    assert "Invalid Format Exception (row rejected)" in " ".join(out.split())
    assert "Rows 1 (K-1), 2" in out


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1100040000.0, "1,100,040,000.00"),
        (17217.26, "17,217.26"),
        (0.125, "0.125"),
        (1996, "1996"),
        (25000, "25,000"),
        (True, "yes"),
        (None, ""),
        ("a\n b", "a b"),
        (["x"], '["x"]'),
    ],
)
def test_values_are_written_as_people_write_them(value: Any, text: str) -> None:
    """Thousands are apart, and years are not."""
    assert shown(value) == text
