"""The command that makes a first folder."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from shared.cli.frame import AsJson, output_of, program
from shared.cli.setting_up.starter import write_starter

__all__: list[str] = []  # importing the module adds its command to the program


@program.command()
def init(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="A folder that is empty or does not exist; default this folder.")
    ] = Path(),
    as_json: AsJson = False,
) -> int:
    """Make a folder with settings, a first definition and sample data, to try on a local Dataverse."""
    files = write_starter(folder)
    commands = _next_commands(folder)
    output_of(context, as_json).result(
        {"folder": str(folder), "files": [str(file) for file in files], "next": commands},
        *(Text(f"Written: {file}") for file in files),
        Text("Next, the first one in a second terminal: it is a local Dataverse and runs until you press Ctrl-C."),
        *(Text(f"  {command}") for command in commands),
        Text("Then write your own definitions into the folder syncs, and your environment into local.settings.json."),
    )
    return 0


def _next_commands(folder: Path) -> list[str]:
    """What a person types next, each from the folder where this command was typed."""
    inside = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    # With their paths: a virtual environment need not be active.
    python = shlex.quote(sys.executable)
    beside = Path(sys.executable).with_name("dynamics-sync")
    sync = shlex.quote(str(beside)) if beside.exists() else "dynamics-sync"
    return [f"{inside}{each}" for each in (f"{python} -m emulator", f"{sync} plan customers", f"{sync} run customers")]
