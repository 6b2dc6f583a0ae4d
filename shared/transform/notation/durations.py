"""Durations: hours, minutes and seconds."""

from __future__ import annotations

from typing import Final

__all__ = ["SECOND", "clock_text"]

SECOND: Final = 1_000_000
"""Microseconds."""


def clock_text(microseconds: int) -> str:
    """Hours, minutes and seconds, as databases write a duration: 09:05:00, 34:05:06, -00:00:01.500000."""
    seconds, fraction = divmod(abs(microseconds), SECOND)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return ("-" if microseconds < 0 else "") + clock + (f".{fraction:06}" if fraction else "")
