"""The command that asks the deployed app for a run."""

from __future__ import annotations

import platform
from typing import Annotated

import typer
from rich.text import Text

from shared.cli import frame
from shared.cli.frame import AsJson, Force, Given, Name, given, output_of, program
from shared.errors import UserError

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
    """Ask the deployed app to run one sync at its next tick, or now."""
    from shared.cli.functions_host import FunctionsHost  # noqa: PLC0415 - `--help` does not wait for it
    from shared.jobs.requests import request_run  # noqa: PLC0415 - likewise

    output, app = output_of(context, as_json), frame.opened(context)
    host = FunctionsHost(app_url, app.settings.functions_admin_key) if app_url else None
    requested_by = f"command line on {platform.node()}"
    request = request_run(app.state, app.definition(name), given(parameters), force=force, requested_by=requested_by)
    if host:
        try:
            host.tick()
        except UserError as error:
            raise UserError(f"{error.message}. The request is kept, and the app runs it at its next tick") from error
    # A file is shared by the processes of one machine alone.
    local = "STATE_STORE is a file on this machine: no deployed app reads it, and the request waits for an app here"
    warning = local if app.settings.state_store.startswith("sqlite:") else ""
    output.result(
        {"request_id": request.id, "sync": name, "ticked": bool(host), "warning": warning},
        Text("The app runs it now." if host else "The app runs the request at its next tick."),
        *([Text(f"Warning: {warning}.", style="yellow")] if warning else []),
        Text(f"Next: dynamics-sync runs {name}"),
    )
    return 0
