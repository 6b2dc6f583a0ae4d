"""A saved plan is applied once: those of `delta` and `upsert` do not depend on the target, so nothing else tells."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from shared.errors import SyncError, UsedPlanError
from shared.state import PlanUse, RunState, StateStore

__all__ = ["refuse_used_plan", "using_plan"]

_COMPLETE: Final = frozenset({RunState.SUCCEEDED, RunState.COMPLETED_WITH_ERRORS})

log = logging.getLogger(__name__)


def refuse_used_plan(state: StateStore, plan_id: str) -> None:
    """Refuse a saved plan that a run has applied, before anything is read for it.

    Raises:
        UsedPlanError: It was applied.
    """
    if plan_id and (found := state.plan_use(plan_id)):
        raise _refused(state, found)


@contextmanager
def using_plan(state: StateStore, use: PlanUse, *, wrote: Callable[[], bool]) -> Iterator[None]:
    """Have a saved plan while its changes are written. It is given back where nothing was sent to Dataverse.

    A run that dies in between keeps it: what it wrote is not known. A use without a plan's id has no plan.

    Raises:
        UsedPlanError: Another run has it.
    """
    if not use.plan_id:
        yield
        return
    if (found := state.use_plan(use)).run_id != use.run_id:
        raise _refused(state, found)
    try:
        yield
    finally:
        if not wrote():
            _give_back(state, use)


def _give_back(state: StateStore, use: PlanUse) -> None:
    try:
        state.return_plan(use)
    except SyncError as error:
        log.warning("The saved plan counts as applied, although nothing was written: %s", error.message)


def _refused(state: StateStore, use: PlanUse) -> UsedPlanError:
    run, moment = state.run(use.run_id), f"{use.used:%Y-%m-%d at %H:%M} UTC"
    if run is None or run.state in _COMPLETE:
        return UsedPlanError(
            f"this saved plan was applied already, by run {use.run_id} on {moment}, and the target has changed since. "
            "A saved plan is applied once: nothing was written; make a new plan"
        )
    return UsedPlanError(
        f"run {use.run_id} began to apply this plan on {moment} and has not reached its end: what it wrote stays. "
        "A saved plan is applied once: nothing more was written; make a new plan, which has only what is still missing"
    )
