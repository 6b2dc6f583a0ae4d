"""The fencing numbers of leases."""

from __future__ import annotations

from datetime import datetime

__all__ = ["first_fence"]


def first_fence(now: datetime) -> int:
    """The number of the first lease of a name: the milliseconds since 1970.

    The table of leases may be lost, or a row of it removed, while watermarks, ledgers and mirrors keep the number under
    which they were written. If numbers began at one again, these would refuse every run that comes after.
    """
    return int(now.timestamp() * 1000)
