"""The steps after the sync of one run: in order, each with a time limit and one outcome. A failure undoes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from shared.clock import Clock
from shared.dataverse import Dataverse, WriteLimits
from shared.definitions import SyncDefinition, in_text
from shared.definitions.models import PostSyncStep, RunOn
from shared.definitions.parameters import in_body
from shared.errors import SyncError, UserError
from shared.jobs.post_sync.checks import operation_of
from shared.jobs.post_sync.step_inputs import StepInput
from shared.jobs.post_sync.updates import Updating
from shared.jobs.summary import StepOutcome, StepState
from shared.sources import SourceContext
from shared.workspace import OutOfTimeError, Workspace

__all__ = ["StepTools", "run_steps"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTools:
    """What steps work with.

    Attributes:
        context: What they need of other systems: connections, secrets, hosts that may be reached.
        deadline: Moment of the clock's `monotonic` at which the run has to end; None for no limit.
        stopped: Why no further step may begin: a person has stopped the run, or its lease is lost; empty if none.
        max_errors: More refused records than this end an update.
    """

    dataverse: Dataverse
    workspace: Workspace
    context: SourceContext
    clock: Clock
    deadline: float | None
    stopped: Callable[[], str]
    max_errors: int | None = None


def run_steps(definition: SyncDefinition, given: StepInput, tools: StepTools) -> tuple[StepOutcome, ...]:
    """Carry out the steps that the run asks for; one outcome for each, in their order."""
    settled = {each.name: each for each in given.earlier if each.state is not StepState.NOT_RUN}
    tools.workspace.bind({name: value for name, value in given.values.items() if "." in name})
    tools = replace(tools, context=replace(tools.context, parameters=given.values))
    outcomes: list[StepOutcome] = []
    begun, errors = False, given.errors
    for number, step in enumerate(definition.post_sync):
        outcome = settled.get(step.name)
        if outcome is None:
            first = bool(given.earlier) and not begun
            outcome, begun = _outcome_of(step, number, tools, errors=errors, first=first), True
        errors = errors or outcome.state is StepState.FAILED
        outcomes.append(outcome)
    return tuple(outcomes)


def _outcome_of(step: PostSyncStep, number: int, tools: StepTools, *, errors: bool, first: bool) -> StepOutcome:
    """The outcome of a step; `first` says that it begins even where its timeout is longer than the time that is left.

    A run that continues another one has as much time as there ever is, so its first step does not wait for more.
    """
    outcome = StepOutcome(name=step.name, kind=step.kind, state=StepState.SKIPPED)
    if step.run_on is not RunOn.ALWAYS and errors is (step.run_on is RunOn.SUCCESS):
        why = "there are errors" if errors else "there are no errors"
        return replace(outcome, message=f"{why}, and run_on is {step.run_on}")
    if reason := tools.stopped():
        return replace(outcome, state=StepState.NOT_RUN, message=reason)
    left = _left(tools)
    if left is not None and (left <= 0 or (left < step.timeout and not first)):
        return replace(outcome, state=StepState.NOT_RUN, message="its timeout does not fit into the time that is left")
    return _carried_out(step, number, tools, outcome)


def _left(tools: StepTools) -> float | None:
    return None if tools.deadline is None else tools.deadline - tools.clock.monotonic()


def _carried_out(step: PostSyncStep, number: int, tools: StepTools, outcome: StepOutcome) -> StepOutcome:
    started = tools.clock.monotonic()
    limit = step.timeout if tools.deadline is None else min(step.timeout, tools.deadline - started)
    work = _Work(step, f"post_sync[{number}]", tools, until=started + limit)
    message, figures = "", dict[str, int]()
    try:
        limited = tools.dataverse.until(work.until, answered=True, stopped=lambda: bool(tools.stopped()))
        with tools.workspace.until(work.left), limited:
            figures = work.done()
    except OutOfTimeError:
        message = f"it did not end within {limit:,.0f} s"
    except SyncError as error:
        message = error.message
    seconds = tools.clock.monotonic() - started
    state = StepState.FAILED if message else StepState.SUCCEEDED
    log.info("Step %s: %s in %.1f s", step.name, state, seconds)
    return replace(outcome, state=state, seconds=seconds, message=message, figures=figures)


@dataclass(frozen=True, slots=True)
class _Work:
    """One step with its time limit."""

    step: PostSyncStep
    place: str
    tools: StepTools
    until: float

    def left(self) -> float:
        """Seconds until it has to end."""
        return self.until - self.tools.clock.monotonic()

    def done(self) -> dict[str, int]:
        """Carry it out; returns its figures."""
        step, tools = self.step, self.tools
        if step.update is not None:
            limits = WriteLimits(
                deadline=self.until, max_errors=tools.max_errors, cancelled=lambda: bool(tools.stopped())
            )
            updating = Updating(
                dataverse=tools.dataverse,
                workspace=tools.workspace,
                parameters=tools.context.parameters,
                limits=limits,
                place=f"{self.place}.update",
            )
            return {"updated": updating.run(step.update)}
        if step.sql is not None:
            from shared.other_systems.statement import run_statement  # noqa: PLC0415 - few runs have such a step

            return {"rows": run_statement(step.sql, tools.context, tools.workspace)}
        if step.http is not None:
            from shared.other_systems.request import send_request  # noqa: PLC0415 - few runs have such a step

            return {"status": send_request(step.http, tools.context, left=self.left, go_on=self._go_on)}
        self._call()
        return {}

    def _go_on(self) -> None:
        if reason := self.tools.stopped():
            raise UserError(reason)
        self.tools.workspace.check_time()

    def _call(self) -> None:
        step, dataverse, values = self.step, self.tools.dataverse, self.tools.context.parameters
        operation = operation_of(step, dataverse.operations(step.action or ""))
        if operation is None:
            raise UserError(f"the environment has no such action {step.action}")
        record = None
        if step.bound_to is not None and step.bound_to.id is not None:
            record = _record_id(in_text(step.bound_to.id, values))
        dataverse.call(operation, in_body(step.body or {}, values), record=record, within=max(self.left(), 0.1))


def _record_id(text: str) -> str:
    try:
        return str(UUID(text.strip()))
    except ValueError:
        raise UserError("bound_to.id is not the id of a record, such as 00000000-0000-0000-0000-000000000000") from None
