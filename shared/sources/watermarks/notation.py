"""Dates that a source compares as texts: a watermark among them must be written as they are."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from shared.sources.watermarks.marks import unfit

__all__ = ["check_notation"]

_DATE: Final = r"[0-9][0-9 .:/TZ+-]*"  # digits and what stands between them, in any order


def check_notation(value: str, others: Iterable[str]) -> None:
    """Refuse a text that is no date, or in another notation than the dates that it is compared with.

    A day, or a moment with fewer digits, begins like a longer one, so it has its place among those.

    Args:
        value: What a person gives as the watermark.
        others: Some values of its column; those that are no dates are left out.

    Raises:
        UserError: The text does not fit.
    """
    dates = [text for text in others if re.fullmatch(_DATE, text)]
    if any(_alike(value, date) for date in dates) if dates else _is_moment(value):
        return
    if not dates:
        raise unfit(value, "a date such as 2024-01-31 or 2024-01-31 12:00:00")
    ((notation, _),) = Counter(map(_notation, dates)).most_common(1)
    raise unfit(value, f"a date that is written as those of the column, which are like {notation} (9 is any digit)")


def _alike(value: str, date: str) -> bool:
    one, other = _notation(value), _notation(date)
    if not _is_moment(date):
        return one == other
    return _is_moment(value) and (one.startswith(other) or other.startswith(one))


def _notation(text: str) -> str:
    return re.sub(r"[0-9]", "9", text)


def _is_moment(text: str) -> bool:
    """Whether a text is a date in ISO 8601, with a time or without."""
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
