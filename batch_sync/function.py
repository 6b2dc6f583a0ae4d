"""The functions of batches: thin, and quick to import."""

from __future__ import annotations

import azure.functions as func

__all__ = ["blueprint"]

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped


# No retry policy: the next tick is the retry. Never on start-up: every scale-out would start the syncs.
@blueprint.function_name("batch_sync")
@blueprint.timer_trigger(arg_name="timer", schedule="%BATCH_SYNC_SCHEDULE%", use_monitor=True, run_on_startup=False)
def batch_sync(timer: func.TimerRequest) -> None:
    """Find the syncs that are due, and give each of them to the queue as a job."""
    # A cold start does not load the core until the first tick.
    from batch_sync.tick import run_tick  # noqa: PLC0415 - see above

    run_tick(late=bool(timer.past_due))


# No retry policy: the row of the job says when it comes again, and a process that died leaves its message in the queue.
@blueprint.function_name("batch_job")
@blueprint.queue_trigger(arg_name="message", queue_name="dynamics-sync-jobs", connection="AzureWebJobsStorage")
def batch_job(message: func.QueueMessage) -> None:
    """Run the job that the message names."""
    from batch_sync.tick import run_job  # noqa: PLC0415 - see above

    run_job(message.get_body().decode("utf-8", "replace"))
