"""What the steps after the sync depend on, and the final state of their run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.counted import counted
from shared.definitions import ParameterValue
from shared.jobs.post_sync.continuing import ENDED_EARLY, Continued
from shared.jobs.post_sync.figures import has_errors, run_figures
from shared.jobs.summary import RunState, RunSummary, StepOutcome, StepState

__all__ = ["StepInput", "ended", "step_input_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInput:
    """The results of a run when its steps begin.

    Attributes:
        values: The parameters of the definition, and the figures of the run.
        errors: The run has errors; a step that fails adds to them.
        earlier: The outcomes of the run that this one continues; empty where it continues none.
        continues: The id of the run that has written, and whose figures these are; empty where it is this one.
    """

    values: Mapping[str, ParameterValue]
    errors: bool
    earlier: Sequence[StepOutcome] = field(default=())
    continues: str = ""


def step_input_of(
    summary: RunSummary,
    parameters: Mapping[str, ParameterValue],
    *,
    started: dt.datetime,
    failed: bool,
    continued: Continued | None,
) -> StepInput | None:
    """What the steps of a run begin with; None where it runs none, because it was stopped before its end.

    A run that follows one whose steps were not all carried out, and that has written nothing itself, carries out the
    rest of them: with the figures of that run.

    Args:
        summary: The results of the run.
        parameters: Those of the definition.
        started: The start of the run.
        failed: The writing ended early, because of an error or of too many.
        continued: What is left of the steps of earlier runs; None for nothing.
    """
    if summary.state in ENDED_EARLY:
        return None
    counts, continues, earlier = summary.to_json(), "", tuple[StepOutcome, ...]()
    if continued is not None and not summary.writes:
        last = continued.figures
        counts, continues, started, earlier = {**last.counts}, last.run_id, last.started, tuple(continued.steps)
    errors = failed or has_errors(counts)
    state = RunState.FAILED if failed else RunState.COMPLETED_WITH_ERRORS if errors else RunState.SUCCEEDED
    figures = run_figures(counts | {"state": state.value}, run_id=continues or summary.run_id, started=started)
    return StepInput(values={**parameters, **figures}, errors=errors, earlier=earlier, continues=continues)


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
