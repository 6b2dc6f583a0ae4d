"""The console of the deployed app."""

from __future__ import annotations

import azure.functions as func

from console.access.person import SignIn
from console.application import application
from console.console import Console
from shared.app import App, current
from shared.app.once import Once

__all__ = ["middleware"]


@Once
def middleware() -> func.AsgiMiddleware:
    """The ASGI app for the host: one for all invocations of the process."""
    app = current()
    hub = app.wiring.event_hub
    console = Console(
        app=app,
        sign_in=SignIn(app.variables()),
        wake=lambda job_id: _wake(app, job_id),
        hub=hub.sender if hub else None,
        waiting=hub.waiting if hub else None,
    )
    return func.AsgiMiddleware(application(console))  # type: ignore[no-untyped-call]  # the SDK leaves it untyped


def _wake(app: App, job_id: str) -> None:
    """Send the message of a job; with a state store of one machine the timer finds it."""
    if app.queue is not None:
        app.queue.send(job_id)
