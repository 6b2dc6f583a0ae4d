"""Durations as text."""

from __future__ import annotations

import pytest

from shared.transform.notation.durations import SECOND, clock_text


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "00:00:00"),
        (32_700 * SECOND, "09:05:00"),
        (122_706 * SECOND, "34:05:06"),
        (-3600 * SECOND, "-01:00:00"),
        (-1, "-00:00:00.000001"),
        (360_000 * SECOND + SECOND // 2, "100:00:00.500000"),
    ],
)
def test_a_duration_is_written_in_hours_minutes_and_seconds(microseconds: int, text: str) -> None:
    """More than a day has more than 24 hours, and the sign stands before the whole."""
    assert clock_text(microseconds) == text
