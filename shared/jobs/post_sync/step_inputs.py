"""What the steps after the sync depend on, and the final state of their run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.counted import counted
from shared.definitions import ParameterValue
from shared.jobs.post_sync.figures import has_errors, run_figures
from shared.jobs.summary import RunState, RunSummary, StepOutcome, StepState
from shared.state import RunRecord

__all__ = ["StepInput", "ended", "step_input_of"]

_ENDED_EARLY = frozenset({RunState.CANCELLED, RunState.INTERRUPTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInput:
    """The results of a run when its steps begin.

    Attributes:
        values: The parameters of the definition, and the figures of the run.
        errors: The run has errors; a step that fails adds to them.
        earlier: The outcomes of the run that this one continues; empty where it continues none.
    """

    values: Mapping[str, ParameterValue]
    errors: bool
    earlier: Sequence[StepOutcome] = field(default=())


def step_input_of(
    summary: RunSummary,
    parameters: Mapping[str, ParameterValue],
    *,
    started: dt.datetime,
    failed: bool,
    last: RunRecord | None,
) -> StepInput | None:
    """What the steps of a run begin with; None where it runs none, because it was stopped before its end.

    A run that follows one whose steps were not all carried out, and that has written nothing itself, carries out the
    rest of them: with the figures of that run.

    Args:
        summary: The results of the run.
        parameters: Those of the definition.
        started: The start of the run.
        failed: The writing ended early, because of an error or of too many.
        last: The run before, if it was given the same parameters.
    """
    if summary.state in _ENDED_EARLY:
        return None
    counts, run_id, earlier = summary.to_json(), summary.run_id, list[StepOutcome]()
    if last is not None and not summary.writes and (left := _left(last)):
        counts, run_id, started, earlier = {**last.counts}, last.run_id, last.started, left
    errors = failed or has_errors(counts)
    state = RunState.FAILED if failed else RunState.COMPLETED_WITH_ERRORS if errors else RunState.SUCCEEDED
    figures = run_figures(counts | {"state": state.value}, run_id=run_id, started=started)
    return StepInput(values={**parameters, **figures}, errors=errors, earlier=earlier)


def _left(last: RunRecord) -> list[StepOutcome]:
    """The outcomes of the steps of a run that ended among them, by itself or by a person; none of another run."""
    kept = last.counts.get("post_sync")
    if last.state not in _ENDED_EARLY or not isinstance(kept, list):
        return []
    outcomes = [_outcome(each, last.run_id) for each in kept]
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


def ended(summary: RunSummary, outcomes: Sequence[StepOutcome], *, cancelled: bool) -> RunSummary:
    """The summary of a run with its steps: one that fails makes it Failed, and one that is left Interrupted.

    Args:
        summary: The results of the run before them.
        outcomes: One for each step.
        cancelled: A person has stopped the run.
    """
    summary = replace(summary, post_sync=tuple(outcomes))
    left = [each for each in outcomes if each.state is StepState.NOT_RUN]
    failed = [each for each in outcomes if each.state is StepState.FAILED]
    said = [f"the step {each.name} failed: {each.message}" for each in failed]
    if left:
        steps = counted(len(left), "step is", "steps are")
        said.insert(0, f"all changes are written; {steps} left for the next run ({left[0].message})")
    if not said:
        return summary
    state = RunState.FAILED
    if left:
        state = RunState.CANCELLED if cancelled else RunState.INTERRUPTED
    message = "; ".join([*said, *([summary.message] if summary.message else [])])
    return replace(summary, state=state, completed=False, message=message)
