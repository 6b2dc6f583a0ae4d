"""The figures of a run, as parameters of its steps: `@run.created` and its like."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from shared.definitions import ParameterValue
from shared.definitions.models.names import RUN_FIGURES

__all__ = ["has_errors", "run_figures"]

_FACTS = ("run.id", "run.sync", "run.state", "run.started", "run.seconds")


def run_figures(counts: Mapping[str, Any], *, run_id: str, started: dt.datetime) -> dict[str, ParameterValue]:
    """Every figure by its name.

    Args:
        counts: The object of a run's summary, as `run --json` prints it.
        run_id: The run.
        started: Its start.
    """
    facts: dict[str, ParameterValue] = {
        "run.id": run_id,
        "run.sync": str(counts["sync"]),
        "run.state": str(counts["state"]),
        "run.started": started,
        "run.seconds": int(counts["elapsed_seconds"]),
    }
    counted = {name: _counted(name.removeprefix("run."), counts) for name in RUN_FIGURES if name not in _FACTS}
    return facts | counted


def _counted(name: str, counts: Mapping[str, Any]) -> int:
    if name in {"rejected", "processed"}:
        return int(counts["source"][name])
    found = counts[name]
    return int(found["done"] if isinstance(found, Mapping) else found)


def has_errors(counts: Mapping[str, Any]) -> bool:
    """Whether rows of a run were rejected, refused or left, from the same object."""
    return bool(counts["failed"] or counts["skipped"] or counts["violations"] or counts["source"]["rejected"])
