"""Numbers of things in sentences: one row, two rows."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, one: str, several: str = "") -> str:
    """A number with its noun, and with its verb where it is given with it: `1 row was`, `2,000 rows were`.

    Args:
        number: How many.
        one: The words for one.
        several: The words for any other number; `one` with an s by default.
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"
