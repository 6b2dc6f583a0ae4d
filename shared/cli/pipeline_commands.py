"""The command that publishes definitions; pipelines use it, and people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from shared.cli import frame
from shared.cli.frame import EXIT_FAILED, AsJson, output_of, program

__all__: list[str] = []  # importing the module adds its commands to the program


@program.command()
def publish(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder with the definitions.")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="URL", help="Container and folder; default SYNC_DEFINITIONS.")
    ] = None,
    overwrite: Annotated[
        list[str] | None,
        typer.Option(
            "--overwrite", metavar="FILE", help="Overwrite this file although it was edited there; repeatable."
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Copy definitions into the container that the app reads; an edit that was made there is not overwritten."""
    output, app = output_of(context, as_json), frame.opened(context)
    url = to or app.settings.sync_definitions
    found = app.publish(folder, url, overwrite=overwrite or ())
    edited = [each.file for each in found if each.outcome == "edited"]
    said = [f"{each.outcome}: {each.file}" for each in found if each.outcome != "unchanged"]
    output.result(
        {"to": url, "files": {each.file: each.outcome for each in found}, "edited": edited},
        *(Text(line) for line in said or ["Nothing to do: the definitions are equal."]),
        *([Text(_help(edited), style="yellow")] if edited else []),
    )
    return EXIT_FAILED if edited else 0


def _help(edited: list[str]) -> str:
    return (
        f"Edited in the container since the last publication, and not overwritten: {', '.join(edited)}. "
        "Take the edit into the folder, or give it up with --overwrite FILE. Then publish again."
    )
