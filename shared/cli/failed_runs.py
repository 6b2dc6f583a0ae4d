"""An error that ends a run has notes about what to do next, which the boundary of the command line prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.errors import SyncError
from shared.state import RunState
from shared.views.next_steps import next_steps
from shared.views.runs import as_seen

if TYPE_CHECKING:
    from shared.app import App

__all__ = ["noting_next_steps"]


@contextmanager
def noting_next_steps(app: App, run_id: str) -> Iterator[None]:
    """Add the next steps to an error that ends the run, as notes; none where the run has no row in the log."""
    try:
        yield
    except SyncError as error:
        with suppress(SyncError):  # a state store that is unavailable does not hide the error itself
            for step in _steps(app, run_id):
                error.add_note(step)
        raise


def _steps(app: App, run_id: str) -> tuple[str, ...]:
    run = app.state.run(run_id)
    if run is None:
        return ()
    if run.state == RunState.RUNNING:  # its end is not in the log, as the error says; this process has not died
        run = replace(run, state=RunState.FAILED.value)
    return next_steps(as_seen(run, app.state), has_errors=bool(app.state.errors(run_id)))
