"""The commands that ask the deployed app for a run, and that stop one."""

from __future__ import annotations

import platform
from typing import Annotated

import typer
from rich.text import Text

from shared.cli import frame
from shared.cli.frame import AsJson, Force, Given, Name, given, output_of, program
from shared.cli.screen.run_tables import next_lines
from shared.errors import SyncError, UserError
from shared.run_ids import SHORT_ID
from shared.views.next_steps import command_line

__all__: list[str] = []  # importing the module adds its commands to the program


@program.command()
def start(
    context: typer.Context,
    name: Name,
    parameters: Given = None,
    force: Force = False,
    app_url: Annotated[
        str | None, typer.Option("--app", metavar="URL", help="URL of the deployed app: it looks for requests at once.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Ask the deployed app to run one sync."""
    from shared.cli.functions_host import FunctionsHost  # noqa: PLC0415 - `--help` does not wait for it
    from shared.jobs.requests import request_run  # noqa: PLC0415 - likewise

    output, app = output_of(context, as_json), frame.opened(context)
    host = FunctionsHost(app_url, app.settings.functions_admin_key) if app_url else None
    request = request_run(app.state, app.definition(name), given(parameters), force=force, requested_by=_who())
    try:
        if app.queue:
            app.queue.send(request.id)
        if host:
            host.tick()
    except SyncError as error:
        raise UserError(f"{error.message}. The request is kept, and the app finds it in a few minutes") from error
    # A file is shared by the processes of one machine alone.
    local = "STATE_STORE is a file on this machine: no deployed app reads it, and the request waits for an app here"
    warning = local if app.settings.state_store.startswith("sqlite:") else ""
    at_once = bool(host or app.queue)
    output.result(
        {"request_id": request.id, "sync": name, "ticked": bool(host), "warning": warning},
        Text(f"Request {request.id}: {'the app runs it now.' if at_once else 'the app runs it at its next tick.'}"),
        *([Text(f"Warning: {warning}.", style="yellow")] if warning else []),
        *next_lines([command_line("runs", request.id[:SHORT_ID])]),
    )
    return 0


@program.command()
def cancel(
    context: typer.Context,
    run_id: Annotated[
        str, typer.Argument(metavar="RUN", help="The id of a run or of a request that waits, or its first characters.")
    ],
    as_json: AsJson = False,
) -> int:
    """Stop a run between two requests, or take back a request that waits."""
    from shared.jobs.requests import stop  # noqa: PLC0415 - `--help` does not wait for it
    from shared.state import RunState  # noqa: PLC0415 - likewise
    from shared.views.runs import run_named  # noqa: PLC0415 - likewise

    output, state = output_of(context, as_json), frame.opened(context).state
    run = run_named(run_id, state)
    now = stop(state, run, _who())
    said = "It was taken back." if now == RunState.CANCELLED else "The run stops before its next request."
    output.result({"run_id": run.run_id, "sync": run.sync, "state": now.value}, Text(said))
    return 0


def _who() -> str:
    return f"command line on {platform.node()}"
