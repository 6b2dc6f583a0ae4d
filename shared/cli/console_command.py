"""The command that serves the console on this machine."""

from __future__ import annotations

import webbrowser
from typing import Annotated, Final

import typer

from shared.cli import frame
from shared.cli.frame import FLAG, program

__all__: list[str] = []  # importing the module adds its command to the program

PORT: Final = 8420


@program.command()
def console(
    context: typer.Context,
    port: Annotated[
        int,
        typer.Option("--port", min=0, max=65535, metavar="N", help="Port on the loopback address; 0 for a free one."),
    ] = PORT,
    browse: Annotated[bool, typer.Option("--open", metavar=FLAG, help="Open it in the browser.")] = False,
) -> int:
    """Serve the console on this machine: build, run and watch syncs in a browser."""
    from console.local import bound, serve  # noqa: PLC0415 - `--help` does not wait for the web app

    app = frame.opened(context)
    listening = bound(port)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    try:
        typer.echo(f"The console: {address}\nStop it with Ctrl-C.")
        if browse:
            webbrowser.open(address)
        serve(app, listening)
    except KeyboardInterrupt:  # how a person ends it
        typer.echo("The console has ended. The next one continues the runs that were at work.")
    return 0
