"""Rates that earlier runs have shown, from their counts in the execution log. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from shared.entities import CHANGE_COUNTS
from shared.reconcile.forecast.cost import BY_LIMITS, Rates

__all__ = ["MOST_RUNS", "learnt_rates"]

FEWEST_ROWS: Final = 1000  # a run that wrote less shows the time of its first answers, not of the service under load
MOST_RUNS: Final = 50  # rows of the execution log that are read
_MOST_LEARNT: Final = 10  # the latest runs: the service changes, and so do its plug-ins


def learnt_rates(counts: Iterable[Mapping[str, Any]], *, environment: str, sync: str) -> Rates:
    """Learn from the runs of one environment; from those of the sync itself where there are any.

    Args:
        counts: What the execution log keeps of each run, the latest first; rows of other kinds of run are passed over.
        environment: Host of the environment.
        sync: Name of the sync.

    Returns:
        The rates; `BY_LIMITS` where no run has written enough.
    """
    found = [each for each in counts if each.get("environment") == environment and _tells(each)]
    own = [each for each in found if each.get("sync") == sync]
    return _rates((own or found)[:_MOST_LEARNT], own=bool(own))


def _tells(counts: Mapping[str, Any]) -> bool:
    return _rows(counts) >= FEWEST_ROWS and counts.get("writes", 0) > 0 and counts.get("write_seconds", 0.0) > 0


def _rows(counts: Mapping[str, Any]) -> int:
    """Records that a run has sent: those that were written, and those that were refused."""
    done = (counts.get(name) or {} for name in CHANGE_COUNTS)
    return int(sum(each.get("done", 0) for each in done) + counts.get("failed", 0))


def _rates(runs: Sequence[Mapping[str, Any]], *, own: bool) -> Rates:
    if not runs:
        return BY_LIMITS
    rows = sum(map(_rows, runs))
    return Rates(
        runs=len(runs),
        own=own,
        rows_a_request=rows / sum(each["writes"] for each in runs),
        rows_a_second=rows / sum(each["write_seconds"] for each in runs),
    )
