"""What a run will cost, in the words of the terminal, the page and the comment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.counted import counted

__all__ = ["forecast_lines"]

_SMALLEST: Final = 0.001  # below it a share would be shown as 0.0%


def forecast_lines(cost: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """The figures as (name, text); none without a forecast.

    Args:
        cost: As `forecast` in the object of `plan --json`.
    """
    if cost is None:
        return []
    steps, fewest = cost.get("steps", 0), cost.get("at_least", False)
    of_steps = f", {steps:,} by steps after the sync" if steps else ""
    used = f"{'at least ' if fewest else ''}{cost['counted']:,}"
    of_day = f"of {cost['daily_requests']:,} requests (this run uses {used})"
    among = f"({cost['reads']:,} to read, {cost['writes']:,} to write{of_steps})"
    return [
        ("Requests", f"{'at least' if fewest else 'about'} {cost['requests']:,} {among}"),
        ("Time", f"{_time(cost['minutes'])}, {_basis(cost['learnt_from_runs'])}"),
        ("Daily entitlement", f"{_share(cost['daily_share'], fewest=fewest)} {of_day}"),
    ]


def _time(minutes: int) -> str:
    return f"about {counted(minutes, 'minute')}" if minutes > 1 else "up to 1 minute"


def _basis(runs: int) -> str:
    if not runs:
        return "by the service's published limits"
    return f"by the rates of {counted(runs, 'earlier run')}"


def _share(share: float, *, fewest: bool) -> str:
    if fewest:
        return f"at least {share:.3%}" if share < _SMALLEST else f"at least {share:.1%}"
    return "less than 0.1%" if 0 < share < _SMALLEST else f"{share:.1%}"
