"""The steps that an earlier run of a sync has left: which they are, and with the figures of which run they go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.jobs.summary import RunState, StepOutcome, StepState
from shared.state import RunRecord

__all__ = ["ENDED_EARLY", "Continued", "steps_left"]

ENDED_EARLY: Final = frozenset({RunState.CANCELLED, RunState.INTERRUPTED})
"""The states of a run that its time or a person has ended."""
_MOST_RUNS: Final = 50  # that are looked at: each is a request to the store


@dataclass(frozen=True, slots=True, kw_only=True)
class Continued:
    """What the next run goes on with.

    Attributes:
        figures: The run that wrote, whose figures the steps know.
        steps: The outcomes of all steps; those that are left have the state *Not run*.
    """

    figures: RunRecord
    steps: Sequence[StepOutcome]


def steps_left(
    last: RunRecord | None, before: Callable[[RunRecord], RunRecord | None], given: Mapping[str, Any]
) -> Continued | None:
    """What is left of the steps of earlier runs; None where the next run begins with the first step.

    A run that failed before it wrote or began a step changes nothing about it.

    Args:
        last: The run before the next one.
        before: Finds the run before a run.
        given: The parameters that the next run is given: only a run that was given the same is continued.
    """
    runs = _runs_that_did_something(last, before)
    latest = next(runs, None)
    if latest is None or latest.given != given or not (left := _left(latest)):
        return None
    figures = latest
    while not _wrote(figures) or _continued(figures):
        earlier = next(runs, None)
        if earlier is None or earlier.given != given or not _left(earlier):
            break
        figures = earlier
    return Continued(figures=figures, steps=left)


def _runs_that_did_something(
    last: RunRecord | None, before: Callable[[RunRecord], RunRecord | None]
) -> Iterator[RunRecord]:
    """The runs that wrote or began with their steps, the latest first."""
    run = last
    for _ in range(_MOST_RUNS):
        if run is None:
            return
        if _wrote(run) or run.counts.get("post_sync"):
            yield run
        run = before(run)


def _wrote(run: RunRecord) -> bool:
    """Whether a run sent changes; of one whose process died it is not known."""
    return run.counts.get("writes") != 0


def _continued(run: RunRecord) -> bool:
    """Whether a run has gone on with the steps of another one; a step of its own may have written.

    Rows of earlier versions do not say it: there a step that another run has carried out shows it.
    """
    return bool(run.counts.get("continues")) or any(
        step["run"] not in {"", run.run_id} for step in run.counts.get("post_sync") or ()
    )


def _left(run: RunRecord) -> list[StepOutcome]:
    """The outcomes of the steps of a run that ended among them, by itself or by a person; none of another run."""
    kept = run.counts.get("post_sync")
    if run.state not in ENDED_EARLY or not isinstance(kept, list):
        return []
    outcomes = [_outcome(each, run.run_id) for each in kept]
    return outcomes if any(each.state is StepState.NOT_RUN for each in outcomes) else []


def _outcome(kept: Mapping[str, Any], run_id: str) -> StepOutcome:
    return StepOutcome(
        name=kept["name"],
        kind=kept["kind"],
        state=StepState(kept["state"]),
        seconds=kept["seconds"],
        message=kept["message"],
        figures=kept["figures"],
        run=kept["run"] or run_id,
    )
