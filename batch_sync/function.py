"""The timer's function: thin, and quick to import."""

from __future__ import annotations

import azure.functions as func

__all__ = ["blueprint"]

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped


# No retry policy: the next tick is the retry. Never on start-up: every scale-out would start the syncs.
@blueprint.function_name("batch_sync")
@blueprint.timer_trigger(arg_name="timer", schedule="%BATCH_SYNC_SCHEDULE%", use_monitor=True, run_on_startup=False)
def batch_sync(timer: func.TimerRequest) -> None:
    """Run the syncs that are due and the jobs that were asked for."""
    # A cold start does not load the core until the first tick.
    from batch_sync.tick import run_tick  # noqa: PLC0415 - see above

    run_tick(late=bool(timer.past_due))
